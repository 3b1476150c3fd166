//! Zones shared by the cluster: what members share becomes zones of this server, as if the configuration made it a
//! secondary of theirs; and members are told of the versions of what is shared here.
//!
//! ```text
//! members say ─► cluster::shares: whose counts, who is asked ─► entries of the configuration in memory ─► Secondaries
//! published here ─► a serial in this node's log ─► the others ask at once, as after NOTIFY
//! ```
//!
//! A zone that the configuration or a catalog of this node names stays what it is here. A zone that nobody shares any more
//! goes, and what is kept of it; one whose publisher is lost stays until its SOA says that it is over.

use crate::base::config::{Shared, ZoneFile};
use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::cluster::Followed;
use crate::control::exchange::apex;
use crate::control::status::ZoneStatus;
use crate::control::zone_status::zone_status;
use crate::control::{Control, zone_specs};
use crate::loader::{Source, ZoneSpec};
use crate::os::clock;
use crate::transfer::order::Order;
use crate::wire::name::Name;
use crate::zone::Serial;
use crate::zone::examples::EXAMPLES;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// What is known of shared zones.
#[derive(Default)]
pub(super) struct Shares {
    /// What comes from members.
    followed: BTreeMap<Name, Followed>,
    /// Whose version counts of the zones that this node has of its own, and that members share, too.
    beside: BTreeMap<Name, Followed>,
    /// The names of the keys that sign their transfers; the first signs here.
    keys: Vec<String>,
    /// Versions of zones shared here that members are to be told of once they are published.
    untold: Vec<(Name, Serial)>,
}

