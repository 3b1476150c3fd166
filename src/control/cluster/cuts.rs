//! The domain as a zone for other servers, the node's part in it: it hands logs to the lagging copy, goes with it from cut to
//! cut, and makes the cuts if that is its turn. [`crate::discovery::cut`] says what a cut is.
//!
//! Only a node whose configuration lets the domain go to somebody has any of this, and says so in its log (a *wish*). Of
//! those that live and wish the one with the lowest id is the sequencer: it follows from membership, without a word more.
//!
//! **A node never serves an earlier serial than it has served.** It goes to the latest cut of which it has every log at the
//! cut's head; where it is beyond one it waits for the next.

use crate::base::time::Moment;
use crate::control::cluster::names::servers;
use crate::discovery::cut::entry::{CUT_KEY, Cut, Head, NETWORKS_MAX, Place, Terms, WISH_KEY, Wish};
use crate::discovery::cut::prefix::Heard;
use crate::discovery::cut::replica::{Lacking, Replica, Version};
use crate::discovery::cut::sequence::{Sequence, free_lane, next_serial};
use crate::discovery::names;
use crate::gossip::identity::{NodeId, Version as LogVersion};
use crate::gossip::machine::Gossip;
use crate::gossip::output::{Event, Health, Lease};
use crate::gossip::replication::log::{Entry, Log};
use crate::zone::Serial;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two cuts of one sequencer: secondaries ask no more often, and a cut costs every node its octets.
const CUT_EVERY: Duration = Duration::from_secs(1);
/// A cut is made after so long though nothing changed, so that serials do not fall behind the time of day, from which they go
/// on when nobody remembers them.
const CUT_AT_LEAST_EVERY: Duration = Duration::from_secs(86_400);
/// Between two looks whether a cut can be gone to: its parts come one after the other within milliseconds.
const FOLLOW_EVERY: Duration = Duration::from_millis(20);

/// What is configured.
#[derive(Debug, Clone)]
pub(in crate::control) struct Settings {
    /// How names are made.
    pub names: names::Terms,
    /// TTL of SOA and NS, in seconds.
    pub ttl: u32,
    /// TTL of absence, in seconds.
    pub negative_ttl: u32,
    /// How long a lost owner counts.
    pub lease: Duration,
}

/// What became of the zone that goes to others.
#[derive(Debug)]
pub(in crate::control) enum News {
    /// It has a later version.
    Later(Version),
    /// What this node makes of a cut is not what the sequencer makes of it: it has none to give.
    Withdrawn(Serial),
}

/// See the module.
pub(in crate::control) struct Cuts {
    settings: Settings,
    replica: Replica,
    /// What sequencers say, and said that are none any more.
    sequences: BTreeMap<NodeId, Sequence>,
    /// Who wants cuts.
    wishes: BTreeMap<NodeId, Wish>,
    served: Option<Serial>,
    /// What was served last was not put in place: it is given again.
    is_again: bool,
    /// The networks of those whom nobody knows.
    networks: Vec<u32>,
    /// The last cut that came to something else here.
    disputed: Option<Serial>,
    /// Something changed since cuts were looked for ...
    is_news: bool,
    /// ... and since one was made.
    is_due: bool,
    follow_at: Moment,
    cut_at: Moment,
    cut_again_at: Moment,
    /// The next lease that is over, or the next cut without a reason.
    next_end: Moment,
    news: Vec<News>,
    is_over: bool,
}

impl Cuts {
    /// Begins with all that is known.
    pub(in crate::control) fn new(now: Moment, settings: Settings, gossip: &Gossip) -> Cuts {
        let mut cuts = Cuts {
            replica: Replica::new(settings.names.clone()),
            settings,
            sequences: BTreeMap::new(),
            wishes: BTreeMap::new(),
            served: None,
            is_again: false,
            networks: Vec::new(),
            disputed: None,
            is_news: true,
            is_due: true,
            follow_at: now,
            cut_at: now,
            cut_again_at: now,
            next_end: Moment::NEVER,
            news: Vec::new(),
            is_over: false,
        };
        for owner in gossip.replication().owners().iter() {
            if let Some(log) = owner.shown() {
                cuts.records(owner.id(), log, None);
            }
        }
        for write in gossip.replication().cluster().iter() {
            cuts.replica.hear_set(write.key, write.value);
        }
        cuts
    }

