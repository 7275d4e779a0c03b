//! A host that is told to stop under load: no request that it took is lost, and none that was sent before it was told.
//!
//! Over HTTP/1.1 a request may cross the end of its connection: the host closes one on which nothing is asked, and the client has just
//! asked. Such a request was not taken (RFC 9112, section 9.5), but only one that was sent after the signal counts as that. Over HTTP/2
//! nothing crosses: GOAWAY says up to which one requests are taken (RFC 9113, section 6.8).

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    compilers,
    compiling::{begin_upload, signal},
    components::answering,
};
use crate::fixture::{Host, PATIENCE, component, until};

/// Says how many requests are to be taken at least, over all rounds.
const VARIABLE: &str = "GUST_DRAIN_REQUESTS";

/// How many are answered before the host of a round is told to stop.
const BEFORE: usize = 500;

/// Connections of HTTP/1.1, each with one request at a time.
const CLIENTS: usize = 24;

/// What became of requests, by their ids.
#[derive(Debug, Default)]
struct Asked {
    /// Answered whole.
    answered: Vec<String>,
    /// Not taken, as the client could tell.
    untaken: Vec<String>,
    /// Neither, and how.
    lost: Vec<String>,
}

#[test]
fn sigterm_under_load_loses_no_request_over_http1() {
    rounds("HTTP/1.1", over_http1);
}

#[test]
fn sigterm_under_load_loses_no_request_over_http2() {
    rounds("HTTP/2", over_http2);
}

/// As many rounds as it takes, each with a host of its own.
fn rounds(protocol: &str, load: impl Fn(&Host) -> Asked) {
    let wanted = env::var(VARIABLE).map_or(1, |number| number.parse().unwrap());
    let (mut rounds, mut taken, mut untaken) = (0, 0, 0);
    while taken < wanted {
        let asked = round(&load);
        (rounds, taken, untaken) = (rounds + 1, taken + asked.answered.len(), untaken + asked.untaken.len());
    }
    println!("{protocol}: {rounds} stops, {taken} requests taken, 0 lost; {untaken} were not taken");
}

fn round(load: impl Fn(&Host) -> Asked) -> Asked {
    let mut host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let asked = load(&host);
    assert!(host.child.wait().unwrap().success());
    assert!(asked.lost.is_empty() && asked.answered.len() >= BEFORE, "{asked:?}");
    let lines = host.rest_of_log();
    let taken: Vec<&Value> = lines.iter().filter(|line| line["target"] == "gust::request").collect();
    assert!(taken.iter().all(|line| line["status"] == 200), "{taken:?}");
    let receipts: BTreeSet<&str> = taken.iter().filter_map(|line| line["request_id"].as_str()).collect();
    let answered: BTreeSet<&str> = asked.answered.iter().map(String::as_str).collect();
    assert_eq!(receipts, answered, "each request that was taken was answered");
    assert_eq!(taken.len(), answered.len(), "once");
    assert!(lines.iter().any(|line| line["message"] == "drained"), "{lines:?}");
    asked
}

#[test]
fn a_deploy_that_was_begun_is_done_and_none_begins() {
    let mut host = Host::start();
    let mut begun = begin_upload(&host, "image", &fs::read(component("image")).unwrap());
    until("it is compiled", || compilers(&host).len() == 1);
    let compiler = compilers(&host).remove(0);
    signal(&compiler, "-STOP");
    terminate(&host);
    until("it drains", || host.api("GET", "/readyz", "", b"").status == 503);
    let late = host.upload("late", &answering("too late"));
    assert_eq!((late.status, late.code().as_str()), (503, "host.draining"), "{late:?}");
    signal(&compiler, "-CONT");
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(host.child.wait().unwrap().success());
    let lines = host.rest_of_log();
    let nth = |message: &str| lines.iter().position(|line| line["message"] == message).unwrap();
    assert!(nth("deployed") < nth("drained"), "{lines:?}");
    assert!(lines.iter().all(|line| line["level"] != "ERROR"), "{lines:?}");
}

#[test]
fn a_deploy_that_was_begun_is_done_even_if_nobody_waits_for_it() {
    let mut host = Host::start();
    let begun = begin_upload(&host, "image", &fs::read(component("image")).unwrap());
    until("it is compiled", || compilers(&host).len() == 1);
    let compiler = compilers(&host).remove(0);
    signal(&compiler, "-STOP");
    drop(begun);
    terminate(&host);
    until("it drains", || host.api("GET", "/readyz", "", b"").status == 503);
    signal(&compiler, "-CONT");
    assert!(host.child.wait().unwrap().success());
    let lines = host.rest_of_log();
    let nth = |message: &str| lines.iter().position(|line| line["message"] == message).unwrap();
    assert!(nth("deployed") < nth("drained"), "{lines:?}");
}

