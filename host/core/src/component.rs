//! What a component is, and what it may reach: the document that the API and `gust inspect` show.
//!
//! The engine reads a component without knowing a manifest; what a manifest decides of it, [`ComponentInfo::under`] says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Manifest, api::World, manifest::Allow};

/// A component: what it exports, what it imports, what made it, and which hosts can run it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ComponentInfo {
    /// What it exports, as `wasi:http/incoming-handler@0.2.0`.
    pub exports: Vec<String>,
    /// Those of its exports that a host calls.
    pub handlers: Vec<String>,
    /// What it imports.
    pub imports: Vec<ImportInfo>,
    /// Languages and tools, as its `producers` sections name them.
    pub producers: Vec<ProducerInfo>,
    /// What its bytes are for.
    pub sizes: SizesInfo,
    /// How many core modules there are in it.
    pub core_modules: u32,
    /// How many memories they have.
    pub memories: u32,
    /// Which hosts can run it.
    pub hosts: Vec<HostInfo>,
    /// Whether there is more than is listed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportInfo {
    /// Its name, as `wasi:io/streams@0.2.6`.
    pub name: String,
    /// What becomes of it here.
    pub reach: Reach,
    /// The key of the manifest that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Of what is not offered, the nearest that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// What becomes of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// The host offers it.
    Offered,
    /// The host offers it, and the manifest decides what it reaches.
    Manifest,
    /// The manifest lets it reach something.
    Allowed,
    /// The manifest lets it reach nothing, so its calls fail.
    Denied,
    /// The host offers it, but there is nothing to find: no file, no address, no value.
    Empty,
    /// The host does not offer it.
    Missing,
}

impl Reach {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Manifest => "manifest",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Empty => "empty",
            Self::Missing => "missing",
        }
    }
}

/// Something that had part in making a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProducerInfo {
    /// What it is: `language`, `processed-by` or `sdk`.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// Its version; empty where it says none.
    pub version: String,
}

/// What a component's bytes are for, of all modules and components in it together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SizesInfo {
    /// Functions.
    pub code_bytes: u64,
    /// What memories begin with.
    pub data_bytes: u64,
    /// Types.
    pub types_bytes: u64,
    /// Names and what debuggers read: nothing of it is needed to run.
    pub debug_bytes: u64,
    /// Other custom sections.
    pub custom_bytes: u64,
    /// All else.
    pub other_bytes: u64,
}

/// A host, and whether it can run a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostInfo {
    /// What it is called, as `wasmtime serve`.
    pub host: String,
    /// Of which of its versions that is known.
    pub version: String,
    /// Whether it can run it.
    pub runs: bool,
    /// Why not: which export or imports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why_not: Vec<String>,
    /// The command line that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a manifest, and what is configured beside it, let a function reach.
#[derive(Debug, Clone, Copy)]
pub struct Granted<'a> {
    /// Its `[allow]`.
    pub allow: &'a Allow,
    /// Whether it is configured with anything: environment, secrets, its app's configuration.
    pub has_settings: bool,
}

impl<'a> From<&'a Manifest> for Granted<'a> {
    fn from(manifest: &'a Manifest) -> Self {
        let has_settings = !manifest.env.is_empty() || !manifest.secrets.is_empty();
        Self { allow: &manifest.allow, has_settings }
    }
}

