//! Catalogs of zones (RFC 9432): what those that came list becomes zones of this server, as if the configuration named them;
//! and those that are made here list what the configuration names.
//!
//! A zone that the configuration names itself is nobody's member, whatever a catalog lists. One that two catalogs list stays
//! with the one that had it, until that says that it may go (`coo`).

use crate::base::config::{Content, ZoneFile};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::Control;
use crate::control::exchange::apex;
use crate::loader::received::{Arrival, Received};
use crate::loader::{Source, ZoneSpec};
use crate::os::clock;
use crate::transfer::catalog::{self, Members};
use crate::wire::name::Name;
use crate::zone::Serial;
use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

/// What is known of catalogs.
#[derive(Default)]
pub(super) struct Catalogs {
    /// What each that came lists, by its apex.
    listed: BTreeMap<Name, Members>,
    /// Under which label each member of ours stands, and in which catalog.
    members: BTreeMap<Name, (Name, Box<[u8]>)>,
    /// What each that is made here lists.
    made: BTreeMap<Name, BTreeSet<Name>>,
}

impl Control {
    /// True for a catalog that is made here.
    pub(super) fn is_made_here(&self, origin: &Name) -> bool {
        self.zone_file(origin).is_some_and(|zone| zone.content == Content::Catalog)
    }

    /// A zone is in place: if it is a catalog its members become zones of this server. True if that changed the state.
    pub(super) fn take_catalog(&mut self, origin: &Name) -> bool {
        let is_one = |zone: &ZoneFile| zone.catalog && !zone.primaries().is_empty();
        if !self.zone_file(origin).is_some_and(is_one) {
            return false;
        }
        let Some(zone) = self.at_hand(origin) else { return false };
        match catalog::read(&zone) {
            Ok(members) => {
                if self.catalogs.listed.get(origin) == Some(&members) {
                    return false;
                }
                tracing::info!(zone = %origin, members = members.len(), "a catalog of zones");
                self.catalogs.listed.insert(origin.clone(), members);
                self.take_members()
            }
            Err(broken) => {
                tracing::error!(zone = %origin, "no catalog: {broken}: its zones stay what they were");
                false
            }
        }
    }

    /// Which catalog has each zone that is listed.
    fn owners(&self) -> BTreeMap<Name, (Name, Box<[u8]>)> {
        let named = |zone: &ZoneFile| apex(zone).filter(|_| zone.is_own());
        let mut own: BTreeSet<Name> = self.config.zones.iter().filter_map(named).collect();
        own.insert(self.cluster.domain().clone());
        let mut owners: BTreeMap<Name, (Name, Box<[u8]>)> = BTreeMap::new();
        for (catalog, members) in &self.catalogs.listed {
            for (member, said) in members {
                if own.contains(member) {
                    tracing::warn!(zone = %member, %catalog, "a catalog lists a zone that the configuration names: that stays");
                    continue;
                }
                let place = (catalog.clone(), said.unique.clone());
                let Some((other, _)) = owners.get(member) else {
                    owners.insert(member.clone(), place);
                    continue;
                };
                // Each that lists it may have had it, or have been given it.
                let had = self.catalogs.members.get(member).map(|(had, _)| had);
                let lets_go = |from: &Name, to: &Name| {
                    let said = self.catalogs.listed.get(from).and_then(|members| members.get(member));
                    said.is_some_and(|said| said.owner_to_be.as_ref() == Some(to))
                };
                let moves = match had {
                    Some(had) if had == catalog => !lets_go(catalog, other),
                    Some(had) if had == other => lets_go(other, catalog),
                    Some(_) | None => false,
                };
                if moves {
                    owners.insert(member.clone(), place);
                } else if had.is_some_and(|had| had != catalog) {
                    tracing::warn!(zone = %member, %catalog, of = %other, "a catalog lists a zone of another: it stays there");
                }
            }
        }
        owners
    }

