//! The short way: the ordinary answers to an ordinary query (see [`wire::short`](crate::wire::short)), written as
//! they are found.
//!
//! ```text
//! answer_short ─► a set of the name's own ──────────────────────────► most questions end here
//!              └► other ─┬─► by a wildcard, or with further addresses
//!                        ├─► aliases ─► the set they lead to
//!                        ├─► absent: the SOA
//!                        └─► refer: the name servers and their glue
//! ```
//!
//! `None` at any point means that the answer is not ordinary, and the general way begins anew: something does not fit,
//! a DNAME is about, a TTL runs out, ANY is asked, an alias leads back or to what does not exist. What is answered here is octet
//! for octet what the general way answers; `tests/twin` holds one against the other.

use crate::answer::{Outcome, Verdict, Way};
use crate::wire::key::NameKey;
use crate::wire::message::{AA, CD, RA, Rcode};
use crate::wire::query::Shape;
use crate::wire::reply::{Owner, Section};
use crate::wire::rtype::RecordType;
use crate::wire::short::{Sheet, WINDOW};
use crate::zone::store::{Hint, Node, Rrset, node_flags, target_flags};
use crate::zone::{Place, Zone};

/// Aliases that the short way follows: nearly all chains are shorter, and each is compared with all before it.
const ALIASES_MAX: usize = 4;
/// Hosts whose addresses the short way adds: nearly all sets name no more.
const HOSTS_MAX: usize = 4;

/// What the asker is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    /// What this server's zones say.
    Zones,
    /// To have names resolved, too.
    Recursion,
}

impl Offers {
    /// The flags that say so; whether the asker wanted checking is repeated (RFC 4035 §3.2.2).
    #[inline(always)]
    pub fn flags(self, shape: &Shape) -> u16 {
        match self {
            Offers::Zones => 0,
            Offers::Recursion => RA | shape.flags() & CD,
        }
    }
}

/// What was written: the AA bit or 0, and the code.
type Told = (u16, Rcode);

/// Answers an ordinary query over UDP if it gets an ordinary answer. `way` has been sought for `key`, the name
/// asked for; `buffer` may have been written to where there is no answer.
#[inline(always)]
pub fn answer_short(
    way: &Way<'_>,
    (window, shape): (&[u8; WINDOW], &Shape),
    key: &NameKey,
    buffer: &mut [u8],
    udp_payload_max: u16,
    offers: Offers,
) -> Option<Outcome> {
    let Way { entry, zone, .. } = *way;
    // Where a name leads is not told by its node alone, or signatures are wanted.
    if !zone.is_plain() && (zone.is_walked() || shape.edns().is_some_and(|edns| edns.dnssec_ok)) {
        return None;
    }
    Sheet::head(buffer, window)?;
    let (len, rcode) = match own_set(way, key, shape.qtype()) {
        Some(rrset) => {
            let mut sheet = Sheet::begin(buffer, shape);
            put(&mut sheet, Section::Answer, &rrset)?;
            (sheet.finish(shape, AA | offers.flags(shape), Rcode::NoError, udp_payload_max)?, Rcode::NoError)
        }
        None => other(way, key, shape, buffer, udp_payload_max, offers)?,
    };
    Some(Outcome { verdict: Verdict::Reply(len), rcode, zone: Some(entry.metrics()) })
}

/// The set asked for, if it is the name's own and says it all, and the hint leads right to it.
#[inline(always)]
fn own_set<'z>(way: &Way<'z>, key: &NameKey, qtype: RecordType) -> Option<Rrset<'z>> {
    way.zone.node_at_hint(&way.shelf, way.hint, key)?.rrset(qtype).filter(|rrset| !rrset.has_targets())
}

#[inline(always)]
fn put(sheet: &mut Sheet<'_>, section: Section, rrset: &Rrset<'_>) -> Option<usize> {
    // How much of its TTL is left, the general way knows.
    if rrset.has_deadline() {
        return None;
    }
    let (run, len) = rrset.run();
    sheet.put(section, rrset.records(), run, len)
}

/// All but a set of the name's own that leads nowhere else: the octets of the answer and its code. `buffer` has got its
/// head.
#[inline(never)]
fn other(
    way: &Way<'_>,
    key: &NameKey,
    shape: &Shape,
    buffer: &mut [u8],
    udp_payload_max: u16,
    offers: Offers,
) -> Option<(usize, Rcode)> {
    let mut sheet = Sheet::begin(buffer, shape);
    let (aa, rcode) = tell(way.zone, way.hint, key, shape.qtype(), &mut sheet, offers)?;
    Some((sheet.finish(shape, aa | offers.flags(shape), rcode, udp_payload_max)?, rcode))
}

