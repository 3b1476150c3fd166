//! What the control thread knows, and how a snapshot comes of it. No I/O, no clock.

use crate::base::network::Networks;
use crate::base::time::Moment;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::catalog::lease::Source;
use crate::catalog::reverse::cover;
use crate::catalog::services::Services;
use crate::catalog::snapshot::{MetricsSlot, Outward, Revision, Snapshot, ZoneEntry};
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::reverse::zones_of;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::addresses::Known;
use crate::zone::plain::Unsealer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A zone and where its counters stand.
#[derive(Debug, Clone)]
pub struct ZoneState {
    /// What it is.
    pub content: ZoneContent,
    /// Where its counters stand.
    pub metrics: MetricsSlot,
}

/// A place in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// All that deltas have said so far.
pub struct State {
    seed: HashSeed,
    revision: Revision,
    identity: String,
    zones: BTreeMap<Name, ZoneState>,
    /// Origins in the order of their slots: a zone that comes back finds its counters again.
    slots: Vec<Name>,
    slots_max: u16,
    /// Suffixes that belong to others, though a zone of ours stands above.
    ceded: Vec<Name>,
    services: Option<Box<Services>>,
    /// The networks whose addresses have names, and the zones of those.
    reverse: (Networks, Vec<Name>),
    synced: bool,
    /// The latest moment that anybody told.
    now: Moment,
}

impl State {
    /// Nothing yet. The first origins get counters of their own; those beyond share the last
    /// of `slots_max`, which must be at least 1.
    pub fn new(seed: HashSeed, slots_max: u16) -> State {
        State {
            seed,
            revision: Revision(0),
            identity: String::new(),
            zones: BTreeMap::new(),
            slots: Vec::new(),
            slots_max,
            ceded: Vec::new(),
            services: None,
            reverse: Default::default(),
            synced: false,
            now: Moment::START,
        }
    }

    /// Takes a change.
    pub fn apply(&mut self, delta: Delta) {
        match delta {
            Delta::PutZone { origin, content } => {
                let metrics = self.slot(&origin);
                self.set_outward(&origin, &content);
                self.zones.insert(origin, ZoneState { content, metrics });
            }
            Delta::DropZone { origin } => {
                self.zones.remove(&origin);
                self.set_outward(&origin, &ZoneContent::Pending);
            }
            Delta::Cede { suffixes } => self.ceded = suffixes,
            Delta::Identify { identity } => self.identity = identity,
            Delta::OpenServices(terms) => {
                self.slot(&terms.origin);
                match &mut self.services {
                    Some(services) if services.terms().origin == terms.origin => services.set_terms(*terms),
                    _ => {
                        let mut services = Services::new(*terms, self.seed);
                        services.expire(self.now);
                        services.set_reverse(self.reverse.0.clone());
                        self.services = Some(Box::new(services));
                    }
                }
            }
            Delta::Reverse { networks } => {
                let mut zones: Vec<Name> = networks.iter().flat_map(zones_of).collect();
                zones.sort();
                self.reverse = (Networks::new(networks), zones);
                let networks = self.reverse.0.clone();
                self.on_services(|services| services.set_reverse(networks));
            }
            Delta::CloseServices => self.services = None,
            Delta::PutRecords { source, name, rtype, ttl, rdatas } => {
                self.on_services(|services| services.put(source, &name, rtype, ttl, rdatas));
            }
            Delta::DropRecords { source, name, rtype } => {
                self.on_services(|services| services.put(source, &name, rtype, 0, Vec::new()));
            }
            Delta::RenewOwner { owner } => self.on_services(|services| services.renew(owner)),
            Delta::DropOwner { owner } => self.on_services(|services| services.forget(owner)),
            Delta::Lease { owner, lease } => {
                self.on_services(|services| services.set_lease(Source::Owner(owner), lease));
            }
            Delta::PutAddress { address, asker, name } => {
                let is_known = asker.is_some() || name.is_some();
                let known = is_known.then_some(Known { asker, name });
                self.on_services(|services| services.put_address(address, known));
            }
            Delta::Outsiders { asker } => self.on_services(|services| services.set_outsiders(asker)),
            Delta::Synced(synced) => self.synced = synced,
        }
    }

    /// A zone of the services' origin is what other servers get of them.
    fn set_outward(&mut self, origin: &Name, content: &ZoneContent) {
        let Some(services) = self.services.as_mut().filter(|services| services.terms().origin == *origin)
        else {
            return;
        };
        services.set_outward(match content {
            ZoneContent::Sealed(zone) => soa_rdata(zone),
            ZoneContent::Pending | ZoneContent::Expired(_) | ZoneContent::Faulty(_) => None,
        });
    }

    fn on_services(&mut self, change: impl FnOnce(&mut Services)) {
        if let Some(services) = &mut self.services {
            change(services);
        }
    }

    /// Works for some milliseconds on what was applied to the services; false once nothing is left to do. Without
    /// it [`State::snapshot`] does all at once.
    pub fn work(&mut self, now: Moment) -> bool {
        self.expire(now);
        self.services.as_mut().is_some_and(|services| services.work())
    }

    /// True if a snapshot made now would neither have to work for long nor miss what has been worked on.
    pub fn is_whole(&self) -> bool {
        self.services.as_ref().is_none_or(|services| services.is_whole())
    }

    /// Stands for all changes of the services that were applied so far; see [`State::is_done`].
    pub fn mark(&self) -> Mark {
        Mark(self.services.as_ref().map_or(0, |services| services.handed_in()))
    }

