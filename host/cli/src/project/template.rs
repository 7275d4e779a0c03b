//! New projects: the templates and the SDK that go into them.
//!
//! A project in Rust carries its SDK along, in `vendor/gust-sdk`, so that it builds wherever Rust does. The templates are the
//! project's own example functions, so they cannot fall behind. Those in other languages are whole projects below
//! `templates/`, which need the world's text beside them.

use std::{borrow::Cow, fs, path::Path};

use anyhow::{Context as _, Result};
use gust_core::FunctionName;

use crate::args::Template;

/// A file by its path in a new project, and what is in it.
type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($from:literal to $to:literal: $($path:literal),* $(,)?) => {
        &[$((concat!($to, $path), include_bytes!(concat!("../../../../", $from, $path)).as_slice()),)*]
    };
}

/// The SDK's files; `wit` is a link in gust's own tree.
const SDK: &[File] = files!("guest-sdk/" to "vendor/gust-sdk/":
    "Cargo.toml", "README.md", "src/accept.rs", "src/arena.rs", "src/blob.rs", "src/bodies.rs", "src/config.rs", "src/error.rs",
    "src/exports.rs", "src/exports/initial.rs", "src/exports/service.rs", "src/exports/typed.rs",
    "src/exports/wasi_http.rs", "src/extract.rs", "src/handler.rs", "src/init.rs", "src/kv.rs", "src/lib.rs", "src/log.rs", "src/outgoing.rs", "src/response.rs",
    "src/streaming/arguments.rs", "src/streaming/events.rs", "src/streaming/fetch.rs", "src/streaming/incoming.rs",
    "src/streaming/mod.rs", "src/streaming/native.rs", "src/streaming/next.rs", "src/streaming/outgoing.rs",
    "macros/Cargo.toml", "macros/src/handler.rs", "macros/src/init.rs", "macros/src/lib.rs",
    "wit/function.wit", "wit/deps/wasi-clocks-0.3.2/package.wit", "wit/deps/wasi-http-0.3.2/package.wit", "wit/deps/gust-keyvalue-0.1.0/package.wit", "wit/deps/wasi-blobstore-0.2.0-draft/package.wit",
    "wit/deps/wasi-io-0.2.1/package.wit", "wit/deps/wasi-keyvalue-0.2.0-draft/package.wit",
    "wit/deps/wasi-keyvalue-0.2.0-draft2/package.wit", "wit/deps/wasi-logging-0.1.0-draft/package.wit",
);

const CARGO_CONFIG: &[File] = files!("functions/" to "": ".cargo/config.toml");

const HELLO: &[File] = files!("functions/hello/" to "": "Cargo.toml", "gust.toml", "src/lib.rs");

const IMAGE: &[File] = files!("functions/image/" to "":
    "Cargo.toml", "gust.toml", "src/decode.rs", "src/encode.rs", "src/geometry.rs", "src/lib.rs", "src/options.rs",
    "src/orientation.rs", "src/pixels.rs", "src/resize.rs",
);

/// The world, for languages whose tools read it.
const WORLD: &[File] = files!("wit/" to "wit/": "function.wit");

const PYTHON: &[File] = files!("templates/python/" to "":
    ".gitignore", "README.md", "app.py", "build.sh", "gust.toml", "requirements.txt",
);

const JAVASCRIPT: &[File] = files!("templates/javascript/" to "":
    ".gitignore", "README.md", "build.sh", "gust.toml", "package.json", "src/handler.js", "src/prepared.js",
);

const C: &[File] = files!("templates/c/" to "":
    ".gitignore", "README.md", "bindings/function.c", "bindings/function.h", "bindings/function_component_type.o",
    "build.sh", "gust.toml", "handler.c", "requirements.txt",
);

/// Release builds that are small and fast, with the names that a trap is told with; a workspace of its own, wherever the project stands.
const PROFILE: &str = "
[profile.release]
opt-level = 3
lto = true
codegen-units = 1
panic = \"abort\"
strip = \"debuginfo\"

[workspace]
";

/// Writes a new project into `dir`, which must not hold anything.
pub fn write(dir: &Path, name: &FunctionName, template: Template) -> Result<()> {
    match template {
        Template::Hello => rust(dir, name, HELLO, "hello"),
        Template::Image => rust(dir, name, IMAGE, "image"),
        Template::Python => whole(dir, name, PYTHON),
        Template::Javascript => whole(dir, name, JAVASCRIPT),
        Template::C => whole(dir, name, C),
    }
}

/// What to type in a new project, before it is deployed.
pub fn first_steps(template: Template) -> &'static str {
    match template {
        Template::Hello | Template::Image => "cargo test",
        Template::Python | Template::C => "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        Template::Javascript => "npm install",
    }
}

