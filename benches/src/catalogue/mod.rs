//! What the outside does to a host, done to gust and to `wasmtime serve` alike: each case on a host that was just started, with the same
//! component and the same client, on the same terms as far as both have them.
//!
//! What is said of a case is what was seen from outside: the answer or how the connection ended, when, how much memory the host took
//! for it, and whether a client that does no harm was answered meanwhile and after it.

mod client;
mod crowd;
mod exhaustion;
mod guests;
mod health;
mod hosts;
mod http2;
mod http_in;

use std::{path::Path, time::Instant};

use anyhow::Result;
use clap::Args;
use health::Health;
use hosts::{FLAGS, GUST, Host, Terms, WASMTIME};
use serde::Serialize;

use crate::{
    machine::{Machine, version},
    peers::Peers,
    process,
    report::{self, Table},
};

pub(crate) const STAGE: &str = "catalogue";

/// A case that took less than this says nothing of who was answered meanwhile.
const MEANWHILE_S: f64 = 0.5;

/// Growth that is not worth a word.
const GROWTH_MIB_MIN: f64 = 8.0;

/// What is done to a host, by a client that says what came of it.
type Provoke = fn(&Host) -> Result<String>;

/// A case of the catalogue.
struct Case {
    what: &'static str,
    how: How,
}

enum How {
    Both(Terms, Provoke),
    /// It is nothing to the peer, and why.
    Alone(&'static str),
}

impl Case {
    const fn of(what: &'static str, terms: Terms, provoke: Provoke) -> Self {
        Self { what, how: How::Both(terms, provoke) }
    }

    const fn alone(what: &'static str, why: &'static str) -> Self {
        Self { what, how: How::Alone(why) }
    }
}

const GROUPS: [(&str, &[Case]); 4] = [
    ("HTTP in", http_in::CASES),
    ("HTTP/2", http2::CASES),
    ("Guests", guests::CASES),
    ("Exhaustion", exhaustion::CASES),
];

/// Which cases, and beside whom.
#[derive(Debug, Args)]
pub struct Flags {
    #[command(flatten)]
    peers: Peers,
    /// Only cases whose words have this in them; nothing is written then
    #[arg(long)]
    only: Option<String>,
}

/// What one host bore of one case.
#[derive(Debug, Serialize)]
struct Outcome {
    side: &'static str,
    case: &'static str,
    said: String,
    seconds: f64,
    /// By how much its memory was larger at its peak.
    growth_mib: f64,
    meanwhile: Health,
    /// How long it took until a harmless client was answered again.
    afterwards_ms: Option<f64>,
    is_gone: bool,
    /// The bench ended it, for it took too much memory.
    was_ended: bool,
}

/// Writes what came of all cases, as records and as a table, to `target/bench`.
pub fn run(flags: Flags) -> Result<()> {
    let Flags { peers, only } = flags;
    let peers = peers.find();
    let mut outcomes = Vec::new();
    let mut table = Table::of_text(&["what is done", GUST, "besides", WASMTIME, "besides"]);
    let mut alone = Vec::new();
    for (group, cases) in GROUPS {
        for case in cases.iter().filter(|case| only.as_ref().is_none_or(|only| case.what.contains(only))) {
            match case.how {
                How::Alone(why) => alone.push(format!("{} ({why})", case.what)),
                How::Both(terms, provoke) => {
                    let sides = both(case.what, &terms, provoke, peers.wasmtime.as_deref())?;
                    table.row(&row(&format!("{group}: {}", case.what), &sides));
                    outcomes.extend(sides);
                }
            }
        }
    }
    table.note(format!("Nothing to `wasmtime serve`, and left out: {}.", alone.join("; ")));
    let text = table.under(&heading(&peers));
    println!("\n{text}");
    if only.is_none() {
        report::write(&format!("{STAGE}.md"), &text)?;
        report::write(&format!("{STAGE}.json"), &(serde_json::to_string_pretty(&outcomes)? + "\n"))?;
    }
    Ok(())
}

fn both(what: &'static str, terms: &Terms, provoke: Provoke, wasmtime: Option<&Path>) -> Result<Vec<Outcome>> {
    eprintln!("    {what}");
    let mut outcomes = vec![outcome(GUST, what, &Host::gust(terms)?, provoke)];
    if let Some(wasmtime) = wasmtime {
        outcomes.push(outcome(WASMTIME, what, &Host::wasmtime(wasmtime, terms)?, provoke));
    }
    Ok(outcomes)
}

fn outcome(side: &'static str, case: &'static str, host: &Host, provoke: Provoke) -> Outcome {
    let before = process::usage(host.pid()).resident_mib;
    // Where it cannot be, the peak is that since its start.
    let _ = process::forget_peak(host.pid());
    let began = Instant::now();
    let borne = health::meanwhile(host, || provoke(host));
    let seconds = began.elapsed().as_secs_f64();
    // What refuses even a connection has an outcome too.
    let said = borne.came.unwrap_or_else(|error| format!("{error:#}"));
    let peak = process::peak_mib(host.pid());
    let afterwards_ms = health::afterwards(host).map(|took| took.as_secs_f64() * 1e3);
    let outcome = Outcome {
        side,
        case,
        said,
        seconds,
        growth_mib: (peak - before).max(0.0),
        meanwhile: borne.health,
        afterwards_ms,
        is_gone: host.is_gone(),
        was_ended: borne.was_ended,
    };
    eprintln!("        {side}: {}; {}", outcome.said, outcome.besides());
    outcome
}

impl Outcome {
    /// What a harmless client saw, and what it cost.
    fn besides(&self) -> String {
        let Health { asked, answered, worst_ms } = self.meanwhile;
        let mut words = Vec::new();
        if self.seconds >= MEANWHILE_S {
            let within = if answered == 0 { String::new() } else { format!(" within {worst_ms:.0} ms") };
            words.push(format!("{answered} of {asked}{within}"));
        }
        if self.growth_mib >= GROWTH_MIB_MIN {
            words.push(format!("+{:.0} MiB", self.growth_mib));
        }
        words.push(
            match self.afterwards_ms {
                _ if self.was_ended => "ended by the bench",
                _ if self.is_gone => "gone",
                None => "not answered afterwards",
                Some(_) => "",
            }
            .to_owned(),
        );
        words.retain(|word| !word.is_empty());
        words.join(", ")
    }
}

fn row(what: &str, sides: &[Outcome]) -> Vec<String> {
    let mut cells = vec![what.to_owned()];
    cells.extend(sides.iter().flat_map(|side| [side.said.clone(), side.besides()]));
    cells.resize(5, String::new());
    cells
}

fn heading(peers: &Peers) -> String {
    let beside = peers.wasmtime.as_ref().map(|wasmtime| {
        let flags = FLAGS.join(" ");
        format!(
            "{}, started with `serve {flags} -Wtimeout=.. -Wmax-memory-size=..`, the last two as gust's `wall_ms` and `memory_mib`: a \
             second and 32 MiB, more where the case needs it.",
            version(wasmtime)
        )
    });
    format!(
        "{}; each host on all cores, started anew for each case. {} \"Besides\" is how many requests of a harmless client were \
         answered while it went on, each waiting for at most 2 s on a connection of its own, how much more memory the host took at \
         its peak, and whether it answered afterwards where it did not. Made by `cargo xtask bench {STAGE}`.",
        Machine::here(),
        beside.unwrap_or_default()
    )
}
