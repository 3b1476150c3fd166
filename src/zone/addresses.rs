//! Who asks from which address, as far as this server knows: one look-up on the path of a packet.
//!
//! Entries are spread over shards by the address's hash; a change writes one shard anew, all others are shared with the
//! version before it.

use crate::wire::name::Name;
use crate::zone::view::{Asker, number64};
use std::net::IpAddr;
use std::sync::Arc;

/// Shards: a swarm of 100,000 containers has some hundred addresses in each, and a version costs so many counters.
const SHARDS: usize = 256;

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Who asks from it; `None` for one that never does.
    pub asker: Option<Asker>,
    /// The name of its PTR.
    pub name: Option<Name>,
}

/// By rising address.
type Shard = Arc<Vec<(IpAddr, Known)>>;

/// All addresses that are known. Cloning it shares all of it.
#[derive(Debug, Clone)]
pub struct Addresses {
    shards: Box<[Shard]>,
    outsiders: Arc<Asker>,
    len: usize,
}

impl Default for Addresses {
    fn default() -> Addresses {
        let shards = vec![Shard::default(); SHARDS].into();
        Addresses { shards, outsiders: Arc::default(), len: 0 }
    }
}

impl Addresses {
    /// This is known of an address from here on; `None`: nothing any more.
    pub fn put(&mut self, address: IpAddr, known: Option<Known>) {
        let Some(shard) = self.shards.get_mut(shard_of(address)) else { return };
        let place = shard.binary_search_by_key(&address, |(other, _)| *other);
        match (place, known) {
            (Ok(at), Some(known)) => Arc::make_mut(shard)[at].1 = known,
            (Ok(at), None) => {
                Arc::make_mut(shard).remove(at);
                self.len -= 1;
            }
            (Err(at), Some(known)) => {
                Arc::make_mut(shard).insert(at, (address, known));
                self.len += 1;
            }
            (Err(_), None) => {}
        }
    }

    /// Who those are taken for that nobody knows.
    pub fn set_outsiders(&mut self, asker: Asker) {
        self.outsiders = Arc::new(asker);
    }

    /// What is known of an address.
    pub fn get(&self, address: IpAddr) -> Option<&Known> {
        let shard = self.shards.get(shard_of(address))?;
        let at = shard.binary_search_by_key(&address, |(other, _)| *other).ok()?;
        shard.get(at).map(|(_, known)| known)
    }

    /// All that are known, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Known)> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|(address, known)| (*address, known)))
    }

    /// Who asks from an address.
    pub fn asker(&self, from: Option<IpAddr>) -> &Asker {
        let known = from.and_then(|from| self.get(from));
        known.and_then(|known| known.asker.as_ref()).unwrap_or(&self.outsiders)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if none is known.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn shard_of(address: IpAddr) -> usize {
    let hash = match address {
        IpAddr::V4(address) => number64(&address.octets()),
        IpAddr::V6(address) => number64(&address.octets()),
    };
    (hash ^ (hash >> 32)) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_knows_what_a_map_knows_and_versions_stay_apart(
            changes in prop::collection::vec((0u8..40, any::<bool>(), any::<Option<u32>>()), 0..200),
        ) {
            let (mut addresses, mut map) = (Addresses::default(), BTreeMap::new());
            let mut versions = Vec::new();
            for (host, is_v6, owner) in changes {
                let address: IpAddr = if is_v6 {
                    [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host)].into()
                } else {
                    [10, 0, 0, host].into()
                };
                let asker = owner.map(|owner| Asker { owner, ..Asker::default() });
                let known = asker.map(|asker| Known { asker: Some(asker), name: None });
                addresses.put(address, known.clone());
                match known {
                    Some(known) => map.insert(address, known),
                    None => map.remove(&address),
                };
                versions.push((addresses.clone(), map.clone()));
            }
            for (addresses, map) in versions {
                prop_assert_eq!(addresses.len(), map.len());
                for host in 0..40 {
                    let address = [10, 0, 0, host].into();
                    prop_assert_eq!(addresses.get(address), map.get(&address));
                }
            }
        }
    }
}
