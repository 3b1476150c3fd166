//! What others hear from us, and what our own user may ask: rumours that ride along, the whole table, members.

use crate::base::time::Moment;
use crate::gossip::codec::Malformed;
use crate::gossip::identity::NodeId;
use crate::gossip::membership::frame::{Frame, Suspect};
use crate::gossip::membership::rumours::{Allowance, Key, Rumours};
use crate::gossip::membership::told::{Class, Member, Told};
use crate::gossip::membership::{Counts, Membership};
use crate::gossip::replication::owners::BUCKETS;
use std::sync::Arc;
use std::time::Duration;

impl Membership {
    /// Appends rumours to a datagram that has room for so many octets and goes to so many members.
    pub fn piggyback(&mut self, now: Moment, room: usize, copies: u8, octets: &mut Vec<u8>) {
        // Most of the time nobody has anything to tell.
        if self.rumours.least_sent().is_none() {
            return;
        }
        let copies_sent = usize::from(copies.max(1));
        let allowed = Allowance {
            room,
            copies,
            // Who stops says all it has to say while it can.
            repeated_from: if self.stopping() { u8::MAX } else { self.settings.pushes },
            repeated_octets: self.pace.octets(now) / copies_sent,
            limit: self.repeats(),
        };
        let mut rumours: Rumours = std::mem::take(&mut self.rumours);
        let repeated = rumours.fill(allowed, octets, |key, octets| match self.news(now, key) {
            Some(frame) => {
                frame.emit(octets);
                true
            }
            None => false,
        });
        self.rumours = rumours;
        self.pace.spend(repeated * copies_sent);
    }

    fn news(&self, now: Moment, key: Key) -> Option<Frame> {
        match key {
            Key::Told(id) if id == self.own.id() => Some(self.introduction()),
            Key::Told(id) => self.table.get(id).map(|told| self.telling(now, told)),
            Key::Suspect(id, by) => {
                self.suspicions.get(id)?;
                let incarnation = self.table.get(id)?.incarnation;
                Some(Frame::Suspect(Suspect { id, incarnation, by }))
            }
        }
    }

    /// What is told of a member, as a frame.
    pub(super) fn telling(&self, now: Moment, told: &Arc<Told>) -> Frame {
        Frame::Told { told: (**told).clone(), age_s: self.age_s(now, told) }
    }

    fn age_s(&self, now: Moment, told: &Told) -> u32 {
        let age = self.lost.since(told.id()).map_or(0, |since| now.since(since).as_secs());
        u32::try_from(age).unwrap_or(u32::MAX)
    }

    /// What is told of these nodes, this one included, as frames: the answer to a digest that differs. Unknown ones
    /// are left out.
    pub fn rumours_for(&self, now: Moment, ids: impl IntoIterator<Item = NodeId>) -> Vec<Frame> {
        ids.into_iter().filter_map(|id| self.news(now, Key::Told(id))).collect()
    }

    /// Appends a piece of the table, this node first, then members by rising id: those behind `after`, as many as
    /// fit into so many octets. Returns what to ask for next; `None`: that was all.
    pub fn table_chunk(
        &self,
        now: Moment,
        after: Option<NodeId>,
        octets_max: usize,
        octets: &mut Vec<u8>,
    ) -> Option<NodeId> {
        let start = octets.len();
        if after.is_none() {
            self.own.encode(0, octets);
        }
        let mut last = after;
        for told in self.table.iter_after(after) {
            let before = octets.len();
            told.encode(self.age_s(now, told), octets);
            if octets.len() - start > octets_max && last != after {
                octets.truncate(before);
                return last;
            }
            last = Some(told.id());
        }
        None
    }

    /// Takes a piece of another's table. `spread`: what is new in it is told to others; who joins a cluster that
    /// knows itself keeps it to itself. On an error the part before it was taken.
    pub fn take_table(&mut self, now: Moment, octets: &[u8], spread: bool) -> Result<(), Malformed> {
        self.notice_pause(now);
        let mut rest = octets;
        while !rest.is_empty() {
            let (told, age_s, behind) = Told::decode(rest)?;
            self.learn(now, told, Duration::from_secs(u64::from(age_s)), spread);
            rest = behind;
        }
        Ok(())
    }

    /// Begins with these members, before anything else: for simulations that do not begin with a join. Nothing is told
    /// of them, neither to others nor to our user.
    pub fn restore(&mut self, now: Moment, members: impl IntoIterator<Item = Arc<Told>>) {
        let own = self.own.id();
        self.table.fill(members.into_iter().filter(|told| told.id() != own), &mut self.rng);
        let lost = self.table.iter_after(None).filter(|told| told.class != Class::Alive);
        lost.for_each(|told| self.lost.put(told.id(), told.class, now));
        self.push_soon(now);
    }

    /// All members but this node, by rising id.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.table.iter_after(None).map(|told| self.member(told))
    }

    /// A member; not this node.
    pub fn get(&self, id: NodeId) -> Option<Member> {
        self.table.get(id).map(|told| self.member(told))
    }

    fn member(&self, told: &Arc<Told>) -> Member {
        Member { told: Arc::clone(told), health: self.health(told), since: self.lost.since(told.id()) }
    }

    /// What is told of all members, this node not among them, by rising id; cheaper than [`Membership::members`].
    pub fn tellings(&self) -> impl Iterator<Item = &Arc<Told>> {
        self.table.iter_after(None)
    }

    /// Digests of what is told of all members, this node not among them, part by part: the exclusive-or of
    /// [`Told::digest`] over the members whose [`bucket_of`](crate::gossip::replication::owners::bucket_of) it is.
    /// Who has been lost for so long that it is forgotten within a minute is left out, so that nodes agree though they
    /// do not forget together.
    pub fn digests(&self) -> &[u64; BUCKETS] {
        self.table.digests()
    }

    /// Members that live or are only suspected, without this node.
    pub fn alive(&self) -> usize {
        self.table.alive()
    }

    /// Up to so many living members by lot, none twice, only those that are wanted.
    pub fn some_alive(&mut self, count: usize, wanted: impl Fn(&Told) -> bool) -> Vec<Arc<Told>> {
        self.table.some_alive(&mut self.rng, count, wanted)
    }

    /// How long pings of that member take, smoothed over the last ones that were answered at once; `None`: none was, since it
    /// lives there.
    pub fn round_trip(&self, id: NodeId) -> Option<Duration> {
        self.trips.get(id)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
