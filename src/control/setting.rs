//! `set` and `unset` in a zone that the cluster shares: an update of the zone, which its publisher carries out.
//!
//! ```text
//! set, unset ─► an update ─┬─ shared here: as any update of a zone ────────────────────────────┬─► on disk, served ─► answered
//!                          └─ comes from a member: signed with the cluster's key ─► publisher ─┘
//! ```
//!
//! What it changes spreads as any change of the zone does. While the publisher is away there is nobody who could carry it
//! out, and that is said.

use crate::base::config::Shared;
use crate::control::Control;
use crate::control::document::{RemovedDocument, SetDocument, UnsetDocument};
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::discovery::cluster::{self, Removal, Rrset};
use crate::transfer::order::{Order, Sent};
use crate::transfer::update::Update;
use crate::transfer::update::content::{Owner, Set, of_amendment};
use crate::transfer::update::request::{Answer as Code, Request};
use crate::transfer::update::write::Draft;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::amend::Amendment;

/// Octets of an update that leave room for its signature in a message.
const UPDATE_OCTETS_MAX: usize = 65_000;

impl Control {
    /// The shared zone that a name lies in, if it is one; never for a name of the domain of services.
    pub(super) fn shared_zone_of(&self, name: &str) -> Option<Name> {
        let name = Name::parse(name).ok().filter(|name| !name.is_at_or_below(self.cluster.domain()))?;
        let zones = self.config.zones.iter().filter(|zone| zone.share || zone.share_of().is_some());
        let origins = zones.filter_map(|zone| Name::parse(zone.origin.as_str()).ok());
        origins.filter(|origin| name.is_at_or_below(origin)).max_by_key(Name::label_count)
    }

    /// Puts a set of records in place of what the zone has; true if the state changed.
    pub(super) fn set_in_zone(&mut self, origin: &Name, set: &Rrset, answer: Answer) -> bool {
        let (name, rtype) = (set.name().clone(), set.rtype());
        let owner = match self.has_in_zone(origin, &name) {
            Ok(owner) => owner,
            Err(refused) => return refuse(answer, refused),
        };
        if rtype == RecordType::NS && name == *origin {
            let error = format!("the name servers of {origin} itself change by its file, or an update");
            return refuse(answer, Refused::new(RefusedKind::Malformed, error));
        }
        let beside = owner.sets.keys().copied().filter(|other| *other != rtype);
        if let Err(error) = set.stands_beside(beside) {
            return refuse(answer, Refused::new(RefusedKind::Conflict, error.to_string()));
        }
        let draft = Draft::new(0, origin, &name).drop_sets(Some(rtype));
        let draft = set.rdatas().iter().fold(draft, |draft, rdata| draft.add(rtype, set.ttl(), rdata));
        let reply = Reply::Set(SetDocument {
            name: name.to_string(),
            rtype: rtype.to_string(),
            ttl: set.ttl(),
            rdata: set.texts(),
            replaced: owner.sets.contains_key(&rtype),
        });
        self.update_zone(origin, draft, reply, answer)
    }

    /// Takes records of the zone away; true if the state changed.
    pub(super) fn unset_in_zone(&mut self, origin: &Name, removal: &Removal, answer: Answer) -> bool {
        let Removal { name, rtype, rdatas } = removal;
        let owner = match self.has_in_zone(origin, name) {
            Ok(owner) => owner,
            Err(refused) => return refuse(answer, refused),
        };
        let mut removed = Vec::new();
        for (of, set) in owner.sets.iter().filter(|(of, _)| rtype.is_none_or(|rtype| rtype == **of)) {
            // The zone would be none without them.
            if *name == *origin && matches!(*of, RecordType::SOA | RecordType::NS) {
                continue;
            }
            let wanted = Set::of(*of, set.ttl, rdatas.iter().map(Vec::as_slice));
            let is_meant = |rdata: &&[u8]| rdatas.is_empty() || wanted.has(*of, rdata);
            removed.extend(
                set.rdatas()
                    .filter(is_meant)
                    .map(|rdata| RemovedDocument { rtype: of.to_string(), rdata: cluster::text(*of, rdata) }),
            );
        }
        if removed.is_empty() {
            let error = format!("{origin} has no such record at {name}");
            return refuse(answer, Refused::new(RefusedKind::NotFound, error));
        }
        let draft = Draft::new(0, origin, name);
        let draft = match rtype {
            Some(rtype) if !rdatas.is_empty() => {
                rdatas.iter().fold(draft, |draft, rdata| draft.drop_record(*rtype, rdata))
            }
            Some(_) | None => draft.drop_sets(*rtype),
        };
        let reply = Reply::Unset(UnsetDocument { name: name.to_string(), removed });
        self.update_zone(origin, draft, reply, answer)
    }

