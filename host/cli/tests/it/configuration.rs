//! What functions are configured with, as they see it.

use serde_json::Value;

use crate::fixture::Host;

fn imports(host: &Host, function: &str) -> Vec<String> {
    let info = host.info(function);
    let imports: Vec<Value> = info["imports"].as_array().unwrap().clone();
    imports.iter().map(|import| import.as_str().unwrap().to_owned()).collect()
}

#[test]
fn wasi_config_tells_the_environment() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "[env]\nGREETING = \"hi\"");
    for _ in 0..3 {
        assert_eq!(host.get("/hostile/config/GREETING").text(), "Some(\"hi\")");
        assert_eq!(host.get("/hostile/config/MISSING").text(), "None");
    }
    host.deploy_as("hostile", "hostile", "[env]\nGREETING = \"hello\"");
    assert_eq!(host.get("/hostile/config/GREETING").text(), "Some(\"hello\")");
}

#[test]
fn only_functions_that_ask_import_it() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    host.deploy("hello");
    let asks = |function: &str| imports(&host, function).iter().any(|import| import.starts_with("wasi:config/"));
    assert!(asks("hostile") && !asks("hello"), "{:?}", imports(&host, "hello"));
}
