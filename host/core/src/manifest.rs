//! placeholder
/// placeholder
pub struct Manifest;