    /// What a name has in the version at hand.
    fn has_in_zone(&self, origin: &Name, name: &Name) -> Result<Owner, Refused> {
        let Some(zone) = self.at_hand(origin) else {
            let error = format!("{origin} is not served here yet: `zones` tells how it stands");
            return Err(Refused::new(RefusedKind::Unavailable, error));
        };
        Ok(of_amendment(&mut Amendment::begin(&zone), name))
    }

    /// Has an update carried out, here or by the publisher.
    fn update_zone(&mut self, origin: &Name, draft: Draft, reply: Reply, answer: Answer) -> bool {
        let message = draft.finish();
        if message.len() > UPDATE_OCTETS_MAX {
            let error = format!("the records do not fit in one message: they take {} octets", message.len());
            return refuse(answer, Refused::new(RefusedKind::Malformed, error));
        }
        let shared = self.zone_file(origin).and_then(|zone| zone.share_of()).cloned();
        match shared {
            Some(shared) => {
                self.send_update(origin, message, &shared, reply, answer);
                false
            }
            None if self.outdone_by(origin).is_some() => {
                let by = self.outdone_by(origin).unwrap_or_default();
                let error =
                    format!("all others have the version of {origin} that {by} shares: change it there");
                refuse(answer, Refused::new(RefusedKind::Conflict, error))
            }
            None => match Update::read(&message) {
                Ok(update) => {
                    let by = self.cluster.gossip.me().name.clone();
                    let answer = Code::to(move |code| answer.give(outcome(code, &by, reply)));
                    self.update(Request { update, answer })
                }
                Err(code) => refuse(answer, said(code, "this node")),
            },
        }
    }

    /// Sends an update to the publisher; the answer is given when that has carried it out.
    fn send_update(&self, origin: &Name, message: Vec<u8>, shared: &Shared, reply: Reply, answer: Answer) {
        let (by, key) =
            (shared.by.clone(), self.cluster.transfer_keys().first().map(|key| key.name().clone()));
        let to = shared.primaries.get(..shared.own).unwrap_or_default().to_vec();
        let done = move |sent: Result<Rcode, String>| {
            answer.give(match sent {
                Ok(code) => outcome(code, &by, reply),
                Err(why) => {
                    let error = format!("{by}, which shares the zone, cannot be asked to change it: {why}");
                    Err(Refused::new(RefusedKind::Unavailable, error))
                }
            });
        };
        let done = Sent::to(done);
        let _ = (self.exchange.orders)(Order::Update { origin: origin.clone(), message, to, key, done });
    }
}

fn refuse(answer: Answer, refused: Refused) -> bool {
    answer.give(Err(refused));
    false
}

/// What came of an update.
fn outcome(code: Rcode, by: &str, reply: Reply) -> Result<Reply, Refused> {
    if code == Rcode::NoError { Ok(reply) } else { Err(said(code, by)) }
}

fn said(code: Rcode, by: &str) -> Refused {
    let error = match code {
        Rcode::ServFail => format!("{by} could not carry it out, or not keep it: its log says why"),
        Rcode::NotAuth => format!("{by} does not share the zone any more, or has another key"),
        code => format!("{by} refuses it: {code:?}"),
    };
    Refused::new(RefusedKind::Failed, error)
}
