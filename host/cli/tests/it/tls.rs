//! TLS on both listeners, with certificates that are made here.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;

use crate::fixture::{Host, PATIENCE, gust, until};

/// An authority, and a directory for what it signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Another name than its certificates have, or they would look as if they had signed themselves.
        params.distinguished_name.push(DnType::CommonName, "The test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// Its own certificate.
    pub fn file(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    /// A new certificate for this machine. Where there is one of that name it is replaced.
    pub fn sign(&self, name: &str) -> Pair {
        let path = |end: &str| self.dir.path().join(format!("{name}-{end}.pem"));
        let pair = Pair { certificate: path("certificate"), key: path("key") };
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        replace(&pair.certificate, &params.signed_by(&key, &self.issuer).unwrap().pem());
        replace(&pair.key, &key.serialize_pem());
        pair
    }
}

impl Pair {
    /// The settings of a listener that shows it.
    fn settings(&self, whose: &str) -> Vec<(String, String)> {
        let setting = |key: &str, path: &Path| (format!("GUST_{whose}TLS_{key}"), path.to_str().unwrap().to_owned());
        vec![setting("CERTIFICATE", &self.certificate), setting("KEY", &self.key)]
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.certificate).unwrap()
    }
}

/// As those do who renew certificates.
fn replace(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// A host with these settings.
fn start(settings: &[Vec<(String, String)>], more: &[(&str, &str)]) -> Host {
    let settings: Vec<(&str, &str)> =
        settings.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    Host::start_with(&[&settings, more].concat())
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts this authority, and shows a certificate where one is given.
fn client(authority: &Authority, shown: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    Arc::new(match shown {
        Some(pair) => {
            builder.with_client_auth_cert(vec![pair.der()], PrivateKeyDer::from_pem_file(&pair.key).unwrap()).unwrap()
        }
        None => builder.with_no_client_auth(),
    })
}

fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> Connection {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(client.clone(), "localhost".try_into().unwrap()).unwrap(), stream)
}

/// Calls `hello` and leaves the connection open.
fn greet(connection: &mut Connection) -> io::Result<()> {
    connection.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !seen.ends_with(b"Hello, world!") {
        match connection.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => seen.extend_from_slice(&buffer[..read]),
        }
    }
    assert!(seen.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&seen));
    Ok(())
}

/// What a client got that asked for something and then waited for the end.
fn ask_to_the_end(mut connection: Connection, request: &str) -> (String, io::Result<usize>) {
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let end = connection.read_to_end(&mut answer);
    (String::from_utf8(answer).unwrap(), end)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn functions_are_called_over_tls_with_either_protocol() {
    let authority = Authority::new();
    let host = start(&[authority.sign("host").settings("")], &[]);
    host.deploy_as("raw", "raw", "");
    assert_eq!(host.info("raw")["urls"][0], format!("https://{}/raw", host.data));
    let script = format!(
        "const ca = require('fs').readFileSync('{}'), to = 'https://{}';
        const whole = (answer) => new Promise((done) => {{
          let bytes = 0, start = '';
          answer.on('data', (piece) => {{ bytes += piece.length; start = (start + piece).slice(0, 5); }});
          answer.on('end', () => done(start + ' ' + bytes));
        }});
        const one = (path) => new Promise((done) => require('https').get(to + path, {{ ca }}, done));
        (async () => {{
          const answer = await one('/raw/scheme');
          console.log(answer.httpVersion, await whole(answer), await whole(await one('/raw/stream?n=300')));
          const client = require('http2').connect(to, {{ ca }});
          const two = (path) => client.request({{ ':path': path }});
          console.log(await whole(two('/raw/scheme')), await whole(two('/raw/stream?n=300')), client.alpnProtocol);
          client.close();
        }})();",
        authority.file(),
        host.data
    );
    assert_eq!(host.node(&script).trim(), "1.1 https 5 xxxxx 1228800\nhttps 5 xxxxx 1228800 h2");
    let plain = Host::start();
    plain.deploy_as("raw", "raw", "");
    assert_eq!(plain.get("/raw/scheme").text(), "http");
}

#[test]
fn the_end_of_an_answer_is_told_from_one_that_breaks_off() {
    let authority = Authority::new();
    let host = start(&[authority.sign("host").settings("")], &[]);
    host.deploy_as("raw", "raw", "");
    let ask = |path: &str| {
        let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        ask_to_the_end(connect(host.data, &client(&authority, None)), &request)
    };
    let (answer, end) = ask("/raw/stream?n=3");
    assert!(answer.ends_with(&"x".repeat(3 * 4096)) && end.is_ok(), "{end:?}");
    // More than the guest may be ahead of its client, so that its head is gone when it fails.
    let (_, end) = ask("/raw/trap-late?n=64");
    assert!(end.is_err(), "{end:?}");
}

#[test]
fn a_client_shows_a_certificate_where_one_is_wanted() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let host = start(&[authority.sign("host").settings("")], &[("GUST_TLS_CLIENT_CA", &authority.file())]);
    host.deploy("hello");
    let call = |shown: Option<&Pair>| greet(&mut connect(host.data, &client(&authority, shown)));
    let refused = call(None).unwrap_err().to_string();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let refused = call(Some(&foreign.sign("client"))).unwrap_err().to_string();
    assert!(refused.contains("received fatal alert"), "{refused}");
    call(Some(&authority.sign("client"))).unwrap();
}

