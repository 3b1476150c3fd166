//! What a node says of itself: the addresses at which it is reached. From it every node makes the records of
//! `NODE.node.DOMAIN`, so only the addresses travel.
//!
//! ```text
//! value: 1 | count | ( 4 | a b c d )  or  ( 6 | sixteen octets ) ...      rising, none twice
//! ```

use crate::discovery::entry::{Octets, Poison, put_address};
use crate::discovery::label::label;
use crate::wire::name::{Name, NameError};
use crate::wire::rtype::RecordType;
use std::net::IpAddr;

/// The key under which a node publishes its own entry.
pub const KEY: &[u8] = b"n";
/// Addresses of one node: interfaces of a host with many networks. More would not fit an answer well.
pub const ADDRESSES_MAX: usize = 32;
/// The label below which nodes have their names.
const PARENT: &[u8] = b"node";
const LAYOUT: u8 = 1;

/// A node's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Rising, none twice, at most [`ADDRESSES_MAX`].
    addresses: Vec<IpAddr>,
}

/// Records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecords {
    /// `A` or `AAAA`.
    pub rtype: RecordType,
    /// Each an address in wire form; at least one.
    pub rdatas: Vec<Vec<u8>>,
}

impl Entry {
    /// An entry of these addresses. Those that lead nowhere from another machine are left out, and what is beyond
    /// [`ADDRESSES_MAX`].
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Entry {
        let mut addresses: Vec<IpAddr> = addresses.into_iter().filter(is_told).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        Entry { addresses }
    }

    /// The addresses, rising.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The value that is replicated under [`KEY`].
    pub fn value(&self) -> Vec<u8> {
        let mut octets = vec![LAYOUT, self.addresses.len() as u8];
        self.addresses.iter().for_each(|address| put_address(&mut octets, *address));
        octets
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Entry, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let count = usize::from(octets.u8()?);
        if count > ADDRESSES_MAX {
            return Err(Poison::Layout);
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            let address = octets.address()?;
            if !is_told(&address) {
                return Err(Poison::Rule);
            }
            addresses.push(address);
        }
        octets.end()?;
        if !addresses.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(Poison::NotCanonical);
        }
        Ok(Entry { addresses })
    }

    /// The records that the entry stands for, `A` before `AAAA`.
    pub fn records(&self) -> Vec<NodeRecords> {
        let (mut a, mut aaaa) = (Vec::new(), Vec::new());
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => a.push(address.octets().to_vec()),
                IpAddr::V6(address) => aaaa.push(address.octets().to_vec()),
            }
        }
        [(RecordType::A, a), (RecordType::AAAA, aaaa)]
            .into_iter()
            .filter(|(_, rdatas)| !rdatas.is_empty())
            .map(|(rtype, rdatas)| NodeRecords { rtype, rdatas })
            .collect()
    }
}

/// Where a node's records stand: `NODE.node.DOMAIN`. An error for a name without octets, or where the domain is so
/// long that nothing fits before it.
pub fn name_of(node: &str, domain: &Name) -> Result<Name, NameError> {
    let label = label(node).ok_or(NameError::EmptyLabel)?;
    let mut wire = Vec::with_capacity(1 + label.len() + 1 + PARENT.len() + domain.as_wire().len());
    for label in [&label[..], PARENT] {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
    }
    wire.extend_from_slice(domain.as_wire());
    Name::from_wire(&wire)
}

/// True for an address that can mean the same machine to others. Loopback is one: a cluster on a single machine
/// has no other.
fn is_told(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(address.is_unspecified() || address.is_multicast() || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(addresses: &[&str]) -> Entry {
        Entry::new(addresses.iter().map(|address| address.parse().unwrap()))
    }

    #[test]
    fn a_node_s_name_stands_below_node() {
        let domain = Name::parse("hive.internal.").unwrap();
        let told = |node: &str| name_of(node, &domain).unwrap().to_string();
        assert_eq!(told("Web1"), "web1.node.hive.internal.");
        assert_eq!(told("web1.example"), "web1-example.node.hive.internal.");
        assert_eq!(name_of("", &domain), Err(NameError::EmptyLabel));
        let long = Name::parse(&"a.".repeat(124)).unwrap();
        assert_eq!(name_of("web1", &long), Err(NameError::NameTooLong));
    }

    #[test]
    fn addresses_become_records_of_their_family() {
        let entry = entry(&["2001:db8::1", "192.0.2.2", "192.0.2.1", "192.0.2.2", "fe80::1", "0.0.0.0"]);
        assert_eq!(
            entry.records(),
            [
                NodeRecords { rtype: RecordType::A, rdatas: vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]] },
                NodeRecords {
                    rtype: RecordType::AAAA,
                    rdatas: vec![vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
                },
            ]
        );
        assert_eq!(Entry::default().records(), []);
    }

    #[test]
    fn the_layout_stays_as_it_is() {
        let value = entry(&["192.0.2.1", "127.0.0.1"]).value();
        assert_eq!(value, [1, 2, 4, 127, 0, 0, 1, 4, 192, 0, 2, 1]);
        for (value, poison) in [
            (&[][..], Poison::Layout),
            (&[2, 0], Poison::Version(2)),
            (&[1, 33], Poison::Layout),
            (&[1, 1, 5, 1, 2, 3, 4], Poison::Layout),
            (&[1, 1, 4, 1, 2, 3], Poison::Layout),
            (&[1, 0, 0], Poison::Layout),
            (&[1, 1, 4, 0, 0, 0, 0], Poison::Rule),
            (&[1, 2, 4, 1, 2, 3, 5, 4, 1, 2, 3, 4], Poison::NotCanonical),
            (&[1, 2, 4, 1, 2, 3, 4, 4, 1, 2, 3, 4], Poison::NotCanonical),
        ] {
            assert_eq!(Entry::decode(value), Err(poison), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(addresses in proptest::collection::vec(any::<IpAddr>(), 0..40)) {
            let entry = Entry::new(addresses);
            prop_assert_eq!(Entry::decode(&entry.value()), Ok(entry));
        }

        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(0u8..8, 0..60)) {
            if let Ok(entry) = Entry::decode(&octets) {
                prop_assert_eq!(entry.value(), octets);
            }
        }
    }
}
