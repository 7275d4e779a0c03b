//! How long a connection may stand still.
//!
//! A client that says nothing, keeps a connection that it does not use, or does not read its answer holds a place, a
//! descriptor and perhaps an instance for nothing. A connection is ended when for a while no byte has moved on it in either
//! direction, unless a function is at work for it: that has a deadline of its own, which [`Activity::work`] is told of.
//!
//! A connection that brings much and asks nothing is ended, too: HTTP/2 has frames that mean no request (PING, SETTINGS, empty DATA
//! and more), each of which costs the host something (RFC 9113, section 10.5).
//!
//! Watching costs a request two counts and no timer: one timer for each connection looks now and then whether the counts
//! have changed, so that standing still is noticed after one to two times the patience.

use std::{
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Duration, Instant},
};

/// The most that may come without a request that begins or a body that is read, in bytes: more than a client may have on its way, which is
/// the windows of HTTP/2 (1 MiB a connection) and what both sides' systems hold.
const IDLE_BYTES_MAX: u32 = 8 << 20;

/// Answers of the host's own that one connection may hold back. Each takes some 10 KiB of the host.
const OWN_ANSWERS_MAX: u32 = 8;

/// What happens on one connection.
pub(crate) struct Activity {
    began: Instant,
    /// How often bytes moved.
    moves: AtomicU32,
    /// Requests that a function is at work for.
    at_work: AtomicU32,
    /// Until when one may be, in milliseconds since `began`.
    busy_until_ms: AtomicU64,
    /// It must end with a reset: an answer was broken off, or it was a flood.
    is_broken: AtomicBool,
    /// The system takes no more of what is to be written.
    is_full: AtomicBool,
    /// Answers of the host's own that wait for their client to make room.
    own_answers: AtomicU32,
    /// Bytes that came since something was asked, or a body read.
    idle_bytes: AtomicU32,
}

/// A request that a function is at work for, until it is dropped.
pub(crate) struct Work {
    on: Arc<Activity>,
    deadline: Instant,
    alone: bool,
}

impl Work {
    /// Until when its answer must be whole.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the client takes nothing of what was written already.
    pub(crate) fn is_unread(&self) -> bool {
        self.on.is_unread()
    }

