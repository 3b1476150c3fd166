//! Zones that nodes share with their cluster: what a node says of them, whose version all members have, and who is asked
//! for it.
//!
//! ```text
//! key: d              value: 1 | count | ( 4 | a b c d | port (2) )  or  ( 6 | sixteen octets | port (2) ) ...   its listeners
//! key: z | origin     value: 1 | 0                   it shares this zone, and has not read it yet in this life
//!                     value: 1 | 1 | serial (4)      it shares this version; the origin in lower case, in wire form
//! ```
//!
//! Whoever follows is a secondary: of the node whose version counts first, then of other members, which are likely to have
//! what they were given.

use crate::discovery::entry::{Octets, Poison, put_address};
use crate::wire::name::Name;
use crate::zone::Serial;
use std::net::{IpAddr, SocketAddr};

/// The key under which a node says where it answers for its zones.
pub const LISTENERS_KEY: &[u8] = b"d";
/// The first octet of a shared zone's key.
pub const KIND: u8 = b'z';
/// Listeners of one node that others are told of: one for each address of a host with some networks.
pub const LISTENERS_MAX: usize = 8;
/// Zones that one node shares; what it says beyond them is left out.
pub const ZONES_MAX: usize = 16_384;
/// Members that are asked for a zone when its publisher does not answer. Enough that one of them has what others have, few
/// enough to be asked one after the other.
pub const COPIES_MAX: usize = 8;
const LAYOUT: u8 = 1;

/// Where a node answers queries, as others reach it: at most [`LISTENERS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners(pub Vec<SocketAddr>);

impl Listeners {
    /// Of the addresses that a node listens on and the one at which members reach it: a listener on all addresses is reached
    /// at that one. A listener of the node's own machine is left out, unless the cluster is on one machine.
    pub fn new(listening: &[SocketAddr], advertised: IpAddr) -> Listeners {
        let reached = |own: &SocketAddr| match own.ip() {
            ip if ip.is_unspecified() && ip.is_ipv4() == advertised.is_ipv4() => {
                Some(SocketAddr::new(advertised, own.port()))
            }
            ip if ip.is_unspecified() || ip.is_loopback() && !advertised.is_loopback() => None,
            _ => Some(*own),
        };
        let mut all = Vec::new();
        for address in listening.iter().filter_map(reached) {
            if !all.contains(&address) && all.len() < LISTENERS_MAX {
                all.push(address);
            }
        }
        Listeners(all)
    }

    /// The value under [`LISTENERS_KEY`].
    pub fn value(&self) -> Vec<u8> {
        let mut octets = vec![LAYOUT, self.0.len() as u8];
        for address in &self.0 {
            put_address(&mut octets, address.ip());
            octets.extend(address.port().to_be_bytes());
        }
        octets
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Listeners, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let count = usize::from(octets.u8()?);
        if count > LISTENERS_MAX {
            return Err(Poison::Layout);
        }
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            let ip = octets.address()?;
            let address = SocketAddr::new(ip, octets.u16()?);
            if ip.is_unspecified() || ip.is_multicast() || address.port() == 0 {
                return Err(Poison::Rule);
            }
            all.push(address);
        }
        octets.end()?;
        Ok(Listeners(all))
    }
}

/// The key of a shared zone.
pub fn key(origin: &Name) -> Vec<u8> {
    [&[KIND], origin.to_lowercase().as_wire()].concat()
}

/// The zone that a key speaks of; `None`: it speaks of something else.
pub fn origin(key: &[u8]) -> Option<Result<Name, Poison>> {
    let (&kind, wire) = key.split_first()?;
    let name = || Name::from_wire(wire).ok().filter(|name| name.to_lowercase().as_wire() == wire);
    (kind == KIND && !wire.is_empty()).then(|| name().ok_or(Poison::Key))
}

/// The value under a zone's key.
pub fn value(serial: Option<Serial>) -> Vec<u8> {
    match serial {
        None => vec![LAYOUT, 0],
        Some(serial) => [&[LAYOUT, 1], &serial.0.to_be_bytes()[..]].concat(),
    }
}

