//! HTTP over TCP, for probes, Prometheus and people: read-only, so GET and HEAD alone, and no body is ever read.
//! What changes anything comes over the control socket.

use crate::control::request::{Look as Asked, Refused, RefusedKind, Request};
use crate::control::status::Status;
use crate::os::clock;
use crate::services::desk::{Desk, told};
use crate::services::look::Look;
use crate::services::{exposition, metrics};
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection lives: a scraper comes every few seconds, and is done at once.
pub(super) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30);

/// What `/api/v1/records` may be given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfRecords {
    name: Option<String>,
    #[serde(rename = "type")]
    rtype: Option<String>,
    owner: Option<String>,
    after: Option<String>,
}

/// What `/api/v1/why` may be given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfWhy {
    name: String,
    #[serde(rename = "type")]
    rtype: Option<String>,
    from: Option<IpAddr>,
}

/// The routes.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    let looks = Asked::ALL.into_iter().fold(Router::new(), |router, asked| {
        let tell = move |State(desk): State<Arc<Desk>>| async move { told(Ok(desk.look(asked))) };
        router.route(&format!("/api/v1/{}", asked.verb()), get(tell))
    });
    looks
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", shown(readiness))
        .route("/metrics", shown(exposed))
        .route("/api/v1/members", get(members))
        .route("/api/v1/diff", get(diff))
        .route("/api/v1/records", get(records))
        .route("/api/v1/why", get(why))
        .with_state(desk)
}

async fn members(State(desk): State<Arc<Desk>>) -> Response {
    told(desk.ask(Request::Members {}).await)
}

async fn diff(State(desk): State<Arc<Desk>>) -> Response {
    told(desk.ask(Request::Diff {}).await)
}

async fn records(State(desk): State<Arc<Desk>>, query: Result<Query<OfRecords>, QueryRejection>) -> Response {
    match query {
        Ok(Query(OfRecords { name, rtype, owner, after })) => {
            told(desk.ask(Request::Records { name, rtype, owner, after }).await)
        }
        Err(rejection) => malformed(&rejection),
    }
}

async fn why(State(desk): State<Arc<Desk>>, query: Result<Query<OfWhy>, QueryRejection>) -> Response {
    match query {
        Ok(Query(OfWhy { name, rtype, from })) => {
            told(desk.ask(Request::Why { name, rtype, from, only_known: true }).await)
        }
        Err(rejection) => malformed(&rejection),
    }
}

fn malformed(rejection: &QueryRejection) -> Response {
    told(Err(Refused::new(RefusedKind::Malformed, rejection.body_text())))
}

/// Answers with what is made of a look.
fn shown(tell: fn(&Look<'_>) -> Response) -> MethodRouter<Arc<Desk>> {
    get(move |State(desk): State<Arc<Desk>>| async move { tell(&desk.insight().look(clock::now())) })
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
