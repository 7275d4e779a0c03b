//! Compiling, in a process of its own: a component that makes the compiler run wild costs its upload and nothing else.
//!
//! The process is this very program, called with other arguments. It limits its own memory and processor time before it
//! reads a byte of the component, answers with a file or a problem, and is killed when it takes too long.

use std::{
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{self, ExitCode, Stdio},
    time::Duration,
};

use gust_core::{Code, InstanceMode, Problem, Tier, config::HostConfig};
use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setpriority_process, setrlimit,
};
use serde::{Deserialize, Serialize};
use tokio::{process::Command, sync::Semaphore, time};

/// This program, even after its file was replaced by a newer one.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Components that may wait to be compiled, those that are being compiled included.
const QUEUE: usize = 256;

/// How far a compiler stands back behind requests (nice(2)): quick code is waited for, so it gets a tenth of a core that
/// requests want for themselves; optimised code gets a hundredth.
const NICE_QUICK: i32 = 10;
const NICE_OPTIMISED: i32 = 19;

/// How much longer optimising may take, for it hardly gets on while the host is busy. Its processor time is limited as for quick
/// code.
const OPTIMISING_WALL_FACTOR: u32 = 20;

/// The argument that makes this program compile and nothing else.
const WORKER_COMMAND: &str = "compile-worker";

/// Compiles components for the host, a few at a time.
pub(crate) struct Compiler {
    /// As many as there are cores.
    places: Semaphore,
    /// Those that may wait or work.
    queue: Semaphore,
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
    /// Compiles with the limits of `config`.
    pub(crate) fn new(config: &HostConfig) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            places: Semaphore::new(cores),
            queue: Semaphore::new(QUEUE),
            wall: Duration::from_millis(config.compile_ms_max.into()),
            memory_mib: config.compile_memory_mib_max,
        }
    }

    /// Compiles the component in one file to machine code in another. Only quick code waits for a place: whoever optimises
    /// does so one by one.
    pub(crate) async fn compile(
        &self,
        component: &Path,
        artifact: &Path,
        mode: InstanceMode,
        tier: Tier,
    ) -> Result<(), Problem> {
        if tier == Tier::Optimised {
            return self.run(component, artifact, mode, tier, self.wall * OPTIMISING_WALL_FACTOR).await;
        }
        let busy = |_| Problem::new(Code::HostBusy, format!("{QUEUE} components wait to be compiled; try again later"));
        let _turn = self.queue.try_acquire().map_err(busy)?;
        let _place = self.places.acquire().await.map_err(|error| not_started(io::Error::other(error)))?;
        self.run(component, artifact, mode, tier, self.wall).await
    }

    async fn run(
        &self,
        component: &Path,
        artifact: &Path,
        mode: InstanceMode,
        tier: Tier,
        wall: Duration,
    ) -> Result<(), Problem> {
        let child = Command::new(THIS_PROGRAM)
            .arg(WORKER_COMMAND)
            .args([component, artifact])
            .args([mode.to_string(), tier.to_string()])
            .args([self.memory_mib.to_string(), self.cpu_s(tier).to_string()])
            .arg(process::id().to_string())
            // What it takes from here is what it is told: secrets may be among the rest.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let Ok(output) = time::timeout(wall, child.wait_with_output()).await else {
            let ms = wall.as_millis();
            return Err(Problem::new(
                Code::ComponentCompile,
                format!("compiling took longer than {ms} ms (compile_ms_max)"),
            ));
        };
        let output = output.map_err(not_started)?;
        match output.status.signal() {
            // Its limits end it by other signals, and one that took too long for this host was not waited for.
            Some(signal) if signal == Signal::KILL.as_raw() => Err(killed()),
            Some(signal) if signal == Signal::XCPU.as_raw() => {
                let detail = format!("compiling took more than {} s of CPU time (compile_ms_max)", self.cpu_s(tier));
                Err(Problem::new(Code::ComponentCompile, detail))
            }
            _ if output.status.success() => Ok(()),
            _ => Err(problem_of(&output.stdout, self.memory_mib)),
        }
    }

    /// The most CPU time of one compiler, in seconds. Quick code is made on all cores at once.
    fn cpu_s(&self, tier: Tier) -> u64 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let threads = if tier == Tier::Quick { cores } else { 1 };
        self.wall.as_secs().saturating_mul(threads).saturating_add(1)
    }
}

fn not_started(error: io::Error) -> Problem {
    Problem::new(Code::Internal, "the compiler could not be started").with_internal(error.to_string())
}

/// What became of a worker that something else than its limits and this host ended.
fn killed() -> Problem {
    let detail = "the compiler was killed, as where the machine is short of memory; try again later";
    Problem::new(Code::HostBusy, detail)
}

/// What a worker that failed said; one that said nothing ran into its limits.
fn problem_of(stdout: &[u8], memory_mib: u32) -> Problem {
    let report: Option<Report> = serde_json::from_slice(stdout).ok();
    let known = report.and_then(|report| Some((report.code.parse().ok()?, report)));
    match known {
        Some((code, report)) => Problem { internal: report.internal, ..Problem::new(code, report.detail) },
        None => {
            let detail = format!("the compiler crashed, or needed more than {memory_mib} MiB (compile_memory_mib_max)");
            Problem::new(Code::ComponentCompile, detail)
        }
    }
}

/// The worker's side: `compile-worker COMPONENT ARTIFACT MODE TIER MEMORY_MIB CPU_S HOST_PID`. Says what is wrong on standard output.
pub fn worker(arguments: &[String]) -> ExitCode {
    let outcome = match arguments {
        [component, artifact, mode, tier, memory_mib, cpu_s, host] => {
            end_with(host).and_then(|()| limit(memory_mib, cpu_s)).and_then(|()| work(component, artifact, mode, tier))
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
    // At the lower limit of CPU time the signal says so; at the upper one it would be the same as anybody's.
    for (resource, value, more) in [(Resource::As, memory_bytes, 0), (Resource::Cpu, cpu_s, 1), (Resource::Core, 0, 0)]
    {
        let limit = Rlimit { current: Some(value), maximum: Some(value.saturating_add(more)) };
        setrlimit(resource, limit).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Lets requests go first.
fn stand_back(tier: Tier) {
    let nice = if tier == Tier::Quick { NICE_QUICK } else { NICE_OPTIMISED };
    // Where the system does not allow it, requests and compilers share the cores alike.
    let _ = setpriority_process(None, nice);
}

fn work(component: &str, artifact: &str, mode: &str, tier: &str) -> Result<(), Problem> {
    let mode: InstanceMode = mode.parse().map_err(|error| failed(&error))?;
    let tier: Tier = tier.parse().map_err(|error| failed(&error))?;
    stand_back(tier);
    let bytes = fs::read(component).map_err(|error| failed(&error))?;
    let code = gust_engine::compile(&bytes, mode, tier)?;
    fs::write(artifact, code).map_err(|error| not_written(&error))
}

fn not_written(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(Code::StoreFull, "nothing was changed; make room on the host's disk")
                .with_internal(format!("writing machine code: {error}"))
        }
        _ => failed(error),
    }
}
