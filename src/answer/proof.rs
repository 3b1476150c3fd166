//! What signed zones add to an answer for those who want it (RFC 4035 §3.1, RFC 5155 §7.2): signatures beside each set,
//! and proofs of what does not exist.
//!
//! ```text
//!                          NSEC                          NSEC3
//! no such type             that of the name, or cover    that of the name, or enclosed
//! no such name             cover, cover of *             enclosed, cover of *
//! a wildcard stands in     cover                         cover of the next closer name
//! no such type there       cover, that of *              enclosed, that of *
//! a cut without DS         that of the cut               that of the cut, or enclosed
//! ```
//!
//! *Cover* is the record before the name; *enclosed* the record of the closest encloser that has one, and the cover of the
//! name one label longer. Where a zone's chain has a hole the record before it is told: it proves nothing, and that is
//! for the asker to see.

use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::wire::key::NameKey;
use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::canonical::Labels;
use crate::zone::signed::{Denial, Hashed, Nsec, Nsec3};
use crate::zone::store::{Node, Rrset};

/// Names hashed for one answer: one for each wildcard of the longest chain, and for its last name the ancestors that a zone
/// with opt-out leaves out of its chain, which are few.
const HASHES_MAX: usize = CHAIN_STEPS_MAX + 12;
/// Records told in one answer: one for each wildcard of the longest chain, three for its last name.
const TOLD_MAX: usize = CHAIN_STEPS_MAX + 4;

/// What is missing.
#[derive(Clone, Copy)]
pub(super) enum Missing<'z> {
    /// The name, and a wildcard that would stand in for it.
    Name,
    /// The type, at this node.
    Type(Node<'z>),
    /// The type, at this wildcard, which stands in for the name.
    TypeOfWildcard(Node<'z>),
}

/// A name for which a wildcard stood in.
#[derive(Clone, Copy)]
struct Expansion {
    name: Owner,
    /// Labels of the closest encloser.
    labels: usize,
    /// In the how manieth zone of the chain.
    zone: u32,
}

/// The proofs of one answer.
#[derive(Default)]
pub(super) struct Proofs {
    /// Those still to be proven.
    expansions: [Option<Expansion>; CHAIN_STEPS_MAX + 1],
    waiting: usize,
    /// The nodes whose records are in the reply.
    told: [usize; TOLD_MAX],
    count: usize,
    hashes: usize,
}

impl Proofs {
    /// For the next query.
    pub(super) fn clear(&mut self) {
        (self.waiting, self.count, self.hashes) = (0, 0, 0);
    }

    /// A wildcard stands in for a name.
    pub(super) fn expand(&mut self, name: Owner, labels: usize, zone: u32) {
        if let Some(free) = self.expansions.get_mut(self.waiting) {
            *free = Some(Expansion { name, labels, zone });
            self.waiting += 1;
        }
    }
}

/// Puts a set at the end of `section`, with its signatures if they are wanted: all of it, or nothing.
pub(super) fn put(
    reply: &mut Reply<'_>,
    section: Section,
    (node, rrset): (&Node<'_>, &Rrset<'_>),
    owner: Owner,
    is_signed: bool,
) -> Result<usize, Full> {
    let mark = reply.mark();
    let start = reply.append(section, &rrset.sealed(), owner)?;
    if is_signed
        && let Some(signatures) = node.signatures(rrset.rtype())
        && let Err(full) = reply.append(section, &signatures, owner)
    {
        reply.return_to(mark);
        return Err(full);
    }
    Ok(start)
}

/// Puts the SOA for what does not exist at the end of the authority section, with its signatures if they are wanted.
pub(super) fn put_negative_soa(
    reply: &mut Reply<'_>,
    zone: &Zone,
    apex: Owner,
    is_signed: bool,
) -> Result<(), Full> {
    let soa = zone.negative_soa();
    let mark = reply.mark();
    reply.append(Section::Authority, &soa, apex)?;
    let Some(signatures) = zone.apex().signatures(RecordType::SOA).filter(|_| is_signed) else {
        return Ok(());
    };
    match reply.append(Section::Authority, &signatures, apex) {
        // Theirs is the TTL of what they cover (RFC 4034 §3).
        Ok(start) => reply.write_ttls(start, signatures.records, soa.ttl()),
        Err(full) => {
            reply.return_to(mark);
            return Err(full);
        }
    }
    Ok(())
}

/// Proves things about names in a reply, from one zone.
pub(super) struct Prover<'p, 'z, 'b> {
    pub(super) zone: &'z Zone,
    pub(super) denial: &'z Denial,
    pub(super) proofs: &'p mut Proofs,
    pub(super) reply: &'p mut Reply<'b>,
    /// For the name in work.
    pub(super) key: &'p mut NameKey,
}

