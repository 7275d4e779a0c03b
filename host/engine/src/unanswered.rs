//! Why a request that a guest sent has no answer: what the guest is told, and what its owner is.

use std::fmt;

use gust_core::outbound;
use http::{Method, Uri};
use wasmtime_wasi_http::Error;

/// What kept an answer from coming, as `wasi:http` tells it (RFC 9209, section 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nobody allowed it.
    Denied,
    /// Its URI has no host that could be asked.
    UriInvalid,
    /// A method that is not for requests of this kind.
    MethodInvalid,
    /// The name was not resolved, for this reason.
    Dns(String),
    /// The name was not resolved in time.
    DnsTimeout,
    /// All of the name's addresses are closed to functions.
    AddressProhibited,
    /// There is no way to the address.
    AddressUnroutable,
    /// Nobody listens there.
    ConnectionRefused,
    /// No connection was made in time.
    ConnectionTimeout,
    /// The connection ended before the answer.
    ConnectionTerminated,
    /// The peer did not take the request in time.
    ConnectionWriteTimeout,
    /// The answer did not begin, or go on, in time.
    ConnectionReadTimeout,
    /// There are as many connections as may be.
    ConnectionLimitReached,
    /// The peer speaks no TLS that is understood.
    TlsProtocol,
    /// The peer's certificate is not one to trust.
    TlsCertificate,
    /// The peer ended the handshake with this alert.
    TlsAlert(u8, String),
    /// The answer's head is too large.
    ResponseHeadTooLarge,
    /// The peer speaks no HTTP that is understood.
    Protocol,
    /// The host is not set up for it.
    Misconfigured,
    /// The guest's own request broke off, or was over a limit.
    Own(String),
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub(crate) cause: Cause,
    /// For the function's log.
    pub(crate) told: Option<String>,
}

impl Unanswered {
    /// The request is not one that the manifest allows.
    pub fn denied(method: &Method, uri: &Uri) -> Self {
        Self::from(Cause::Denied).telling(outbound::advice(method, uri))
    }

    /// Says more to the function's owner.
    #[must_use]
    pub fn telling(mut self, told: impl Into<String>) -> Self {
        self.told = Some(told.into());
        self
    }

    /// What kept the answer from coming.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl From<Cause> for Unanswered {
    fn from(cause: Cause) -> Self {
        Self { cause, told: None }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.cause)
    }
}

impl std::error::Error for Unanswered {}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Denied => Self::HttpRequestDenied,
            Cause::UriInvalid => Self::HttpRequestUriInvalid,
            Cause::MethodInvalid => Self::HttpRequestMethodInvalid,
            Cause::Dns(why) => Self::DnsError { rcode: Some(why), info_code: None },
            Cause::DnsTimeout => Self::DnsTimeout,
            Cause::AddressProhibited => Self::DestinationIpProhibited,
            Cause::AddressUnroutable => Self::DestinationIpUnroutable,
            Cause::ConnectionRefused => Self::ConnectionRefused,
            Cause::ConnectionTimeout => Self::ConnectionTimeout,
            Cause::ConnectionTerminated => Self::ConnectionTerminated,
            Cause::ConnectionWriteTimeout => Self::ConnectionWriteTimeout,
            Cause::ConnectionReadTimeout => Self::ConnectionReadTimeout,
            Cause::ConnectionLimitReached => Self::ConnectionLimitReached,
            Cause::TlsProtocol => Self::TlsProtocolError,
            Cause::TlsCertificate => Self::TlsCertificateError,
            Cause::TlsAlert(id, text) => Self::TlsAlertReceived { alert_id: Some(id), alert_message: Some(text) },
            Cause::ResponseHeadTooLarge => Self::HttpResponseHeaderSectionSize(None),
            Cause::Protocol => Self::HttpProtocolError,
            Cause::Misconfigured => Self::ConfigurationError,
            Cause::Own(why) => Self::InternalError(Some(why)),
        }
    }
}
