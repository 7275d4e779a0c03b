//! Against the size of a body: what streams through takes no more memory, what is taken whole takes its size.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    process,
    record::{Record, Run},
    report::Table,
    server::Gust,
};

pub(super) const STAGE: &str = "scale-bodies";

const BYTES: [u64; 6] = [0, 1 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];

const STREAMED: &str = "echoed as it comes";
const WHOLE: &str = "taken whole";

/// For each side its component and what is asked of it.
const SIDES: [(&str, &str, &str); 2] = [(STREAMED, "raw", "/echo"), (WHOLE, "hostile", "/count")];

const MANIFEST: &str = "[limits]\nrequest_body_mib = 64\nresponse_body_mib = 64\nmemory_mib = 256\n";

/// What is written at a time.
static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];

/// The longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 2 } else { 7 };
    let how = format!(
        "server on core 0, one request at a time, each over a new connection; medians of {rounds} rounds. The memory is \
         the process's peak during the request, less what it had after requests without a body."
    );
    let mut run = Run::new(STAGE, how, quick);
    let dir = tempfile::tempdir()?;
    for (side, function, path) in SIDES {
        let gust = Gust::start(&dir.path().join(function), &[])?;
        gust.deploy_as(function, function, MANIFEST)?;
        let (address, target) = (gust.server.address, format!("/{function}{path}"));
        exchange(address, &target, 0)?;
        let before_mib = process::usage(gust.server.pid()).resident_mib;
        for bytes in BYTES {
            eprintln!("    {side}: {bytes} bytes");
            for _ in 0..rounds {
                process::forget_peak(gust.server.pid())?;
                let took = exchange(address, &target, bytes).with_context(|| format!("{side}, {bytes} bytes"))?;
                let grown_mib = process::peak_mib(gust.server.pid()) - before_mib;
                let figures = [("ms", took.as_secs_f64() * 1e3), ("grown_mib", grown_mib)];
                run.records.push(Record::new(side, Some(bytes as f64), &figures));
            }
        }
    }
    run.save()?;
    show(&run)
}

pub(super) fn show(run: &Run) -> Result<()> {
    table(run).publish(run)
}

/// Sends a body while it reads the answer. How long that took.
fn exchange(address: SocketAddr, target: &str, bytes: u64) -> Result<Duration> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n");
    let began = Instant::now();
    let (mut writer, reader) = (stream.try_clone()?, stream);
    let (sent, read) = thread::scope(|scope| {
        let sending = scope.spawn(move || send(&mut writer, &head, bytes));
        let read = read(&reader);
        // Where the answer ended early, sending must too.
        let _ = reader.shutdown(Shutdown::Both);
        (sending.join(), read)
    });
    let (status, _) = read?;
    ensure!(status.starts_with("HTTP/1.1 200 "), "the answer is {status}");
    sent.map_err(|_| anyhow::anyhow!("sending ended early"))??;
    Ok(began.elapsed())
}

fn send(stream: &mut impl Write, head: &str, bytes: u64) -> std::io::Result<()> {
    stream.write_all(head.as_bytes())?;
    let mut left = bytes;
    while left > 0 {
        let piece = &PIECE[..(PIECE.len() as u64).min(left) as usize];
        stream.write_all(piece)?;
        left -= piece.len() as u64;
    }
    Ok(())
}

/// The first line, and how many bytes came. They are not kept.
fn read(mut stream: &TcpStream) -> Result<(String, u64)> {
    let mut piece = vec![0; PIECE.len()];
    let (mut first, mut bytes) = (String::new(), 0);
    loop {
        let read = stream.read(&mut piece).context("reading the answer")?;
        if read == 0 {
            return Ok((first, bytes));
        }
        if bytes == 0 {
            first = String::from_utf8_lossy(&piece[..read]).lines().next().unwrap_or_default().to_owned();
        }
        bytes += read as u64;
    }
}

fn table(run: &Run) -> Table {
    let columns = ["body", "echoed as it comes, ms", "MiB/s", "memory, MiB", "taken whole, ms", "MiB/s", "memory, MiB"];
    let mut table = Table::new(&columns);
    for bytes in run.points(STREAMED) {
        let mut cells = vec![told(bytes)];
        for (side, ..) in SIDES {
            let of = |figure| run.median(side, Some(bytes), figure);
            let rate = bytes / f64::from(1 << 20) / (of("ms") / 1e3);
            cells.extend([
                format!("{:.2}", of("ms")),
                format!("{rate:.0}"),
                format!("{:.0}", of("grown_mib").max(0.0)),
            ]);
        }
        table.row(&cells);
    }
    table
}

fn told(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 1_048_576.0 => format!("{} MiB", bytes / 1_048_576.0),
        bytes if bytes >= 1024.0 => format!("{} KiB", bytes / 1024.0),
        bytes => format!("{bytes} B"),
    }
}
