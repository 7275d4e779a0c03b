//! Where something is: a bucket or a container of an app.

use std::sync::Arc;

use gust_core::{AppName, StateName};

/// A bucket or a container of an app. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    app: AppName,
    path: Arc<str>,
}

impl Place {
    /// The one of that name.
    pub fn new(app: &AppName, name: &StateName) -> Self {
        // Names have no slashes.
        Self { app: app.clone(), path: format!("{app}/{name}").into() }
    }

    /// The one that the database has so.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let (app, name) = path.split_once('/')?;
        Some(Self::new(&app.parse().ok()?, &name.parse().ok()?))
    }

    /// The app.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// As the database has it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// The first path of an app's places, and the first that is not.
pub(super) fn range(app: &AppName) -> [String; 2] {
    // The character after the slash.
    [format!("{app}/"), format!("{app}0")]
}

/// The app of a path.
pub(super) fn app_of(path: &str) -> Option<AppName> {
    path.split_once('/').and_then(|(app, _)| app.parse().ok())
}
