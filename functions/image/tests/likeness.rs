//! Decoding at a reduced size does not show: the result is like that of decoding in full.

#[path = "../examples/photograph/landscape.rs"]
mod landscape;
#[path = "../examples/photograph/ssim.rs"]
mod ssim;
#[path = "../examples/photograph/ways.rs"]
mod ways;

use image::{
    encode::encode,
    options::{Fit, Format, Options},
    pixels::{Channels, Pixels},
};
use landscape::landscape;
use ssim::ssim;
use ways::Way;

/// How like pictures must be, and how like a grating whose strokes are as fine as what is decoded. That one shows: to decode
/// in full and resample leaves plain gray of it, and the mean of a block of pixels does not quite.
const LIKENESS_MIN: f64 = 0.98;
const LIKENESS_OF_GRATINGS_MIN: f64 = 0.93;

/// JPEG's quality below which the encoder halves the sides of the colours, and one above.
const QUALITIES: [u8; 2] = [85, 92];

/// The answers' widths. Among them are those for which little is decoded more than is needed.
const WIDTHS: [u32; 10] = [56, 93, 100, 125, 133, 150, 266, 320, 333, 640];

/// Signs at a street: plain colours, sharp edges, and letters' strokes from `stroke` pixels on.
fn signs(width: u32, height: u32, stroke: u32) -> Pixels {
    const PAINTS: [[u8; 3]; 6] =
        [[200, 30, 40], [250, 250, 245], [20, 60, 160], [245, 200, 30], [25, 120, 60], [30, 30, 35]];
    let pixel = |x: u32, y: u32| {
        let (column, row) = (x * 6 / width, y * 4 / height);
        let [paint, ink] = [column + row, column + row + 3].map(|paint| PAINTS[(paint % 6) as usize]);
        let stroke = stroke + column * 4;
        let is_ink = (y * 4 % height) * 3 / height == 1 && (x + y / 7) % (stroke * 3) < stroke;
        if is_ink { ink } else { paint }
    };
    let bytes = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Pixels { width, height, channels: Channels::Rgb, bytes }
}

fn gray(pixels: &Pixels) -> Pixels {
    let (colors, _) = pixels.bytes.as_chunks::<3>();
    let luma = |[r, g, b]: &[u8; 3]| ((u32::from(*r) * 299 + u32::from(*g) * 587 + u32::from(*b) * 114) / 1000) as u8;
    Pixels { channels: Channels::Gray, bytes: colors.iter().map(luma).collect(), ..*pixels }
}

/// The least likeness of both ways, over all widths, whole and cut to a square.
fn likeness(picture: &[u8]) -> (f64, String) {
    let of_sides = |w: u32, h: Option<u32>| {
        let options = Options { w: Some(w), h, fit: Fit::Cover, ..Options::default() };
        let [shrunk, whole] = [Way::Shrunk, Way::Whole].map(|way| way.resized(picture, &options).unwrap());
        (ssim(&shrunk, &whole), format!("{w} x {h:?}"))
    };
    let all = WIDTHS.into_iter().flat_map(|w| [of_sides(w, None), of_sides(w, Some(w))]);
    all.min_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap()
}

fn must_be_alike(name: &str, pixels: &Pixels, least: f64) {
    for quality in QUALITIES {
        let (likeness, at) = likeness(&encode(pixels.clone(), Format::Jpeg, quality).unwrap());
        println!("{name}, quality {quality}: {likeness:.4} at {at}");
        assert!(likeness >= least, "{name}, quality {quality}, to {at}: {likeness:.4}");
    }
}

#[test]
fn the_measure_tells_pictures_apart() {
    let (one, other) = (landscape(200, 120), signs(200, 120, 3));
    assert_eq!(ssim(&one, &one), 1.0);
    assert!(ssim(&one, &other) < 0.5);
    let mut shifted = one.clone();
    shifted.bytes.rotate_right(2 * 3);
    assert!(ssim(&one, &shifted) < LIKENESS_MIN, "{}", ssim(&one, &shifted));
}

#[test]
fn decoding_at_a_reduced_size_does_not_show() {
    let (photo, at) = likeness(include_bytes!("../photo.jpg"));
    assert!(photo >= LIKENESS_MIN, "photo.jpg to {at}: {photo:.4}");
    let (landscape, signs) = (landscape(3000, 2000), signs(1800, 1350, 8));
    for (name, pixels) in [("landscape", &landscape), ("signs", &signs)] {
        must_be_alike(name, pixels, LIKENESS_MIN);
        must_be_alike(&format!("gray {name}"), &gray(pixels), LIKENESS_MIN);
    }
}

#[test]
fn fine_gratings_hardly_show() {
    must_be_alike("grating", &signs(1801, 1201, 3), LIKENESS_OF_GRATINGS_MIN);
    must_be_alike("gray grating", &gray(&signs(1801, 1201, 3)), LIKENESS_OF_GRATINGS_MIN);
}
