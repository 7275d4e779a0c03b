//! Uploads that are cut, lie, break off, or hold something that no function is.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread,
};

use ureq::http::Request;

use super::{
    Watch, artifacts_dir,
    components::{answering, answering_from, wasm},
    example, files_in, leftovers, names, points,
};
use crate::fixture::{Host, agent, gust, send, until};

/// Lengths to which a component is cut; of the smaller one, in the long run, all that there are.
const CUTS: usize = 24;
const CUTS_LONG: usize = 1000;

/// Sends the head of an upload of so many bytes, and some of them.
fn begin_upload(host: &Host, length: usize, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host.admin).unwrap();
    let head = format!(
        "PUT /v1/functions/victim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/wasm\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n",
        host.token
    );
    stream.write_all(&[head.as_bytes(), bytes].concat()).unwrap();
    stream
}

fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_component_that_is_cut_is_refused_wherever_it_is_cut() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let mut codes = Vec::new();
    for whole in [answering("whole"), example("hello")] {
        for length in points(whole.len(), CUTS, CUTS_LONG) {
            let answer = host.upload("victim", &whole[..length]);
            // What is cut off may be no more than names for debuggers, a custom section: then the rest is a function.
            if answer.status == 201 && whole[length] == 0 {
                assert_eq!(host.api("DELETE", "/v1/functions/victim", "", b"").status, 204);
                continue;
            }
            let code = answer.code();
            let expected = match length {
                0 => (400, "upload.incomplete"),
                1..4 => (422, "component.not_wasm"),
                // Cut between two sections it is a component, of too little.
                _ if code == "component.no_handler" => (422, "component.no_handler"),
                _ => (422, "component.malformed"),
            };
            assert_eq!((answer.status, code.as_str()), expected, "cut to {length} bytes: {answer:?}");
            codes.push(expected.1);
        }
    }
    assert_eq!(names(&host), ["neighbour"]);
    assert_eq!(files_in(&host, "components").len(), 1);
    watch.check(&codes);
}

#[test]
fn what_is_no_function_is_refused_and_told_what_it_lacks() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    host.until_optimised("neighbour");
    let artifact = fs::read_dir(host.dir.join(artifacts_dir(&host))).unwrap().next().unwrap().unwrap().path();
    let elf = fs::read(gust().get_program()).unwrap();
    let cases: &[(&[u8], &str, &str)] = &[
        (b"", "upload.incomplete", "holds no component"),
        (b"hello", "component.not_wasm", "00 61 73 6d"),
        (b"(component)", "component.not_wasm", "upload the binary format"),
        (&elf[..4096], "component.precompiled", "an ELF file"),
        (&fs::read(artifact).unwrap(), "component.precompiled", "upload the component that it was made from"),
        (
            &wasm("(module)"),
            "component.core_module",
            "no component types, and is no program either; build for the target wasm32-wasip2",
        ),
        (&wasm("(component)"), "component.no_handler", "a function exports gust:function/handler"),
        (
            &wasm(r#"(component (import "acme:tools/saw@1.0.0" (instance)))"#),
            "component.unknown_import",
            "it imports acme:tools/saw@1.0.0",
        ),
    ];
    for (bytes, code, said) in cases {
        let answer = host.upload("victim", bytes);
        assert_eq!((answer.status, answer.code().as_str()), (if bytes.is_empty() { 400 } else { 422 }, *code));
        assert!(answer.text().contains(said), "{said}: {answer:?}");
    }
    assert_eq!(names(&host), ["neighbour"]);
    assert_eq!(files_in(&host, "components").len(), 1);
    watch.check(&cases.iter().map(|(_, code, _)| *code).collect::<Vec<_>>());
}

#[test]
fn more_than_an_instance_may_have_is_refused_and_the_limit_is_named() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let cases = [
        ("(memory 65536)", "2 memories of 512 MiB (memory_mib_max)", "4294967296"),
        ("(memory 8193)", "2 memories of 512 MiB (memory_mib_max)", "536936448"),
        ("(memory 1) (memory 1)", "2 memories of 512 MiB (memory_mib_max)", "3"),
        ("(table 10000000 funcref)", "tables of 100000 elements", "10000000"),
        ("(table 100001 funcref)", "tables of 100000 elements", "100001"),
    ];
    let besides = |fields: &str| {
        answering_from("it fits", &format!("(core module $more {fields}) (core instance (instantiate $more))"))
    };
    for (fields, limit, asked) in cases {
        let answer = host.upload("victim", &besides(fields));
        assert_eq!((answer.status, answer.code().as_str()), (422, "component.over_limits"), "{fields}: {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(limit) && detail.contains(asked), "{fields}: {detail}");
    }
    let fits = host.upload("fits", &besides("(memory 100) (table 100000 funcref)"));
    assert_eq!(fits.status, 201, "{}", fits.text());
    assert_eq!(host.get("/fits").text(), "it fits");
    watch.check(&["component.over_limits"; 5]);
}

