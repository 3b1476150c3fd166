//! Names of addresses: `5.2.0.10.in-addr.arpa.` (RFC 1035 §3.5) and the same by hexadecimal digits below `ip6.arpa.`
//! (RFC 3596 §2.5).

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::network::Network;
use crate::wire::name::{Name, is_at_or_below, labels};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands behind the octets of an IPv4 address.
const IN_ADDR: &[u8] = b"\x07in-addr\x04arpa\0";
/// What stands behind the digits of an IPv6 address.
const IP6: &[u8] = b"\x03ip6\x04arpa\0";
/// Labels of an IPv4 address: one for each octet.
const OCTETS: usize = 4;
/// Labels of an IPv6 address: one for each hexadecimal digit.
const NIBBLES: usize = 32;

/// What a name below `in-addr.arpa.` or `ip6.arpa.` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reverse {
    /// One address.
    Address(IpAddr),
    /// All addresses that begin so: names of addresses lie below it.
    Above,
}

/// Reads a lower-cased name in uncompressed wire form; `None` for a name that neither is an address's nor lies above one.
pub fn read(name: &[u8]) -> Option<Reverse> {
    if is_at_or_below(name, IN_ADDR) {
        let (bits, count) = digits(name.strip_suffix(IN_ADDR)?, OCTETS, 8, octet)?;
        let address = Ipv4Addr::from_bits(bits as u32).into();
        return Some(if count == OCTETS { Reverse::Address(address) } else { Reverse::Above });
    }
    if !is_at_or_below(name, IP6) {
        return None;
    }
    let (bits, count) = digits(name.strip_suffix(IP6)?, NIBBLES, 4, nibble)?;
    let address = Ipv6Addr::from_bits(bits).into();
    Some(if count == NIBBLES { Reverse::Address(address) } else { Reverse::Above })
}

/// The bits that labels stand for, the first label the lowest, and how many labels there are.
fn digits(wire: &[u8], max: usize, width: u32, read: fn(&[u8]) -> Option<u8>) -> Option<(u128, usize)> {
    let (mut bits, mut count) = (0, 0);
    for label in labels(wire) {
        if count == max {
            return None;
        }
        bits |= u128::from(read(label)?) << (count as u32 * width);
        count += 1;
    }
    Some((bits, count))
}

/// A number from 0 to 255 without needless zeroes.
fn octet(label: &[u8]) -> Option<u8> {
    let is_plain = label.iter().all(u8::is_ascii_digit) && (label.len() == 1 || label.first() != Some(&b'0'));
    let text = std::str::from_utf8(label).ok().filter(|_| is_plain)?;
    text.parse().ok()
}

