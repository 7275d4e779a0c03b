//! A host of one test's own: its process, its addresses, its directory. It ends with the test.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use ureq::{Agent, http::Request};

/// The longest that anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Instances of a test's host, unless the test says otherwise.
const INSTANCES_MAX: u32 = 64;

/// The command under test.
pub fn gust() -> Command {
    gust_by(env!("CARGO_BIN_EXE_gust"))
}

/// The command, where it sees mounts of its own, made by `mounts`: a script of the shell that knows a directory as `$dir`.
/// None where that is not allowed here.
pub fn gust_behind(mounts: &str, dir: &Path) -> Option<Command> {
    let shell = |script: &str| {
        let mut command = gust_by("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).env("dir", dir);
        command
    };
    let tried = shell(mounts).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success()).then(|| {
        let mut command = shell(&format!("{mounts} && exec \"$@\""));
        command.arg(gust().get_program());
        command
    })
}

/// A program that shall run it, with the environment that it is to have.
fn gust_by(program: &str) -> Command {
    let mut gust = Command::new(program);
    for variable in ["GUST_LISTEN", "GUST_ADMIN", "GUST_DATA_DIR", "GUST_TOKEN", "GUST_CONFIG", "GUST_LOG"]
        .iter()
        .chain(&["GUST_CA", "GUST_CERT", "GUST_KEY"])
    {
        gust.env_remove(variable);
    }
    gust
}

/// The component that `cargo xtask functions` built.
pub fn component(name: &str) -> PathBuf {
    let path = project(&format!("target/functions/{name}.wasm"));
    assert!(path.exists(), "{} is missing; build it with: cargo xtask functions", path.display());
    path
}

/// A path from the project's root.
pub fn project(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A running host.
pub struct Host {
    pub child: Child,
    pub data: SocketAddr,
    pub admin: SocketAddr,
    pub token: String,
    pub dir: PathBuf,
    /// Every line of its log, as it comes.
    log: Mutex<Receiver<Value>>,
    _temporary: Option<TempDir>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// A problem's code, after checking that it is a whole problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let document = self.json();
        assert_eq!(document["status"], self.status);
        assert!(document["title"].is_string() && document["source"].is_string() && document["type"].is_string());
        document["code"].as_str().unwrap().to_owned()
    }
}

/// An agent that keeps connections and takes every status for an answer.
pub fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true);
    config.timeout_global(Some(PATIENCE)).build().new_agent()
}

pub fn send(agent: &Agent, request: Request<impl ureq::AsSendBody>) -> Answer {
    let mut response = agent.run(request).unwrap();
    let body = response.body_mut().with_config().limit(256 << 20).read_to_vec().unwrap();
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
}

impl Host {
    /// One in a directory of its own.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with environment variables.
    pub fn start_with(variables: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut host = Self::start_in(&temporary.path().join("data"), variables);
        host._temporary = Some(temporary);
        host
    }

    /// One in this directory.
    pub fn start_in(dir: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_by(gust(), dir, variables, |_| dir.to_owned())
    }

    /// One that sees mounts of its own: see [`gust_behind`].
    pub fn start_behind(mounts: &str, dir: &Path) -> Option<Self> {
        // Its mounts are nobody else's, and seen through it alone.
        let seen = |pid| Path::new(&format!("/proc/{pid}/root")).join(dir.strip_prefix("/").unwrap());
        Some(Self::start_by(gust_behind(mounts, dir)?, dir, &[], seen))
    }

    /// One that a program starts which runs what it is told to.
    pub fn start_through(command: Command, dir: &Path) -> Self {
        Self::start_by(command, dir, &[], |_| dir.to_owned())
    }

    fn start_by(
        mut command: Command,
        dir: &Path,
        variables: &[(&str, &str)],
        seen: impl FnOnce(u32) -> PathBuf,
    ) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir"]).arg(dir);
        // A small pool, so that many hosts fit beside each other.
        command.env("GUST_INSTANCES_MAX", INSTANCES_MAX.to_string()).env("XDG_STATE_HOME", dir);
        // Whatever a test does, every instance that is put back is compared with what it was.
        command.env("GUST_REWIND", "checked");
        let child = command.envs(variables.iter().copied()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let log = read_log(child.stderr.take().unwrap());
        let mut serving = Value::Null;
        while serving["message"] != "serving" {
            serving = log.recv_timeout(PATIENCE).expect("the host says that it serves");
        }
        let address = |key: &str| serving[key].as_str().unwrap().parse().unwrap();
        let (data, admin) = (address("data"), address("admin"));
        let dir = seen(child.id());
        let token = std::fs::read_to_string(dir.join("admin.token")).unwrap().trim().to_owned();
        Self { child, data, admin, token, dir, log: Mutex::new(log), _temporary: None }
    }

