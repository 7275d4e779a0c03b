//! Resampling with Lanczos3, in SIMD where the machine has it.

use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use gust_sdk::Error;

use crate::{
    geometry::Plan,
    pixels::{Channels, Pixels},
};

/// Makes the plan's target of a picture that was decoded for it, at its own size or smaller.
pub fn resize(pixels: Pixels, plan: &Plan) -> Result<Pixels, Error> {
    let (width, height) = plan.target;
    let [x, y, w, h] = plan.crop;
    let is_whole = [x, y] == [0.0, 0.0] && (w, h) == (f64::from(plan.source.0), f64::from(plan.source.1));
    if is_whole && (pixels.width, pixels.height) == plan.target {
        return Ok(pixels);
    }
    let channels = pixels.channels;
    let pixel_type = match channels {
        Channels::Gray => PixelType::U8,
        Channels::Rgb => PixelType::U8x3,
        Channels::Rgba => PixelType::U8x4,
    };
    // The crop is in pixels of the source, which may have been decoded smaller than it is.
    let across = f64::from(pixels.width) / f64::from(plan.source.0);
    let down = f64::from(pixels.height) / f64::from(plan.source.1);
    let source = Image::from_vec_u8(pixels.width, pixels.height, pixels.bytes, pixel_type)?;
    let mut target = Image::new(width, height, pixel_type);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).crop(
        x * across,
        y * down,
        w * across,
        h * down,
    );
    Resizer::new().resize(&source, &mut target, &options)?;
    Ok(Pixels { width, height, channels, bytes: target.into_vec() })
}