/// A name that a proof is about.
#[derive(Clone, Copy)]
struct Subject {
    owner: Owner,
    labels: usize,
}

impl<'z> Prover<'_, 'z, '_> {
    /// Proves that what is missing is. `owner` is at or below the zone's apex.
    pub(super) fn absence(&mut self, owner: Owner, missing: Missing<'z>) -> Result<(), Full> {
        let Some(subject) = self.read(owner) else { return Ok(()) };
        match (self.denial, missing) {
            (Denial::Nothing, _) => Ok(()),
            (Denial::Costly(apex), _) => self.tell(apex.node(self.zone), RecordType::NSEC3, subject),
            (Denial::Nsec(nsec), Missing::Type(node)) => self.own_or_cover(nsec, node, subject),
            (Denial::Nsec(nsec), Missing::Name) => {
                let labels = self.zone.closest_encloser(self.key);
                self.cover(nsec, subject)?;
                let mut wildcard = [0; NAME_OCTETS_MAX + 2];
                match self.wildcard(labels, &mut wildcard).and_then(|name| self.key_of(name)) {
                    Some(key) => self.tell(nsec.at_or_before(self.zone, key), RecordType::NSEC, subject),
                    None => Ok(()),
                }
            }
            (Denial::Nsec(nsec), Missing::TypeOfWildcard(node)) => {
                self.cover(nsec, subject)?;
                match node.rrset(RecordType::NSEC) {
                    Some(_) => self.tell(Some(node), RecordType::NSEC, subject),
                    None => self.tell(nsec.at_or_before(self.zone, node.key()), RecordType::NSEC, subject),
                }
            }
            (Denial::Nsec3(nsec3), Missing::Type(_)) => match self.find(nsec3, subject.labels) {
                Some(Hashed::At(node)) => self.tell(Some(node), RecordType::NSEC3, subject),
                // It is left out of the chain with all that it leads to (RFC 5155 §7.2.4, §7.2.7).
                Some(Hashed::Covered(_)) | None => {
                    self.enclose(nsec3, subject.labels.saturating_sub(1), subject).map(drop)
                }
            },
            (Denial::Nsec3(nsec3), Missing::Name) => {
                let labels = self.zone.closest_encloser(self.key);
                match self.enclose(nsec3, labels, subject)? {
                    Some(labels) => self.wildcard_record(nsec3, labels, subject),
                    None => Ok(()),
                }
            }
            (Denial::Nsec3(nsec3), Missing::TypeOfWildcard(node)) => {
                let labels = self.zone.origin_labels() + Labels::of(node.key()).count() - 1;
                match self.enclose(nsec3, labels, subject)? {
                    Some(_) => self.wildcard_record(nsec3, labels, subject),
                    None => Ok(()),
                }
            }
        }
    }

    /// Proves for each name for which a wildcard stood in, in this zone, that it and what would stand closer does not
    /// exist.
    pub(super) fn expansions(&mut self, zone: u32) -> Result<(), Full> {
        for number in 0..self.proofs.waiting {
            let Some(expansion) = self.proofs.expansions.get_mut(number) else { break };
            let Some(Expansion { name, labels, .. }) = expansion.take_if(|expansion| expansion.zone == zone)
            else {
                continue;
            };
            let Some(subject) = self.read(name) else { continue };
            match self.denial {
                Denial::Nothing => {}
                Denial::Costly(apex) => self.tell(apex.node(self.zone), RecordType::NSEC3, subject)?,
                Denial::Nsec(nsec) => self.cover(nsec, subject)?,
                Denial::Nsec3(nsec3) => match self.find(nsec3, labels + 1) {
                    Some(Hashed::At(node) | Hashed::Covered(node)) => {
                        self.tell(Some(node), RecordType::NSEC3, subject)?;
                    }
                    None => {}
                },
            }
        }
        Ok(())
    }

    /// Makes a name of the reply the one in work.
    fn read(&mut self, owner: Owner) -> Option<Subject> {
        let mut name = [0; NAME_OCTETS_MAX];
        self.key.read(self.reply.copy_name(owner, &mut name)?)?;
        (self.key.label_count() >= self.zone.origin_labels())
            .then_some(Subject { owner, labels: self.key.label_count() })
    }

