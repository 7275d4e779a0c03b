//! What holds the house together: which way dependencies point, and what is written where.
//!
//! The dependency rules are checked against `cargo metadata`, the others against the sources. A rule that is broken names
//! the place and what to do instead. Each rule is itself tested on a text that breaks it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// For each of our crates, which others of ours it may depend on.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("gust-core", &[]),
    ("gust-access", &["gust-core"]),
    ("gust-engine", &["gust-core"]),
    ("gust-store", &["gust-core"]),
    ("gust-server", &["gust-access", "gust-core", "gust-engine", "gust-store"]),
    ("gust-toolchain", &[]),
    ("gust", &["gust-core", "gust-server", "gust-toolchain"]),
    ("gust-benches", &["gust-access", "gust-core", "gust-engine"]),
    ("gust-fuzz", &["gust-core", "gust-engine", "gust-server", "gust-store"]),
    ("gust-sdk-macros", &[]),
    ("gust-sdk", &["gust-sdk-macros"]),
    ("xtask", &["gust-toolchain"]),
];

/// For the beginnings of crates' names, which of our crates may name them.
const RESERVED: &[(&str, &[&str])] = &[
    ("wasmtime", &["gust-engine", "gust-benches"]),
    ("hyper", &["gust-server", "gust-benches"]),
    ("axum", &["gust-server"]),
    ("rusqlite", &["gust-store"]),
    ("aws-lc", &["gust-access"]),
    ("tokio", &["gust-engine", "gust-server", "gust-benches", "gust-fuzz"]),
];

/// A rule about lines: what must not stand in which files, and what to do instead.
struct Rule {
    forbidden: &'static [&'static str],
    /// Beginnings of paths that the rule is about.
    within: &'static [&'static str],
    /// Beginnings of paths that are exempt.
    except: &'static [&'static str],
    instead: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        forbidden: &["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"],
        within: &[""],
        except: &[
            "host/cli/src/allocator.rs",
            "host/engine/src/artifact.rs",
            "host/engine/src/rewind/pages.rs",
            "guest-sdk/src/arena.rs",
            // A guest that looks at all of its own memory.
            "functions/hostile/src/smuggle.rs",
            "xtask/tests/tidy.rs",
        ],
        instead: "unsafe code lives in host/engine/src/artifact.rs, rewind/pages.rs, host/cli/src/allocator.rs and the SDK's arena.rs only",
    },
    Rule {
        forbidden: &["StatusCode::"],
        within: &["host/"],
        except: &["host/server/src/status.rs", "host/engine/src/call/head.rs"],
        instead: "give the problem a Code; host/server/src/status.rs alone turns codes into statuses",
    },
    Rule {
        forbidden: &["std::env", "env::var", "env::args"],
        within: &["host/"],
        except: &[
            "host/cli/src/environment.rs",
            "host/toolchain/",
            "host/store/tests/",
            "host/cli/tests/",
            "host/engine/src/rewind/tests/",
        ],
        instead: "read the environment in host/cli/src/environment.rs and pass what was read",
    },
    Rule {
        forbidden: &["std::fs", "SystemTime", "Instant", "std::net::Tcp", "std::process"],
        within: &["host/core/src/", "host/access/src/"],
        except: &[],
        instead: "gust-core and gust-access are pure: take what is needed as an argument",
    },
    Rule {
        forbidden: &["todo!(", "unimplemented!(", "FIXME", "#[ignore", "#[allow(", "#![allow("],
        within: &[""],
        except: &["xtask/tests/tidy.rs"],
        instead: "finish it; a lint that must be off is #[expect(lint, reason = \"...\")]",
    },
];

/// The longest file, in lines.
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What a file breaks, by its path from the root.
fn broken(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    if !text.starts_with("//! ") {
        broken.push(format!("{path}:1: begin with a `//!` header that says what the file is and why"));
    }
    if text.lines().count() > LINES_MAX {
        broken.push(format!("{path}: more than {LINES_MAX} lines; one idea a file"));
    }
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for rule in RULES {
            let applies = rule.within.iter().any(|prefix| path.starts_with(prefix));
            let exempt = rule.except.iter().any(|prefix| path.starts_with(prefix));
            if let Some(found) = rule.forbidden.iter().find(|text| code.contains(**text)).filter(|_| applies && !exempt)
            {
                broken.push(format!("{path}:{}: `{found}`: {}", number + 1, rule.instead));
            }
        }
    }
    broken.extend(unexplained_unsafe(path, text));
    broken
}

