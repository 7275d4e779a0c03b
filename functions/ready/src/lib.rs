//! Gets ready before its first request, in the way that its environment says. For the host's tests.

use std::{
    collections::hash_map::RandomState,
    env,
    hash::BuildHasher as _,
    hint::black_box,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use gust_sdk::{Bytes, PathRest, handler, http, init, send};
use wasip2::{clocks::monotonic_clock, io::poll::Pollable};

/// What init made.
static MADE: OnceLock<String> = OnceLock::new();

/// How often it ran.
static INITS: AtomicU32 = AtomicU32::new(0);

/// Requests that this instance has seen.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[init]
fn get_ready() -> Result<(), String> {
    INITS.fetch_add(1, Relaxed);
    let (how, n) = (env::var("INIT").unwrap_or_default(), env::var("N").unwrap_or_default());
    let n = n.parse().unwrap_or_default();
    let made = match how.as_str() {
        "fail" => return Err("there is no table".to_owned()),
        "panic" => panic!("it was asked to"),
        "loop" => loop {
            black_box(n);
        },
        "hoard" => hoard(),
        "handles" => {
            let [a, b, c] = pollables();
            // Out of order: would the first request see that?
            drop(b);
            drop(a);
            drop(c);
            "had handles".to_owned()
        }
        "sleep" => {
            thread::sleep(Duration::from_millis(n));
            "slept".to_owned()
        }
        "random" => random(),
        "time" => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos()).to_string(),
        "print" => {
            println!("it prints");
            "printed".to_owned()
        }
        "call" => {
            let request = http::Request::get("http://hello.gust.internal/").body(Bytes::new());
            format!("{:?}", send(request.unwrap()).map(|answer| answer.status()))
        }
        "large" => String::from_utf8(vec![b'x'; n as usize]).unwrap(),
        _ => "made".to_owned(),
    };
    MADE.set(made).map_err(|_| "it ran twice".to_owned())
}

fn hoard() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(vec![1_u8; 1 << 20]);
        black_box(&held);
    }
}

fn pollables() -> [Pollable; 3] {
    [(); 3].map(|()| monotonic_clock::subscribe_duration(0))
}

fn random() -> String {
    RandomState::new().hash_one(0).to_string()
}

#[handler]
fn ready(path: PathRest) -> String {
    let made = MADE.get().map(String::as_str).unwrap_or("nothing");
    let requests = REQUESTS.fetch_add(1, Relaxed) + 1;
    match path.0.as_str() {
        "/random" => random(),
        "/hold" => {
            thread::sleep(Duration::from_secs(60));
            String::new()
        }
        "/handles" => format!("{:?}", pollables().map(|pollable| pollable.handle())),
        "/length" => made.len().to_string(),
        _ => format!("{made}, {} inits, {requests} requests", INITS.load(Relaxed)),
    }
}
