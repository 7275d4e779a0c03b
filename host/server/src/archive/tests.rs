//! Archives: read as they were written, refused where a byte of them is missing or another.

use std::io::{self, Read};

use gust_core::{AppName, Code, Digest, Manifest, Problem, state::Change};
use gust_store::{Kept, Place, Release, Store};
use tar::{Archive, Builder, Entry, EntryType, Header};
use tempfile::TempDir;

use super::{incoming::name, *};

/// A component, larger than a block.
const COMPONENT: &[u8] = &[7; 1500];

/// A blob, larger than a block.
const BLOB: &[u8] = &[9; 1300];

fn place() -> Place {
    Place::new(&AppName::default_app(), &"carts".parse().unwrap())
}

fn keep_something(store: &Store) {
    let (state, kept) = (store.state(), Kept { ttl: None, bytes_max: 1 << 20 });
    state.change_and_wait(&place(), Change::Set(vec![("k".to_owned(), b"v".to_vec())]), kept).unwrap();
    let mut blob = state.begin_blob(&AppName::default_app(), 1 << 20).unwrap();
    blob.write(BLOB).unwrap();
    state.keep_blob(&place(), "b", blob.finish().unwrap()).unwrap();
}

/// A store with one function that keeps something, and an archive of it.
fn archived() -> (TempDir, Store, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let release = Release {
        app: AppName::default_app(),
        alias: None,
        weight: None,
        sticky: None,
        conditions: None,
        unix_ms: 1,
        versions_kept: 10,
        stored_bytes_max: None,
        if_generation: None,
    };
    let mut staging = store.stage(1 << 20).unwrap();
    staging.write(COMPONENT).unwrap();
    let durable = staging.finish().sync().unwrap();
    store.publish(&"f".parse().unwrap(), durable, &Manifest::default(), &release, |_| Ok::<_, Problem>(())).unwrap();
    keep_something(&store);
    let outgoing = Outgoing::new(store.back_up().unwrap(), 1_700_000_000_123).unwrap();
    let mut bytes = Vec::new();
    outgoing.write(&mut bytes).unwrap();
    assert_eq!(outgoing.length_bytes(), bytes.len() as u64);
    (dir, store, bytes)
}

/// Where the contents of the files are.
fn contents(archive: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut archive = Archive::new(archive);
    let place = |file: io::Result<Entry<'_, &[u8]>>| {
        let file = file.unwrap();
        let start = file.raw_file_position() as usize;
        start..start + file.size() as usize
    };
    archive.entries().unwrap().map(place).collect()
}

fn refused(store: &Store, bytes: &[u8], why: &str) {
    let problem = read(store, bytes).err().unwrap_or_else(|| panic!("{why}"));
    assert_eq!(problem.code, Code::BackupInvalid, "{why}: {problem}");
}

#[test]
fn an_archive_is_read_as_it_was_written() {
    let (_dir, store, bytes) = archived();
    let (info, restoring) = read(&store, &*bytes).unwrap();
    assert_eq!((info.format, info.unix_ms), (FORMAT, 1_700_000_000_123));
    let contents = restoring.contents().unwrap();
    let state = contents.state.unwrap();
    assert_eq!((contents.versions, state.key_values, state.blobs), (1, 1, 1));
    let filled = [&*bytes, &[0; 10 << 10]].concat();
    assert!(read(&store, &*filled).is_ok());
    refused(&store, &[&*bytes, &vec![0; 2 << 20]].concat(), "more than it is filled up with");
}

#[test]
fn an_archive_that_is_cut_is_refused() {
    let (_dir, store, bytes) = archived();
    let end = contents(&bytes).last().unwrap().end;
    for cut in (0..end).step_by(1021).chain([512, 1024, end - 1]) {
        refused(&store, bytes.get(..cut).unwrap(), &format!("cut to {cut} bytes"));
    }
}

#[test]
fn a_byte_that_is_another_is_seen() {
    let (_dir, store, bytes) = archived();
    let files = contents(&bytes);
    let headers =
        files.iter().flat_map(|file| [0, 30, 99, 100, 124, 130, 156, 157, 257, 345].map(|at| file.start - 512 + at));
    let contents = files.iter().skip(1).flat_map(|file| file.clone().step_by(1500).chain([file.end - 1]));
    for at in headers.chain(contents) {
        let mut damaged = bytes.clone();
        *damaged.get_mut(at).unwrap() ^= 1;
        refused(&store, &damaged, &format!("byte {at}"));
    }
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = Archive::new(archive);
    archive.entries().unwrap().map(|file| name(&file.unwrap())).collect()
}

/// The first files of an archive, with another document.
fn made_of(archive: &[u8], count: usize, info: &str) -> Vec<u8> {
    let document = with(archive, 0, INFO, EntryType::Regular, info.as_bytes());
    let mut made = Builder::new(Vec::new());
    let mut files = Archive::new(&*document);
    for (at, file) in files.entries().unwrap().enumerate().filter(|(at, _)| *at != 1 && *at <= count) {
        let file = file.unwrap_or_else(|error| panic!("{at}: {error}"));
        made.append(&file.header().clone(), file).unwrap();
    }
    made.into_inner().unwrap()
}

