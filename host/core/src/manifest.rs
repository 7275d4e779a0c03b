//! `gust.toml`: what a function's owner decides about it, beside its `Cargo.toml`.
//!
//! Every key has a default and an unknown key is an error, so that a manifest that is accepted means what it says. Keys
//! that gust is to have but this version does not serve are refused by name, rather than carried along and not enforced.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    Access, Code, FunctionName, InstanceMode, Limits, Problem, StateName, app,
    outbound::{DESTINATIONS_MAX, Destination},
    routing::{self, Route, RouteError, RouteSpec},
    state::Ttl,
    text_place::line_and_column,
};

/// The longest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;

/// All names and values of `[env]` together, in bytes.
const ENV_BYTES_MAX: usize = 32 << 10;

/// The most functions that a request goes through before the one that it is for.
const MIDDLEWARE_MAX: usize = 8;

/// Keys that a later version serves.
const PLANNED: [&str; 1] = ["trigger"];

/// A function's manifest, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    /// The function's name. Default: that of the directory or the upload.
    pub name: Option<FunctionName>,
    /// How `gust build` makes the component.
    pub build: Build,
    /// Where each request's instance comes from. Default: `rewind`.
    pub instance: InstanceMode,
    /// Whether the component is a program, which exports `wasi:cli/run`, to be run once for each request: CGI (RFC 3875). Default: no.
    pub cgi: bool,
    /// Who may call it. Default: `open`.
    pub access: Access,
    /// Functions of its app that its requests go through before it, in this order. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub middleware: Vec<FunctionName>,
    /// Which of its app's secrets it sees, in its environment and through `wasi:config`. Default: none.
    pub secrets: Vec<String>,
    /// What one invocation may use.
    pub limits: Limits,
    /// The environment that the guest sees. Default: nothing.
    pub env: BTreeMap<String, String>,
    /// What it may reach. Default: nothing.
    pub allow: Allow,
    /// What becomes of what it sets in buckets of key-values. Default: it stays.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kv: BTreeMap<StateName, Bucket>,
    /// Where it is called beside its own address. Default: nowhere.
    #[serde(rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteSpec>,
}

/// What a function may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Functions of the same app that it may call.
    pub functions: BTreeSet<FunctionName>,
    /// Whom it may send requests outside of the host.
    pub outbound: Vec<Destination>,
    /// Buckets of its app's key-values that it may read and write.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kv: BTreeSet<StateName>,
    /// Containers of its app's blobs that it may read and write.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub blob: BTreeSet<StateName>,
}

/// What a function decides about a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bucket {
    /// How long what it sets there is kept. Default: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// How `gust build` makes the component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    /// The program and its arguments, run in the manifest's directory. Default: cargo, for wasm32-wasip2.
    pub command: Option<Vec<String>>,
    /// The component that the command writes, relative to the manifest. Needed with `command` and only then.
    pub component: Option<String>,
}

/// What is wrong with a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gust.toml{}: {message}", place.as_ref().map_or(String::new(), |(line, column)| format!(":{line}:{column}")))]
pub struct ManifestError {
    /// Line and column, from 1.
    place: Option<(usize, usize)>,
    message: String,
}

impl ManifestError {
    fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }
}

impl From<RouteError> for ManifestError {
    fn from(error: RouteError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<ManifestError> for Problem {
    fn from(error: ManifestError) -> Self {
        Self::new(Code::ManifestInvalid, error.to_string())
    }
}

impl Manifest {
    /// Reads a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            let message = format!("it has {} bytes; a manifest has at most {MANIFEST_BYTES_MAX}", text.len());
            return Err(ManifestError::new(message));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| explain(text, &error))?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if let Some(limit) = self.limits.too_small() {
            let (key, min) = (limit.key(), limit.min());
            return Err(ManifestError::new(format!(
                "limits.{key} is {}; it is at least {min}",
                self.limits.get(limit)
            )));
        }
        let has = |part: bool| if part { "is given" } else { "is missing" };
        let (command, component) = (self.build.command.is_some(), self.build.component.is_some());
        if command != component {
            let message = "build.command and build.component go together";
            return Err(ManifestError::new(format!(
                "{message}: command {}, component {}",
                has(command),
                has(component)
            )));
        }
        if self.build.command.as_ref().is_some_and(Vec::is_empty) {
            return Err(ManifestError::new("build.command is empty; it is a program and its arguments"));
        }
        self.check_env()?;
        self.check_middleware()?;
        let destinations = self.allow.outbound.len();
        if destinations > DESTINATIONS_MAX {
            let message = format!("allow.outbound has {destinations} entries; it has at most {DESTINATIONS_MAX}");
            return Err(ManifestError::new(message));
        }
        if let Some(bucket) = self.kv.keys().find(|bucket| !self.allow.kv.contains(*bucket)) {
            let message = format!("[kv.{bucket}] is of a bucket that it may not use; add {bucket} to allow.kv");
            return Err(ManifestError::new(message));
        }
        if self.access == Access::Private && !self.routes.is_empty() {
            let message = "a private function has no routes, for clients may not call it; take out the [[route]]s, or say \
                another access";
            return Err(ManifestError::new(message));
        }
        self.routes()?;
        Ok(())
    }

