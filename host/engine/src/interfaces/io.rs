//! `wasi:io` 0.2: streams, pollables and errors.
//!
//! Linked to the resource table alone: a guest that only reads and writes streams, as every `wasi:http` guest does, never
//! makes the host build the rest of a WASI context.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi_io::{IoView, bindings::wasi::io};

use crate::host::Host;

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] = &["wasi:io/error", "wasi:io/poll", "wasi:io/streams"];

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<Host, Table>(linker, Host::table)?;
    io::poll::add_to_linker::<Host, Table>(linker, Host::table)?;
    io::streams::add_to_linker::<Host, Table>(linker, Host::table)
}
