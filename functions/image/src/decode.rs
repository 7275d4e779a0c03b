//! From bytes to pixels: the header first, and the pixels only when their number is known to be bearable.

use std::io::Cursor;

use gust_sdk::{Error, StatusCode};
use image_webp::WebPDecoder;
use jpeg_decoder::PixelFormat;

use crate::{
    geometry::{Plan, Size},
    options::Format,
    orientation::Orientation,
    pixels::{Channels, Pixels},
};

/// The most pixels of a picture. A progressive JPEG of this size needs 6 bytes for each while it is decoded.
pub const PIXELS_MAX: u64 = 50_000_000;

/// How many times wider than the answer a JPEG is at least decoded, and at least where that is at an eighth of its size.
/// Decoding it smaller than it is saves most of the work. Larger than the answer leaves the sharpness to the resampling, and
/// leaves room for the colours, which most JPEGs hold at half the size; an eighth is the mean of each block and nothing
/// else. With less than this the difference to decoding in full can be measured (`tests/likeness.rs`).
const JPEG_MARGIN: f64 = 2.25;
const JPEG_MARGIN_OF_AN_EIGHTH: f64 = 4.0;

/// A picture whose header was read.
pub struct Source<'a> {
    decoder: Decoder<'a>,
    size: Size,
    orientation: Orientation,
}

enum Decoder<'a> {
    Jpeg(Box<jpeg_decoder::Decoder<Cursor<&'a [u8]>>>),
    Png(Box<png::Reader<Cursor<&'a [u8]>>>),
    Webp(Box<WebPDecoder<Cursor<&'a [u8]>>>),
}

fn unreadable(format: &str, error: impl std::fmt::Display) -> Error {
    Error::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the {format} cannot be decoded: {error}"))
}

/// Refuses what has too many pixels to be held.
pub fn must_be_bearable(what: &str, (w, h): Size) -> Result<(), Error> {
    let pixels = u64::from(w) * u64::from(h);
    if pixels <= PIXELS_MAX {
        return Ok(());
    }
    let detail = format!("{what} has {w} x {h} = {pixels} pixels; at most {PIXELS_MAX} are allowed");
    Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}

impl<'a> Source<'a> {
    /// Reads the header.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let source = match bytes {
            [0xff, 0xd8, 0xff, ..] => Self::open_jpeg(bytes),
            [0x89, b'P', b'N', b'G', ..] => Self::open_png(bytes),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::open_webp(bytes),
            _ => Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is no JPEG, PNG or WebP")),
        }?;
        must_be_bearable("the picture", source.size)?;
        Ok(source)
    }

    fn open_jpeg(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(bytes));
        decoder.read_info().map_err(|error| unreadable("JPEG", error))?;
        let info = decoder.info().ok_or_else(|| unreadable("JPEG", "it has no frame"))?;
        let orientation = decoder.exif_data().map_or(Orientation::UPRIGHT, Orientation::from_exif);
        let size = (info.width.into(), info.height.into());
        Ok(Self { decoder: Decoder::Jpeg(Box::new(decoder)), size, orientation })
    }

    fn open_png(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let reader = decoder.read_info().map_err(|error| unreadable("PNG", error))?;
        let info = reader.info();
        let orientation = info.exif_metadata.as_ref().map_or(Orientation::UPRIGHT, |exif| Orientation::from_exif(exif));
        let size = (info.width, info.height);
        Ok(Self { decoder: Decoder::Png(Box::new(reader)), size, orientation })
    }

    fn open_webp(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| unreadable("WebP", error))?;
        let exif = decoder.exif_metadata().ok().flatten();
        let orientation = exif.map_or(Orientation::UPRIGHT, |exif| Orientation::from_exif(&exif));
        let size = decoder.dimensions();
        Ok(Self { decoder: Decoder::Webp(Box::new(decoder)), size, orientation })
    }

    /// Its size as it is stored.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Its format.
    pub fn format(&self) -> Format {
        match self.decoder {
            Decoder::Jpeg(_) => Format::Jpeg,
            Decoder::Png(_) => Format::Png,
            Decoder::Webp(_) => Format::Webp,
        }
    }

    /// How it has to be turned.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Decodes it, at least as large as `plan` needs it.
    pub fn decode(self, plan: &Plan) -> Result<Pixels, Error> {
        match self.decoder {
            Decoder::Jpeg(decoder) => jpeg(*decoder, self.size, plan),
            Decoder::Png(reader) => png(*reader),
            Decoder::Webp(decoder) => webp(*decoder),
        }
    }
}