#[test]
fn a_changed_certificate_is_shown_to_new_connections() {
    let authority = Authority::new();
    let pair = authority.sign("host");
    let host = start(&[pair.settings("")], &[]);
    host.deploy("hello");
    let client = client(&authority, None);
    let shown = || {
        let mut connection = connect(host.data, &client);
        greet(&mut connection).unwrap();
        connection.conn.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let old = pair.der();
    assert_eq!(shown(), old);
    let mut open = connect(host.data, &client);
    greet(&mut open).unwrap();
    // The certificate comes first, and its key not at all for a while.
    let next = authority.sign("next");
    let is_error = |line: &serde_json::Value| line["level"] == "ERROR";
    fs::rename(&next.certificate, &pair.certificate).unwrap();
    let error = host.logged(is_error);
    assert!(error["error"].as_str().unwrap().starts_with("tls_key ("), "{error}");
    assert_eq!(shown(), old);
    fs::rename(&next.key, &pair.key).unwrap();
    let renewed = host.logged(|line| is_error(line) || line["certificate"].is_string());
    assert!(renewed["message"].as_str().unwrap().starts_with("new connections get the certificate"), "{renewed}");
    assert_eq!(shown(), pair.der());
    assert_ne!(pair.der(), old);
    greet(&mut open).unwrap();
    assert_eq!(open.conn.peer_certificates().unwrap()[0], old);
}

#[test]
fn files_of_no_use_are_an_error_at_the_start() {
    let authority = Authority::new();
    let (pair, other) = (authority.sign("host"), authority.sign("other"));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (certificate, key, missing) = (path(&pair.certificate), path(&pair.key), path(&pair.key.with_extension("no")));
    let data = authority.dir.path().join("data");
    let serve = |variables: &[(&str, &str)]| {
        let mut command = gust();
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]).arg(&data);
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let foreign = path(&other.key);
    let named = |setting: &str, path: &str, why: &str| format!("{setting} ({path}): {why}");
    for (certificate, key, authority, expected) in [
        (
            &certificate,
            &foreign,
            "",
            named("tls_key", &foreign, "this is not the key of the certificate in tls_certificate"),
        ),
        (&missing, &key, "", named("tls_certificate", &missing, "No such file")),
        (&key, &key, "", named("tls_certificate", &key, "there is no certificate in it")),
        (&certificate, &certificate, "", named("tls_key", &certificate, "there is no private key in it")),
        (&certificate, &key, key.as_str(), named("tls_client_ca", &key, "there is no certificate in it")),
    ] {
        for whose in ["", "admin_"] {
            let settings =
                ["certificate", "key", "client_ca"].map(|key| format!("GUST_{whose}tls_{key}").to_uppercase());
            let [a, b, c] = &settings;
            let output = serve(&[(a, certificate), (b, key), (c, authority)]);
            let expected = format!("{whose}{}", expected.replace("in tls", &format!("in {whose}tls")));
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).contains(&expected), "{expected}: {}", said(&output));
        }
    }
    let alone = serve(&[("GUST_TLS_CERTIFICATE", &certificate)]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(said(&alone).contains("tls_certificate is given without tls_key"), "{}", said(&alone));
    assert!(!data.exists(), "a start that cannot be leaves nothing behind");
}

