//! Which hosts can run a component: the rules of each as one table, by the names that it exports and imports.
//!
//! To teach it another host, or what a new version of one offers, is to change a row.

use gust_core::component::{ComponentInfo, HostInfo, Reach};

use crate::init;

/// What stands in a command line for the component.
const FILE: &str = "component.wasm";

/// The most imports that are named as those that a host does not offer.
const MISSING_MAX: usize = 16;

/// A host's rules.
struct Host {
    name: &'static str,
    /// Of which version they are.
    version: &'static str,
    /// Exports that it calls. It needs one of them.
    calls: &'static [Names],
    /// What it offers.
    offers: &'static [Names],
    /// The command line, before the flags and after them.
    command: (&'static str, &'static str),
}

/// Interfaces, and what is to be said on the command line for them.
struct Names {
    /// An interface; or what the names of several begin with, which ends with a slash or a colon.
    interfaces: &'static str,
    /// A line of releases, which ends with a dot; a single release; or all of them, where it is empty.
    releases: &'static str,
    flags: &'static [&'static str],
}

const fn names(interfaces: &'static str, releases: &'static str, flags: &'static [&'static str]) -> Names {
    Names { interfaces, releases, flags }
}

const ASYNC: &[&str] = &["-S p3=y", "-W component-model-async=y"];
const ASYNC_ALL: &[&str] = &["-S cli", "-S p3=y", "-W component-model-async=y"];

/// bytecodealliance/wasmtime, `src/commands/serve.rs` (`add_to_linker`): without `-S cli` the world `wasi:http/proxy`.
const WASMTIME: Host = Host {
    name: "wasmtime serve",
    version: "48",
    calls: &[names("wasi:http/incoming-handler", "0.2.", &[]), names("wasi:http/handler", "0.3.", ASYNC)],
    offers: &[
        names("wasi:io/", "0.2.", &[]),
        names("wasi:clocks/", "0.2.", &[]),
        names("wasi:random/random", "0.2.", &[]),
        names("wasi:random/", "0.2.", &["-S cli"]),
        names("wasi:http/", "0.2.", &[]),
        names("wasi:cli/stdin", "0.2.", &[]),
        names("wasi:cli/stdout", "0.2.", &[]),
        names("wasi:cli/stderr", "0.2.", &[]),
        names("wasi:cli/", "0.2.", &["-S cli"]),
        names("wasi:filesystem/", "0.2.", &["-S cli"]),
        names("wasi:sockets/", "0.2.", &["-S cli"]),
        names("wasi:http/types", "0.3.", ASYNC),
        names("wasi:http/client", "0.3.", ASYNC),
        names("wasi:clocks/", "0.3.", ASYNC),
        names("wasi:random/", "0.3.", ASYNC),
        names("wasi:cli/", "0.3.", ASYNC),
        names("wasi:filesystem/", "0.3.", ASYNC_ALL),
        names("wasi:sockets/", "0.3.", ASYNC_ALL),
        names("wasi:config/store", "0.2.0-rc.1", &["-S config"]),
        names("wasi:keyvalue/store", "0.2.0-draft", &["-S keyvalue"]),
        names("wasi:keyvalue/atomics", "0.2.0-draft", &["-S keyvalue"]),
        names("wasi:keyvalue/batch", "0.2.0-draft", &["-S keyvalue"]),
    ],
    command: ("wasmtime serve", FILE),
};

/// spinframework/spin, `wit/world.wit` (world `platform`). Of WASI 0.3 it has release candidates alone, which are not compatible.
const SPIN: Host = Host {
    name: "Spin",
    version: "3.6",
    calls: &[names("wasi:http/incoming-handler", "0.2.", &[])],
    offers: &[
        names("wasi:cli/", "0.2.", &[]),
        names("wasi:clocks/", "0.2.", &[]),
        names("wasi:filesystem/", "0.2.", &[]),
        names("wasi:http/", "0.2.", &[]),
        names("wasi:io/", "0.2.", &[]),
        names("wasi:random/", "0.2.", &[]),
        names("wasi:sockets/", "0.2.", &[]),
        names("wasi:keyvalue/", "0.2.0-draft2", &[]),
        names("wasi:config/store", "0.2.0-draft-2024-09-27", &[]),
        names("fermyon:spin/", "2.0.", &[]),
        names("spin:postgres/", "", &[]),
        names("spin:sqlite/", "", &[]),
    ],
    command: ("spin up --from", "spin.toml"),
};

