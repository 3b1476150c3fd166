//! Keys, and whether a signature is by one of them (RFC 4035 §5.3). What can be made expensive is counted in [`Work`].

use crate::base::time::WallSeconds;
use crate::resolve::validate::limits::{
    CHECKS_MAX, DIGESTS_OF_ZONE_MAX, DS_OF_ZONE_MAX, FAILED_CHECKS_MAX, FAILED_CHECKS_OF_SET_MAX,
    KEYS_OF_ZONE_MAX, NSEC3_HASHES_MAX,
};
use crate::resolve::validate::set::{Set, Signature};
use crate::resolve::validate::verdict::{self, Cause, Spent};
use crate::wire::name::Name;
use domain::base::iana::SecurityAlgorithm;
use domain::crypto::common::{DigestBuilder, DigestType, PublicKey};
use domain::dep::octseq::Parser;
use domain::rdata::{Dnskey, Ds};
use std::cmp::Ordering;

/// The one protocol of DNSKEY records (RFC 4034 §2.1.2).
const PROTOCOL: u8 = 3;

/// Seconds from `now` to `then`, whose upper bits are those that bring it closest (RFC 4034 §3.1.5, RFC 1982).
fn until(now: WallSeconds, then: u32) -> i32 {
    // Signatures count modulo 2^32, so the upper bits are not needed.
    then.wrapping_sub(now.0 as u32) as i32
}

/// What an answer has cost so far, and what it may cost.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub spent: Spent,
}

impl Work {
    /// Counts a check of a signature; an error if there have been enough.
    fn check(&mut self) -> Result<(), Cause> {
        if self.spent.checks >= CHECKS_MAX || self.spent.failed >= FAILED_CHECKS_MAX {
            return Err(verdict::TOO_MUCH_WORK);
        }
        self.spent.checks += 1;
        Ok(())
    }

    /// Counts a name to be hashed; an error if there have been enough.
    pub(super) fn hash(&mut self) -> Result<(), Cause> {
        if self.spent.hashes >= NSEC3_HASHES_MAX {
            return Err(verdict::TOO_MUCH_WORK);
        }
        self.spent.hashes += 1;
        Ok(())
    }
}

/// One key of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    tag: u16,
    algorithm: u8,
    /// May sign zone data: the bit of RFC 4034 §2.1.1 is set, and not that of RFC 5011 §2.1 (revoked).
    signs: bool,
    rdata: Vec<u8>,
}

impl Key {
    /// `None` for what is malformed, or of a protocol that there is not.
    pub(super) fn read(rdata: &[u8]) -> Option<Key> {
        let record = dnskey(rdata)?;
        (record.protocol() == PROTOCOL).then(|| Key {
            tag: record.key_tag(),
            algorithm: record.algorithm().to_int(),
            signs: record.is_zone_key() && !record.is_revoked(),
            rdata: rdata.to_vec(),
        })
    }

    fn is_named_by(&self, signature: &Signature) -> bool {
        self.tag == signature.key_tag && self.algorithm == signature.algorithm
    }

    fn made(&self, signature: &Signature, signed: &[u8]) -> bool {
        let key = dnskey(&self.rdata).and_then(|key| PublicKey::from_dnskey(&key).ok());
        key.is_some_and(|key| key.verify(signed, &signature.octets).is_ok())
    }
}

fn dnskey(rdata: &[u8]) -> Option<Dnskey<&[u8]>> {
    Dnskey::parse(&mut Parser::from_ref(rdata)).ok()
}

/// True for algorithms that the library can check (IANA "DNS Security Algorithm Numbers"; RFC 9904 has what must be).
pub(super) fn is_supported(algorithm: u8) -> bool {
    matches!(
        SecurityAlgorithm::from_int(algorithm),
        SecurityAlgorithm::RSASHA1
            | SecurityAlgorithm::RSASHA1_NSEC3_SHA1
            | SecurityAlgorithm::RSASHA256
            | SecurityAlgorithm::RSASHA512
            | SecurityAlgorithm::ECDSAP256SHA256
            | SecurityAlgorithm::ECDSAP384SHA384
            | SecurityAlgorithm::ED25519
    )
}