    /// Has zones be what catalogs list; true if that changed the state.
    fn take_members(&mut self) -> bool {
        let owners = self.owners();
        let before = std::mem::take(&mut self.catalogs.members);
        // Who stands under another label begins anew (RFC 9432 §5.6).
        let is_reset = |member: &Name| match (before.get(member), owners.get(member)) {
            (Some((had, old)), Some((has, new))) => had == has && old != new,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let gone: Vec<Name> = before.keys().filter(|member| is_reset(member)).cloned().collect();
        for member in &gone {
            tracing::info!(zone = %member, "no catalog lists it as it did: what is kept of it goes");
            self.awaited.remove(member);
            self.exchange.since.remove(member);
            self.loader.forget(member.clone());
            self.state.apply(Delta::DropZone { origin: member.clone() });
        }
        let new: Vec<Name> = owners
            .keys()
            .filter(|member| !before.contains_key(*member) || gone.contains(member))
            .cloned()
            .collect();
        let is_moved =
            before.iter().any(|(member, (had, _))| owners.get(member).is_some_and(|(has, _)| has != had));
        self.catalogs.members = owners;
        self.append_members();
        // A member of a catalog does not come from who shares it; one that is no member any more may.
        self.cluster.think_shares_over();
        if gone.is_empty() && new.is_empty() && !is_moved {
            return false;
        }
        self.exchange_anew();
        for member in &new {
            self.state.apply(Delta::PutZone { origin: member.clone(), content: ZoneContent::Pending });
            self.awaited.insert(member.clone(), self.round);
            let spec = ZoneSpec { origin: member.clone(), source: Source::Transfers };
            self.loader.load(self.round, spec, None);
        }
        true
    }

    /// Puts the members of catalogs among the zones of the configuration.
    fn append_members(&mut self) {
        self.config.zones.retain(|zone| zone.member_of.is_none());
        let catalogs: BTreeMap<Name, ZoneFile> =
            self.config.zones.iter().filter_map(|zone| Some((apex(zone)?, zone.clone()))).collect();
        let members = self
            .catalogs
            .members
            .iter()
            .filter_map(|(member, (catalog, _))| catalogs.get(catalog)?.member(&member.to_string()));
        let members: Vec<ZoneFile> = members.collect();
        self.config.zones.extend(members);
        self.find_zones_anew();
    }

    /// The configuration was read anew: which catalogs there are, and what it names itself.
    pub(super) fn catalogs_anew(&mut self) {
        let is_one = |zone: &&ZoneFile| zone.catalog && !zone.primaries().is_empty();
        let left: BTreeSet<Name> = self.config.zones.iter().filter(is_one).filter_map(apex).collect();
        self.catalogs.listed.retain(|catalog, _| left.contains(catalog));
        self.catalogs
            .made
            .retain(|catalog, _| self.config.zones.iter().any(|zone| apex(zone).as_ref() == Some(catalog)));
        // What is no member any more goes with all that the configuration does not name.
        self.catalogs.members = self.owners();
        self.append_members();
    }

    /// Makes the catalogs of this server's own zones, where they list something else than before.
    pub(super) fn make_catalogs(&mut self) {
        let own = self.config.zones.iter().filter(|zone| zone.file().is_some());
        let own: BTreeSet<Name> = own.filter_map(apex).map(|name| name.to_lowercase()).collect();
        let is_made = |zone: &&ZoneFile| zone.content == Content::Catalog;
        let catalogs: Vec<Name> = self.config.zones.iter().filter(is_made).filter_map(apex).collect();
        for origin in catalogs {
            if self.catalogs.made.get(&origin) == Some(&own) {
                continue;
            }
            let seconds = clock::wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let old = self.at_hand(&origin);
            // By the time of day, so that after a restart it is later than what others have.
            let by_clock = Serial(seconds as u32);
            let serial = match old.as_ref().map(|old| old.serial()) {
                Some(old) if !old.is_before(by_clock) => Serial(old.0.wrapping_add(1)),
                Some(_) | None => by_clock,
            };
            let received = Received::Whole(catalog::write(&origin, serial.0, &own));
            self.loader.put(Arrival {
                origin: origin.clone(),
                old,
                received,
                at: clock::wall(),
                is_kept: false,
            });
            self.catalogs.made.insert(origin, own.clone());
        }
    }
}
