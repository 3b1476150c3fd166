//! What becomes of news about others: tellings, suspicions, signs of life, oblivion.

use crate::base::time::Moment;
use crate::gossip::identity::{Incarnation, NodeId};
use crate::gossip::membership::frame::{Frame, Suspect};
use crate::gossip::membership::probe::Purpose;
use crate::gossip::membership::rumours::Key;
use crate::gossip::membership::settings::{CROWDED_OUT, FORGET_MARGIN, MEMBERS_MAX, TOLD_LATELY_MAX};
use crate::gossip::membership::suspicion::Suspicion;
use crate::gossip::membership::told::{Class, Told};
use crate::gossip::membership::{Membership, Output};
use crate::gossip::output::Health;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Of so many frames from a member's other address one is answered with what is told of it: often enough to end
/// a clash of two clones in seconds, and next to nothing for a node that only has two addresses.
const ELSEWHERE: u32 = 8;

impl Membership {
    /// Takes a telling if it beats what is known; `age`: for how long it has been so. `spread`: others are to hear
    /// of it from us.
    pub(super) fn learn(&mut self, now: Moment, told: Told, age: Duration, spread: bool) {
        let id = told.id();
        if id == self.own.id() {
            return self.about_us(now, told);
        }
        let before = self.table.get(id).cloned();
        match &before {
            Some(before) if !told.beats(before) => {
                if **before == told {
                    self.told_again(now.before(age), before);
                }
                return;
            }
            None if told.class != Class::Alive && age + FORGET_MARGIN >= self.settings.remembered => return,
            None if !self.make_room(told.class) => {
                self.counts.refused += 1;
                return;
            }
            Some(_) | None => {}
        }
        let told = self.pool.share(told);
        if !self.table.put(Arc::clone(&told), &mut self.rng) {
            self.counts.refused += 1;
            return;
        }
        if told.class == Class::Alive {
            self.lost.remove(id);
        } else {
            self.lost.put(id, told.class, now.before(age));
        }
        let stays = |before: &Arc<Told>| before.info.address == told.info.address;
        if told.class != Class::Alive || !before.as_ref().is_some_and(stays) {
            self.trips.forget(id);
        }
        self.suspicions.end(id);
        self.rumours.remove_suspicion(id);
        self.probes.retain(|probe| probe.target != id);
        if spread {
            self.rumours.add(Key::Told(id));
        }
        // Also what waited for somebody to be told to.
        self.push_soon(now);
        if let Some(before) = &before {
            self.tell_the_replaced(now, before, &told);
        }
        let health = told.health();
        self.outputs.push_back(Output::Changed { told, health, before });
    }

    /// What is known was told again, of who is lost with another age perhaps.
    fn told_again(&mut self, since: Moment, told: &Arc<Told>) {
        if self.lost.lengthen(told.id(), since) {
            // Leases count from then.
            let (told, health) = (Arc::clone(told), told.health());
            self.outputs.push_back(Output::Changed { before: Some(Arc::clone(&told)), told, health });
        }
    }

    /// A member that lives is said to live elsewhere, under another boot. If it still does where it was, it must
    /// hear of it, and news of it would only reach the other: some of us, by lot, tell it.
    fn tell_the_replaced(&mut self, now: Moment, before: &Told, told: &Arc<Told>) {
        let living = before.class == Class::Alive && told.class == Class::Alive;
        let other = before.info.boot != told.info.boot && before.info.address != told.info.address;
        if living && other && self.lot(u64::from(self.settings.opinions)) {
            let frame = self.telling(now, told);
            self.send(before.info.address, vec![frame]);
        }
    }

    /// Somebody (perhaps we) found a member silent.
    pub(super) fn accuse(&mut self, now: Moment, suspect: Suspect) {
        let Suspect { id, incarnation, by } = suspect;
        let own = by == self.own.id();
        let Some(told) = self.table.get(id).cloned() else { return };
        let known = own || (by != id && self.table.get(by).is_some());
        if self.stopping() || told.class != Class::Alive || told.incarnation != incarnation || !known {
            return;
        }
        let fresh = self.suspicions.get(id).is_none();
        if fresh {
            let wait = self.settings.bystander_wait;
            // Bystanders do not all speak up together.
            let bystander = wait + wait.mul_f64(self.rng.f64());
            self.suspicions.begin(now, id, bystander);
        }
        let news = self.suspicions.get(id).is_some_and(|suspicion| suspicion.by.lacks(by));
        if news || own {
            self.change_suspicion(now, id, |suspicion| {
                suspicion.own |= own;
                suspicion.by.add(by);
            });
        }
        if news {
            self.rumours.add(Key::Suspect(id, by));
            self.push_soon(now);
        }
        if fresh {
            let (told, before) = (Arc::clone(&told), Some(Arc::clone(&told)));
            self.outputs.push_back(Output::Changed { told, health: Health::Suspect, before });
        }
        if own && news {
            // It should be the first to know.
            self.send(told.info.address, vec![Frame::Suspect(suspect)]);
        }
        if fresh && !own && self.lot(u64::from(self.settings.opinions)) {
            self.probe(now, &told, Purpose::Opinion);
        }
    }

