//! The toolchain of last resort: Debian's `rustc` with its wasm32 standard library, in a folder of its own.
//!
//! For machines that reach a Debian mirror but not the Rust servers. Nothing is installed: the packages are downloaded
//! with lists of their own, unpacked into a folder, and the folder is linked into rustup. The compiler runs with the C
//! library it was built against, by way of that library's own loader. The linkers are those of the active toolchain.

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{Error, FALLBACK, Toolchain, output_within};

/// The release whose packages are taken: the first with a `wasm32-wasip2` standard library.
const SUITE: &str = "testing";

/// Packages that the compiler does not need to run: tools of the host, which it has.
const NOT_NEEDED: [&str; 4] = ["gcc-", "libc-gconv", "debconf", "locales"];

/// How long one step may take.
const STEP_WAIT: Duration = Duration::from_secs(600);

/// Makes the toolchain in `prefix` and links it, unless that was done before. `say` is told of each step.
pub fn install(prefix: &Path, mut say: impl FnMut(&str)) -> Result<Toolchain, Error> {
    let parent = prefix.parent().ok_or_else(|| Error::Other(format!("{} has no parent", prefix.display())))?;
    fs::create_dir_all(parent).map_err(failed(parent))?;
    // Made beside its place and moved there whole, so that an interrupted install is never taken for one.
    let work = parent.join(format!("{FALLBACK}.{}", std::process::id()));
    let made = make(&work, &mut say).and_then(|()| {
        if prefix.exists() {
            fs::remove_dir_all(prefix).map_err(failed(prefix))?;
        }
        fs::rename(&work, prefix).map_err(failed(prefix))
    });
    if work.exists() {
        let _ = fs::remove_dir_all(&work);
    }
    made?;
    wrap(prefix)?;
    run(Command::new("rustup").args(["toolchain", "link", FALLBACK]).arg(prefix))?;
    Toolchain::find().ok_or_else(|| Error::Other(format!("{FALLBACK} was made but does not know the target")))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Other(format!("{}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<String, Error> {
    output_within(command, STEP_WAIT)
}

fn make(work: &Path, say: &mut impl FnMut(&str)) -> Result<(), Error> {
    let apt = Apt::new(work)?;
    say("reading the list of Debian's packages");
    run(apt.get().arg("update"))?;
    let packages = apt.packages()?;
    say(&format!("downloading {} packages", packages.len()));
    let debs = work.join("debs");
    fs::create_dir_all(&debs).map_err(failed(&debs))?;
    run(apt.get().arg("download").args(&packages).current_dir(&debs))?;
    say("unpacking them");
    let root = work.join("root");
    for deb in fs::read_dir(&debs).map_err(failed(&debs))? {
        let deb = deb.map_err(failed(&debs))?.path();
        run(Command::new("dpkg").arg("-x").arg(deb).arg(&root))?;
    }
    for leftover in ["debs", "lists", "cache"] {
        let _ = fs::remove_dir_all(work.join(leftover));
    }
    Ok(())
}

/// apt with lists and a cache of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(work: &Path) -> Result<Self, Error> {
        for dir in ["lists/partial", "cache/archives/partial"] {
            let dir = work.join(dir);
            fs::create_dir_all(&dir).map_err(failed(&dir))?;
        }
        let sources = work.join("sources.list");
        fs::write(&sources, format!("deb {} {SUITE} main\n", mirror()?)).map_err(failed(&sources))?;
        let option = |key: &str, path: PathBuf| format!("{key}={}", path.display());
        let options = vec![
            option("Dir::Etc::sourcelist", sources),
            "Dir::Etc::sourceparts=-".to_owned(),
            option("Dir::State::Lists", work.join("lists")),
            option("Dir::Cache", work.join("cache")),
            "APT::Get::List-Cleanup=0".to_owned(),
            // Downloads go to a directory that apt's own user may not enter.
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { options })
    }

    fn get(&self) -> Command {
        self.command("apt-get")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-qq").args(self.options.iter().flat_map(|option| ["-o", option]));
        command
    }

    /// The compiler, its wasm32 library, and all that the compiler needs to run.
    fn packages(&self) -> Result<Vec<String>, Error> {
        let mut depends = self.command("apt-cache");
        depends.args(["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]);
        let listed = run(depends.args(["--no-replaces", "--no-enhances", "libstd-rust-dev"]))?;
        let names = listed.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
        let needed = names.filter(|name| !NOT_NEEDED.iter().any(|prefix| name.starts_with(prefix)));
        let mut packages: Vec<String> = needed.map(str::to_owned).collect();
        // gcc's runtime library begins like gcc itself.
        packages.extend(["rustc", "libstd-rust-dev-wasm32", "libgcc-s1"].map(str::to_owned));
        packages.sort();
        packages.dedup();
        Ok(packages)
    }
}

/// The Debian mirror that this machine's own apt uses.
fn mirror() -> Result<String, Error> {
    let targets = run(Command::new("apt-get").args(["indextargets", "--format", "$(SITE)"]))?;
    let is_debian = |site: &&str| site.trim_end_matches('/').ends_with("/debian");
    match targets.lines().find(is_debian) {
        Some(site) => Ok(site.to_owned()),
        None => Err(Error::Other("apt knows no Debian mirror; see /etc/apt/sources.list".to_owned())),
    }
}

/// Puts the parts where rustup and rustc look for them.
fn wrap(prefix: &Path) -> Result<(), Error> {
    let root = prefix.join("root");
    let host = format!("{ARCH}-unknown-linux-gnu");
    let linkers = linkers()?;
    let bin = root.join("usr/lib/rustlib").join(&host).join("bin");
    if bin.is_dir() && !bin.is_symlink() {
        fs::remove_dir_all(&bin).map_err(failed(&bin))?;
    }
    if !bin.is_symlink() {
        fs::create_dir_all(root.join("usr/lib/rustlib").join(&host)).map_err(failed(&bin))?;
        symlink(linkers, &bin).map_err(failed(&bin))?;
    }
    for dir in ["bin", "lib"] {
        fs::create_dir_all(prefix.join(dir)).map_err(failed(prefix))?;
    }
    let loader = loader(&root)?;
    let (root, loader) = (root.display(), loader.display());
    let script = format!(
        "#!/bin/sh\nexec \"{loader}\" --library-path \"{root}/usr/lib/{ARCH}-linux-gnu:{root}/usr/lib\" \
         --argv0 \"{root}/usr/bin/rustc\" \"{root}/usr/bin/rustc\" \"$@\"\n"
    );
    let rustc = prefix.join("bin/rustc");
    fs::write(&rustc, script).map_err(failed(&rustc))?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).map_err(failed(&rustc))
}

/// The C library's loader among the unpacked packages.
fn loader(root: &Path) -> Result<PathBuf, Error> {
    for dir in ["usr/lib64", "usr/lib", "lib64"] {
        let Ok(entries) = root.join(dir).read_dir() else { continue };
        let mut names = entries.flatten().map(|entry| entry.path());
        let is_loader = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux")) && path.exists()
        };
        if let Some(found) = names.find(is_loader) {
            return Ok(found);
        }
    }
    Err(Error::Other(format!("the packages hold no loader for {ARCH}")))
}

/// Where the active toolchain has its linkers for WebAssembly.
fn linkers() -> Result<PathBuf, Error> {
    let mut rustc = Command::new("rustc");
    let sysroot = run(crate::clean(rustc.args(["--print", "sysroot"])))?;
    let bin = Path::new(sysroot.trim()).join(format!("lib/rustlib/{ARCH}-unknown-linux-gnu/bin"));
    if bin.join("rust-lld").exists() {
        return Ok(bin);
    }
    Err(Error::Other(format!("{} holds no rust-lld; is the active toolchain rustup's?", bin.display())))
}
