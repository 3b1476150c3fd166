//! NSEC3 records: which hashed name comes next (RFC 5155 §8). Hashing is counted: names are hashed from below upwards
//! until one is found, and whoever asks chooses how many labels there are (CVE-2023-50868).

use crate::resolve::validate::check::Work;
use crate::resolve::validate::denial::{Proven, Types, at_name, at_wildcard};
use crate::resolve::validate::limits::NSEC3_ITERATIONS_MAX;
use crate::resolve::validate::set::{Set, ancestor, wildcard};
use crate::resolve::validate::verdict::{self, Cause};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use data_encoding::BASE32_DNSSEC;
use domain::base::iana::Nsec3HashAlgorithm;
use domain::dep::octseq::Parser;
use domain::dnssec::common::nsec3_hash;
use domain::rdata::nsec3::{Nsec3Salt, OwnerHash};

/// The one flag that is known (RFC 5155 §3.1.2.1).
const OPT_OUT: u8 = 1;

/// One record.
#[derive(Debug)]
pub(super) struct Nsec3<'s> {
    hash: Vec<u8>,
    types: Types<'s>,
    record: domain::rdata::Nsec3<&'s [u8]>,
}

impl<'s> Nsec3<'s> {
    /// `None` for what is malformed, unknown (RFC 5155 §8.1, §8.2), not of this zone, or not the only record of its set.
    pub(super) fn read(set: &'s Set, zone: &'s Name) -> Option<Nsec3<'s>> {
        let [rdata] = &set.rdatas[..] else { return None };
        let record: domain::rdata::Nsec3<&[u8]> =
            domain::rdata::Nsec3::parse(&mut Parser::from_ref(&rdata[..])).ok()?;
        let known = record.hash_algorithm() == Nsec3HashAlgorithm::SHA1 && record.flags() & !OPT_OUT == 0;
        if !known || set.name.parent()? != *zone {
            return None;
        }
        let hash = BASE32_DNSSEC.decode(set.name.labels().next()?).ok()?;
        let types = Types(record.types().clone());
        Some(Nsec3 { hash, types, record })
    }

    fn covers(&self, hash: &[u8]) -> bool {
        let (from, to) = (&self.hash[..], self.record.next_owner().as_slice());
        // The last record leads back to the first.
        if from < to { from < hash && hash < to } else { hash > from || hash < to }
    }

    fn opts_out(&self) -> bool {
        self.record.flags() & OPT_OUT != 0
    }
}

/// The records of a zone, all hashed in one way.
pub(super) struct Chain<'c, 's> {
    zone: &'s Name,
    records: Vec<&'c Nsec3<'s>>,
    /// Names hashed already: a name is asked for when it may be there, and again when it may be covered.
    hashed: Vec<(Name, Vec<u8>)>,
}

/// The closest encloser of a name, as far as is proven (RFC 5155 §8.3).
struct Encloser {
    /// The encloser.
    name: Name,
    /// The record that covers the name one label longer opts out.
    opts_out: bool,
}