/// How many eighths of its own size a JPEG is decoded at, for an answer that is smaller by `scale`.
fn eighths(scale: f64) -> u32 {
    let margin = |eighths| if eighths == 1 { JPEG_MARGIN_OF_AN_EIGHTH } else { JPEG_MARGIN };
    [1, 2, 4].into_iter().find(|eighths| scale * margin(*eighths) <= f64::from(*eighths) / 8.0).unwrap_or(8)
}

fn jpeg(mut decoder: jpeg_decoder::Decoder<Cursor<&[u8]>>, size: Size, plan: &Plan) -> Result<Pixels, Error> {
    let eighths = eighths(plan.scale());
    let side = |own: u32| (own * eighths).div_ceil(8) as u16;
    let (width, height) = decoder.scale(side(size.0), side(size.1)).map_err(|error| unreadable("JPEG", error))?;
    let bytes = decoder.decode().map_err(|error| unreadable("JPEG", error))?;
    let info = decoder.info().ok_or_else(|| unreadable("JPEG", "it has no frame"))?;
    let (channels, bytes) = match info.pixel_format {
        PixelFormat::L8 => (Channels::Gray, bytes),
        PixelFormat::L16 => {
            let (pairs, _) = bytes.as_chunks::<2>();
            (Channels::Gray, pairs.iter().map(|pair| (u16::from_ne_bytes(*pair) >> 8) as u8).collect())
        }
        PixelFormat::RGB24 => (Channels::Rgb, bytes),
        PixelFormat::CMYK32 => {
            let (pixels, _) = bytes.as_chunks::<4>();
            let mix = |ink: u8, black: u8| ((255 - u32::from(ink)) * (255 - u32::from(black)) / 255) as u8;
            let rgb = pixels.iter().flat_map(|[c, m, y, k]| [mix(*c, *k), mix(*m, *k), mix(*y, *k)]);
            (Channels::Rgb, rgb.collect())
        }
    };
    Ok(Pixels { width: width.into(), height: height.into(), channels, bytes })
}

fn png(mut reader: png::Reader<Cursor<&[u8]>>) -> Result<Pixels, Error> {
    let size = reader.output_buffer_size().ok_or_else(|| unreadable("PNG", "it is too large"))?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(|error| unreadable("PNG", error))?;
    bytes.truncate(frame.buffer_size());
    let (channels, bytes) = match frame.color_type {
        png::ColorType::Grayscale => (Channels::Gray, bytes),
        png::ColorType::Rgb => (Channels::Rgb, bytes),
        png::ColorType::Rgba => (Channels::Rgba, bytes),
        png::ColorType::GrayscaleAlpha => {
            let (pixels, _) = bytes.as_chunks::<2>();
            (Channels::Rgba, pixels.iter().flat_map(|[gray, alpha]| [*gray, *gray, *gray, *alpha]).collect())
        }
        png::ColorType::Indexed => return Err(unreadable("PNG", "its palette was not applied")),
    };
    Ok(Pixels { width: frame.width, height: frame.height, channels, bytes })
}

fn webp(mut decoder: WebPDecoder<Cursor<&[u8]>>) -> Result<Pixels, Error> {
    let (width, height) = decoder.dimensions();
    let channels = if decoder.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let size = decoder.output_buffer_size().ok_or_else(|| unreadable("WebP", "it is too large"))?;
    let mut bytes = vec![0; size];
    decoder.read_image(&mut bytes).map_err(|error| unreadable("WebP", error))?;
    Ok(Pixels { width, height, channels, bytes })
}
