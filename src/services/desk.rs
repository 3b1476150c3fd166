//! The desk at which requests are taken, wherever they come from: what was published is told at once, all else is
//! handed to the control thread and waited for.

use crate::control::request::{Answer, Look as Asked, Refused, RefusedKind, Reply, Request};
use crate::os::clock;
use crate::services::documents;
use crate::services::look::Insight;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Hands a request to the control thread.
pub type Ask = Box<dyn Fn(Request, Answer) + Send + Sync>;

/// See the module's own text.
pub(super) struct Desk {
    insight: Insight,
    ask: Ask,
}

impl Desk {
    pub(super) fn new(insight: Insight, ask: Ask) -> Desk {
        Desk { insight, ask }
    }

    /// What may be looked at.
    pub(super) fn insight(&self) -> &Insight {
        &self.insight
    }

    /// Tells what was published.
    pub(super) fn look(&self, asked: Asked) -> Reply {
        let now = clock::now();
        let look = self.insight.look(now);
        match asked {
            Asked::Status => Reply::Status(Box::new(documents::status(&look, now))),
            Asked::Zones => Reply::Zones(documents::zones(&look, &self.insight.standings, now)),
            Asked::Stats => Reply::Stats(Box::new(documents::stats(&look))),
        }
    }

    /// Has the control thread answer, as long as such an answer may take.
    pub(super) async fn ask(&self, request: Request) -> Result<Reply, Refused> {
        let patience = request.patience();
        self.ask_within(request, patience).await
    }

    async fn ask_within(&self, request: Request, patience: Duration) -> Result<Reply, Refused> {
        let verb = request.verb();
        let (give, answer) = oneshot::channel();
        // Whoever asked may be gone when the answer comes.
        (self.ask)(request, Answer::to(move |outcome| drop(give.send(outcome))));
        match timeout(patience, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Refused::new(RefusedKind::Unavailable, "the server is stopping")),
            Err(_) => {
                let error =
                    format!("{verb}: no answer within {} s; it may still be done", patience.as_secs_f64());
                Err(Refused::new(RefusedKind::Failed, error))
            }
        }
    }
}

/// The document with its code.
pub(super) fn told(outcome: Result<Reply, Refused>) -> Response {
    match outcome {
        Ok(reply) => Json(reply).into_response(),
        Err(refused) => (code(refused.kind), Json(refused)).into_response(),
    }
}

fn code(kind: RefusedKind) -> StatusCode {
    match kind {
        RefusedKind::Malformed => StatusCode::BAD_REQUEST,
        RefusedKind::NotFound => StatusCode::NOT_FOUND,
        RefusedKind::Conflict => StatusCode::CONFLICT,
        RefusedKind::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
        RefusedKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        RefusedKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::look::tests::insight;
    use std::sync::Mutex;

    fn ask(hand_over: impl Fn(Request, Answer) + Send + Sync + 'static) -> Result<Reply, Refused> {
        let desk = Desk::new(insight(), Box::new(hand_over));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(desk.ask_within(Request::Members {}, Duration::from_millis(500)))
    }

    #[test]
    fn an_answer_finds_its_way_back() {
        let refused = Refused::new(RefusedKind::Conflict, "no");
        let given = refused.clone();
        assert_eq!(ask(move |_, answer| answer.give(Err(given.clone()))), Err(refused));
    }

    #[test]
    fn an_answer_that_is_dropped_means_that_the_server_stops() {
        let refused = ask(|_, answer| drop(answer)).unwrap_err();
        assert_eq!(
            (refused.kind, refused.error.as_str()),
            (RefusedKind::Unavailable, "the server is stopping")
        );
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
        let kept = Mutex::new(Vec::new());
        let refused = ask(move |_, answer| kept.lock().unwrap().push(answer)).unwrap_err();
        assert_eq!(refused.error, "members: no answer within 0.5 s; it may still be done");
    }
}
