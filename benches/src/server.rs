//! Servers that are measured: each a process of its own, gone when it is dropped.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{component, machine::Machine, project};

/// The core that serves.
pub const SERVER_CORE: &str = "0";

/// The core that makes the load: the last one.
pub fn load_core() -> String {
    Machine::here().cores.saturating_sub(1).to_string()
}

/// All of them.
pub fn all_cores() -> String {
    format!("0-{}", load_core())
}

/// How long a server may take until it answers.
const START_WAIT: Duration = Duration::from_secs(60);

/// How often it is asked whether it does.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// A running server.
pub struct Server {
    /// Where it answers.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts one that will listen on `address`.
    pub fn start(address: SocketAddr, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
        Ok(Self { address, child })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers `target` with 200.
    pub fn until_ready(&self, target: &str) -> Result<()> {
        until_ready(self.address, target)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// gust, with the address of its admin API and its data.
pub struct Gust {
    /// The process, and where functions are called.
    pub server: Server,
    admin: SocketAddr,
    dir: PathBuf,
}

impl Gust {
    /// Starts one on one core, with what is already in `dir`, and waits until it is ready.
    pub fn start(dir: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(SERVER_CORE, dir, variables)
    }

    /// The same on these cores.
    pub fn start_on(cores: &str, dir: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_logging(cores, dir, variables, File::create(dir.with_extension("log"))?.into())
    }

    /// The same, and where its log goes.
    pub fn start_logging(cores: &str, dir: &Path, variables: &[(&str, &str)], log: Stdio) -> Result<Self> {
        let (listen, admin) = (free_address()?, free_address()?);
        let mut command = pinned(cores, &program());
        command.args(["serve", "--listen", &listen.to_string(), "--admin", &admin.to_string(), "--data-dir"]).arg(dir);
        command.env("XDG_STATE_HOME", dir).envs(variables.iter().copied());
        command.stderr(log);
        let server = Server::start(listen, &mut command)?;
        until_ready(admin, "/readyz")?;
        Ok(Self { server, admin, dir: dir.to_owned() })
    }

    /// Deploys an example under its own name, and waits until its code is optimised.
    pub fn deploy(&self, function: &str) -> Result<()> {
        self.upload(function)?;
        self.until_optimised(function)
    }

    /// Waits until a function's code is optimised.
    pub fn until_optimised(&self, function: &str) -> Result<()> {
        while !self.info(function)?.contains("\"tier\":\"optimised\"") {
            thread::sleep(ASK_EVERY);
        }
        Ok(())
    }

    /// Deploys an example under its own name, as a developer does.
    pub fn upload(&self, function: &str) -> Result<()> {
        self.deploy_as(function, function, "")
    }

    /// Deploys an example under a name, with a manifest.
    pub fn deploy_as(&self, name: &str, function: &str, manifest: &str) -> Result<()> {
        let file = self.dir.with_extension("manifest.toml");
        fs::write(&file, manifest)?;
        let mut deploy = Command::new(program());
        deploy.args(["--admin", &self.admin.to_string(), "--token-file"]).arg(self.dir.join("admin.token"));
        deploy.args(["deploy", "--name", name]).arg(component(function)).arg("--manifest").arg(file);
        let output = deploy.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name} was not deployed: {said}");
        Ok(())
    }

    /// Lets it and what it starts run on all cores.
    pub fn unpin(&self) -> Result<()> {
        let mut taskset = Command::new("taskset");
        let output = taskset.args(["-a", "-p", "-c", "0-1023", &self.server.pid().to_string()]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Deploys a component's bytes, by a call of the admin API.
    pub fn put(&self, function: &str, component: &[u8]) -> Result<()> {
        let answer = self.admin("PUT", function, component)?;
        ensure!(answer.head.starts_with("HTTP/1.1 20"), "{function} was not deployed: {}", answer.head);
        Ok(())
    }

    /// What it knows of a function, as JSON.
    pub fn info(&self, function: &str) -> Result<String> {
        let answer = self.admin("GET", function, &[])?;
        ensure!(answer.is_success(), "{function}: {}", answer.head);
        Ok(String::from_utf8(answer.body)?)
    }

    fn admin(&self, method: &str, function: &str, body: &[u8]) -> Result<Answer> {
        let token = fs::read_to_string(self.dir.join("admin.token"))?;
        let (token, length) = (token.trim(), body.len());
        let head = format!(
            "{method} /v1/functions/{function} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/wasm\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
            self.admin
        );
        exchange(self.admin, &head, body)
    }
}

/// The command as it is shipped.
pub fn program() -> PathBuf {
    project("target/release/gust")
}

/// A command that runs on these cores from its start, so that it sizes itself for them.
pub fn pinned(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(program);
    command
}

/// An address that nobody listens on now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn until_ready(address: SocketAddr, target: &str) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < START_WAIT {
        if get(address, target).is_ok_and(|answer| answer.is_success()) {
            return Ok(());
        }
        thread::sleep(ASK_EVERY);
    }
    bail!("{address} does not answer {target}")
}

/// An answer of HTTP/1.1, as it came.
pub struct Answer {
    /// The status line and the headers.
    pub head: String,
    /// What follows them.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether its status is 200.
    pub fn is_success(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200 ")
    }

    /// The headers, each `name: value`.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.head.lines().skip(1)
    }
}

/// Asks once, over a connection of its own.
pub fn get(address: SocketAddr, target: &str) -> Result<Answer> {
    exchange(address, &format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"), &[])
}

/// The same with a body.
pub fn post(address: SocketAddr, target: &str, body: &[u8]) -> Result<Answer> {
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    exchange(address, &head, body)
}

fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_WAIT))?;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("the answer has no head")?;
    let body = answer.split_off(end + 4);
    answer.truncate(end);
    Ok(Answer { head: String::from_utf8(answer)?, body })
}

/// The size of a file, in bytes.
pub fn size_bytes(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).with_context(|| path.display().to_string())?.len())
}
