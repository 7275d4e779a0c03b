//! For Spin: `spin.toml`, a manifest of version 2 (spinframework.dev, "Spin Application Manifest Reference").

use std::collections::BTreeMap;

use gust_core::{
    StateName,
    routing::{Action, HostPattern, Route},
};
use serde::Serialize;

use super::{COMPONENT, Exported, Files};

pub(super) const FILE: &str = "spin.toml";

/// The route of every path.
const ALL: &str = "/...";

#[derive(Serialize)]
struct SpinToml<'a> {
    spin_manifest_version: u8,
    application: Application<'a>,
    trigger: Trigger<'a>,
    component: BTreeMap<&'a str, Component<'a>>,
}

#[derive(Serialize)]
struct Application<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Trigger<'a> {
    http: Vec<Http<'a>>,
}

#[derive(Serialize)]
struct Http<'a> {
    route: String,
    component: &'a str,
}

#[derive(Serialize)]
struct Component<'a> {
    source: &'a str,
    allowed_outbound_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    key_value_stores: Vec<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: &'a BTreeMap<String, String>,
}

/// What Spin wants.
pub(super) fn files(exported: &Exported) -> anyhow::Result<Files> {
    let (name, manifest, mut notes) = (exported.name.as_str(), &exported.manifest, exported.unrouted());
    let http = routes(exported, &mut notes).into_iter().map(|route| Http { route, component: name }).collect();
    let outbound = &manifest.allow.outbound;
    if outbound.iter().any(|destination| destination.has_methods()) {
        notes.push("Spin allows hosts and no methods: every method of allow.outbound's hosts is allowed".to_owned());
    }
    if manifest.allow.kv.iter().any(|bucket| bucket.as_str() != "default") {
        notes.push(
            "Spin has the key-value store `default` alone; say in its runtime configuration where the others are"
                .to_owned(),
        );
    }
    let component = Component {
        source: COMPONENT,
        allowed_outbound_hosts: outbound.iter().map(ToString::to_string).collect(),
        key_value_stores: manifest.allow.kv.iter().map(StateName::as_str).collect(),
        environment: &manifest.env,
    };
    let document = SpinToml {
        spin_manifest_version: 2,
        application: Application { name, version: "0.1.0" },
        trigger: Trigger { http },
        component: BTreeMap::from([(name, component)]),
    };
    let next = match manifest.secrets.as_slice() {
        [] => "spin up".to_owned(),
        secrets => {
            let set: Vec<_> = secrets.iter().map(|secret| format!("--env {secret}=\"${secret}\"")).collect();
            format!("spin up {}", set.join(" "))
        }
    };
    notes.extend(exported.secrets("with `spin up --env NAME=VALUE`"));
    Ok(Files { name: FILE, text: toml::to_string(&document)?, is_program: false, notes, next })
}

/// Its routes as Spin writes them; those that it cannot say are for all hosts and methods.
fn routes(exported: &Exported, notes: &mut Vec<String>) -> Vec<String> {
    let routes = exported.manifest.routes().unwrap_or_default();
    let called = || routes.iter().filter(|route| matches!(route.action(), Action::Call));
    for route in called().filter(|route| *route.host() != HostPattern::Any || !route.methods().are_all()) {
        notes.push(format!("the route {route} is for every host and method there: Spin routes by path alone"));
    }
    let mut written: Vec<String> = called().map(|route| path(route)).collect();
    written.sort_unstable();
    written.dedup();
    if written.is_empty() { vec![ALL.to_owned()] } else { written }
}

/// `/orders/{id}` is `/orders/:id` there, and `/img/{path...}` is `/img/...`.
fn path(route: &Route) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
        Some(rest) if rest.ends_with("...") => "...".to_owned(),
        Some(name) => format!(":{name}"),
        None => segment.to_owned(),
    };
    route.path().as_str().split('/').map(segment).collect::<Vec<_>>().join("/")
}
