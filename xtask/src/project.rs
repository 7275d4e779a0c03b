//! Where things are in the project.

use std::path::{Path, PathBuf};

/// A path from the project's root.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join(relative)
}

/// The example functions, each a directory below `functions/`.
pub const FUNCTIONS: [&str; 5] = ["hello", "image", "markdown", "auth", "live"];

/// Guests for the host's tests and benches, beside the examples.
pub const TEST_GUESTS: [&str; 7] = ["foreign", "hostile", "raw", "raw3", "pages", "ready", "state"];

/// The component of an example, once it is built.
pub fn component(function: &str) -> PathBuf {
    path(&format!("target/functions/{function}.wasm"))
}

/// The release binary.
pub fn gust() -> PathBuf {
    path("target/release/gust")
}