    /// True if a snapshot made now has all changes that were applied before the mark was made.
    pub fn is_done(&self, mark: Mark) -> bool {
        self.services.as_ref().is_none_or(|services| mark.0.min(services.handed_in()) <= services.done())
    }

    /// The earliest moment at which a service's record is over; [`Moment::NEVER`] if none will be.
    pub fn next_expiry(&self) -> Moment {
        self.services.as_ref().map_or(Moment::NEVER, |services| services.next_expiry())
    }

    /// What is over at `now` is to be no longer served: [`State::work`] or the next snapshot sees to it.
    pub fn expire(&mut self, now: Moment) {
        self.now = self.now.max(now);
        let now = self.now;
        self.on_services(|services| services.expire(now));
    }

    /// The domain of service names.
    pub fn services(&self) -> Option<&Services> {
        self.services.as_deref()
    }

    /// True if the records of the cluster are known.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The present state as a snapshot with the next revision: all that was applied, nothing that is over at `now`.
    pub fn snapshot(&mut self, now: Moment) -> Snapshot {
        self.expire(now);
        self.on_services(Services::finish);
        self.snapshot_so_far()
    }

    /// As [`State::snapshot`], but with only as much of the services as has been worked on so far.
    pub fn snapshot_so_far(&mut self) -> Snapshot {
        self.revision.0 += 1;
        let services = match &mut self.services {
            Some(services) => {
                let zone = services.zone();
                Some((services.terms().origin.clone(), zone))
            }
            None => None,
        };
        let services = services.map(|(origin, zone)| (self.slot(&origin), origin, zone));
        // A zone of the same origin is not what is answered from.
        let zones = self
            .zones
            .iter()
            .filter(|(origin, _)| services.as_ref().is_none_or(|(_, services, _)| services != *origin));
        let mut entries: Vec<(&Name, ZoneEntry)> = zones
            .map(|(origin, state)| {
                let zone = match &state.content {
                    ZoneContent::Sealed(zone) => Some(Arc::clone(zone)),
                    ZoneContent::Pending | ZoneContent::Expired(_) | ZoneContent::Faulty(_) => None,
                };
                (origin, ZoneEntry::new(origin, zone, state.metrics))
            })
            .collect();
        if let Some((metrics, origin, zone)) = &services {
            let place = entries.partition_point(|(other, _)| *other < origin);
            let mut entry = ZoneEntry::new(origin, zone.clone(), *metrics);
            let outward = self.zones.get(origin).filter(|_| self.synced);
            entry.outward = Outward::Apart(match outward.map(|outward| &outward.content) {
                Some(ZoneContent::Sealed(zone)) => Some(Arc::clone(zone)),
                _ => None,
            });
            if !self.synced {
                // What was kept on disk is served before anybody was met; absence is not known yet.
                entry.part = entry.zone.take();
            }
            entries.insert(place, (origin, entry));
        }
        for suffix in &self.ceded {
            // A zone of the same name keeps it.
            if let Err(place) = entries.binary_search_by(|(other, _)| (*other).cmp(suffix)) {
                let entry = ZoneEntry { is_ceded: true, ..ZoneEntry::new(suffix, None, MetricsSlot(0)) };
                entries.insert(place, (suffix, entry));
            }
        }
        let reverse = self.services.as_ref().and_then(|services| services.reverse(self.synced));
        if let (Some(_), Some((_, services, _))) = (&reverse, &services) {
            cover(&mut entries, &self.reverse.1, services);
        }
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        let snapshot = Snapshot::new(self.revision, self.seed, &self.identity, entries);
        match reverse {
            Some(reverse) => snapshot.with_reverse(reverse),
            None => snapshot,
        }
    }

    /// The zones, by rising origin.
    pub fn zones(&self) -> impl Iterator<Item = (&Name, &ZoneState)> {
        self.zones.iter()
    }

    /// A zone by its origin.
    pub fn zone(&self, origin: &Name) -> Option<&ZoneState> {
        self.zones.get(origin)
    }

    /// Origins by slot number.
    pub fn slots(&self) -> &[Name] {
        &self.slots
    }

    fn slot(&mut self, origin: &Name) -> MetricsSlot {
        let known = self.slots.iter().position(|known| known == origin);
        let slot = known.unwrap_or_else(|| {
            if self.slots.len() < usize::from(self.slots_max) - 1 {
                self.slots.push(origin.clone());
                self.slots.len() - 1
            } else {
                usize::from(self.slots_max) - 1
            }
        });
        MetricsSlot(slot as u16)
    }
}

/// The RDATA of a zone's SOA.
fn soa_rdata(zone: &Zone) -> Option<Box<[u8]>> {
    let (apex, mut rdata) = (zone.apex(), None);
    let soa = apex.rrset(RecordType::SOA)?;
    Unsealer::default().each(zone, &apex, &soa, |record| rdata = Some(record.rdata.into()));
    rdata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_beyond_the_slots_share_the_last() {
        let mut state = State::new(HashSeed::new([1; 16]), 3);
        for origin in ["a.", "b.", "c.", "d.", "a."] {
            let origin = Name::parse(origin).unwrap();
            state.apply(Delta::PutZone { origin, content: ZoneContent::Pending });
        }
        let slots: Vec<u16> = state.zones().map(|(_, zone)| zone.metrics.0).collect();
        assert_eq!((slots, state.slots().len()), (vec![0, 1, 2, 2], 2));
    }
}