/// Reads what a node, perhaps a foul one, published.
pub fn decode(value: &[u8]) -> Result<Option<Serial>, Poison> {
    let mut octets = Octets(value);
    octets.version(LAYOUT)?;
    let serial = match octets.u8()? {
        0 => None,
        1 => Some(Serial(octets.u32()?)),
        _ => return Err(Poison::Layout),
    };
    octets.end()?;
    Ok(serial)
}

/// A node that shares a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publisher {
    /// Its id.
    pub id: u64,
    /// The version that it said last, if it ever did.
    pub serial: Option<Serial>,
    /// It lives, as far as is known.
    pub lives: bool,
    /// It is a member, if perhaps a lost one; nobody else is followed where there is one.
    pub is_member: bool,
}

/// The publisher whose version all members have: of those that are members the one with the latest serial, of equal ones
/// one that lives, of those the one with the lowest id. Whatever the order in which they are known, it is the same one:
/// serials that go round in a circle (RFC 1982 §3.2) are compared by rising id.
pub fn followed(publishers: impl IntoIterator<Item = Publisher>) -> Option<Publisher> {
    let mut all: Vec<Publisher> = publishers.into_iter().collect();
    all.sort_unstable_by_key(|publisher| publisher.id);
    all.into_iter().reduce(|best, next| {
        let is_later = match (best.serial, next.serial) {
            (Some(best), Some(next)) if best != next => Some(best.is_before(next)),
            (None, Some(_)) => Some(true),
            (Some(_), None) => Some(false),
            (Some(_), Some(_)) | (None, None) => None,
        };
        let is_better = match best.is_member == next.is_member {
            true => is_later.unwrap_or(next.lives && !best.lives),
            false => next.is_member,
        };
        if is_better { next } else { best }
    })
}

/// Another member than the publisher, that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Where it answers.
    pub address: SocketAddr,
}

