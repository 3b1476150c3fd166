//! What is known of names that no zone of this server answers: the answer that has just come, or what the cache keeps.

use crate::answer::Elsewhere;
use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::metrics::WorkerCounters;
use crate::base::octets::put_u16;
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::cache::{Cache, Found, Looked};
use crate::resolve::policy::{Policy, Route};
use crate::resolve::question::{Question, Wants};
use crate::wire::key::NameKey;
use crate::wire::message::{AD, CD, HEADER_OCTETS, Rcode};
use crate::wire::query::Query;
use crate::wire::reply::{Owner, Reply, Section};
use crate::wire::response::Response;
use crate::wire::rtype::RecordType;
use crate::worker::resolver::waiter::Given;

/// QR, with nothing else: the flags of a message that is only made to be read again.
const RESPONSE: u16 = 0x8000;

/// A question that nobody here knows the answer to, copied out, with room for the longest name.
#[derive(Debug)]
pub(super) struct Missing {
    name: Vec<u8>,
    rtype: RecordType,
    wants: Wants,
    hash: u64,
    /// A member is to be asked, because the name is one of the services' domain.
    pub(super) of_member: bool,
}

impl Default for Missing {
    fn default() -> Missing {
        let name = Vec::with_capacity(NAME_OCTETS_MAX);
        Missing { name, rtype: RecordType(0), wants: Wants::default(), hash: 0, of_member: false }
    }
}

impl Missing {
    pub(super) fn note(&mut self, question: &Question<'_>) {
        self.name.clear();
        self.name.extend_from_slice(question.name);
        (self.rtype, self.wants, self.hash) = (question.rtype, question.wants, question.hash);
        self.of_member = false;
    }

    /// The question.
    pub(super) fn question(&self) -> Question<'_> {
        Question { name: &self.name, rtype: self.rtype, wants: self.wants, hash: self.hash }
    }
}

/// Where an answer that has come is from: what one says is not taken for what the other would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Whoever is asked for the name's suffix.
    Others,
    /// A member of the cluster.
    Member {
        /// There is more than it could send.
        is_truncated: bool,
    },
}

/// What may be found, for one query.
pub(in crate::worker) struct Finder<'r> {
    pub(super) cache: &'r Cache,
    pub(super) policy: &'r Policy,
    pub(super) counters: &'r WorkerCounters,
    pub(super) now: Moment,
    /// The answer that has come, and to which question.
    pub(super) given: Option<(Question<'r>, Body<'r>)>,
    /// Those that came before, as far as nobody keeps them.
    pub(super) earlier: &'r [Given],
    /// Where that is from.
    pub(super) by: By,
    /// Nobody waits any longer for what is better than an answer whose time is over.
    pub(super) impatient: bool,
    /// What to ask for, where that is missing.
    pub(super) missing: &'r mut Missing,
    /// What was found should be asked for anew: it stands in `missing`.
    pub(in crate::worker) refresh: bool,
    /// Room for the largest message, and for RDATA.
    pub(super) room: &'r mut [u8],
    pub(super) rdata: &'r mut Vec<u8>,
}

impl Elsewhere for Finder<'_> {
    fn find(
        &mut self,
        key: &NameKey,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        let wants = Wants { dnssec_ok: query.dnssec_ok(), checking_disabled: query.flags() & CD != 0 };
        let question = Question::new(key.as_wire(), key.full_hash(), query.qtype(), wants);
        let given = self.given.filter(|(asked, _)| *asked == question && self.by == By::Others);
        let given = given.map(|(_, body)| body);
        let given = given.or_else(|| self.earlier.iter().find_map(|earlier| earlier.to(&question)));
        if let Some(body) = given.filter(|body| !body.is_failure()) {
            return Some(self.tell(&question, &body, query, owner, reply));
        }
        let is_whole = owner == reply.question();
        let looked = match is_whole {
            true => self.cache.look(&question, self.now, reply.room_mut()),
            // It stands elsewhere than it was written for.
            false => Looked::TooLarge(0),
        };
        match looked {
            Looked::TooLarge(_) => self.look_apart(&question, given, query, reply),
            looked => self.take(looked, &question, given, query, reply),
        }
    }

    fn find_at_member(
        &mut self,
        key: &NameKey,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        // What members say of their own zone is the same whatever is wanted of DNSSEC.
        let question = Question::new(key.as_wire(), key.full_hash(), query.qtype(), Wants::default());
        let given = self.given.filter(|(asked, _)| *asked == question);
        let (Some((_, body)), By::Member { is_truncated }) = (given, self.by) else {
            self.missing.note(&question);
            self.missing.of_member = true;
            return None;
        };
        let rcode = self.tell(&question, &body, query, owner, reply);
        if is_truncated {
            reply.set_truncated();
        }
        Some(rcode)
    }

    fn way(&self, name: &[u8]) -> Option<usize> {
        self.policy.way(name)
    }

    fn resolves(&self, name: &[u8]) -> bool {
        // What is validated may have been cut behind an alias here.
        !self.policy.validates_forwarded
            && matches!(self.policy.route(name, RecordType::A), Route::Forward(_))
    }

    fn is_past_members(&self) -> bool {
        self.by == By::Others && (self.given.is_some() || self.impatient)
    }
}

