//! Running what is `async` outside of a component, where everything is there at once: for tests of a handler.

#![cfg(not(target_arch = "wasm32"))]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

use bytes::Bytes;

use super::outgoing::{Contents, Writer, take};
use crate::{Error, Response};

/// Runs a handler of a test to its end.
pub fn run<T>(handler: impl Future<Output = T>) -> T {
    let mut handler = pin!(handler);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match handler.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            // It waits for something of its own.
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// All of a response's body, written where that is still to be done.
pub fn written(response: Response) -> Result<Bytes, Error> {
    let writing = match take(&response) {
        None => return Ok(response.into_body()),
        Some(Contents::Passed(body)) => return run(body.whole()),
        Some(Contents::Written(writing)) => writing,
    };
    let sink = std::rc::Rc::default();
    run(writing(Writer::new(std::rc::Rc::clone(&sink))))?;
    Ok(sink.take().into())
}
