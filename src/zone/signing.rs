//! What sealing finds out about a signed zone: which names are hidden, and in which order its proofs follow each other.
//!
//! A zone counts as signed if its apex has a signature. Of several ways to prove what does not exist the cheapest is
//! taken whose chain is there: NSEC3 as NSEC3PARAM says (RFC 5155 §4: it is the last to come and the first to go when a
//! zone changes its way), the fewest iterations first, and NSEC where there is none.

use crate::wire::rtype::RecordType;
use crate::zone::canonical;
use crate::zone::draft::{DraftNode, ZoneDraft, node_flags};
use crate::zone::nsec3::{HASHED_OCTETS, Hashing, ITERATIONS_MAX};
use crate::zone::signed::{Apex, Denial, Nsec, Nsec3};
use crate::zone::store::Spot;
use std::sync::Arc;

/// A signed zone being sealed.
pub(crate) struct Signing {
    is_hidden: Vec<bool>,
    /// Numbers of the hidden nodes, by rising key.
    hidden: Vec<u32>,
    /// Where each node lies, by its number.
    spots: Vec<Spot>,
}

/// Not yet in its place.
const NOWHERE: Spot = Spot(u32::MAX);

impl Signing {
    /// `None` for a zone that is not signed.
    pub(crate) fn of(draft: &ZoneDraft) -> Option<Signing> {
        draft.records(&draft.nodes[0]).find(|record| record.rtype == RecordType::RRSIG)?;
        let mut has_child = vec![false; draft.nodes.len()];
        draft.nodes.iter().skip(1).for_each(|node| has_child[node.parent as usize] = true);
        let hides = |(node, has_child): (&DraftNode, &bool)| !has_child && is_proof_only(draft, node);
        let is_hidden: Vec<bool> = draft.nodes.iter().zip(&has_child).map(hides).collect();
        let mut hidden: Vec<u32> =
            (0u32..).zip(&is_hidden).filter(|(_, hidden)| **hidden).map(|(number, _)| number).collect();
        hidden.sort_unstable_by_key(|number| draft.key(&draft.nodes[*number as usize]));
        Some(Signing { spots: vec![NOWHERE; draft.nodes.len()], is_hidden, hidden })
    }

    /// True for a node that no look-up is to find.
    pub(crate) fn is_hidden(&self, number: u32) -> bool {
        self.is_hidden.get(number as usize) == Some(&true)
    }

    /// The numbers of the hidden nodes, by rising key.
    pub(crate) fn hidden(&self) -> &[u32] {
        &self.hidden
    }

    /// A node was put there.
    pub(crate) fn put(&mut self, number: u32, spot: Spot) {
        if let Some(place) = self.spots.get_mut(number as usize) {
            *place = spot;
        }
    }

    /// The hidden nodes and the order of proofs, once all nodes are in their places.
    pub(crate) fn end(&self, draft: &ZoneDraft) -> (Arc<[Spot]>, Denial) {
        let hidden = self.spots_of(&self.hidden);
        let denial = self.denial(draft, &hidden);
        (hidden, denial)
    }

    fn denial(&self, draft: &ZoneDraft, hidden: &Arc<[Spot]>) -> Denial {
        let apex = &draft.nodes[0];
        // With any flag set it is not for servers (RFC 5155 §4.1.2).
        let params = draft.records(apex).filter(|record| record.rtype == RecordType::NSEC3PARAM);
        let mut ways: Vec<Hashing> = params
            .filter(|record| record.rdata.get(1) == Some(&0))
            .filter_map(|record| Hashing::read(record.rdata))
            .collect();
        ways.sort_by_key(Hashing::iterations);
        let (cheap, costly): (Vec<_>, Vec<_>) =
            ways.into_iter().partition(|way| way.iterations() <= ITERATIONS_MAX);
        let mut chains =
            cheap.into_iter().map(|way| (chain(draft, &way), way)).filter(|(chain, _)| !chain.is_empty());
        if let Some((chain, hashing)) = chains.next() {
            let chain = if chain == self.hidden { Arc::clone(hidden) } else { self.spots_of(&chain) };
            return Denial::Nsec3(Nsec3 { hashing, chain });
        }
        if draft.records(apex).any(|record| record.rtype == RecordType::NSEC) {
            return Denial::Nsec(Nsec(self.spots_of(&in_order(draft)).as_ref().into()));
        }
        let apex = costly.iter().find_map(|way| record_of_apex(draft, way));
        match apex.and_then(|number| self.spots.get(number as usize)) {
            Some(spot) => Denial::Costly(Apex(*spot)),
            None => Denial::Nothing,
        }
    }

