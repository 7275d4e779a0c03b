//! Calls to a host, and its problems told to people.

use std::{fmt, io};

use anyhow::{Context as _, Result, anyhow};
use gust_core::{
    FunctionName,
    api::{FunctionInfo, ProblemDocument},
};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, AsSendBody, Body,
    http::{HeaderValue, Request, Response, Uri},
};

use crate::{
    args::{self, HostArgs},
    environment, token, trust,
};

/// The longest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What is said of an answer that is no such document.
pub const OTHER_VERSION: &str = "the host's answer is not of this version of the API";

/// A problem that a host answered with.
#[derive(Debug)]
pub struct HostProblem(pub ProblemDocument);

impl fmt::Display for HostProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProblemDocument { title, detail, code, request_id, .. } = &self.0;
        write!(f, "{title}")?;
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        write!(f, " [{code}]")?;
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        if code == "auth.required" {
            write!(
                f,
                "\nthe token that was sent is not this host's: give its own with --token-file FILE or GUST_TOKEN"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for HostProblem {}

/// A host's admin API.
pub struct Client {
    agent: Agent,
    base: String,
    token: String,
}

/// An agent to which every status is an answer.
fn agent(host: &HostArgs) -> Result<Agent> {
    // No redirect is followed: it would take a token or a key to wherever a function's answer leads.
    let config = Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).max_redirects(0);
    Ok(config.tls_config(trust::config(host)?).build().new_agent())
}

impl Client {
    /// The host that the arguments or the environment name.
    pub fn new(host: &HostArgs) -> Result<Self> {
        let named = host.admin.clone().or_else(|| environment::variable("GUST_ADMIN"));
        let base = base(&named.unwrap_or_else(|| args::ADMIN_DEFAULT.to_owned()))?;
        let (_, authority) = base.split_once("://").unwrap_or_default();
        Ok(Self { agent: agent(host)?, token: token::find(host, authority)?, base })
    }

    /// For what goes elsewhere than to the admin API.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The URL of a path.
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request that carries the token.
    pub fn request(&self, method: &str, path: &str) -> ureq::http::request::Builder {
        let authorization = format!("Bearer {}", self.token);
        Request::builder().method(method).uri(self.url(path)).header("authorization", authorization)
    }

    /// Sends it. A problem is an error.
    pub fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>> {
        let response = self.agent.run(request).map_err(|error| unreachable(error, &self.base))?;
        checked(response)
    }

    /// Sends it and reads its JSON.
    pub fn json<T: DeserializeOwned>(&self, request: Request<impl AsSendBody>) -> Result<T> {
        parsed(self.send(request)?)
    }

    /// Where the host is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A URL as it can be reached from here. A host that listens at every address names none of them.
    pub fn reachable(&self, url: &str) -> String {
        let here = self.base.parse::<Uri>().ok().and_then(|base| base.host().map(str::to_owned)).unwrap_or_default();
        ["0.0.0.0", "[::]"].iter().fold(url.to_owned(), |url, any| {
            let (from, to) = (format!("://{any}:"), format!("://{here}:"));
            url.replacen(&from, &to, 1)
        })
    }

    /// The token that it sends.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Sends a document, and reads the answer's.
    pub fn put<T: DeserializeOwned>(&self, path: &str, document: &impl Serialize) -> Result<T> {
        parsed(self.send_document("PUT", path, document)?)
    }

    /// Sends a document.
    pub fn send_document(&self, method: &str, path: &str, document: &impl Serialize) -> Result<Response<Body>> {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(serde_json::to_vec(document)?)?)
    }

    /// Reads a document.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json(self.request("GET", path).body(())?)
    }

    /// Removes what is at a path.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.send(self.request("DELETE", path).body(())?).map(|_| ())
    }

    /// What the host knows of a function, and the tag of that state: a change that is sent with it as `If-Match` is refused where
    /// somebody else was quicker.
    pub fn tagged_function(&self, name: &FunctionName) -> Result<(FunctionInfo, HeaderValue)> {
        let answer = self.send(self.request("GET", &format!("/v1/functions/{name}")).body(())?)?;
        let tag = answer.headers().get("etag").cloned();
        Ok((parsed(answer)?, tag.context(OTHER_VERSION)?))
    }

    /// What the host knows of a function.
    pub fn function(&self, name: &FunctionName) -> Result<FunctionInfo> {
        self.json(self.request("GET", &format!("/v1/functions/{name}")).body(())?)
    }
}

/// A URL out of what people write: a URL, or an address and port.
fn base(named: &str) -> Result<String> {
    let (scheme, address) = match named.strip_prefix("https://") {
        Some(address) => ("https", address),
        None => ("http", named.strip_prefix("http://").unwrap_or(named)),
    };
    let base = format!("{scheme}://{}", address.trim_end_matches('/'));
    let uri: Uri = base.parse().with_context(|| format!("{named:?} is no URL or address of a host"))?;
    let names_a_host = uri.host().is_some_and(|host| !host.is_empty()) && !address.contains("://");
    anyhow::ensure!(names_a_host, "{named:?} is no URL or address of a host");
    Ok(base)
}

/// A response that is no problem.
pub fn checked(response: Response<Body>) -> Result<Response<Body>> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = text(response)?;
    match serde_json::from_str(&text) {
        Ok(problem) => Err(HostProblem(problem).into()),
        Err(_) => Err(anyhow!("the host answered {status}: {}", text.chars().take(500).collect::<String>())),
    }
}

/// A response's JSON.
pub fn parsed<T: DeserializeOwned>(response: Response<Body>) -> Result<T> {
    serde_json::from_str(&text(response)?).context(OTHER_VERSION)
}

/// A body as text.
pub fn text(mut response: Response<Body>) -> Result<String> {
    response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().context("the host's answer broke off")
}

/// Tells a host that is not there, or speaks otherwise, from other failures.
pub fn unreachable(error: ureq::Error, base: &str) -> anyhow::Error {
    if let Some(advice) = trust::advice(&error) {
        return anyhow!("calling {base}: {advice}");
    }
    match &error {
        ureq::Error::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => {
            anyhow!("no gust host answers at {base}; start one with `gust serve`, or say where it is with --admin URL")
        }
        ureq::Error::Protocol(_) if base.starts_with("http://") => {
            anyhow!(error).context(format!("calling {base}; if TLS is spoken there, say https://"))
        }
        _ => anyhow!(error).context(format!("calling {base}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_be_named_in_short() {
        assert_eq!(base("127.0.0.1:9").unwrap(), "http://127.0.0.1:9");
        assert_eq!(base("http://host:9/").unwrap(), "http://host:9");
        assert_eq!(base("https://host:9").unwrap(), "https://host:9");
        for nothing in ["", "/", "http://", "http:///", "https://", "ftp://host"] {
            assert!(base(nothing).is_err(), "{nothing:?}");
        }
    }

    #[test]
    fn problems_are_told_with_code_and_request() {
        let document =
            r#"{"type":"x","title":"T","status":422,"code":"a.b","source":"client","detail":"D","request_id":"r"}"#;
        assert_eq!(HostProblem(serde_json::from_str(document).unwrap()).to_string(), "T: D [a.b] (request r)");
    }
}
