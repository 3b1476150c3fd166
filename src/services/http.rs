//! HTTP for probes, Prometheus and people: read-only, so GET and HEAD alone, and no body is ever read.
//!
//! Whoever can reach it may be slow, many or hostile: each connection has a time to say what it wants and a time
//! to live, and there are only so many of them. None of that touches a worker.

use crate::control::status::Status;
use crate::os::clock;
use crate::services::look::{Insight, Look};
use crate::services::{documents, exposition, metrics};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Connections at once: a few probes and scrapers come at a time; more of them wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to say what it wants, from the start or after the last answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of a request's head: browsers send about a thousand.
const HEAD_OCTETS_MAX: usize = 8 << 10;
/// Header fields of a request: browsers send about twenty.
const HEADERS_MAX: usize = 64;
/// How long a connection lives, however busy: one that reads its answer by the octet makes room in the end.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30);
/// How long an answer that has been begun may take beyond that.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// The same when the server stops, which must not take longer for it.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long nothing is accepted after the system refused to (it is out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// hyper takes no smaller buffer.
const _: () = assert!(HEAD_OCTETS_MAX >= 8192);

/// Answers until `stop` closes, then lets what is being answered end.
pub(super) async fn serve(listener: TcpListener, insight: Insight, mut stop: watch::Receiver<()>) {
    let router = router(Arc::new(insight));
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= CONNECTIONS_MAX;
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(attend(stream, router.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!("cannot accept an HTTP connection: {error}");
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
async fn attend(stream: TcpStream, router: Router, mut stop: watch::Receiver<()>) {
    // An answer leaves at once; without it, it leaves a little later.
    let _ = stream.set_nodelay(true);
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
        () = sleep(CONNECTION_AGE_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(ANSWER_GRACE, connection).await;
}

fn router(insight: Arc<Insight>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", told(readiness))
        .route("/metrics", told(exposed))
        .route("/api/v1/status", told(|look| Json(documents::status(look)).into_response()))
        .route("/api/v1/zones", told(|look| Json(documents::zones(look)).into_response()))
        .route("/api/v1/stats", told(|look| Json(documents::stats(look)).into_response()))
        .with_state(insight)
}

/// Answers with what is made of a look.
fn told(tell: fn(&Look<'_>) -> Response) -> MethodRouter<Arc<Insight>> {
    get(move |State(insight): State<Arc<Insight>>| async move { tell(&insight.look(clock::now())) })
}

fn readiness(look: &Look<'_>) -> Response {
    match &*look.status {
        Status { ready: true, .. } => "ready\n".into_response(),
        Status { reason, .. } => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

fn exposed(look: &Look<'_>) -> Response {
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], metrics::text(look)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::look::tests::insight;

    #[test]
    fn a_probe_is_sent_away_until_the_server_is_ready() {
        let insight = insight();
        let code = || readiness(&insight.look(clock::now())).status();
        assert_eq!(code(), StatusCode::OK);
        insight.status.rcu(|status| Status { ready: false, ..Status::clone(status) });
        assert_eq!(code(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