/// Who is asked if the publisher does not answer, one after the other: those whose ids follow that of the asking node, so
/// that not everybody asks the same ones. At most [`COPIES_MAX`].
pub fn copies(me: u64, members: impl IntoIterator<Item = Member>) -> Vec<Member> {
    let mut all: Vec<Member> = members.into_iter().filter(|member| member.id != me).collect();
    all.sort_unstable_by_key(|member| member.id.wrapping_sub(me));
    all.truncate(COPIES_MAX);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_where_members_reach_the_node() {
        let told =
            |listening: &[&str], at: &str| Listeners::new(&addresses(listening), at.parse().unwrap()).0;
        let both = ["0.0.0.0:53", "[::]:53"];
        assert_eq!(told(&both, "192.0.2.7"), addresses(&["192.0.2.7:53"]));
        assert_eq!(told(&both, "2001:db8::7"), addresses(&["[2001:db8::7]:53"]));
        let specific = ["127.0.0.1:53", "192.0.2.1:53", "192.0.2.1:53", "[2001:db8::1]:5300"];
        assert_eq!(told(&specific, "192.0.2.9"), addresses(&["192.0.2.1:53", "[2001:db8::1]:5300"]));
        // A cluster on one machine, as in tests.
        assert_eq!(told(&["127.0.0.3:53"], "127.0.0.1"), addresses(&["127.0.0.3:53"]));
    }

    #[test]
    fn the_layout_stays_as_it_is() {
        let listeners = Listeners(addresses(&["192.0.2.1:53", "[::1]:5300"]));
        let v6: Vec<u8> = [&[6], &[0; 15][..], &[1, 0x14, 0xb4]].concat();
        assert_eq!(listeners.value(), [&[1, 2, 4, 192, 0, 2, 1, 0, 53][..], &v6].concat());
        let name = Name::parse("A.test.").unwrap();
        assert_eq!(key(&name), b"z\x01a\x04test\x00");
        assert_eq!(value(None), [1, 0]);
        assert_eq!(value(Some(Serial(258))), [1, 1, 0, 0, 1, 2]);
        assert_eq!(origin(b"z\x01a\x04test\x00"), Some(Ok(name)));
        assert_eq!(origin(b"z\x01A\x04test\x00"), Some(Err(Poison::Key)));
        assert_eq!(origin(b"z\x01a"), Some(Err(Poison::Key)));
        assert_eq!((origin(b"z"), origin(b""), origin(b"echo")), (None, None, None));
        for (value, poison) in [
            (&[][..], Poison::Layout),
            (&[2, 0], Poison::Version(2)),
            (&[1, 2], Poison::Layout),
            (&[1, 0, 0], Poison::Layout),
            (&[1, 1, 0, 0, 1], Poison::Layout),
        ] {
            assert_eq!(decode(value), Err(poison), "{value:?}");
        }
        for (value, poison) in [
            (&[1, 9][..], Poison::Layout),
            (&[1, 1, 5, 1, 2, 3, 4, 0, 53], Poison::Layout),
            (&[1, 1, 4, 0, 0, 0, 0, 0, 53], Poison::Rule),
            (&[1, 1, 4, 1, 2, 3, 4, 0, 0], Poison::Rule),
            (&[1, 1, 4, 1, 2, 3, 4, 0, 53, 0], Poison::Layout),
        ] {
            assert_eq!(Listeners::decode(value), Err(poison), "{value:?}");
        }
    }

    fn publisher(id: u64, serial: u32) -> Publisher {
        Publisher { id, serial: Some(Serial(serial)), lives: true, is_member: true }
    }

    fn winner(publishers: &[Publisher]) -> Option<u64> {
        followed(publishers.iter().copied()).map(|publisher| publisher.id)
    }

    #[test]
    fn the_latest_serial_is_followed_then_the_living_then_the_lowest_id() {
        let one = publisher(1, 5);
        let lost = |id, serial| Publisher { lives: false, ..publisher(id, serial) };
        let silent = |id| Publisher { serial: None, ..publisher(id, 0) };
        let gone = |id, serial| Publisher { is_member: false, ..lost(id, serial) };
        assert_eq!(winner(&[]), None);
        assert_eq!(winner(&[one, publisher(2, 6)]), Some(2));
        assert_eq!(winner(&[one, publisher(2, 5)]), Some(1));
        assert_eq!(winner(&[lost(1, 5), publisher(2, 5), publisher(3, 5)]), Some(2));
        // A publisher that is away for a while does not make its zone go backwards.
        assert_eq!(winner(&[one, lost(2, 6)]), Some(2));
        assert_eq!(winner(&[publisher(1, u32::MAX), publisher(2, 3)]), Some(2));
        assert_eq!(winner(&[silent(1), publisher(2, 1)]), Some(2));
        assert_eq!(winner(&[publisher(1, 1), silent(2)]), Some(1));
        assert_eq!(winner(&[silent(1), silent(2)]), Some(1));
        // Whom the cluster has forgotten counts where there is nobody else.
        assert_eq!(winner(&[one, gone(2, 9)]), Some(1));
        assert_eq!(winner(&[gone(2, 9), silent(3)]), Some(3));
        assert_eq!(winner(&[gone(2, 9)]), Some(2));
    }

    #[test]
    fn who_is_asked_besides_differs_from_node_to_node() {
        let member = |id: u64| Member { id, address: SocketAddr::from(([192, 0, 2, id as u8], 53)) };
        let told = |me| {
            let asked = copies(me, (1..=20).map(member));
            asked.iter().map(|member| member.id.to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(3), "4 5 6 7 8 9 10 11");
        assert_eq!(told(18), "19 20 1 2 3 4 5 6");
        assert_eq!(copies(1, [member(1)]), []);
    }

    proptest! {
        #[test]
        fn all_nodes_follow_the_same_one_in_whatever_order_they_hear(
            (known, heard) in proptest::collection::vec(
                (0u64..9, proptest::option::of(any::<u32>()), any::<bool>(), any::<bool>()), 0..6,
            ).prop_map(|all| {
                let mut known: Vec<Publisher> = Vec::new();
                for (id, serial, lives, is_member) in all {
                    if known.iter().all(|publisher| publisher.id != id) {
                        known.push(Publisher { id, serial: serial.map(Serial), lives, is_member });
                    }
                }
                known
            }).prop_flat_map(|known| (Just(known.clone()), Just(known).prop_shuffle())),
        ) {
            prop_assert_eq!(followed(known), followed(heard));
        }

        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(listeners) = Listeners::decode(&octets) {
                prop_assert_eq!(listeners.value(), octets.clone());
            }
            if let Ok(serial) = decode(&octets) {
                prop_assert_eq!(value(serial), octets.clone());
            }
            if let Some(Ok(name)) = origin(&octets) {
                prop_assert_eq!(key(&name), octets);
            }
        }
    }
}