impl Finder<'_> {
    /// Takes what a look has put into the reply, behind the question.
    fn take(
        &mut self,
        looked: Looked,
        question: &Question<'_>,
        given: Option<Body<'_>>,
        query: &Query<'_>,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        let found = self.usable(looked, question, given, reply)?;
        match found {
            Ok(found) => {
                reply.take(found.octets, found.counts);
                if found.authentic && wants_authentic(query) {
                    reply.set_authentic();
                }
                Some(found.rcode)
            }
            Err(rcode) => Some(rcode),
        }
    }

    /// What of a look may be told: an answer, or the code of a failure. `None`: it has to be asked for.
    fn usable(
        &mut self,
        looked: Looked,
        question: &Question<'_>,
        given: Option<Body<'_>>,
        reply: &mut Reply<'_>,
    ) -> Option<Result<Found, Rcode>> {
        let failure = match (looked, given) {
            (Looked::Fresh(found), _) => {
                self.counters.cache_hit();
                if found.prefetch && self.policy.prefetch {
                    self.missing.note(question);
                    self.refresh = true;
                }
                if let Some(error) = found.error {
                    reply.set_extended_error(error.0);
                }
                return Some(Ok(found));
            }
            (Looked::Stale(found, failing), given)
                if self.impatient || failing.is_some() || given.is_some() =>
            {
                self.counters.cache_served_stale();
                reply.set_extended_error(ExtendedError::STALE_ANSWER.0);
                // Its signatures may have ended meanwhile (RFC 4035 §5.3.3).
                return Some(Ok(Found { authentic: false, ..found }));
            }
            // What has just come is no news of the cache's.
            (_, Some(body)) => Some((body.rcode, body.error)),
            (Looked::Failing(failing), None) => {
                Some((failing.rcode, failing.error.or(Some(ExtendedError::CACHED_ERROR))))
            }
            (Looked::Stale(..) | Looked::Miss | Looked::TooLarge(_), None) => None,
        };
        if let Some((rcode, error)) = failure {
            if let Some(error) = error {
                reply.set_extended_error(error.0);
            }
            return Some(Err(rcode));
        }
        self.counters.cache_miss();
        if self.policy.route(question.name, question.rtype) == Route::Refuse {
            return Some(Err(Rcode::Refused));
        }
        self.missing.note(question);
        None
    }

    /// Looks where there is room for all, and tells what fits, record by record.
    fn look_apart(
        &mut self,
        question: &Question<'_>,
        given: Option<Body<'_>>,
        query: &Query<'_>,
        reply: &mut Reply<'_>,
    ) -> Option<Rcode> {
        let start = HEADER_OCTETS + question.name.len() + 4;
        let room = self.room.get_mut(start..)?;
        let looked = self.cache.look(question, self.now, room);
        let found = match self.usable(looked, question, given, reply)? {
            Ok(found) => found,
            Err(rcode) => return Some(rcode),
        };
        self.spell(question, found.counts, found.octets, query, reply);
        Some(found.rcode)
    }

    /// Tells a body.
    fn tell(
        &mut self,
        question: &Question<'_>,
        body: &Body<'_>,
        query: &Query<'_>,
        owner: Owner,
        reply: &mut Reply<'_>,
    ) -> Rcode {
        if let Some(error) = body.error {
            reply.set_extended_error(error.0);
        }
        let is_whole = owner == reply.question();
        if let Some(place) = reply.room_mut().get_mut(..body.octets.len())
            && is_whole
        {
            place.copy_from_slice(body.octets);
            reply.take(body.octets.len(), body.counts);
            if body.authentic && wants_authentic(query) {
                reply.set_authentic();
            }
            return body.rcode;
        }
        let start = HEADER_OCTETS + question.name.len() + 4;
        if let Some(place) = self.room.get_mut(start..start + body.octets.len()) {
            place.copy_from_slice(body.octets);
            self.spell(question, body.counts, body.octets.len(), query, reply);
        }
        body.rcode
    }

    /// Adds the records of a body, which stand in `self.room` as behind their question, one by one, names written out: set
    /// by set, as many as fit.
    fn spell(
        &mut self,
        question: &Question<'_>,
        counts: [u16; 3],
        octets: usize,
        query: &Query<'_>,
        reply: &mut Reply<'_>,
    ) {
        let (name_end, start) =
            (HEADER_OCTETS + question.name.len(), HEADER_OCTETS + question.name.len() + 4);
        let Some(message) = self.room.get_mut(..start + octets) else { return };
        if let Some(place) = message.get_mut(HEADER_OCTETS..name_end) {
            place.copy_from_slice(question.name);
        }
        for (at, value) in [(2, RESPONSE), (4, 1), (6, counts[0]), (8, counts[1]), (10, counts[2])] {
            put_u16(message, at, value);
        }
        let Some(response) = Response::read(message) else { return };
        for section in [Section::Answer, Section::Authority] {
            let (mut mark, mut set) = (reply.mark(), None);
            for record in response.records(section) {
                let record_set = (record.owner(), record.rtype);
                if set.as_ref() != Some(&record_set) {
                    (mark, set) = (reply.mark(), Some(record_set));
                }
                self.rdata.clear();
                record.write_rdata(self.rdata);
                let owner = record.owner();
                let kind = (record.rtype, record.ttl);
                if reply.append_plain(section, owner.as_wire(), kind, self.rdata).is_err() {
                    reply.return_to(mark);
                    // Proofs that nobody asked for by type may be left out.
                    if section == Section::Answer || query.dnssec_ok() || is_soa(record.rtype) {
                        reply.set_truncated();
                    }
                    return;
                }
            }
        }
    }
}

fn is_soa(rtype: RecordType) -> bool {
    rtype == RecordType::SOA
}

/// True if the asker understands AD (RFC 6840 §5.7).
fn wants_authentic(query: &Query<'_>) -> bool {
    query.dnssec_ok() || query.flags() & AD != 0
}
