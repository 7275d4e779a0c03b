//! `gust kv`: key-values that functions keep, to be looked at and changed.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, Result};
use gust_core::{AppName, StateName, api::KeyList, one_line, state::VALUE_BYTES_MAX};

use super::{
    app::path,
    name,
    pages::{self, encoded},
};
use crate::{
    args::{HostArgs, Kv},
    client::Client,
    output::{self, UsageError},
};

/// Lists keys, or reads, sets or removes one.
pub fn run(host: &HostArgs, action: &Kv) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Kv::Ls { bucket: Some(bucket), prefix, app, json } => {
            let keys = pages::all(&client, &place(app, bucket)?, prefix, |page: KeyList| (page.keys, page.next))?;
            pages::print(keys, *json, &["KEY"], |key| vec![key])
        }
        Kv::Ls { bucket: None, prefix, app, json } => {
            pages::print_places(&client, &format!("{}/kv", path(&name(app)?)), prefix, *json, "BUCKET")
        }
        Kv::Get { bucket, key, app } => {
            let request = client.request("GET", &of_key(app, bucket, key)?).body(())?;
            let mut response = client.send(request)?;
            let mut out = io::stdout().lock();
            io::copy(&mut response.body_mut().as_reader(), &mut out)?;
            Ok(out.flush()?)
        }
        Kv::Set { bucket, key, value, ttl, app } => {
            let query = ttl.map_or_else(String::new, |ttl| format!("?ttl={}", String::from(ttl)));
            let request = client.request("PUT", &format!("{}{query}", of_key(app, bucket, key)?));
            let request = request.header("content-type", "application/octet-stream");
            client.send(request.body(given(value.as_deref())?)?)?;
            output::print(&format!("set {} in {bucket} of the app {app}\n", one_line(key)))
        }
        Kv::Rm { bucket, key, app } => {
            client.delete(&of_key(app, bucket, key)?)?;
            output::print(&format!("removed {} from {bucket} of the app {app}\n", one_line(key)))
        }
    }
}

fn given(value: Option<&str>) -> Result<Vec<u8>> {
    if let Some(value) = value.filter(|value| *value != "-") {
        return Ok(value.as_bytes().to_vec());
    }
    if io::stdin().is_terminal() {
        return Err(UsageError("give the value, or pipe it".to_owned()).into());
    }
    let mut bytes = Vec::new();
    // The host says what is too much.
    io::stdin().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).context("reading the value")?;
    Ok(bytes)
}

fn place(app: &str, bucket: &str) -> Result<String> {
    let (app, bucket): (AppName, StateName) = (name(app)?, name(bucket)?);
    Ok(format!("{}/kv/{bucket}", path(&app)))
}

fn of_key(app: &str, bucket: &str, key: &str) -> Result<String> {
    Ok(format!("{}/{}", place(app, bucket)?, encoded(key)))
}
