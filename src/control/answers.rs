//! What becomes of each request: the one place where all of them are told apart.

use crate::control::Control;
use crate::control::request::{Answer, Refused, RefusedKind, Request};
use crate::discovery::cluster::Rrset;
use crate::wire::name::Name;

impl Control {
    /// Obeys or refuses, now or later; true if the state changed.
    pub(super) fn obey(&mut self, request: Request, answer: Answer) -> bool {
        let verb = request.verb();
        let refused = match request {
            Request::Reload {} => return self.reload_for(answer),
            Request::Set { name, ttl, rtype, rdata } => {
                let read = Rrset::read(&name, ttl, &rtype, &rdata, &self.domain());
                read.map_or_else(|error| Refused::new(RefusedKind::Malformed, error), |_| not_yet(verb))
            }
            Request::Members {}
            | Request::Records { .. }
            | Request::Unset { .. }
            | Request::Why { .. }
            | Request::Diff {}
            | Request::Resync { .. }
            | Request::Drain { .. }
            | Request::Leave {}
            | Request::ForceLeave { .. }
            | Request::KeyAdd { .. }
            | Request::KeyUse { .. }
            | Request::KeyRemove { .. }
            | Request::KeyList {} => not_yet(verb),
        };
        answer.give(Err(refused));
        false
    }

    /// The domain of the cluster's records.
    fn domain(&self) -> Name {
        // The configuration accepts nothing that is not a name.
        Name::parse(self.config.services.domain.as_str()).unwrap_or(Name::ROOT)
    }
}

fn not_yet(verb: &str) -> Refused {
    let error = format!("{verb} is not available yet: this node does not speak with others");
    Refused::new(RefusedKind::Unavailable, error)
}
