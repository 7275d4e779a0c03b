//! What requests used, as the log and the metrics tell it.

use serde_json::Value;

use crate::fixture::{Host, until};

/// The log's line of the next request of a function.
fn line(host: &Host, function: &str) -> Value {
    host.logged(|line| line["target"] == "gust::request" && line["function"] == function)
}

fn cpu_ms(line: &Value) -> u64 {
    line["cpu_us"].as_u64().unwrap() / 1000
}

#[test]
fn cpu_time_is_what_a_guest_runs_and_not_what_it_waits() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 20000\ncpu_ms = 3000");
    assert_eq!(host.get("/hostile/sleep?n=1000").text(), "done");
    let slept = line(&host, "hostile");
    assert!(slept["run_us"].as_u64().unwrap() >= 1_000_000 && cpu_ms(&slept) < 100, "{slept}");
    // So much work, however long it takes where others want the processor, too; a twenty-eighth of it takes far less.
    host.until_optimised("hostile");
    assert_eq!(host.get("/hostile/compute?n=100").text(), "done");
    let less = line(&host, "hostile");
    assert_eq!(host.get("/hostile/compute?n=2800").text(), "done");
    let spun = line(&host, "hostile");
    assert!((200..2000).contains(&cpu_ms(&spun)) && cpu_ms(&spun) > 3 * cpu_ms(&less), "{less} {spun}");
    assert!(cpu_ms(&spun) <= spun["total_us"].as_u64().unwrap() / 1000, "{spun}");
    // Failures too.
    host.deploy_as("hostile", "hostile", "[limits]\nwall_ms = 20000\ncpu_ms = 1000");
    assert_eq!(host.get("/hostile/loop").code(), "limit.cpu_ms");
    let ended = line(&host, "hostile");
    assert!((1000..2500).contains(&cpu_ms(&ended)), "{ended}");
    let seconds =
        [&slept, &less, &spun, &ended].map(|line| line["cpu_us"].as_u64().unwrap() as f64 / 1e6).iter().sum::<f64>();
    until("all are counted", || {
        (host.metric("gust_cpu_seconds_total", &["function=\"hostile\""]) - seconds).abs() < 1e-6
    });
}

#[test]
fn work_after_the_answer_belongs_to_its_request() {
    let host = Host::start();
    host.deploy_as("raw", "raw", "[limits]\nwall_ms = 10000");
    assert_eq!(host.get("/raw/spin-late?n=5000").text(), "done");
    let spun = line(&host, "raw");
    assert!(cpu_ms(&spun) >= 200 && spun["memory_bytes_peak"].as_u64().unwrap() >= 65_536, "{spun}");
    assert!(spun["total_us"].as_u64().unwrap() < 400_000, "it was answered before: {spun}");
    assert_eq!((spun["status"].as_u64(), spun["code"].as_str()), (Some(200), Some("")));
}

#[test]
fn a_client_that_goes_away_does_not_make_it_free() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    let stream = host.begin("/hostile/loop");
    host.until_serving(1);
    drop(stream);
    let gone = line(&host, "hostile");
    assert!(gone["code"] == "request.client_gone" && gone["cpu_us"].as_u64().unwrap() > 0, "{gone}");
}
