//! Compiled components on disk: machine code that is run as it is found, so it is believed only with proof.
//!
//! Each artifact is one file, `<dir>/<engine>/<digest>.<mode>.<tier>.cwasm`: what [`compile`](crate::compile()) made, then 32
//! bytes of keyed BLAKE3 (<https://github.com/BLAKE3-team/BLAKE3-specs>), which takes a first call less time than
//! HMAC-SHA256, under a key that only this host has, over the engine's tag, the component's digest, the mode, the tier and
//! the rest. A file that was cut short, damaged, copied from another host or renamed to another component's digest fails the
//! check, is deleted, and the component is compiled anew. So nothing is lost with a file that a crash cut short, and none is
//! waited for until it is on the disk. What passes is mapped, not read, by wasmtime. It is remembered which file passed, as
//! long as nothing changes it: a function that comes and goes is checked once.
//!
//! `unsafe` is allowed in this module because wasmtime cannot check machine code: that it comes from `compile` of this
//! very engine is what the proof is for; and to give back pages that only loading needs.

#![expect(unsafe_code, reason = "loading machine code: see the module's description")]

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    fs::{self, File},
    hash::{Hash as _, Hasher as _},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use blake3::Hasher;
use gust_core::{Code, Digest, InstanceMode, Problem, Tier};
use rustix::mm::{Advice, madvise};
use tempfile::NamedTempFile;
use wasmtime::component::Component;

use crate::{
    Engine, Function, FunctionConfig,
    settings::{MEMORIES_PER_COMPONENT_MAX, TABLE_ELEMENTS_MAX, TABLES_PER_COMPONENT_MAX},
    verdict::Verdict,
};

/// Bytes of the proof at the end of a file.
const PROOF_BYTES: u64 = 32;

/// Changed whenever an artifact means something else: another verdict, or other functions that the rewrite adds.
const FORMAT: u32 = 5;

/// What the key is derived for, so that the same secret used for anything else proves nothing here.
const KEY_CONTEXT: &str = "gust 2026-11-24 compiled components";

/// What the names of artifacts end with.
const SUFFIX: &str = ".cwasm";

/// Which artifact: of which component, made for which instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArtifactKey {
    /// The component.
    pub digest: Digest,
    /// What it was compiled for.
    pub mode: InstanceMode,
}

/// Compiled components of one engine, on disk.
pub struct ArtifactCache {
    dir: PathBuf,
    engine_tag: String,
    mac: Hasher,
    proven: Mutex<HashMap<(ArtifactKey, Tier), FileState>>,
}

