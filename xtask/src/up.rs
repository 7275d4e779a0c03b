//! `cargo xtask up`: a host with every example deployed, and what to try.

use std::{
    env,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    functions, languages, project, shop,
    steps::{self, step},
};

/// How long the host may take to be ready: it may have to compile its functions anew.
const READY_WAIT: Duration = Duration::from_secs(120);

/// Where the admin API is unless said otherwise.
const ADMIN: &str = "127.0.0.1:3001";

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

struct Flags {
    listen: String,
    admin: String,
    data_dir: String,
}

/// The hidden command that deploys the examples to the host that this process has become meanwhile.
pub const DEPLOY: &str = "deploy-examples";

/// Serves until Ctrl-C: this process becomes the host, so that signals reach it, and a child deploys the examples.
pub fn run(flags: &[String]) -> Result<()> {
    let parsed = parse(flags)?;
    for (address, flag) in [(&parsed.listen, "--listen"), (&parsed.admin, "--admin")] {
        let free = TcpListener::bind(address);
        free.with_context(|| format!("{address} cannot be listened on; choose another with {flag} ADDRESS"))?;
    }
    functions::build()?;
    steps::build_gust()?;
    let mut deploying = Command::new(env::current_exe()?);
    deploying.arg(DEPLOY).arg(process::id().to_string()).args(flags).spawn()?;
    let mut host = Command::new(project::gust());
    host.args(["serve", "--listen", &parsed.listen, "--admin", &parsed.admin, "--data-dir", &parsed.data_dir]);
    Err(host.exec()).context("target/release/gust cannot be run")
}

/// Deploys the examples to the host of process `pid`, which is ended if that fails.
pub fn deploy_examples(pid: &str, flags: &[String]) -> Result<()> {
    let flags = parse(flags)?;
    let deployed = step("deploying the examples", || deploy(&flags, pid));
    match &deployed {
        Ok(()) => println!("{}", what_to_try(&flags)),
        Err(_) => drop(Command::new("kill").args(["-TERM", pid]).status()),
    }
    deployed
}

fn parse(arguments: &[String]) -> Result<Flags> {
    let mut flags = Flags {
        listen: "127.0.0.1:3000".to_owned(),
        admin: ADMIN.to_owned(),
        data_dir: project::path(".gust").to_string_lossy().into_owned(),
    };
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().cloned().with_context(|| format!("{flag} has no value"));
        match flag.as_str() {
            "--listen" => flags.listen = value?,
            "--admin" => flags.admin = value?,
            "--data-dir" => flags.data_dir = value?,
            _ => bail!("{flag} is not known; there are --listen, --admin and --data-dir"),
        }
    }
    Ok(flags)
}

fn deploy(flags: &Flags, host: &str) -> Result<()> {
    let began = Instant::now();
    while !is_ready(&flags.admin) {
        ensure!(Path::new("/proc").join(host).exists(), "the host has ended; what it said is above");
        ensure!(began.elapsed() < READY_WAIT, "the host is not ready after {} s", READY_WAIT.as_secs());
        thread::sleep(ASK_EVERY);
    }
    for function in project::FUNCTIONS {
        deploy_one(flags, function, &project::component(function))?;
    }
    shop::put_pictures(|| gust(flags))?;
    let search = languages::shop_search().and_then(|component| deploy_one(flags, project::SHOP_SEARCH, &component));
    if let Err(why) = search {
        eprintln!("    {} is not there, and the shop works without: {why:#}", project::SHOP_SEARCH);
    }
    Ok(())
}

fn deploy_one(flags: &Flags, function: &str, component: &Path) -> Result<()> {
    let manifest = project::directory(function).join("gust.toml");
    let output = gust(flags).arg("deploy").arg(component).arg("--manifest").arg(manifest).arg("--json").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{function} was not deployed: {said}");
    eprintln!("    {function}");
    Ok(())
}

/// The command, for the host that was started.
fn gust(flags: &Flags) -> Command {
    let mut gust = Command::new(project::gust());
    gust.args(["--admin", &flags.admin, "--token-file"]).arg(Path::new(&flags.data_dir).join("admin.token"));
    gust
}

fn is_ready(admin: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Every line works as it is printed, from the project's root.
fn what_to_try(flags: &Flags) -> String {
    let listen = &flags.listen;
    let admin = if flags.admin == ADMIN { String::new() } else { format!(" --admin {}", flags.admin) };
    format!(
        "\nServing at http://{listen}. There is a shop at http://{listen}/shop/. Try, from another terminal in this directory:\n\n\
         curl 'http://{listen}/hello?name=Ada'\n\
         curl --data-binary @functions/image/photo.jpg 'http://{listen}/image?w=320' -o small.jpg\n\
         curl --data-binary '# Hello *you*' http://{listen}/markdown\n\
         curl -d '{{\"sub\":\"ada\"}}' -H 'content-type: application/json' http://{listen}/auth/token\n\
         target/release/gust{admin} ls\n\
         target/release/gust{admin} logs -f hello\n\n\
         Ctrl-C stops it.\n"
    )
}
