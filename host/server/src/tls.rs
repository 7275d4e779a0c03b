//! The certificates of a listener that speaks TLS, read at the start and again whenever their files change.
//!
//! Who renews certificates writes files and tells nobody, so each second it is looked whether they are others than before. A
//! certificate and its key are two files that are seldom written at the same moment: they are read when they have been left
//! alone for a second, and only a pair that fits takes the place of the one in force. Connections that are open go on with
//! what they began with.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use gust_core::{OptionalPath, config::HostConfig};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

/// What a client may ask for, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A file of certificates or a key that is of no use.
#[derive(Debug, thiserror::Error)]
#[error("{setting} ({}): {why}", path.display())]
pub struct TlsError {
    /// The setting that names it.
    setting: &'static str,
    path: PathBuf,
    why: String,
}

/// A file and the setting that names it.
struct Named {
    setting: &'static str,
    path: PathBuf,
}

impl Named {
    fn by(setting: &'static str, path: &OptionalPath) -> Option<Self> {
        path.as_deref().map(|path| Self { setting, path: path.to_owned() })
    }

    fn error(&self, why: impl ToString) -> TlsError {
        TlsError { setting: self.setting, path: self.path.clone(), why: why.to_string() }
    }
}

/// The files of one listener.
pub(crate) struct Files {
    certificate: Named,
    key: Named,
    client_ca: Option<Named>,
}

impl Files {
    /// The data listener's, where it speaks TLS.
    pub(crate) fn of_data(config: &HostConfig) -> Option<Self> {
        Some(Self {
            certificate: Named::by("tls_certificate", &config.tls_certificate)?,
            key: Named::by("tls_key", &config.tls_key)?,
            client_ca: Named::by("tls_client_ca", &config.tls_client_ca),
        })
    }

    /// The admin listener's, where it speaks TLS.
    pub(crate) fn of_admin(config: &HostConfig) -> Option<Self> {
        Some(Self {
            certificate: Named::by("admin_tls_certificate", &config.admin_tls_certificate)?,
            key: Named::by("admin_tls_key", &config.admin_tls_key)?,
            client_ca: Named::by("admin_tls_client_ca", &config.admin_tls_client_ca),
        })
    }

    fn stamps(&self) -> Stamps {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        files.map(|file| file.and_then(|file| Stamp::of(&file.path)))
    }

    /// What handshakes need, if all files fit together.
    fn read(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (chain, key) = (certificates(&self.certificate)?, private_key(&self.key)?);
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| self.certificate.error(error))?;
        let builder = match &self.client_ca {
            Some(file) => builder.with_client_cert_verifier(verifier(file, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| self.unfit(error))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }

    /// Why certificate and key are no pair.
    fn unfit(&self, error: rustls::Error) -> TlsError {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                let Named { setting, path } = &self.certificate;
                self.key.error(format!("this is not the key of the certificate in {setting} ({})", path.display()))
            }
            rustls::Error::InvalidCertificate(_) => self.certificate.error(error),
            _ => self.key.error(error),
        }
    }
}

fn certificates(file: &Named) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = fs::read(&file.path).map_err(|error| file.error(error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| file.error(error))?;
    if all.is_empty() {
        return Err(file.error("there is no certificate in it; it is a PEM file with `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(all)
}

fn private_key(file: &Named) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = fs::read(&file.path).map_err(|error| file.error(error))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            file.error("there is no private key in it that can be read: PEM, without a passphrase")
        }
        error => file.error(error),
    })
}

/// Lets those clients in whose certificate one of the authorities in this file has signed.
fn verifier(file: &Named, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut authorities = RootCertStore::empty();
    for authority in certificates(file)? {
        authorities.add(authority).map_err(|error| file.error(error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    builder.build().map_err(|error| file.error(error))
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    /// Seconds and nanoseconds of the last change of anything: of who may read it, too.
    changed: (i64, i64),
    size_bytes: u64,
    inode: u64,
}

type Stamps = [Option<Stamp>; 3];

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(Self { modified: metadata.modified().ok()?, changed, size_bytes: metadata.len(), inode: metadata.ino() })
    }
}

/// What a listener begins its connections with.
pub(crate) struct Tls {
    in_force: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Reads the files. What is returned beside it keeps up with their changes.
    pub(crate) fn open(files: Files) -> Result<(Self, Renewal), TlsError> {
        let stamps = files.stamps();
        let in_force = Arc::new(ArcSwap::from_pointee(files.read()?));
        let renewal = Renewal { files, in_force: in_force.clone(), seen: stamps, tried: stamps };
        Ok((Self { in_force }, renewal))
    }

    /// For one connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.in_force.load_full().into()
    }
}

/// Puts changed certificates into force.
pub(crate) struct Renewal {
    files: Files,
    in_force: Arc<ArcSwap<ServerConfig>>,
    /// As the files were a second ago.
    seen: Stamps,
    /// As they were when they were read last, whatever came of it.
    tried: Stamps,
}

impl Renewal {
    /// Reads files that have changed and been left alone since. What is wrong with them is told once.
    pub(crate) fn every_second(&mut self) {
        let stamps = self.files.stamps();
        let is_at_rest = stamps == self.seen;
        self.seen = stamps;
        if !is_at_rest || stamps == self.tried {
            return;
        }
        self.tried = stamps;
        let certificate = self.files.certificate.path.display();
        match self.files.read() {
            Ok(config) => {
                self.in_force.store(Arc::new(config));
                tracing::info!(%certificate, "new connections get the certificate that was changed");
            }
            Err(error) => tracing::error!(%error, "the certificate was changed, but is of no use; the old one stays"),
        }
    }
}