#[inline(always)]
fn tell(
    zone: &Zone,
    hint: Hint,
    key: &NameKey,
    qtype: RecordType,
    sheet: &mut Sheet<'_>,
    offers: Offers,
) -> Option<Told> {
    let node = match zone.locate_from(hint, key) {
        // Who may have names resolved gets no referral.
        Place::Node(node) if node.has(node_flags::CUT) => {
            return if qtype == RecordType::DS || offers == Offers::Recursion {
                None
            } else {
                refer(zone, node, sheet)
            };
        }
        Place::BelowCut(cut) => {
            return if offers == Offers::Recursion { None } else { refer(zone, cut, sheet) };
        }
        Place::BelowDname(_) => return None,
        Place::Absent => return absent(zone, Rcode::NxDomain, sheet),
        Place::Node(node) | Place::Wildcard(node) => node,
    };
    if qtype == RecordType::ANY {
        return None;
    }
    if let Some(rrset) = node.rrset(qtype) {
        let start = put(sheet, Section::Answer, &rrset)?;
        sheet.shift_behind_question(rrset.pointers(), rrset.owner_len())?;
        if rrset.has_targets() && qtype != RecordType::CNAME {
            add_addresses(zone, &rrset, start, false, sheet)?;
        }
        return Some((AA, Rcode::NoError));
    }
    // Who asks decides; the general way knows.
    if node.has(node_flags::CNAME | node_flags::VIEWED) {
        if node.has(node_flags::VIEWED) {
            return None;
        }
        return aliases(zone, node, qtype, sheet, offers);
    }
    absent(zone, Rcode::NoError, sheet)
}

/// The name or the type does not exist: the SOA says for how long (RFC 2308 §2).
#[inline]
fn absent(zone: &Zone, rcode: Rcode, sheet: &mut Sheet<'_>) -> Option<Told> {
    let soa = zone.negative_soa();
    let start = sheet.put(Section::Authority, soa.records, zone.negative_soa_run(), soa.octets.len())?;
    sheet.set_owner_to_suffix(start, soa.records, soa.owner_len)?;
    sheet.shift_behind_question(soa.pointers, soa.owner_len)?;
    Some((AA, rcode))
}

/// At or below a zone cut: the name servers beyond it, and their glue.
#[inline]
fn refer(zone: &Zone, cut: Node<'_>, sheet: &mut Sheet<'_>) -> Option<Told> {
    let ns = cut.rrset(RecordType::NS)?;
    let start = put(sheet, Section::Authority, &ns)?;
    sheet.set_owner_to_suffix(start, ns.records(), ns.owner_len())?;
    sheet.shift_behind_question(ns.pointers(), ns.owner_len())?;
    add_addresses(zone, &ns, start, true, sheet)?;
    Some((0, Rcode::NoError))
}

/// Aliases from name to name of this zone, and the set that the last one leads to.
#[inline]
fn aliases<'z>(
    zone: &'z Zone,
    mut node: Node<'z>,
    qtype: RecordType,
    sheet: &mut Sheet<'_>,
    offers: Offers,
) -> Option<Told> {
    let mut passed = [usize::MAX; ALIASES_MAX];
    let mut owner = None;
    for step in 0..ALIASES_MAX {
        // A name that comes again may close a loop: the general way knows.
        if passed.contains(&node.id()) {
            return None;
        }
        passed[step] = node.id();
        let cname = node.rrset(RecordType::CNAME)?;
        let start = put(sheet, Section::Answer, &cname)?;
        match owner {
            None => sheet.shift_behind_question(cname.pointers(), cname.owner_len())?,
            Some(owner) => sheet.shift(&cname.sealed(), owner, start)?,
        }
        let Some(target) = cname.targets().next() else {
            return if offers == Offers::Recursion { None } else { Some((AA, Rcode::NoError)) };
        };
        let at = start + target.at;
        node = zone.find(target.hash, target.key)?;
        if node.has(node_flags::OCCLUDED | node_flags::CUT) {
            return None;
        }
        if let Some(rrset) = node.rrset(qtype) {
            if rrset.has_targets() || !rrset.pointers().is_empty() {
                return None;
            }
            let start = put(sheet, Section::Answer, &rrset)?;
            sheet.set_owner(start, rrset.records(), at)?;
            return Some((AA, Rcode::NoError));
        }
        if !node.has(node_flags::CNAME) {
            return None;
        }
        owner = Some(Owner { at, len: node.name_len() });
    }
    None
}

/// Adds the addresses of the hosts that a set at `start` names: in a referral first those that it cannot do without
/// (RFC 9471), then the others.
#[inline]
fn add_addresses(
    zone: &Zone,
    rrset: &Rrset<'_>,
    start: usize,
    is_referral: bool,
    sheet: &mut Sheet<'_>,
) -> Option<()> {
    let (mut added, mut count) = ([0; HOSTS_MAX], 0);
    let mut pass = |wanted: u8, known: u8| {
        for target in rrset.targets().filter(|target| target.flags & known == wanted) {
            let node = zone.find(target.hash, target.key)?;
            if node.has(node_flags::BELOW_DNAME | node_flags::CNAME)
                || added.iter().take(count).any(|hash| *hash == target.hash)
            {
                continue;
            }
            *added.get_mut(count)? = target.hash;
            count += 1;
            for rtype in [RecordType::A, RecordType::AAAA] {
                if let Some(addresses) = node.rrset(rtype) {
                    let at = put(sheet, Section::Additional, &addresses)?;
                    sheet.set_owner(at, addresses.records(), start + target.at)?;
                }
            }
        }
        Some(())
    };
    if is_referral {
        pass(target_flags::REQUIRED_GLUE, target_flags::REQUIRED_GLUE)?;
        pass(0, target_flags::REQUIRED_GLUE)
    } else {
        pass(0, 0)
    }
}
