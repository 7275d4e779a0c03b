//! How long the steps of a request that a guest sends may take. Its own time ends all of them besides: what a guest waits for ends
//! with the guest.

use std::time::Duration;

use wasmtime_wasi_http::RequestOptions;

/// The longest for a connection, and what a guest has that says nothing.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// The longest that an answer may take to begin, and to go on.
const READ_MAX: Duration = Duration::from_secs(600);

/// How long the steps may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// From then until the answer's head.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body.
    pub between_bytes: Duration,
}

impl Timeouts {
    /// What the guest wants, as far as the host goes.
    pub(crate) fn of(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        let within = |wanted: Option<Duration>, max: Duration| wanted.map_or(max, |wanted| wanted.min(max));
        Self {
            connect: within(options.connect_timeout, CONNECT_MAX),
            first_byte: within(options.first_byte_timeout, READ_MAX),
            between_bytes: within(options.between_bytes_timeout, READ_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_waits_for_less_but_not_for_longer() {
        let short = Duration::from_millis(5);
        let options = RequestOptions {
            connect_timeout: Some(short),
            first_byte_timeout: Some(Duration::from_nanos(u64::MAX)),
            between_bytes_timeout: None,
        };
        let expected = Timeouts { connect: short, first_byte: READ_MAX, between_bytes: READ_MAX };
        assert_eq!(Timeouts::of(Some(options)), expected);
        assert_eq!(Timeouts::of(None).connect, CONNECT_MAX);
    }
}
