//! A client that does no harm, while a case goes on and after it; and a guard over the host's memory.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use super::hosts::Host;
use crate::process;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(100);

/// The longest that it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it tries after a case.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// A host that takes more is ended, so that no case takes the machine down.
const RESIDENT_MIB_MAX: f64 = 4096.0;

/// What it saw.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Health {
    pub(super) asked: usize,
    pub(super) answered: usize,
    /// The longest that an answer took, of those that came.
    pub(super) worst_ms: f64,
}

/// What a host bore while something was done to it.
pub(super) struct Borne<T> {
    pub(super) came: T,
    pub(super) health: Health,
    /// It was ended, for it took too much memory.
    pub(super) was_ended: bool,
}

/// Does something to a host, and asks meanwhile.
pub(super) fn meanwhile<T>(host: &Host, work: impl FnOnce() -> T) -> Borne<T> {
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(host, is_over));
        let guarding = scope.spawn(|| guard(host.pid(), is_over));
        let came = work();
        is_over.store(true, Relaxed);
        let (health, was_ended) = (asking.join().unwrap(), guarding.join().unwrap());
        Borne { came, health, was_ended }
    })
}

/// How long it took until it was answered again; none where it was not.
pub(super) fn afterwards(host: &Host) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < AFTERWARDS && !host.is_gone() {
        if ask(host).is_ok() {
            return Some(began.elapsed());
        }
        thread::sleep(Duration::from_millis(10));
    }
    None
}

fn ask_until(host: &Host, is_over: &AtomicBool) -> Health {
    let mut health = Health::default();
    while !is_over.load(Relaxed) {
        let began = Instant::now();
        let answered = ask(host);
        health.asked += 1;
        if answered.is_ok() {
            health.answered += 1;
            health.worst_ms = health.worst_ms.max(began.elapsed().as_secs_f64() * 1e3);
        }
        thread::sleep(EVERY);
    }
    health
}

/// Asks once, on a connection of its own.
fn ask(host: &Host) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&host.server().address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", host.harmless()).as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(&head == b"HTTP/1.1 200", "it was not answered well");
    Ok(())
}

fn guard(pid: u32, is_over: &AtomicBool) -> bool {
    while !is_over.load(Relaxed) {
        if process::usage(pid).resident_mib > RESIDENT_MIB_MAX {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            return pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok());
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}
