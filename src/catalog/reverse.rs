//! Names of addresses that the cluster knows, laid over whatever else answers for such names.
//!
//! ```text
//! services.reverse     10.0.0.0/8
//! entries              10.in-addr.arpa.   2.10.in-addr.arpa. (a zone)   3.10.in-addr.arpa. (others')
//! laid over each:      an address that is known is told; all else is as it is without this
//! ```
//!
//! An entry that is covered shows no zone of its own, so that no short way ends there: what it has to say lies behind. Where
//! no entry begins with a network, one is made; it says what the nearest one above does. As long as no address has had a name,
//! and all are known that have one, nothing is covered, and nobody pays for it.

use crate::catalog::snapshot::{MetricsSlot, ZoneEntry};
use crate::wire::name::Name;
use crate::zone::Zone;
use std::net::IpAddr;
use std::sync::Arc;

/// What is known of addresses at one moment.
#[derive(Clone)]
pub struct Reverse {
    /// The zone of the services, which knows who asks from where.
    pub(crate) services: Arc<Zone>,
    /// The RDATA of its SOA: who denies what no zone of ours denies.
    pub(crate) soa: Box<[u8]>,
    /// TTL of a name, in seconds.
    pub(crate) ttl: u32,
    /// TTL of "there is no such name": the next container may have the address.
    pub(crate) negative_ttl: u32,
    /// All addresses of the cluster are known.
    pub(crate) is_synced: bool,
}

/// What lies behind an entry that is covered.
pub(crate) struct Covered {
    /// The zone; `None` if it is faulty or others'.
    pub(crate) behind: Option<Arc<Zone>>,
    /// It was made for this, and is no apex.
    pub(crate) is_made: bool,
}

impl Reverse {
    /// The name of an address.
    #[inline]
    pub fn name_of(&self, address: IpAddr) -> Option<&Name> {
        self.services.addresses()?.get(address)?.name.as_ref()
    }

    /// RDATA of an SOA.
    pub fn soa(&self) -> &[u8] {
        &self.soa
    }

    /// TTL of a name, in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// TTL of its absence, in seconds.
    pub fn negative_ttl(&self) -> u32 {
        self.negative_ttl
    }

    /// False as long as the cluster may know addresses that this server does not.
    pub fn is_synced(&self) -> bool {
        self.is_synced
    }
}

/// Covers the entries, by rising origin, that lie in these zones, but for that of the services themselves.
pub(crate) fn cover<'n>(entries: &mut Vec<(&'n Name, ZoneEntry)>, zones: &'n [Name], services: &Name) {
    for zone in zones {
        let place = entries.partition_point(|(origin, _)| *origin < zone);
        if entries.get(place).is_none_or(|(origin, _)| *origin != zone) {
            let made = made(entries, zone);
            entries.insert(place, (zone, made));
        }
        let below = entries.iter_mut().skip(place).take_while(|(origin, _)| origin.is_at_or_below(zone));
        for (_, entry) in below.filter(|(origin, entry)| entry.covered.is_none() && *origin != services) {
            entry.covered = Some(Covered { behind: entry.zone.take(), is_made: false });
        }
    }
}

/// An entry that says what the nearest one above the origin does.
fn made(entries: &[(&Name, ZoneEntry)], origin: &Name) -> ZoneEntry {
    let find = |name: &Name| entries.binary_search_by(|(other, _)| (*other).cmp(name)).ok();
    let above = std::iter::successors(origin.parent(), Name::parent).find_map(|name| find(&name));
    let above = above.and_then(|at| entries.get(at)).map(|(_, entry)| entry);
    let behind = above.and_then(ZoneEntry::content).cloned();
    ZoneEntry {
        // Where nobody of ours answers others do.
        is_ceded: above.is_none_or(|entry| entry.is_ceded),
        covered: Some(Covered { behind, is_made: true }),
        ..ZoneEntry::new(origin, None, above.map_or(MetricsSlot(0), |entry| entry.metrics))
    }
}
