//! Where things are in the project.

use std::path::{Path, PathBuf};

/// A path from the project's root.
pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join(relative)
}

/// The example functions, each in a [`directory`] of its own.
pub const FUNCTIONS: [&str; 10] =
    ["hello", "image", "markdown", "auth", "gate", "live", "shop-products", "shop-cart", "shop-checkout", SHOP];

/// The shop's pages. What they call is named `shop-...`.
pub const SHOP: &str = "shop";

/// The shop's search, which is in JavaScript.
pub const SHOP_SEARCH: &str = "shop-search";

/// Guests for the host's tests and benches, beside the examples.
pub const TEST_GUESTS: [&str; 7] = ["foreign", "hostile", "raw", "raw3", "pages", "ready", "state"];

/// The component of an example, once it is built.
pub fn component(function: &str) -> PathBuf {
    path(&format!("target/functions/{function}.wasm"))
}

/// The directory of an example: the shop's functions are together in one.
pub fn directory(function: &str) -> PathBuf {
    let functions = path("functions");
    match function.strip_prefix("shop-") {
        Some(service) => functions.join(SHOP).join(service),
        None if function == SHOP => functions.join(SHOP).join("front"),
        None => functions.join(function),
    }
}

/// The release binary.
pub fn gust() -> PathBuf {
    path("target/release/gust")
}
