//! Handlers that are `async`: bodies that come and go in pieces, and several things at the same time.
//!
//! An `async fn` under [`handler`](crate::handler) is built on WASI 0.3. Its last argument may be an [`Incoming`], or a request with one,
//! whose body is read in pieces; and it may return a [`stream`] or [`events`], which are written while they are made:
//!
//! ```
//! use gust_sdk::{IntoResponse, handler, streaming::{Incoming, stream}};
//!
//! #[handler]
//! async fn echo(mut body: Incoming) -> impl IntoResponse {
//!     stream(|mut out| async move {
//!         while let Some(piece) = body.next().await? {
//!             out.write(piece).await?;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! All other arguments and results are those of every handler. Requests are sent by [`fetch`], several at a time where their futures are
//! joined, and [`next`] hands one on, in a function that comes before others. Outside of a component everything is there at once, so that [`run`] and [`written`] are enough to test a handler.

mod arguments;
mod events;
mod fetch;
mod incoming;
mod native;
mod next;
mod outgoing;

#[doc(hidden)]
pub use arguments::call;
pub use arguments::{Arguments, FromIncoming};
pub use events::{Event, events};
pub use fetch::{fetch, fetch_streaming};
pub use incoming::Incoming;
#[cfg(not(target_arch = "wasm32"))]
pub use native::{run, written};
pub use next::next;
#[cfg(target_arch = "wasm32")]
pub(crate) use outgoing::{Contents, Writing, take};
pub use outgoing::{Stream, Writer, stream};