/// Each unsafe block is preceded by a comment that says why it is sound.
fn unexplained_unsafe(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_block = |line: &&str| line.contains("unsafe {") && !line.trim_start().starts_with("//");
    let at = lines.iter().enumerate().filter(|(_, line)| is_block(line) && !path.ends_with("tidy.rs"));
    at.filter(|(number, _)| {
        let before = &lines[number.saturating_sub(6)..*number];
        !before.iter().any(|line| line.trim_start().starts_with("// SAFETY:"))
    })
    .map(|(number, _)| format!("{path}:{}: say above it why it is sound: `// SAFETY: ...`", number + 1))
    .collect()
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn sources_keep_the_rules() {
    let (root, mut files) = (root(), Vec::new());
    sources(&root, &mut files);
    assert!(files.len() > 50, "the sources were not found");
    let broken: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            broken(&path, &fs::read_to_string(file).unwrap())
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// What a crate's direct dependencies break.
fn broken_dependencies(name: &str, dependencies: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name) else {
        return vec![format!("{name}: a new crate; say in MAY_DEPEND_ON what it may depend on")];
    };
    let mut broken = Vec::new();
    for dependency in dependencies {
        let is_ours = MAY_DEPEND_ON.iter().any(|(crate_name, _)| crate_name == dependency);
        if is_ours && !allowed.contains(dependency) {
            broken.push(format!("{name} depends on {dependency}; it may depend on {allowed:?}"));
        }
        for (prefix, owners) in RESERVED {
            if dependency.starts_with(prefix) && !owners.contains(&name) {
                broken.push(format!("{name} depends on {dependency}; only {owners:?} may"));
            }
        }
    }
    broken
}

/// The packages of a workspace with their direct dependencies (development ones too).
fn packages(manifest: &Path) -> Vec<(String, Vec<String>)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"]).arg(manifest);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|p| (text(p), p["dependencies"].as_array().unwrap().iter().map(text).collect())).collect()
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages(&root().join("Cargo.toml"));
    assert_eq!(packages.len(), MAY_DEPEND_ON.len(), "{packages:?}");
    let broken: Vec<String> = packages
        .iter()
        .flat_map(|(name, dependencies)| {
            broken_dependencies(name, &dependencies.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn functions_reach_only_the_sdk() {
    for (name, dependencies) in packages(&root().join("functions/Cargo.toml")) {
        let ours = dependencies.iter().filter(|dependency| dependency.starts_with("gust"));
        assert!(ours.clone().all(|dependency| dependency == "gust-sdk"), "{name} depends on {ours:?}");
    }
}

#[test]
fn every_rule_can_be_broken() {
    let head = "//! A header.\n";
    for (path, text, expected) in [
        ("host/server/src/data/route.rs", "fn f() { unsafe { g() } }", "unsafe code lives"),
        ("host/server/src/data/route.rs", "let s = StatusCode::OK;", "status.rs alone"),
        ("host/server/src/serve.rs", "let v = std::env::var(\"X\");", "environment.rs"),
        ("host/core/src/name.rs", "use std::time::SystemTime;", "are pure"),
        ("host/access/src/jwt.rs", "let now = SystemTime::now();", "are pure"),
        ("host/core/src/name.rs", "fn f() { todo!() }", "finish it"),
        ("host/engine/src/artifact.rs", "fn f() { unsafe { g() } }", "SAFETY"),
    ] {
        let broken = broken(path, &format!("{head}{text}\n"));
        assert!(broken.iter().any(|line| line.contains(expected)), "{text}: {broken:?}");
    }
    assert!(broken("a.rs", "fn f() {}\n").iter().any(|line| line.contains("header")));
    assert!(broken("a.rs", &format!("{head}{}", "\n".repeat(LINES_MAX))).iter().any(|line| line.contains("one idea")));
    assert!(broken("host/engine/src/artifact.rs", "//! H\n// SAFETY: it is.\nunsafe { g() }\n").is_empty());
    for (name, dependency) in [
        ("gust-core", "gust-store"),
        ("gust-access", "gust-store"),
        ("gust-access", "tokio"),
        ("gust-store", "wasmtime"),
        ("gust-server", "aws-lc-rs"),
        ("gust", "hyper"),
        ("new", "x"),
    ] {
        assert_eq!(broken_dependencies(name, &[dependency]).len(), 1, "{name} {dependency}");
    }
}
