//! Addresses that the asker will want next (RFC 1034 §4.3.2 step 6), and glue (RFC 9471).

use crate::wire::key::NameKey;
use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::rtype::RecordType;
use crate::zone::store::{Node, Rrset, Target, node_flags, target_flags};
use crate::zone::{Place, Zone};

/// Names whose addresses one answer may add: more would not fit in a UDP answer, and comparing each with all
/// before it must stay cheap.
const ADDED_MAX: usize = 32;

/// The names whose addresses are in the answer already, by their hashes: a wildcard may be host to several, so
/// its node tells too little.
#[derive(Default)]
pub(super) struct Added {
    hashes: [u64; ADDED_MAX],
    count: usize,
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

/// Whether addresses below a cut may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// As glue of a referral.
    Glue,
    /// Never: the zone is not authoritative for them.
    No,
}

/// Adds the addresses of the names that `rrset`, which stands at `start` in the reply, leads to. Required glue
/// comes first and is missed by TC; what else does not fit is left out without a word.
pub(super) fn add(
    zone: &Zone,
    rrset: &Rrset<'_>,
    start: usize,
    below: Below,
    (added, key): (&mut Added, &mut NameKey),
    reply: &mut Reply<'_>,
) {
    added.clear();
    if below == Below::Glue {
        for target in rrset.targets().filter(|target| target.flags & target_flags::REQUIRED_GLUE != 0) {
            if addresses(zone, &target, start, below, (added, key), reply).is_err() {
                reply.set_truncated();
                return;
            }
        }
    }
    for target in rrset.targets().filter(|t| below == Below::No || t.flags & target_flags::REQUIRED_GLUE == 0)
    {
        if addresses(zone, &target, start, below, (added, key), reply).is_err() {
            return;
        }
    }
}

fn addresses(
    zone: &Zone,
    target: &Target<'_>,
    start: usize,
    below: Below,
    (added, key): (&mut Added, &mut NameKey),
    reply: &mut Reply<'_>,
) -> Result<(), Full> {
    let owner = Owner { at: start + target.at, len: target.key.len() + zone.origin_len() };
    let Some(node) = host(zone, target, below, key) else { return Ok(()) };
    if node.has(node_flags::CNAME) || !added.insert(target.hash) {
        return Ok(());
    }
    for rtype in [RecordType::A, RecordType::AAAA] {
        if let Some(rrset) = node.rrset(rtype) {
            reply.append(Section::Additional, &rrset.sealed(), owner)?;
        }
    }
    Ok(())
}

/// The node that has the target's addresses: itself, or the wildcard that stands in for it.
fn host<'z>(zone: &'z Zone, target: &Target<'_>, below: Below, key: &mut NameKey) -> Option<Node<'z>> {
    match zone.find(target.hash, target.key) {
        Some(node) if below == Below::No && node.has(node_flags::OCCLUDED | node_flags::CUT) => None,
        Some(node) => Some(node),
        None => match zone.locate_target(target, key) {
            Place::Wildcard(node) => Some(node),
            Place::Node(_) | Place::BelowCut(_) | Place::BelowDname(_) | Place::Absent => None,
        },
    }
}
