//! The interfaces of the host: what a guest may import, one module for each package, all of the same shape.
//!
//! A module offers `INTERFACES`, the names that it adds, and `add_to_linker`. To give guests something new, write a module
//! beside these and name it in [`OFFERED`] and [`linker`].

pub(crate) mod function;
pub(crate) mod http;
mod io;
mod wasi;

use wasmtime::component::Linker;

use crate::host::Host;

/// Every interface that the host offers, without its version.
const OFFERED: [&[&str]; 3] = [io::INTERFACES, wasi::INTERFACES, http::INTERFACES];

/// The release line of WASI that the host speaks: every 0.2.x is compatible with every other.
const WASI_LINE: &str = "0.2.";

/// A linker with all of them.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    io::add_to_linker(&mut linker)?;
    wasi::add_to_linker(&mut linker)?;
    http::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether the host offers the interface that `import` names, as in `wasi:io/streams@0.2.6`.
pub(crate) fn is_offered(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    version.starts_with(WASI_LINE) && OFFERED.iter().any(|interfaces| interfaces.contains(&interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_of_the_line_is_offered_and_no_other() {
        assert!(is_offered("wasi:io/streams@0.2.0"));
        assert!(is_offered("wasi:http/types@0.2.12"));
        for other in ["wasi:io/streams", "wasi:io/streams@0.3.0", "wasi:keyvalue/store@0.2.0-draft", "x"] {
            assert!(!is_offered(other), "{other}");
        }
    }
}
