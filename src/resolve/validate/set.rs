//! Records as sets with their signatures (RFC 4035 §5.3.1), and what is signed (§5.3.2).

use crate::base::octets::{u16_at, u32_at};
use crate::resolve::validate::canonical;
use crate::resolve::validate::limits::{SETS_MAX, SIGNATURES_OF_SET_MAX};
use crate::resolve::validate::verdict::{self, Cause};
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;

/// Octets of an RRSIG's RDATA before the signer's name (RFC 4034 §3.1).
const SIGNATURE_HEAD_OCTETS: usize = 18;

/// One signature of a set.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub algorithm: u8,
    /// Labels of the owner, the root's and a wildcard's not counted.
    pub labels: u8,
    pub original_ttl: u32,
    /// Seconds since 1970, modulo 2^32.
    pub expiration: u32,
    /// As `expiration`.
    pub inception: u32,
    pub key_tag: u16,
    /// The zone whose key made it.
    pub signer: Name,
    /// All of these as they were signed, the signer not included.
    head: [u8; SIGNATURE_HEAD_OCTETS],
    pub octets: Vec<u8>,
    /// The TTL it came with.
    pub ttl: u32,
}

impl Signature {
    /// The type covered, and the signature; `None` for what is malformed.
    fn read(record: &Record) -> Option<(RecordType, Signature)> {
        let rdata = &record.rdata[..];
        let head = *rdata.first_chunk::<SIGNATURE_HEAD_OCTETS>()?;
        let signer = Name::from_wire(rdata.get(SIGNATURE_HEAD_OCTETS..)?).ok()?;
        let octets = rdata.get(SIGNATURE_HEAD_OCTETS + signer.as_wire().len()..)?.to_vec();
        let signature = Signature {
            algorithm: head[2],
            labels: head[3],
            original_ttl: u32_at(&head, 4)?,
            expiration: u32_at(&head, 8)?,
            inception: u32_at(&head, 12)?,
            key_tag: u16_at(&head, 16)?,
            signer,
            head,
            octets,
            ttl: record.ttl,
        };
        Some((RecordType(u16_at(&head, 0)?), signature))
    }
}

/// The records of one owner and type, and their signatures.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub name: Name,
    pub rtype: RecordType,
    /// The least TTL among the records.
    pub ttl: u32,
    /// In the case in which they came; sorted, each once.
    pub rdatas: Vec<Vec<u8>>,
    /// At most [`SIGNATURES_OF_SET_MAX`].
    pub signatures: Vec<Signature>,
}

/// The sets of a section, in the order of their first records. Signatures without records are left out: nothing signs
/// them.
pub(super) fn sets(records: &[Record]) -> Result<Vec<Set>, Cause> {
    let mut sets: Vec<Set> = Vec::new();
    let is_signature = |record: &&Record| record.rtype == RecordType::RRSIG;
    for record in records.iter().filter(|record| !is_signature(record)) {
        if record.class != Class::IN {
            return Err(verdict::BAD_CLASS);
        }
        let known = sets.iter().position(|set| set.rtype == record.rtype && set.name == record.name);
        match known {
            Some(at) => {
                let Some(set) = sets.get_mut(at) else { continue };
                set.ttl = set.ttl.min(record.ttl);
                set.rdatas.push(record.rdata.clone());
            }
            None if sets.len() == SETS_MAX => return Err(verdict::TOO_MUCH_WORK),
            None => sets.push(Set {
                name: record.name.clone(),
                rtype: record.rtype,
                ttl: record.ttl,
                rdatas: vec![record.rdata.clone()],
                signatures: Vec::new(),
            }),
        }
    }
    // A record that came twice is one (RFC 2181 §5).
    for set in &mut sets {
        set.rdatas.sort();
        set.rdatas.dedup();
    }
    for record in records.iter().filter(is_signature) {
        let Some((covered, signature)) = Signature::read(record) else { continue };
        let set = sets.iter_mut().find(|set| set.rtype == covered && set.name == record.name);
        if let Some(set) = set.filter(|set| set.signatures.len() < SIGNATURES_OF_SET_MAX) {
            set.signatures.push(signature);
        }
    }
    Ok(sets)
}

