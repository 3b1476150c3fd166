//! Connections, over TCP or the control socket: how many, how long, and how they end.
//!
//! Whoever can reach a socket may be slow, many or hostile: each connection has a time to say what it wants and a
//! time to live, and there are only so many of them. None of that touches a worker.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at once on one socket: a few probes, scrapers and users come at a time; more of them wait to be
/// accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to say what it wants, from the start or after the last answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a request's head: browsers send about a thousand.
const HEAD_OCTETS_MAX: usize = 8 << 10;
/// Header fields of a request: browsers send about twenty.
const HEADERS_MAX: usize = 64;
/// How long an answer that has been begun may take beyond a connection's age.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// The same when the server stops, which must not take longer for it.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long nothing is accepted after the system refused to (it is out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// hyper takes no smaller buffer.
const _: () = assert!(HEAD_OCTETS_MAX >= 8192);

/// Where connections come from.
pub(super) enum Listener {
    /// Anybody who can reach the address.
    Tcp(TcpListener),
    /// Users whom the socket's mode admits.
    Unix(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer leaves at once; without it, it leaves a little later.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Answers until `stop` closes, then lets what is being answered end. A connection lives at most `age_max`, however
/// busy: one that reads its answer by the octet makes room in the end.
pub(super) async fn serve(
    listener: Listener,
    router: Router,
    age_max: Duration,
    mut stop: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok(stream) => {
                    connections.spawn(attend(stream, router.clone(), age_max, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    // Those that are left are cut.
    let _ = timeout(STOP_GRACE, all).await;
}

/// Answers on one connection.
async fn attend(stream: Box<dyn Stream>, router: Router, age_max: Duration, mut stop: watch::Receiver<()>) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_OCTETS_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    tokio::select! {
        // How a client's connection ends is the client's business.
        _ = connection.as_mut() => return,
        _ = stop.changed() => {}
        () = sleep(age_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(ANSWER_GRACE, connection).await;
}
