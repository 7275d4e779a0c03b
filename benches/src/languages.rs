//! Python and JavaScript under load: the same hello on gust, and on `wasmtime serve` with its best flags and an instance for
//! each request. The template projects are written against gust's own world, so beside them there is what both serve.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    load::wrk,
    machine::{Machine, version},
    peers::{self, BEST_FLAGS, Peers},
    project,
    report::Table,
    server::{Gust, Server},
    statistics::median,
};

/// Turns of each side, their seconds, and connections.
const ROUNDS: usize = 5;
const SECONDS: u64 = 1;
const CONNECTIONS: usize = 8;

/// What is asked.
const TARGET: &str = "/?name=Ada";

/// A language and its components in `target/languages`: their names in the table and their files. The first is the template's.
struct Language {
    name: &'static str,
    components: &'static [(&'static str, &'static str)],
}

const LANGUAGES: [Language; 2] = [
    Language { name: "Python", components: &[("the template", "python"), ("wasi:http", "foreign-python")] },
    Language {
        name: "JavaScript",
        components: &[
            ("the template", "javascript"),
            ("wasi:http", "foreign-javascript"),
            ("fetch events", "foreign-fetch"),
        ],
    },
];

/// What is compared.
struct Side {
    name: String,
    url: String,
    /// Held so that it goes on.
    _server: Option<Server>,
    turns: Vec<Turn>,
}

/// What a turn showed.
struct Turn {
    per_second: f64,
    alone_p50_us: f64,
}

/// Measures and writes the table to `target/bench/languages.md`.
pub fn run() -> Result<()> {
    let components = || LANGUAGES.iter().flat_map(|language| language.components);
    if let Some((_, missing)) = components().find(|(_, file)| !component(file).exists()) {
        eprintln!(
            "    target/languages/{missing}.wasm is not here, so this is left out; to have it: cargo xtask languages"
        );
        return Ok(());
    }
    let wasmtime = Peers::default().find().wasmtime;
    let dir = tempfile::tempdir()?;
    let gust = deployed(&dir.path().join("gust"), components().map(|(_, file)| *file))?;
    let mut table = Table::new(&["component: server", "requests/s", "the template to it", "p50 us, 1 connection"]);
    for language in &LANGUAGES {
        let mut sides = sides(language, &gust, wasmtime.as_deref())?;
        take_turns(&mut sides)?;
        add_rows(&mut table, &sides);
    }
    let heading = format!(
        "{}; server on core 0, `wrk -t1 -c{CONNECTIONS}` on core 1; medians of {ROUNDS} rounds in turns of {SECONDS} s; {}. \
         Made by `cargo xtask bench languages`.",
        Machine::here(),
        wasmtime.as_deref().map_or("no wasmtime at hand".to_owned(), version)
    );
    table.write("languages", &heading)
}

/// The file of a component.
fn component(file: &str) -> PathBuf {
    project(&format!("target/languages/{file}.wasm"))
}

/// gust on one core, with all of them, which were compiled on all cores before.
fn deployed<'a>(dir: &Path, files: impl Iterator<Item = &'a str>) -> Result<Gust> {
    let gust = Gust::start(dir, &[])?;
    gust.unpin()?;
    for file in files {
        gust.put(file, &std::fs::read(component(file))?)?;
        gust.until_optimised(file)?;
    }
    drop(gust);
    Gust::start(dir, &[])
}

/// Each component on gust, and those for `wasi:http` on `wasmtime serve` too.
fn sides(language: &Language, gust: &Gust, wasmtime: Option<&Path>) -> Result<Vec<Side>> {
    let mut sides = Vec::new();
    for (at, (name, file)) in language.components.iter().enumerate() {
        let url = format!("http://{}/{file}{TARGET}", gust.server.address);
        sides.push(Side::new(format!("{}, {name}: gust", language.name), url, None));
        if let Some(wasmtime) = wasmtime.filter(|_| at > 0) {
            let server = peers::wasmtime_serve(wasmtime, &component(file), TARGET, &BEST_FLAGS)?;
            let url = format!("http://{}{TARGET}", server.address);
            let name = format!("{}, {name}: wasmtime serve, fresh, best flags", language.name);
            sides.push(Side::new(name, url, Some(server)));
        }
    }
    Ok(sides)
}

impl Side {
    fn new(name: String, url: String, server: Option<Server>) -> Self {
        Self { name, url, _server: server, turns: Vec::new() }
    }

    /// The middle of its turns.
    fn middle(&self, what: fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(what).collect())
    }

    fn take_turn(&mut self) -> Result<()> {
        // It also brings the server to a steady state.
        let alone = wrk::run(&self.url, 1, SECONDS)?;
        let loaded = wrk::run(&self.url, CONNECTIONS, SECONDS)?;
        self.turns.push(Turn { per_second: loaded.per_second(), alone_p50_us: alone.p50_us });
        Ok(())
    }
}

fn take_turns(sides: &mut [Side]) -> Result<()> {
    for _ in 0..ROUNDS {
        for side in &mut *sides {
            side.take_turn().with_context(|| side.name.clone())?;
        }
    }
    Ok(())
}

fn add_rows(table: &mut Table, sides: &[Side]) {
    let template = sides.first().map_or(f64::NAN, |side| side.middle(|turn| turn.per_second));
    for side in sides {
        let per_second = side.middle(|turn| turn.per_second);
        table.row(&[
            side.name.clone(),
            format!("{per_second:.0}"),
            format!("{:.2}", template / per_second),
            format!("{:.0}", side.middle(|turn| turn.alone_p50_us)),
        ]);
    }
}
