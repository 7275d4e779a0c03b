//! `gust serve`: configuration and log, then the host.

use std::{
    fs, io,
    io::IsTerminal as _,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use anyhow::Result;
use gust_core::config::{ConfigError, HostConfig, RawConfig};
use gust_server::{RequestLog, RequestLogFormat, SUPERVISOR_PID};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::{
    allocator,
    args::{LogFormat, NotForServe, Serve},
    environment, host_link,
    output::UsageError,
};

/// Read where it is there and no other is named.
const CONFIG_FILE: &str = "gust-host.toml";

/// Writes that may wait for a slow reader, each a line or a batch of them; those after are dropped, for serving never waits
/// for its log.
const LOG_WRITES_WAITING: usize = 4 << 10;

/// How a host is started by its supervisor: as this one was.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Runs a host, or its supervisor, until SIGTERM or SIGINT.
pub fn run(options: Serve) -> Result<ExitCode> {
    let NotForServe { token_file, ca, cert, key } = &options.host;
    if [token_file, ca, cert, key].iter().any(|given| given.is_some()) {
        let error = "--token-file, --ca, --cert and --key are for calls of a host; what a host itself shows is set with \
            tls_certificate and tls_key, as docs/configuration.md says";
        return Err(UsageError(error.to_owned()).into());
    }
    let log_format = options.log_format;
    let config = configuration(options)?;
    let handed = environment::listening_sockets().map_err(|error| UsageError(format!("LISTEN_FDS: {error}")))?;
    let (request_log, _log) = start_log(log_format)?;
    match environment::variable(SUPERVISOR_PID) {
        Some(supervisor) => {
            // Else it is called as the link to this program is.
            let _ = fs::write("/proc/self/comm", "gust");
            gust_server::end_with(&supervisor);
        }
        None if config.supervised => return supervise(&config, handed),
        None => {}
    }
    for name in RawConfig::unknown_in_env(environment::variables().map(|(name, _)| name)) {
        tracing::warn!(
            name,
            "this variable is no setting, so it says nothing; docs/configuration.md lists those there are"
        );
    }
    let data_dir = config.data_dir.clone();
    let ready = move |admin: SocketAddr| host_link::leave(admin, &data_dir);
    gust_server::serve(config, handed, request_log, allocator::give_back, ready)
        .map_err(|error| UsageError(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn supervise(config: &HostConfig, handed: Vec<TcpListener>) -> Result<ExitCode> {
    let host = || {
        let mut command = process::Command::new(THIS_PROGRAM);
        command.arg0("gust").args(environment::arguments());
        command
    };
    let ended = gust_server::supervise(config, handed, host).map_err(|error| UsageError(error.to_string()))?;
    Ok(ExitCode::from(ended))
}

/// Flags over environment over file.
fn configuration(options: Serve) -> Result<HostConfig> {
    let wrong = |error| UsageError(format!("--admin: {error}: it is an address and port, as 127.0.0.1:3001"));
    let admin = options.admin.map(|admin| admin.parse()).transpose().map_err(wrong)?;
    let supervised = options.supervised.then_some(true);
    let flags =
        RawConfig { listen: options.listen, admin, data_dir: options.data_dir, supervised, ..RawConfig::default() };
    configured(options.config, flags)
}

/// What these flags say, else the environment, else the file.
pub fn configured(named: Option<PathBuf>, flags: RawConfig) -> Result<HostConfig> {
    let usage = |error: ConfigError| anyhow::Error::from(UsageError(error.to_string()));
    let named = named.or_else(|| environment::variable("GUST_CONFIG").map(PathBuf::from));
    let file = match named {
        Some(path) => read(&path)?,
        None if Path::new(CONFIG_FILE).exists() => read(Path::new(CONFIG_FILE))?,
        None => RawConfig::default(),
    };
    let env = RawConfig::from_env(environment::variables()).map_err(usage)?;
    flags.or(env).or(file).try_into().map_err(usage)
}

fn read(path: &Path) -> Result<RawConfig> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| UsageError(format!("{shown}: {error}")))?;
    RawConfig::from_toml(&text).map_err(|error| UsageError(format!("{shown}: {error}")).into())
}

/// Events to standard error, by way of a thread that drops what a blocked reader does not take. Requests' lines go the
/// same way.
fn start_log(format: LogFormat) -> Result<(RequestLog, WorkerGuard)> {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LOG_WRITES_WAITING).finish(io::stderr());
    let is_terminal = io::stderr().is_terminal();
    let filter = environment::variable("GUST_LOG").unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| UsageError(format!("GUST_LOG: {filter:?}: {error}; use info, warn or gust::request=off")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer.clone());
    let format = match format {
        LogFormat::Auto if is_terminal => RequestLogFormat::Text,
        LogFormat::Text => RequestLogFormat::Text,
        LogFormat::Auto | LogFormat::Json => RequestLogFormat::Json,
    };
    match format {
        RequestLogFormat::Json => builder.json().flatten_event(true).init(),
        RequestLogFormat::Text => builder.with_ansi(is_terminal).init(),
    }
    Ok((RequestLog::new(writer, format), guard))
}
