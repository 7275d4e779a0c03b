//! A large picture made small, in four ways that take turns on one core: on gust, over HTTP; natively with the function's own
//! code; natively with the same crates, but decoded in full; and by libvips, as npm's `sharp` has it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    machine::Machine,
    project,
    report::Table,
    server::{Gust, SERVER_CORE, pinned, post},
    statistics::median,
};

/// Turns of each way, and pictures in a turn.
const ROUNDS: usize = 9;
const PICTURES: &str = "5";

/// The picture, in pixels.
const PICTURE: (&str, &str) = ("3000", "2000");

/// What is asked of the function; `photograph` and the script for `sharp` do the same.
const TARGET: &str = "/image?w=320";

/// What says how long `sharp` takes.
const SHARP_SCRIPT: &str = "benches/src/picture/sharp.mjs";

/// Where `sharp` is looked for when nothing else is said.
const SHARP_DIR: &str = "target/peers/node_modules/sharp";

/// What is compared, and how long it takes.
struct Way {
    name: &'static str,
    run: Box<dyn Fn() -> Result<f64>>,
    times_ms: Vec<f64>,
}

impl Way {
    fn new(name: &'static str, run: impl Fn() -> Result<f64> + 'static) -> Self {
        Self { name, run: Box::new(run), times_ms: Vec::new() }
    }
}

/// Measures and writes the table to `target/bench/picture.md`. `photograph` is the native program that makes the picture;
/// `sharp` the module's directory, or a `node_modules` that has it.
pub fn run(photograph: &Path, sharp: Option<PathBuf>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("large.jpg");
    output(Command::new(photograph).arg(&file).args([PICTURE.0, PICTURE.1]))?;
    let likeness = output(Command::new(photograph).arg("--likeness").arg(&file))?;
    let gust = Gust::start(&dir.path().join("picture"), &[])?;
    gust.deploy("image")?;
    let mut ways = ways(photograph, &file, gust, sharp)?;
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.times_ms.push((way.run)().with_context(|| way.name)?);
        }
    }
    publish(&ways, likeness.trim())
}

fn ways(photograph: &Path, file: &Path, gust: Gust, sharp: Option<PathBuf>) -> Result<Vec<Way>> {
    let picture = fs::read(file)?;
    let natively = |how: &'static str| {
        let (photograph, file) = (photograph.to_owned(), file.to_owned());
        move || milliseconds(pinned(SERVER_CORE, &photograph).args(["--time", how]).arg(&file).arg(PICTURES))
    };
    let mut ways = vec![
        Way::new("gust, from the upload's first byte to the answer's last", move || hosted(&gust, &picture)),
        Way::new("natively, the same code", natively("shrunk")),
        Way::new("natively, the same crates, decoded in full", natively("whole")),
    ];
    match sharp_module(sharp) {
        Some(module) => {
            let file = file.to_owned();
            let script = project(SHARP_SCRIPT);
            ways.push(Way::new("libvips (sharp)", move || {
                milliseconds(pinned(SERVER_CORE, Path::new("node")).arg(&script).arg(&module).arg(&file).arg(PICTURES))
            }));
        }
        None => eprintln!(
            "    sharp is not here, so libvips is left out: npm install --prefix target/peers sharp, or SHARP=DIRECTORY"
        ),
    }
    Ok(ways)
}

/// The directory of the module, where it is.
fn sharp_module(said: Option<PathBuf>) -> Option<PathBuf> {
    let said = said.unwrap_or_else(|| project(SHARP_DIR));
    [said.join("sharp"), said].into_iter().find(|dir| dir.join("package.json").is_file())
}

/// The median of some pictures on gust.
fn hosted(gust: &Gust, picture: &[u8]) -> Result<f64> {
    let mut times_ms = Vec::new();
    for _ in 0..PICTURES.parse()? {
        let began = Instant::now();
        let answer = post(gust.server.address, TARGET, picture)?;
        times_ms.push(began.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.is_success(), "{}", answer.head);
    }
    Ok(median(times_ms))
}

/// What a program that prints milliseconds prints.
fn milliseconds(command: &mut Command) -> Result<f64> {
    let text = output(command)?;
    text.trim().parse().with_context(|| format!("no milliseconds: {text}"))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

fn publish(ways: &[Way], likeness: &str) -> Result<()> {
    let mut table = Table::new(&["3000x2000 JPEG to 320 wide", "ms", "gust to it"]);
    let middle = |way: &Way| median(way.times_ms.clone());
    let gust_ms = ways.first().map_or(f64::NAN, middle);
    for way in ways {
        let ms = middle(way);
        table.row(&[way.name.to_owned(), format!("{ms:.1}"), format!("{:.2}", gust_ms / ms)]);
    }
    let heading = format!(
        "{}; all on core 0, medians of {ROUNDS} rounds in turns of {PICTURES} pictures. Decoded at a reduced size and in full, \
         the results are alike to {likeness} (SSIM). Made by `cargo xtask bench figures`.",
        Machine::here()
    );
    table.write("picture", &heading)
}

/// The native program, once `cargo xtask bench` has built it.
pub fn photograph() -> PathBuf {
    project("functions/target/release/examples/photograph")
}
