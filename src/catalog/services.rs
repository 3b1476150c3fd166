//! The domain of service names: a zone made of what the cluster and each of its nodes say.
//!
//! Names, owners and leases go in as deltas; which records are served, and the blocks they lie in, are
//! [`crate::zone::live`]'s. Here stands what a zone needs besides: SOA, owners' leases, what is over and when.

use crate::base::network::Networks;
use crate::base::time::Moment;
use crate::catalog::lease::{Lease, OwnerId, Source};
use crate::catalog::owners::Owners;
use crate::catalog::records::Records;
use crate::catalog::reverse::Reverse;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::addresses::{Addresses, Known};
use crate::zone::live::ledger::SourceNumber;
use crate::zone::live::writer::{LiveWriter, Progress};
use crate::zone::view::Asker;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Names worked on at once: some milliseconds.
const WORK_NAMES: usize = 1_024;
/// Changes that may wait: eight batches of the writer, some 40 MB of records of 100 octets.
const QUEUE_CHANGES_MAX: usize = 262_144;
/// Names worked on with each change, once half as many wait: several times what a change itself takes to be loaded,
/// resolved and put into its block.
const WORK_PER_CHANGE: usize = 16;
/// The SOA's timers for secondaries, in seconds: refresh and retry fit a zone that changes all the time, expire is
/// RFC 1912's two weeks.
const SOA_TIMERS: [u32; 3] = [30, 10, 1_209_600];

/// What is configured of the service names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The domain.
    pub origin: Name,
    /// The SOA's MNAME: this node's name under `node.`, or the origin.
    pub primary: Name,
    /// TTL of SOA.
    pub ttl: Duration,
    /// TTL of "there is no such name": MINIMUM (RFC 2308 §4).
    pub negative_ttl: Duration,
    /// How long the records of a lost owner are served at least.
    pub lease: Duration,
}

/// See the module.
pub struct Services {
    terms: Terms,
    seed: HashSeed,
    writer: LiveWriter,
    owners: Owners,
    /// How many published versions there were; it wraps around as serials do (RFC 1982).
    serial: u32,
    /// The terms changed since the last version.
    is_changed: bool,
    addresses: Addresses,
    /// RDATA of the SOA of the version that goes to other servers: told instead of one of this node's own.
    outward_soa: Option<Box<[u8]>>,
    /// The networks whose addresses have names, and whether one ever had.
    reverse: (Networks, bool),
    zone: Option<Arc<Zone>>,
}

impl Services {
    /// Without records.
    pub(crate) fn new(terms: Terms, seed: HashSeed) -> Services {
        Services {
            writer: LiveWriter::new(&terms.origin, seed),
            owners: Owners::new(terms.lease),
            terms,
            seed,
            serial: 0,
            is_changed: true,
            addresses: Addresses::default(),
            outward_soa: None,
            reverse: Default::default(),
            zone: None,
        }
    }

    /// What is configured.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The owners and their leases.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The version last made.
    pub fn latest(&self) -> Option<&Arc<Zone>> {
        self.zone.as_ref()
    }

    /// Records that were not taken: outside of the domain, SOA, no data type, more than a name may hold.
    pub fn refused(&self) -> u64 {
        self.writer.refused()
    }

    /// Changes that wait to be worked on.
    pub fn queued(&self) -> usize {
        self.writer.queued()
    }

    /// Changes handed in so far.
    pub(crate) fn handed_in(&self) -> u64 {
        self.writer.handed_in()
    }

    /// How many of them the next version has.
    pub(crate) fn done(&self) -> u64 {
        self.writer.done()
    }

    /// What everybody says, as it is now: may be read for long and elsewhere.
    pub fn records(&self) -> Records {
        Records::new(&self.terms.origin, self.seed, self.writer.directory().clone(), self.owners.clone())
    }

    pub(crate) fn set_terms(&mut self, terms: Terms) {
        if terms == self.terms {
            return;
        }
        if terms.lease != self.terms.lease {
            self.owners.whole = terms.lease;
            let due = self.owners.due(true);
            due.into_iter().for_each(|number| self.writer.sweep(number));
        }
        self.terms = terms;
        self.is_changed = true;
    }

    pub(crate) fn put(
        &mut self,
        source: Source,
        name: &Name,
        rtype: RecordType,
        ttl: u32,
        rdatas: Vec<Box<[u8]>>,
    ) {
        // The one SOA is made here.
        let rdatas = if rtype == RecordType::SOA { Vec::new() } else { rdatas };
        if rtype != RecordType::SOA {
            // Nothing is refused: who hands in more than is worked on works here, a little with each change, and so never
            // waits for a whole batch.
            if self.writer.queued() >= QUEUE_CHANGES_MAX / 2 {
                self.writer.step(&mut self.owners, WORK_PER_CHANGE);
            }
            while self.writer.queued() >= QUEUE_CHANGES_MAX {
                self.work();
            }
            let number = self.owners.number(source);
            self.writer.put(number, name, rtype, ttl, rdatas);
        }
    }

    pub(crate) fn put_address(&mut self, address: IpAddr, known: Option<Known>) {
        let is_named = known.as_ref().is_some_and(|known| known.name.is_some());
        self.reverse.1 |= is_named && self.reverse.0.contains(address);
        self.addresses.put(address, known);
        self.is_changed = true;
    }

