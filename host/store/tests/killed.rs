//! What the store promises a process that is killed. A binary of its own: while a process is started it has, for a moment, the locks of
//! whoever starts it, and no other test shall find its store locked.

mod common;

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use common::{current, files, publish};
use gust_core::FunctionName;
use gust_store::Store;

/// Set for the process that is to be killed: where its store is.
const VICTIM_DIR: &str = "GUST_STORE_TEST_VICTIM_DIR";

/// Not a test of its own: what the killed process does.
#[test]
fn victim() {
    let Ok(dir) = env::var(VICTIM_DIR) else { return };
    let store = Store::open(Path::new(&dir)).unwrap();
    for round in 0_u32.. {
        let published = publish(&store, &format!("f{}", round % 3), &round.to_le_bytes());
        println!("\nacknowledged {} {}", published.version.name, published.version.version);
    }
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM_DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut acknowledged: Vec<String> =
            lines.filter(|line| line.starts_with("acknowledged")).take(round * 7).collect();
        // SIGKILL, somewhere within the next publish.
        victim.kill().unwrap();
        victim.wait().unwrap();
        let last = acknowledged.pop().expect("it published");
        let mut words = last.split(' ').skip(1);
        let (name, version): (FunctionName, u64) =
            (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());

        let store = Store::open(dir.path()).unwrap();
        let current = current(&store);
        let found = current.iter().find(|stored| stored.name == name).expect("the function is there");
        assert!(found.version >= version, "version {version} was acknowledged, {} is there", found.version);
        for stored in &current {
            store.verify(&stored.digest).unwrap();
        }
        assert!(files(&dir.path().join("tmp")).is_empty());
    }
}