#[test]
fn uploads_of_the_wrong_form_are_refused() {
    let host = Host::start_with(&[("GUST_UPLOAD_MIB_MAX", "1")]);
    let watch = Watch::begin(&host);
    let whole = answering("whole");
    let mut codes = Vec::new();
    let mut refused = |answer: crate::fixture::Answer, status: u16, code: &'static str| {
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        codes.push(code);
    };
    let put = |content_type: &str, body: &[u8]| host.api("PUT", "/v1/functions/victim", content_type, body);
    refused(put("text/plain", &whole), 415, "upload.content_type");
    // As HTML forms send it.
    refused(put("application/x-www-form-urlencoded", &whole), 415, "upload.content_type");
    refused(put("application/wasm", &vec![0; 3 << 20]), 413, "upload.too_large");
    refused(host.deploy_as("victim", "hello", "nmae = \"x\""), 400, "manifest.invalid");
    refused(host.deploy_as("victim", "hello", "name = \"other\""), 400, "manifest.invalid");
    refused(host.deploy_as("victim", "hello", "[limits]\nmemory_mib = 100000"), 400, "manifest.invalid");
    // A bomb would be one in this very form; nothing is ever unpacked.
    let request = Request::put(format!("http://{}/v1/functions/victim", host.admin)).header("content-encoding", "gzip");
    let request = request.header("authorization", format!("Bearer {}", host.token));
    let request = request.header("content-type", "application/wasm").body(&whole[..]).unwrap();
    refused(send(&agent(), request), 415, "upload.content_encoding");
    assert_eq!(names(&host), ["neighbour"]);
    watch.check(&codes);
}

#[test]
fn only_names_are_taken_for_names() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let bad = [
        "..%2fx",
        "%2e%2e",
        "x%00",
        "x%0a",
        "A",
        "x_y",
        "-x",
        "x-",
        &"x".repeat(300),
        // A Kelvin sign, a Cyrillic a, full-width letters, a combining accent, a direction mark and a digit of another script.
        "%E2%84%AAelvin",
        "p%D0%B0y",
        "%EF%BD%81bc",
        "cafe%CC%81",
        "x%E2%80%AEy",
        "x%D9%A1",
    ];
    for name in bad {
        let answer = host.upload(name, &answering("x"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "name.invalid"), "{name}: {answer:?}");
    }
    // Without a name it is another path, where nothing is.
    let nameless = host.upload("", &answering("x"));
    assert_eq!((nameless.status, nameless.code().as_str()), (404, "api.not_found"));
    assert_eq!(names(&host), ["neighbour"]);
    watch.check(&[&["name.invalid"; 15][..], &["api.not_found"]].concat());
}

#[test]
fn a_length_that_is_not_the_bodys_is_found_out() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let whole = answering("whole");
    // More is promised than comes.
    let stream = begin_upload(&host, whole.len() + 1, &whole);
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = read_all(stream);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("upload.incomplete"), "{answer}");
    // Less: what is left over is no request, and no answer is given twice.
    let answer = read_all(begin_upload(&host, whole.len() - 1, &whole));
    assert!(answer.starts_with("HTTP/1.1 422 ") && answer.contains("component.malformed"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    // Two that differ, and one that is no number, before anything is read of the body.
    for length in ["5\r\ncontent-length: 6", "+5", "5, 6", "18446744073709551616"] {
        let mut stream = TcpStream::connect(host.admin).unwrap();
        let head = format!(
            "PUT /v1/functions/victim HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             content-type: application/wasm\r\ncontent-length: {length}\r\n\r\nwhole",
            host.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_all(stream);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{length}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    assert_eq!(names(&host), ["neighbour"]);
    watch.check(&["upload.incomplete", "component.malformed"]);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let host = Host::start();
    let watch = Watch::begin(&host);
    let stream = begin_upload(&host, 100_000, &[0; 1000]);
    until("the upload has begun", || leftovers(&host).len() == 1);
    drop(stream);
    until("it is gone", || leftovers(&host).is_empty());
    assert_eq!(names(&host), ["neighbour"]);
    // Whether there is a line depends on which end of the connection is noticed first; nobody is left to be answered.
    let codes = watch.codes_until_now();
    assert!(codes.iter().all(|code| code == "upload.incomplete") && codes.len() <= 1, "{codes:?}");
    watch.check(&[]);
}

#[test]
fn fifty_identical_uploads_at_once_are_compiled_once_and_answered_alike() {
    const UPLOADS: usize = 50;
    let host = Arc::new(Host::start());
    // Each of these uploads has a thread for a moment, whose memory the allocator keeps for those to come.
    let watch = Watch { growth_mib_max: 256, ..Watch::begin(&host) };
    let compiled = || host.metric("gust_compilations_total", &["tier=\"quick\""]);
    let before = compiled();
    let bytes = Arc::new(example("hello"));
    let uploads: Vec<_> = (0..UPLOADS)
        .map(|_| {
            let (host, bytes) = (host.clone(), bytes.clone());
            thread::spawn(move || host.upload("hello", &bytes))
        })
        .collect();
    let answers: Vec<_> = uploads.into_iter().map(|upload| upload.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), UPLOADS - 1);
    let digests = |what: &str| answers.iter().map(|answer| answer.json()[what].clone()).collect::<Vec<_>>();
    for what in ["name", "version", "digest", "size_bytes", "world", "limits", "urls", "deployed_unix_ms"] {
        assert!(digests(what).iter().all(|value| *value == answers[0].json()[what]), "{what}");
    }
    assert_eq!(compiled() - before, 1.0);
    assert_eq!(files_in(&host, "components").len(), 2);
    assert_eq!(host.get("/hello").text(), "Hello, world!");
    watch.check(&[]);
}

#[test]
fn a_form_has_an_end() {
    let host = Host::start_with(&[("GUST_UPLOAD_MIB_MAX", "1")]);
    let watch = Watch::begin(&host);
    let preamble = vec![b'x'; 100 << 20];
    let request = Request::put(format!("http://{}/v1/functions/hello", host.admin))
        .header("authorization", format!("Bearer {}", host.token))
        .header("content-type", "multipart/form-data; boundary=b")
        .header("transfer-encoding", "chunked");
    // It may be refused while it is still sent.
    if let Ok(response) = agent().run(request.body(&preamble[..]).unwrap()) {
        assert!(response.status().is_client_error(), "{response:?}");
    }
    let codes = watch.codes_until_now();
    assert!(codes.len() == 1, "{codes:?}");
    watch.check(&[]);
}
