//! From pixels to bytes.

use gust_sdk::Error;
use image_webp::WebPEncoder;

use crate::{
    options::Format,
    pixels::{Channels, Pixels},
};

/// Encodes a picture. `quality` is for JPEG; what JPEG cannot show through is laid on white.
pub fn encode(pixels: Pixels, format: Format, quality: u8) -> Result<Vec<u8>, Error> {
    match format {
        Format::Jpeg => jpeg(pixels.flattened(), quality),
        Format::Png => png(&pixels),
        Format::Webp => webp(&pixels),
    }
}

fn jpeg(pixels: Pixels, quality: u8) -> Result<Vec<u8>, Error> {
    let color = match pixels.channels {
        Channels::Gray => jpeg_encoder::ColorType::Luma,
        Channels::Rgb => jpeg_encoder::ColorType::Rgb,
        Channels::Rgba => jpeg_encoder::ColorType::Rgba,
    };
    // Sides are at most `SIDE_MAX`, or those of a picture that came in, so they fit.
    let (width, height) = (u16::try_from(pixels.width)?, u16::try_from(pixels.height)?);
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, quality).encode(&pixels.bytes, width, height, color)?;
    Ok(out)
}

fn png(pixels: &Pixels) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, pixels.width, pixels.height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match pixels.channels {
        Channels::Gray => png::ColorType::Grayscale,
        Channels::Rgb => png::ColorType::Rgb,
        Channels::Rgba => png::ColorType::Rgba,
    });
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels.bytes)?;
    writer.finish()?;
    Ok(out)
}

fn webp(pixels: &Pixels) -> Result<Vec<u8>, Error> {
    let color = match pixels.channels {
        Channels::Gray => image_webp::ColorType::L8,
        Channels::Rgb => image_webp::ColorType::Rgb8,
        Channels::Rgba => image_webp::ColorType::Rgba8,
    };
    let mut out = Vec::new();
    WebPEncoder::new(&mut out).encode(&pixels.bytes, pixels.width, pixels.height, color)?;
    Ok(out)
}
