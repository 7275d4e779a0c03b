//! The memory that this guest writes to has to be there from the beginning: one that grew cannot be put back. What is said
//! here comes after what `functions/.cargo/config.toml` says, and the linker takes the last.

/// 10,000 pages of 4 KiB, and room for the rest, in whole pages of WebAssembly.
const INITIAL_MEMORY_BYTES: usize = 42 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg=--initial-memory={INITIAL_MEMORY_BYTES}");
    }
}
