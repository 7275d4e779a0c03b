//! Compiling, in a process of its own: a component that makes the compiler run wild costs its upload and nothing else.
//!
//! The process is this very program, called with other arguments. It limits its own memory and processor time before it
//! reads a byte of the component, answers with a file or a problem, and is killed when it takes too long.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, ExitCode, Stdio},
    time::Duration,
};

use gust_core::{Code, InstanceMode, Problem, config::HostConfig};
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::{process::Command, sync::Semaphore, time};

/// This program, even after its file was replaced by a newer one.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Components that may wait to be compiled, those that are being compiled included.
const QUEUE: usize = 256;

/// The argument that makes this program compile and nothing else.
const WORKER_COMMAND: &str = "compile-worker";

/// Compiles components for the host, a few at a time.
pub(crate) struct Compiler {
    /// As many as there are cores.
    places: Semaphore,
    /// Those that may wait or work.
    queue: Semaphore,
    /// Where artifacts are on their way; what a host that was killed left there, the next one removes.
    dir: PathBuf,
    wall: Duration,
    memory_mib: u32,
}

/// A problem on its way from the worker.
#[derive(Serialize, Deserialize)]
struct Report {
    code: String,
    detail: String,
    internal: Option<String>,
}

impl Compiler {
    /// Compiles with the limits of `config`, by way of files in `dir`.
    pub(crate) fn new(config: &HostConfig, dir: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            places: Semaphore::new(cores),
            queue: Semaphore::new(QUEUE),
            dir,
            wall: Duration::from_millis(config.compile_ms_max.into()),
            memory_mib: config.compile_memory_mib_max,
        }
    }

    /// Compiles the component in a file to machine code.
    pub(crate) async fn compile(&self, component: &Path, mode: InstanceMode) -> Result<Vec<u8>, Problem> {
        let failed = |error: io::Error| {
            Problem::new(Code::Internal, "the compiler could not be started").with_internal(error.to_string())
        };
        let busy = |_| Problem::new(Code::HostBusy, format!("{QUEUE} components wait to be compiled; try again later"));
        let _turn = self.queue.try_acquire().map_err(busy)?;
        let _place = self.places.acquire().await.map_err(|error| failed(io::Error::other(error)))?;
        let artifact = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        let child = Command::new(THIS_PROGRAM)
            .arg(WORKER_COMMAND)
            .args([component, artifact.path()])
            .arg(mode.to_string())
            .args([self.memory_mib.to_string(), self.wall.as_secs().saturating_add(1).to_string()])
            .arg(process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let Ok(output) = time::timeout(self.wall, child.wait_with_output()).await else {
            let ms = self.wall.as_millis();
            return Err(Problem::new(
                Code::ComponentCompile,
                format!("compiling took longer than {ms} ms (compile_ms_max)"),
            ));
        };
        let output = output.map_err(failed)?;
        if output.status.success() {
            return fs::read(artifact.path()).map_err(failed);
        }
        Err(problem_of(&output.stdout, self.memory_mib))
    }
}

/// What a worker that failed said; one that said nothing ran into its limits.
fn problem_of(stdout: &[u8], memory_mib: u32) -> Problem {
    let report: Option<Report> = serde_json::from_slice(stdout).ok();
    let known = report.and_then(|report| Some((report.code.parse().ok()?, report)));
    match known {
        Some((code, report)) => Problem { code, detail: report.detail, internal: report.internal },
        None => {
            let detail = format!("the compiler crashed, or needed more than {memory_mib} MiB (compile_memory_mib_max)");
            Problem::new(Code::ComponentCompile, detail)
        }
    }
}

/// The worker's side: `compile-worker COMPONENT ARTIFACT MODE MEMORY_MIB CPU_S HOST_PID`. Says what is wrong on standard output.
pub fn worker(arguments: &[String]) -> ExitCode {
    let outcome = match arguments {
        [component, artifact, mode, memory_mib, cpu_s, host] => {
            end_with(host).and_then(|()| limit(memory_mib, cpu_s)).and_then(|()| work(component, artifact, mode))
        }
        _ => Err(Problem::new(Code::Internal, "the compiler was called with other arguments than it knows")),
    };
    let Err(problem) = outcome else { return ExitCode::SUCCESS };
    let report = Report { code: problem.code.as_str().to_owned(), detail: problem.detail, internal: problem.internal };
    // If standard output is gone, so is whoever asked.
    let _ = serde_json::to_writer(io::stdout(), &report);
    ExitCode::FAILURE
}

/// Sees to it that this process ends when the host does, however that ends.
fn end_with(host: &str) -> Result<(), Problem> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed(&error))?;
    // It may have ended before this was set.
    let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if parent.to_string() == host { Ok(()) } else { Err(failed(&"the host is gone")) }
}

fn failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, "the compiler could not do its work").with_internal(error.to_string())
}

/// Limits this process.
fn limit(memory_mib: &str, cpu_s: &str) -> Result<(), Problem> {
    let memory_bytes = memory_mib.parse::<u64>().map_err(|error| failed(&error))? << 20;
    let cpu_s = cpu_s.parse::<u64>().map_err(|error| failed(&error))?;
    for (resource, value) in [(Resource::As, memory_bytes), (Resource::Cpu, cpu_s), (Resource::Core, 0)] {
        let limit = Rlimit { current: Some(value), maximum: Some(value) };
        setrlimit(resource, limit).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn work(component: &str, artifact: &str, mode: &str) -> Result<(), Problem> {
    let modes = [InstanceMode::Rewind, InstanceMode::Fresh];
    let mode = modes.into_iter().find(|known| known.to_string() == mode).ok_or_else(|| failed(&"no such mode"))?;
    let bytes = fs::read(component).map_err(|error| failed(&error))?;
    let code = gust_engine::compile(&bytes, mode)?;
    fs::write(artifact, code).map_err(|error| failed(&error))
}
