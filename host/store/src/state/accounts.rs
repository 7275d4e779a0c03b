//! What each app stores, and what is being written for it: counted before it is there, so that no quota is passed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gust_core::AppName;

use crate::StoreError;

/// Files of blobs that an app may have open at the same time.
const FILES_MAX: u32 = 256;

/// The accounts of all apps.
pub(super) struct Accounts(Mutex<HashMap<AppName, Account>>);

#[derive(Default)]
struct Account {
    stored_bytes: u64,
    /// What is being written, and is not stored yet.
    held_bytes: u64,
    files: u32,
}

impl Accounts {
    pub(super) fn new(stored: HashMap<AppName, u64>) -> Self {
        let account = |(app, stored_bytes)| (app, Account { stored_bytes, ..Account::default() });
        Self(Mutex::new(stored.into_iter().map(account).collect()))
    }

    pub(super) fn stored_bytes(&self, app: &AppName) -> u64 {
        self.lock().get(app).map_or(0, |account| account.stored_bytes)
    }

    /// Apps that store something.
    pub(super) fn apps(&self) -> Vec<AppName> {
        let accounts = self.lock();
        accounts.iter().filter(|(_, account)| account.stored_bytes > 0).map(|(app, _)| app.clone()).collect()
    }

    /// Counts what is stored more or less. More only where that stays within `bytes_max`.
    pub(super) fn grow(&self, app: &AppName, bytes: i64, bytes_max: u64) -> Result<(), StoreError> {
        let mut accounts = self.lock();
        let account = accounts.entry(app.clone()).or_default();
        if bytes > 0 {
            account.must_have_room(bytes.unsigned_abs(), bytes_max)?;
        }
        account.stored_bytes = account.stored_bytes.saturating_add_signed(bytes);
        Ok(())
    }

    /// Takes back what was counted.
    pub(super) fn undo(&self, app: &AppName, bytes: i64) {
        if let Some(account) = self.lock().get_mut(app) {
            account.stored_bytes = account.stored_bytes.saturating_add_signed(-bytes);
        }
    }

    /// Begins to use a file for an app.
    pub(super) fn file(self: &Arc<Self>, app: &AppName, bytes_max: u64) -> Result<Hold, StoreError> {
        let mut accounts = self.lock();
        let account = accounts.entry(app.clone()).or_default();
        if account.files >= FILES_MAX {
            return Err(StoreError::StateBusy("blobs are open"));
        }
        account.files += 1;
        Ok(Hold { accounts: self.clone(), app: app.clone(), bytes: 0, bytes_max })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AppName, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn must_have_room(&self, bytes: u64, bytes_max: u64) -> Result<(), StoreError> {
        let bytes = self.stored_bytes.saturating_add(self.held_bytes).saturating_add(bytes);
        if bytes <= bytes_max { Ok(()) } else { Err(StoreError::QuotaStorage { mib_max: bytes_max >> 20 }) }
    }
}

/// An open file of an app's, and the room that is held for what is written to it. Dropping it gives both back.
pub(super) struct Hold {
    accounts: Arc<Accounts>,
    app: AppName,
    bytes: u64,
    bytes_max: u64,
}

impl Hold {
    /// Holds room for so many more.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), StoreError> {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(self.app.clone()).or_default();
        account.must_have_room(bytes, self.bytes_max)?;
        account.held_bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    /// What the app may store.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(account) = self.accounts.lock().get_mut(&self.app) {
            account.held_bytes = account.held_bytes.saturating_sub(self.bytes);
            account.files = account.files.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_counts_until_it_is_given_up() {
        let accounts = Arc::new(Accounts::new(HashMap::new()));
        let app = AppName::default_app();
        accounts.grow(&app, 60, 100).unwrap();
        let mut hold = accounts.file(&app, 100).unwrap();
        hold.grow(30).unwrap();
        assert!(hold.grow(11).is_err() && accounts.grow(&app, 11, 100).is_err());
        drop(hold);
        accounts.grow(&app, 40, 100).unwrap();
        assert!(accounts.grow(&app, 1, 100).is_err());
        accounts.grow(&app, -100, 0).unwrap();
        assert_eq!((accounts.stored_bytes(&app), accounts.apps()), (0, vec![]));
    }

    #[test]
    fn an_app_has_so_many_files_open_and_no_more() {
        let accounts = Arc::new(Accounts::new(HashMap::new()));
        let app = AppName::default_app();
        let held: Vec<_> = (0..FILES_MAX).map(|_| accounts.file(&app, 0).unwrap()).collect();
        assert!(accounts.file(&app, 0).is_err() && accounts.file(&"other".parse().unwrap(), 0).is_ok());
        drop(held);
        assert!(accounts.file(&app, 0).is_ok());
    }
}
