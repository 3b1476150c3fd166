//! The control socket: HTTP for the users of this machine whom the socket's mode admits. One route:
//!
//! ```text
//! POST /v1/VERB   body: what belongs to the verb, as JSON; nothing is an empty object
//! 200  the document          4xx, 5xx  { "kind": ..., "error": ..., "details": [...] }
//! ```
//!
//! `curl --unix-socket hivedns.sock -X POST http://hivedns/v1/status` is a whole client.

use crate::control::request::{DRAIN_MAX, Look, Refused, RefusedKind, Reply, Request};
use crate::services::desk::{Desk, told};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Octets of a request: the largest set of records (64 KiB), with each octet of its RDATA written as `\\DDD`.
const REQUEST_OCTETS_MAX: usize = 512 << 10;
/// How long a connection lives: longer than the longest answer is waited for.
pub(super) const CONNECTION_AGE_MAX: Duration = Duration::from_secs(900);

const _: () = assert!(CONNECTION_AGE_MAX.as_secs() > DRAIN_MAX.as_secs() + 5);

/// The route.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/{verb}", post(take))
        .layer(DefaultBodyLimit::max(REQUEST_OCTETS_MAX))
        .with_state(desk)
}

async fn take(
    State(desk): State<Arc<Desk>>,
    Path(verb): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let outcome = match body {
        Ok(body) => answer(&desk, verb, &body).await,
        Err(rejection) => Err(Refused::new(RefusedKind::Malformed, rejection.body_text())),
    };
    told(outcome)
}

async fn answer(desk: &Desk, verb: String, body: &[u8]) -> Result<Reply, Refused> {
    let malformed = |error: serde_json::Error| {
        // serde_json tells a line and a column that mean nothing once the body was read.
        let error = error.to_string();
        let error = error.split(" at line ").next().unwrap_or_default();
        Refused::new(RefusedKind::Malformed, format!("{verb}: {error}"))
    };
    let mut fields: Map<String, Value> = match body {
        [] => Map::new(),
        body => serde_json::from_slice(body).map_err(malformed)?,
    };
    if let Some(look) = Look::ALL.into_iter().find(|look| look.verb() == verb) {
        return match fields.keys().next() {
            None => Ok(desk.look(look)),
            Some(field) => {
                Err(Refused::new(RefusedKind::Malformed, format!("{verb}: unknown field `{field}`")))
            }
        };
    }
    fields.insert("verb".to_owned(), verb.clone().into());
    let request: Request = serde_json::from_value(fields.into()).map_err(malformed)?;
    desk.ask(request).await
}
