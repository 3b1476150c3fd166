//! Networks: an address and how many of its bits count; and lists of them that can be asked for every packet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that share their first `prefix` bits. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) counts as the
/// IPv4 address within it, here as in [`Network::contains`]; so no network of IPv6 holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// It does not begin with an address.
    NoAddress,
    /// What stands behind the slash is no number of bits of such an address.
    NoPrefix {
        /// How many bits the address has.
        bits: u8,
    },
    /// Bits behind the prefix are set: either the address or the prefix is not what was meant.
    HostBits {
        /// The network that the address lies in.
        network: Network,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::NoAddress => f.write_str("it does not begin with an address"),
            NetworkError::NoPrefix { bits } => write!(f, "behind the slash stands a number from 0 to {bits}"),
            NetworkError::HostBits { network } => {
                write!(f, "bits behind the prefix are set; the network is {network}")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

impl fmt::Display for Network {
    /// `10.0.0.0/8`; the prefix stands there even if it is the whole address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// The network of the address's first `prefix` bits; an error if others are set, or if there are not so many.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Network, NetworkError> {
        let bits = bits_of(address);
        if prefix > bits {
            return Err(NetworkError::NoPrefix { bits });
        }
        // Of a mapped address the last 32 bits are left.
        let (address, prefix) = match address.to_canonical() {
            IpAddr::V4(within) if address.is_ipv6() && prefix >= 96 => (IpAddr::V4(within), prefix - 96),
            _ => (address, prefix),
        };
        let first = match address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !host_bits_v4(prefix))),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !host_bits_v6(prefix))),
        };
        let network = Network { address: first, prefix };
        if first == address { Ok(network) } else { Err(NetworkError::HostBits { network }) }
    }

    /// Reads `10.0.0.0/8` or a bare address, which stands for itself alone.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NoAddress)?;
        let bits = bits_of(address);
        let prefix = match prefix {
            None => bits,
            Some(digits) => {
                let plain = digits.bytes().all(|octet| octet.is_ascii_digit());
                let read = digits.parse().ok().filter(|_| plain);
                read.ok_or(NetworkError::NoPrefix { bits })?
            }
        };
        Network::new(address, prefix)
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits of the address count.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many zones hold the names of its addresses and no others: these end at octets (RFC 1035 §3.5) or hexadecimal
    /// digits (RFC 3596 §2.5).
    pub fn reverse_zones(&self) -> u32 {
        let step = if self.address.is_ipv4() { 8 } else { 4 };
        1 << (self.prefix.next_multiple_of(step) - self.prefix)
    }

    /// True if the address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(v4)) => {
                (first.to_bits() ^ v4.to_bits()) & !host_bits_v4(self.prefix) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(v6)) => {
                (first.to_bits() ^ v6.to_bits()) & !host_bits_v6(self.prefix) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn host_bits_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

fn host_bits_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// Many networks as one set, to be asked for every packet.
///
/// Kept as ranges of addresses, first and last, that rise, do not overlap and do not touch: so the one that can hold
/// an address is the last one that does not begin behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Of these networks, which may overlap.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Networks {
        let mut all = Networks::default();
        for Network { address, prefix } in networks {
            match address {
                IpAddr::V4(first) => {
                    all.v4.push((first.to_bits(), first.to_bits() | host_bits_v4(prefix)));
                }
                IpAddr::V6(first) => {
                    all.v6.push((first.to_bits(), first.to_bits() | host_bits_v6(prefix)));
                }
            }
        }
        unite(&mut all.v4, |last| last.checked_add(1));
        unite(&mut all.v6, |last| last.checked_add(1));
        all
    }

    /// True if one of them holds the address. Nothing is allocated; a list of few is looked through in a few steps.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => holds(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => holds(&self.v6, v6.to_bits()),
        }
    }

    /// True if it holds no address at all.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

#[inline]
fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    ranges[..behind].last().is_some_and(|(_, last)| address <= *last)
}