/// What a client says first, up to its middle.
fn half_a_hello(host: &Host) -> TcpStream {
    let mut stream = TcpStream::connect(host.data).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A record of a handshake, 512 bytes, of which some come: a ClientHello of TLS 1.2 and later.
    stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7, 7]).unwrap();
    stream
}

#[test]
fn handshakes_that_do_not_get_on_delay_nobody() {
    let authority = Authority::new();
    // Were they waited for, it would be for longer than this test waits.
    let long = [("GUST_HEADER_MS", "600000"), ("GUST_IDLE_MS", "600000"), ("GUST_DRAIN_MS", "600000")];
    let mut host = start(&[authority.sign("host").settings("")], &long);
    host.deploy("hello");
    let silent: Vec<TcpStream> = (0..25).map(|_| TcpStream::connect(host.data).unwrap()).collect();
    let halves: Vec<TcpStream> = (0..25).map(|_| half_a_hello(&host)).collect();
    greet(&mut connect(host.data, &client(&authority, None))).unwrap();
    until("all are counted", || host.metric("gust_connections", &[]) >= 50.0);
    host.signal("-TERM");
    until("it ends without them", || host.child.try_wait().unwrap().is_some());
    drop((silent, halves));
}

#[test]
fn a_handshake_has_an_end() {
    let authority = Authority::new();
    let host = start(&[authority.sign("host").settings("")], &[("GUST_HEADER_MS", "300")]);
    let mut half = half_a_hello(&host);
    until("it has a place", || host.metric("gust_connections", &[]) == 1.0);
    assert_eq!(half.read(&mut [0; 100]).unwrap(), 0);
    drop(half);
    until("its place is free", || host.metric("gust_connections", &[]) == 0.0);
}

#[test]
fn a_connection_that_stands_still_is_ended() {
    let authority = Authority::new();
    let host = start(&[authority.sign("host").settings("")], &[("GUST_IDLE_MS", "300")]);
    host.deploy("hello");
    let mut connection = connect(host.data, &client(&authority, None));
    greet(&mut connection).unwrap();
    let mut rest = Vec::new();
    // The host has no more to say and closes without a word.
    let _ = connection.read_to_end(&mut rest);
    assert!(rest.is_empty());
    drop(connection);
    until("its place is free", || host.metric("gust_connections", &[]) == 0.0);
}

