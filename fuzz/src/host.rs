//! A host in this process, with functions, and its clients. It is started once, by the first who sends something.

use std::{
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    panic,
    path::{Path, PathBuf},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use gust_core::config::{HostConfig, RawConfig};
use gust_server::{RequestLog, RequestLogFormat};
use gust_store::Store;

use crate::{bench, stored, typed};

/// How often, and after how long each time, it is looked whether an answer has come before more is sent. One that comes later is
/// taken as well.
const LOOKS: usize = 3;
const NAP: Duration = Duration::from_micros(150);

/// How long a connection may go on when nothing more is sent. The host ends those that stand still after some seconds; but
/// machines that fuzz are busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many connections there are between two questions whether the host is well.
const CONNECTIONS_UNQUESTIONED: usize = 64;

/// The host.
pub(crate) static HOST: LazyLock<Host> = LazyLock::new(Host::start);

/// The host's panics.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// What the open function is beside its own address.
const MANIFEST: &str = r#"
    [limits]
    wall_ms = 1000
    [[route]]
    path = "/orders/{id}"
    methods = ["GET", "POST"]
    [[route]]
    host = "*.fuzz.test"
    path = "/{all...}"
    [[route]]
    path = "/old/{rest...}"
    redirect = { to = "/new/{rest...}" }
    [[route]]
    path = "/robots.txt"
    respond = { body = "User-agent: *" }"#;

/// A running host.
pub(crate) struct Host {
    data: SocketAddr,
    admin: SocketAddr,
    token: String,
    connections: AtomicUsize,
}

impl Host {
    fn start() -> Self {
        let dir = own_dir();
        let (token, config) = (prepare(&dir), config(&dir));
        let (is_ready, ready) = mpsc::channel();
        thread::spawn(move || {
            let log = RequestLog::new(io::sink(), RequestLogFormat::Json);
            let served = gust_server::serve(config, Vec::new(), log, || {}, move |admin| is_ready.send(admin).unwrap());
            panic!("the host ended: {:?}", served.err());
        });
        let admin = ready.recv().unwrap();
        count_panics();
        Self { data: data_address(admin, &token), admin, token, connections: AtomicUsize::new(0) }
    }

    /// Sends these pieces to the functions, and reads until the connection ends.
    pub(crate) fn takes(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut stream, mut answers) = send(self.data, pieces);
        let _ = stream.shutdown(Shutdown::Write);
        assert!(ends(&mut stream, &mut answers), "the connection does not end");
        self.must_be_well();
        answers
    }

    /// Sends a request to the admin API, as the host's owner, and reads the answer: its status and its body.
    pub(crate) fn administers(&self, line: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let (host, token, length) = (self.admin, &self.token, body.len());
        let head = format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let answer = answer(self.admin, &[head.as_bytes(), body]);
        self.must_be_well();
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let length = response.parse(&answer).unwrap().unwrap();
        (response.code.unwrap(), answer[length..].to_vec())
    }

    /// Panics where the host did, or does not answer.
    fn must_be_well(&self) {
        assert_eq!(PANICS.load(Relaxed), 0, "the host panicked");
        if self.connections.fetch_add(1, Relaxed).is_multiple_of(CONNECTIONS_UNQUESTIONED) {
            let answer = ask(self.data, "GET /echo/ HTTP/1.1\r\nhost: a\r\n");
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n="), "{answer}");
        }
    }
}

/// A directory of this process, among what is built. It is there as long as the process is, which ends without a word, so those of
/// others that are gone are removed.
fn own_dir() -> PathBuf {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz/hosts");
    fs::create_dir_all(&hosts).unwrap();
    for left in fs::read_dir(&hosts).unwrap().flatten() {
        if !Path::new("/proc").join(left.file_name()).exists() {
            // Another may be quicker.
            let _ = fs::remove_dir_all(left.path());
        }
    }
    hosts.join(process::id().to_string())
}

/// Stores functions, with machine code for them: the host would have this very program compile. Gives the admin API's token.
fn prepare(dir: &Path) -> String {
    let store = Store::open(dir).unwrap();
    let (engine, component) = (bench::engine(), typed::component(typed::ECHO));
    stored::publish(&store, "echo", &component, MANIFEST).unwrap();
    stored::publish(&store, "locked", &component, "access = \"key\"").unwrap();
    stored::publish(&store, "private", &component, "access = \"private\"").unwrap();
    stored::compile(&engine, &stored::artifacts(&engine, dir, &store.key("artifact").unwrap()), &component);
    store.admin_token().unwrap()
}

fn config(dir: &Path) -> HostConfig {
    let raw = RawConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        admin: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(dir.to_owned()),
        instances_max: Some(8),
        memory_mib_max: Some(256),
        header_ms: Some(5000),
        idle_ms: Some(5000),
        worker_threads: Some(2),
        ..RawConfig::default()
    };
    raw.try_into().unwrap()
}

/// The host counts its panics, and tells its log of them. Here each of its threads' is one too many, and told on standard error.
fn count_panics() {
    let hosts = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        let is_hosts = thread::current().name().is_some_and(|name| name.starts_with("gust"));
        PANICS.fetch_add(usize::from(is_hosts), Relaxed);
        eprintln!("{panicked}");
        hosts(panicked);
    }));
}

/// Where functions are called, as the admin API says.
fn data_address(admin: SocketAddr, token: &str) -> SocketAddr {
    let question = format!("GET /v1/functions/echo HTTP/1.1\r\nhost: {admin}\r\nauthorization: Bearer {token}\r\n");
    let answer = ask(admin, &question);
    let (_, document) = answer.split_once("\r\n\r\n").unwrap();
    let document: serde_json::Value = serde_json::from_str(document).unwrap_or_else(|_| panic!("{answer}"));
    let url = document["urls"][0].as_str().unwrap_or_else(|| panic!("{answer}"));
    url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap()
}

/// Sends a request and reads the answer.
fn ask(address: SocketAddr, head: &str) -> String {
    String::from_utf8(answer(address, &[format!("{head}connection: close\r\n\r\n").as_bytes()])).unwrap()
}

/// Sends a request after whose answer the connection ends.
fn answer(address: SocketAddr, request: &[&[u8]]) -> Vec<u8> {
    let (mut stream, mut answer) = send(address, request);
    assert!(ends(&mut stream, &mut answer), "the connection does not end");
    answer
}

/// Sends these pieces over a connection, and takes what comes meanwhile.
fn send(address: SocketAddr, pieces: &[&[u8]]) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answers = Vec::new();
    for piece in pieces {
        // Where the host has ended the connection it takes nothing more.
        if stream.write_all(piece).is_err() || pause(&mut stream, &mut answers) {
            break;
        }
    }
    (stream, answers)
}

/// Takes what comes in a moment. Says whether the connection ended.
fn pause(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    stream.set_nonblocking(true).unwrap();
    let has_ended = (0..LOOKS).any(|_| {
        thread::sleep(NAP);
        read(stream, into)
    });
    stream.set_nonblocking(false).unwrap();
    has_ended
}

/// Reads until the connection ends. Says whether it did.
fn ends(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    read(stream, into)
}

/// Reads until the connection ends, or nothing comes. Says whether it ended.
fn read(stream: &mut TcpStream, into: &mut Vec<u8>) -> bool {
    let mut piece = [0; 16 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(bytes) => into.extend_from_slice(&piece[..bytes]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
            Err(_) => return true,
        }
    }
}
