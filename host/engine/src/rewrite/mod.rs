//! The rewrite of a component at its deploy: it behaves as before, and an instance of it can be put back to the state that
//! instantiation left.
//!
//! A call can change an instance's memory, its mutable globals, its tables, its segments and its handles, and the host
//! reaches none of them from outside. So the component gets these exports, and the host looks for them by name:
//! - [`MEMORY`], `func() -> list<u8>`: a list that is all of the component's only memory, as large as it is at that moment;
//!   an empty list where it has grown to 4 GiB, which no list can be. To ask changes eight bytes of the memory, until the
//!   call is over. A list's address is all that wasmtime gives away of a memory. Nothing is copied, but wasmtime counts the
//!   list as if it were: the store's hostcall fuel must be as many units as the memory has bytes, or the call traps.
//! - [`SAVE`], `func()`: copies every mutable global to another that nothing else knows. Called once, on an instance that
//!   is as it is to be put back: instantiated, and initialised where that is wanted.
//! - [`RESET`], `func(handles: u32)`: copies them back, and puts the numbers that handles get in the order that they have in
//!   a new instance, for the order in which one request drops its handles could be seen by the next. Called while no handle
//!   is alive, with at least as many as were alive at once since the last time; [what holds otherwise](settler). It makes and
//!   drops that many.
//! - [`CHECK`], `func() -> u32`: how many mutable globals are not what was saved, bit for bit. References cannot be compared:
//!   of those only whether they are null.
//!
//! A component without mutable globals has neither [`SAVE`] nor [`CHECK`], and if it imports no type of a resource either, so
//! has no handles, there is nothing to [`RESET`]. Each export costs every instantiation a little, so there are no more.
//!
//! After a call of the typed handler the globals may be as they were saved already: where [one function](handler) is called at
//! the end of each, that puts them back too. The host then need not ask for it, and [is told so](Rewrite::Rewindable).
//!
//! A component that could change what is left (tables, segments, objects of a heap besides the memory) is [not
//! eligible](eligibility), and neither is one whose parts cannot all be seen.
//!
//! What is here reads and writes the binary format and runs nothing. An index of the component or of a module never changes
//! its meaning, for everything new stands behind everything old: what was there is copied byte for byte, but for the
//! export of that one function.

mod component_appendix;
mod core_functions;
mod effect;
mod eligibility;
mod exports;
mod gatherer;
mod globals;
mod handler;
mod layout;
mod module;
mod module_appendix;
mod resources;
mod section;
mod settler;
#[cfg(test)]
pub(crate) mod tests;

use gust_core::{Code, Problem};
use wasmparser::{Error, Parser};

use self::{handler::PostReturn, layout::Layout};

/// What all names begin with that the rewrite exports, from components and from modules.
pub(crate) const PREFIX: &str = "gust-rewind";

/// Says where the memory is, and how large.
pub(crate) const MEMORY: &str = "gust-rewind-memory";

/// Saves the mutable globals.
pub(crate) const SAVE: &str = "gust-rewind-save";

/// Restores the mutable globals as they were saved, and puts the numbers of handles in order.
pub(crate) const RESET: &str = "gust-rewind-reset";

/// Counts the mutable globals that are not as they were saved.
pub(crate) const CHECK: &str = "gust-rewind-check";

/// What came of a component.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// An instance of it can be put back.
    Rewindable {
        /// The component, rewritten.
        component: Vec<u8>,
        /// Whether every call of its typed handler that returns has put the globals back.
        restores_itself: bool,
    },
    /// It cannot be put back. The reason is one sentence for the function's owner.
    Not(String),
}

/// Rewrites `component` so that its instances can be put back to the state that instantiation left, where that can be
/// done without leaving anything behind. Fails where the bytes are no component.
pub(crate) fn rewrite(component: &[u8]) -> Result<Rewrite, Problem> {
    if !Parser::is_component(component) {
        return Err(Problem::new(Code::ComponentMalformed, "it does not begin as a component does"));
    }
    let malformed = |error: Error| Problem::new(Code::ComponentMalformed, format!("{error}"));
    let types = layout::validate(component).map_err(malformed)?;
    let layout = Layout::read(component, types.as_ref()).map_err(malformed)?;
    let home = match eligibility::check(&layout) {
        Ok(home) => home,
        Err(reason) => return Ok(Rewrite::Not(reason)),
    };
    let post_return = PostReturn::of(&layout, types.as_ref());
    match component_appendix::appended(&layout, home, post_return).and_then(valid) {
        Ok(component) => Ok(Rewrite::Rewindable { component, restores_itself: post_return.is_some() }),
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
