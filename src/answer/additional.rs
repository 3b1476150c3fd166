//! Addresses that the asker will want next (RFC 1034 §4.3.2 step 6), and glue (RFC 9471).

use crate::wire::key::NameKey;
use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::store::{Rrset, Target, node_flags, target_flags};

/// Names whose addresses one answer may add: over UDP no more fit, and over TCP comparing each with all before
/// it must not stall the worker.
const ADDED_MAX: usize = 256;

/// The names whose addresses are in the answer already, by their hashes: a wildcard may be host to several, so
/// its node tells too little.
pub(super) struct Added {
    hashes: [u64; ADDED_MAX],
    count: usize,
}

impl Default for Added {
    fn default() -> Added {
        Added { hashes: [0; ADDED_MAX], count: 0 }
    }
}

impl Added {
    fn clear(&mut self) {
        self.count = 0;
    }

    /// False if it was there already or there is no room.
    fn insert(&mut self, hash: u64) -> bool {
        if self.hashes.iter().take(self.count).any(|known| *known == hash) {
            return false;
        }
        match self.hashes.get_mut(self.count) {
            Some(free) => {
                *free = hash;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

/// What the set is in the answer that gets the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name servers of a referral: some of their addresses are required.
    Referral,
    /// What was asked for.
    Answer,
}

/// Adds the addresses of the names that `rrset`, which stands at `start` in the reply, leads to: as far as this
/// zone has them, be it as glue below a cut. Required glue comes first and is missed by TC; what else does not
/// fit is left out without a word. With signatures, if they are wanted, as far as these fit (RFC 4035 §3.1.1).
pub(super) fn add(
    zone: &Zone,
    (rrset, is_signed): (&Rrset<'_>, bool),
    start: usize,
    kind: Kind,
    (added, key): (&mut Added, &mut NameKey),
    reply: &mut Reply<'_>,
) {
    added.clear();
    let is_required =
        |target: &Target<'_>| kind == Kind::Referral && target.flags & target_flags::REQUIRED_GLUE != 0;
    for target in rrset.targets().filter(|target| is_required(target)) {
        if addresses(zone, &target, (start, is_signed), (added, key), reply).is_err() {
            reply.set_truncated();
            return;
        }
    }
    for target in rrset.targets().filter(|target| !is_required(target)) {
        if addresses(zone, &target, (start, is_signed), (added, key), reply).is_err() {
            return;
        }
    }
}

fn addresses(
    zone: &Zone,
    target: &Target<'_>,
    (start, is_signed): (usize, bool),
    (added, key): (&mut Added, &mut NameKey),
    reply: &mut Reply<'_>,
) -> Result<(), Full> {
    let owner = Owner { at: start + target.at, len: target.key.len() + zone.origin_len() };
    let Some(node) = zone.host(target, key) else { return Ok(()) };
    if node.has(node_flags::CNAME) || !added.insert(target.hash) {
        return Ok(());
    }
    for rtype in [RecordType::A, RecordType::AAAA] {
        if let Some(rrset) = node.rrset(rtype) {
            reply.append(Section::Additional, &rrset.sealed(), owner)?;
            if is_signed && let Some(signatures) = node.signatures(rtype) {
                let _ = reply.append(Section::Additional, &signatures, owner);
            }
        }
    }
    Ok(())
}
