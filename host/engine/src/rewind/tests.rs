//! Tests that a component's instances are put back, through the engine and part by part.
//!
//! They do nothing on a machine where instances are not put back at all.

mod bench;
mod canary;
mod exact;
mod generated;
mod globals;
mod idle;
mod pages;
