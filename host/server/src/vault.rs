//! Where apps' secrets are sealed before they are stored, and opened when they are read.

use std::{collections::BTreeMap, path::Path};

use gust_access::{
    SealedPlace, SealingKey, SecretValue,
    seal::{KEY_BYTES, NONCE_BYTES},
};
use gust_core::{AppName, Code, Problem};
use gust_store::{SettingKind, Store, StoreError, StoredSetting};

/// Opened secrets by name, or why they cannot be opened.
pub(crate) type Secrets = Result<BTreeMap<String, SecretValue>, Problem>;

/// The key that secrets are sealed with.
pub(crate) struct Vault {
    key: SealingKey,
}

/// Why there is no such key.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the file holds.
    #[error("secrets_key_file: {0}")]
    Key(#[from] gust_access::seal::KeyError),
}

impl Vault {
    /// The key in a file of its own; without one, a key that is made in the data directory.
    pub(crate) fn open(store: &Store, key_file: &Path) -> Result<Self, VaultError> {
        if !key_file.as_os_str().is_empty() {
            let bytes = gust_store::private_file(key_file)?;
            // As this host makes one in its data directory, from where it may have been moved.
            if let Ok(bytes) = <&[u8; KEY_BYTES]>::try_from(bytes.as_slice()) {
                return Ok(Self { key: SealingKey::from_bytes(bytes)? });
            }
            let text = String::from_utf8_lossy(&bytes);
            return Ok(Self { key: text.trim().parse()? });
        }
        let bytes = store.key("secrets")?;
        let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| gust_access::seal::KeyError)?;
        Ok(Self { key: SealingKey::from_bytes(bytes)? })
    }

    /// A secret as it is stored.
    pub(crate) fn seal(&self, app: &AppName, secret: &str, value: &SecretValue) -> Result<Vec<u8>, Problem> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| failed(&error))?;
        self.key.seal(value, SealedPlace { app, secret }, nonce).map_err(|error| failed(&error))
    }

    /// An app's secrets as they were before they were stored.
    pub(crate) fn open_all(&self, app: &AppName, settings: &[StoredSetting]) -> Secrets {
        let sealed = settings.iter().filter(|setting| setting.kind == SettingKind::Secret);
        let opened = sealed.map(|setting| {
            let place = SealedPlace { app, secret: &setting.name };
            let value = self.key.open(&setting.value, place).map_err(|error| unreadable(&setting.name, &error))?;
            Ok((setting.name.clone(), value))
        });
        opened.collect()
    }
}

fn failed(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, "the secret could not be sealed; nothing was changed").with_internal(error.to_string())
}

fn unreadable(secret: &str, error: &gust_access::seal::SealError) -> Problem {
    let detail = format!("{secret}: {error}; give the host the key that it was sealed with, or set the secret again");
    Problem::new(Code::SecretUnreadable, detail)
}
