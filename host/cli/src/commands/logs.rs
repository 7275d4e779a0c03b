//! `gust logs`: what a function and its requests say.

use std::io::{BufRead as _, BufReader};

use anyhow::Result;
use console::Style;
use gust_core::{
    AppName, FunctionName, Timestamp,
    api::{LogLine, LogList, LogStream},
};

use super::name;
use crate::{
    args::{HostArgs, Logs},
    client::Client,
    output,
};

/// Digits of a request's id that are shown.
const ID_SHOWN: usize = 8;

/// Prints the newest lines, and with `--follow` those to come.
pub fn run(host: &HostArgs, options: &Logs) -> Result<()> {
    let name: FunctionName = name(&options.name)?;
    let client = Client::new(host)?;
    let mut path = format!("/v1/functions/{name}/logs?tail={}&follow={}", options.tail, options.follow);
    if let Some(app) = &options.app {
        path = format!("{path}&app={}", super::name::<AppName>(app)?);
    }
    let request = client.request("GET", &path).body(())?;
    if !options.follow {
        let list: LogList = client.json(request)?;
        return list.lines.iter().try_for_each(|line| print(line, options.json));
    }
    let mut response = client.send(request)?;
    // However the stream breaks off, what is to be said of it is the same.
    for line in BufReader::new(response.body_mut().as_reader()).lines().map_while(Result::ok) {
        if let Some(line) = event(&line) {
            print(&line, options.json)?;
        }
    }
    anyhow::bail!("the host ended the stream; it is restarting, or {name} was removed")
}

/// A line of an event stream that carries data (WHATWG HTML, "Server-sent events"). Each event here has one.
fn event(line: &str) -> Option<LogLine> {
    serde_json::from_str(line.strip_prefix("data:")?).ok()
}

fn print(line: &LogLine, as_json: bool) -> Result<()> {
    if as_json {
        return output::print(&format!("{}\n", serde_json::to_string(line)?));
    }
    let (dim, stream) = (Style::new().dim(), stream(line.stream));
    let id: String = line.request_id.chars().take(ID_SHOWN).collect();
    let time = Timestamp(line.unix_ms);
    output::print(&format!("{} {} {stream} {}\n", dim.apply_to(time), dim.apply_to(id), line.text))
}

fn stream(stream: LogStream) -> String {
    let (name, style) = match stream {
        LogStream::Stdout => ("out", Style::new()),
        LogStream::Stderr => ("err", Style::new().yellow()),
        LogStream::Request => ("req", Style::new().cyan()),
        LogStream::Host => ("gust", Style::new().magenta()),
    };
    style.apply_to(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_are_lines() {
        let data = r#"data: {"unix_ms":1,"request_id":"a","version":1,"stream":"stdout","text":"hi"}"#;
        assert_eq!(event(data).unwrap().text, "hi");
        for other in ["", ": keep-alive", "event: x", "data: nonsense"] {
            assert_eq!(event(other), None);
        }
    }
}
