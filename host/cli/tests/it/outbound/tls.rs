//! Over TLS, with HTTP/1.1 and HTTP/2.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use super::{front, host_with, relay};
use crate::tls::Authority;

/// A peer of Node's that shows a certificate. It says by which protocol it was asked, how much it was sent and with which trailer.
struct Secure {
    node: Child,
    port: u16,
}

impl Secure {
    fn start(authority: &Authority, kind: &str) -> Self {
        let pair = authority.sign("peer");
        let script = format!(
            "const {{ readFileSync }} = require('fs');
            let sessions = 0;
            const server = require('{kind}')['{kind}' == 'http2' ? 'createSecureServer' : 'createServer']({{
              key: readFileSync('{}'), cert: readFileSync('{}') }}, (request, response) => {{
              let bytes = 0;
              request.on('data', (piece) => {{ bytes += piece.length; }});
              request.on('end', () => {{
                response.setHeader('trailer', 'x-peer');
                response.write(`${{request.httpVersion}} ${{bytes}} ${{request.headers['x-a']}} ${{sessions}}`);
                response.addTrailers({{ 'x-peer': request.trailers['x-sent'] || 'none' }});
                response.end();
              }});
            }});
            server.on('secureConnection', () => sessions++);
            server.listen(0, '127.0.0.1', () => console.log(server.address().port));",
            pair.key.display(),
            pair.certificate.display(),
        );
        let mut node = Command::new("node").args(["-e", &script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { node, port: line.trim().parse().unwrap() }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

#[test]
fn either_protocol_is_spoken_over_tls() {
    let authority = Authority::new();
    let host = host_with(&[("GUST_OUTBOUND_NETWORKS", "127.0.0.0/8"), ("SSL_CERT_FILE", &authority.file())]);
    front(&host, "\"https://localhost:*\"");
    for (kind, version) in [("http2", "2.0"), ("https", "1.1")] {
        let peer = Secure::start(&authority, kind);
        for _ in 0..3 {
            let sent = [("send", "x-a: b"), ("send-trailer", "sum")];
            let answer = relay(&host, "POST", &peer.url(), &sent, &[b'x'; 100_000]);
            // One connection does for all.
            assert_eq!(answer.text(), format!("{version} 100000 b 1"), "{answer:?}");
        }
        // Its answer's trailer has what it was sent as one.
        let seen = host.raw(
            format!(
                "POST /front/call?url={} HTTP/1.1\r\nhost: x\r\nsend-trailer: sum\r\nte: trailers\r\nconnection: close, te\r\n\
                 content-length: 2\r\n\r\nok",
                peer.url()
            )
            .as_bytes(),
        );
        assert!(seen.contains(&format!("{version} 2 undefined 1")), "{seen}");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (trusted, other) = (Authority::new(), Authority::new());
    let host = host_with(&[("GUST_OUTBOUND_NETWORKS", "127.0.0.0/8"), ("SSL_CERT_FILE", &trusted.file())]);
    front(&host, "\"https://localhost:*\", \"https://127.0.0.2:*\", \"http://localhost:*\"");
    let peer = Secure::start(&other, "http2");
    assert_eq!(relay(&host, "GET", &peer.url(), &[], b"").text(), "ErrorCode::TlsCertificateError");
    // Nor one that is somebody else's.
    let peer = Secure::start(&trusted, "http2");
    assert_eq!(relay(&host, "GET", &peer.url(), &[], b"").text(), "2.0 0 undefined 1");
    let plain = super::Peer::greeting("plain");
    let url = format!("https://localhost:{}/", plain.port());
    let told = relay(&host, "GET", &url, &[], b"");
    assert!(["ErrorCode::TlsProtocolError", "ErrorCode::ConnectionTerminated"].contains(&told.text()), "{told:?}");
}
