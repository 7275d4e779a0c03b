//! `cargo xtask languages`: the templates in other languages, and what is written in these for other hosts
//! (`functions/foreign`), made components in `target/languages`, for tests and benches; and the shop's search, which is an example in
//! JavaScript.
//!
//! Each template is built as its user builds it: in a project, with the tools that it lists installed there, by its
//! `build.sh`. Nothing is made again that would be made of the same. A language whose package managers are not on this machine
//! is skipped, which is said, and its components are not there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    slice,
};

use anyhow::{Context as _, Result, ensure};

use crate::{made, project, steps, wasi};

/// A language with a template.
struct Language {
    /// The directory of the template, and its component's name.
    name: &'static str,
    /// What its `build.sh` makes.
    made: &'static str,
    managers: &'static [Manager],
    foreign: &'static [Foreign],
}

/// A package manager of a language, as a template's user calls it.
struct Manager {
    /// What succeeds where it is there.
    probe: &'static [&'static str],
    missing: &'static str,
    /// The template's file that lists what it installs.
    list: &'static str,
    /// Where to, in the project.
    into: &'static str,
    install: &'static [&'static str],
}

/// A component for other hosts: its name, its source in `functions/foreign`, and how it is made of that there, with the tools
/// of the language's project.
struct Foreign {
    name: &'static str,
    source: &'static str,
    tool: &'static [&'static str],
}

const PIP: Manager = Manager {
    probe: &["python3", "-c", "import venv, ensurepip"],
    missing: "python3 with venv is not here (apt install python3-venv)",
    list: "requirements.txt",
    into: ".venv",
    install: &[
        "sh",
        "-c",
        "python3 -m venv --clear .venv \
         && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt",
    ],
};

const NPM: Manager = Manager {
    probe: &["sh", "-c", "npm --version && node -e 'process.exit(+(parseInt(process.versions.node) < 20))'"],
    missing: "Node is not here (Node 20 or later, with npm)",
    list: "package.json",
    into: "node_modules",
    install: &["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"],
};

const COMPONENTIZE_PY: &[&str] =
    &["python/.venv/bin/componentize-py", "--wit-path", "wit", "--world", "foreign", "componentize", "--output"];

const COMPONENTIZE_JS: &[&str] =
    &["javascript/node_modules/.bin/componentize-js", "--wit", "wit", "--world-name", "foreign", "--out"];

const LANGUAGES: [Language; 3] = [
    Language {
        name: "python",
        made: "out/component.wasm",
        managers: &[PIP],
        foreign: &[Foreign { name: "foreign-python", source: "app.py", tool: COMPONENTIZE_PY }],
    },
    Language {
        name: "javascript",
        made: "out/component.wasm",
        managers: &[NPM],
        foreign: &[
            Foreign { name: "foreign-javascript", source: "handler.js", tool: COMPONENTIZE_JS },
            Foreign { name: "foreign-fetch", source: "fetch.js", tool: COMPONENTIZE_JS },
        ],
    },
    Language { name: "c", made: "out/handler.wasm", managers: &[PIP], foreign: &[] },
];

/// Makes the components of all languages whose package managers are here.
pub fn build() -> Result<()> {
    fs::create_dir_all(path(""))?;
    LANGUAGES.iter().try_for_each(|language| match language.missing() {
        None => language.build(),
        Some(missing) => {
            eprintln!("==> {}, and the tests of it: skipped, for {missing}", language.name);
            language.forget()
        }
    })?;
    if NPM.is_missing() { Ok(()) } else { shop_search().map(drop) }
}