/// The keys of a zone that are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub zone: Name,
    pub keys: Vec<Key>,
}

impl Keys {
    /// What they take in memory.
    pub(super) fn octets(&self) -> usize {
        self.keys.iter().map(|key| size_of::<Key>() + key.rdata.len()).sum()
    }

    /// Of a DNSKEY set, believed or not.
    pub(super) fn read(set: &Set) -> Keys {
        let keys = set.rdatas.iter().take(KEYS_OF_ZONE_MAX).filter_map(|rdata| Key::read(rdata)).collect();
        Keys { zone: set.name.clone(), keys }
    }
}

/// A set that its zone signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signed {
    /// Labels of the owner that was signed; fewer than the set's if that was a wildcard.
    pub labels: u8,
    /// Seconds for which the set may be kept (RFC 4035 §5.3.3).
    pub ttl: u32,
}

/// Whether one of `keys` signed `set`. Nothing is believed but what they signed.
pub(super) fn verify(set: &Set, keys: &Keys, wall: WallSeconds, work: &mut Work) -> Result<Signed, Cause> {
    if !set.name.is_at_or_below(&keys.zone) {
        return Err(verdict::BAD_SIGNATURE);
    }
    let mut cause = verdict::NO_SIGNATURE;
    let mut failed = 0;
    let rdatas = set.canonical();
    for signature in set.signatures.iter().filter(|signature| signature.signer == keys.zone) {
        if !is_supported(signature.algorithm) {
            continue;
        }
        if until(wall, signature.expiration) < 0 {
            cause = verdict::EXPIRED;
            continue;
        }
        if until(wall, signature.inception) > 0 {
            cause = verdict::NOT_YET_VALID;
            continue;
        }
        let mut keys: Vec<&Key> = keys.keys.iter().filter(|key| key.is_named_by(signature)).collect();
        if keys.is_empty() {
            cause = if cause == verdict::NO_SIGNATURE { verdict::NO_KEY } else { cause };
            continue;
        }
        keys.retain(|key| key.signs);
        if keys.is_empty() {
            cause = verdict::NO_ZONE_KEY;
            continue;
        }
        // Made only now: the data of a large set is put together for no signature that nobody can have made.
        let Some(signed) = set.signed(signature, &rdatas) else {
            cause = verdict::BAD_SIGNATURE;
            continue;
        };
        for key in keys {
            work.check()?;
            if key.made(signature, &signed) {
                let left = u32::try_from(until(wall, signature.expiration)).unwrap_or(0);
                let ttl = set.ttl.min(signature.ttl).min(signature.original_ttl).min(left);
                return Ok(Signed { labels: signature.labels, ttl });
            }
            cause = verdict::BAD_SIGNATURE;
            failed += 1;
            work.spent.failed += 1;
            if failed > FAILED_CHECKS_OF_SET_MAX {
                return Err(verdict::TOO_MANY_FAILURES);
            }
        }
    }
    Err(cause)
}

/// One DS record, or a key that stands for itself as a trust anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    Ds { tag: u16, algorithm: u8, digest_type: u8, digest: Vec<u8> },
    Key(Key),
}

/// DS records of a DS set; `Err` if none is of use here, so that the zone is insecure (RFC 4035 §5.2, RFC 6840 §5.2).
pub(super) fn read_ds(rdatas: &[Vec<u8>]) -> Result<Vec<Digest>, Cause> {
    let all = rdatas.iter().take(DS_OF_ZONE_MAX).filter_map(|rdata| Digest::read_ds(rdata));
    of_use(all.collect())
}