    /// Says that its answer was broken off: the connection must not look as if it ended well. One with others on it has a way of
    /// its own to say so (RFC 9113, section 5.4.2).
    pub(crate) fn breaks_off(&self) {
        if self.alone {
            self.on.breaks();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.on.at_work.fetch_sub(1, Relaxed);
    }
}

/// A place for an answer of the host's own on a connection, until it is dropped.
pub(crate) struct OwnAnswer(Arc<Activity>);

impl Drop for OwnAnswer {
    fn drop(&mut self) {
        self.0.own_answers.fetch_sub(1, Relaxed);
    }
}

impl Activity {
    /// Of a connection that begins now.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            moves: AtomicU32::new(0),
            at_work: AtomicU32::new(0),
            busy_until_ms: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            own_answers: AtomicU32::new(0),
            idle_bytes: AtomicU32::new(0),
        })
    }

    /// Says that what came was of use: a request, or a piece of a body.
    pub(crate) fn is_used(&self) {
        self.idle_bytes.store(0, Relaxed);
    }

    /// Fails where so much came that was of no use.
    fn came(&self, bytes: usize) -> io::Result<()> {
        self.moved();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // One task reads.
        let idle = self.idle_bytes.load(Relaxed).saturating_add(bytes);
        self.idle_bytes.store(idle, Relaxed);
        if idle <= IDLE_BYTES_MAX {
            return Ok(());
        }
        // Nor is the rest of it read until the client has noticed.
        self.breaks();
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it brought much and asked nothing"))
    }

    /// Says that a function is at work, until then at the latest, without a byte moving; and whether its answer is alone on the
    /// connection meanwhile.
    pub(crate) fn work(self: &Arc<Self>, deadline: Instant, alone: bool) -> Work {
        let ms = deadline.saturating_duration_since(self.began).as_millis();
        self.busy_until_ms.fetch_max(u64::try_from(ms).unwrap_or(u64::MAX), Relaxed);
        self.at_work.fetch_add(1, Relaxed);
        Work { on: self.clone(), deadline, alone }
    }

    /// A place for an answer of the host's own, if few wait there: what a client does not take is the host's memory.
    pub(crate) fn answers_itself(self: &Arc<Self>) -> Option<OwnAnswer> {
        let own_answer = (self.own_answers.fetch_add(1, Relaxed) < OWN_ANSWERS_MAX).then(|| OwnAnswer(self.clone()));
        if own_answer.is_none() {
            self.own_answers.fetch_sub(1, Relaxed);
        }
        own_answer
    }

    /// Says that it must end with a reset.
    pub(crate) fn breaks(&self) {
        self.is_broken.store(true, Relaxed);
    }

    /// Whether it must end with a reset.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Relaxed)
    }

    /// Ends when the connection has stood still for `patience`. An answer that is not taken is broken off, or the system would go on to
    /// hold what was written of it.
    pub(crate) async fn stands_still(&self, patience: Duration) {
        let mut seen = self.moves.load(Relaxed);
        loop {
            time::sleep(patience).await;
            if self.stood_still(&mut seen, Instant::now()) {
                return self.breaks_unless_idle();
            }
        }
    }

    /// Says that it must end with a reset where an answer is on its way.
    pub(crate) fn breaks_unless_idle(&self) {
        self.is_broken.fetch_or(!self.is_idle(), Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.at_work.load(Relaxed) == 0 && !self.is_unread()
    }

    /// Whether what is to be written of an answer waits for its client.
    fn is_unread(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Whether nothing moved since this was asked with the same `seen`, and nothing is at work.
    fn stood_still(&self, seen: &mut u32, now: Instant) -> bool {
        let moves = self.moves.load(Relaxed);
        let is_still = mem::replace(seen, moves) == moves;
        let elapsed_ms = now.saturating_duration_since(self.began).as_millis();
        let is_idle = self.at_work.load(Relaxed) == 0 || elapsed_ms >= u128::from(self.busy_until_ms.load(Relaxed));
        is_still && is_idle
    }

    fn moved(&self) {
        self.moves.fetch_add(1, Relaxed);
    }
}

/// A stream whose bytes are noticed.
pub(crate) struct Watched<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T: Unpin> Watched<T> {
    /// Tells `activity` of the bytes of `stream`.
    pub(crate) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut T> {
        Pin::new(&mut self.get_mut().stream)
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.activity.moved();
        }
        let is_full = written.is_pending();
        // One task writes.
        if self.activity.is_full.load(Relaxed) != is_full {
            self.activity.is_full.store(is_full, Relaxed);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.as_mut().stream().poll_read(cx, buffer);
        let came = buffer.filled().len().saturating_sub(before);
        if came > 0 {
            self.activity.came(came)?;
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.as_mut().stream().poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.as_mut().stream().poll_write_vectored(cx, pieces);
        self.note(&written);
        written
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        runtime,
    };

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn bytes_either_way_are_noticed() {
        run(async {
            let activity = Activity::new();
            let (mut client, host) = tokio::io::duplex(64);
            let mut host = Watched::new(host, activity.clone());
            let (mut seen, now) = (0, Instant::now());
            assert!(activity.stood_still(&mut seen, now));
            client.write_all(b"ask").await.unwrap();
            assert!(activity.stood_still(&mut seen, now), "nobody has read it");
            host.read_exact(&mut [0; 3]).await.unwrap();
            assert!(!activity.stood_still(&mut seen, now));
            host.write_all(b"answer").await.unwrap();
            assert!(!activity.stood_still(&mut seen, now));
            assert!(activity.stood_still(&mut seen, now));
        });
    }

    #[test]
    fn a_function_at_work_is_waited_for() {
        let (activity, mut seen) = (Activity::new(), 0);
        let after = |seconds| activity.began + Duration::from_secs(seconds);
        let (long, short) = (activity.work(after(200), true), activity.work(after(1), true));
        assert!(!activity.stood_still(&mut seen, after(199)));
        assert!(activity.stood_still(&mut seen, after(201)), "but not for longer than it may take");
        drop(short);
        assert!(!activity.stood_still(&mut seen, after(199)));
        drop(long);
        assert!(activity.stood_still(&mut seen, after(2)), "nor when it is done");
    }

    #[test]
    fn an_answer_that_breaks_off_ends_a_connection_that_is_its_own() {
        let (own, shared) = (Activity::new(), Activity::new());
        own.work(Instant::now(), true).breaks_off();
        shared.work(Instant::now(), false).breaks_off();
        assert!(own.is_broken() && !shared.is_broken());
    }

    #[test]
    fn what_brings_much_and_asks_nothing_is_noticed() {
        let activity = Activity::new();
        let half = IDLE_BYTES_MAX as usize / 2 + 1;
        assert!(activity.came(half).is_ok());
        activity.is_used();
        assert!(activity.came(half).is_ok());
        assert!(activity.came(half).is_err());
    }

    #[test]
    fn silence_is_given_up_and_an_answer_that_is_not_taken_is_broken_off() {
        run(async {
            let activity = Activity::new();
            activity.stands_still(Duration::from_millis(1)).await;
            assert!(!activity.is_broken());
            let _work = activity.work(Instant::now(), false);
            activity.stands_still(Duration::from_millis(1)).await;
            assert!(activity.is_broken());
        });
    }

    #[test]
    fn what_the_system_has_not_taken_is_broken_off() {
        run(async {
            let activity = Activity::new();
            let (_client, host) = tokio::io::duplex(4);
            let mut host = Watched::new(host, activity.clone());
            assert!(activity.is_idle());
            assert!(time::timeout(Duration::from_millis(1), host.write_all(b"answer")).await.is_err());
            activity.stands_still(Duration::from_millis(1)).await;
            assert!(activity.is_broken());
        });
    }

    #[test]
    fn a_connection_holds_back_few_answers_of_the_hosts_own() {
        let activity = Activity::new();
        let mut own_answers: Vec<_> = (0..OWN_ANSWERS_MAX).map(|_| activity.answers_itself()).collect();
        assert!(own_answers.iter().all(Option::is_some) && activity.answers_itself().is_none());
        own_answers.pop();
        assert!(activity.answers_itself().is_some());
    }
}
