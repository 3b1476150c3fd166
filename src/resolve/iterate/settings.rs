//! What the operator says, and which addresses may be asked at all.

use crate::base::time::Moment;
use crate::resolve::iterate::bounds::{GLUE_MAX, NAMES_MAX};
use crate::resolve::iterate::cut::{Cut, wire};
use crate::wire::name::Name;
use std::net::{IpAddr, SocketAddr};

/// What the machine is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The servers of the root to begin with, and their addresses (RFC 9609 §2).
    pub roots: Vec<(Name, Vec<IpAddr>)>,
    /// Networks, by an address and the length of a prefix, that no zone may name as its servers. Servers of the root
    /// that the operator names may lie there.
    pub deny: Vec<(IpAddr, u8)>,
    /// Where this process listens: it never asks itself. Which addresses a listener on all of them has, but for those of
    /// the loopback, is for the owner of the machine to see ([`Settings::may_be_own`]).
    pub own: Vec<SocketAddr>,
    /// The port of all name servers; 53 but in tests.
    pub port: u16,
    /// Servers are asked over IPv4.
    pub ipv4: bool,
    /// Servers are asked over IPv6.
    pub ipv6: bool,
    /// Octets for all that outlasts a question.
    pub cache_octets_max: usize,
}

impl Settings {
    /// The root as the operator names it.
    pub(super) fn root(&self) -> Cut {
        let mut cut = Cut {
            zone: wire(&Name::ROOT),
            names: Vec::new(),
            glue: Vec::new(),
            learned: Moment::START,
            expires: Moment::NEVER,
        };
        for (at, (name, addresses)) in self.roots.iter().enumerate().take(NAMES_MAX) {
            cut.names.push(wire(name));
            cut.glue.extend(addresses.iter().map(|address| (at, *address)));
        }
        cut.glue.truncate(GLUE_MAX);
        cut
    }

    /// True if what is sent there comes back to this process, should the address be one of this machine.
    pub fn may_be_own(&self, to: SocketAddr) -> bool {
        self.own.iter().any(|own| own.port() == to.port() && is_everywhere(own.ip(), to.ip().to_canonical()))
    }

    /// True if a server may be asked there; `is_root`: as one of the root's.
    pub(super) fn allows(&self, address: IpAddr, is_root: bool) -> bool {
        // An IPv4 address in IPv6's clothes is what it is.
        let plain = address.to_canonical();
        let is_wanted = if address.is_ipv4() { self.ipv4 } else { self.ipv6 };
        let is_at =
            |own: IpAddr| own.to_canonical() == plain || is_everywhere(own, plain) && plain.is_loopback();
        let is_own = || self.own.iter().any(|own| own.port() == self.port && is_at(own.ip()));
        let is_nobody = match plain {
            IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
        };
        let is_hint = || is_root && self.roots.iter().any(|(_, addresses)| addresses.contains(&address));
        let is_denied = || self.deny.iter().any(|(network, bits)| is_within(plain, *network, *bits));
        is_wanted && !is_nobody && !is_own() && (is_hint() || !is_denied())
    }
}

/// True if a listener there takes what comes to any address of the other's family, and of no other (V6ONLY).
fn is_everywhere(own: IpAddr, other: IpAddr) -> bool {
    own.is_unspecified() && own.is_ipv4() == other.is_ipv4()
}

/// True if the first `bits` bits of both are equal.
fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differ = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        _ => return false,
    };
    differ >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_servers_are_neither_denied_nor_ourselves() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let settings = Settings {
            roots: vec![(Name::ROOT, vec![ip("127.0.0.7")])],
            deny: vec![(ip("127.0.0.0"), 8), (ip("fe80::"), 10)],
            own: vec!["192.0.2.1:53".parse().unwrap(), "192.0.2.2:5353".parse().unwrap()],
            port: 53,
            ipv4: true,
            ipv6: true,
            cache_octets_max: 0,
        };
        let denied =
            ["127.1.2.3", "fe80::1", "febf::1", "::ffff:127.0.0.1", "192.0.2.1", "0.0.0.0", "224.0.0.1"];
        assert!(denied.iter().all(|text| !settings.allows(ip(text), false)));
        assert!(["192.0.2.2", "fec0::1", "128.0.0.1"].iter().all(|text| settings.allows(ip(text), false)));
        // The operator may have reasons; others may not use them.
        assert!(settings.allows(ip("127.0.0.7"), true) && !settings.allows(ip("127.0.0.7"), false));
        let own =
            |own: &str| Settings { deny: Vec::new(), own: vec![own.parse().unwrap()], ..settings.clone() };
        for (listener, loopback, at, other) in [
            ("0.0.0.0:53", "127.0.0.9", "192.0.2.1:53", "[2001:db8::1]:53"),
            ("[::]:53", "::1", "[2001:db8::1]:53", "192.0.2.1:53"),
        ] {
            let (settings, at) = (own(listener), at.parse::<SocketAddr>().unwrap());
            assert!(!settings.allows(ip(loopback), true) && settings.allows(at.ip(), false), "{listener}");
            assert!(settings.may_be_own(at) && !settings.may_be_own(other.parse().unwrap()), "{listener}");
            assert!(!settings.may_be_own(SocketAddr::new(at.ip(), 5353)), "{listener}");
        }
        assert!(own("0.0.0.0:5353").allows(ip("127.0.0.9"), false));
        assert!(!own("192.0.2.1:53").may_be_own("192.0.2.2:53".parse().unwrap()));
        let only4 = Settings { ipv6: false, ..settings };
        assert!(!only4.allows(ip("2001:db8::1"), false));
    }
}
