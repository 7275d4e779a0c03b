//! Answers that leave together.
//!
//! To write to a connection whose client sleeps means to wake it, which costs the kernel a good part of what a small request
//! costs in all, while a client that is awake takes what comes for nothing. So where several requests are ready on a thread,
//! all of them are worked on before the first answer is written: a connection that has read something since it wrote last
//! lets the thread's other tasks go first, once. Where nothing else is ready it is its turn again at once. (Seastar's output
//! streams and Netty's flush consolidation do the like.)
//!
//! Where a function keeps a thread for long, others would wait for it twice; so after one that did, answers on its thread leave
//! at once for a while.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A call that kept its thread for longer than this keeps answers from waiting for others.
const LONG: Duration = Duration::from_micros(200);

/// Answers that leave at once after a long call.
const HURRIED: u32 = 256;

/// Pieces that are shorter than this together are written as one: to copy them costs less than to have the kernel gather them.
const GATHERED_BYTES: usize = 1 << 10;

thread_local!(static HURRY: Cell<u32> = const { Cell::new(0) });

/// Tells this thread how long a call kept it.
pub(crate) fn note_call(run: Duration) {
    if run > LONG {
        HURRY.set(HURRIED);
    }
}

/// Has the thread's next answer leave at once, for its request may not be read to its end. hyper reads what is left of it, and the
/// head of the next request, before such an answer has left; and where it answers that by itself, as malformed or with 100, it
/// writes this between the head and the body of the answer that waits.
pub(crate) fn note_unread() {
    HURRY.set(HURRY.get().max(1));
}

/// Whether this thread's answers should leave at once.
fn is_in_hurry() -> bool {
    let left = HURRY.get();
    HURRY.set(left.saturating_sub(1));
    left > 0
}

/// A stream whose writes wait for what else is ready on the thread.
pub(crate) struct Coalescing<T> {
    stream: T,
    /// It has read something since it let others go first.
    owes_turn: bool,
}

impl<T: Unpin> Coalescing<T> {
    /// Of a connection that begins.
    pub(crate) fn new(stream: T) -> Self {
        Self { stream, owes_turn: false }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut T> {
        Pin::new(&mut self.get_mut().stream)
    }

    /// Whether the thread's other tasks go first; then this one is woken.
    fn lets_others_first(&mut self, cx: &Context<'_>) -> bool {
        let lets = self.owes_turn && !is_in_hurry();
        self.owes_turn = false;
        if lets {
            cx.waker().wake_by_ref();
        }
        lets
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Coalescing<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.as_mut().stream().poll_read(cx, buffer);
        self.owes_turn |= buffer.filled().len() > before;
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalescing<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.lets_others_first(cx) {
            return Poll::Pending;
        }
        written(self.stream().poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.lets_others_first(cx) {
            return Poll::Pending;
        }
        let mut gathered = [0; GATHERED_BYTES];
        written(match gather(pieces, &mut gathered) {
            Some(bytes) => self.stream().poll_write(cx, bytes),
            None => self.stream().poll_write_vectored(cx, pieces),
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// While the answer is on its way there is time for what the next request needs.
fn written<T>(result: Poll<T>) -> Poll<T> {
    gust_engine::put_back_waiting();
    result
}

/// The pieces in a row, where there is room for all of them.
fn gather<'a>(pieces: &[io::IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut end = 0;
    for piece in pieces {
        let next = end + piece.len();
        room.get_mut(end..next)?.copy_from_slice(piece);
        end = next;
    }
    room.get(..end)
}

#[cfg(test)]
mod tests {
    use std::{io::IoSlice, sync::Arc};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        runtime,
        sync::Mutex,
        task,
    };

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    /// Two connections of which each reads its request and answers it; what they did, in order.
    async fn answers() -> Vec<&'static str> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let (mut clients, mut tasks) = (Vec::new(), Vec::new());
        for (read, wrote) in [("a reads", "a answers"), ("b reads", "b answers")] {
            let (mut client, host) = tokio::io::duplex(64);
            client.write_all(b"x").await.unwrap();
            clients.push(client);
            let done = done.clone();
            tasks.push(tokio::spawn(async move {
                let mut host = Coalescing::new(host);
                host.read_exact(&mut [0]).await.unwrap();
                done.lock().await.push(read);
                host.write_all(b"y").await.unwrap();
                done.lock().await.push(wrote);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        for mut client in clients {
            client.read_exact(&mut [0]).await.unwrap();
        }
        Arc::into_inner(done).unwrap().into_inner()
    }

    #[test]
    fn all_that_is_ready_is_worked_on_before_the_first_answer() {
        run(async { assert_eq!(answers().await, ["a reads", "b reads", "a answers", "b answers"]) });
    }

    #[test]
    fn nobody_waits_where_calls_are_long() {
        run(async {
            note_call(LONG);
            assert!(!is_in_hurry());
            note_call(2 * LONG);
            assert_eq!(answers().await, ["a reads", "a answers", "b reads", "b answers"]);
            while is_in_hurry() {}
            assert_eq!(answers().await, ["a reads", "b reads", "a answers", "b answers"]);
        });
    }

    #[test]
    fn an_answer_to_what_is_not_read_does_not_wait() {
        run(async {
            note_unread();
            assert_eq!(answers().await, ["a reads", "a answers", "b reads", "b answers"]);
            note_call(2 * LONG);
            note_unread();
            assert_eq!(HURRY.replace(0), HURRIED);
        });
    }

    #[test]
    fn an_answer_waits_once() {
        run(async {
            let (mut client, host) = tokio::io::duplex(64);
            let mut host = Coalescing::new(host);
            client.write_all(b"x").await.unwrap();
            host.read_exact(&mut [0]).await.unwrap();
            let other = task::spawn(async {});
            host.write_all(b"first").await.unwrap();
            assert!(other.is_finished());
            let other = task::spawn(async {});
            host.write_all(b"second").await.unwrap();
            assert!(!other.is_finished());
        });
    }

    #[test]
    fn small_pieces_are_gathered() {
        let mut room = [0; 4];
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
        assert_eq!(gather(&pieces, &mut room), Some(&b"abcd"[..]));
        assert_eq!(gather(&[IoSlice::new(b"abc"), IoSlice::new(b"de")], &mut room), None);
    }
}
