//! What a question has spent, with all that was asked on its behalf.

use crate::resolve::iterate::bounds::{
    ADDRESS_PACKETS_MAX, PACKETS_BESIDE_REFERRALS_MAX, PACKETS_DEEP_MAX, PACKETS_MAX, SUBQUESTIONS_MAX,
    ZONE_PACKETS_MAX,
};
use crate::resolve::iterate::cut::Wire;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a question has spent of what it may cost. A new one is full; what proves an answer is asked for with what the
/// answer's own question has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purse {
    /// Whose question it is.
    client: Option<IpAddr>,
    packets: u32,
    /// Cuts that the present walk of the first question went down.
    referrals: u32,
    /// The first question led on to others.
    has_aliases: bool,
    subquestions: u8,
    /// Shortened queries that met no cut.
    pub(super) minimised: u8,
    addresses: BTreeMap<IpAddr, u8>,
    /// Packets to servers of a zone for the sake of addresses.
    zones: BTreeMap<Wire, u8>,
    /// Jobs that spend from it.
    pub(super) jobs: usize,
    /// Another question had it before.
    is_handed_on: bool,
}

impl Purse {
    /// One for a question of that client, by its network; `None`: of nobody who has a share of anything.
    pub fn of(client: Option<IpAddr>) -> Purse {
        Purse { client, ..Purse::default() }
    }

    /// Whose question it is.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// True if there is a packet left at all.
    pub(super) fn has_packet(&self) -> bool {
        let deep = (self.referrals + PACKETS_BESIDE_REFERRALS_MAX).min(PACKETS_DEEP_MAX);
        self.packets < deep.max(PACKETS_MAX)
    }

    /// True if there is one for that zone; `aside`: asked for the sake of an address.
    pub(super) fn has_packet_for(&self, zone: &Wire, aside: bool) -> bool {
        self.has_packet() && (!aside || self.zones.get(zone).is_none_or(|sent| *sent < ZONE_PACKETS_MAX))
    }

    /// True if there is one for that address.
    pub(super) fn may_ask(&self, address: IpAddr) -> bool {
        self.addresses.get(&address).is_none_or(|sent| *sent < ADDRESS_PACKETS_MAX)
    }

    pub(super) fn send(&mut self, zone: &Wire, aside: bool, address: IpAddr) {
        self.packets += 1;
        *self.addresses.entry(address).or_default() += 1;
        if aside {
            *self.zones.entry(zone.clone()).or_default() += 1;
        }
    }

    /// What was to be sent never left.
    pub(super) fn take_back(&mut self, zone: &Wire, aside: bool, address: IpAddr) {
        self.packets = self.packets.saturating_sub(1);
        self.spare(address);
        if let Some(sent) = self.zones.get_mut(zone).filter(|_| aside) {
            *sent = sent.saturating_sub(1);
        }
    }

    /// A packet to that address brought the walk further down. Before any alias a walk that goes down is as long as
    /// the name at most, and one server may hold many zones of it: that makes no victim.
    pub(super) fn went_down(&mut self, address: IpAddr, before_aliases: bool) {
        // What proves an answer is looked for where that was found.
        if self.is_handed_on {
            return;
        }
        self.referrals += 1;
        if before_aliases {
            self.spare(address);
        }
    }

    /// A packet to that address brought something signed. Of what proves an answer without aliases there is as much as the
    /// name has zones, and one server may hold many of them: that makes no victim either.
    pub(super) fn proved(&mut self, address: IpAddr) {
        if self.is_handed_on && !self.has_aliases {
            self.spare(address);
        }
    }

    fn spare(&mut self, address: IpAddr) {
        if let Some(sent) = self.addresses.get_mut(&address) {
            *sent = sent.saturating_sub(1);
        }
    }

    /// What is left for the next question.
    #[must_use]
    pub(super) fn hand_on(&self) -> Purse {
        Purse { jobs: 0, is_handed_on: true, ..self.clone() }
    }

    /// True if something of it is used up.
    pub(super) fn is_worn(&self) -> bool {
        !self.has_packet()
            || self.subquestions >= SUBQUESTIONS_MAX
            || self.addresses.values().any(|sent| *sent >= ADDRESS_PACKETS_MAX)
            || self.zones.values().any(|sent| *sent >= ZONE_PACKETS_MAX)
    }

    /// True if another question had it before: that it is empty says nothing of the one that has it now.
    pub(super) fn is_handed_on(&self) -> bool {
        self.is_handed_on
    }

    /// A new walk begins, for an alias.
    pub(super) fn start_anew(&mut self) {
        self.referrals = 0;
        self.has_aliases = true;
    }

    /// Takes a question for an address; false if there are none left.
    pub(super) fn take_subquestion(&mut self) -> bool {
        let may = self.subquestions < SUBQUESTIONS_MAX && self.has_packet();
        self.subquestions += u8::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn only_a_walk_that_goes_down_may_cost_more_than_fifty_packets() {
        let zone = Wire::from([0]);
        let mut purse = Purse::default();
        while purse.has_packet() {
            purse.send(&zone, false, ADDRESS);
        }
        assert_eq!(purse.packets, 50);
        let mut purse = Purse::default();
        while purse.has_packet() {
            purse.send(&zone, false, ADDRESS);
            purse.went_down(ADDRESS, true);
        }
        assert_eq!(purse.packets, 130);
    }

    #[test]
    fn what_never_left_is_not_paid_for() {
        let zone = Wire::from([0]);
        let mut purse = Purse::default();
        purse.send(&zone, true, ADDRESS);
        for _ in 0..100 {
            let before = purse.clone();
            purse.send(&zone, true, ADDRESS);
            purse.take_back(&zone, true, ADDRESS);
            assert_eq!(purse, before);
        }
    }

    #[test]
    fn an_address_and_a_zone_asked_for_addresses_get_ten() {
        let zone = Wire::from([0]);
        let mut purse = Purse::default();
        for _ in 0..10 {
            assert!(purse.may_ask(ADDRESS) && purse.has_packet_for(&zone, true));
            purse.send(&zone, true, ADDRESS);
        }
        assert!(!purse.may_ask(ADDRESS) && !purse.has_packet_for(&zone, true));
        assert!(purse.has_packet_for(&zone, false));
    }
}