    fn spots_of(&self, numbers: &[u32]) -> Arc<[Spot]> {
        numbers.iter().filter_map(|number| self.spots.get(*number as usize).copied()).collect()
    }
}

/// True for a name right below the apex that NSEC3 made, and nothing but signatures beside it.
fn is_proof_only(draft: &ZoneDraft, node: &DraftNode) -> bool {
    let is_proof = |rtype| rtype == RecordType::NSEC3;
    is_hash(draft, node)
        && draft.records(node).any(|record| is_proof(record.rtype))
        && draft.records(node).all(|record| is_proof(record.rtype) || record.rtype == RecordType::RRSIG)
}

/// True for one label below the apex, of a hash's length.
fn is_hash(draft: &ZoneDraft, node: &DraftNode) -> bool {
    node.depth == 1 && draft.key(node).len() == 1 + HASHED_OCTETS
}

/// The nodes with NSEC3 that was made in that way, by rising key.
fn chain(draft: &ZoneDraft, way: &Hashing) -> Vec<u32> {
    let mut chain: Vec<u32> = with(draft, RecordType::NSEC3, |rdata| way.made(rdata))
        .filter(|number| is_hash(draft, &draft.nodes[*number as usize]))
        .collect();
    chain.sort_unstable_by_key(|number| draft.key(&draft.nodes[*number as usize]));
    chain
}

/// The nodes with NSEC in canonical order.
fn in_order(draft: &ZoneDraft) -> Vec<u32> {
    let mut octets = Vec::new();
    // Most names are told apart by their first octets.
    let mut all: Vec<(u64, usize, u32)> = Vec::new();
    for number in with(draft, RecordType::NSEC, |_| true) {
        let node = &draft.nodes[number as usize];
        if node.flags & node_flags::OCCLUDED != 0 {
            continue;
        }
        let at = octets.len();
        canonical::encode(draft.key(node), &mut octets);
        let mut first = [0; 8];
        let len = first.len().min(octets.len() - at);
        first[..len].copy_from_slice(&octets[at..at + len]);
        all.push((u64::from_be_bytes(first), at, number));
    }
    let ends: Vec<usize> = all.iter().skip(1).map(|(_, at, _)| *at).chain([octets.len()]).collect();
    let mut all: Vec<_> = all.into_iter().zip(ends).collect();
    all.sort_unstable_by(|((first, at, _), end), ((other_first, other_at, _), other_end)| {
        first.cmp(other_first).then_with(|| octets[*at..*end].cmp(&octets[*other_at..*other_end]))
    });
    all.into_iter().map(|((_, _, number), _)| number).collect()
}

/// The NSEC3 of the apex, which is the one that knows of a SOA.
fn record_of_apex(draft: &ZoneDraft, way: &Hashing) -> Option<u32> {
    with(draft, RecordType::NSEC3, |rdata| way.made(rdata) && knows_of_soa(rdata).is_some()).next()
}

/// RDATA of NSEC3 (RFC 5155 §3.2): salt and next hash, each behind its length, then windows of types, of which the first
/// has the SOA in its first octet.
fn knows_of_soa(rdata: &[u8]) -> Option<()> {
    let salt_end = 5 + usize::from(*rdata.get(4)?);
    let windows = salt_end + 1 + usize::from(*rdata.get(salt_end)?);
    let soa = 0x80 >> RecordType::SOA.0;
    matches!(rdata.get(windows..)?, [0, _, first, ..] if first & soa != 0).then_some(())
}

/// The nodes that have a record of that type for whose RDATA `is_it` holds.
fn with(draft: &ZoneDraft, rtype: RecordType, is_it: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = u32> {
    (0u32..).zip(&draft.nodes).filter_map(move |(number, node)| {
        let mut records = draft.records(node);
        records.any(|record| record.rtype == rtype && is_it(record.rdata)).then_some(number)
    })
}
