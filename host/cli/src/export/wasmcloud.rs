//! For wasmCloud 2: `workload.yaml`, a `WorkloadDeployment` (wasmCloud/wasmCloud, `charts/runtime-operator/crds`).

use std::fmt::Write as _;

use super::{COMPONENT, Exported, Files};

pub(super) const FILE: &str = "workload.yaml";

/// Packages that a workload names where it imports them. Those of WASI itself every workload has.
const PACKAGES: [&str; 5] = ["wasi:http", "wasi:config", "wasi:keyvalue", "wasi:blobstore", "wasi:logging"];

/// What wasmCloud wants.
pub(super) fn files(exported: &Exported) -> Files {
    let (name, manifest, mut notes) = (exported.name.as_str(), &exported.manifest, exported.unrouted());
    let image = format!("ghcr.io/OWNER/{name}:0.1.0");
    let mut text = format!(
        "# Push the component first, to a registry of your own: wash oci push {image} {COMPONENT}\n\
         apiVersion: runtime.wasmcloud.dev/v1alpha1\nkind: WorkloadDeployment\nmetadata:\n  name: {name}\nspec:\n  \
         replicas: 1\n  template:\n    spec:\n      components:\n        - name: {name}\n          image: {image}\n"
    );
    text.push_str(&resources(exported, &mut notes));
    text.push_str("      hostInterfaces:\n");
    PACKAGES.iter().for_each(|package| text.push_str(&interfaces(exported, package)));
    if !manifest.routes.is_empty() {
        notes.push("it is called for every path of its host: set that in workload.yaml, it is localhost".to_owned());
    }
    let how = format!("as a Kubernetes secret, kubectl create secret generic {name}-secrets --from-literal=NAME=VALUE");
    notes.extend(exported.secrets(&how));
    notes.push(format!("{FILE} names an image that is not there yet: put your registry in the place of ghcr.io/OWNER"));
    let next = format!("wash oci push {image} {COMPONENT} && kubectl apply -f {FILE}");
    Files { name: FILE, text, is_program: false, notes, next }
}

/// The component's `localResources`.
fn resources(exported: &Exported, notes: &mut Vec<String>) -> String {
    let (manifest, mut text) = (&exported.manifest, String::new());
    let mut environment = String::new();
    if !manifest.env.is_empty() {
        environment.push_str("              config:\n");
        environment.push_str(&settings(exported, 16));
    }
    if !manifest.secrets.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(environment, "              secretFrom:\n                - name: {}-secrets\n", exported.name);
    }
    let destinations = manifest.allow.outbound.iter();
    let (hosts, others): (Vec<_>, Vec<_>) = destinations.partition(|one| one.is_named() && one.port().is_some());
    for other in others {
        notes.push(format!("{other} is not allowed there: wasmCloud allows names of hosts with one port each"));
    }
    if hosts.iter().any(|host| host.has_methods()) {
        notes.push(
            "wasmCloud allows hosts and no methods: every method of allow.outbound's hosts is allowed".to_owned(),
        );
    }
    let hosts: String = hosts.iter().map(|host| format!("              - {}\n", scalar(&host.to_string()))).collect();
    if !environment.is_empty() || !hosts.is_empty() {
        text.push_str("          localResources:\n");
    }
    if !environment.is_empty() {
        let _ = write!(text, "            environment:\n{environment}");
    }
    if !hosts.is_empty() {
        let _ = write!(text, "            allowedHosts:\n{hosts}");
    }
    text
}

/// An entry of `hostInterfaces`, where the component has anything of the package.
fn interfaces(exported: &Exported, package: &str) -> String {
    let component = &exported.component;
    let imports = component.imports.iter().map(|import| &import.name);
    let within = |name: &String| {
        let (interface, _) = name.strip_prefix(package)?.strip_prefix('/')?.split_once('@')?;
        Some(interface.to_owned())
    };
    let mut names: Vec<String> = component.handlers.iter().chain(imports).filter_map(within).collect();
    names.sort_unstable();
    names.dedup();
    let Some((namespace, package)) = package.split_once(':').filter(|_| !names.is_empty()) else {
        return String::new();
    };
    let mut text = format!("        - namespace: {namespace}\n          package: {package}\n          interfaces:\n");
    names.iter().for_each(|name| text.push_str(&format!("            - {name}\n")));
    match package {
        "http" => text.push_str("          config:\n            host: localhost\n"),
        "config" if !exported.manifest.env.is_empty() => {
            text.push_str("          config:\n");
            text.push_str(&settings(exported, 12));
        }
        _ => {}
    }
    text
}

/// `[env]` as a mapping.
fn settings(exported: &Exported, indent: usize) -> String {
    let env = exported.manifest.env.iter();
    env.map(|(name, value)| format!("{}{name}: {}\n", " ".repeat(indent), scalar(value))).collect()
}

/// A text as YAML has it between quotes: as JSON does (YAML 1.2, section 7.3.1), with no control character as it is.
fn scalar(text: &str) -> String {
    // A text can always be written.
    let json = serde_json::to_string(text).unwrap_or_default();
    let escaped = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    json.chars().map(escaped).collect()
}
