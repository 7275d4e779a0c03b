//! The servers under load: each a process of its own on the same core, gone when it is dropped.

use std::{
    env,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::Plan;
use crate::{component, project};

/// The core that serves.
const CORE: &str = "0";

/// How long a server may take until it answers.
const START_WAIT: Duration = Duration::from_secs(60);

/// What is asked of hello.
const TARGET: &str = "/?name=Ada";

/// What `wasmtime serve` needs to be at its best with an instance for each request.
const BEST_FLAGS: [&str; 8] = [
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=1048576",
    "-O",
    "pooling-async-stack-keep-resident=1048576",
    "-O",
    "pooling-pagemap-scan=y",
];

/// A server and where it answers hello.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) url: String,
    child: Child,
}

impl Server {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that can be compared here. The first is the ceiling.
pub(super) fn all(plan: &Plan, dir: &Path) -> Result<Vec<Server>> {
    let hosted = gust("gust", &dir.join("gust"), &[])?;
    let silent = gust("gust, no line for each request", &dir.join("silent"), &[("GUST_LOG_REQUESTS", "false")])?;
    let mut servers = vec![bare_hyper(&hosted.url)?, hosted, silent];
    if let Some(wasmtime) = &plan.wasmtime {
        servers.push(wasmtime_serve("wasmtime serve, fresh, defaults", wasmtime, &[])?);
        servers.push(wasmtime_serve("wasmtime serve, fresh, best flags", wasmtime, &BEST_FLAGS)?);
        let reused = [&BEST_FLAGS[..], &["--max-instance-reuse-count", "128"]].concat();
        servers.push(wasmtime_serve("wasmtime serve, reused 128 times, best flags", wasmtime, &reused)?);
    }
    Ok(servers)
}

fn gust(name: &str, dir: &Path, variables: &[(&str, &str)]) -> Result<Server> {
    let (listen, admin) = (free_address()?, free_address()?);
    let program = project("target/release/gust");
    let mut command = pinned(&program);
    command.args(["serve", "--listen", &listen.to_string(), "--admin", &admin.to_string(), "--data-dir"]).arg(dir);
    command.env("GUST_WORKER_THREADS", "1").env("XDG_STATE_HOME", dir).envs(variables.iter().copied());
    let log = File::create(dir.with_extension("log"))?;
    let child = command.stderr(log).spawn().context("target/release/gust is missing: cargo xtask bench builds it")?;
    let server = Server { name: name.to_owned(), url: format!("http://{listen}/hello{TARGET}"), child };
    let ready = |status: &str| status.contains(" 200 ");
    until_answered(admin, "/readyz", ready)?;
    let mut deploy = Command::new(&program);
    deploy.args(["--admin", &admin.to_string(), "--token-file"]).arg(dir.join("admin.token"));
    let output = deploy.args(["deploy", "--name", "hello"]).arg(component("hello")).output()?;
    ensure!(output.status.success(), "hello was not deployed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(server)
}

/// Answers what gust answers.
fn bare_hyper(gust: &str) -> Result<Server> {
    let address = free_address()?;
    let authority = gust.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let answer = ask(authority.parse()?, &format!("/hello{TARGET}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer from gust")?;
    let mut command = pinned(&env::current_exe()?);
    command.args(["bare-hyper", "--listen", &address.to_string(), "--body", body]);
    for line in head.lines().skip(1).filter(|line| !of_the_connection(line)) {
        command.args(["--header", line]);
    }
    let server = Server {
        name: "bare hyper".to_owned(),
        url: format!("http://{address}/hello{TARGET}"),
        child: command.spawn()?,
    };
    until_answered(address, "/", |_| true)?;
    Ok(server)
}

/// What hyper writes by itself.
fn of_the_connection(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["connection:", "date:", "content-length:"].iter().any(|name| line.starts_with(name))
}

fn wasmtime_serve(name: &str, wasmtime: &Path, flags: &[&str]) -> Result<Server> {
    let address = free_address()?;
    let mut command = pinned(wasmtime);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]).args(flags).arg(component("hello"));
    // Backtraces would cost it a fifth of its speed.
    command.env("RUST_BACKTRACE", "0").stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server { name: name.to_owned(), url: format!("http://{address}{TARGET}"), child: command.spawn()? };
    until_answered(address, TARGET, |status| status.contains(" 200 "))?;
    Ok(server)
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command
}

/// An address that nobody listens on now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn until_answered(address: SocketAddr, target: &str, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < START_WAIT {
        if ask(address, target).is_ok_and(|answer| is_wanted(answer.lines().next().unwrap_or_default())) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("{address} does not answer")
}

fn ask(address: SocketAddr, target: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
