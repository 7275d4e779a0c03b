//! Everything that is deployed, as it was at one moment.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use gust_access::TokenBook;
use gust_core::{AppName, FunctionName};

use crate::{app::App, binding::Binding, deployment::Deployment, routes::Routes};

/// A binding that is found by its function's name.
#[derive(Clone)]
pub(crate) struct Bound(pub(crate) Arc<Binding>);

impl Borrow<str> for Bound {
    fn borrow(&self) -> &str {
        self.0.function.as_str()
    }
}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.function.as_str().hash(state);
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.0.function == other.0.function
    }
}

impl Eq for Bound {}

/// The functions of an app, by name.
pub(crate) type Functions = HashSet<Bound>;

/// An app and its functions.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The app.
    pub(crate) app: Arc<App>,
    /// Its functions.
    pub(crate) functions: Arc<Functions>,
}

impl Entry {
    /// The function of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Binding>> {
        self.functions.get(name).map(|bound| &bound.0)
    }

    /// Every function.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Binding>> {
        self.functions.iter().map(|bound| &bound.0)
    }
}

/// Everything that is deployed.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// The default app, which most requests are for.
    default: Entry,
    /// Every other app.
    others: BTreeMap<AppName, Entry>,
    /// The routes of all functions, and the hosts of all apps.
    pub(crate) routes: Arc<Routes>,
    /// Tokens of the API, which are keys too.
    pub(crate) tokens: Arc<TokenBook>,
}

impl Snapshot {
    /// Of nothing, for whoever has one of these tokens.
    pub(crate) fn empty(tokens: Arc<TokenBook>) -> Self {
        let default = Entry::of(App::empty(AppName::default_app()));
        Self { default, others: BTreeMap::new(), routes: Arc::default(), tokens }
    }
}

impl Entry {
    /// An app without functions.
    pub(crate) fn of(app: Arc<App>) -> Self {
        Self { app, functions: Arc::default() }
    }
}

impl Snapshot {
    /// The default app.
    pub(crate) fn default_app(&self) -> &Entry {
        &self.default
    }

    /// An app.
    pub(crate) fn app(&self, name: &str) -> Option<&Entry> {
        if self.default.app.name.as_str() == name { Some(&self.default) } else { self.others.get(name) }
    }

    /// All apps, the default one first, then by name.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.default).chain(self.others.values())
    }

    /// A function in the app that it belongs to.
    pub(crate) fn function(&self, name: &str) -> Option<&Arc<Binding>> {
        self.bindings(name).find(|binding| binding.home == binding.app.name)
    }

    /// A function in every app that it is in.
    pub(crate) fn bindings(&self, name: &str) -> impl Iterator<Item = &Arc<Binding>> {
        self.apps().filter_map(move |entry| entry.get(name))
    }

    /// Every function in the app that it belongs to, by name.
    pub(crate) fn functions(&self) -> Vec<&Arc<Binding>> {
        let all = self.all();
        let mut homes: Vec<_> = all.filter(|binding| binding.home == binding.app.name).collect();
        homes.sort_by(|a, b| a.function.cmp(&b.function));
        homes
    }

    /// Every function in every app.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Binding>> {
        self.apps().flat_map(Entry::all)
    }

    /// How many functions there are.
    pub(crate) fn len(&self) -> usize {
        self.all().filter(|binding| binding.home == binding.app.name).count()
    }

    /// Whether an alias points to the deployment.
    pub(crate) fn holds(&self, deployment: &Arc<Deployment>) -> bool {
        let binding = self.app(deployment.app.as_str()).and_then(|entry| entry.get(deployment.name.as_str()));
        binding.is_some_and(|binding| binding.deployments().any(|present| Arc::ptr_eq(present, deployment)))
    }

    /// Whether any function has a route or may go back to one, or any app has a host.
    pub(crate) fn has_routes(&self) -> bool {
        let routed = |binding: &Arc<Binding>| !binding.routes().is_empty() || !binding.routes_before.is_empty();
        self.apps().any(|entry| !entry.app.spec.hosts.is_empty()) || self.all().any(routed)
    }

    fn entry_mut(&mut self, name: &AppName) -> Option<&mut Entry> {
        if self.default.app.name == *name { Some(&mut self.default) } else { self.others.get_mut(name) }
    }

    /// Puts an app with its functions in the place of the one of its name.
    pub(crate) fn set_app(&mut self, entry: Entry) {
        if entry.app.name.is_default() {
            self.default = entry;
        } else {
            self.others.insert(entry.app.name.clone(), entry);
        }
    }

    /// Takes an app away.
    pub(crate) fn remove_app(&mut self, name: &AppName) {
        self.others.remove(name);
    }

    /// Puts a function in the apps of these bindings, and in no other.
    pub(crate) fn set_function(&mut self, name: &FunctionName, bindings: Vec<Arc<Binding>>) {
        for entry in std::iter::once(&mut self.default).chain(self.others.values_mut()) {
            let stays = bindings.iter().any(|binding| binding.app.name == entry.app.name);
            if !stays && entry.get(name.as_str()).is_some() {
                functions_mut(entry).remove(name.as_str());
            }
        }
        for binding in bindings {
            if let Some(entry) = self.entry_mut(&binding.app.name) {
                functions_mut(entry).replace(Bound(binding));
            }
        }
    }
}

#[expect(clippy::mutable_key_type, reason = "a binding's function never changes")]
fn functions_mut(entry: &mut Entry) -> &mut Functions {
    Arc::make_mut(&mut entry.functions)
}