    fn check_middleware(&self) -> Result<(), ManifestError> {
        let names = &self.middleware;
        if names.len() > MIDDLEWARE_MAX {
            let message = format!("middleware names {} functions; it names at most {MIDDLEWARE_MAX}", names.len());
            return Err(ManifestError::new(message));
        }
        if let Some((_, twice)) =
            names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|it| it == *name))
        {
            return Err(ManifestError::new(format!("middleware names {twice} twice")));
        }
        if let Some(own) = self.name.as_ref().filter(|own| names.contains(own)) {
            return Err(ManifestError::new(format!("middleware names {own}, which is the function itself")));
        }
        Ok(())
    }

    fn check_env(&self) -> Result<(), ManifestError> {
        for (name, value) in &self.env {
            let wrong = |problem: Problem| ManifestError::new(format!("env: {}", problem.detail));
            app::check_key(name).map_err(wrong)?;
            app::check_value(name, value).map_err(wrong)?;
        }
        for (at, name) in self.secrets.iter().enumerate() {
            app::check_key(name).map_err(|problem| ManifestError::new(format!("secrets: {}", problem.detail)))?;
            if self.env.contains_key(name) {
                return Err(ManifestError::new(format!("{name} is both in env and in secrets; take it out of env")));
            }
            if self.secrets.iter().take(at).any(|earlier| earlier == name) {
                return Err(ManifestError::new(format!("secrets names {name} twice")));
            }
        }
        let bytes: usize = self.env.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > ENV_BYTES_MAX {
            let message = format!("[env] has {bytes} bytes; it has at most {ENV_BYTES_MAX}");
            return Err(ManifestError::new(message));
        }
        Ok(())
    }

    /// Its routes, checked.
    pub fn routes(&self) -> Result<Vec<Arc<Route>>, ManifestError> {
        Ok(routing::check_all(&self.routes)?)
    }

    /// Checks the limits against the most that a host allows.
    pub fn check_memory(&self, memory_mib_max: u32) -> Result<(), ManifestError> {
        let asked = self.limits.memory_mib;
        if asked <= memory_mib_max {
            return Ok(());
        }
        let by_default = if asked == Limits::default().memory_mib { " by default" } else { "" };
        let message = format!(
            "limits.memory_mib is {asked}{by_default}; this host allows at most {memory_mib_max} (memory_mib_max): say less"
        );
        Err(ManifestError::new(message))
    }
}

