//! Whose JSON Web Tokens an app believes, out of what is stored of it.

use gust_access::{Issuer, Issuers, Jwks};
use gust_core::{
    Code, Problem,
    api::{IssuerInfo, IssuerSpec},
};
use gust_store::{SettingKind, StoredSetting};

use crate::app::no_issuer;

/// Issuers of one app: their keys are in memory, and are read again with each change of the app.
const ISSUERS_MAX: usize = 16;

/// The issuers, and how they are told of. One that cannot be read lets nobody in.
pub(crate) fn of(settings: &[StoredSetting]) -> (Result<Issuers, Problem>, Vec<IssuerInfo>) {
    let stored = settings.iter().filter(|setting| setting.kind == SettingKind::Issuer);
    let (mut list, mut told) = (Vec::new(), Vec::new());
    for setting in stored {
        match parsed(setting) {
            Ok((issuer, info)) => {
                list.push(issuer);
                told.push(IssuerInfo { name: setting.name.clone(), ..info });
            }
            Err(problem) => tracing::error!(issuer = setting.name, %problem, "an issuer cannot be read; set it again"),
        }
    }
    let issuers = if list.is_empty() { Err(no_issuer()) } else { all(list) };
    (issuers, told)
}

fn all(list: Vec<Issuer>) -> Result<Issuers, Problem> {
    Issuers::new(list).map_err(|error| Problem::new(Code::IssuerInvalid, error.to_string()))
}

fn parsed(setting: &StoredSetting) -> Result<(Issuer, IssuerInfo), Problem> {
    let invalid = |error: serde_json::Error| Problem::new(Code::IssuerInvalid, error.to_string());
    let spec: IssuerSpec = serde_json::from_slice(&setting.value).map_err(invalid)?;
    read(spec)
}

fn read(spec: IssuerSpec) -> Result<(Issuer, IssuerInfo), Problem> {
    let IssuerSpec { issuer, audiences, jwks } = spec;
    let keys = Jwks::parse(jwks.to_string().as_bytes())
        .map_err(|error| Problem::new(Code::IssuerInvalid, format!("jwks: {error}")))?;
    let info =
        IssuerInfo { name: String::new(), issuer: issuer.clone(), audiences: audiences.clone(), keys: keys.count() };
    Ok((Issuer { issuer, audiences, keys }, info))
}

/// Whether an issuer can be believed beside those that are there.
pub(crate) fn check(spec: &IssuerSpec, name: &str, told: &[IssuerInfo]) -> Result<(), Problem> {
    let (issuer, _) = read(spec.clone())?;
    all(vec![issuer])?;
    if told.len() >= ISSUERS_MAX && told.iter().all(|other| other.name != name) {
        let detail = format!("the app has {ISSUERS_MAX} issuers, and may have no more; remove one first");
        return Err(Problem::new(Code::IssuerInvalid, detail));
    }
    match told.iter().find(|other| other.name != name && other.issuer == spec.issuer) {
        Some(other) => {
            let detail = format!("{} is the issuer {:?} already; change that one", other.name, other.issuer);
            Err(Problem::new(Code::IssuerInvalid, detail))
        }
        None => Ok(()),
    }
}
