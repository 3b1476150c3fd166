//! The queries that are on their way: found by what answers them, and in the order in which they left.

use crate::base::octets::u16_at;
use crate::base::time::Moment;
use crate::resolve::exchange::{Exchange, Heard};
use crate::resolve::forward::slab::{Key, NONE, Slab};
use std::net::SocketAddr;

/// Queries on their way from one machine. Beyond it the oldest is forgotten: of all it is least likely to be answered.
pub(super) const FLIGHTS_MAX: u16 = 4_096;
/// Chains by id and slot: about one query each, ids being drawn by lot.
const CHAINS: usize = FLIGHTS_MAX as usize;

/// What a query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// That question; if it is over, only the round trip counts.
    Question(Key),
    /// To see whether the upstream is there.
    Probe,
}

/// A query on its way.
pub(super) struct Flight {
    pub(super) exchange: Exchange,
    pub(super) purpose: Purpose,
    pub(super) sent: Moment,
    /// Index of the upstream.
    pub(super) upstream: u16,
    /// The slot that it left from; `None` for one over a stream.
    pub(super) port: Option<u16>,
    /// It has an OPT record.
    pub(super) edns: bool,
    links: Links,
}

/// Neighbours, by index: in the order of leaving, and in the chain.
#[derive(Clone, Copy)]
struct Links {
    older: u16,
    newer: u16,
    chained: u16,
}

impl Flight {
    pub(super) fn new(
        exchange: Exchange,
        purpose: Purpose,
        sent: Moment,
        upstream: u16,
        port: Option<u16>,
        edns: bool,
    ) -> Flight {
        let links = Links { older: NONE, newer: NONE, chained: NONE };
        Flight { exchange, purpose, sent, upstream, port, edns, links }
    }

    fn chain(&self) -> Option<usize> {
        Some(chain(self.port?, u16_at(self.exchange.query(), 0)?))
    }
}

fn chain(port: u16, id: u16) -> usize {
    usize::from(id ^ port.rotate_left(5)) % CHAINS
}

/// All of them.
pub(super) struct Flights {
    slab: Slab<Flight>,
    oldest: u16,
    newest: u16,
    /// For each chain, its first.
    chains: Vec<u16>,
}

impl Flights {
    pub(super) fn new() -> Flights {
        Flights { slab: Slab::new(FLIGHTS_MAX), oldest: NONE, newest: NONE, chains: vec![NONE; CHAINS] }
    }

    pub(super) fn is_full(&self) -> bool {
        self.slab.is_full()
    }

    /// The one that left first.
    pub(super) fn oldest(&self) -> Option<(Key, Moment)> {
        Some((self.slab.key(self.oldest)?, self.slab.at(self.oldest)?.sent))
    }

    pub(super) fn get(&self, key: Key) -> Option<&Flight> {
        self.slab.get(key)
    }

    /// Adds one that leaves now. `None` if there is no room.
    pub(super) fn insert(&mut self, mut flight: Flight) -> Option<Key> {
        let chain = flight.chain();
        let head = chain.and_then(|chain| self.chains.get(chain).copied());
        flight.links = Links { older: self.newest, newer: NONE, chained: head.unwrap_or(NONE) };
        let key = self.slab.insert(flight)?;
        if let Some(head) = chain.and_then(|chain| self.chains.get_mut(chain)) {
            *head = key.index();
        }
        match self.slab.at_mut(self.newest) {
            Some(before) => before.links.newer = key.index(),
            None => self.oldest = key.index(),
        }
        self.newest = key.index();
        Some(key)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Flight> {
        let flight = self.slab.remove(key)?;
        let Links { older, newer, chained } = flight.links;
        match self.slab.at_mut(older) {
            Some(before) => before.links.newer = newer,
            None => self.oldest = newer,
        }
        match self.slab.at_mut(newer) {
            Some(behind) => behind.links.older = older,
            None => self.newest = older,
        }
        if let Some(chain) = flight.chain() {
            self.unchain(chain, key.index(), chained);
        }
        Some(flight)
    }

    fn unchain(&mut self, chain: usize, index: u16, next: u16) {
        let Some(head) = self.chains.get_mut(chain) else { return };
        if *head == index {
            *head = next;
            return;
        }
        let mut at = *head;
        while let Some(flight) = self.slab.at_mut(at) {
            if flight.links.chained == index {
                flight.links.chained = next;
                return;
            }
            at = flight.links.chained;
        }
    }

    /// Those that left from that slot with that id.
    fn with(&self, port: u16, id: u16) -> impl Iterator<Item = (u16, &Flight)> {
        let mut at = self.chains.get(chain(port, id)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let (index, flight) = (at, self.slab.at(at)?);
            at = flight.links.chained;
            Some((index, flight))
        })
        .filter(move |(_, flight)| {
            flight.port == Some(port) && u16_at(flight.exchange.query(), 0) == Some(id)
        })
    }

    /// True if a query with that id is on its way from there to that address.
    pub(super) fn has(&self, port: u16, to: SocketAddr, id: u16) -> bool {
        self.with(port, id).any(|(_, flight)| flight.exchange.to() == to)
    }

    /// The query that a message which came to a slot answers, and how.
    pub(super) fn hear<'m>(
        &self,
        port: u16,
        from: SocketAddr,
        message: &'m [u8],
    ) -> Option<(Key, Heard<'m>)> {
        let id = u16_at(message, 0)?;
        let heard =
            self.with(port, id).find_map(|(index, flight)| match flight.exchange.hear(from, message) {
                Heard::Nothing => None,
                heard => Some((index, heard)),
            });
        heard.and_then(|(index, heard)| Some((self.slab.key(index)?, heard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::exchange::{Lot, Manner};
    use crate::resolve::question::{Question, Wants};
    use crate::wire::rtype::RecordType;

    fn flight(id: u16, port: u16) -> Flight {
        let question = Question::new(b"\x01a\0", 0, RecordType::A, Wants::default());
        let manner = Manner { recursive: true, edns: true };
        let exchange = Exchange::new(to(), &question, manner, &Lot { id, case: [0; 32] });
        Flight::new(exchange, Purpose::Probe, Moment::from_micros(u64::from(id)), 0, Some(port), true)
    }

    fn to() -> SocketAddr {
        "192.0.2.1:53".parse().unwrap()
    }

    #[test]
    fn queries_are_found_in_their_chain_and_in_their_order_whichever_is_taken_out() {
        for gone in 0..4 {
            let mut flights = Flights::new();
            // All in one chain: ids a whole number of chains apart, and one of another slot.
            let id = |number: u16| 7 + number * CHAINS as u16;
            let keys: Vec<Key> = (0..4).map(|n| flights.insert(flight(id(n), 0)).unwrap()).collect();
            flights.remove(keys[gone]).unwrap();
            assert!(flights.remove(keys[gone]).is_none());
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(flights.has(0, to(), id(number as u16)), number != gone);
                assert_eq!(flights.get(*key).is_some(), number != gone);
            }
            assert!(!flights.has(1, to(), id(0)));
            let mut order = Vec::new();
            while let Some((key, sent)) = flights.oldest() {
                flights.remove(key);
                order.push(sent.as_micros() as u16);
            }
            assert_eq!(order, (0..4).filter(|n| *n as usize != gone).map(id).collect::<Vec<_>>());
            assert!(flights.chains.iter().all(|head| *head == NONE));
        }
    }
}
