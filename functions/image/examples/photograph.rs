//! Writes a picture that compresses like a photograph (`photograph OUT.jpg WIDTH HEIGHT`): soft light, edges and grain,
//! the same bytes each time. And times the function's own code on it natively (`photograph --time IN.jpg ROUNDS`), for a
//! comparison with the same code in a component.

use std::{error::Error, fs, time::Instant};

use gust_sdk::HeaderMap;
use image::{
    encode,
    options::{Format, Options},
    pixels::{Channels, Pixels},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--time", path, rounds] => time(&fs::read(path)?, rounds.parse()?),
        [path, width, height] => Ok(fs::write(path, photograph(width.parse()?, height.parse()?)?)?),
        _ => Err("photograph OUT.jpg WIDTH HEIGHT | --time IN.jpg ROUNDS".into()),
    }
}

/// Prints the median of the rounds, in milliseconds.
fn time(picture: &[u8], rounds: usize) -> Result<(), Box<dyn Error>> {
    let options = Options { w: Some(320), ..Options::default() };
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        let began = Instant::now();
        image::process(picture, &options, &HeaderMap::new()).map_err(|error| error.message().to_owned())?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{:.3}", times[times.len() / 2]);
    Ok(())
}

fn photograph(width: u32, height: u32) -> Result<Vec<u8>, Box<dyn Error>> {
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
    let pixels = Pixels { width, height, channels: Channels::Rgb, bytes };
    encode::encode(pixels, Format::Jpeg, 85).map_err(|error| error.message().into())
}
