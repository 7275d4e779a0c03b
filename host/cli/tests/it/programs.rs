//! Programs: modules for wasm32-wasip1, made components at their deploy, that are run once for each request.

use ureq::http::Request;

use crate::fixture::{Answer, Host, agent, send};

/// Prints a head, its environment, and what is on its standard input.
const TELLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (memory (export "memory") 4)
    (data (i32.const 1024) "status: 201\ncontent-type: text/plain\n\n")
    (func $print (param $at i32) (param $bytes i32)
        (loop $more
            (if (i32.eqz (local.get $bytes)) (then (return)))
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $bytes))
            (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
            (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
            (local.set $bytes (i32.sub (local.get $bytes) (i32.load (i32.const 8))))
            (br $more)))
    (func (export "_start")
        (call $print (i32.const 1024) (i32.const 38))
        (drop (call $env_sizes (i32.const 16) (i32.const 20)))
        (drop (call $env (i32.const 4096) (i32.const 65536)))
        (call $print (i32.const 65536) (i32.load (i32.const 20)))
        (loop $more
            (i32.store (i32.const 0) (i32.const 131072))
            (i32.store (i32.const 4) (i32.const 65536))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12)) (then (unreachable)))
            (if (i32.eqz (i32.load (i32.const 12))) (then (return)))
            (call $print (i32.const 131072) (i32.load (i32.const 12)))
            (br $more))))"#;

fn deploy(host: &Host, name: &str, program: &str, manifest: &str) -> Answer {
    host.deploy_bytes(name, &wat::parse_str(program).unwrap(), manifest)
}

#[test]
fn a_program_is_run_for_each_request() {
    let host = Host::start();
    let manifest = "cgi = true\n[env]\nGREETING = \"hi\"";
    let deployed = deploy(&host, "tells", TELLS, manifest);
    assert_eq!(deployed.status, 201, "{}", deployed.text());
    assert_eq!(host.info("tells")["world"], "wasi:cli/run");
    let request = Request::post(format!("http://{}/tells/a/b?c=d", host.data))
        .header("x-mine", "yes")
        .header("authorization", "Bearer s3cret")
        .header("x_gust_caller", "forged")
        .header("x_forwarded-prefix", "/forged")
        .body("what is sent")
        .unwrap();
    let answer = send(&agent(), request);
    assert_eq!((answer.status, answer.header("content-type")), (201, "text/plain"));
    let told: Vec<&str> = answer.text().split('\0').collect();
    for line in [
        "GREETING=hi",
        "GATEWAY_INTERFACE=CGI/1.1",
        "REQUEST_METHOD=POST",
        "SCRIPT_NAME=/tells",
        "PATH_INFO=/a/b",
        "QUERY_STRING=c=d",
        "CONTENT_LENGTH=12",
        "HTTP_X_MINE=yes",
        "what is sent",
    ] {
        assert!(told.contains(&line), "{line} is missing: {told:?}");
    }
    // What has an underscore would have the name of what only the host says.
    assert!(!answer.text().contains("s3cret") && !answer.text().contains("forged"), "{told:?}");
    let sent = vec![b'x'; 300_000];
    assert!(host.call("POST", "/tells", &sent).body.ends_with(&sent));
    // Its compiled code is found again.
    let host = host.kill_and_restart();
    assert!(host.call("POST", "/tells", b"again").body.ends_with(b"again"));
}

#[test]
fn how_a_program_ends_is_told() {
    let host = Host::start();
    let exits = |status: u32| {
        format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const {status}))))"#
        )
    };
    let manifest = "cgi = true";
    let headless = "what it printed does not begin with a head";
    for (program, code, text) in [
        (exits(3), "guest.failed", "exit status"),
        (exits(0), "guest.bad_response", headless),
        (
            "(module (memory (export \"memory\") 1) (func (export \"_start\")))".to_owned(),
            "guest.bad_response",
            headless,
        ),
        ("(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))".to_owned(), "trap", "trap"),
    ] {
        let deployed = deploy(&host, "ends", &program, manifest);
        assert_eq!(deployed.status, 201, "{}", deployed.text());
        let answer = host.get("/ends");
        assert_eq!(answer.code(), code, "{program}");
        assert!(answer.text().contains(text), "{}", answer.text());
    }
}

#[test]
fn a_program_is_run_only_where_its_manifest_asks() {
    let host = Host::start();
    let unasked = deploy(&host, "tells", TELLS, "");
    assert_eq!((unasked.status, unasked.code().as_str()), (422, "component.no_handler"));
    assert!(unasked.text().contains("cgi = true"), "{}", unasked.text());
    let hello = std::fs::read(crate::fixture::component("hello")).unwrap();
    let no_program = host.deploy_bytes("hello", &hello, "cgi = true");
    assert_eq!((no_program.status, no_program.code().as_str()), (422, "component.no_handler"));
    assert!(no_program.text().contains("wasi:cli/run"), "{}", no_program.text());
}

#[test]
fn a_module_that_imports_what_is_not_there_is_refused() {
    let host = Host::start();
    let needs = r#"(module (import "env" "magic" (func)) (memory (export "memory") 1) (func (export "_start")))"#;
    let refused = deploy(&host, "needs", needs, "cgi = true");
    assert_eq!((refused.status, refused.code().as_str()), (422, "component.core_module"));
    assert!(refused.text().contains("magic") || refused.text().contains("env"), "{}", refused.text());
}
