//! A zone cut: which servers the zone above names, and for how long that is to be believed.

use crate::base::time::Moment;
use crate::resolve::iterate::bounds::{DELEGATION_SPAN_MAX, GLUE_MAX, NAMES_MAX};
use crate::resolve::iterate::store::Weight;
use crate::wire::name::{Name, is_at_or_below};
use crate::wire::reply::Section;
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A name in uncompressed wire form, lower-cased.
pub(super) type Wire = Box<[u8]>;

pub(super) fn wire(name: &Name) -> Wire {
    name.as_wire().to_ascii_lowercase().into()
}

/// The name for people, and for records.
pub(super) fn name(wire: &[u8]) -> Name {
    Name::from_wire(wire).unwrap_or(Name::ROOT)
}

/// True if `name` lies below `ancestor`.
pub(super) fn is_below(name: &[u8], ancestor: &[u8]) -> bool {
    name.len() > ancestor.len() && is_at_or_below(name, ancestor)
}

/// The servers of a zone, as the zone above names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// The zone's apex.
    pub(super) zone: Wire,
    /// Its name servers.
    pub(super) names: Vec<Wire>,
    /// Addresses that came with the delegation: which of `names`, and where.
    pub(super) glue: Vec<(usize, IpAddr)>,
    /// When the zone above told of it.
    pub(super) learned: Moment,
    /// From when on the delegation must be asked for again.
    pub(super) expires: Moment,
}

impl Weight for Wire {
    fn octets(&self) -> usize {
        size_of::<Wire>() + self.len()
    }
}

impl Cut {
    pub(super) fn octets(&self) -> usize {
        let names: usize = self.names.iter().map(Weight::octets).sum();
        size_of::<Cut>() + self.zone.len() + names + self.glue.len() * size_of::<(usize, IpAddr)>()
    }

    /// True if an address of that name came with the delegation.
    pub(super) fn has_glue(&self, at: usize) -> bool {
        self.glue.iter().any(|glue| glue.0 == at)
    }

    pub(super) fn is_root(&self) -> bool {
        self.zone.len() == 1
    }
}

/// What a referral says; the moment of its end is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Referral {
    pub(super) zone: Wire,
    pub(super) names: Vec<Wire>,
    pub(super) glue: Vec<(usize, IpAddr)>,
    /// Seconds.
    pub(super) ttl: u32,
}

impl Referral {
    /// The servers of `zone` that a section names, and their addresses from the additional section, as far as these
    /// are at or below the zone that was asked (RFC 2181 §5.4.1, and none of its business otherwise).
    pub(super) fn read(
        response: &Response<'_>,
        section: Section,
        zone: &[u8],
        asked: &[u8],
    ) -> Option<Referral> {
        let mut referral = Referral { zone: zone.into(), names: Vec::new(), glue: Vec::new(), ttl: u32::MAX };
        for record in response.records(section) {
            if record.rtype != RecordType::NS || record.class != Class::IN || !record.is_of(zone) {
                continue;
            }
            let Some(target) = record.rdata_name().map(|target| wire(&target)) else { continue };
            referral.ttl = referral.ttl.min(record.ttl);
            if referral.names.len() < NAMES_MAX && !referral.names.contains(&target) {
                referral.names.push(target);
            }
        }
        if referral.names.is_empty() {
            return None;
        }
        for record in response.records(Section::Additional) {
            if record.class != Class::IN || referral.glue.len() >= GLUE_MAX {
                continue;
            }
            let Some(address) = address(record.rtype, record.rdata()) else { continue };
            let Some(at) = referral.names.iter().position(|name| record.is_of(name)) else { continue };
            let is_within = referral.names.get(at).is_some_and(|name| is_at_or_below(name, asked));
            if is_within && !referral.glue.contains(&(at, address)) {
                referral.glue.push((at, address));
            }
        }
        Some(referral)
    }

    /// Adds the addresses that the operator names, of servers that came without any: not each answer to a priming query
    /// has room for all of them (RFC 9609 §4.2).
    pub(super) fn add_hints(&mut self, hints: &Cut) {
        let had: Vec<usize> = self.glue.iter().map(|glue| glue.0).collect();
        for (hint, address) in &hints.glue {
            let Some(server) = hints.names.get(*hint) else { continue };
            let at = self.names.iter().position(|name| name == server).filter(|at| !had.contains(at));
            if let Some(at) = at.filter(|_| self.glue.len() < GLUE_MAX) {
                self.glue.push((at, *address));
            }
        }
    }

    /// The cut that it makes. It ends no later than the delegation of the zone that told of it: what a zone that was
    /// taken away says of zones below it goes with it (ghost domains, CVE-2012-1033).
    pub(super) fn cut(self, now: Moment, above: Moment) -> Cut {
        let span = Duration::from_secs(self.ttl.into()).min(DELEGATION_SPAN_MAX);
        let Referral { zone, names, glue, .. } = self;
        Cut { zone, names, glue, learned: now, expires: above.min(now + span) }
    }
}

/// The address in the RDATA of an A or AAAA record.
pub(super) fn address(rtype: RecordType, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        RecordType::A => <[u8; 4]>::try_from(rdata).ok().map(|octets| Ipv4Addr::from(octets).into()),
        RecordType::AAAA => <[u8; 16]>::try_from(rdata).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::{Question, Wants};
    use crate::resolve::script_tests::message;

    #[test]
    fn a_delegation_lasts_a_day_at_most_and_no_longer_than_the_one_above() {
        let ends = |ttl: u32, above: Moment| {
            let (zone, names, glue) = (Wire::from(*b"\x01a\0"), Vec::new(), Vec::new());
            let now = Moment::from_micros(5_000_000);
            (Referral { zone, names, glue, ttl }.cut(now, above).expires - now).as_secs()
        };
        assert_eq!(ends(60, Moment::NEVER), 60);
        assert_eq!(ends(604_800, Moment::NEVER), 86_400);
        assert_eq!(ends(604_800, Moment::from_micros(15_000_000)), 10);
    }

    #[test]
    fn of_a_thousand_servers_a_few_are_kept() {
        let lines: Vec<String> = (0..1_000).map(|number| format!("a.test. 60 NS n{number}.test.")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let name = wire(&Name::parse("a.test.").unwrap());
        let question = Question::new(&name, 0, RecordType::A, Wants::default());
        let message = message(&question, 0, &[], &lines);
        let response = Response::read(&message).unwrap();
        let referral = Referral::read(&response, Section::Authority, &name, &wire(&Name::ROOT)).unwrap();
        assert_eq!(referral.names.len(), NAMES_MAX);
    }
}