fn nibble(label: &[u8]) -> Option<u8> {
    match label {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [digit @ b'a'..=b'f'] => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The name of an address.
pub fn name_of(address: IpAddr) -> Name {
    first_labels(address, usize::MAX)
}

/// The zones that hold the names of a network's addresses and of no others: several where its prefix ends within an octet,
/// or within a hexadecimal digit.
pub fn zones_of(network: &Network) -> Vec<Name> {
    let (count, prefix) = (network.reverse_zones(), u32::from(network.prefix()));
    (0..count)
        .map(|number| match network.address() {
            IpAddr::V4(first) => {
                let depth = prefix.div_ceil(8);
                let step = number.checked_shl(32 - 8 * depth).unwrap_or(0);
                first_labels(Ipv4Addr::from_bits(first.to_bits() | step).into(), depth as usize)
            }
            IpAddr::V6(first) => {
                let depth = prefix.div_ceil(4);
                let step = u128::from(number).checked_shl(128 - 4 * depth).unwrap_or(0);
                first_labels(Ipv6Addr::from_bits(first.to_bits() | step).into(), depth as usize)
            }
        })
        .collect()
}

/// The name of the first `depth` octets or digits of an address.
fn first_labels(address: IpAddr, depth: usize) -> Name {
    let mut wire = Vec::with_capacity(NAME_OCTETS_MAX);
    let suffix = match address {
        IpAddr::V4(address) => {
            for octet in address.octets().iter().take(depth).rev() {
                let text = octet.to_string();
                wire.push(text.len() as u8);
                wire.extend_from_slice(text.as_bytes());
            }
            IN_ADDR
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            let nibbles: Vec<u8> = nibbles.take(depth).collect();
            for nibble in nibbles.into_iter().rev() {
                wire.extend([1, b"0123456789abcdef"[usize::from(nibble)]]);
            }
            IP6
        }
    };
    wire.extend_from_slice(suffix);
    // 32 digits and the longest suffix are 74 octets.
    Name::from_wire(&wire).unwrap_or(Name::ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(name: &str) -> Option<Reverse> {
        read(Name::parse(name).unwrap().to_lowercase().as_wire())
    }

    #[test]
    fn names_of_addresses_and_those_above_them_are_told_from_all_others() {
        let address = |text: &str| Some(Reverse::Address(text.parse().unwrap()));
        let nibbles = |count: usize| format!("{}ip6.arpa.", "f.".repeat(count));
        for (name, expected) in [
            ("5.2.0.10.in-addr.arpa.", address("10.0.2.5")),
            ("255.255.255.255.IN-ADDR.arpa.", address("255.255.255.255")),
            ("2.0.10.in-addr.arpa.", Some(Reverse::Above)),
            ("in-addr.arpa.", Some(Reverse::Above)),
            ("x.5.2.0.10.in-addr.arpa.", None),
            ("1.5.2.0.10.in-addr.arpa.", None),
            ("05.2.0.10.in-addr.arpa.", None),
            ("256.2.0.10.in-addr.arpa.", None),
            ("+5.2.0.10.in-addr.arpa.", None),
            ("0-127.2.0.10.in-addr.arpa.", None),
            ("arpa.", None),
            ("5.2.0.10.in-addr.example.", None),
            ("5.2.0.10.xin-addr.arpa.", None),
            (&nibbles(32), address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
            (&nibbles(31), Some(Reverse::Above)),
            (&nibbles(33), None),
            ("ip6.arpa.", Some(Reverse::Above)),
            ("D.F.ip6.arpa.", Some(Reverse::Above)),
            ("g.f.ip6.arpa.", None),
            ("10.f.ip6.arpa.", None),
            // A label that only looks like several.
            ("1.1.1.1.x\\007in-addr.arpa.", None),
        ] {
            assert_eq!(told(name), expected, "{name}");
        }
    }

    #[test]
    fn a_network_is_the_zones_of_its_octets_or_digits() {
        for (network, expected) in [
            ("10.0.0.0/8", "10.in-addr.arpa."),
            ("192.168.0.0/16", "168.192.in-addr.arpa."),
            ("192.0.2.0/23", "2.0.192.in-addr.arpa. 3.0.192.in-addr.arpa."),
            ("192.0.2.4/31", "4.2.0.192.in-addr.arpa. 5.2.0.192.in-addr.arpa."),
            ("192.0.2.4", "4.2.0.192.in-addr.arpa."),
            ("0.0.0.0/0", "in-addr.arpa."),
            ("fd00::/8", "d.f.ip6.arpa."),
            ("fe80::/10", "8.e.f.ip6.arpa. 9.e.f.ip6.arpa. a.e.f.ip6.arpa. b.e.f.ip6.arpa."),
            ("::/0", "ip6.arpa."),
        ] {
            let zones = zones_of(&Network::parse(network).unwrap());
            let zones: Vec<String> = zones.iter().map(Name::to_string).collect();
            assert_eq!(zones.join(" "), expected, "{network}");
        }
        assert_eq!(zones_of(&Network::parse("172.16.0.0/12").unwrap()).len(), 16);
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|v4| Ipv4Addr::from_bits(v4).into()),
            any::<Ipv6Addr>().prop_map(IpAddr::V6)
        ]
    }

    proptest! {
        #[test]
        fn the_name_of_an_address_is_read_as_that_address(address in any_address()) {
            prop_assert_eq!(read(name_of(address).as_wire()), Some(Reverse::Address(address)));
        }

        #[test]
        fn an_address_lies_in_a_network_as_its_name_lies_in_one_of_its_zones(
            base in any_address(), other in any_address(), prefix in 0u8..=128, shared in any::<bool>(),
        ) {
            let bits = if base.is_ipv4() { 32 } else { 128 };
            let network = match Network::new(base, prefix.min(bits)) {
                Ok(network) | Err(crate::base::network::NetworkError::HostBits { network }) => network,
                Err(error) => panic!("{error}"),
            };
            let asked = if shared { base } else { other };
            let zones = zones_of(&network);
            prop_assert_eq!(zones.len(), network.reverse_zones() as usize);
            let name = name_of(asked);
            let holding = zones.iter().filter(|zone| name.is_at_or_below(zone)).count();
            // A mapped address counts as its IPv4 address in a list of networks, and has a name of its own.
            let is_mapped = asked.is_ipv6() && asked.to_canonical().is_ipv4();
            prop_assert!(is_mapped || holding == usize::from(network.contains(asked)));
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            read(&octets);
        }
    }
}
