//! A function for another host: its component, and the files that the host wants beside it.
//!
//! One module for each host, all of the same shape: `files` writes what the host reads, and says what of the function it leaves out.
//! Secrets are never written: they are named, to be set there.

mod spin;
mod wasmcloud;
mod wasmtime;

use gust_core::{Access, FunctionName, Manifest, component::ComponentInfo, routing::Action};

use crate::args::ForHost;

/// The component's file.
pub const COMPONENT: &str = "component.wasm";

/// Every file that an export writes beside it, for any host.
pub const FILES: [&str; 3] = [spin::FILE, wasmtime::FILE, wasmcloud::FILE];

/// A function that is exported.
pub struct Exported {
    pub name: FunctionName,
    pub manifest: Manifest,
    pub component: ComponentInfo,
    /// The command line that runs it there.
    pub command: String,
}

/// What a host wants.
pub struct Files {
    /// The name of the one file beside the component.
    pub name: &'static str,
    pub text: String,
    pub is_program: bool,
    /// What of the function is not as on gust there.
    pub notes: Vec<String>,
    /// How to run it.
    pub next: String,
}

impl ForHost {
    /// What it is called in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin => "Spin",
            Self::Wasmtime => "wasmtime serve",
            Self::Wasmcloud => "wasmCloud",
        }
    }

    /// What it is called in the name of a directory.
    pub fn short(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Wasmtime => "wasmtime",
            Self::Wasmcloud => "wasmcloud",
        }
    }

    /// What it wants.
    pub fn files(self, exported: &Exported) -> anyhow::Result<Files> {
        let mut files = match self {
            Self::Spin => spin::files(exported)?,
            Self::Wasmtime => wasmtime::files(exported),
            Self::Wasmcloud => wasmcloud::files(exported),
        };
        files.notes.extend(exported.nowhere_else());
        Ok(files)
    }
}

impl Exported {
    /// Whether it imports an interface whose name begins so.
    fn imports(&self, name: &str) -> bool {
        self.component.imports.iter().any(|import| import.name.starts_with(name))
    }

    /// Whether it sends requests.
    fn sends(&self) -> bool {
        self.imports("wasi:http/outgoing-handler@") || self.imports("wasi:http/client@")
    }

    /// What of it no other host has.
    fn nowhere_else(&self) -> Vec<String> {
        let (manifest, mut notes) = (&self.manifest, Vec::new());
        if !manifest.allow.functions.is_empty() {
            let called: Vec<_> = manifest.allow.functions.iter().map(FunctionName::as_str).collect();
            notes.push(format!(
                "requests to http://{{function}}.gust.internal reach no function there; it may call {}",
                called.join(", ")
            ));
        }
        if !manifest.middleware.is_empty() {
            let names: Vec<_> = manifest.middleware.iter().map(FunctionName::as_str).collect();
            notes.push(format!(
                "NOTHING COMES BEFORE IT there: its middleware is not exported, so whatever {} would refuse is answered",
                names.join(", ")
            ));
        }
        if manifest.access != Access::Open {
            notes.push(format!("nobody asks there who calls; its access here is {}", manifest.access));
        }
        if self.component.handlers.iter().any(|name| name.starts_with("gust:function/init@")) {
            let note = "gust:function/init is not called there; a function of gust's SDK runs it by itself at its first request";
            notes.push(note.to_owned());
        }
        if self.imports("wasi:config/") {
            notes.push("the configuration of its app is not exported; only [env] of its manifest is".to_owned());
        }
        notes.push("its limits are gust's, and hold nowhere else".to_owned());
        notes
    }

    /// Routes that another host does not have.
    fn unrouted(&self) -> Vec<String> {
        let routes = self.manifest.routes().unwrap_or_default();
        let elsewhere = routes.iter().filter(|route| !matches!(route.action(), Action::Call));
        elsewhere.map(|route| format!("the route {route} is not exported: gust answers it by itself")).collect()
    }

    /// The names of its secrets, as a note.
    fn secrets(&self, how: &str) -> Option<String> {
        let secrets = &self.manifest.secrets;
        (!secrets.is_empty()).then(|| format!("its secrets are not exported; set {} {how}", secrets.join(", ")))
    }
}

#[cfg(test)]
mod tests;