#[test]
fn a_guest_that_goes_on_after_its_answer_is_waited_for() {
    let mut host = Host::start();
    host.deploy_as("raw", "raw", "");
    assert_eq!(host.get("/raw/linger?n=2000").text(), "done");
    terminate(&host);
    assert!(host.child.wait().unwrap().success());
    // It was not cut off, which its line would say.
    let line = host.logged(|line| line["target"] == "gust::request");
    assert_eq!((&line["code"], &line["status"]), (&"".into(), &200.into()), "{line}");
}

#[test]
fn an_answer_that_ends_with_its_connection_does_not_look_whole_where_it_is_cut() {
    let mut host = Host::start_with(&[("GUST_DRAIN_MS", "300")]);
    host.deploy_as("raw", "raw", "");
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.write_all(b"GET /raw/stream?n=8000 HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 4096]).unwrap();
    terminate(&host);
    assert!(host.child.wait().unwrap().success());
    let mut rest = Vec::new();
    let ended = stream.read_to_end(&mut rest);
    assert!(ended.is_err(), "{} bytes, and an orderly end", rest.len());
    host.logged(|line| line["code"] == "host.draining");
}

/// At once, for what is sent meanwhile by a program that sends signals would count as sent before.
fn terminate(host: &Host) {
    kill_process(Pid::from_child(&host.child), Signal::TERM).unwrap();
}

fn over_http1(host: &Host) -> Asked {
    let (answered, is_told) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let client = |number| {
            scope.spawn({
                let (answered, is_told) = (&answered, &is_told);
                move || client(host, number, answered, is_told)
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        until("they are at it", || answered.load(SeqCst) >= BEFORE);
        is_told.store(true, SeqCst);
        terminate(host);
        clients.into_iter().fold(Asked::default(), |mut all, client| {
            let mut asked = client.join().unwrap();
            all.answered.append(&mut asked.answered);
            all.untaken.append(&mut asked.untaken);
            all.lost.append(&mut asked.lost);
            all
        })
    })
}

/// Asks again and again on one connection until the host closes it.
fn client(host: &Host, number: usize, answered: &AtomicUsize, is_told: &AtomicBool) -> Asked {
    let (mut asked, mut stream) = (Asked::default(), TcpStream::connect(host.data).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for turn in 0.. {
        let id = format!("client-{number}-{turn}");
        let ms = turn % 16;
        let sent = stream.write_all(
            format!("GET /hostile/sleep?n={ms} HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\n\r\n").as_bytes(),
        );
        let is_before = sent.is_ok() && !is_told.load(SeqCst);
        let answer = read_answer(&mut stream);
        if answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\ndone") {
            asked.answered.push(id);
            answered.fetch_add(1, SeqCst);
            continue;
        }
        match answer.is_empty() && !is_before {
            true => asked.untaken.push(id),
            false => asked.lost.push(format!("{id}, sent before the signal: {is_before}, answer: {answer:?}")),
        }
        break;
    }
    asked
}

fn read_answer(stream: &mut TcpStream) -> String {
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.ends_with("\r\n\r\ndone") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap()),
            _ => break,
        }
    }
    answer
}

/// Eight connections with four requests at a time on each. Says when enough are answered, and at the end what became of all.
const OVER_HTTP2: &str = "
    const asked = { answered: [], untaken: [], lost: [] };
    let open = 8;
    const begin = (name) => {
      const session = require('http2').connect('URL');
      let turn = 0, last = Infinity;
      session.on('goaway', (code, id) => last = id);
      session.on('error', () => {});
      session.on('close', () => { if (--open === 0) console.log(JSON.stringify(asked)); });
      const ask = () => {
        if (session.closed || session.destroyed) return;
        const id = `session-${name}-${turn}`;
        const stream = session.request({ ':path': `/hostile/sleep?n=${turn++ % 16}`, 'x-request-id': id });
        let status, body = '';
        stream.setEncoding('utf8');
        stream.on('response', (head) => status = head[':status']);
        stream.on('data', (piece) => body += piece);
        stream.on('error', () => {});
        stream.on('close', () => {
          const untaken = !status && (stream.id === undefined || stream.id > last || stream.rstCode === 7);
          if (status === 200 && body === 'done') {
            asked.answered.push(id);
            if (asked.answered.length === BEFORE) console.log('at it');
          } else if (untaken) {
            asked.untaken.push(id);
          } else {
            asked.lost.push(`${id}: ${status} ${JSON.stringify(body)} ${stream.rstCode}`);
          }
          ask();
        });
      };
      for (let i = 0; i < 4; i++) ask();
    };
    for (let name = 0; name < 8; name++) begin(name);";

fn over_http2(host: &Host) -> Asked {
    let script = OVER_HTTP2.replace("URL", &format!("http://{}", host.data)).replace("BEFORE", &BEFORE.to_string());
    let mut node = Command::new("node").args(["-e", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("at it"));
    terminate(host);
    let asked: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert!(node.wait().unwrap().success());
    let ids = |fate: &str| asked[fate].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    Asked { answered: ids("answered"), untaken: ids("untaken"), lost: ids("lost") }
}
