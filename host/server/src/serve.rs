//! The host from its start to its end: open, restore, listen, drain.

use std::{
    convert::Infallible,
    net,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use gust_access::TokenBook;
use gust_core::config::HostConfig;
use gust_engine::{ArtifactCache, Engine, Reset, Scheme, Settings};
use gust_store::Store;
use hyper::service::service_fn;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{net::TcpListener, runtime, sync::Mutex, time};

use crate::{
    admin::{self, Admin, Guard, Reports},
    assembly::Assembler,
    calls::Exchange,
    catalog::Catalog,
    changes::Changes,
    compiler::Compiler,
    data::service::{self, Data},
    draining::Draining,
    house,
    ledger::Ledger,
    listener::{Bounds, Listener},
    loader::Loader,
    logbook::Logbook,
    machine::{self, Allowed, Room},
    metrics::Metrics,
    optimiser,
    outbound::Outside,
    panics,
    patience::Activity,
    pinned::Pinned,
    request_log::RequestLog,
    residents::Residents,
    serve_error::{ServeError, system},
    shedding::Shedding,
    sockets, stopping,
    tls::{Files, Renewal, Tls},
    tokens,
    under_way::UnderWay,
    vault::Vault,
    watch,
    watches::Watches,
};

/// How long what waits for the system may keep a host that ends, as a look-up of a name that nobody answers.
const SYSTEM_WAIT_MAX: time::Duration = time::Duration::from_secs(5);

/// Runs a host until SIGTERM or SIGINT, then lets requests in flight finish. It listens on the sockets that it is `handed`, the data
/// listener's and then the admin listener's; those that are missing it opens. `log` takes a line for each request, unless the
/// configuration wants none. `give_back` has the allocator give what is free back to the system. `ready` is told the address of the
/// admin listener when both listeners serve.
pub fn serve(
    config: HostConfig,
    handed: Vec<net::TcpListener>,
    log: RequestLog,
    give_back: fn(),
    ready: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<(), ServeError> {
    let mut builder = runtime::Builder::new_multi_thread();
    if config.worker_threads > 0 {
        builder.worker_threads(config.worker_threads as usize);
    }
    let runtime = builder.enable_all().thread_name("gust").build().map_err(system("starting threads"))?;
    let host = runtime.block_on(Host::open(config, handed, log))?;
    let ledger_thread = runtime.block_on(host.run(give_back, ready))?;
    // Ends what did not drain in time, so that the last receipts are written.
    runtime.shutdown_timeout(SYSTEM_WAIT_MAX);
    let _ = ledger_thread.join();
    Ok(())
}

struct Host {
    allowed: Allowed,
    changes: Arc<Changes>,
    ledger: Ledger,
    ledger_thread: thread::JoinHandle<()>,
    data_socket: TcpListener,
    admin_socket: TcpListener,
    data_tls: Option<Tls>,
    admin_tls: Option<Tls>,
    renewals: Vec<Renewal>,
}

impl Host {
    async fn open(config: HostConfig, handed: Vec<net::TcpListener>, log: RequestLog) -> Result<Self, ServeError> {
        // First, so that a start that cannot be leaves nothing behind.
        let (data_tls, data_renewal) = Files::of_data(&config).map(Tls::open).transpose()?.unzip();
        let (admin_tls, admin_renewal) = Files::of_admin(&config).map(Tls::open).transpose()?.unzip();
        let renewals = data_renewal.into_iter().chain(admin_renewal).collect();
        let [data_socket, admin_socket] = sockets::open(&config, handed)?;
        machine::raise_file_limit();
        let store = Arc::new(Store::open(&config.data_dir)?);
        let (token, key) = (store.admin_token()?, store.key("artifact")?);
        let vault = Vault::open(&store, &config.secrets_key_file)?;
        let tokens = TokenBook::new(&token, tokens::stored(&store).map_err(ServeError::Engine)?)?;
        let allowed = Allowed::here();
        let engine = engine(&config, allowed.room(&config))?;
        let artifacts = ArtifactCache::open(&engine, &config.data_dir.join("artifacts"), &key)
            .map_err(system("opening the compiled components"))?;
        let metrics = Arc::new(Metrics::new());
        panics::tell(metrics.panics.clone());
        let (ledger, ledger_thread) = Ledger::start(metrics.clone(), config.log_requests.then_some(log))
            .map_err(system("starting the ledger"))?;
        let residents = Residents::new(allowed.functions_loaded_max(&config), metrics.clone());
        let compiler = Compiler::new(&config);
        let own = vec![local(&data_socket, config.listen), local(&admin_socket, config.admin)];
        let outside = Outside::new(config.outbound_networks.clone(), own, allowed.outbound_connections());
        let exchange = Exchange::new(Arc::new(outside));
        let assembler = Arc::new(Assembler { metrics: metrics.clone(), logbook: Logbook::default() });
        let changes = Changes {
            config,
            store: store.clone(),
            loader: Loader::new(engine, artifacts, store.clone(), compiler, residents, metrics, exchange),
            catalog: Arc::new(Catalog::empty(Arc::new(tokens))),
            pinned: Arc::new(Pinned::new(store, assembler.clone())),
            assembler,
            watches: Watches::default(),
            vault,
            noted: std::sync::Mutex::default(),
            root_token: token.into(),
            changing: Mutex::default(),
        };
        let changes = Arc::new(changes);
        Ok(Self { allowed, changes, ledger, ledger_thread, data_socket, admin_socket, data_tls, admin_tls, renewals })
    }

    /// Serves until a signal comes and requests are drained. Gives back the thread that writes the last receipts.
    async fn run(self, give_back: fn(), ready: impl FnOnce(SocketAddr)) -> Result<thread::JoinHandle<()>, ServeError> {
        self.changes.restore()?;
        let (loader, catalog) = (self.changes.loader.clone(), self.changes.catalog.clone());
        tokio::spawn(optimiser::run(loader.clone(), catalog.clone()));
        tokio::spawn(house::keep(self.changes.clone(), self.renewals));
        let shedding = Arc::new(Shedding::new(self.changes.config.memory_used_mib_max));
        tokio::spawn(house::watch_memory(shedding.clone(), loader.clone(), give_back));
        tokio::spawn(watch::run(self.changes.clone()));
        let config = &self.changes.config;
        let (data_address, admin_address) =
            (local(&self.data_socket, config.listen), local(&self.admin_socket, config.admin));
        let scheme = if self.data_tls.is_some() { Scheme::Https } else { Scheme::Http };
        let (draining, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(UnderWay::new()));
        let admin = Admin {
            changes: self.changes.clone(),
            base_url: format!("{}://{data_address}", scheme.as_str()),
            guard: Guard::new(admin_address.ip(), config.admin_hosts.clone()),
            draining: draining.clone(),
            asked: asked.clone(),
            reports: Reports::default(),
        };
        let ledger = self.ledger.clone();
        let data =
            Arc::new(Data { catalog, loader, pinned: self.changes.pinned.clone(), shedding, ledger: self.ledger });
        data.loader.exchange.connect(&data);
        let answer = |activity: &Arc<Activity>| {
            let (data, activity) = (data.clone(), activity.clone());
            service_fn(move |request| {
                let (data, activity) = (data.clone(), activity.clone());
                async move { Ok::<_, Infallible>(service::answer(&data, &activity, request, scheme).await) }
            })
        };
        let (data_connections, admin_connections) = (Draining::new(), Draining::new());
        let open = self.changes.assembler.metrics.connections.clone();
        let (allowed, tls) = (&self.allowed, self.admin_tls);
        let admin_listener = Listener::new(self.admin_socket, tls, Bounds::of_admin(config, allowed), Gauge::default());
        let bounds = Bounds::of_data(config, allowed);
        let data_listener = Listener::new(self.data_socket, self.data_tls, bounds, open).run(answer, &data_connections);
        let mut admin_listener = Box::pin(admin_listener.run(admin::service(admin), &admin_connections));
        let (reset, functions) = (self.changes.loader.engine().reset(), self.changes.catalog.load().len());
        ready(admin_address);
        let data_dir = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let data_dir = data_dir.display();
        tracing::info!(data = %data_address, admin = %admin_address, %data_dir, functions, ?reset, "serving");
        tokio::select! {
            () = data_listener => {}
            () = &mut admin_listener => {}
            stopped = stopping::signalled() => stopped?,
        }
        draining.store(true, Ordering::SeqCst);
        // The admin listener goes on meanwhile: whoever asks whether the host is ready is told that it is not.
        tokio::select! {
            () = stopping::drain(data_connections, &asked, &ledger, config.drain_ms) => {}
            () = &mut admin_listener => {}
        }
        drop(admin_listener);
        // Whoever follows a log is not waited for.
        let _ = time::timeout(stopping::LAST_ANSWERS, admin_connections.end()).await;
        Ok(self.ledger_thread)
    }
}

fn engine(config: &HostConfig, room: Room) -> Result<Engine, ServeError> {
    let settings = Settings {
        instances_max: room.instances,
        memory_bytes_max: u64::from(config.memory_mib_max) << 20,
        queue_ms: config.queue_ms,
        rewind: config.rewind,
        has_lane: true,
    };
    let engine = Engine::new(settings).map_err(ServeError::Engine)?;
    tracing::info!(instances = room.instances, bound = room.bound, "so many instances fit");
    match engine.reset() {
        Reset::PageScan => tracing::info!("instances are reset by scanning for written pages"),
        Reset::Discard { why } => tracing::warn!(why, "instances are reset the slow way"),
    }
    Ok(engine)
}

/// The address that was really bound, where the port was left to the system.
fn local(socket: &TcpListener, asked: SocketAddr) -> SocketAddr {
    socket.local_addr().unwrap_or(asked)
}
