//! The interfaces of the host: what a guest may import, one module for each package, all of the same shape.
//!
//! A module offers `INTERFACES`, the names that it adds, and `add_to_linker`. To give guests something new, write a module
//! beside these and name it in [`OFFERED`] and [`linker`].

pub(crate) mod blobstore;
pub(crate) mod config;
pub(crate) mod function;
pub(crate) mod http;
mod io;
pub(crate) mod keyvalue;
mod logging;
mod wasi;
mod wasi3;

use wasmtime::component::Linker;

use crate::{host::Host, settings::Concurrency};

/// The releases of WASI that the host speaks: every 0.2.x is compatible with every other, and so is every 0.3.x.
const WASI_LINE: &str = "0.2.";
const WASI3_LINE: &str = "0.3.";

/// Every interface that the host offers, and in which releases: a line of them, which ends with a dot, or a single one.
const OFFERED: [(&[&str], &str); 10] = [
    (io::INTERFACES, WASI_LINE),
    (wasi::INTERFACES, WASI_LINE),
    (http::INTERFACES, WASI_LINE),
    (wasi3::INTERFACES, WASI3_LINE),
    (config::INTERFACES, config::VERSION),
    (keyvalue::INTERFACES, keyvalue::VERSIONS[0]),
    (keyvalue::INTERFACES, keyvalue::VERSIONS[1]),
    (keyvalue::OWN, keyvalue::OWN_VERSION),
    (blobstore::INTERFACES, blobstore::VERSION),
    (logging::INTERFACES, logging::VERSION),
];

/// What a component needs that has imports and exports of these names: those of WASI 0.3 are for guests with tasks of their own.
pub(crate) fn needed<'a>(mut names: impl Iterator<Item = &'a str>) -> Concurrency {
    let is_wasi3 = |name: &str| {
        name.starts_with("wasi:") && name.split_once('@').is_some_and(|(_, version)| is_among(version, WASI3_LINE))
    };
    if names.any(is_wasi3) { Concurrency::On } else { Concurrency::Off }
}

/// A linker with all of them, those of WASI 0.3 where guests may have tasks of their own.
pub(crate) fn linker(engine: &wasmtime::Engine, concurrency: Concurrency) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    io::add_to_linker(&mut linker)?;
    wasi::add_to_linker(&mut linker)?;
    http::add_to_linker(&mut linker)?;
    config::add_to_linker(&mut linker)?;
    if concurrency == Concurrency::On {
        wasi3::add_to_linker(&mut linker)?;
    }
    keyvalue::add_to_linker(&mut linker)?;
    blobstore::add_to_linker(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether the host offers the interface that `import` names, as in `wasi:io/streams@0.2.6`.
pub(crate) fn is_offered(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    OFFERED.iter().any(|(interfaces, releases)| interfaces.contains(&interface) && is_among(version, releases))
}

/// Every interface that is offered, and in which releases.
pub(crate) fn offered() -> impl Iterator<Item = (&'static str, &'static str)> {
    OFFERED.iter().flat_map(|(interfaces, releases)| interfaces.iter().map(move |interface| (*interface, *releases)))
}

fn is_among(version: &str, releases: &str) -> bool {
    if releases.ends_with('.') { version.starts_with(releases) } else { version == releases }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_releases_that_are_spoken_are_offered_and_no_other() {
        assert!(is_offered("wasi:io/streams@0.2.0"));
        assert!(is_offered("wasi:http/types@0.2.12"));
        assert!(is_offered("wasi:config/store@0.2.0-rc.1"));
        assert!(is_offered("wasi:http/client@0.3.1"));
        assert!(is_offered("wasi:keyvalue/store@0.2.0-draft"));
        assert!(is_offered("wasi:keyvalue/atomics@0.2.0-draft2"));
        assert!(is_offered("gust:keyvalue/expiry@0.1.0"));
        for other in [
            "wasi:io/streams",
            "wasi:io/streams@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft3",
            "wasi:config/store@0.2.0-rc.10",
            "wasi:config/store@0.2.0",
            "x",
        ] {
            assert!(!is_offered(other), "{other}");
        }
    }

    #[test]
    fn what_is_of_wasi_0_3_needs_concurrency() {
        let needs = |names: &[&str]| needed(names.iter().copied()) == Concurrency::On;
        assert!(needs(&["wasi:io/streams@0.2.0", "wasi:http/handler@0.3.0"]));
        assert!(needs(&["wasi:clocks/types@0.3.2"]));
        assert!(!needs(&[
            "wasi:io/streams@0.2.3",
            "acme:tools/saw@0.3.0",
            "wasi:http/types",
            "gust:function/handler@0.1.0"
        ]));
    }
}
