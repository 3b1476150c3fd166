//! Why NSD and Knot differ on what signed zones add to an answer. See [`crate::causes`].

use crate::causes::{Cause, Side, causes};
use crate::compare::{Answer, Case, Fact, covered};
use crate::oracle::message::{Message, Record};
use crate::oracle::names::{Wire, child, is_within, labels, lowered, parent};
use std::collections::BTreeSet;

causes! {
    SIGNATURES = "signatures asked for", Nsd,
        "RFC 8482 §4.1 is about ANY: NSD gives all signatures of the name, Knot those of one set";
    HASHED = "a name that is there as a hash only, or below it", Knot,
        "RFC 5155 §7.2.8: as if it did not exist, so wildcards stand in for it; NSD takes it for an empty name";
    HASHED_TWICE = "the same, and another dispute besides", Own,
        "the name does not exist as Knot has it; signatures and proofs as NSD has them";
    ASTERISK = "proofs for a name that begins with an asterisk", Either,
        "it is a name like any other: Knot proves nothing where a wildcard stands in, NSD too much where it is there itself";
    EMPTY_WILDCARD = "no such type at a wildcard that is an empty non-terminal", Nsd,
        "RFC 4035 §3.1.3.4: that the wildcard has no records is proven, too; Knot leaves that out";
    AFTER_ALIAS = "proofs for a name to which an alias led", Knot,
        "RFC 4035 §3.1.3: the same as for the name itself; NSD leaves the wildcard's out";
    MORE = "more proofs than are needed", Knot,
        "RFC 4035 §3.1.3: one record may prove all; NSD adds the one before it";
    EACH_MORE = "proofs of which each leaves out another one", Own,
        "two of these in one: hivedns has what either has, as far as it is needed";
    SIZE_SIGNED = "a signed message near its limit", Own,
        "what fits, and what is left out first, is each server's choice";
}

/// Octets that a signature may take: what is so near to its limit may lack one.
const SIGNATURE_OCTETS: usize = 350;
const CNAME: u16 = 5;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;

/// The cause of a dispute about signatures or proofs.
pub fn cause(case: &Case<'_>, disputed: &[Fact], nsd: &Message, knot: &Message) -> Option<&'static Cause> {
    let question = case.question;
    let name = lowered(&question.name);
    let is_asterisk = name.starts_with(b"\x01*");
    let is_hashed = is_at_or_below_hash(&name) || ends(knot).iter().any(|end| is_at_or_below_hash(end));
    if is_hashed && (is_asterisk || [RRSIG, NSEC, NSEC3].contains(&question.qtype)) {
        return Some(&HASHED_TWICE);
    }
    if is_hashed {
        return Some(&HASHED);
    }
    // Where NSD has none to give either, the dispute is about the alias that it was asked of.
    let gives_some = nsd.sections[0].iter().any(|record| record.rtype == RRSIG);
    if question.qtype == RRSIG && gives_some && disputed.contains(&Fact::Answer) && ends(knot).is_empty() {
        return Some(&SIGNATURES);
    }
    if !question.dnssec_ok() {
        return None;
    }
    let octets = nsd.octets.max(knot.octets);
    if question.udp_limit().is_some_and(|limit| octets + SIGNATURE_OCTETS > limit) {
        return Some(&SIZE_SIGNED);
    }
    let others = |message: &Message| -> BTreeSet<Record> {
        message.sections[1].iter().filter(|record| !is_proof(record)).cloned().collect()
    };
    if disputed != [Fact::Authority] || others(nsd) != others(knot) {
        return None;
    }
    let (by_nsd, by_knot) = (proofs(nsd), proofs(knot));
    let asked = [ends(knot), vec![name.clone()]].concat();
    let stands_in =
        |owner: &Wire| owner.starts_with(b"\x01*") && asked.iter().any(|name| is_within(name, &owner[2..]));
    Some(match (by_nsd.is_subset(&by_knot), by_knot.is_subset(&by_nsd)) {
        _ if is_asterisk && asked.len() > 1 => &EACH_MORE,
        _ if asked.iter().any(|name| name.starts_with(b"\x01*")) => &ASTERISK,
        (true, _) => &AFTER_ALIAS,
        (_, true) if knot.rcode() == 0 && !by_knot.iter().any(stands_in) => &EMPTY_WILDCARD,
        (_, true) => &MORE,
        (false, false) => &EACH_MORE,
    })
}

/// True where both peers leave out what [`EMPTY_WILDCARD`] speaks of, NSD because another zone of it has the name, and
/// hivedns does not: besides theirs, all that it tells is the record that an asterisk above the name is empty.
pub fn proves_empty_wildcard(case: &Case<'_>, ours: &Answer) -> bool {
    let (Ok(nsd), Ok(knot), Ok(ours)) = (&case.nsd, &case.knot, ours) else { return false };
    let set = |message: &Message| -> BTreeSet<Record> { message.sections[1].iter().cloned().collect() };
    let (nsd, knot, ours) = (set(nsd), set(knot), set(ours));
    let name = lowered(&case.question.name);
    let leads_below_asterisk = |rdata: &[u8]| {
        let next: Wire = labels(rdata)
            .iter()
            .rev()
            .fold(vec![0], |name, label| child(label, &name).expect("a name that was a name"));
        let above = std::iter::successors(Some(next), |name| parent(name));
        above.filter(|name| name.starts_with(b"\x01*")).any(|asterisk| is_within(&name, &asterisk[2..]))
    };
    let more: Vec<&Record> = ours.difference(&nsd).collect();
    let of_asterisk = |record: &&Record| record.rtype == NSEC && leads_below_asterisk(&record.rdata);
    nsd == knot
        && nsd.is_subset(&ours)
        && more.iter().any(of_asterisk)
        && more.iter().all(|record| of_asterisk(record) || covered(record) == Some(NSEC))
}

fn is_proof(record: &Record) -> bool {
    let proves = |rtype| [NSEC, NSEC3].contains(&rtype);
    proves(record.rtype) || covered(record).is_some_and(proves)
}

/// The owners of the records that prove something.
fn proofs(message: &Message) -> BTreeSet<Wire> {
    message.sections[1].iter().filter(|record| is_proof(record)).map(|record| record.owner.clone()).collect()
}

/// The names to which aliases lead.
fn ends(message: &Message) -> Vec<Wire> {
    message.sections[0]
        .iter()
        .filter(|record| record.rtype == CNAME)
        .map(|record| record.rdata.clone())
        .collect()
}

/// True if a label looks like a hash (RFC 5155 §3.3): no zone of these tests has another one of that kind.
fn is_at_or_below_hash(name: &[u8]) -> bool {
    let is_digit = |octet: &u8| matches!(octet, b'0'..=b'9' | b'a'..=b'v');
    labels(name).iter().any(|label| label.len() == 32 && label.iter().all(is_digit))
}