#[test]
fn plain_http_where_tls_is_spoken_does_no_harm() {
    let authority = Authority::new();
    let host = start(&[authority.sign("host").settings("")], &[]);
    host.deploy("hello");
    let answer = host.raw(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(!answer.contains("HTTP"), "{answer:?}");
    greet(&mut connect(host.data, &client(&authority, None))).unwrap();
}

/// The command against a host whose admin listener speaks TLS.
fn command(host: &Host, admin: &str, flags: &[&str], arguments: &[&str]) -> Output {
    let mut command = gust();
    command.args(["--admin", &format!("{admin}://{}", host.admin), "--token-file"]).arg(host.dir.join("admin.token"));
    command.args(flags).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

#[test]
fn the_command_speaks_tls() {
    let authority = Authority::new();
    let pair = authority.sign("host");
    let host = start(&[pair.settings(""), pair.settings("ADMIN_")], &[]);
    let ca = authority.file();
    let gust = |flags: &[&str], arguments: &[&str]| command(&host, "https", flags, arguments);
    let hello = crate::fixture::component("hello");
    let deployed = gust(&["--ca", &ca], &["deploy", hello.to_str().unwrap(), "--name", "hello"]);
    assert!(said(&deployed).contains(&format!("https://{}/hello", host.data)), "{}", said(&deployed));
    let listed = gust(&["--ca", &ca], &["ls"]);
    assert!(listed.status.success() && said(&listed).contains("hello"), "{}", said(&listed));
    assert_eq!(said(&gust(&["--ca", &ca], &["invoke", "hello"])), "Hello, world!");
    for (admin, flags, expected) in [
        ("https", &[][..], "--ca FILE"),
        ("http", &[][..], "say https://"),
        ("https", &["--ca", "/no/such/file"][..], "--ca /no/such/file: No such file"),
        ("https", &["--ca", pair.key.to_str().unwrap()][..], "there is no certificate in it"),
        ("https", &["--ca", &ca, "--cert", &ca][..], "--cert and --key go together"),
        (
            "https",
            &["--ca", &ca, "--cert", &ca, "--key", pair.key.to_str().unwrap()][..],
            "it is not the key of the certificate",
        ),
    ] {
        let refused = command(&host, admin, flags, &["ls"]);
        assert!(!refused.status.success() && said(&refused).contains(expected), "{expected}: {}", said(&refused));
    }
}

#[test]
fn the_command_shows_a_certificate_where_one_is_wanted() {
    let authority = Authority::new();
    let ca = authority.file();
    let host = start(&[authority.sign("host").settings("ADMIN_")], &[("GUST_ADMIN_TLS_CLIENT_CA", &ca)]);
    let refused = command(&host, "https", &["--ca", &ca], &["ls"]);
    assert!(said(&refused).contains("--cert FILE and --key FILE"), "{}", said(&refused));
    let pair = authority.sign("operator");
    let (certificate, key) = (pair.certificate.to_str().unwrap(), pair.key.to_str().unwrap());
    let shown = command(&host, "https", &["--ca", &ca, "--cert", certificate, "--key", key], &["ls"]);
    assert!(shown.status.success(), "{}", said(&shown));
    let mut by_environment = gust();
    by_environment.envs([("GUST_CA", ca.as_str()), ("GUST_CERT", certificate), ("GUST_KEY", key)]);
    by_environment.envs([("GUST_ADMIN", format!("https://{}", host.admin)), ("GUST_TOKEN", host.token.clone())]);
    let shown = by_environment.arg("ls").output().unwrap();
    assert!(shown.status.success(), "{}", said(&shown));
    let serve = gust().args(["serve", "--cert", certificate, "--key", key]).output().unwrap();
    assert_eq!(serve.status.code(), Some(2));
    assert!(said(&serve).contains("tls_certificate"), "{}", said(&serve));
}

#[test]
fn the_certificate_of_an_authority_is_not_one_of_a_host() {
    let authority = Authority::new();
    let pair = Pair { certificate: PathBuf::from(authority.file()), key: authority.dir.path().join("ca-key.pem") };
    replace(&pair.key, &authority.issuer.key().serialize_pem());
    let host = start(&[pair.settings("ADMIN_")], &[]);
    let refused = command(&host, "https", &["--ca", &authority.file()], &["ls"]);
    assert!(said(&refused).contains("it shows the certificate of an authority"), "{}", said(&refused));
}

#[test]
fn the_certificates_of_the_documentation_work() {
    let dir = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(crate::fixture::project("docs/configuration.md")).unwrap();
    // Up to where the host is started with them: its own, then those of clients.
    let script = |from: &str, to: &str| {
        let start = page.find(from).unwrap();
        let script = &page[start..start + page[start..].find(to).unwrap()];
        let made = Command::new("sh").args(["-ec", script]).current_dir(dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", said(&made));
    };
    script("openssl req", "GUST_TLS_CERTIFICATE");
    script("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365", "GUST_TLS_CLIENT_CA");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let pair = Pair { certificate: path("cert.pem").into(), key: path("key.pem").into() };
    let authority = path("clients-ca.pem");
    let host = crate::tls::start(&[pair.settings("ADMIN_")], &[("GUST_ADMIN_TLS_CLIENT_CA", &authority)]);
    let (trusted, alice, key) = (path("cert.pem"), path("alice.pem"), path("alice-key.pem"));
    let listed = command(&host, "https", &["--ca", &trusted, "--cert", &alice, "--key", &key], &["ls"]);
    assert!(listed.status.success(), "{}", said(&listed));
    let refused = command(&host, "https", &["--ca", &trusted], &["ls"]);
    assert!(!refused.status.success(), "without one there is no connection");
}
