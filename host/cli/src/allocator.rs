//! The allocator, and how what it holds of freed memory goes back to the system.
//!
//! mimalloc keeps what is freed for a while and gives it back when it is next at work. A host that refuses requests because it has too
//! much memory does little, so it would go on to have it.
//!
//! `unsafe` is allowed in this module for one call of mimalloc's, which has no wrapper. It takes a flag, may be made by any thread at any
//! time, and touches nothing that is in use.

#![expect(unsafe_code, reason = "a call of the allocator that has no wrapper: see the module's description")]

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives back what is free.
pub(crate) fn give_back() {
    // SAFETY: the call has no conditions.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
