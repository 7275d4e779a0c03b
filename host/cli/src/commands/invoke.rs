//! `gust invoke`: one call of a function.

use std::{
    fs,
    io::{self, Read as _, Write as _},
};

use anyhow::{Context as _, Result};
use gust_core::{Access, AppName, FunctionName};
use ureq::{
    Body,
    http::{Request, Response, header},
};

use super::name;
use crate::{
    args::{HostArgs, Invoke},
    client::{self, Client, HostProblem},
    output::UsageError,
};

/// Calls it; the answer's body goes to standard output. A problem is an error.
pub fn run(host: &HostArgs, options: &Invoke) -> Result<()> {
    let client = Client::new(host)?;
    let (url, takes_key) = &url(&client, options)?;
    let body = data(options.data.as_deref())?;
    let method = options.method.clone().unwrap_or_else(|| if body.is_some() { "POST" } else { "GET" }.to_owned());
    let path = options.path.trim_start_matches('/');
    let separator = if path.starts_with('?') { "" } else { "/" };
    let mut request = Request::builder().method(method.as_str()).uri(format!("{url}{separator}{path}"));
    for header in &options.headers {
        let malformed = || UsageError(format!("{header:?} is no header; write 'name: value'"));
        let (name, value) = header.split_once(':').ok_or_else(malformed)?;
        request = request.header(name.trim(), value.trim());
    }
    if *takes_key {
        request = request.header("x-gust-key", client.token());
    }
    let request = request.body(body.unwrap_or_default()).map_err(|error| UsageError(error.to_string()))?;
    let response = client.agent().run(request).map_err(|error| client::unreachable(error, url))?;
    answer(response, options.include)
}

/// Where the function, its version or its alias is called, and whether that takes a key.
fn url(client: &Client, options: &Invoke) -> Result<(String, bool)> {
    let (text, reference) = match options.name.split_once('@') {
        Some((text, reference)) => (text, Some(reference)),
        None => (&*options.name, None),
    };
    let name: FunctionName = name(text)?;
    let info = client.function(&name)?;
    let app = options.app.as_deref().map(super::name::<AppName>).transpose()?.unwrap_or(info.app);
    let at = info.apps.iter().position(|present| *present == app);
    let url = at.and_then(|at| info.urls.get(at)).with_context(|| format!("{name} is not in the app {app}"))?;
    let url = client.reachable(url);
    let takes_key = reference.is_some() || info.access == Access::Key;
    Ok((reference.map_or_else(|| url.clone(), |reference| format!("{url}@{reference}")), takes_key))
}

/// Text, a file's bytes, or standard input's.
fn data(data: Option<&str>) -> Result<Option<Vec<u8>>> {
    Ok(match data {
        None => None,
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes)?;
            Some(bytes)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(path) => Some(fs::read(path).with_context(|| format!("--data: {path}"))?),
            None => Some(text.as_bytes().to_vec()),
        },
    })
}

fn answer(mut response: Response<Body>, include_head: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if include_head {
        writeln!(out, "{:?} {}", response.version(), response.status())?;
        for (name, value) in response.headers() {
            writeln!(out, "{name}: {}", value.to_str().unwrap_or("(not text)"))?;
        }
        writeln!(out)?;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let status = response.status();
    if kind == Some("application/problem+json") {
        // A problem of the host's is told as an error; one of the function's own is its answer.
        let text = client::text(response)?;
        if let Ok(problem) = serde_json::from_str(&text) {
            return Err(HostProblem(problem).into());
        }
        writeln!(out, "{text}")?;
        anyhow::bail!("the function answered {status}");
    }
    io::copy(&mut response.body_mut().as_reader(), &mut out)?;
    out.flush()?;
    anyhow::ensure!(!status.is_client_error() && !status.is_server_error(), "the function answered {status}");
    Ok(())
}