/// A project in Rust: an example, and the SDK.
fn rust(dir: &Path, name: &FunctionName, own: &[File], original: &str) -> Result<()> {
    for (path, content) in SDK.iter().chain(CARGO_CONFIG) {
        put(dir, path, content)?;
    }
    for (path, content) in own {
        match *path {
            "Cargo.toml" => put(dir, path, cargo_toml(&text(content), original, name))?,
            "gust.toml" => put(dir, path, renamed(&text(content), original, name))?,
            _ => put(dir, path, content)?,
        }
    }
    put(dir, ".gitignore", "/target\n")?;
    put(dir, "README.md", readme(name))
}

/// A project in another language, as it stands in gust's own tree but for its name, and the world.
fn whole(dir: &Path, name: &FunctionName, own: &[File]) -> Result<()> {
    for (path, content) in own.iter().chain(WORLD) {
        match *path {
            "gust.toml" => put(dir, path, renamed(&text(content), "hello", name))?,
            "README.md" => put(dir, path, text(content).replace("hello", name.as_str()))?,
            _ => put(dir, path, content)?,
        }
    }
    Ok(())
}

/// What is in a file of ours that is text.
fn text(content: &'static [u8]) -> Cow<'static, str> {
    String::from_utf8_lossy(content)
}

fn renamed(text: &str, original: &str, name: &FunctionName) -> String {
    text.replacen(&format!("name = {original:?}"), &format!("name = \"{name}\""), 1)
}

fn put(dir: &Path, path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let path = dir.join(path);
    let failed = || format!("{} cannot be written", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(failed)?;
    }
    fs::write(&path, content).with_context(failed)
}

/// An example's Cargo.toml as one that stands alone.
fn cargo_toml(text: &str, original: &str, name: &FunctionName) -> String {
    let text = renamed(text, original, name)
        .replace("version.workspace = true", "version = \"0.1.0\"")
        .replace("edition.workspace = true", "edition = \"2024\"")
        .replace("license.workspace = true\n", "")
        .replace("publish.workspace = true", "publish = false")
        .replace("gust-sdk.workspace = true", "gust-sdk = { path = \"vendor/gust-sdk\" }");
    format!("{text}{PROFILE}")
}

fn readme(name: &FunctionName) -> String {
    format!(
        "# {name}\n\nA function for gust and every other host of `wasi:http`.\n\n\
         ```\ncargo test        # the handler is a plain function\n\
         gust build        # makes one component\n\
         gust deploy       # builds and uploads it\n\
         gust logs -f {name}\n```\n\n\
         `gust.toml` says what it may use. `vendor/gust-sdk` is the SDK, so that this builds wherever Rust does.\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files_below(dir: &Path, prefix: &str, out: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                files_below(&entry.path(), &format!("{name}/"), out);
            } else {
                out.insert(name);
            }
        }
    }

    #[test]
    fn the_whole_sdk_is_carried_along() {
        let mut there = BTreeSet::new();
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk"), "vendor/gust-sdk/", &mut there);
        let carried: BTreeSet<String> = SDK.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(carried, there);
    }

    #[test]
    fn the_other_languages_templates_are_carried_whole() {
        for (language, files) in [("python", PYTHON), ("javascript", JAVASCRIPT), ("c", C)] {
            let mut there = BTreeSet::new();
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates").join(language);
            files_below(&dir, "", &mut there);
            let carried: BTreeSet<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(carried, there);
        }
        for template in [Template::Python, Template::Javascript, Template::C] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &"my-fn".parse().unwrap(), template).unwrap();
            let manifest = fs::read_to_string(dir.path().join("gust.toml")).unwrap();
            let manifest = gust_core::Manifest::parse(&manifest).unwrap();
            assert_eq!(manifest.name.unwrap().as_str(), "my-fn");
            assert!(manifest.build.command.is_some() && dir.path().join("wit/function.wit").exists());
            assert!(fs::read_to_string(dir.path().join("README.md")).unwrap().starts_with("# my-fn\n"));
        }
    }

    #[test]
    fn nothing_of_the_workspace_is_left() {
        for template in [Template::Hello, Template::Image] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), &"my-fn".parse().unwrap(), template).unwrap();
            let cargo = fs::read_to_string(dir.path().join("Cargo.toml")).unwrap();
            assert!(!cargo.contains("workspace = true") && cargo.contains("name = \"my-fn\""), "{cargo}");
            let manifest = fs::read_to_string(dir.path().join("gust.toml")).unwrap();
            let manifest = gust_core::Manifest::parse(&manifest).unwrap();
            assert_eq!(manifest.name.unwrap().as_str(), "my-fn");
        }
    }
}