impl Set {
    /// The name that stands for the set where its zone is looked for: DS records belong to the zone above the cut
    /// (RFC 4034 §5).
    pub(super) fn seat(&self) -> Name {
        seat(&self.name, self.rtype)
    }

    /// The zone that claims to have signed it: the lowest that can have.
    pub(super) fn signer(&self) -> Option<&Name> {
        let seat = self.seat();
        let signers = self.signatures.iter().map(|signature| &signature.signer);
        signers.filter(|signer| seat.is_at_or_below(signer)).max_by_key(|signer| signer.label_count())
    }

    /// True if there is a signature in the name of `zone`.
    pub(super) fn is_signed_by(&self, zone: &Name) -> bool {
        self.signatures.iter().any(|signature| signature.signer == *zone)
    }

    /// True if a signature over so many labels is that of a wildcard, of which this set was made (RFC 4035 §5.3.4).
    pub(super) fn is_expanded(&self, labels: u8) -> bool {
        usize::from(labels) < self.labels()
    }

    /// Labels as signatures count them.
    pub(super) fn labels(&self) -> usize {
        self.name.label_count() - usize::from(self.name.is_wildcard())
    }

    /// Octets of its records and signatures, about.
    pub(super) fn octets(&self) -> usize {
        let signatures = self.signatures.iter().map(|signature| signature.octets.len());
        self.rdatas.iter().map(Vec::len).chain(signatures).sum()
    }

    /// RDATA in canonical form and order, each once (RFC 4034 §6.2, §6.3).
    pub(super) fn canonical(&self) -> Vec<Vec<u8>> {
        let mut rdatas = self.rdatas.clone();
        rdatas.iter_mut().for_each(|rdata| canonical::lower(self.rtype, rdata));
        rdatas.sort();
        rdatas.dedup();
        rdatas
    }

    /// What `signature` signs, `rdatas` being [`Set::canonical`] (RFC 4034 §3.1.8.1); `None` if it cannot be the
    /// signature of a set of this name.
    pub(super) fn signed(&self, signature: &Signature, rdatas: &[Vec<u8>]) -> Option<Vec<u8>> {
        let excess = self.labels().checked_sub(usize::from(signature.labels))?;
        let owner = match excess {
            0 => self.name.to_lowercase(),
            _ => wildcard(&ancestor(&self.name, usize::from(signature.labels))?)?.to_lowercase(),
        };
        let mut signed = signature.head.to_vec();
        signed.extend_from_slice(signature.signer.to_lowercase().as_wire());
        for rdata in rdatas {
            signed.extend_from_slice(owner.as_wire());
            signed.extend_from_slice(&self.rtype.0.to_be_bytes());
            signed.extend_from_slice(&Class::IN.0.to_be_bytes());
            signed.extend_from_slice(&signature.original_ttl.to_be_bytes());
            signed.extend_from_slice(&u16::try_from(rdata.len()).ok()?.to_be_bytes());
            signed.extend_from_slice(rdata);
        }
        Some(signed)
    }
}

/// See [`Set::seat`].
pub(super) fn seat(name: &Name, rtype: RecordType) -> Name {
    let above = if rtype == RecordType::DS { name.parent() } else { None };
    above.unwrap_or_else(|| name.clone())
}

/// The last `labels` labels of `name`; `None` if it has fewer.
pub(super) fn ancestor(name: &Name, labels: usize) -> Option<Name> {
    let mut at = 0;
    for _ in 0..name.label_count().checked_sub(labels)? {
        at += 1 + usize::from(*name.as_wire().get(at)?);
    }
    Name::from_wire(name.as_wire().get(at..)?).ok()
}

/// The wildcard right below `encloser`; `None` where it would be too long.
pub(super) fn wildcard(encloser: &Name) -> Option<Name> {
    Name::from_wire(&[b"\x01*", encloser.as_wire()].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_are_cut_at_labels() {
        let name = Name::parse("a.b.c.").unwrap();
        let texts: Vec<_> = (0..=4).map(|labels| ancestor(&name, labels).map(|n| n.to_string())).collect();
        assert_eq!(
            texts,
            [".", "c.", "b.c.", "a.b.c."]
                .map(|text| Some(text.to_owned()))
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
    }
}