/// Interfaces that reach something only where somebody decided so.
struct Decided {
    /// What their names begin with.
    names: &'static str,
    /// The keys of the manifest.
    by: &'static str,
    /// Whether there is something to reach.
    reaches: fn(&Granted<'_>) -> bool,
    /// What they are where there is not.
    otherwise: Reach,
}

/// All of them. Of several rows that a name begins with the first counts.
const DECIDED: &[Decided] = &[
    Decided { names: "wasi:http/outgoing-handler@", by: REQUESTS, reaches: sends, otherwise: Reach::Denied },
    Decided { names: "wasi:http/client@", by: REQUESTS, reaches: sends, otherwise: Reach::Denied },
    Decided {
        names: "wasi:config/",
        by: "env, secrets",
        reaches: |granted| granted.has_settings,
        otherwise: Reach::Empty,
    },
    Decided { names: "wasi:keyvalue/", by: KEY_VALUES, reaches: keeps_values, otherwise: Reach::Denied },
    Decided { names: "gust:keyvalue/", by: KEY_VALUES, reaches: keeps_values, otherwise: Reach::Denied },
    Decided {
        names: "wasi:blobstore/",
        by: "allow.blob",
        reaches: |granted| !granted.allow.blob.is_empty(),
        otherwise: Reach::Denied,
    },
    Decided { names: "wasi:filesystem/", by: "", reaches: |_| false, otherwise: Reach::Empty },
    Decided { names: "wasi:sockets/", by: "", reaches: |_| false, otherwise: Reach::Empty },
];

const REQUESTS: &str = "allow.functions, allow.outbound";

const KEY_VALUES: &str = "allow.kv";

fn keeps_values(granted: &Granted<'_>) -> bool {
    !granted.allow.kv.is_empty()
}

fn sends(granted: &Granted<'_>) -> bool {
    !granted.allow.functions.is_empty() || !granted.allow.outbound.is_empty()
}

impl ImportInfo {
    /// One that the host offers.
    pub fn offered(name: String) -> Self {
        let decided = decided(&name);
        let reach = match decided {
            Some(decided) if decided.by.is_empty() => decided.otherwise,
            Some(_) => Reach::Manifest,
            None => Reach::Offered,
        };
        let by = decided.map(|decided| decided.by.to_owned()).filter(|by| !by.is_empty());
        Self { name, reach, decided_by: by, nearest: None }
    }

    /// One that it does not offer.
    pub fn missing(name: String, nearest: Option<String>) -> Self {
        Self { name, reach: Reach::Missing, decided_by: None, nearest }
    }
}

fn decided(name: &str) -> Option<&'static Decided> {
    DECIDED.iter().find(|decided| name.starts_with(decided.names))
}

impl ComponentInfo {
    /// The same component as a function to which this is granted.
    #[must_use]
    pub fn under(mut self, granted: &Granted<'_>) -> Self {
        for import in self.imports.iter_mut().filter(|import| import.reach == Reach::Manifest) {
            if let Some(decided) = decided(&import.name) {
                import.reach = if (decided.reaches)(granted) { Reach::Allowed } else { decided.otherwise };
            }
        }
        self
    }

    /// The export that requests would go through on this host.
    pub fn world(&self) -> Option<World> {
        let is_exported =
            |world: &World| self.handlers.iter().any(|name| name.split('@').next() == Some(world.as_str()));
        [World::Typed, World::Service, World::WasiHttp, World::Command].into_iter().find(is_exported)
    }

    /// The imports of which this becomes.
    pub fn that_are(&self, reach: Reach) -> impl Iterator<Item = &ImportInfo> {
        self.imports.iter().filter(move |import| import.reach == reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(manifest: &str) -> Vec<&'static str> {
        let manifest = Manifest::parse(manifest).unwrap();
        let names = ["wasi:io/streams@0.2.6", "wasi:http/outgoing-handler@0.2.0", "wasi:http/client@0.3.0"];
        let more = ["wasi:config/store@0.2.0-rc.1", "wasi:filesystem/types@0.2.0", "wasi:http/types@0.2.0"];
        let imports = names.iter().chain(&more).map(|name| ImportInfo::offered((*name).to_owned())).collect();
        let info = ComponentInfo { imports, ..ComponentInfo::default() }.under(&Granted::from(&manifest));
        info.imports.iter().map(|import| import.reach.as_str()).collect()
    }

    #[test]
    fn a_manifest_decides_what_is_reached() {
        assert_eq!(reaches(""), ["offered", "denied", "denied", "empty", "empty", "offered"]);
        let may_call = "[allow]\nfunctions = [\"auth\"]";
        assert_eq!(reaches(may_call), ["offered", "allowed", "allowed", "empty", "empty", "offered"]);
        let may_send = "[allow]\noutbound = [\"https://a.test\"]\n[env]\nA = \"1\"";
        assert_eq!(reaches(may_send), ["offered", "allowed", "allowed", "allowed", "empty", "offered"]);
    }

    #[test]
    fn without_a_manifest_it_is_said_which_key_decides() {
        let import = ImportInfo::offered("wasi:http/client@0.3.0".to_owned());
        assert_eq!((import.reach, import.decided_by.as_deref()), (Reach::Manifest, Some(REQUESTS)));
        let import = ImportInfo::offered("wasi:sockets/tcp@0.2.0".to_owned());
        assert_eq!((import.reach, import.decided_by), (Reach::Empty, None));
    }
}