/// Makes the shop's search, with the tools of the template in JavaScript.
pub fn shop_search() -> Result<PathBuf> {
    ensure!(!NPM.is_missing(), "{}", NPM.missing);
    let (tools, dir) = (path("javascript"), path(project::SHOP_SEARCH));
    let template = project::path("templates/javascript");
    let list = (NPM.list.into(), fs::read(template.join(NPM.list))?);
    made::write(&tools, slice::from_ref(&list))?;
    NPM.install(&tools, "javascript")?;
    let mut files = made::files(&project::directory(project::SHOP_SEARCH).join("src"))?;
    files.push(("prepared.js".into(), fs::read(template.join("src/prepared.js"))?));
    let catalogue = fs::read(project::directory("shop-products").join("catalogue.json"))?;
    files.push(("catalogue.js".into(), [b"export const catalogue = ".as_slice(), &catalogue].concat()));
    files.push(("wit/function.wit".into(), fs::read(project::path("wit/function.wit"))?));
    made::write(&dir, &files)?;
    files.push(list);
    let file = component(project::SHOP_SEARCH);
    made::unless_of(&file, &made::contents(&files), || {
        let mut tool = Command::new(tools.join("node_modules/.bin/componentize-js"));
        tool.args(["--wit", "wit", "--world-name", "function", "--out"]).arg(&file).arg("handler.js").current_dir(&dir);
        steps::command("building the shop's search", &mut tool)
    })?;
    Ok(file)
}

/// A path in `target/languages`.
fn path(relative: &str) -> PathBuf {
    project::path("target/languages").join(relative)
}

fn component(name: &str) -> PathBuf {
    path(&format!("{name}.wasm"))
}

impl Manager {
    fn is_missing(&self) -> bool {
        !succeeds(self.probe)
    }

    /// Has what a template lists installed in a directory.
    fn install(&self, dir: &Path, template: &str) -> Result<()> {
        let list = fs::read(dir.join(self.list))?;
        made::unless_of(&dir.join(self.into), &list, || {
            let what = format!("installing {} of the template {template}", self.list);
            steps::command(&what, &mut command(self.install, dir))
        })
    }
}

impl Language {
    /// What is not on this machine, for people.
    fn missing(&self) -> Option<&'static str> {
        self.managers.iter().find(|manager| manager.is_missing()).map(|manager| manager.missing)
    }

    /// Takes the components away that were made before.
    fn forget(&self) -> Result<()> {
        let names = self.foreign.iter().map(|foreign| foreign.name).chain([self.name]);
        Ok(names.map(component).filter(|file| file.exists()).try_for_each(fs::remove_file)?)
    }

    fn build(&self) -> Result<()> {
        let template = project::path(&format!("templates/{}", self.name));
        let mut files = made::files(&template)?;
        files.push(("wit/function.wit".into(), fs::read(project::path("wit/function.wit"))?));
        let dir = path(self.name);
        made::write(&dir, &files)?;
        for manager in self.managers {
            manager.install(&dir, self.name)?;
        }
        made::unless_of(&component(self.name), &made::contents(&files), || {
            steps::command(&format!("building the template {}", self.name), &mut command(&["sh", "build.sh"], &dir))?;
            fs::copy(dir.join(self.made), component(self.name)).map(drop).context("the build left nothing")
        })?;
        self.foreign.iter().try_for_each(|foreign| self.build_foreign(foreign, &dir))
    }

    /// Makes a component for other hosts.
    fn build_foreign(&self, foreign: &Foreign, dir: &Path) -> Result<()> {
        let (root, source) = (path(""), fs::read(project::path("functions/foreign").join(foreign.source))?);
        let mut files = wasi::texts()?;
        files.push(("wit/world.wit".into(), fs::read(project::path("functions/foreign/world.wit"))?));
        files.push((foreign.source.into(), source));
        made::write(&root, &files)?;
        for manager in self.managers {
            files.push((manager.list.into(), fs::read(dir.join(manager.list))?));
        }
        let file = component(foreign.name);
        made::unless_of(&file, &made::contents(&files), || {
            let mut tool = command(foreign.tool, &root);
            // componentize-py takes a module's name.
            tool.arg(&file).arg(foreign.source.trim_end_matches(".py"));
            steps::command(&format!("building {} for other hosts", foreign.source), &mut tool)
        })
    }
}

/// A command in a directory; a program of that directory is named by a path from there.
fn command(words: &[&str], dir: &Path) -> Command {
    let (program, arguments) = words.split_first().map_or(("", words), |(program, arguments)| (*program, arguments));
    let here = dir.join(program);
    let mut command = Command::new(if here.exists() { here } else { program.into() });
    command.args(arguments).current_dir(dir);
    command
}

fn succeeds(words: &[&str]) -> bool {
    let mut command = command(words, Path::new("."));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
