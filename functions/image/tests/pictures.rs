//! Pictures of every kind through the whole function, natively.

use gust_sdk::HeaderMap;
use image::{
    decode::Source,
    encode::encode,
    options::{Fit, Format, Options},
    pixels::{Channels, Pixels},
    process,
};

/// Left half red, right half blue, of any channels.
fn flag(width: u32, height: u32, channels: Channels) -> Pixels {
    let pixel = |x: u32| match (channels, x < width / 2) {
        (Channels::Gray, true) => vec![40],
        (Channels::Gray, false) => vec![200],
        (Channels::Rgb, true) => vec![200, 20, 20],
        (Channels::Rgb, false) => vec![20, 20, 200],
        (Channels::Rgba, true) => vec![200, 20, 20, 255],
        (Channels::Rgba, false) => vec![20, 20, 200, 128],
    };
    let bytes = (0..height).flat_map(|_| (0..width).flat_map(pixel)).collect();
    Pixels { width, height, channels, bytes }
}

fn decoded(bytes: &[u8]) -> Pixels {
    let source = Source::open(bytes).unwrap();
    let plan = image::geometry::plan(source.size(), false, &Options::default());
    source.decode(&plan).unwrap()
}

fn pixel(pixels: &Pixels, x: u32, y: u32) -> &[u8] {
    let count = pixels.channels.count();
    let at = (y * pixels.width + x) as usize * count;
    &pixels.bytes[at..at + count]
}

fn is_near(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) < 24)
}

#[test]
fn every_format_becomes_every_other() {
    for from in [Format::Jpeg, Format::Png, Format::Webp] {
        for to in [Format::Jpeg, Format::Png, Format::Webp] {
            for channels in [Channels::Gray, Channels::Rgb, Channels::Rgba] {
                let picture = encode(flag(400, 200, channels), from, 90).unwrap();
                let options = Options { w: Some(100), format: Some(to), ..Options::default() };
                let (format, small) = process(&picture, &options, &HeaderMap::new()).unwrap();
                assert_eq!(format, to);
                let small = decoded(&small);
                assert_eq!((small.width, small.height), (100, 50), "{from:?} {to:?} {channels:?}");
                let left = pixel(&small, 20, 25);
                let red: &[u8] = if channels == Channels::Gray { &[40, 40, 40] } else { &[200, 20, 20] };
                assert!(is_near(&left[..left.len().min(3)], &red[..left.len().min(3)]), "{from:?} {to:?} {left:?}");
            }
        }
    }
}

#[test]
fn cover_cuts_the_middle_and_stretch_keeps_all() {
    let picture = encode(flag(400, 200, Channels::Rgb), Format::Png, 80).unwrap();
    for fit in [Fit::Cover, Fit::Stretch] {
        let options = Options { w: Some(50), h: Some(50), fit, ..Options::default() };
        let small = decoded(&process(&picture, &options, &HeaderMap::new()).unwrap().1);
        assert_eq!((small.width, small.height), (50, 50));
        assert!(is_near(pixel(&small, 5, 5), &[200, 20, 20]) && is_near(pixel(&small, 45, 45), &[20, 20, 200]));
    }
}

/// A JPEG with an EXIF segment that says how it is to be turned.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() + 2) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), &exif, &jpeg[2..]].concat()
}

#[test]
fn a_camera_held_sideways_makes_an_upright_picture() {
    let jpeg = encode(flag(400, 200, Channels::Rgb), Format::Jpeg, 90).unwrap();
    let options = Options { w: Some(100), format: Some(Format::Png), ..Options::default() };
    let (_, small) = process(&turned(&jpeg, 6), &options, &HeaderMap::new()).unwrap();
    let small = decoded(&small);
    // Turned clockwise: what was left is up.
    assert_eq!((small.width, small.height), (100, 200));
    assert!(is_near(pixel(&small, 50, 20), &[200, 20, 20]), "{:?}", pixel(&small, 50, 20));
    assert!(is_near(pixel(&small, 50, 180), &[20, 20, 200]));
}

#[test]
fn metadata_is_not_passed_on() {
    let jpeg = turned(&encode(flag(40, 20, Channels::Rgb), Format::Jpeg, 90).unwrap(), 1);
    let (_, same) = process(&jpeg, &Options::default(), &HeaderMap::new()).unwrap();
    assert!(!same.windows(4).any(|window| window == b"Exif"));
}

#[test]
fn a_bomb_is_refused_from_its_header() {
    let mut png = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut png, 60_000, 60_000);
        encoder.set_color(png::ColorType::Rgba);
        // A header and the first bytes of what cannot be decoded: nothing must come to that.
        encoder.write_header().unwrap().write_chunk(png::chunk::IDAT, b"x").unwrap();
    }
    let error = process(&png, &Options::default(), &HeaderMap::new()).unwrap_err();
    assert_eq!(error.status(), 413);
    assert!(error.message().contains("60000 x 60000"), "{error:?}");
}

#[test]
fn what_is_broken_is_told_and_never_panics() {
    let status = |bytes: &[u8]| process(bytes, &Options::default(), &HeaderMap::new()).unwrap_err().status();
    assert_eq!(status(b"hello"), 415);
    for format in [Format::Jpeg, Format::Png, Format::Webp] {
        let whole = encode(flag(64, 64, Channels::Rgb), format, 80).unwrap();
        assert_eq!(status(&whole[..20]), 422, "{format:?}");
        for cut in 4..whole.len() {
            // A JPEG that ends early may decode in part; it must not panic.
            let _ = process(&whole[..cut], &Options::default(), &HeaderMap::new());
        }
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let _ = process(&damaged, &Options::default(), &HeaderMap::new());
        }
    }
}