/// Those that can be held against keys.
pub(super) fn of_use(all: Vec<Digest>) -> Result<Vec<Digest>, Cause> {
    let algorithm: Vec<Digest> = all.into_iter().filter(|digest| is_supported(digest.algorithm())).collect();
    if algorithm.is_empty() {
        return Err(verdict::UNSUPPORTED_ALGORITHM);
    }
    let mut usable: Vec<Digest> = algorithm.into_iter().filter(Digest::is_supported).collect();
    if usable.is_empty() {
        return Err(verdict::UNSUPPORTED_DIGEST);
    }
    // SHA-1 does not count beside a better digest (RFC 4509 §3).
    let is_sha1 = |digest: &Digest| matches!(digest, Digest::Ds { digest_type: 1, .. });
    if !usable.iter().all(is_sha1) {
        usable.retain(|digest| !is_sha1(digest));
    }
    Ok(usable)
}

impl Digest {
    /// What it takes in memory.
    pub(super) fn octets(&self) -> usize {
        let (Digest::Ds { digest: octets, .. } | Digest::Key(Key { rdata: octets, .. })) = self;
        size_of::<Digest>() + octets.len()
    }

    pub(super) fn read_ds(rdata: &[u8]) -> Option<Digest> {
        let ds: Ds<&[u8]> = Ds::parse(&mut Parser::from_ref(rdata)).ok()?;
        let digest = ds.digest().to_vec();
        let (tag, algorithm) = (ds.key_tag(), ds.algorithm().to_int());
        Some(Digest::Ds { tag, algorithm, digest_type: ds.digest_type().to_int(), digest })
    }

    fn algorithm(&self) -> u8 {
        match self {
            Digest::Ds { algorithm, .. } => *algorithm,
            Digest::Key(key) => key.algorithm,
        }
    }

    fn is_supported(&self) -> bool {
        match self {
            Digest::Ds { digest_type, .. } => digest_of(*digest_type).is_some(),
            Digest::Key(_) => true,
        }
    }

    /// True if it stands for `key` of `zone` (RFC 4034 §5.1.4). `made` counts digests.
    fn stands_for(&self, key: &Key, zone: &Name, made: &mut u32) -> bool {
        match self {
            Digest::Key(own) => own.rdata == key.rdata,
            Digest::Ds { tag, algorithm, digest_type, digest } => {
                if *tag != key.tag || *algorithm != key.algorithm || *made >= DIGESTS_OF_ZONE_MAX {
                    return false;
                }
                let Some(kind) = digest_of(*digest_type) else { return false };
                *made += 1;
                let mut builder = DigestBuilder::new(kind);
                builder.update(zone.to_lowercase().as_wire());
                builder.update(&key.rdata);
                builder.finish().as_ref() == digest
            }
        }
    }
}

/// IANA "DNSSEC Delegation Signer (DS) Resource Record (RR) Type Digest Algorithms".
fn digest_of(digest_type: u8) -> Option<DigestType> {
    match digest_type {
        1 => Some(DigestType::Sha1),
        2 => Some(DigestType::Sha256),
        4 => Some(DigestType::Sha384),
        _ => None,
    }
}

/// The keys of a DNSKEY set, if a key that `digests` stand for has signed them (RFC 4035 §5.2), and how long they may
/// be kept.
pub(super) fn believe(
    set: &Set,
    digests: &[Digest],
    wall: WallSeconds,
    work: &mut Work,
) -> Result<(Keys, u32), Cause> {
    let all = Keys::read(set);
    let mut made = 0;
    let mut entry = Keys { zone: all.zone.clone(), keys: Vec::new() };
    for key in &all.keys {
        if digests.iter().any(|digest| digest.stands_for(key, &all.zone, &mut made)) {
            entry.keys.push(key.clone());
        }
    }
    work.spent.digests += made;
    if entry.keys.is_empty() {
        return Err(verdict::NO_KEY_FOR_DS);
    }
    let signed = verify(set, &entry, wall, work)?;
    // A DNSKEY set stands at its zone's apex and is no wildcard's.
    match usize::from(signed.labels).cmp(&set.labels()) {
        Ordering::Equal => Ok((all, signed.ttl)),
        Ordering::Less | Ordering::Greater => Err(verdict::BAD_SIGNATURE),
    }
}