    /// Something happened in the cluster.
    pub(in crate::control) fn hear(&mut self, event: &Event) {
        match event {
            // What members ask each other changes nothing.
            Event::Asked { .. } | Event::Known { .. } => return,
            Event::Records { owner, log, since } => self.records(*owner, log, *since),
            Event::Cluster { key, value, .. } if !key.is_empty() => {
                self.replica.hear_set(key, value.as_deref());
            }
            Event::Forgotten { id } => {
                self.replica.forgotten(id.0);
                self.sequences.remove(id);
                self.wishes.remove(id);
            }
            Event::Cluster { .. }
            | Event::ClusterReplaced { .. }
            | Event::Lease { .. }
            | Event::Member { .. }
            | Event::Synced { .. }
            | Event::Identity { .. }
            | Event::Keys
            | Event::Drained { .. }
            | Event::Resynced { .. }
            | Event::ExpiryFrozen(_) => {}
        }
        (self.is_news, self.is_due) = (true, true);
    }

    fn records(&mut self, owner: NodeId, log: &Log, since: Option<LogVersion>) {
        let heard = heard(log, since);
        if since.is_none() {
            self.sequences.remove(&owner);
        }
        let says = |(_, (key, _)): &(u64, (Box<[u8]>, _))| **key == *CUT_KEY || Head::owner(key).is_some();
        if self.sequences.contains_key(&owner) || heard.changes.iter().any(says) {
            let sequence = self.sequences.entry(owner).or_default();
            for (version, (key, value)) in &heard.changes {
                sequence.hear(*version, key, value.as_deref());
            }
            sequence.exact(heard.is_exact);
            if sequence.is_empty() {
                self.sequences.remove(&owner);
            }
        }
        match log.get(WISH_KEY).map(Wish::decode) {
            Some(Ok(wish)) => drop(self.wishes.insert(owner, wish)),
            Some(Err(_)) | None => drop(self.wishes.remove(&owner)),
        }
        if !self.replica.hear(owner.0, heard) {
            let _ = self.replica.hear(owner.0, self::heard(log, None));
        }
    }

    /// This node takes back what it says and says nothing any more; others' cuts it goes on following.
    pub(in crate::control) fn end(&mut self) {
        self.is_over = true;
    }

    /// The zone was not put in place: it is given whole next.
    pub(in crate::control) fn failed(&mut self) {
        self.replica.give_anew();
        (self.is_again, self.is_news) = (true, true);
    }

    /// The configuration does not want it any more.
    pub(in crate::control) fn take_back(self, now: Moment, gossip: &mut Gossip) {
        if let Some(own) = self.sequences.get(&gossip.me().id) {
            own.heads().keys().for_each(|owner| gossip.remove(now, &Head::key(*owner)));
        }
        gossip.remove(now, CUT_KEY);
        gossip.remove(now, WISH_KEY);
    }

    /// What became of the zone since this was asked.
    pub(in crate::control) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// When [`Cuts::turn`] is due though nothing happens.
    pub(in crate::control) fn next_wake(&self) -> Moment {
        let follow = if self.is_news { self.follow_at } else { Moment::NEVER };
        let cut = if self.is_due { self.cut_at } else { self.next_end.max(self.cut_at) };
        follow.min(cut)
    }

    /// The networks in which those are whom nobody knows, in the order in which they count.
    pub(in crate::control) fn set_networks(&mut self, networks: &[u32]) {
        let networks = networks.get(..NETWORKS_MAX).unwrap_or(networks);
        if self.networks != networks {
            self.networks = networks.to_vec();
            self.is_due = true;
        }
    }

    /// Does what is due; `seconds`: the time of day, from 1970; `is_synced`: this node knows all that there is.
    pub(in crate::control) fn turn(
        &mut self,
        (now, seconds): (Moment, u64),
        is_synced: bool,
        gossip: &mut Gossip,
    ) {
        if !is_synced {
            // That will be told.
            (self.is_news, self.is_due, self.next_end) = (false, false, Moment::NEVER);
            return;
        }
        let me = gossip.me().id;
        if !self.is_over {
            self.wish(now, gossip);
        }
        if self.is_news && self.follow_at <= now {
            (self.is_news, self.follow_at) = (false, now + FOLLOW_EVERY);
            self.follow(gossip);
        }
        if (self.is_due || self.next_end <= now) && self.cut_at <= now {
            self.is_due = false;
            self.next_end = match self.sequencer(gossip) {
                // What it took back it does not say again.
                _ if self.is_over => Moment::NEVER,
                Some(sequencer) if sequencer == me => self.cut(now, seconds, gossip),
                sequencer => {
                    sequencer.into_iter().for_each(|sequencer| self.leave_it_to(now, sequencer, gossip));
                    Moment::NEVER
                }
            };
        }
    }