/// Sorts the ranges and unites those that overlap or touch; `next` is the address behind another, if there is one.
fn unite<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|later, earlier| {
        // Behind the last address of all there is none that could begin a range.
        let meet = next(earlier.1).is_none_or(|behind| later.0 <= behind);
        if meet {
            earlier.1 = earlier.1.max(later.1);
        }
        meet
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_an_address_and_a_prefix_or_an_address_alone() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(network(text).to_string(), shown);
            assert_eq!(network(shown), network(text));
        }
    }

    #[test]
    fn what_is_no_network_is_told_why() {
        for (text, expected) in [
            ("", "it does not begin with an address"),
            ("10/8", "it does not begin with an address"),
            ("localhost", "it does not begin with an address"),
            ("10.0.0.0 /8", "it does not begin with an address"),
            ("10.0.0.0/33", "behind the slash stands a number from 0 to 32"),
            ("10.0.0.0/", "behind the slash stands a number from 0 to 32"),
            ("10.0.0.0/+8", "behind the slash stands a number from 0 to 32"),
            ("10.0.0.0/255.0.0.0", "behind the slash stands a number from 0 to 32"),
            ("::/129", "behind the slash stands a number from 0 to 128"),
            ("::/256", "behind the slash stands a number from 0 to 128"),
            ("10.1.0.0/8", "bits behind the prefix are set; the network is 10.0.0.0/8"),
            ("fe80::1/10", "bits behind the prefix are set; the network is fe80::/10"),
            ("192.0.2.1/0", "bits behind the prefix are set; the network is 0.0.0.0/0"),
        ] {
            assert_eq!(Network::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_network_holds_what_shares_its_prefix_and_a_mapped_address_is_its_ipv4() {
        for (of, inside, outside) in [
            ("127.0.0.0/8", "127.0.0.1 127.255.255.255 ::ffff:127.0.0.53", "128.0.0.0 126.255.255.255 ::1"),
            ("192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1", "192.0.2.0 192.0.2.2 ::192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", "::"),
            ("::/0", ":: ::1 ffff::", "1.2.3.4 ::ffff:1.2.3.4"),
            ("fe80::/10", "fe80:: febf:ffff::1", "fec0:: fe7f::1"),
            ("::1", "::1", ":: ::2 0.0.0.1"),
        ] {
            let networks = Networks::new([network(of)]);
            for ip in inside.split(' ').map(address) {
                assert!(network(of).contains(ip) && networks.contains(ip), "{ip} in {of}");
            }
            for ip in outside.split(' ').map(address) {
                assert!(!network(of).contains(ip) && !networks.contains(ip), "{ip} not in {of}");
            }
        }
        assert!(Networks::default().is_empty() && !Networks::default().contains(address("::1")));
        assert!(!Networks::new([network("::1")]).is_empty());
    }

    /// Few distinct addresses, so that networks overlap, touch and hold what is asked for.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0u32..64).prop_map(|low| IpAddr::V4(Ipv4Addr::from_bits(low))),
            (0u32..64).prop_map(|low| IpAddr::V4(Ipv4Addr::from_bits(u32::MAX - low))),
            (0u128..64).prop_map(|low| IpAddr::V6(Ipv6Addr::from_bits(low))),
            (0u128..64).prop_map(|low| IpAddr::V6(Ipv6Addr::from_bits(u128::MAX - low))),
            (0u32..64).prop_map(|low| IpAddr::V6(Ipv4Addr::from_bits(low).to_ipv6_mapped())),
        ]
    }

    fn any_network() -> impl Strategy<Value = Network> {
        (any_address(), 0u8..=8).prop_map(|(address, host_bits)| {
            let prefix = if host_bits == 8 { 0 } else { bits_of(address) - host_bits };
            match Network::new(address, prefix) {
                Ok(network) | Err(NetworkError::HostBits { network }) => network,
                Err(error) => panic!("{error}"),
            }
        })
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_one_of_its_networks_holds(
            networks in proptest::collection::vec(any_network(), 0..9),
            asked in proptest::collection::vec(any_address(), 1..40),
        ) {
            let set = Networks::new(networks.iter().copied());
            for ip in asked {
                prop_assert_eq!(set.contains(ip), networks.iter().any(|network| network.contains(ip)), "{}", ip);
            }
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(network in any_network()) {
            prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        }
    }
}