    /// A lower-cased absolute name of the zone without the apex and the final zero octet.
    fn key_of<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        name.get(..name.len().checked_sub(self.zone.origin_len())?)
    }

    /// The name of the `*` below the suffix of `labels` labels of the name in work.
    fn wildcard<'n>(&self, labels: usize, name: &'n mut [u8; NAME_OCTETS_MAX + 2]) -> Option<&'n [u8]> {
        let parent = self.key.as_wire().get(self.key.suffix_at(labels)..)?;
        let name = name.get_mut(..2 + parent.len())?;
        name[..2].copy_from_slice(b"\x01*");
        name[2..].copy_from_slice(parent);
        // Longer than any name that is there.
        (name.len() <= NAME_OCTETS_MAX).then_some(name)
    }

    /// Tells the NSEC record of a node; or, where it has none, being empty, the one that covers it.
    fn own_or_cover(&mut self, nsec: &Nsec, node: Node<'z>, subject: Subject) -> Result<(), Full> {
        match node.rrset(RecordType::NSEC) {
            Some(_) => self.tell(Some(node), RecordType::NSEC, subject),
            None => self.cover(nsec, subject),
        }
    }

    /// Tells the NSEC record before the name in work.
    fn cover(&mut self, nsec: &Nsec, subject: Subject) -> Result<(), Full> {
        let Some(key) = self.key_of(self.key.as_wire()) else { return Ok(()) };
        let before = nsec.at_or_before(self.zone, key);
        self.tell(before, RecordType::NSEC, subject)
    }

    /// What the chain says of the suffix of `labels` labels of the name in work.
    fn find(&mut self, nsec3: &Nsec3, labels: usize) -> Option<Hashed<'z>> {
        let name = self.key.as_wire().get(self.key.suffix_at(labels)..)?;
        self.proofs.hashes += 1;
        if self.proofs.hashes > HASHES_MAX {
            return None;
        }
        nsec3.find(self.zone, name)
    }

    /// Tells the record of the closest encloser that has one, `labels` labels or fewer, and the cover of the name one label
    /// longer (RFC 5155 §7.2.1); the labels of that encloser. Only a zone with opt-out leaves some out.
    fn enclose(&mut self, nsec3: &Nsec3, labels: usize, subject: Subject) -> Result<Option<usize>, Full> {
        for labels in (self.zone.origin_labels()..=labels).rev() {
            let Some(Hashed::At(encloser)) = self.find(nsec3, labels) else { continue };
            self.tell(Some(encloser), RecordType::NSEC3, subject)?;
            if labels < subject.labels
                && let Some(Hashed::At(next) | Hashed::Covered(next)) = self.find(nsec3, labels + 1)
            {
                self.tell(Some(next), RecordType::NSEC3, subject)?;
            }
            return Ok(Some(labels));
        }
        Ok(None)
    }

    /// Tells the record of the `*` below the suffix of `labels` labels, or the one that covers it.
    fn wildcard_record(&mut self, nsec3: &Nsec3, labels: usize, subject: Subject) -> Result<(), Full> {
        let mut name = [0; NAME_OCTETS_MAX + 2];
        let Some(name) = self.wildcard(labels, &mut name) else { return Ok(()) };
        match nsec3.find(self.zone, name) {
            Some(Hashed::At(node) | Hashed::Covered(node)) => {
                self.tell(Some(node), RecordType::NSEC3, subject)
            }
            None => Ok(()),
        }
    }

    /// Puts a node's record and its signatures into the authority section, unless they are there. As much of its name as it
    /// has in common with the subject's points there.
    fn tell(&mut self, node: Option<Node<'z>>, rtype: RecordType, subject: Subject) -> Result<(), Full> {
        let Some((node, rrset)) = node.and_then(|node| Some((node, node.rrset(rtype)?))) else {
            return Ok(());
        };
        if self.proofs.told.iter().take(self.proofs.count).any(|told| *told == node.id()) {
            return Ok(());
        }
        let (key, cased) = (node.key(), node.cased_key());
        let common = match self.key_of(self.key.as_wire()) {
            Some(subject) => Labels::of(key).common_octets(&Labels::of(subject)),
            None => 0,
        };
        let suffix = self.reply.suffix_of(subject.owner, common + self.zone.origin_len());
        let (Some(suffix), Some(labels)) = (suffix, cased.get(..key.len() - common)) else { return Ok(()) };
        let mark = self.reply.mark();
        let mut start = None;
        for set in [Some(rrset.sealed()), node.signatures(rtype)].into_iter().flatten() {
            // The second points to the first, if a pointer reaches it.
            let owner = match (labels, start) {
                ([], _) => Some(suffix),
                (_, Some(at)) => Some(Owner { at, len: node.name_len() }),
                (_, None) => None,
            };
            let appended = match owner.map(|owner| self.reply.append(Section::Authority, &set, owner)) {
                Some(Ok(at)) => Ok(at),
                Some(Err(_)) | None => self.reply.append_spelled(Section::Authority, &set, labels, suffix),
            };
            match appended {
                Ok(at) => start = Some(at),
                Err(full) => {
                    self.reply.return_to(mark);
                    return Err(full);
                }
            }
        }
        if let Some(free) = self.proofs.told.get_mut(self.proofs.count) {
            *free = node.id();
            self.proofs.count += 1;
        }
        Ok(())
    }
}