impl<'c, 's> Chain<'c, 's> {
    /// `None` if one of the records asks for more iterations than are done. Of records that are hashed in different ways
    /// the first counts (RFC 5155 §7.2: one answer uses one chain).
    pub(super) fn new(zone: &'s Name, records: &'c [Nsec3<'s>]) -> Option<Chain<'c, 's>> {
        if records.iter().any(|nsec3| nsec3.record.iterations() > NSEC3_ITERATIONS_MAX) {
            return None;
        }
        let way = |nsec3: &&Nsec3<'s>| (nsec3.record.iterations(), nsec3.record.salt().as_slice().to_vec());
        let first = records.first().as_ref().map(way);
        let records = records.iter().filter(|nsec3| Some(way(nsec3)) == first).collect();
        Some(Chain { zone, records, hashed: Vec::new() })
    }

    /// As [`Denial::prove`](crate::resolve::validate::denial::Denial::prove).
    pub(super) fn prove(&mut self, name: &Name, rtype: RecordType, work: &mut Work) -> Result<Proven, Cause> {
        if let Some(at) = self.at(name, work)? {
            return Ok(at_name(&at.types, rtype, name.is_root()));
        }
        let Some(encloser) = self.encloser(name, work)? else { return Ok(Proven::Nothing) };
        if encloser.opts_out {
            return Ok(Proven::OptOut);
        }
        let Some(wildcard) = wildcard(&encloser.name) else { return Ok(Proven::Nothing) };
        if let Some(at) = self.at(&wildcard, work)? {
            return Ok(at_wildcard(&at.types, rtype));
        }
        Ok(if self.covering(&wildcard, work)?.is_some() { Proven::NoName } else { Proven::Nothing })
    }

    /// As [`Denial::prove_expansion`](crate::resolve::validate::denial::Denial::prove_expansion).
    pub(super) fn prove_expansion(
        &mut self,
        name: &Name,
        labels: usize,
        work: &mut Work,
    ) -> Result<Proven, Cause> {
        let Some(next_closer) = ancestor(name, labels + 1) else { return Ok(Proven::Nothing) };
        Ok(match self.covering(&next_closer, work)? {
            Some(covering) if covering.opts_out() => Proven::OptOut,
            Some(_) => Proven::NoName,
            None => Proven::Nothing,
        })
    }

    /// The lowest ancestor of `name` that exists, if the one below it is covered.
    fn encloser(&mut self, name: &Name, work: &mut Work) -> Result<Option<Encloser>, Cause> {
        for labels in (self.zone.label_count()..name.label_count()).rev() {
            let (Some(above), Some(below)) = (ancestor(name, labels), ancestor(name, labels + 1)) else {
                break;
            };
            let Some(at) = self.at(&above, work)? else { continue };
            if at.types.hides_below() {
                return Ok(None);
            }
            let covering = self.covering(&below, work)?;
            return Ok(covering.map(|covering| Encloser { name: above, opts_out: covering.opts_out() }));
        }
        Ok(None)
    }

    fn at(&mut self, name: &Name, work: &mut Work) -> Result<Option<&'c Nsec3<'s>>, Cause> {
        let hash = self.hash(name, work)?;
        Ok(self.records.iter().find(|nsec3| nsec3.hash == hash).copied())
    }

    fn covering(&mut self, name: &Name, work: &mut Work) -> Result<Option<&'c Nsec3<'s>>, Cause> {
        let hash = self.hash(name, work)?;
        Ok(self.records.iter().find(|nsec3| nsec3.covers(&hash)).copied())
    }

    fn hash(&mut self, name: &Name, work: &mut Work) -> Result<Vec<u8>, Cause> {
        if let Some((_, hash)) = self.hashed.iter().find(|(hashed, _)| hashed == name) {
            return Ok(hash.clone());
        }
        let Some(way) = self.records.first().map(|nsec3| &nsec3.record) else { return Ok(Vec::new()) };
        work.hash()?;
        let hash = hash(name, way.iterations(), way.salt()).ok_or(verdict::UNPROVEN)?;
        self.hashed.push((name.clone(), hash.clone()));
        Ok(hash)
    }
}

/// The hashed name (RFC 5155 §5).
fn hash(name: &Name, iterations: u16, salt: &Nsec3Salt<&[u8]>) -> Option<Vec<u8>> {
    let name: &domain::base::Name<[u8]> = domain::base::Name::from_slice(name.as_wire()).ok()?;
    let hash: OwnerHash<Vec<u8>> = nsec3_hash(name, Nsec3HashAlgorithm::SHA1, iterations, salt).ok()?;
    Some(hash.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hashed_as_rfc_5155_shows_in_appendix_a() {
        let salt = Nsec3Salt::from_octets(&b"\xaa\xbb\xcc\xdd"[..]).unwrap();
        for (name, hashed) in [
            ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("A.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let hash = hash(&Name::parse(name).unwrap(), 12, &salt).unwrap();
            assert_eq!(BASE32_DNSSEC.encode(&hash), hashed, "{name}");
        }
    }
}
