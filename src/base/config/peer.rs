//! Where other members are found, and what they are told of us: `HOST[:PORT]` and `auto` or an address.

use super::value::Value;
use crate::base::limits::{LABEL_OCTETS_MAX, NAME_OCTETS_MAX};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The port of the cluster's traffic where none is told.
pub const GOSSIP_PORT: u16 = 7953;

/// Ports that belong to the container engine's own cluster: its gossip, its VXLAN, its managers. Whoever took one
/// of them would break the swarm that is to be served.
pub(super) const ENGINE_PORTS: [u16; 3] = [7946, 4789, 2377];

/// Where a member may be found: a name that the system resolves, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// A host name or an address, without brackets.
    pub host: String,
    /// The port of its cluster traffic.
    pub port: u16,
}

impl fmt::Display for Peer {
    /// `HOST:PORT`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Value for Peer {
    fn expected() -> String {
        format!(
            "HOST or HOST:PORT (without it {GOSSIP_PORT}), such as \"node1\", \"192.0.2.1:7953\" or \
             \"[2001:db8::1]:7953\""
        )
    }

    fn parse(text: &str) -> Option<Peer> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Some(Peer { host: text.to_owned(), port: GOSSIP_PORT });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            let port = if port.is_empty() { GOSSIP_PORT } else { port_of(port.strip_prefix(':')?)? };
            return Some(Peer { host: host.to_owned(), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, port_of(port)?),
            None => (text, GOSSIP_PORT),
        };
        is_host(host).then(|| Peer { host: host.to_owned(), port })
    }

    fn emit(&self) -> toml_edit::Value {
        self.to_string().into()
    }
}

/// Digits alone, and not 0, which is no port that anybody can be reached at.
fn port_of(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// True for what can be the name of a host, or an IPv4 address; the system says whether it is there.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=LABEL_OCTETS_MAX).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    text.len() < NAME_OCTETS_MAX && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// The address that other members are told to reach this node at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advertise {
    /// The source address that the kernel uses toward a member.
    Auto,
    /// This one; without a port that of `gossip.bind`.
    At(IpAddr, Option<u16>),
}

impl Value for Advertise {
    fn expected() -> String {
        "\"auto\" or an address that others reach this node at, such as \"192.0.2.1\" or \"192.0.2.1:7953\""
            .to_owned()
    }

    fn parse(text: &str) -> Option<Advertise> {
        let reachable = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_multicast();
        if text == "auto" {
            return Some(Advertise::Auto);
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return reachable(&ip).then_some(Advertise::At(ip, None));
        }
        let address: SocketAddr = text.parse().ok()?;
        let fits = reachable(&address.ip()) && address.port() != 0;
        fits.then_some(Advertise::At(address.ip(), Some(address.port())))
    }

    fn emit(&self) -> toml_edit::Value {
        match self {
            Advertise::Auto => "auto".into(),
            Advertise::At(ip, None) => ip.to_string().into(),
            Advertise::At(ip, Some(port)) => SocketAddr::new(*ip, *port).to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_with_or_without_its_port() {
        for (text, host, port) in [
            ("tasks.hivedns-gossip", "tasks.hivedns-gossip", 7953),
            ("node_1:1", "node_1", 1),
            ("node.example.:7", "node.example.", 7),
            ("192.0.2.1", "192.0.2.1", 7953),
            ("192.0.2.1:65535", "192.0.2.1", 65535),
            ("2001:db8::1", "2001:db8::1", 7953),
            ("[2001:db8::1]", "2001:db8::1", 7953),
            ("[::1]:5", "::1", 5),
        ] {
            let peer = Peer::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((peer.host.as_str(), peer.port), (host, port), "{text}");
            assert_eq!(Peer::parse(peer.emit().as_str().unwrap()), Some(peer), "{text}");
        }
        let long = "a".repeat(64);
        for text in
            ["", ":1", "a:", "a:0", "a:65536", "a:+1", "a b", "a..b", ".", "[::1", "[::1]5", "[a]:1", &long]
        {
            assert_eq!(Peer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_advertised_can_be_reached() {
        for text in ["auto", "192.0.2.1", "192.0.2.1:9", "2001:db8::1", "[2001:db8::1]:9"] {
            assert_eq!(Advertise::parse(text).unwrap().emit().as_str(), Some(text));
        }
        for text in ["", "Auto", "0.0.0.0", "[::]:1", "192.0.2.1:0", "224.0.0.1", "node1"] {
            assert_eq!(Advertise::parse(text), None, "{text}");
        }
    }
}