    fn change_suspicion(&mut self, now: Moment, id: NodeId, change: impl FnOnce(&mut Suspicion)) {
        let nodes = self.table.alive() + 1;
        let (settings, score) = (&self.settings, u32::from(self.score));
        self.suspicions.change(now, id, change, |suspicion| {
            let confirmed = suspicion.by.as_slice().len().saturating_sub(1);
            let wait = if suspicion.own { Duration::ZERO } else { suspicion.bystander };
            settings.suspicion(nodes, confirmed) * (score + 1) + wait
        });
    }

    /// Whose time is over gets a last check.
    pub(super) fn end_suspicions(&mut self, now: Moment) {
        if self.stopping() {
            return;
        }
        while let Some(id) = self.suspicions.due(now) {
            // By then the check is over; or, where too many were under way, it begins.
            let again = self.stretched(self.settings.last_check) + self.settings.period;
            self.suspicions.postpone(now, id, again);
            if let Some(told) = self.table.get(id).cloned() {
                self.probe(now, &told, Purpose::Last);
            }
        }
    }

    pub(super) fn declare_down(&mut self, now: Moment, id: NodeId, incarnation: Incarnation) {
        let Some(told) = self.table.get(id).filter(|told| told.incarnation == incarnation) else { return };
        if told.class == Class::Alive && self.suspicions.get(id).is_some() {
            let down = Told { class: Class::Down, ..(**told).clone() };
            self.counts.declared_down += 1;
            self.learn(now, down, Duration::ZERO, true);
        }
    }

    /// An operator says that a node is gone for good. Holds against all that is known of its incarnation; if it
    /// lives after all, it will refute. False: it is not known.
    pub fn declare_left(&mut self, now: Moment, id: NodeId) -> bool {
        self.notice_pause(now);
        let Some(told) = self.table.get(id) else { return false };
        let left = Told { class: Class::Left, ..(**told).clone() };
        self.learn(now, left, Duration::ZERO, true);
        true
    }

    /// `id` itself said something just now.
    pub(super) fn sign_of_life(&mut self, now: Moment, id: NodeId, address: SocketAddr) {
        self.answered(id);
        if self.suspicions.get(id).is_some() {
            self.change_suspicion(now, id, |suspicion| suspicion.since = now);
        }
        match self.table.get(id).map(|told| (told.class, Arc::clone(told))) {
            Some((Class::Alive, told)) => {
                // Another process under the same id, or only a node with several addresses: now and then it is
                // told where it is said to be.
                let elsewhere = told.info.address != address;
                if elsewhere && self.rng.u32(..ELSEWHERE) == 0 && self.tell_now(id) {
                    let frame = self.telling(now, &told);
                    self.send(address, vec![frame]);
                }
            }
            Some((Class::Restarting, _)) => {}
            Some((Class::Down | Class::Left, told)) => {
                // It does not know, or it would have refuted.
                if self.tell_now(id) {
                    let frame = self.telling(now, &told);
                    self.send(address, vec![frame]);
                }
            }
            None => self.ask_who(id, address),
        }
    }

    /// Asks an unknown node to say who it is.
    pub(super) fn ask_who(&mut self, id: NodeId, address: SocketAddr) {
        if self.table.get(id).is_none() && self.tell_now(id) {
            self.send(address, vec![Frame::Who]);
        }
    }

    /// True for so many of all living nodes, by lot.
    pub(super) fn lot(&mut self, winners: u64) -> bool {
        self.rng.u64(..=self.table.alive() as u64) < winners
    }

    /// True once for each node in a period.
    pub(super) fn tell_now(&mut self, id: NodeId) -> bool {
        self.told_lately.len() < TOLD_LATELY_MAX && self.told_lately.insert(id)
    }

    /// True if there is a place for a node of that class, if need be because the longest lost are forgotten. So many
    /// places as are made at once are kept for those who live: else news of the forgotten would take them.
    fn make_room(&mut self, class: Class) -> bool {
        let alive = class == Class::Alive;
        if alive && self.table.len() >= MEMBERS_MAX {
            let longest = self.lost.longest(CROWDED_OUT);
            self.forget(longest.into_iter().collect());
        }
        self.table.len() < if alive { MEMBERS_MAX } else { MEMBERS_MAX - CROWDED_OUT }
    }

    /// Whose restart takes too long is down; who was lost long ago is forgotten, and before that no longer compared.
    pub(super) fn let_time_pass(&mut self, now: Moment) {
        let (remembered, restarting) = (self.settings.remembered, self.settings.restarting);
        let (mut overdue, mut fading, mut forgotten) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (id, class, since) in self.lost.iter() {
            let lasts = now.since(since);
            if lasts >= remembered {
                forgotten.insert(id);
            } else if class == Class::Restarting && lasts >= restarting {
                overdue.push((id, lasts));
            } else if lasts + FORGET_MARGIN >= remembered {
                fading.push(id);
            }
        }
        for (id, lasts) in overdue {
            if let Some(told) = self.table.get(id) {
                let down = Told { class: Class::Down, ..(**told).clone() };
                // Its lease has counted since it stopped.
                self.learn(now, down, lasts, true);
            }
        }
        fading.into_iter().for_each(|id| self.table.fade(id));
        self.forget(forgotten);
    }

    fn forget(&mut self, ids: BTreeSet<NodeId>) {
        if ids.is_empty() {
            return;
        }
        for told in self.table.remove(&ids) {
            self.lost.remove(told.id());
            self.trips.forget(told.id());
            self.rumours.remove(Key::Told(told.id()));
            self.outputs.push_back(Output::Forgotten { told });
        }
    }
}
