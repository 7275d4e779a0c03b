//! Work that is not a request's own: what blocks, and what must not end halfway.

use gust_core::{Code, Problem};
use tokio::task;

use crate::under_way::UnderWay;

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    task::spawn_blocking(work).await.map_err(panicked)
}

/// Runs a change to its end, even if whoever asked for it goes away: the store and the catalog must not part. It is `under_way` until then.
pub(crate) async fn to_its_end<T: Send + 'static>(
    under_way: &UnderWay,
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let piece = under_way.begin();
    let change = async move {
        let changed = change.await;
        drop(piece);
        changed
    };
    tokio::spawn(change).await.map_err(panicked)?
}

fn panicked(error: task::JoinError) -> Problem {
    Problem::new(Code::Internal, "the host failed at this").with_internal(error.to_string())
}
