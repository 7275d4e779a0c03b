//! A process that holds the listening sockets and starts the host again whenever it ends without having been told to.
//!
//! An abort, or the kernel when memory is gone, ends a host with all that it serves. Nothing else shall be lost by that: this process
//! has the sockets, so that clients wait in their queues, and the next host takes them from there. It reads no request and no component, so
//! it has nothing to fall over. Sockets are handed over as systemd does it (`sd_listen_fds(3)`, without the process id, which
//! nobody knows before there is the process), so a host that systemd starts takes them in the same way.

use std::{
    io, net,
    os::{
        fd::{OwnedFd, RawFd},
        unix::process::ExitStatusExt as _,
    },
    process::{self, Command, ExitStatus},
    time::{Duration, Instant},
};

use command_fds::{CommandFdExt as _, FdMapping};
use gust_core::config::HostConfig;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
use tokio::{
    net::TcpListener,
    process::Child,
    runtime,
    signal::unix::{self, SignalKind, signal},
    time,
};

use crate::{
    serve_error::{ServeError, system},
    sockets,
};

/// The variable that tells a host the process id of its supervisor.
pub const SUPERVISOR_PID: &str = "GUST_SUPERVISOR_PID";

/// The first descriptor that is handed over (`SD_LISTEN_FDS_START`).
const FIRST_FD: RawFd = 3;

/// A host that lived for so long is started again at once.
const LIVED: Duration = Duration::from_secs(10);

/// One that did not is started again after this, and twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What a shell makes of a signal that ended a process: 128 and its number.
const SIGNALLED: u8 = 128;

/// Runs a host until SIGTERM or SIGINT, and then until it has drained; a host that ends otherwise is followed by another one. Only
/// where the first one says that it cannot start, there is none. `host` makes the command that is to be a host. The exit code is the last host's.
pub fn supervise(
    config: &HostConfig,
    handed: Vec<net::TcpListener>,
    host: impl Fn() -> Command,
) -> Result<u8, ServeError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(system("starting"))?;
    runtime.block_on(async {
        let sockets = sockets::open(config, handed)?.map(TcpListener::into_std);
        let sockets = sockets.into_iter().collect::<io::Result<_>>().map_err(system("holding the sockets"))?;
        Supervisor { sockets, stop: Stop::listen()?, command: host }.run().await
    })
}

/// Sees to it that this host drains when its supervisor, the process of this id, is gone.
pub fn end_with(supervisor_pid: &str) {
    // Where it cannot be set the host goes on without.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    // It may have ended before that was set.
    let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if parent.to_string() != supervisor_pid {
        let _ = kill_process(getpid(), Signal::TERM);
    }
}

struct Supervisor<H> {
    sockets: Vec<net::TcpListener>,
    stop: Stop,
    command: H,
}

/// How a host ended.
enum Ended {
    /// It was told to, and this is its exit code.
    Told(u8),
    ByItself(ExitStatus),
}

impl<H: Fn() -> Command> Supervisor<H> {
    async fn run(mut self) -> Result<u8, ServeError> {
        let mut pause = PAUSE_MIN;
        for hosts in 1_u64.. {
            let began = Instant::now();
            let ended = self.host().await;
            let has_lived = began.elapsed() >= LIVED;
            let is_first = hosts == 1 && !has_lived;
            let how = match ended {
                Ok(Ended::Told(code)) => return Ok(code),
                Ok(Ended::ByItself(status)) if status.success() => {
                    tracing::info!("the host was told to end, so its supervisor ends too");
                    return Ok(0);
                }
                // And has said why.
                Ok(Ended::ByItself(status)) if is_first && status.code().is_some() => return Ok(exit_code(status)),
                Ok(Ended::ByItself(status)) => status.to_string(),
                Err(error) if is_first => return Err(error),
                Err(error) => error.to_string(),
            };
            let wait = if has_lived { Duration::ZERO } else { pause };
            pause = if has_lived { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
            let pause_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::error!(how, hosts, pause_ms, "the host ended; it is started again");
            tokio::select! {
                () = time::sleep(wait) => {}
                () = self.stop.told() => break,
            }
        }
        Ok(0)
    }

    /// Runs a host until it ends.
    async fn host(&mut self) -> Result<Ended, ServeError> {
        let mut host = self.start()?;
        tokio::select! {
            status = host.wait() => status.map(Ended::ByItself).map_err(system("waiting for the host")),
            () = self.stop.told() => {
                // While the host drains nobody listens: who comes then is told so at once, rather than wait for nothing.
                self.sockets.clear();
                drained(host).await.map(Ended::Told)
            }
        }
    }

    /// Starts a host that has the sockets too.
    fn start(&self) -> Result<Child, ServeError> {
        let mut command = (self.command)();
        command.env("LISTEN_FDS", self.sockets.len().to_string()).env_remove("LISTEN_PID");
        command.env(SUPERVISOR_PID, process::id().to_string());
        let spawned = self.hand_over(&mut command).and_then(|()| tokio::process::Command::from(command).spawn());
        spawned.map_err(system("starting the host"))
    }

    fn hand_over(&self, command: &mut Command) -> io::Result<()> {
        let descriptors = self.sockets.iter().map(|socket| socket.try_clone().map(OwnedFd::from));
        let descriptors = descriptors.collect::<io::Result<Vec<_>>>()?.into_iter().zip(FIRST_FD..);
        let mappings = descriptors.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).map(drop).map_err(io::Error::other)
    }
}

/// Has the host drain, and waits for that.
async fn drained(mut host: Child) -> Result<u8, ServeError> {
    if let Some(pid) = host.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
        // One that has just ended needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    Ok(exit_code(host.wait().await.map_err(system("waiting for the host"))?))
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().map(|code| u8::try_from(code).unwrap_or(u8::MAX));
    let signalled = || SIGNALLED.saturating_add(u8::try_from(status.signal().unwrap_or_default()).unwrap_or_default());
    code.unwrap_or_else(signalled)
}

/// The signals that end a host.
struct Stop(unix::Signal, unix::Signal);

impl Stop {
    fn listen() -> Result<Self, ServeError> {
        let listen = |kind| signal(kind).map_err(system("listening for signals"));
        Ok(Self(listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?))
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}