    /// Says that this node wants cuts, in a lane of its own. Of two that took the same before they knew of each other the one
    /// with the higher id takes another. Otherwise it stays: were it a place among those that wish it, it would be another's
    /// wherever not the same ones are known, as when one starts again.
    fn wish(&self, now: Moment, gossip: &mut Gossip) {
        let me = gossip.me().id;
        let own = self.wishes.get(&me);
        let is_taken = |own: &Wish| self.wishes.range(..me).any(|(_, other)| other.lane == own.lane);
        if own.is_some_and(|own| !is_taken(own)) {
            return;
        }
        let others: BTreeSet<u8> =
            self.wishes.iter().filter(|(id, _)| **id != me).map(|(_, other)| other.lane).collect();
        let lane = free_lane(me.0, gossip.generation().0, &others);
        let serial = own.map_or(Serial(0), |own| own.serial);
        if own != Some(&Wish { serial, lane }) {
            gossip.put(now, WISH_KEY, &Wish { serial, lane }.value());
        }
    }

    /// Who makes cuts.
    fn sequencer(&self, gossip: &Gossip) -> Option<NodeId> {
        let lives = |id: &&NodeId| {
            let member = gossip.membership().get(**id);
            **id == gossip.me().id
                || member.is_some_and(|member| matches!(member.health, Health::Alive | Health::Suspect))
        };
        self.wishes.keys().find(lives).copied()
    }

    /// Goes to the latest cut of which all is there.
    fn follow(&mut self, gossip: &Gossip) {
        let mut later: Vec<(NodeId, u64, Cut)> = self
            .sequences
            .iter()
            .filter_map(|(id, sequence)| sequence.cut().map(|(at, cut)| (*id, at, cut.clone())))
            .filter(|(_, _, cut)| {
                self.served.is_none_or(|served| {
                    served.is_before(cut.serial) || (self.is_again && served == cut.serial)
                })
            })
            .filter(|(_, _, cut)| self.disputed != Some(cut.serial))
            .collect();
        later.sort_by_key(|(_, _, cut)| {
            // The latest first; how far each is from what is served tells them apart (RFC 1982).
            let from = self.served.map_or(cut.serial.0, |served| cut.serial.0.wrapping_sub(served.0));
            std::cmp::Reverse(from)
        });
        for (id, at, cut) in later {
            let Some(heads) = self.heads_of(id, at, gossip) else { continue };
            if self.go_to(&heads, cut.sets, &cut.terms, gossip).is_err() {
                continue;
            }
            if self.replica.hash() != cut.content {
                self.disputed = Some(cut.serial);
                self.replica.give_anew();
                self.news.push(News::Withdrawn(cut.serial));
                return;
            }
            (self.served, self.is_again) = (Some(cut.serial), false);
            self.news.push(News::Later(self.replica.give(cut.serial)));
            return;
        }
    }

    /// The heads of a sequencer's cut, its own being the cut itself.
    fn heads_of(&self, id: NodeId, at: u64, gossip: &Gossip) -> Option<BTreeMap<u64, Head>> {
        let log = gossip.replication().owners().get(id)?.shown()?;
        let mut heads = self.sequences.get(&id)?.heads().clone();
        let own = heads.get_mut(&id.0)?;
        own.place = Place { generation: log.generation().0, head: at };
        Some(heads)
    }

    /// Has the copy go there, telling it whole what it does not know.
    fn go_to(
        &mut self,
        heads: &BTreeMap<u64, Head>,
        sets: u64,
        terms: &Terms,
        gossip: &Gossip,
    ) -> Result<(), Lacking> {
        let mut asked = None;
        let gone = loop {
            match self.replica.advance(heads, sets, terms) {
                Ok(gone) => break gone,
                Err(Lacking::Owner(owner)) if asked < Some(owner) && self.tell_whole(owner, gossip) => {
                    // Owners are named by rising id: so each at most once.
                    asked = Some(owner);
                }
                Err(lacking) => return Err(lacking),
            }
        };
        for owner in gone {
            self.tell_whole(owner, gossip);
        }
        Ok(())
    }

    fn tell_whole(&mut self, owner: u64, gossip: &Gossip) -> bool {
        let log = gossip.replication().owners().get(NodeId(owner)).and_then(|owner| owner.shown());
        log.is_some_and(|log| self.replica.hear(owner, heard(log, None)))
    }

    /// Another one makes cuts. What this one said as a sequencer goes once there is a later cut.
    fn leave_it_to(&mut self, now: Moment, sequencer: NodeId, gossip: &mut Gossip) {
        let me = gossip.me().id;
        let theirs = self.sequences.get(&sequencer).and_then(|sequence| sequence.cut());
        let Some((_, theirs)) = theirs else { return };
        let theirs = theirs.serial;
        if let Some(own) = self.sequences.get(&me)
            && own.serial().is_none_or(|serial| serial.is_before(theirs))
        {
            let heads: Vec<u64> = own.heads().keys().copied().collect();
            heads.into_iter().for_each(|owner| gossip.remove(now, &Head::key(owner)));
            gossip.remove(now, CUT_KEY);
        }
        // Who begins anew may not know how far the cluster had come.
        if let Some(served) = self.served
            && theirs.is_before(served)
            && let Some(own) = self.wishes.get(&me)
            && own.serial != served
        {
            gossip.put(now, WISH_KEY, &Wish { serial: served, ..*own }.value());
        }
    }

