//! What the store promises a process that is killed. A binary of its own: while a process is started it has, for a moment, the locks of
//! whoever starts it, and no other test shall find its store locked. Its own tests run one after the other for the same reason.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use common::{current, files, publish};
use gust_core::{AppName, FunctionName};
use gust_store::{BlobWriting, Place, Store};

/// Set for the process that is to be killed: where its store is.
const VICTIM_DIR: &str = "GUST_STORE_TEST_VICTIM_DIR";

/// Set besides for one that writes blobs: after how many of them it stands still in the middle of one.
const BLOBS_MAX: &str = "GUST_STORE_TEST_BLOBS_MAX";

/// Pieces of a blob.
const PIECES: u32 = 8;

/// The size of one, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// Held by the one test that starts processes and opens stores.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts this binary as a process that is to be killed, and gives its lines.
fn start(victim: &str, dir: &Path, blobs_max: u32) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", victim, "--nocapture"])
        .env(VICTIM_DIR, dir)
        .env(BLOBS_MAX, blobs_max.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    (child, lines)
}

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
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let (mut victim, lines) = start("victim", dir.path(), 0);
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

fn place() -> Place {
    Place::new(&AppName::default_app(), &"pictures".parse().unwrap())
}

fn write_piece(blob: &mut BlobWriting, round: u32) {
    blob.write(&[round as u8; PIECE_BYTES]).unwrap();
}

/// Not a test of its own: writes blobs, and then half of one.
#[test]
fn blob_victim() {
    let (Ok(dir), Ok(blobs_max)) = (env::var(VICTIM_DIR), env::var(BLOBS_MAX)) else { return };
    let (store, blobs_max) = (Store::open(Path::new(&dir)).unwrap(), blobs_max.parse::<u32>().unwrap());
    for round in 0.. {
        let mut blob = store.state().begin_blob(&AppName::default_app(), 1 << 40).unwrap();
        write_piece(&mut blob, round);
        if round == blobs_max {
            println!("\nstands still");
            loop {
                thread::park();
            }
        }
        (1..PIECES).for_each(|_| write_piece(&mut blob, round));
        store.state().keep_blob(&place(), &format!("b{round:06}"), blob.finish().unwrap()).unwrap();
        println!("\nacknowledged {round}");
    }
}

/// Looks at all blobs: each is whole, and nothing else is there. Gives how many there are.
fn whole_blobs(dir: &Path) -> usize {
    let store = Store::open(dir).unwrap();
    let blobs = store.state().blobs(&place(), "", "", 1000).unwrap();
    for (round, blob) in blobs.iter().enumerate() {
        let reading = store.state().read_blob(&place(), &blob.name).unwrap().unwrap();
        let mut content = vec![0; PIECES as usize * PIECE_BYTES + 1];
        assert_eq!(reading.read_at(&mut content, 0).unwrap(), PIECES as usize * PIECE_BYTES, "{}", blob.name);
        content.pop();
        assert!(content.iter().all(|byte| *byte == round as u8), "{}", blob.name);
    }
    let stored_bytes = blobs.iter().map(|blob| 1024 + blob.name.len() as u64 + blob.size_bytes).sum::<u64>();
    assert_eq!(store.state().stored_bytes(&AppName::default_app()), stored_bytes);
    assert_eq!((files(&dir.join("blobs")).len(), files(&dir.join("tmp"))), (blobs.len(), vec![]));
    blobs.len()
}

#[test]
fn a_blob_that_is_being_written_is_gone_after_being_killed() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (mut victim, mut lines) = start("blob_victim", dir.path(), 3);
    assert!(lines.any(|line| line == "stands still"));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(files(&dir.path().join("tmp")).len(), 1, "half of one is there");
    assert_eq!(whole_blobs(dir.path()), 3);
}

#[test]
fn blobs_that_were_acknowledged_survive_being_killed() {
    let _alone = alone();
    for acknowledged in [1, 6, 11, 16] {
        let dir = tempfile::tempdir().unwrap();
        // Its lines are there to the end, so that it writes on until it is killed.
        let (mut victim, mut lines) = start("blob_victim", dir.path(), u32::MAX);
        let told = lines.by_ref().filter(|line| line.starts_with("acknowledged")).take(acknowledged).count();
        // SIGKILL, somewhere within the next blob.
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert_eq!(told, acknowledged);
        assert!(whole_blobs(dir.path()) >= acknowledged);
    }
}
