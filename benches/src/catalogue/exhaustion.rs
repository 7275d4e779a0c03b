//! Hosts that are short of something.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    Case,
    client::{counted, get, listen, request},
    hosts::{Host, Terms},
};

const HOSTILE: Terms = Terms::of("hostile");

pub(super) const CASES: &[Case] = &[
    Case::of("all 64 instances at work for 5 s, and one request more", HOSTILE.within(10_000), |host| {
        let held = (0..64).map(|_| begin(host, "/sleep?n=5000")).collect::<Result<Vec<_>>>()?;
        // Until they are at work.
        thread::sleep(Duration::from_millis(500));
        let more = get(host, "/count")?.said();
        drop(held);
        Ok(more)
    }),
    Case::alone("one function takes all of its places", "it serves one component"),
    Case::of("no descriptor left, and then some again", HOSTILE, no_descriptors),
    Case::of(
        "12 guests that hold 100 MiB each, one after the other; gust is told to use at most 600",
        Terms { memory_mib: 128, settings: &[("GUST_MEMORY_USED_MIB_MAX", "600")], ..Terms::of("raw").within(60_000) },
        hold_memory,
    ),
    Case::alone("a thousand first requests at once", "it compiles before it listens"),
    Case::of("nobody reads the log", Terms { is_log_blocked: true, ..HOSTILE }, |host| {
        let ask = || (0..750).take_while(|_| get(host, "/print?n=5").is_ok_and(|heard| heard.is_ok())).count();
        let answered: usize = thread::scope(|scope| {
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        Ok(format!("{answered} of 3000 answered"))
    }),
];

/// A request on a connection that is held.
fn begin(host: &Host, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(host.server().address)?;
    stream.write_all(&request(host, path))?;
    Ok(stream)
}

fn hold_memory(host: &Host) -> Result<String> {
    let began = Instant::now();
    let hold = |_| {
        let stream = begin(host, "/hold?n=100")?;
        // Until it has its memory.
        thread::sleep(Duration::from_millis(500));
        Ok(stream)
    };
    let held = (0..12).map(hold).collect::<Result<Vec<_>>>()?;
    let outcome = |stream: TcpStream| {
        stream.set_nonblocking(true)?;
        let answers = listen(stream, began)?.answers();
        Ok(if answers.is_empty() { "held".to_owned() } else { answers.join(", ") })
    };
    Ok(counted(held.into_iter().map(outcome).collect::<Result<Vec<_>>>()?))
}

/// Leaves the host twenty more, takes sixty, gives them back.
fn no_descriptors(host: &Host) -> Result<String> {
    let pid = host.pid().to_string();
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={}:", open + 20)]).status()?;
    ensure!(limited.success(), "prlimit failed");
    let clients = (0..60).map(|_| TcpStream::connect(host.server().address));
    let clients: Vec<_> = clients.filter_map(Result::ok).collect();
    thread::sleep(Duration::from_secs(1));
    drop(clients);
    Ok(match host.is_gone() {
        true => "the process ends",
        false => "others wait, and are served then",
    }
    .to_owned())
}