    /// A call of the data listener.
    pub fn call(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.data));
        send(&agent(), request.body(body).unwrap())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, b"")
    }

    /// A call of the admin API with the token.
    pub fn api(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        send(&agent(), request.header("content-type", content_type).body(body).unwrap())
    }

    /// Uploads bytes as a component.
    pub fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        self.api("PUT", &format!("/v1/functions/{name}"), "application/wasm", bytes)
    }

    /// Deploys a built component under a name, with a manifest.
    pub fn deploy_as(&self, name: &str, function: &str, manifest: &str) -> Answer {
        self.deploy_bytes(name, &std::fs::read(component(function)).unwrap(), manifest)
    }

    /// Deploys a component as a form, with a manifest.
    pub fn deploy_bytes(&self, name: &str, bytes: &[u8], manifest: &str) -> Answer {
        let (boundary, mut form) = ("b0undary-of-the-test", Vec::new());
        let parts = [("manifest", manifest.as_bytes()), ("component", bytes)];
        for (part, content) in parts {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"\r\n\r\n");
            form.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
        }
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        self.api("PUT", &format!("/v1/functions/{name}"), &content_type, &form)
    }

    /// Deploys an example as it is.
    pub fn deploy(&self, name: &str) {
        let manifest = std::fs::read_to_string(project(&format!("functions/{name}/gust.toml"))).unwrap_or_default();
        let answer = self.deploy_as(name, name, &manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// The developer's command against this host.
    pub fn gust(&self, arguments: &[&str]) -> Output {
        let mut command = gust();
        command.args(["--admin", &self.admin.to_string(), "--token-file"]).arg(self.dir.join("admin.token"));
        command.args(arguments).env("NO_COLOR", "1").output().unwrap()
    }

    /// The next line of the log that is like this.
    pub fn logged(&self, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let line = self.log.lock().unwrap().recv_timeout(PATIENCE).expect("the log has the line");
            if is_wanted(&line) {
                return line;
            }
        }
    }

    /// All lines of the log that are still to come, of a host that has ended.
    pub fn rest_of_log(&self) -> Vec<Value> {
        self.log.lock().unwrap().iter().collect()
    }

    /// A metric's value; of several with these labels, their sum.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.api("GET", "/metrics", "", b"");
        let lines =
            text.text().lines().filter(|line| line.starts_with(name) && labels.iter().all(|l| line.contains(l)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Runs a program of Node against the data listener; `URL` in it is the listener's. What it prints.
    pub fn node(&self, script: &str) -> String {
        let script = script.replace("URL", &format!("http://{}", self.data));
        let output = Command::new("node").args(["-e", &script]).output().unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stderr), output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the host knows of a function. It is loaded for that.
    pub fn info(&self, function: &str) -> Value {
        self.api("GET", &format!("/v1/functions/{function}"), "", b"").json()
    }

    /// Waits until a function runs on optimised code.
    pub fn until_optimised(&self, function: &str) {
        until("it is optimised", || self.info(function)["tier"] == "optimised");
    }

    /// Where each request's instance comes from, and why.
    pub fn instance_of(&self, function: &str) -> (String, String) {
        let info = self.info(function);
        let text = |key: &str| info["instance"][key].as_str().unwrap_or_default().to_owned();
        (text("mode"), text("reason"))
    }

    /// Begins a request that ends with what is returned.
    pub fn begin(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.data).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        stream
    }

    /// Waits until this many instances serve. Asking by calling would take a place from whoever is waited for.
    pub fn until_serving(&self, instances: u32) {
        let free = f64::from(INSTANCES_MAX - instances);
        until("as many instances serve as shall", || self.metric("gust_instances_free", &[]) == free);
    }

    /// Bytes to the data listener as they are; what comes back until the connection ends.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.data).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Its memory in use, in MiB.
    pub fn rss_mib(&self) -> u64 {
        self.memory_mib("VmRSS:")
    }

    /// The most memory that it had in use while something was done, in MiB.
    pub fn rss_peak_mib(&self, done: impl FnOnce()) -> u64 {
        // Forgets the peak of before (proc_pid_clear_refs(5)).
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        done();
        self.memory_mib("VmHWM:")
    }

    fn memory_mib(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(which)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Ends it at once, and starts another in its directory.
    pub fn kill_and_restart(self) -> Self {
        self.kill_and_restart_with(&[])
    }

    /// The same with environment variables.
    pub fn kill_and_restart_with(mut self, variables: &[(&str, &str)]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut next = Self::start_in(&self.dir, variables);
        next._temporary = self._temporary.take();
        next
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_log(stderr: ChildStderr) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let parsed = serde_json::from_str(&line).unwrap_or(Value::String(line));
            // The test may be over; the host must not be held up for that.
            let _ = sender.send(parsed);
        }
    });
    receiver
}