    /// Makes a cut, if anything differs from the last one; when the next one is due though nothing happens.
    fn cut(&mut self, now: Moment, seconds: u64, gossip: &mut Gossip) -> Moment {
        let (me, own_name) = (gossip.me().id, gossip.me().name.clone());
        let (mut heads, next_end) = self.heads_now(now, gossip);
        let own = heads.get(&me.0).map(|head| head.place);
        // What this node says itself is told at once.
        let (Some(own), Some(&Wish { lane, .. })) = (own, self.wishes.get(&me)) else { return Moment::NEVER };
        let said = self.sequences.get(&me).cloned().unwrap_or_default();
        let known = self.known();
        let sets = self.replica.latest_sets();
        let terms = self.terms(gossip);
        // Its own head is the cut, whatever its version.
        let own_head = |place| Head { place, name: own_name.clone() };
        heads.insert(me.0, own_head(Place { head: 0, ..own }));
        let is_said = said.cut().is_some_and(|(_, cut)| {
            let is_latest = known.iter().all(|serial| *serial == cut.serial || serial.is_before(cut.serial));
            is_latest && cut.sets == sets && cut.terms == terms && *said.heads() == heads
        });
        let is_own_news = said.cut().is_none_or(|(at, _)| own.head > at);
        if is_said && !is_own_news && self.cut_again_at > now {
            return next_end.min(self.cut_again_at);
        }
        let mut there = heads.clone();
        there.insert(me.0, own_head(own));
        if self.go_to(&there, sets, &terms, gossip).is_err() {
            return now + CUT_EVERY;
        }
        let serial = next_serial(known, lane, seconds);
        let cut = Cut { serial, content: self.replica.hash(), sets, terms };
        for (owner, head) in &heads {
            if said.heads().get(owner) != Some(head) {
                gossip.put(now, &Head::key(*owner), &head.value());
            }
        }
        for owner in said.heads().keys().filter(|owner| !heads.contains_key(owner)) {
            gossip.remove(now, &Head::key(*owner));
        }
        gossip.put(now, CUT_KEY, &cut.value());
        (self.cut_at, self.cut_again_at) = (now + CUT_EVERY, now + CUT_AT_LEAST_EVERY);
        next_end.min(self.cut_again_at)
    }

    /// All serials that this node knows of.
    fn known(&self) -> Vec<Serial> {
        let said = self.sequences.values().filter_map(Sequence::serial);
        let told = self.wishes.values().map(|wish| wish.serial).filter(|serial| *serial != Serial(0));
        said.chain(told).chain(self.served).collect()
    }

    fn terms(&self, gossip: &Gossip) -> Terms {
        let Settings { ttl, negative_ttl, .. } = self.settings;
        Terms { ttl, negative_ttl, servers: servers(gossip), networks: self.networks.clone() }
    }

    /// The owners that count at present, each as far as a cut can be made, and when the next of them does not count any more.
    fn heads_now(&self, now: Moment, gossip: &Gossip) -> (BTreeMap<u64, Head>, Moment) {
        let me = gossip.me().id;
        let (mut heads, mut next_end) = (BTreeMap::new(), Moment::NEVER);
        for owner in gossip.replication().owners().iter().filter(|owner| owner.shown().is_some()) {
            let id = owner.id();
            let member = gossip.membership().get(id);
            let counts = match gossip.replication().leases().get(id) {
                _ if id == me => true,
                _ if member.is_none() => false,
                Lease::Full => true,
                Lease::Counting { since, .. } => {
                    let end = since + self.settings.lease;
                    if end > now {
                        next_end = next_end.min(end);
                    }
                    end > now
                }
                Lease::Frozen { spent } => spent < self.settings.lease,
                Lease::Hidden => false,
            };
            if let Some(place) = self.replica.latest(id.0).filter(|_| counts) {
                let name = member.map(|member| member.told.info.name.clone()).unwrap_or_default();
                heads.insert(id.0, Head { place, name });
            }
        }
        (heads, next_end)
    }
}

/// A log's news as the copy takes them.
fn heard(log: &Log, since: Option<LogVersion>) -> Heard {
    let change = |entry: &Entry<'_>| (entry.version.0, (entry.key.into(), entry.value.map(Box::from)));
    let mut changes: Vec<_> = match since {
        Some(since) => log.since(since).iter().map(change).collect(),
        None => log.records().map(|entry| change(&entry)).collect(),
    };
    changes.sort_unstable_by_key(|(version, _)| *version);
    Heard {
        place: Place { generation: log.generation().0, head: log.head().0 },
        is_exact: log.is_exact(),
        since: since.map(|since| since.0),
        changes,
    }
}

#[cfg(test)]
mod tests;
