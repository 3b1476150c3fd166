//! Names of the addresses that the cluster knows, which are told before all that zones, others or the lack of both say.
//!
//! ```text
//! an address that is known ──► its one name; of any other type: nothing, and the SOA
//! not all are known        ──► a member is asked that knows all, for those who have names resolved; then:
//! any other                ──► what lies behind the entry, or is found elsewhere ──► but:
//!                                absent, and not all addresses are known: SERVFAIL
//!                                absent: for no longer than a service's name is
//! a name above addresses   ──► the same, but it is never absent
//! ```
//!
//! That a member knows no name of an address denies none: an address of a network of one engine alone is known on its own node
//! only, which may not know it yet.
//!
//! CHOICE: a name above addresses (`2.0.10.in-addr.arpa.`) exists, whether or not an address below it is known. Where an empty
//! zone says NXDOMAIN of it, that denies all names below (RFC 8020), and a resolver that asks for one label more at a time
//! (RFC 9156) would never come to those that are known. To say so of each would need a second table; and what is lost is
//! that a resolver has to ask for each absent address.

use crate::catalog::reverse::Reverse as Known;
use crate::catalog::snapshot::{Snapshot, ZoneEntry};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::query::Query;
use crate::wire::reply::{Owner, Reply, Section};
use crate::wire::reverse::{Reverse, read};
use crate::wire::rtype::{Class, RecordType};
use std::time::Duration;

/// What the cluster has to say of a name before anybody else.
pub(super) struct Say<'s> {
    known: &'s Known,
    entry: &'s ZoneEntry,
    about: Reverse,
}

impl<'s> Say<'s> {
    /// `None` for a name of which it has nothing to say. `entry` is the nearest above the name.
    #[inline]
    pub(super) fn new(snapshot: &'s Snapshot, entry: &'s ZoneEntry, name: &NameKey) -> Option<Say<'s>> {
        if !entry.is_covered() {
            return None;
        }
        Some(Say { known: snapshot.reverse()?, entry, about: read(name.as_wire())? })
    }

    /// The name of the address, if it is one that is known.
    pub(super) fn name(&self) -> Option<&'s Name> {
        match self.about {
            Reverse::Address(address) => self.known.name_of(address),
            Reverse::Above => None,
        }
    }

    /// True of an address whose name a member may know.
    pub(super) fn awaits_members(&self) -> bool {
        matches!(self.about, Reverse::Address(_)) && !self.known.is_synced() && self.name().is_none()
    }

    /// Tells the name of an address that stands at `owner`.
    pub(super) fn tell(&self, name: &Name, qtype: RecordType, owner: Owner, reply: &mut Reply<'_>) -> Rcode {
        if !matches!(qtype, RecordType::PTR | RecordType::ANY) {
            return self.deny(owner, reply);
        }
        reply.set_authoritative();
        let record = (RecordType::PTR, Class::IN, self.known.ttl());
        if reply.append_record(Section::Answer, owner, record, &[name.as_wire()]).is_err() {
            reply.set_truncated();
        }
        Rcode::NoError
    }

    /// Says that there is nothing of that type (RFC 2308 §2.2), for as long as a service's name is absent.
    pub(super) fn deny(&self, owner: Owner, reply: &mut Reply<'_>) -> Rcode {
        reply.set_authoritative();
        let told = match self.entry.content() {
            Some(zone) => reply
                .suffix_of(owner, zone.origin_len())
                .map(|apex| reply.append(Section::Authority, &zone.negative_soa(), apex).map(drop)),
            None => reply.suffix_of(owner, self.entry.origin_key().len()).map(|apex| {
                let record = (RecordType::SOA, Class::IN, self.known.negative_ttl());
                reply.append_record(Section::Authority, apex, record, &[self.known.soa()]).map(drop)
            }),
        };
        match told {
            Some(Ok(())) => reply.bound_authority(self.known.negative_ttl()),
            Some(Err(_)) => reply.set_truncated(),
            None => return Rcode::ServFail,
        }
        Rcode::NoError
    }

    /// Sees to it that the answer that others gave to the question denies nothing that the cluster may know.
    pub(super) fn settle(&self, rcode: Rcode, reply: &mut Reply<'_>) -> Rcode {
        let is_denied = match rcode {
            Rcode::NxDomain => true,
            // A referral denies nothing.
            Rcode::NoError => !reply.is_truncated() && !reply.refers(),
            _ => false,
        };
        if !is_denied || reply.count(Section::Answer) > 0 {
            return rcode;
        }
        match self.about {
            Reverse::Above if rcode == Rcode::NxDomain => {
                let question = reply.question();
                reply.clear();
                self.deny(question, reply)
            }
            Reverse::Above => rcode,
            Reverse::Address(_) if !self.known.is_synced() => {
                reply.clear();
                Rcode::ServFail
            }
            Reverse::Address(_) => {
                reply.bound_authority(self.known.negative_ttl());
                rcode
            }
        }
    }
}

/// Tells a member that does not know all addresses the name that the cluster knows of one, with its TTL: NXDOMAIN if it knows
/// none, whatever zones have. `None`: it does not fit.
pub fn tell_member(
    known: Option<(&Name, Duration)>,
    query: &Query<'_>,
    buffer: &mut [u8],
    limit: usize,
) -> Option<usize> {
    let mut reply = Reply::begin(buffer, query, limit, &[]);
    reply.set_authoritative();
    let owner = reply.question();
    let rcode = match known {
        Some((name, ttl)) if matches!(query.qtype(), RecordType::PTR | RecordType::ANY) => {
            let record = (RecordType::PTR, Class::IN, u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX));
            reply.append_record(Section::Answer, owner, record, &[name.as_wire()]).ok()?;
            Rcode::NoError
        }
        Some(_) => Rcode::NoError,
        None => Rcode::NxDomain,
    };
    Some(reply.finish(query, rcode, 0, &[]))
}