/// The archive with a file of this name and kind before those at `at`.
fn with(archive: &[u8], at: usize, name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
    let files = contents(archive);
    let made_of = files.len();
    let mut made = Builder::new(Vec::new());
    let mut append = |name: &[u8], kind: EntryType, content: &[u8]| {
        let mut header = Header::new_gnu();
        header.as_old_mut().name.get_mut(..name.len()).unwrap().copy_from_slice(name);
        header.set_size(content.len() as u64);
        header.set_entry_type(kind);
        header.set_cksum();
        made.append(&header, content).unwrap();
    };
    for (number, (file, old)) in files.into_iter().zip(names(archive)).enumerate() {
        if number == at {
            append(name.as_bytes(), kind, content);
        }
        append(old.as_bytes(), EntryType::Regular, archive.get(file).unwrap());
    }
    if at == made_of {
        append(name.as_bytes(), kind, content);
    }
    made.into_inner().unwrap()
}

#[test]
fn what_does_not_belong_into_it_is_refused() {
    let (dir, store, bytes) = archived();
    let digest = Digest::of(COMPONENT);
    let component = format!("components/{digest}.wasm");
    let strange = format!("components/{}.wasm", Digest::of(b"strange"));
    let blob = names(&bytes).pop().unwrap();
    for at in 0..=5 {
        for (name, content) in [
            ("../../escaped", &b"x"[..]),
            ("/tmp/escaped", b"x"),
            ("components/../../escaped.wasm", b"x"),
            ("admin.token", b"x"),
            ("", b"x"),
            (&strange, b"strange"),
        ] {
            refused(&store, &with(&bytes, at, name, EntryType::Regular, content), &format!("{name:?} at {at}"));
        }
        for kind in
            [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::XHeader, EntryType::GNULongName]
        {
            refused(&store, &with(&bytes, at, &component, kind, b"/etc/passwd"), &format!("{kind:?} at {at}"));
        }
    }
    refused(&store, &with(&bytes, 3, &component, EntryType::Regular, COMPONENT), "a component twice");
    refused(&store, &with(&bytes, 5, &component, EntryType::Regular, COMPONENT), "a component among the blobs");
    refused(&store, &with(&bytes, 5, &blob, EntryType::Regular, BLOB), "a blob twice");
    refused(&store, &with(&bytes, 3, &blob, EntryType::Regular, BLOB), "a blob before their database");
    refused(&store, &with(&bytes, 4, &blob, EntryType::Regular, &[9; 1301]), "a blob of another size");
    refused(&store, &with(&bytes, 0, INFO, EntryType::Regular, b"{}"), "another document");
    refused(&store, &with(&bytes, 2, &component, EntryType::Regular, &[7; 1501]), "a component of another size");
    refused(&store, b"GIF89a, and no archive at all", "a picture");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "escaped"), "{names:?}");
    let left = std::fs::read_dir(store.tmp_dir()).unwrap().count();
    assert_eq!(left, 0, "nothing is left of what was refused");
}

#[test]
fn another_format_is_told_of() {
    let (_dir, store, bytes) = archived();
    let info = contents(&bytes).first().unwrap().clone();
    let text = String::from_utf8(bytes.get(info).unwrap().to_vec()).unwrap().replace("\"format\":2", "\"format\":3");
    let problem = read(&store, &*with(&bytes, 0, INFO, EntryType::Regular, text.as_bytes())).err().unwrap();
    assert!(problem.detail.contains("the format 3 of gust"), "{problem}");
}

#[test]
fn an_archive_of_the_first_format_leaves_what_functions_keep() {
    let (_dir, store, bytes) = archived();
    let mut info: serde_json::Value =
        serde_json::from_slice(bytes.get(contents(&bytes).first().unwrap().clone()).unwrap()).unwrap();
    let state = info.as_object_mut().unwrap().remove("state").unwrap();
    let without = |info: &serde_json::Value| made_of(&bytes, 3, &info.to_string());
    refused(&store, &without(&info), "nothing of the state, and of the second format");
    *info.get_mut("format").unwrap() = 1.into();
    refused(&store, &made_of(&bytes, 5, &info.to_string()), "more than the first format has");
    let (_, restoring) = read(&store, &*without(&info)).unwrap();
    assert_eq!(restoring.contents().unwrap().state, None);
    store.restore(&restoring).unwrap();
    assert!(store.state().exists(&place(), "k").unwrap());
    info.as_object_mut().unwrap().insert("state".to_owned(), state);
    refused(&store, &without(&info), "of the first format, and with a digest of the state");
}

#[test]
fn a_blob_that_is_damaged_ends_a_backup() {
    let (dir, store, _) = archived();
    let blob = std::fs::read_dir(dir.path().join("blobs")).unwrap().next().unwrap().unwrap().path();
    let write = |bytes: &[u8]| {
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&blob, bytes).unwrap();
    };
    write(&[8; BLOB.len()]);
    let outgoing = Outgoing::new(store.back_up().unwrap(), 1).unwrap();
    let error = outgoing.write(&mut io::sink()).unwrap_err().to_string();
    assert!(error.contains(r#"the blob "b" of default/carts is damaged"#), "{error}");
    write(b"short");
    let problem = Problem::from(store.back_up().err().unwrap());
    assert_eq!(problem.code, Code::StoreCorrupt);
    assert!(problem.detail.contains(r#"the blob "b" of default/carts"#), "{problem}");
}

#[test]
fn a_body_that_breaks_off_is_no_bad_archive() {
    struct BreaksOff;
    impl Read for BreaksOff {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
    let (_dir, store, bytes) = archived();
    for at in [0, 100, 512, 600, bytes.len() - 2000] {
        let problem = read(&store, bytes.get(..at).unwrap().chain(BreaksOff)).err().unwrap();
        assert_eq!(problem.code, Code::UploadIncomplete, "at {at}: {problem}");
    }
}
