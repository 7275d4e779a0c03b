//! For `wasmtime serve`: `run.sh`, which is its command line.

use super::{COMPONENT, Exported, Files};

pub(super) const FILE: &str = "run.sh";

/// What Wasmtime wants.
pub(super) fn files(exported: &Exported) -> Files {
    let (manifest, mut notes) = (&exported.manifest, exported.unrouted());
    let start = exported.command.strip_suffix(COMPONENT).unwrap_or(&exported.command).trim_end();
    let mut text =
        format!("#!/bin/sh\n# Serves {} at http://127.0.0.1:8080, or where ADDR says.\nset -eu\n", exported.name);
    for secret in &manifest.secrets {
        text.push_str(&format!(": \"${{{secret}:?is a secret of the function; set it in the environment}}\"\n"));
    }
    text.push_str(&format!("cd \"$(dirname \"$0\")\"\nexec {start} --addr \"${{ADDR:-127.0.0.1:8080}}\""));
    let mut add = |argument: &str| text.push_str(&format!(" \\\n    {argument}"));
    for (name, value) in &manifest.env {
        add(&format!("--env {}", quoted(&format!("{name}={value}"))));
    }
    // Without a value it is taken from the environment, where no other process sees it.
    manifest.secrets.iter().for_each(|secret| add(&format!("--env {secret}")));
    if exported.imports("wasi:config/") {
        // Options are parted by commas, so none may be in a value.
        let (settable, others): (Vec<_>, Vec<_>) = manifest.env.iter().partition(|(_, value)| !value.contains(','));
        for (name, value) in settable {
            add(&format!("-S {}", quoted(&format!("config-var={name}={value}"))));
        }
        let lost = others.iter().map(|(name, _)| name.as_str()).chain(manifest.secrets.iter().map(String::as_str));
        let lost: Vec<_> = lost.collect();
        if !lost.is_empty() {
            notes.push(format!("wasi:config does not have {}; the environment does", lost.join(", ")));
        }
    }
    text.push_str(&format!(" \\\n    \"$@\" {COMPONENT}\n"));
    if exported.sends() {
        notes.push("nothing limits whom it sends requests: wasmtime serve has no list of hosts".to_owned());
    }
    if exported.imports("wasi:keyvalue/") {
        notes.push("keys and values are in the memory of one request, and gone with it".to_owned());
    }
    if !manifest.routes.is_empty() {
        notes.push("it is called for every path: wasmtime serve has no routes".to_owned());
    }
    notes.extend(exported.secrets("in the environment of run.sh"));
    Files { name: FILE, text, is_program: true, notes, next: format!("./{FILE}") }
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
