//! A body that is read in pieces.

use bytes::Bytes;

use crate::{Error, StatusCode};

/// The largest body that is read whole. gust has limits of its own; this one is for hosts that have none.
const WHOLE_BYTES_MAX: usize = 64 << 20;

/// A body that is read while it comes. Dropping it tells whoever sends it that no more is wanted.
pub struct Incoming(Source);

#[cfg(target_arch = "wasm32")]
type Source = component::Source;
#[cfg(not(target_arch = "wasm32"))]
type Source = Option<Bytes>;

impl Incoming {
    /// The next piece, or none at the end. Waits for it; an error where the body does not come whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        #[cfg(target_arch = "wasm32")]
        return self.0.next().await;
        #[cfg(not(target_arch = "wasm32"))]
        return Ok(self.0.take().filter(|bytes| !bytes.is_empty()));
    }

    /// All of it, 64 MiB at most.
    pub async fn whole(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut bytes = Vec::from(first);
        let mut piece = Some(second);
        while let Some(more) = piece {
            if bytes.len() + more.len() > WHOLE_BYTES_MAX {
                let text = format!("the body is larger than {WHOLE_BYTES_MAX} bytes");
                return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            bytes.extend_from_slice(&more);
            piece = self.next().await?;
        }
        Ok(bytes.into())
    }
}

/// For tests of a handler.
#[cfg(not(target_arch = "wasm32"))]
impl<B: Into<Bytes>> From<B> for Incoming {
    fn from(bytes: B) -> Self {
        Self(Some(bytes.into()))
    }
}

#[cfg(target_arch = "wasm32")]
mod component {
    use bytes::Bytes;
    use wasip3::{
        http::types::{ErrorCode, Trailers},
        wit_bindgen::{FutureReader, StreamReader, StreamResult},
    };

    use super::Incoming;
    use crate::Error;

    /// Bytes asked for at a time.
    const READ_BYTES: usize = 64 << 10;

    pub(crate) type Ending = FutureReader<Result<Option<Trailers>, ErrorCode>>;

    /// What the host sends.
    pub struct Source {
        pieces: StreamReader<u8>,
        /// How it ends, until it has.
        ending: Option<Ending>,
    }

    impl Incoming {
        pub(crate) fn new(pieces: StreamReader<u8>, ending: Ending) -> Self {
            Self(Source { pieces, ending: Some(ending) })
        }

        /// What is left of it; none where nothing is.
        pub(crate) fn into_parts(self) -> Option<(StreamReader<u8>, Ending)> {
            let Source { pieces, ending } = self.0;
            Some((pieces, ending?))
        }
    }

    impl Source {
        pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
            while self.ending.is_some() {
                let (result, piece) = self.pieces.read(Vec::with_capacity(READ_BYTES)).await;
                if !piece.is_empty() {
                    return Ok(Some(piece.into()));
                }
                if !matches!(result, StreamResult::Complete(_)) {
                    self.ends().await?;
                }
            }
            Ok(None)
        }

        async fn ends(&mut self) -> Result<(), Error> {
            let Some(ending) = self.ending.take() else { return Ok(()) };
            match ending.await {
                Ok(_) => Ok(()),
                Err(ErrorCode::HttpRequestBodySize(_)) => {
                    Err(Error::new(crate::StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than is allowed"))
                }
                Err(code) => Err(Error::bad_request(format!("the body did not arrive whole: {code}"))),
            }
        }
    }
}
