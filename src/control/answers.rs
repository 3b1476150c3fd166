//! What becomes of each request: the one place where all of them are told apart.

use crate::base::config::Config;
use crate::control::Control;
use crate::control::exchange::ZoneVerb;
use crate::control::members::{read_key, read_key_id};
use crate::control::request::{Answer, DRAIN_MAX, Refused, RefusedKind, Request};
use crate::discovery::cluster::{Removal, Rrset};
use crate::gossip::secrecy::keyring::RingChange;
use crate::wire::name::Name;
use std::time::Duration;

impl Control {
    /// Obeys or refuses, now or later; true if the state changed.
    pub(super) fn obey(&mut self, request: Request, answer: Answer) -> bool {
        let malformed =
            |error: &dyn std::fmt::Display| Refused::new(RefusedKind::Malformed, error.to_string());
        let outcome = match request {
            Request::Reload {} => return self.reload_for(answer),
            Request::Set { name, ttl, rtype, rdata } => {
                if let Some(origin) = self.shared_zone_of(&name) {
                    return match Rrset::read_below(&name, ttl, &rtype, &rdata, &origin) {
                        Ok(set) => self.set_in_zone(&origin, &set, answer),
                        Err(error) => {
                            answer.give(Err(malformed(&error)));
                            false
                        }
                    };
                }
                let set = Rrset::read(&name, ttl, &rtype, &rdata, &self.domain());
                let outcome = self.set(set.map_err(|error| malformed(&error)));
                self.due.answer_when_published(outcome, answer);
                return true;
            }
            Request::Unset { name, rtype, rdata } => {
                if let Some(origin) = self.shared_zone_of(&name) {
                    return match Removal::read(&name, rtype.as_deref(), &rdata, &origin) {
                        Ok(removal) => self.unset_in_zone(&origin, &removal, answer),
                        Err(error) => {
                            answer.give(Err(malformed(&error)));
                            false
                        }
                    };
                }
                let removal = Removal::read(&name, rtype.as_deref(), &rdata, &self.domain());
                let outcome = self.unset(removal.map_err(|error| malformed(&error)));
                self.due.answer_when_published(outcome, answer);
                return true;
            }
            Request::Members {} => {
                self.tell_members(answer);
                return false;
            }
            Request::Records { name, rtype, owner, after } => {
                self.tell_records((name, rtype, owner, after), answer);
                return false;
            }
            Request::Flush { name } => {
                self.flush(name, answer);
                return false;
            }
            Request::CacheDump { after } => {
                self.dump(after, answer);
                return false;
            }
            Request::Why { name, rtype, from, only_known } => {
                self.why((&name, rtype.as_deref(), from), only_known, answer);
                return false;
            }
            Request::Drain { timeout_ms } => {
                self.drain_for(Duration::from_millis(timeout_ms), false, answer);
                return false;
            }
            Request::Resync { node } => {
                self.resync_for(node.as_deref(), answer);
                return false;
            }
            Request::Leave {} => {
                self.drain_for(LEAVE_PATIENCE, true, answer);
                return false;
            }
            Request::ForceLeave { node } => self.force_leave(&node),
            Request::KeyAdd { key } => self.change_key(read_key(&key)),
            Request::KeyUse { id } => self.change_key(read_key_id(&id).map(RingChange::Use)),
            Request::KeyRemove { id } => self.change_key(read_key_id(&id).map(RingChange::Remove)),
            Request::KeyList {} => Ok(self.keys()),
            Request::ZoneNotify { origin } => self.zone_verb(&origin, ZoneVerb::Notify),
            Request::ZoneRefresh { origin } => self.zone_verb(&origin, ZoneVerb::Refresh),
            Request::ZoneRetransfer { origin } => self.zone_verb(&origin, ZoneVerb::Retransfer),
            Request::Diff {} => {
                self.diff(answer);
                return false;
            }
        };
        answer.give(outcome);
        false
    }

    /// The domain of the cluster's records.
    pub(super) fn domain(&self) -> Name {
        domain(&self.config)
    }
}

/// The domain of services.
pub(super) fn domain(config: &Config) -> Name {
    // The configuration accepts nothing that is not a name.
    Name::parse(config.services.domain.as_str()).unwrap_or(Name::ROOT)
}

/// How long a node that leaves waits for the others to know.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
const _: () = assert!(LEAVE_PATIENCE.as_secs() < DRAIN_MAX.as_secs());
