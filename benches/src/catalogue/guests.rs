//! Guests that mean harm, or are written badly.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    Case,
    client::{End, counted, get, listen, request, together},
    hosts::{Host, Terms},
    http_in::computes_on,
};
use crate::machine::Machine;

const HOSTILE: Terms = Terms::of("hostile");
const RAW: Terms = Terms::of("raw");

pub(super) const CASES: &[Case] = &[
    Case::of("a loop", HOSTILE, |host| said(host, "/loop")),
    Case::alone(
        "a loop in a start function, in `cabi_realloc`",
        "such components are made by tests for gust's own world",
    ),
    Case::of("a loop after the answer", RAW, |host| {
        let answer = get(host, "/spin-late?n=60000")?.said();
        Ok(format!("{answer}; {}", computes_on(host)))
    }),
    Case::of("loops on four times the cores", HOSTILE.within(5000), loops),
    Case::of("a sleep of a minute", HOSTILE, |host| said(host, "/sleep?n=60000")),
    Case::of("polls that wait for nothing", RAW, |host| said(host, "/poll")),
    Case::of("memory up to its limit and beyond", HOSTILE, |host| said(host, "/memory")),
    Case::of("8 MB of memory filled again and again", HOSTILE, |host| said(host, "/fill")),
    Case::of("endless recursion", HOSTILE, |host| said(host, "/deep?n=100000000")),
    Case::of("no answer; a trap before it", RAW, |host| Ok(together([said(host, "/nothing")?, said(host, "/trap")?]))),
    Case::of("a trap in the middle of the answer", RAW, |host| wholeness(host, "/trap-late?n=64")),
    Case::of("an answer shorter than it says, and longer", RAW, |host| {
        Ok(together([wholeness(host, "/length?n=5")?, wholeness(host, "/length?n=3")?]))
    }),
    Case::of("`connection` and a wrong `content-length` in the answer", HOSTILE, |host| said(host, "/framing")),
    Case::of("two million empty writes to the answer", RAW.within(60_000), |host| said(host, "/empty?n=2000000")),
    Case::of("two million lines printed", HOSTILE.within(60_000), |host| {
        let answer = said(host, "/print?n=2000000")?;
        Ok(format!("{answer}; {:.1} MiB in its log", host.log()?.len() as f64 / f64::from(1 << 20)))
    }),
    Case::of("escape sequences printed", HOSTILE, |host| {
        let answer = said(host, "/print?n=1")?;
        let is_raw = host.log()?.contains(&0x1b);
        Ok(format!("{answer}; {}", if is_raw { "raw in its log" } else { "none in its log" }))
    }),
    Case::of("20,000 header fields in the answer", HOSTILE, |host| said(host, "/many-headers?n=20000")),
    Case::of("a million resources", RAW.within(10_000), |host| said(host, "/fields?n=1000000")),
    Case::of("a gigabyte of random bytes", RAW.within(10_000), |host| said(host, "/random?n=1000000000")),
    Case::of("a request to 127.0.0.1", RAW, |host| {
        let text = get(host, "/dial")?.text();
        let is_denied = text.contains("HttpRequestDenied");
        Ok(if is_denied { "denied" } else { "sent" }.to_owned())
    }),
    Case::alone("a function that calls itself without end", "it gives functions no names to call"),
    Case::of("marks left in memory, looked for 200 times", HOSTILE, |host| {
        let seek = |_| {
            get(host, "/mark")?;
            let found = get(host, "/seek")?.text();
            Ok(format!("{} found", found.rsplit("\r\n").find(|line| !line.is_empty()).unwrap_or_default()))
        };
        Ok(together((0..200).map(seek).collect::<Result<Vec<_>>>()?))
    }),
];

fn said(host: &Host, path: &str) -> Result<String> {
    Ok(get(host, path)?.said())
}

/// Whether an answer that is not whole looks as if it were.
fn wholeness(host: &Host, path: &str) -> Result<String> {
    let heard = get(host, path)?;
    let how = match (heard.is_whole(), heard.end) {
        (true, _) => "looks whole",
        (false, End::Reset) => "reset",
        (false, _) => "broken off",
    };
    let answers = heard.answers().join(", ");
    Ok(if heard.is_ok() {
        format!("{answers}, {how}")
    } else if answers.is_empty() {
        how.to_owned()
    } else {
        answers
    })
}

fn loops(host: &Host) -> Result<String> {
    let began = Instant::now();
    let begin = |_| {
        let mut stream = TcpStream::connect(host.server().address)?;
        stream.write_all(&request(host, "/loop"))?;
        // One after the other, so that each has begun when the last one has.
        thread::sleep(Duration::from_millis(10));
        Ok(stream)
    };
    let streams = (0..4 * Machine::here().cores).map(begin).collect::<Result<Vec<_>>>()?;
    let ended = streams.into_iter().map(|stream| Ok(listen(stream, began)?.answers().join(", ")));
    let ended = counted(ended.collect::<Result<Vec<_>>>()?);
    Ok(format!("{ended} after {:.1} s", began.elapsed().as_secs_f64()))
}