/// Which file, and when it was changed last. The kernel changes this with every change of the file, whoever makes it.
#[derive(PartialEq, Eq)]
struct FileState {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileState {
    fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self { inode: about.ino(), bytes: about.len(), changed: (about.ctime(), about.ctime_nsec()) })
    }
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
        let mac = Hasher::new_keyed(&blake3::derive_key(KEY_CONTEXT, key));
        Ok(Self { dir: own, engine_tag, mac, proven: Mutex::default() })
    }

    /// A file for what [`compile`](crate::compile()) makes, to be [kept](Self::keep). Gone when it is dropped.
    pub fn stage(&self) -> io::Result<NamedTempFile> {
        // It may have been removed: what is in it can be made anew.
        fs::create_dir_all(&self.dir)?;
        NamedTempFile::new_in(&self.dir)
    }

    /// Keeps what was compiled into a file of [`stage`](Self::stage), with its proof. The optimised code takes the quick one's
    /// place.
    pub fn keep(&self, key: &ArtifactKey, tier: Tier, mut staged: NamedTempFile) -> io::Result<()> {
        let mut mac = self.begin(key, tier);
        let file = staged.as_file_mut();
        file.rewind()?;
        mac.update_reader(&mut *file)?;
        file.write_all(mac.finalize().as_bytes())?;
        let file = staged.persist(self.path(key, tier))?;
        self.remember(key, tier, &file)?;
        if tier == Tier::Optimised {
            // Where it cannot be removed it is in nobody's way.
            let _ = fs::remove_file(self.path(key, Tier::Quick));
            self.known().remove(&(*key, Tier::Quick));
        }
        Ok(())
    }

    /// Keeps what [`compile`](crate::compile()) made.
    pub fn insert(&self, key: &ArtifactKey, tier: Tier, artifact: &[u8]) -> io::Result<()> {
        let mut staged = self.stage()?;
        staged.write_all(artifact)?;
        self.keep(key, tier, staged)
    }

    /// Whether there is such an artifact. It may be damaged all the same.
    pub fn holds(&self, key: &ArtifactKey, tier: Tier) -> bool {
        self.path(key, tier).exists()
    }

    /// Loads and links a component, from the best code there is; none where it has to be compiled (again).
    pub fn load(
        &self,
        engine: &Engine,
        key: &ArtifactKey,
        config: &FunctionConfig,
    ) -> Result<Option<Function>, Problem> {
        for tier in Tier::BEST_FIRST {
            if let Some(file) = self.proven(key, tier) {
                return link(engine, file, config, tier).map(Some);
            }
        }
        Ok(None)
    }

    /// Removes all artifacts but those that `is_needed`, and what interrupted inserts left. For a host that starts, before
    /// anything is compiled. Gives those of which there is only quick code.
    pub fn retain(&self, is_needed: impl Fn(&ArtifactKey) -> bool) -> io::Result<Vec<ArtifactKey>> {
        let mut quick = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            match entry.file_name().to_str().and_then(key_of).filter(|(key, _)| is_needed(key)) {
                Some((key, Tier::Quick)) => quick.push(key),
                Some((_, Tier::Optimised)) => {}
                None => fs::remove_file(entry.path())?,
            }
        }
        quick.retain(|key| !self.holds(key, Tier::Optimised));
        Ok(quick)
    }

    /// The mode in which a component has to be compiled for functions that ask for `wanted`.
    pub fn mode(&self, engine: &Engine, wanted: InstanceMode) -> InstanceMode {
        if engine.can_rewind() { wanted } else { InstanceMode::Fresh }
    }

    fn path(&self, key: &ArtifactKey, tier: Tier) -> PathBuf {
        self.dir.join(format!("{}.{}.{tier}{SUFFIX}", key.digest, key.mode))
    }

    fn begin(&self, key: &ArtifactKey, tier: Tier) -> Hasher {
        let mut mac = self.mac.clone();
        mac.update(self.engine_tag.as_bytes());
        mac.update(key.digest.as_bytes());
        mac.update(key.mode.to_string().as_bytes());
        mac.update(tier.as_str().as_bytes());
        mac
    }

    /// An artifact that is what this host made; none where there is none, or another thing in its place, which is removed.
    fn proven(&self, key: &ArtifactKey, tier: Tier) -> Option<File> {
        let (path, digest) = (self.path(key, tier), key.digest);
        let opened = File::open(&path).and_then(|mut file| Ok((self.is_proven(key, tier, &mut file)?, file)));
        match opened {
            Ok((true, file)) => Some(file),
            Ok((false, _)) => {
                tracing::warn!(%digest, %tier, "an artifact is not what this host compiled; it is compiled anew");
                let _ = fs::remove_file(&path);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%digest, %tier, %error, "an artifact cannot be read; it is compiled anew");
                None
            }
        }
    }

    fn is_proven(&self, key: &ArtifactKey, tier: Tier, file: &mut File) -> io::Result<bool> {
        let now = FileState::of(file)?;
        if self.known().get(&(*key, tier)) == Some(&now) {
            return Ok(true);
        }
        let Some(code_bytes) = now.bytes.checked_sub(PROOF_BYTES) else { return Ok(false) };
        let mut mac = self.begin(key, tier);
        mac.update_reader(Read::by_ref(file).take(code_bytes))?;
        let mut proof = Vec::new();
        file.read_to_end(&mut proof)?;
        // In constant time.
        let is_proven = blake3::Hash::from_slice(&proof).is_ok_and(|proof| proof == mac.finalize());
        if is_proven {
            // As it was before it was read: what was changed meanwhile is checked again.
            self.known().insert((*key, tier), now);
        }
        Ok(is_proven)
    }

    fn remember(&self, key: &ArtifactKey, tier: Tier, file: &File) -> io::Result<()> {
        self.known().insert((*key, tier), FileState::of(file)?);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(ArtifactKey, Tier), FileState>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads and links what is in a file that is proven.
fn link(engine: &Engine, mut file: File, config: &FunctionConfig, tier: Tier) -> Result<Function, Problem> {
    let verdict = verdict(&mut file).map_err(|error| {
        Problem::new(Code::Internal, "the compiled component cannot be read").with_internal(error.to_string())
    })?;
    let pool = engine.pool(verdict.concurrency())?;
    // By its descriptor, so that it is this very file, even where another has come in its place.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the file holds what `compile` serialized, for the proof under this host's key was checked just now over
    // all of it, and nobody but this host writes to the directory, so it stays so while it is mapped.
    let loaded = unsafe { Component::deserialize_file(pool.wasmtime(), path) };
    let component = loaded.map_err(|error| not_loaded(engine, &error))?;
    component.initialize_copy_on_write_image().map_err(|error| {
        Problem::new(Code::Internal, "the component's memory image could not be made").with_internal(error.to_string())
    })?;
    let function = Function::link(engine, &component, config, verdict, tier);
    let_pages_go(&component);
    function
}

/// Gives back the pages of a component's file that loading read: types, names, tables, and their neighbours that the kernel maps
/// with them. They take more memory than all else of a loaded function, and calls need few of them.
fn let_pages_go(component: &Component) {
    let image = component.image_range();
    let bytes = image.end.addr() - image.start.addr();
    // SAFETY: the range is the mapping of the file, which lives as long as the component. Nobody writes to it (wasmtime refuses
    // code with relocations, so that it can be mapped as it is), so every page holds what the file does and is mapped again when
    // it is read.
    let let_go = unsafe { madvise(image.start.cast_mut().cast(), bytes, Advice::LinuxDontNeed) };
    if let Err(error) = let_go {
        tracing::debug!(%error, "pages of a component's file stay mapped");
    }
}

/// wasmtime refuses a component that no slot of the pool can hold when it is loaded; the system, when there is no file or
/// mapping left.
fn not_loaded(engine: &Engine, error: &wasmtime::Error) -> Problem {
    if let Some(refused) = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        let detail = "the machine refused to load it; lower functions_loaded_max or raise the machine's limits";
        return Problem::new(Code::HostBusy, detail).with_internal(format!("{refused}: {error:#}"));
    }
    let mib_max = engine.settings().memory_bytes_max >> 20;
    let detail = format!(
        "an instance may have {MEMORIES_PER_COMPONENT_MAX} memories of {mib_max} MiB (memory_mib_max) and \
         {TABLES_PER_COMPONENT_MAX} tables of {TABLE_ELEMENTS_MAX} elements: {error:#}"
    );
    Problem::new(Code::ComponentTooLarge, detail)
}

/// Which artifact a file is, by its name.
fn key_of(file_name: &str) -> Option<(ArtifactKey, Tier)> {
    let mut parts = file_name.strip_suffix(SUFFIX)?.splitn(3, '.');
    let (digest, mode, tier) = (parts.next()?, parts.next()?, parts.next()?);
    Some((ArtifactKey { digest: digest.parse().ok()?, mode: mode.parse().ok()? }, tier.parse().ok()?))
}

/// Whether the component's instances can be put back, from the end of a file that is proven.
fn verdict(file: &mut File) -> io::Result<Verdict> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_what_it_is() {
        let digest = Digest::of(b"component");
        for tier in Tier::BEST_FIRST {
            for mode in [InstanceMode::Rewind, InstanceMode::Fresh] {
                let key = ArtifactKey { digest, mode };
                assert_eq!(key_of(&format!("{digest}.{mode}.{tier}.cwasm")), Some((key, tier)));
            }
        }
        for other in [".tmpAbC123", "x.rewind.quick.cwasm", &format!("{digest}.rewind.cwasm"), ""] {
            assert_eq!(key_of(other), None, "{other}");
        }
    }
}
