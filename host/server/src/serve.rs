//! The host from its start to its end: open, restore, listen, drain.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use gust_core::{Problem, config::HostConfig};
use gust_engine::{ArtifactCache, Engine, Reset, Scheme, Settings};
use gust_store::{Store, StoreError};
use hyper::service::service_fn;
use hyper_util::{server::graceful::GracefulShutdown, service::TowerToHyperService};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::TcpListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    time,
};

use crate::{
    admin::{self, Admin},
    catalog::Catalog,
    compiler::Compiler,
    data::service::{self, Data},
    deploy::Deployer,
    ledger::Ledger,
    listener::{self, Listener},
    loader::Loader,
    logbook::Logbook,
    machine,
    metrics::Metrics,
    optimiser,
    patience::Activity,
    pressure::Pressure,
    request_log::RequestLog,
    residents::Residents,
};

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} (--{flag}): {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The pool of instances.
    #[error("{}{}", .0.detail, .0.internal.as_ref().map_or(String::new(), |why| format!(": {why}")))]
    Engine(Problem),
    /// A thread, signal or directory.
    #[error("{context}: {source}")]
    System {
        /// What was tried.
        context: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn system(context: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { context, source }
}

/// Runs a host until SIGTERM or SIGINT, then lets requests in flight finish. `log` takes a line for each request, unless the
/// configuration wants none. `ready` is told the address of the admin listener when both listeners serve.
pub fn serve(
    config: HostConfig,
    log: RequestLog,
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), ServeError> {
    let mut builder = runtime::Builder::new_multi_thread();
    if config.worker_threads > 0 {
        builder.worker_threads(config.worker_threads as usize);
    }
    let runtime = builder.enable_all().thread_name("gust").build().map_err(system("starting threads"))?;
    let host = runtime.block_on(Host::open(config, log))?;
    let ledger_thread = runtime.block_on(host.run(ready))?;
    // Ends what did not drain in time, so that the last receipts are written.
    drop(runtime);
    let _ = ledger_thread.join();
    Ok(())
}

struct Host {
    deployer: Arc<Deployer>,
    ledger: Ledger,
    ledger_thread: thread::JoinHandle<()>,
    token: String,
    data_socket: TcpListener,
    admin_socket: TcpListener,
}

impl Host {
    async fn open(config: HostConfig, log: RequestLog) -> Result<Self, ServeError> {
        // First, so that a start that cannot be leaves nothing behind.
        let data_socket = bind(config.listen, "listen")?;
        let admin_socket = bind(config.admin, "admin")?;
        machine::raise_file_limit();
        let store = Arc::new(Store::open(&config.data_dir)?);
        let (token, key) = (store.admin_token()?, store.key("artifact")?);
        let engine = engine(&config)?;
        let artifacts = ArtifactCache::open(&engine, &config.data_dir.join("artifacts"), &key)
            .map_err(system("opening the compiled components"))?;
        let metrics = Arc::new(Metrics::new());
        let (ledger, ledger_thread) = Ledger::start(metrics.clone(), config.log_requests.then_some(log))
            .map_err(system("starting the ledger"))?;
        let residents = Residents::new(machine::functions_loaded_max(&config), metrics.clone());
        let compiler = Compiler::new(&config);
        let deployer = Deployer {
            config,
            store: store.clone(),
            loader: Loader::new(engine, artifacts, store, compiler, residents, metrics.clone()),
            catalog: Arc::new(Catalog::default()),
            logbook: Logbook::default(),
            metrics,
            changing: Mutex::default(),
        };
        Ok(Self { deployer: Arc::new(deployer), ledger, ledger_thread, token, data_socket, admin_socket })
    }

    /// Serves until a signal comes and requests are drained. Gives back the thread that writes the last receipts.
    async fn run(self, ready: impl FnOnce(SocketAddr)) -> Result<thread::JoinHandle<()>, ServeError> {
        self.deployer.restore()?;
        let (loader, catalog) = (self.deployer.loader.clone(), self.deployer.catalog.clone());
        tokio::spawn(optimiser::run(loader.clone(), catalog.clone()));
        tokio::spawn(keep_house(self.deployer.clone()));
        let config = &self.deployer.config;
        let (data_address, admin_address) =
            (local(&self.data_socket, config.listen), local(&self.admin_socket, config.admin));
        let draining = Arc::new(AtomicBool::new(false));
        let admin = Admin {
            deployer: self.deployer.clone(),
            base_url: format!("http://{data_address}"),
            token: self.token,
            draining: draining.clone(),
        };
        let data = Arc::new(Data { catalog, loader, ledger: self.ledger });
        data.loader.exchange.connect(&data);
        let answer = |activity: &Arc<Activity>| {
            let (data, activity) = (data.clone(), activity.clone());
            service_fn(move |request| {
                let (data, activity) = (data.clone(), activity.clone());
                async move { Ok::<_, Infallible>(service::answer(&data, &activity, request, Scheme::Http).await) }
            })
        };
        let (data_connections, admin_connections) = (GracefulShutdown::new(), GracefulShutdown::new());
        let open = self.deployer.metrics.connections.clone();
        let idle = Duration::from_millis(config.idle_ms.into());
        // A deploy says nothing while it waits for its compilation, followed logs nothing but a word every 15 s.
        let deploying = Duration::from_millis(config.compile_ms_max.into()).max(Duration::from_secs(60));
        let admin = TowerToHyperService::new(admin::router(admin));
        let admin_listener = Listener::new(self.admin_socket, config, Gauge::default(), idle + deploying);
        let data_listener = Listener::new(self.data_socket, config, open, idle).run(answer, &data_connections);
        let mut admin_listener = pin!(admin_listener.run(|_| admin.clone(), &admin_connections));
        let (reset, functions) = (self.deployer.loader.engine().reset(), self.deployer.catalog.load().len());
        ready(admin_address);
        let data_dir = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let data_dir = data_dir.display();
        tracing::info!(data = %data_address, admin = %admin_address, %data_dir, functions, ?reset, "serving");
        tokio::select! {
            () = data_listener => {}
            () = &mut admin_listener => {}
            stopped = stop_signal() => stopped?,
        }
        draining.store(true, Ordering::Relaxed);
        // The admin listener goes on meanwhile: whoever asks whether the host is ready is told that it is not.
        tokio::select! {
            () = drain(data_connections, config.drain_ms) => {}
            () = admin_listener => {}
        }
        Ok(self.ledger_thread)
    }
}

/// What has to be looked after now and then.
async fn keep_house(deployer: Arc<Deployer>) {
    let mut seconds = time::interval(Duration::from_secs(1));
    let mut pressure = Pressure::here();
    loop {
        seconds.tick().await;
        pressure.relieve(deployer.loader.engine());
        deployer.loader.residents.every_second();
        deployer.trim_logs();
    }
}

fn engine(config: &HostConfig) -> Result<Engine, ServeError> {
    let settings = Settings {
        instances_max: config.instances_max,
        memory_bytes_max: u64::from(config.memory_mib_max) << 20,
        queue_ms: config.queue_ms,
        rewind: config.rewind,
    };
    let engine = Engine::new(settings).map_err(ServeError::Engine)?;
    match engine.reset() {
        Reset::PageScan => tracing::info!("instances are reset by scanning for written pages"),
        Reset::Discard { why } => tracing::warn!(why, "instances are reset the slow way"),
    }
    Ok(engine)
}

fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, ServeError> {
    listener::bind(address).map_err(|source| ServeError::Listen { address, flag, source })
}

/// The address that was really bound, where the port was left to the system.
fn local(socket: &TcpListener, asked: SocketAddr) -> SocketAddr {
    socket.local_addr().unwrap_or(asked)
}

async fn stop_signal() -> Result<(), ServeError> {
    let listen = |kind| signal(kind).map_err(system("listening for signals"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
    }
    Ok(())
}

/// Lets requests in flight finish and idle connections end, for a limited time. Followers of logs are not waited for.
async fn drain(data: GracefulShutdown, drain_ms: u32) {
    let limit = Duration::from_millis(drain_ms.into());
    match time::timeout(limit, data.shutdown()).await {
        Ok(()) => tracing::info!("drained"),
        Err(_) => tracing::warn!(drain_ms, "requests that did not finish in time are broken off"),
    }
}
