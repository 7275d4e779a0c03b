//! The rewrite of a component at its deploy: it behaves as before and can be put back.
//!
//! The component gets these exports, and the host looks for them by name:
//! - [`MEMORY`], `func() -> list<u8>`: a list that begins at the first byte of the component's only memory. To ask changes
//!   eight bytes of the memory, until the call is over. A list's address is all that wasmtime gives away of a memory.
//! - [`SAVE`], `func()`: copies every mutable global to another that nothing else knows. Called once, on an instance that
//!   is as it is to be put back: instantiated, and initialised where that is wanted.
//! - [`RESTORE`], `func()`: copies them back.
//!
//! A component without mutable globals has only the first.

use gust_core::{Code, Problem};
use wasmparser::{Error, Parser};

use super::{
    component_appendix, eligibility,
    layout::{self, Layout},
};

/// What all names begin with that the rewrite exports, from components and from modules.
pub(crate) const PREFIX: &str = "gust-rewind";

/// Says where the memory is.
pub(crate) const MEMORY: &str = "gust-rewind-memory";

/// Saves the mutable globals.
pub(crate) const SAVE: &str = "gust-rewind-save";

/// Restores the mutable globals as they were saved.
pub(crate) const RESTORE: &str = "gust-rewind-restore";

/// What came of a component.
#[derive(Debug)]
pub enum Rewrite {
    /// The component, rewritten: an instance of it can be put back.
    Rewindable(Vec<u8>),
    /// It cannot be put back. The reason is one sentence for the function's owner.
    Not(String),
}

/// Rewrites `component` so that its instances can be put back to the state that instantiation left, where that can be
/// done without leaving anything behind. Fails where the bytes are no component.
pub fn rewrite(component: &[u8]) -> Result<Rewrite, Problem> {
    if !Parser::is_component(component) {
        return Err(Problem::new(Code::ComponentMalformed, "it does not begin as a component does"));
    }
    let malformed = |error: Error| Problem::new(Code::ComponentMalformed, format!("{error}"));
    let layout = Layout::read(component).map_err(malformed)?;
    let home = match eligibility::check(&layout) {
        Ok(home) => home,
        Err(reason) => return Ok(Rewrite::Not(reason)),
    };
    match component_appendix::appended(&layout, home).and_then(valid) {
        Ok(rewritten) => Ok(Rewrite::Rewindable(rewritten)),
        Err(error) => {
            tracing::debug!(%error, "a component could not be rewritten");
            Ok(Rewrite::Not("it could not be rewritten so that it stays valid".to_owned()))
        }
    }
}

fn valid(rewritten: Vec<u8>) -> Result<Vec<u8>, Error> {
    layout::validate(&rewritten)?;
    Ok(rewritten)
}