    pub(crate) fn set_reverse(&mut self, networks: Networks) {
        let mut named = self.addresses.iter().filter(|(_, known)| known.name.is_some());
        self.reverse = (networks.clone(), named.any(|(address, _)| networks.contains(address)));
    }

    /// What is laid over the zones of addresses' names, once a version has been made: nothing where there has never been
    /// anything to tell and all is known. Where there has, there will be again, and absence must not be told for long.
    pub(crate) fn reverse(&self, is_synced: bool) -> Option<Reverse> {
        let (networks, was_named) = &self.reverse;
        if networks.is_empty() || (is_synced && !was_named) {
            return None;
        }
        Some(Reverse {
            services: Arc::clone(self.zone.as_ref()?),
            soa: self.soa().into(),
            ttl: seconds(self.terms.ttl),
            negative_ttl: seconds(self.terms.negative_ttl),
            is_synced,
        })
    }

    pub(crate) fn set_outsiders(&mut self, asker: Asker) {
        self.addresses.set_outsiders(asker);
        self.is_changed = true;
    }

    /// Other servers get a version with that SOA, or none. Whoever compares serials has to see the one that it would get.
    pub(crate) fn set_outward(&mut self, soa: Option<Box<[u8]>>) {
        self.is_changed |= self.outward_soa != soa;
        self.outward_soa = soa;
    }

    /// What is known of askers.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub(crate) fn set_lease(&mut self, source: Source, lease: Lease) {
        let number = self.owners.number(source);
        if self.owners.set_lease(number, lease) {
            self.writer.sweep(number);
        }
    }

    pub(crate) fn renew(&mut self, owner: OwnerId) {
        let Some(number) = self.owners.known(owner) else { return };
        let lease = self.owners.get(number).map(|owner| owner.lease);
        self.forget(owner);
        if let Some(lease) = lease {
            self.set_lease(Source::Owner(owner), lease);
        }
    }

    pub(crate) fn forget(&mut self, owner: OwnerId) {
        if let Some(number) = self.owners.give_up(owner) {
            self.writer.sweep(number);
        }
    }

    /// Time has come to `now`.
    pub(crate) fn expire(&mut self, now: Moment) {
        self.owners.now = now;
        if self.owners.next_end() <= now {
            let due = self.owners.due(false);
            due.into_iter().for_each(|number| self.writer.sweep(number));
        }
    }

    pub(crate) fn next_expiry(&self) -> Moment {
        self.owners.next_end()
    }

    /// Works a while; true if there is more to do.
    pub(crate) fn work(&mut self) -> bool {
        let progress = self.writer.step(&mut self.owners, WORK_NAMES);
        if self.writer.is_idle() {
            let writer = &self.writer;
            self.owners.free(|number| !writer.is_sweeping(number));
        }
        progress != Progress::Idle
    }

    /// Works until all is done.
    pub(crate) fn finish(&mut self) {
        while self.work() {}
    }

    /// True if the blocks fit together.
    pub(crate) fn is_whole(&self) -> bool {
        self.writer.is_whole()
    }

    /// The next version, if there was a change, else the last one. Finishes what is under way, not what waits.
    pub(crate) fn zone(&mut self) -> Option<Arc<Zone>> {
        while !self.writer.is_whole() {
            self.writer.step(&mut self.owners, WORK_NAMES);
        }
        if self.writer.take_changed() | std::mem::take(&mut self.is_changed) {
            self.serial = self.serial.wrapping_add(1);
            let ttl = seconds(self.terms.ttl);
            let soa = self.soa();
            self.writer.put_at_once(
                &mut self.owners,
                SourceNumber::CLUSTER,
                RecordType::SOA,
                ttl,
                vec![soa.as_slice().into()],
            );
            let zone = self.writer.zone(ttl, &soa).for_askers(self.addresses.clone());
            self.zone = Some(Arc::new(zone));
        }
        self.zone.clone()
    }

    /// The RDATA of the SOA (RFC 1035 §3.3.13).
    fn soa(&self) -> Vec<u8> {
        if let Some(soa) = &self.outward_soa {
            return soa.to_vec();
        }
        let Terms { origin, primary, negative_ttl, .. } = &self.terms;
        let mut rdata = primary.as_wire().to_vec();
        let mailbox = [b"\x0ahostmaster", origin.as_wire()].concat();
        // A domain so long that it has no room for its mailbox has none.
        let mailbox = Name::from_wire(&mailbox).unwrap_or(Name::ROOT);
        rdata.extend_from_slice(mailbox.as_wire());
        let [refresh, retry, expire] = SOA_TIMERS;
        for number in [self.serial, refresh, retry, expire, seconds(*negative_ttl)] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata
    }
}

/// As a TTL (RFC 2181 §8).
fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX).min(crate::base::limits::TTL_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_nobody_works_on_do_not_pile_up() {
        let origin = Name::parse("hive.internal.").unwrap();
        let name = Name::parse("a.hive.internal.").unwrap();
        let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
        let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl: ttl, lease };
        let mut services = Services::new(terms, HashSeed::new([7; 16]));
        for i in 0..QUEUE_CHANGES_MAX as u32 + 5 {
            let address = i.to_be_bytes().as_slice().into();
            services.put(Source::Cluster, &name, RecordType::A, 5, vec![address]);
            assert!(services.queued() <= QUEUE_CHANGES_MAX);
        }
        services.finish();
        assert_eq!((services.queued(), services.writer.records()), (0, 1));
    }
}
