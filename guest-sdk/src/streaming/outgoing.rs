//! A body that is written while it is made.

use std::{cell::RefCell, pin::Pin};

use bytes::Bytes;
use http::{HeaderValue, header};

use super::Incoming;
use crate::{Error, IntoResponse, Response};

/// What writes a body.
pub(crate) type Writing = Box<dyn FnOnce(Writer) -> Pin<Box<dyn Future<Output = Result<(), Error>>>>>;

/// Where a body comes from that is not here.
pub(crate) enum Contents {
    /// It is written while it is made.
    Written(Writing),
    /// It is passed along as it comes.
    Passed(Incoming),
}

thread_local! {
    /// Where the bodies of responses come from. A response's extensions must be `Send`, and what a guest holds of its host is not.
    static CONTENTS: RefCell<Vec<Option<Contents>>> = const { RefCell::new(Vec::new()) };
}

/// Set on a response whose body is not here: where to find where it comes from.
#[derive(Clone, Copy)]
struct Elsewhere(usize);

/// A response whose body comes from there.
pub(super) fn with(contents: Contents) -> Response {
    let mut response = Response::default();
    let at = CONTENTS.with_borrow_mut(|all| {
        all.push(Some(contents));
        all.len() - 1
    });
    response.extensions_mut().insert(Elsewhere(at));
    response
}

/// A body that is written while it is made, as a handler returns it. `application/octet-stream`, unless a header says otherwise.
pub struct Stream {
    writing: Writing,
    content_type: &'static str,
}

/// A body that `write` writes, once the response has begun. An error breaks the response off, so that its client does not take it for
/// whole, and goes to the log.
pub fn stream<F>(write: impl FnOnce(Writer) -> F + 'static) -> Stream
where
    F: Future<Output = Result<(), Error>> + 'static,
{
    Stream { writing: Box::new(|out| Box::pin(write(out))), content_type: "application/octet-stream" }
}

impl Stream {
    pub(super) fn of_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }
}

impl IntoResponse for Stream {
    fn into_response(self) -> Response {
        let mut response = with(Contents::Written(self.writing));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

/// Where the body of a response comes from, where it is not here. Once.
pub(crate) fn take(response: &Response) -> Option<Contents> {
    let Elsewhere(at) = *response.extensions().get()?;
    CONTENTS.with_borrow_mut(|all| all.get_mut(at)?.take())
}

/// Where a body is written to.
pub struct Writer(Sink);

#[cfg(target_arch = "wasm32")]
type Sink = wasip3::wit_bindgen::StreamWriter<u8>;
#[cfg(not(target_arch = "wasm32"))]
type Sink = std::rc::Rc<RefCell<Vec<u8>>>;

impl Writer {
    pub(crate) fn new(sink: Sink) -> Self {
        Self(sink)
    }

    /// Writes a piece. Waits until the host has taken it, as fast as the client reads. An error where the client is gone: nothing that is
    /// written after that reaches anybody.
    pub async fn write(&mut self, piece: impl Into<Bytes>) -> Result<(), Error> {
        let piece = piece.into();
        #[cfg(target_arch = "wasm32")]
        if !self.0.write_all(piece.into()).await.is_empty() {
            return Err(Error::failed("the client has gone away"));
        }
        #[cfg(not(target_arch = "wasm32"))]
        self.0.borrow_mut().extend_from_slice(&piece);
        Ok(())
    }
}
