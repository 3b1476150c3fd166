//! Records that not every asker gets: those of one group, one of each item, the nearest first. See [`crate::zone::view`]
//! for what lies in a set; the simple twin stands with the tests of `discovery::names`.

use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::RECORD_HEAD_OCTETS;
use crate::zone::Zone;
use crate::zone::store::Node;
use crate::zone::view::{Asker, MARK, TAG_OCTETS, Tag, flags, marks};
use std::net::IpAddr;

/// Records of a set at most: a message's octets hold no more with a tag each.
const CHOSEN_MAX: usize = 2_048;
const _: () = assert!(CHOSEN_MAX * (RECORD_HEAD_OCTETS + TAG_OCTETS) > 65_535);
/// Ports of which one answer adds the addresses: over UDP no more fit.
const TARGETS_MAX: usize = 16;
/// Octets of an SRV record's RDATA before its target (RFC 2782).
const SRV_HEAD: usize = 6;
/// Steps of an order by lot: primes larger than any set, so that each visits all of it.
const STEPS: [usize; 4] = [4_099, 7_919, 16_411, 65_537];

/// The types of which there are such records, in the order in which ANY is answered.
pub(super) const TYPES: [RecordType; 6] =
    [RecordType::A, RecordType::AAAA, RecordType::SRV, RecordType::PTR, RecordType::MX, RecordType::TXT];

/// Who asks, and a number that is another one each time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) from: Option<IpAddr>,
    pub(super) lot: u16,
}

/// The records that an asker gets: for each its class, then where its RDATA stands in the set.
pub(super) struct Chosen {
    places: [u32; CHOSEN_MAX],
    count: usize,
    order: u8,
    /// For whom all askers are taken.
    pub(super) stand_in: Option<Asker>,
}

/// The classes, in the order in which they are told.
const NEAR: u32 = 0;
const FAR: u32 = 1;
const LOST: u32 = 2;
const CLASS_SHIFT: u32 = 16;

impl Default for Chosen {
    fn default() -> Chosen {
        Chosen { places: [0; CHOSEN_MAX], count: 0, order: 0, stand_in: None }
    }
}

/// The records of a viewed set: where each one's RDATA stands behind its tag, the tag, and that RDATA.
fn records(octets: &[u8]) -> impl Iterator<Item = (usize, Tag, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = octets.get(at..)?.first_chunk::<RECORD_HEAD_OCTETS>()?;
        let start = at + RECORD_HEAD_OCTETS;
        let end = start + usize::from(u16::from_be_bytes([head[10], head[11]]));
        at = end;
        let (tag, rdata) = Tag::open(octets.get(start..end)?)?;
        Some((start, tag, rdata))
    })
}

impl Chosen {
    /// Chooses for an asker, from a set and the marks beside it.
    fn choose(&mut self, octets: &[u8], marked: &[u8], asker: &Asker, is_address: bool) {
        self.count = 0;
        let seen = |tag: &Tag| {
            let is_here = tag.flags & flags::LOCAL == 0 || tag.owner == asker.owner;
            if is_here { asker.networks.iter().position(|network| *network == tag.network) } else { None }
        };
        // Marks first: the group is the name's, whatever is asked for.
        let (mut own, mut first) = (None, None);
        for (octets, is_mark) in [(marked, true), (octets, false)] {
            for (_, tag, rdata) in records(octets).filter(|(_, tag, _)| seen(tag).is_some()) {
                if tag.stack == asker.stack {
                    own = Some(tag.group);
                }
                if !is_mark || rdata == marks::FULL {
                    first = Some(first.map_or(tag.group, |group: u16| group.min(tag.group)));
                }
            }
        }
        let Some(group) = own.or(first) else { return };
        // Records of an item stand together, those of lost owners behind all others.
        let mut last: Option<(u64, bool, usize)> = None;
        for (at, tag, rdata) in records(octets).filter(|(_, tag, _)| tag.group == group) {
            let Some(position) = seen(&tag) else { continue };
            let is_lost = tag.flags & flags::LOST != 0;
            let class = match (is_lost, tag.owner == asker.owner) {
                (true, _) => LOST,
                (false, true) => NEAR,
                (false, false) => FAR,
            };
            let place = class << CLASS_SHIFT | (at as u32 & 0xffff);
            match last {
                Some((item, lost, best)) if (item, lost) == (tag.item, is_lost) => {
                    if position < best
                        && let Some(chosen) = self.count.checked_sub(1).and_then(|at| self.places.get_mut(at))
                    {
                        *chosen = place;
                        last = Some((item, lost, position));
                    }
                }
                // What several say alike is told once.
                _ if is_lost && !is_address && self.has(octets, rdata) => {}
                _ => {
                    let Some(free) = self.places.get_mut(self.count) else { break };
                    *free = place;
                    self.count += 1;
                    self.order = tag.flags & flags::ORDER;
                    last = Some((tag.item, is_lost, position));
                }
            }
        }
        if self.order != 0 {
            // Nearness does not count.
            for place in self.places.iter_mut().take(self.count) {
                if *place >> CLASS_SHIFT == NEAR {
                    *place |= FAR << CLASS_SHIFT;
                }
            }
        }
        if let Some(chosen) = self.places.get_mut(..self.count) {
            chosen.sort_unstable();
        }
    }