impl Control {
    /// Has zones be what members share.
    pub(super) fn take_shares(&mut self) {
        let Some(all) = self.cluster.take_followed() else { return };
        let before = self.follow(all);
        let keys = self.transfer_keys();
        if sources(&before) != sources(&self.shares.followed) || keys != self.shares.keys {
            self.shares.keys = keys;
            self.append_shared();
            // Orders are obeyed one after the other: news of a zone comes behind what it is.
            self.exchange_anew();
            self.cluster.keep_followed(&self.shares.followed);
        }
        let named: BTreeSet<Name> = self.others().filter_map(apex).collect();
        let is_gone =
            |origin: &&Name| !self.shares.followed.contains_key(*origin) && !named.contains(*origin);
        let gone: Vec<&Name> = before.keys().filter(is_gone).collect();
        self.due.note(!gone.is_empty());
        for origin in gone {
            tracing::info!(zone = %origin, "nobody shares it any more: what is kept of it goes");
            self.unfollow(origin);
        }
        for (origin, followed) in self.shares.followed.clone() {
            let by = &followed.from.by;
            match before.get(&origin) {
                None => {
                    tracing::info!(zone = %origin, %by, "a member shares a zone");
                    self.load_one(ZoneSpec { origin: origin.clone(), source: Source::Transfers });
                    self.due.note(true);
                    // What may be kept under its name is another zone.
                    let _ = (self.exchange.orders)(Order::Refresh(origin, true));
                }
                Some(old) if old.from.publisher != followed.from.publisher => {
                    tracing::warn!(zone = %origin, %by, was = %old.from.by, "another member's version counts");
                    // What its serials stand for is another zone: no steps lead from one to the other.
                    let _ = (self.exchange.orders)(Order::Refresh(origin, true));
                }
                Some(old) if old.serial != followed.serial && followed.serial.is_some() => {
                    let _ = (self.exchange.orders)(Order::Notified(origin, followed.serial));
                }
                // A copy that is over need not wait until it would have asked again.
                Some(old) if followed.lives && !old.lives => {
                    let _ = (self.exchange.orders)(Order::Notified(origin, None));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes over what members share, as far as this node has it from them; what it was before.
    fn follow(&mut self, mut all: BTreeMap<Name, Followed>) -> BTreeMap<Name, Followed> {
        let (me, is_synced) = (self.cluster.gossip.me().id.0, self.cluster.gossip.is_synced());
        let mut own: BTreeSet<Name> = self.others().filter_map(apex).collect();
        own.insert(self.cluster.domain().clone());
        if self.config.embedded_examples {
            own.extend(EXAMPLES.iter().filter_map(|(origin, _, _)| Name::parse(origin).ok()));
        }
        let beside: BTreeMap<Name, Followed> = all.extract_if(.., |origin, _| own.contains(origin)).collect();
        for (origin, followed) in beside.iter().filter(|(_, followed)| followed.from.publisher != me) {
            let was = self.shares.beside.get(origin).map(|followed| followed.from.publisher);
            if was != Some(followed.from.publisher) {
                self.tell_beside(origin, followed);
            }
        }
        self.shares.beside = beside;
        // Where nobody remembers the publisher a zone that is over does not come back by itself.
        let is_over = |origin: &Name| {
            let zone = self.state.zone(origin).filter(|_| self.shares.followed.contains_key(origin));
            zone.is_some_and(|zone| matches!(zone.content, ZoneContent::Expired(_) | ZoneContent::Faulty(_)))
        };
        all.retain(|origin, followed| {
            followed.from.publisher != me && (followed.is_member || !is_synced || !is_over(origin))
        });
        std::mem::replace(&mut self.shares.followed, all)
    }

    /// A member shares a zone that this node has of its own, and its version counts.
    fn tell_beside(&self, origin: &Name, followed: &Followed) {
        let (by, serial) = (&followed.from.by, followed.serial.map(|serial| serial.0));
        match self.zone_file(origin).is_some_and(|zone| zone.share) {
            true => tracing::warn!(
                zone = %origin, %by, serial,
                "a member shares this zone, too, and its version counts: the others have that, this node has its own"
            ),
            false => tracing::warn!(
                zone = %origin, %by, serial,
                "a member shares a zone that this node has of its own: here it stays what it is"
            ),
        }
    }

    /// The zones that this node does not have from members.
    fn others(&self) -> impl Iterator<Item = &ZoneFile> {
        self.config.zones.iter().filter(|zone| zone.share_of().is_none())
    }

    fn transfer_keys(&self) -> Vec<String> {
        self.cluster.transfer_keys().iter().map(|key| key.name().to_string()).collect()
    }

    /// Puts the zones that members share among those of the configuration.
    fn append_shared(&mut self) {
        self.config.zones.retain(|zone| zone.share_of().is_none());
        let shared = self.shares.followed.iter().filter_map(|(origin, followed)| {
            ZoneFile::shared(&origin.to_string(), followed.from.clone(), &self.shares.keys)
        });
        self.config.zones.extend(shared);
        self.find_zones_anew();
    }

    /// Lets a zone go; what was behind it, a built-in one, comes forth again.
    fn unfollow(&mut self, origin: &Name) {
        self.awaited.remove(origin);
        self.exchange.since.remove(origin);
        self.loader.forget(origin.clone());
        self.state.apply(Delta::DropZone { origin: origin.clone() });
        if let Some(spec) = zone_specs(&self.config).into_iter().find(|spec| spec.origin == *origin) {
            self.load_one(spec);
        }
    }

    fn load_one(&mut self, spec: ZoneSpec) {
        self.state.apply(Delta::PutZone { origin: spec.origin.clone(), content: ZoneContent::Pending });
        self.awaited.insert(spec.origin.clone(), self.round);
        self.loader.load(self.round, spec, None);
    }

    /// At the start: what is remembered of zones that members shared.
    pub(super) fn recall_shares(&mut self) {
        let all = self.cluster.followed();
        self.shares.keys = self.transfer_keys();
        let _ = self.follow(all);
        self.append_shared();
    }

    /// The configuration was read anew: what it names itself, and what it shares. What members say is as it was. Zones that
    /// come from members now, which have to be asked for as a whole.
    pub(super) fn shares_anew(&mut self) -> Vec<Name> {
        let mut all = self.shares.beside.clone();
        all.extend(self.shares.followed.clone());
        let before = self.follow(all);
        self.append_shared();
        self.cluster.keep_followed(&self.shares.followed);
        // A secondary of these servers may want what is kept; what has a file here has nothing to do with it.
        let named: BTreeSet<Name> =
            self.others().filter(|zone| zone.file().is_none()).filter_map(apex).collect();
        let is_gone =
            |origin: &&Name| !self.shares.followed.contains_key(*origin) && !named.contains(*origin);
        before.keys().filter(is_gone).for_each(|origin| self.loader.forget(origin.clone()));
        let shared = self.config.zones.iter().filter(|zone| zone.share).filter_map(apex);
        let versions: BTreeMap<Name, Serial> =
            shared.filter_map(|origin| Some((origin.clone(), self.served(&origin)?.serial()))).collect();
        let now = clock::moment(clock::now());
        self.cluster.share(now, &self.config, |origin| versions.get(origin).copied());
        self.shares.followed.keys().filter(|origin| !before.contains_key(*origin)).cloned().collect()
    }

    /// The node whose version of a zone that this one shares, too, all others have.
    pub(super) fn outdone_by(&self, origin: &Name) -> Option<&str> {
        let followed = self.shares.beside.get(origin)?;
        (followed.from.publisher != self.cluster.gossip.me().id.0).then_some(&*followed.from.by)
    }

    /// A version of a zone is about to be published: if the zone is shared here, members are told then.
    pub(super) fn note_shared(&mut self, origin: &Name, serial: Serial) {
        if self.zone_file(origin).is_some_and(|zone| zone.share) {
            self.shares.untold.push((origin.clone(), serial));
        }
    }

    /// Tells members of what was published.
    pub(super) fn tell_shared(&mut self) {
        let now = clock::moment(clock::now());
        for (origin, serial) in std::mem::take(&mut self.shares.untold) {
            self.cluster.share_version(now, &origin, serial);
        }
    }

    /// When a version that comes from members now was last known to be the newest: while the publisher lives it is that now,
    /// whoever had it; else when the publisher was last there. `None`: now.
    pub(super) fn vouched(&self, origin: &Name) -> Option<SystemTime> {
        let publisher = self.zone_file(origin)?.share_of()?.publisher;
        let away = self.cluster.away_for(clock::moment(clock::now()), publisher)?;
        Some(clock::wall().checked_sub(away).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// How all zones are; of shared ones, the node whose version all members have.
    pub(super) fn zone_statuses(&self) -> Vec<ZoneStatus> {
        let shared_by = |origin: &Name| {
            let followed = self.shares.followed.get(origin).or_else(|| self.shares.beside.get(origin));
            followed.map(|followed| followed.from.by.to_string())
        };
        let zones = self.state.zones().map(|(origin, zone)| ZoneStatus {
            shared_by: shared_by(origin),
            ..zone_status(origin, &zone.content)
        });
        zones.collect()
    }
}

/// Where zones come from.
fn sources(zones: &BTreeMap<Name, Followed>) -> Vec<(&Name, &Shared)> {
    zones.iter().map(|(origin, followed)| (origin, &followed.from)).collect()
}
