//! A data directory that was damaged: the host opens it or says why not, and what it serves then is what was stored.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::LazyLock,
};

use gust_core::{Digest, Limits};
use gust_engine::{ArtifactKey, Engine};
use gust_store::{Store, StoreError, StoredFunction};
use tokio::runtime::Runtime;

use crate::{
    bench,
    damage::{Files, damage},
    stored, typed,
};

/// A whole data directory, as a host that was killed leaves it.
struct Template {
    files: Files,
    functions: Vec<StoredFunction>,
    components: [Vec<u8>; 3],
    keys: [ArtifactKey; 3],
    engine: Engine,
    runtime: Runtime,
}

static TEMPLATE: LazyLock<Template> = LazyLock::new(Template::new);

/// What is done to the files, one thing after the other.
pub fn store(data: &[u8]) {
    let mut files = TEMPLATE.files.clone();
    damage(&mut files, data);
    let dir = bench::scratch();
    write(dir.path(), &files);
    let recovered = recover(dir.path(), &files);
    if let Err(error) = recovered {
        assert!(!error.to_string().is_empty() && files != TEMPLATE.files, "{error}");
    }
}

impl Template {
    fn new() -> Self {
        let (dir, engine) = (bench::scratch(), bench::engine());
        let whole = typed::component(typed::ECHO);
        // A custom section that is called so, and is empty.
        let another = |name: u8| [&*whole, &[0, 2, 1, name]].concat();
        let components = [whole.clone(), another(b'a'), another(b'b')];
        let store = Store::open(dir.path()).unwrap();
        let artifacts = stored::artifacts(&engine, dir.path(), &store.key("artifact").unwrap());
        for (name, component) in ["one", "one", "two"].into_iter().zip(&components) {
            stored::publish(&store, name, component, "").unwrap();
        }
        let keys = components.each_ref().map(|component| stored::compile(&engine, &artifacts, component));
        store.admin_token().unwrap();
        let mut files = Files::new();
        // The store is open, so that the database's log is there.
        read(dir.path(), dir.path(), &mut files);
        let functions = functions(&store).unwrap();
        Self { files, functions, components, keys, engine, runtime: bench::runtime() }
    }
}

/// Opens the directory as a host does, and looks at all that there is.
fn recover(dir: &Path, files: &Files) -> Result<(), StoreError> {
    let store = Store::open(dir)?;
    let functions = functions(&store)?;
    for version in functions.iter().flat_map(|function| &function.targets) {
        if store.verify(&version.digest).is_ok() {
            let component = fs::read(store.component_path(&version.digest)).unwrap();
            assert_eq!(Digest::of(&component), version.digest);
        }
    }
    if is_whole(files, "gust.db") {
        assert_eq!(functions, TEMPLATE.functions);
    }
    store.admin_token()?;
    load(dir, &store.key("artifact")?, files);
    stored::publish(&store, "two", &TEMPLATE.components[0], "")?;
    store.verify(&TEMPLATE.keys[0].digest)
}

fn functions(store: &Store) -> Result<Vec<StoredFunction>, StoreError> {
    let mut functions = Vec::new();
    store.each_function(|function| functions.push(function))?;
    for function in &functions {
        store.versions(&function.name)?;
    }
    Ok(functions)
}

/// Whether everything is as it was whose path begins so.
fn is_whole(files: &Files, prefix: &str) -> bool {
    let these = |files: &Files| {
        let these = files.iter().filter(|(path, _)| path.to_string_lossy().starts_with(prefix));
        these.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Vec<_>>()
    };
    these(files) == these(&TEMPLATE.files)
}

/// Loads what passes for machine code of this host: only what it made itself does.
fn load(dir: &Path, key: &[u8], files: &Files) {
    let artifacts = stored::artifacts(&TEMPLATE.engine, dir, key);
    for key in &TEMPLATE.keys {
        let loaded = artifacts.load(&TEMPLATE.engine, key, &bench::config(&Limits::default())).unwrap();
        let Some(function) = loaded else { continue };
        let is_of_key =
            |path: &Path| path.to_string_lossy().contains(&key.digest.to_string()) && path.starts_with("artifacts");
        let (path, bytes) = files.iter().find(|(path, _)| is_of_key(path)).unwrap();
        assert!(TEMPLATE.files.get(path) == Some(bytes), "{}", path.display());
        let answer = TEMPLATE.runtime.block_on(bench::call(&function, b"body")).unwrap();
        assert_eq!(answer.body(), "=body".as_bytes());
    }
}

fn read(root: &Path, dir: &Path, files: &mut Files) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
}

fn write(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}
