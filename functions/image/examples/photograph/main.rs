//! Pictures for measurements, and the function's own code natively:
//! - `photograph OUT.jpg WIDTH HEIGHT` writes a picture that compresses like a photograph, the same bytes each time.
//! - `photograph --time shrunk|whole IN.jpg ROUNDS` prints the median of milliseconds to a picture 320 pixels wide: as the
//!   function does it, decoded at a reduced size, or decoded in full, with the same crates.
//! - `photograph --likeness IN.jpg` prints how like the two results are (SSIM), before they are encoded.

mod landscape;
mod ssim;
mod ways;

use std::{fs, time::Instant};

use gust_sdk::Error;
use image::{
    encode::encode,
    options::{Format, Options},
};
use ways::Way;

/// The answer's width, in pixels.
const WIDTH: u32 = 320;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|error| error.message().to_owned())
}

fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["--time", "shrunk", path, rounds] => time(Way::Shrunk, &fs::read(path)?, rounds.parse()?),
        ["--time", "whole", path, rounds] => time(Way::Whole, &fs::read(path)?, rounds.parse()?),
        ["--likeness", path] => likeness(&fs::read(path)?),
        [path, width, height] => {
            let picture = landscape::landscape(width.parse()?, height.parse()?);
            Ok(fs::write(path, encode(picture, Format::Jpeg, 85)?)?)
        }
        _ => Err(Error::bad_request("photograph OUT WIDTH HEIGHT | --time shrunk|whole IN ROUNDS | --likeness IN")),
    }
}

/// Prints the median of the rounds, in milliseconds.
fn time(way: Way, picture: &[u8], rounds: usize) -> Result<(), Error> {
    let options = Options { w: Some(WIDTH), ..Options::default() };
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        let began = Instant::now();
        encode(way.resized(picture, &options)?, Format::Jpeg, options.quality)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{:.3}", times[times.len() / 2]);
    Ok(())
}

fn likeness(picture: &[u8]) -> Result<(), Error> {
    let options = Options { w: Some(WIDTH), ..Options::default() };
    let [shrunk, whole] = [Way::Shrunk, Way::Whole].map(|way| way.resized(picture, &options));
    println!("{:.4}", ssim::ssim(&shrunk?, &whole?));
    Ok(())
}
