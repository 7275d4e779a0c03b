//! Connections that are told to end, and waited for.
//!
//! One on which nothing is asked is closed when it is told, and what a client has just sent is lost to it. So none is told before what
//! was sent until then has come, and each is served first and told then; hyper-util's `GracefulShutdown` does it the other way round,
//! and closes one whose request waits to be read.

use std::pin::pin;

use hyper_util::server::graceful::GracefulConnection;
use tokio::{
    sync::watch,
    time::{self, Duration},
};

use crate::patience::Activity;

/// How long what is on its way may take, from the client's system to the thread that reads it.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// What tells all connections of a listener. Where it is dropped before they have ended, they are given up.
pub(crate) struct Draining(watch::Sender<()>);

impl Draining {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// For a connection, which is waited for as long as it has it.
    pub(crate) fn watch(&self) -> Told {
        Told(self.0.subscribe())
    }

    /// Tells all of them, and waits until they have ended.
    pub(crate) async fn end(self) {
        time::sleep(ON_ITS_WAY).await;
        let _ = self.0.send(());
        self.0.closed().await;
    }
}

/// What a connection is told.
pub(crate) struct Told(watch::Receiver<()>);

impl Told {
    /// What comes of something, unless the connection is told before.
    pub(crate) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = self.0.changed() => None,
        }
    }

    /// Serves a connection. When it is told, it ends with the last of what was asked before; none where it is not waited for any longer.
    pub(crate) async fn serve<C: GracefulConnection>(
        mut self,
        connection: C,
        activity: &Activity,
    ) -> Option<C::Output> {
        let mut connection = pin!(connection);
        if let Some(ended) = self.unless(connection.as_mut()).await {
            return Some(ended);
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection => return Some(ended),
            () = self.is_given_up() => {}
        }
        activity.breaks_unless_idle();
        None
    }

    /// Ends when nobody waits any longer.
    async fn is_given_up(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::Response;
    use http_body_util::Empty;
    use hyper::service::service_fn;
    use hyper_util::{
        rt::{TokioExecutor, TokioIo},
        server::conn::auto,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        runtime,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[test]
    fn what_had_come_when_it_was_told_is_answered() {
        runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let (mut client, host) = tokio::io::duplex(1024);
            let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(host), answer).into_owned();
            let draining = Draining::new();
            let (told, activity) = (draining.watch(), Activity::new());
            let served = tokio::spawn(async move { told.serve(connection, &activity).await });
            client.write_all(REQUEST).await.unwrap();
            let mut first = [0; 12];
            client.read_exact(&mut first).await.unwrap();
            // Nobody has read it when the connection is told, for there is one thread, and it is here.
            client.write_all(REQUEST).await.unwrap();
            let _ = draining.0.send(());
            served.await.unwrap().unwrap().unwrap();
            let mut rest = String::new();
            client.read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest.matches("HTTP/1.1 200").count(), 1, "{rest}");
        });
    }
}
