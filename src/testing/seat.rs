//! Which node: its seat in the world. A node keeps it, and the address that follows from it, over all of its lives.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port on which nodes take datagrams and streams.
const PORT: u16 = 7953;
/// From where a node opens its streams: not where it takes any, as in the real world.
const PORT_OF_STREAMS: u16 = 40_000;
/// All addresses begin with this octet; the rest is the seat.
const NETWORK: u8 = 10;
/// Seats that addresses can tell apart. Keys of records hold a seat in 16 bits, so it is fewer than 2^24.
pub const SEATS_MAX: usize = 1 << 16;

/// A node's number, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u32);

impl Seat {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Where the node takes datagrams and streams.
    pub fn address(self) -> SocketAddr {
        let [_, a, b, c] = self.0.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(NETWORK, a, b, c)), PORT)
    }

    /// From where the node's streams seem to come.
    pub fn address_of_streams(self) -> SocketAddr {
        let mut address = self.address();
        address.set_port(PORT_OF_STREAMS);
        address
    }

    /// Who takes datagrams and streams there; `None` if it is no address of this world.
    pub fn at(address: SocketAddr) -> Option<Seat> {
        match address {
            SocketAddr::V4(v4) if v4.port() == PORT => {
                let [network, a, b, c] = v4.ip().octets();
                (network == NETWORK).then(|| Seat(u32::from_be_bytes([0, a, b, c])))
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => None,
        }
    }
}

impl std::fmt::Display for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node-{}", self.0)
    }
}

/// Some of the nodes, by a mark for each seat; seats beyond the marks are not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seats(Vec<bool>);

impl Seats {
    /// Those of the first `count` for which `among` says so.
    pub fn of(count: usize, among: impl Fn(Seat) -> bool) -> Seats {
        Seats((0..count as u32).map(|seat| among(Seat(seat))).collect())
    }

    /// True if the node is among them.
    pub fn has(&self, seat: Seat) -> bool {
        self.0.get(seat.index()).copied().unwrap_or(false)
    }

    /// How many they are.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|&&marked| marked).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_node() {
        for seat in [Seat(0), Seat(1), Seat(65_535)] {
            assert_eq!(Seat::at(seat.address()), Some(seat));
            assert_eq!(Seat::at(seat.address_of_streams()), None);
        }
        assert_eq!(Seat::at("192.0.2.1:7953".parse().unwrap()), None);
        assert_eq!(Seat(257).address().to_string(), "10.0.1.1:7953");
    }

    #[test]
    fn a_set_holds_whom_it_was_made_of() {
        let odd = Seats::of(5, |seat| seat.0 % 2 == 1);
        assert_eq!(odd.count(), 2);
        assert!(odd.has(Seat(3)) && !odd.has(Seat(4)) && !odd.has(Seat(5)));
    }
}
