//! A peer outside of the host: a listener whose connections are each served as the test says.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

/// A peer that speaks HTTP/1.1.
pub struct Peer {
    pub address: SocketAddr,
    /// The connections that it had.
    pub connections: Arc<AtomicUsize>,
    /// The heads of the requests that it had.
    pub heads: Arc<Mutex<Vec<String>>>,
}

/// A request's head is read, and what comes then is the test's.
pub type Exchange<'a> = &'a mut BufReader<TcpStream>;

impl Peer {
    /// One that serves each request of each connection so, until that says that the connection is over.
    pub fn new(serve: impl Fn(&str, Exchange) -> bool + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", serve)
    }

    pub fn at(address: &str, serve: impl Fn(&str, Exchange) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heads, serve) =
            (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default(), Arc::new(serve));
        let (counted, kept) = (connections.clone(), heads.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, SeqCst);
                let (serve, heads) = (serve.clone(), kept.clone());
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    while let Some(head) = head(&mut stream) {
                        heads.lock().unwrap().push(head.clone());
                        if !serve(&head, &mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, connections, heads }
    }

    /// One that answers everything with a short text.
    pub fn greeting(text: &'static str) -> Self {
        Self::new(move |head, stream| {
            drain(head, stream);
            answer(stream, "", text.as_bytes())
        })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    pub fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().unwrap().clone()
    }
}

fn head(stream: Exchange) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Writes; says that the connection goes on, where it does.
pub fn write(stream: Exchange, bytes: &[u8]) -> bool {
    stream.get_mut().write_all(bytes).is_ok()
}

/// A whole answer, with these lines in its head.
pub fn answer(stream: Exchange, lines: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{lines}\r\n", body.len());
    write(stream, &[head.as_bytes(), body].concat())
}

/// Reads a chunked body to its end, trailers included: its length, and the trailers.
pub fn drain(head: &str, stream: Exchange) -> (usize, String) {
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return (0, String::new());
    }
    let (mut bytes, mut line) = (0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        std::io::copy(&mut stream.by_ref().take(size as u64 + 2), &mut std::io::sink()).unwrap();
        bytes += size;
    }
    let mut trailers = String::new();
    while !trailers.ends_with("\r\n\r\n") && trailers != "\r\n" {
        stream.read_line(&mut trailers).unwrap();
    }
    (bytes, trailers)
}