/// wasmCloud/wasmCloud, `crates/wash-runtime`: `src/engine/mod.rs` (`add_wasi_to_linker`: WASI 0.2 and 0.3) and `wit/world.wit`.
const WASMCLOUD: Host = Host {
    name: "wasmCloud",
    version: "2",
    calls: &[names("wasi:http/incoming-handler", "0.2.", &[]), names("wasi:http/handler", "0.3.", &[])],
    offers: &[
        names("wasi:io/", "0.2.", &[]),
        names("wasi:cli/", "0.2.", &[]),
        names("wasi:cli/", "0.3.", &[]),
        names("wasi:clocks/", "0.2.", &[]),
        names("wasi:clocks/", "0.3.", &[]),
        names("wasi:filesystem/", "0.2.", &[]),
        names("wasi:filesystem/", "0.3.", &[]),
        names("wasi:http/", "0.2.", &[]),
        names("wasi:http/types", "0.3.", &[]),
        names("wasi:http/client", "0.3.", &[]),
        names("wasi:random/", "0.2.", &[]),
        names("wasi:random/", "0.3.", &[]),
        names("wasi:sockets/", "0.2.", &[]),
        names("wasi:sockets/", "0.3.", &[]),
        names("wasi:config/store", "0.2.0-rc.1", &[]),
        names("wasi:keyvalue/", "0.2.0-draft", &[]),
        names("wasi:blobstore/", "0.2.0-draft", &[]),
        names("wasi:logging/logging", "0.1.0-draft", &[]),
        names("wasmcloud:", "", &[]),
    ],
    command: ("kubectl apply -f", "workload.yaml"),
};

/// What this host calls. What it offers, it knows by `interfaces`.
const CALLED: &[Names] = &[
    names("gust:function/handler", "0.1.", &[]),
    names("wasi:http/handler", "0.3.", &[]),
    names("wasi:http/incoming-handler", "0.2.", &[]),
    // Where its manifest says `cgi = true`.
    names("wasi:cli/run", "0.2.", &[]),
];

/// What is called somewhere, but answers no request.
const CALLED_BESIDE: &[Names] = &[names("wasi:cli/run", "", &[])];

/// Whether a host calls an export, gust or another.
pub(super) fn is_handler(export: &str) -> bool {
    let interface = export.split('@').next();
    interface == Some(init::INTERFACE) || CALLED.iter().chain(CALLED_BESIDE).any(|names| names.have(export))
}

/// All hosts.
pub(super) fn all(info: &ComponentInfo) -> Vec<HostInfo> {
    let others = [WASMTIME, SPIN, WASMCLOUD];
    std::iter::once(here(info)).chain(others.iter().map(|host| host.about(info))).collect()
}

fn here(info: &ComponentInfo) -> HostInfo {
    let missing = info.that_are(Reach::Missing).map(|import| import.name.as_str());
    let why_not = why_not(info, CALLED, missing);
    let (name, version) = ("gust", env!("CARGO_PKG_VERSION"));
    told(name, version, why_not, || format!("gust deploy {FILE}"))
}

impl Host {
    fn about(&self, info: &ComponentInfo) -> HostInfo {
        let imports = || info.imports.iter().map(|import| import.name.as_str());
        let missing = imports().filter(|name| !self.offers.iter().any(|names| names.have(name)));
        let why_not = why_not(info, self.calls, missing);
        told(self.name, self.version, why_not, || {
            let called = self.calls.iter().filter(|names| info.exports.iter().any(|name| names.have(name))).take(1);
            let offered = imports().filter_map(|name| self.offers.iter().find(|names| names.have(name)));
            let mut flags: Vec<&str> = called.chain(offered).flat_map(|names| names.flags).copied().collect();
            flags.sort_unstable();
            flags.dedup();
            let (before, after) = self.command;
            [&[before], flags.as_slice(), &[after]].concat().join(" ")
        })
    }
}

fn told(name: &str, version: &str, why_not: Vec<String>, command: impl FnOnce() -> String) -> HostInfo {
    let runs = why_not.is_empty();
    HostInfo { host: name.to_owned(), version: version.to_owned(), runs, why_not, command: runs.then(command) }
}

