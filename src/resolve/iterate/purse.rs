//! What a question has spent, with all that was asked on its behalf.

use crate::resolve::iterate::bounds::{
    ADDRESS_PACKETS_MAX, PACKETS_BESIDE_REFERRALS_MAX, PACKETS_DEEP_MAX, PACKETS_MAX, SUBQUESTIONS_MAX,
    ZONE_PACKETS_MAX,
};
use crate::resolve::iterate::cut::Wire;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The purse of one question.
#[derive(Default)]
pub(super) struct Purse {
    packets: u32,
    /// Cuts that the question's own present walk went down.
    referrals: u32,
    subquestions: u8,
    /// Shortened queries that met no cut.
    pub(super) minimised: u8,
    addresses: BTreeMap<IpAddr, u8>,
    /// Packets to servers of a zone for the sake of addresses.
    zones: BTreeMap<Wire, u8>,
    /// Jobs that spend from it.
    pub(super) jobs: usize,
}

impl Purse {
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

    /// A packet to that address brought the walk further down. Before any alias a walk that goes down is as long as
    /// the name at most, and one server may hold many zones of it: that makes no victim.
    pub(super) fn went_down(&mut self, address: IpAddr, before_aliases: bool) {
        self.referrals += 1;
        if let (true, Some(sent)) = (before_aliases, self.addresses.get_mut(&address)) {
            *sent = sent.saturating_sub(1);
        }
    }

    /// A new walk begins, for an alias.
    pub(super) fn start_anew(&mut self) {
        self.referrals = 0;
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
