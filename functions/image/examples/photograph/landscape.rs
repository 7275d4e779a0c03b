//! A picture with what a photograph of a landscape has: soft light, edges, fine structure and grain.

use image::pixels::{Channels, Pixels};

/// The same picture each time.
pub fn landscape(width: u32, height: u32) -> Pixels {
    let mut grain = 0x2545_f491_u32;
    let mut bytes = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            // A xorshift generator (Marsaglia, 2003).
            grain ^= grain << 13;
            grain ^= grain >> 17;
            grain ^= grain << 5;
            let noise = f64::from(grain >> 24) / 255.0 * 14.0 - 7.0;
            let hill = 0.62 + 0.08 * (u * 9.0).sin() + 0.03 * (u * 31.0).sin();
            let sun = (-((u - 0.7).powi(2) + (v - 0.25).powi(2)) * 60.0).exp();
            let leaves = ((u * 400.0).sin() * (v * 300.0).cos() * 28.0).max(-20.0);
            let color = if v > hill {
                [70.0 + leaves, 110.0 + leaves, 50.0]
            } else {
                [120.0 + 90.0 * v, 160.0 + 40.0 * v, 225.0]
            };
            bytes.extend(color.map(|c: f64| (c + 130.0 * sun + noise).clamp(0.0, 255.0) as u8));
        }
    }
    Pixels { width, height, channels: Channels::Rgb, bytes }
}