fn why_not<'a>(info: &ComponentInfo, calls: &[Names], missing: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut why_not = Vec::new();
    if !info.exports.iter().any(|export| calls.iter().any(|names| names.have(export))) {
        let called: Vec<String> = calls.iter().map(Names::to_string).collect();
        why_not.push(format!("it exports none of {}", called.join(", ")));
    }
    let mut missing = missing.map(|name| format!("{name} is not offered"));
    why_not.extend(missing.by_ref().take(MISSING_MAX));
    let more = missing.count();
    why_not.extend((more > 0).then(|| format!("and {more} more are not")));
    why_not
}

impl Names {
    fn have(&self, name: &str) -> bool {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        let is_among = match self.releases {
            "" => true,
            // A release candidate is of no line.
            line if line.ends_with('.') => version.starts_with(line) && !version.contains('-'),
            release => version == release,
        };
        let is_family = self.interfaces.ends_with(['/', ':']);
        is_among && (self.interfaces == interface || is_family && interface.starts_with(self.interfaces))
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.interfaces, self.releases.trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use gust_core::component::ImportInfo;

    use super::*;

    fn component(exports: &[&str], imports: &[&str]) -> ComponentInfo {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let imports = owned(imports).into_iter().map(ImportInfo::offered).collect();
        ComponentInfo { exports: owned(exports), imports, ..ComponentInfo::default() }
    }

    /// What one host says.
    fn of(host: &str, component: &ComponentInfo) -> HostInfo {
        all(component).into_iter().find(|info| info.host == host).unwrap()
    }

    #[test]
    fn a_proxy_runs_everywhere_and_takes_no_flags() {
        let imports = ["wasi:http/types@0.2.3", "wasi:io/streams@0.2.3", "wasi:cli/stdout@0.2.3"];
        let proxy = component(&["wasi:http/incoming-handler@0.2.3"], &imports);
        assert!(all(&proxy).iter().all(|host| host.runs && host.command.is_some()), "{:?}", all(&proxy));
        assert_eq!(of("wasmtime serve", &proxy).command.unwrap(), format!("wasmtime serve {FILE}"));
    }

    #[test]
    fn wasmtime_is_told_what_it_takes() {
        let imports = ["wasi:cli/environment@0.2.0", "wasi:config/store@0.2.0-rc.1", "wasi:sockets/tcp@0.2.0"];
        let command =
            of("wasmtime serve", &component(&["wasi:http/incoming-handler@0.2.0"], &imports)).command.unwrap();
        assert_eq!(command, format!("wasmtime serve -S cli -S config {FILE}"));
        let service = component(&["wasi:http/handler@0.3.0"], &["wasi:http/types@0.3.0"]);
        let command = of("wasmtime serve", &service).command.unwrap();
        assert_eq!(command, format!("wasmtime serve -S p3=y -W component-model-async=y {FILE}"));
    }

    #[test]
    fn why_a_host_cannot_is_said_by_name() {
        let typed = component(&["gust:function/handler@0.1.0"], &[]);
        assert!(of("gust", &typed).runs);
        for host in ["wasmtime serve", "Spin", "wasmCloud"] {
            let info = of(host, &typed);
            assert!(!info.runs && info.command.is_none(), "{info:?}");
            assert!(info.why_not[0].contains("none of wasi:http/incoming-handler 0.2"), "{info:?}");
        }
        let asks = component(&["wasi:http/incoming-handler@0.2.0"], &["wasi:config/store@0.2.0-rc.1"]);
        assert_eq!(of("Spin", &asks).why_not, ["wasi:config/store@0.2.0-rc.1 is not offered"]);
        assert!(of("wasmCloud", &asks).runs);
    }

    #[test]
    fn a_middleware_needs_something_to_come_after_it() {
        let imports = ["wasi:http/types@0.3.0", "wasi:http/handler@0.3.0"];
        let middleware = component(&["wasi:http/handler@0.3.0"], &imports);
        assert!(of("gust", &middleware).runs);
        for host in ["wasmtime serve", "wasmCloud"] {
            assert_eq!(of(host, &middleware).why_not, ["wasi:http/handler@0.3.0 is not offered"]);
        }
    }

    #[test]
    fn a_line_has_its_releases_and_no_candidate() {
        let line = names("wasi:http/", "0.3.", &[]);
        assert!(line.have("wasi:http/types@0.3.1"));
        assert!(!line.have("wasi:http/types@0.3.0-rc-2026-01-06") && !line.have("wasi:http/types"));
        assert!(!line.have("wasi:https/types@0.3.0"));
        assert!(is_handler("wasi:cli/run@0.2.0") && is_handler("gust:function/init@0.1.0"));
        assert!(!is_handler("wasi:http/types@0.2.0"));
    }
}