    fn has(&self, octets: &[u8], rdata: &[u8]) -> bool {
        self.places.iter().take(self.count).any(|place| rdata_at(octets, *place) == Some(rdata))
    }

    /// Hands each to `each`, class by class, each class in its order; ends with the first error.
    fn each<E>(&self, lot: u16, mut each: impl FnMut(u32) -> Result<(), E>) -> Result<(), E> {
        let all = self.places.get(..self.count).unwrap_or_default();
        for class in all.chunk_by(|a, b| a >> CLASS_SHIFT == b >> CLASS_SHIFT) {
            let (len, lot) = (class.len(), usize::from(lot));
            let (start, step) = match self.order {
                flags::ORDER_FIXED => (0, 1),
                // Two numbers of one: where it begins and how it goes on.
                flags::ORDER_RANDOM => (lot, STEPS.get(lot >> 3 & 3).copied().unwrap_or(1)),
                _ => (lot, 1),
            };
            for i in 0..len {
                if let Some(place) = class.get((start + i * step) % len) {
                    each(*place)?;
                }
            }
        }
        Ok(())
    }
}

/// The RDATA, without its tag, of the record at a place.
fn rdata_at(octets: &[u8], place: u32) -> Option<&[u8]> {
    let start = (place & 0xffff) as usize;
    let len = octets.get(start.checked_sub(2)?..start)?.first_chunk::<2>()?;
    let sealed = octets.get(start..start + usize::from(u16::from_be_bytes(*len)))?;
    sealed.get(TAG_OCTETS..)
}

/// What a node has of a type for some askers: puts what this one gets at the end of `section`, as many whole records as
/// fit. How many it would get, and whether all of them fit.
pub(super) fn put(
    zone: &Zone,
    (node, rtype): (Node<'_>, RecordType),
    (asked, chosen): (Asked, &mut Chosen),
    (section, owner): (Section, Owner),
    reply: &mut Reply<'_>,
    mut each: impl FnMut(usize),
) -> (usize, Result<(), Full>) {
    let Some(set) = node.rrset(rtype.viewed()) else { return (0, Ok(())) };
    let Some(asker) = zone.asker(asked.from) else { return (0, Ok(())) };
    let octets = set.sealed().octets;
    let marked = node.rrset(MARK.viewed()).map_or(&[][..], |marks| marks.sealed().octets);
    let stand_in = chosen.stand_in.take();
    let asker = stand_in.as_ref().unwrap_or(asker);
    chosen.choose(octets, marked, asker, matches!(rtype, RecordType::A | RecordType::AAAA));
    chosen.stand_in = stand_in;
    let record = (rtype, Class::IN, reply.ttl_of(&set.sealed()));
    let told = chosen.each(asked.lot, |place| {
        let rdata = rdata_at(octets, place).unwrap_or_default();
        each(reply.append_record(section, owner, record, &[rdata])?);
        Ok(())
    });
    (chosen.count, told)
}

/// Hosts of SRV records in the reply, of which addresses are to be added.
#[derive(Default)]
pub(super) struct Targets {
    at: [usize; TARGETS_MAX],
    count: usize,
}

impl Targets {
    /// An SRV record's RDATA begins there in the reply.
    pub(super) fn note(&mut self, rdata_at: usize) {
        if let Some(free) = self.at.get_mut(self.count) {
            *free = rdata_at + SRV_HEAD;
            self.count += 1;
        }
    }

    /// Where their names stand.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.at.iter().take(self.count).copied()
    }
}