/// toml's error with its place, and in gust's words where a key is only planned.
fn explain(text: &str, error: &toml::de::Error) -> ManifestError {
    let place = error.span().map(|span| line_and_column(text, &span));
    let message = error.message().trim().replace('\n', ", ");
    let planned = |key: &&&str| message.starts_with(&format!("unknown field `{key}`"));
    if let Some(key) = PLANNED.iter().find(planned) {
        let message = format!("`{key}` is not served by this version of gust; take it out");
        return ManifestError { place, message };
    }
    ManifestError { place, message }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        Manifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_a_manifest() {
        assert_eq!(Manifest::parse("").unwrap(), Manifest::default());
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            name = "resize"
            instance = "fresh"
            middleware = ["gate", "count"]
            [build]
            command = ["make", "all"]
            component = "out.wasm"
            [limits]
            memory_mib = 64
            wall_ms = 5
            [env]
            GREETING = "hi"
            [allow]
            functions = ["auth", "store", "auth"]
            outbound = ["https://*.example.com", { to = "https://hooks.example.org", methods = ["POST"] }]
            kv = ["carts", "sessions"]
            blob = ["pictures"]
            [kv.sessions]
            ttl = "30m"
            [[route]]
            path = "/img/{path...}"
            [[route]]
            host = "img.example.com"
            path = "/{size}"
            methods = ["GET"]
            redirect = { to = "/img/{size}" }
            [[route]]
            path = "/robots.txt"
            respond = { body = "User-agent: *" }
        "#;
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.name.as_ref().unwrap().as_str(), "resize");
        assert_eq!(manifest.instance, InstanceMode::Fresh);
        assert_eq!(manifest.middleware.iter().map(FunctionName::as_str).collect::<Vec<_>>(), ["gate", "count"]);
        assert_eq!(manifest.limits, Limits { memory_mib: 64, wall_ms: 5, ..Limits::default() });
        assert_eq!(manifest.env.get("GREETING").unwrap(), "hi");
        let routes: Vec<String> = manifest.routes().unwrap().iter().map(|route| route.to_string()).collect();
        assert_eq!(routes, ["/img/{path...}", "GET img.example.com/{size}", "/robots.txt"]);
        assert_eq!(manifest.routes[1].redirect.as_ref().unwrap().status, 308);
        let respond = manifest.routes[2].respond.as_ref().unwrap();
        assert_eq!((respond.status, respond.content_type.as_str()), (200, "text/plain; charset=utf-8"));
        let allowed: Vec<_> = manifest.allow.functions.iter().map(FunctionName::as_str).collect();
        assert_eq!(allowed, ["auth", "store"]);
        assert_eq!(manifest.allow.outbound.len(), 2);
        let buckets: Vec<_> = manifest.allow.kv.iter().map(StateName::as_str).collect();
        assert_eq!((buckets, manifest.allow.blob.len()), (vec!["carts", "sessions"], 1));
        let ttl = |bucket: &str| manifest.kv.get(bucket).and_then(|bucket| bucket.ttl).map(Ttl::as_duration);
        assert_eq!((ttl("sessions"), ttl("carts")), (Some(Duration::from_secs(1800)), None));
        let json = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }

    #[test]
    fn what_was_stored_before_there_were_routes_is_read() {
        let json = serde_json::to_string(&Manifest::default()).unwrap();
        assert!(
            !json.contains("route") && !json.contains("middleware") && !json.contains("kv") && !json.contains("blob"),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), Manifest::default());
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        assert!(
            error("[limits]\nmemory = 3").starts_with("gust.toml:2:1: unknown field `memory`"),
            "{}",
            error("[limits]\nmemory = 3")
        );
        assert!(error("nmae = \"x\"").contains("unknown field `nmae`"));
        assert!(error("instance = \"warm\"").starts_with("gust.toml:1:12: unknown variant `warm`"));
        assert!(error("name = \"No\"").contains("is not a name"));
        assert!(error("[limits]\nwall_ms = 0").contains("limits.wall_ms is 0"));
        assert!(error("[limits]\nwall_ms = -1").starts_with("gust.toml:2:"));
        assert!(error("[env]\n\"A B\" = \"x\"").contains("is not a name"));
        assert!(error("access = \"closed\"").starts_with("gust.toml:1:10: unknown variant `closed`"));
        assert!(error("secrets = [\"A\", \"A\"]").contains("names A twice"));
        assert!(error("secrets = [\"A\"]\n[env]\nA = \"x\"").contains("both in env and in secrets"));
        assert!(error("access = \"private\"\n[[route]]\npath = \"/a\"").contains("a private function has no routes"));
        assert!(error("middleware = [\"a\", \"b\", \"a\"]").contains("middleware names a twice"));
        assert!(error("name = \"a\"\nmiddleware = [\"a\"]").contains("the function itself"));
        let many: Vec<String> = (0..9).map(|at| format!("\"m{at}\"")).collect();
        assert!(error(&format!("middleware = [{}]", many.join(","))).contains("at most 8"));
        assert!(error("[build]\ncommand = [\"make\"]").contains("component is missing"));
        assert!(error("[[trigger]]\non = \"x\"").contains("not served by this version"));
        let route = "[[route]]\npath = \"/a\"\n";
        assert!(error(&format!("{route}methode = [\"GET\"]")).starts_with("gust.toml:3:1: unknown field `methode`"));
        assert!(error(&format!("{route}respond = {{ stauts = 200 }}")).starts_with("gust.toml:3:"));
        assert!(error("[[route]]\nhost = \"a.test\"").contains("missing field `path`"));
        assert!(error(&format!("{route}methods = [\"get\"]")).starts_with("gust.toml: route 1 (\"/a\"): the method"));
        assert!(error(&format!("{route}{route}")).starts_with("gust.toml: routes 1 and 2: /a and /a take the same"));
        let outbound = error("[allow]\noutbound = [\n  \"https://a.test\",\n  \"https://b.test/x\"]");
        assert!(outbound.starts_with("gust.toml:4:3: outbound: \"https://b.test/x\" has a path"), "{outbound}");
        assert!(error(&format!("[allow]\noutbound = [{}]", "\"https://a.test\",".repeat(257))).contains("at most 256"));
        assert!(error("[allow]\nfunctions = [\"No\"]").contains("is not a name"));
        assert!(error("[allow]\nkv = [\"../x\"]").contains("is not a name"));
        assert!(error("[kv.carts]\nttl = \"1h\"").contains("add carts to allow.kv"));
        let ttl = |ttl: &str| error(&format!("[allow]\nkv = [\"carts\"]\n[kv.carts]\nttl = \"{ttl}\""));
        assert!(ttl("soon").contains("gust.toml:4:7: \"soon\" is no time to live"), "{}", ttl("soon"));
        assert!(Manifest::parse("[limits]\nmemory_mib = 600").unwrap().check_memory(512).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,300}", keys in "(\\[|\\]|limits|env|route|path|name|=|\"|\n|[0-9]|\\.| ){0,60}") {
            let _ = Manifest::parse(&text);
            let _ = Manifest::parse(&keys);
        }
    }
}
