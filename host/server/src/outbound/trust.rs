//! Whose certificates are believed outside: those of the authorities that the system trusts, or of `SSL_CERT_FILE`. They are read when
//! they are needed first, not on a thread that serves.

use std::{io, sync::Arc};

use gust_engine::{Cause, Unanswered};
use tokio::{sync::OnceCell, task};
use tokio_rustls::rustls::{
    self, ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
};

/// What is offered to a peer, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Peers whose sessions a function goes on with.
const SESSIONS_MAX: usize = 32;

/// The authorities, read once.
#[derive(Default)]
pub(super) struct Trust {
    authorities: OnceCell<Authorities>,
}

#[derive(Clone)]
struct Authorities {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// What one function begins its connections with. Sessions are its own.
    pub(super) async fn of_function(&self) -> Result<Arc<ClientConfig>, Unanswered> {
        let Authorities { roots, provider } = self.authorities.get_or_try_init(read).await?.clone();
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|_| Cause::Misconfigured)?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }
}

async fn read() -> Result<Authorities, Unanswered> {
    let found = task::spawn_blocking(rustls_native_certs::load_native_certs).await.map_err(|_| Cause::Misconfigured)?;
    let mut roots = RootCertStore::empty();
    let (read, _) = roots.add_parsable_certificates(found.certs);
    if read == 0 {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        tracing::error!(?errors, "no certificate authorities were found; functions reach nobody by https");
        return Err(Cause::Misconfigured.into());
    }
    Ok(Authorities { roots: Arc::new(roots), provider: Arc::new(aws_lc_rs::default_provider()) })
}

/// Why a handshake failed.
pub(super) fn refused(error: &io::Error) -> Unanswered {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return Cause::ConnectionTerminated.into();
    };
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => Cause::TlsCertificate,
        rustls::Error::AlertReceived(alert) => Cause::TlsAlert(u8::from(*alert), format!("{alert:?}")),
        _ => Cause::TlsProtocol,
    }
    .into()
}
