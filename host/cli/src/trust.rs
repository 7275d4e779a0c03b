//! TLS of the command line: whose certificates it takes a host's word for, which one it shows, and what to do where the two
//! sides do not agree.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustls::{
    CertificateError,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::{args::HostArgs, environment, output::UsageError};

/// As the arguments or the environment say. Without a word of them the system's authorities are trusted and no certificate is
/// shown.
pub fn config(host: &HostArgs) -> Result<TlsConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = match named(host.ca.as_ref(), "GUST_CA") {
        Some(path) => certificates("--ca", &path)?,
        None => authorities_of_the_system(),
    };
    let shown = match (named(host.cert.as_ref(), "GUST_CERT"), named(host.key.as_ref(), "GUST_KEY")) {
        (Some(certificate), Some(key)) => Some(identity(&certificate, &key, &provider)?),
        (None, None) => None,
        _ => bail!(UsageError("--cert and --key go together: a certificate and its key".to_owned())),
    };
    let config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    Ok(config.root_certs(RootCerts::from(roots)).client_cert(shown).build())
}

fn named(flag: Option<&PathBuf>, variable: &str) -> Option<PathBuf> {
    flag.cloned().or_else(|| environment::variable(variable).map(PathBuf::from))
}

fn authorities_of_the_system() -> Vec<Certificate<'static>> {
    // What cannot be read is not trusted; whoever misses it is told of --ca.
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<Certificate<'static>>> {
    let mut certificates = Vec::new();
    for item in parse_pem(&read(flag, path)?) {
        if let PemItem::Certificate(certificate) = item.with_context(|| format!("{flag} {}", path.display()))? {
            certificates.push(certificate);
        }
    }
    anyhow::ensure!(!certificates.is_empty(), "{flag} {}: there is no certificate in it (PEM)", path.display());
    Ok(certificates)
}

/// A certificate and its key, which are known to fit.
fn identity(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<ClientCert> {
    let chain = certificates("--cert", certificate)?;
    let shown = key.display();
    let unusable =
        || format!("--key {shown}: there is no private key in it that can be read (PEM, without a passphrase)");
    let private = PrivateKey::from_pem(&read("--key", key)?).with_context(unusable)?;
    let ders = chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let key_der = PrivateKeyDer::try_from(private.der().to_vec()).map_err(|_| anyhow!(unusable()))?;
    CertifiedKey::from_der(ders, key_der, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            anyhow!("--key {shown}: it is not the key of the certificate in {}", certificate.display())
        }
        // As of version 1, which openssl makes where no extension is asked for.
        other => anyhow!(other).context(format!("--cert {}: it cannot be used", certificate.display())),
    })?;
    Ok(ClientCert::new_with_certs(&chain, private))
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{flag} {}", path.display()))
}

/// What to do about a failure, where it is one of TLS.
pub fn advice(error: &ureq::Error) -> Option<String> {
    use rustls::{AlertDescription::CertificateRequired, Error};
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref()?,
        _ => return None,
    };
    Some(match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no authority that is trusted here has signed its certificate; say which one to trust with --ca FILE or GUST_CA"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::Other(why)) if why.to_string().contains("CaUsedAsEndEntity") => {
            "it shows the certificate of an authority; let that sign one for the host".to_owned()
        }
        Error::InvalidCertificate(_) => error.to_string(),
        Error::AlertReceived(CertificateRequired) => {
            "it wants to see a certificate; show it one with --cert FILE and --key FILE".to_owned()
        }
        Error::AlertReceived(alert) => format!("it refused the connection ({alert:?}); where --cert was given, that is why"),
        Error::InvalidMessage(_) => "it does not speak TLS there; try http://".to_owned(),
        _ => error.to_string(),
    })
}
