//! Compiled components on disk: machine code that is run as it is found, so it is believed only with proof.
//!
//! Each artifact is one file, `<dir>/<engine>/<digest>.<mode>.cwasm`: what [`compile`](crate::compile()) made, then 32 bytes of
//! HMAC-SHA256 (RFC 2104) under a key that only this host has, over the engine's tag, the component's digest, the mode and the
//! rest. A
//! file that was cut short, damaged, copied from another host or renamed to another component's digest fails the check,
//! is deleted, and the component is compiled anew. What passes is mapped, not read, by wasmtime.
//!
//! `unsafe` is allowed in this module because wasmtime cannot check machine code: that it comes from `compile` of this
//! very engine is what the proof is for.

#![expect(unsafe_code, reason = "loading machine code: see the module's description")]

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    fs::{self, File},
    hash::{Hash, Hasher as _},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use gust_core::{Code, Digest, InstanceMode, Problem};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::{Engine, Function, FunctionConfig, verdict::Verdict};

/// Bytes of the proof at the end of a file.
const PROOF_BYTES: u64 = 32;

/// Changed whenever an artifact means something else: another verdict, or other functions that the rewrite adds.
const FORMAT: u32 = 2;

/// Bytes read at a time while a proof is checked.
const CHUNK_BYTES: usize = 256 << 10;

/// Compiled components of one engine, on disk.
pub struct ArtifactCache {
    dir: PathBuf,
    engine_tag: String,
    mac: Hmac<Sha256>,
}

impl ArtifactCache {
    /// Opens the artifacts of `engine` in `dir`, which only the host may write to, and removes those of other engines.
    /// `key` is secret and stays the same from start to start.
    pub fn open(engine: &Engine, dir: &Path, key: &[u8]) -> io::Result<Self> {
        let engine_tag = tag(engine.wasmtime());
        let own = dir.join(&engine_tag);
        fs::create_dir_all(&own)?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name() != *engine_tag && entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let mac = Hmac::new_from_slice(key).map_err(io::Error::other)?;
        Ok(Self { dir: own, engine_tag, mac })
    }

    /// Keeps what [`compile`](crate::compile()) made of the component with this digest in this mode. Durable when it returns.
    pub fn insert(&self, digest: &Digest, mode: InstanceMode, artifact: &[u8]) -> io::Result<()> {
        let mut mac = self.begin(digest, mode);
        mac.update(artifact);
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(artifact)?;
        file.write_all(&mac.finalize().into_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.path(digest, mode))?;
        File::open(&self.dir)?.sync_all()
    }

    /// Loads and links the component with this digest; none where it has to be compiled (again).
    pub fn load(&self, engine: &Engine, digest: &Digest, config: FunctionConfig) -> Result<Option<Function>, Problem> {
        let mode = self.mode(engine, config.instance);
        let path = self.path(digest, mode);
        match self.is_proven(digest, mode, &path) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(%digest, "an artifact is not what this host compiled; it is compiled anew");
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                tracing::warn!(%digest, %error, "an artifact cannot be read; it is compiled anew");
                return Ok(None);
            }
        }
        // SAFETY: the file holds what `compile` serialized, for the proof under this host's key was checked just now over
        // all of it, and nobody but this host writes to the directory, so it stays so while it is mapped.
        let loaded = unsafe { Component::deserialize_file(engine.wasmtime(), &path) };
        let component = match loaded {
            Ok(component) => component,
            Err(error) => return Err(self.too_large_or_foreign(engine, &path, &error)),
        };
        component.initialize_copy_on_write_image().map_err(|error| {
            Problem::new(Code::Internal, "the component's memory image could not be made")
                .with_internal(error.to_string())
        })?;
        let verdict = verdict(&path).map_err(|error| {
            Problem::new(Code::Internal, "the compiled component cannot be read").with_internal(error.to_string())
        })?;
        Function::link(engine, &component, config, verdict).map(Some)
    }

    /// Removes all artifacts but those of `digests`, and what interrupted inserts left. For a host that starts, before
    /// anything is inserted.
    pub fn retain(&self, digests: &[Digest]) -> io::Result<()> {
        let modes = |digest| [InstanceMode::Rewind, InstanceMode::Fresh].map(|mode| self.path(digest, mode));
        let kept: HashSet<PathBuf> = digests.iter().flat_map(modes).collect();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !kept.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// wasmtime refuses a component that no slot of the pool can hold when it is loaded.
    fn too_large_or_foreign(&self, engine: &Engine, path: &Path, error: &wasmtime::Error) -> Problem {
        let bytes_max = engine.settings().memory_bytes_max;
        tracing::debug!(path = %path.display(), %error, "a component was not loaded");
        let detail = format!("an instance may have {bytes_max} bytes of memory (memory_mib_max): {error:#}");
        Problem::new(Code::ComponentTooLarge, detail)
    }

    /// The mode in which a component has to be compiled for functions that ask for `wanted`.
    pub fn mode(&self, engine: &Engine, wanted: InstanceMode) -> InstanceMode {
        if engine.can_rewind() { wanted } else { InstanceMode::Fresh }
    }

    fn path(&self, digest: &Digest, mode: InstanceMode) -> PathBuf {
        self.dir.join(format!("{digest}.{mode}.cwasm"))
    }

    fn begin(&self, digest: &Digest, mode: InstanceMode) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(self.engine_tag.as_bytes());
        mac.update(digest.as_bytes());
        mac.update(mode.to_string().as_bytes());
        mac
    }

    fn is_proven(&self, digest: &Digest, mode: InstanceMode, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        let Some(code_bytes) = file.metadata()?.len().checked_sub(PROOF_BYTES) else { return Ok(false) };
        let mut mac = self.begin(digest, mode);
        let mut code = (&mut file).take(code_bytes);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = code.read(&mut chunk)?;
            if read == 0 {
                break;
            }
            mac.update(chunk.get(..read).unwrap_or_default());
        }
        let mut proof = Vec::new();
        file.read_to_end(&mut proof)?;
        Ok(mac.verify_slice(&proof).is_ok())
    }
}

/// Whether the component's instances can be put back, from the end of a file that is proven.
fn verdict(path: &Path) -> io::Result<Verdict> {
    let mut file = File::open(path)?;
    let compiled_bytes = file.metadata()?.len().saturating_sub(PROOF_BYTES);
    file.seek(SeekFrom::Start(compiled_bytes.saturating_sub(Verdict::TAIL_BYTES_MAX)))?;
    let mut tail = Vec::new();
    file.take(compiled_bytes.min(Verdict::TAIL_BYTES_MAX)).read_to_end(&mut tail)?;
    Verdict::of(&tail).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Names everything that an artifact depends on: this crate's version, what it makes of one, and whatever wasmtime says shapes its code.
fn tag(engine: &wasmtime::Engine) -> String {
    let mut hasher = DefaultHasher::new();
    FORMAT.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}
