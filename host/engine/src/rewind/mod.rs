//! Rewinding: an instance that was used is put back to the state that instantiation left, and is as good as a new one.
//!
//! A call can change an instance's memory, its mutable globals, its tables, its segments and its handles. The host reaches
//! none of the first four from outside, so a component is [rewritten](rewrite::rewrite) when it is deployed: it gets
//! exports that say where its memory is and that save and restore its globals. A component that could change what is left
//! (tables, segments, objects of a heap besides the memory) is [not eligible](eligibility), and neither is one whose parts
//! cannot all be seen.
//!
//! What is here reads and writes the binary format and runs nothing. An index of the component or of a module never changes
//! its meaning, for everything new stands behind everything old: what was there is copied byte for byte.

mod component_appendix;
mod effect;
mod eligibility;
mod gatherer;
mod layout;
mod module;
mod module_appendix;
pub(crate) mod rewrite;
mod section;
#[cfg(test)]
mod tests;
