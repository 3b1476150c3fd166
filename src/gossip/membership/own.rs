//! What is said of ourselves, and what we say to that.
//!
//! Only we raise our incarnation. We do so to refute, to announce, and where the cluster remembers a later life of
//! ours than our disk does.
//!
//! **A cloned disk** gives two living processes one id. Each hears of the other as of itself with another boot, and
//! begins a new life above it. A dead one would say nothing to that; the living one answers by going above in turn.
//! Who hears of a rival a second time knows that it lives: then the lower boot keeps the id, and the higher one
//! yields. So a duel ends after four sayings at most.

use crate::base::time::Moment;
use crate::gossip::identity::{Generation, Incarnation, NodeId};
use crate::gossip::membership::frame::{Frame, Suspect};
use crate::gossip::membership::rumours::Key;
use crate::gossip::membership::settings::RIVALS_MAX;
use crate::gossip::membership::told::{Class, Told};
use crate::gossip::membership::{Membership, Output};
use crate::gossip::output::NodeInfo;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A process with our id.
#[derive(Debug)]
pub(super) struct Rival {
    /// What it told last.
    told: Told,
    /// How often it told something above ours.
    heard: u32,
}

impl Membership {
    /// What this node tells of itself.
    pub fn own(&self) -> &Arc<Told> {
        &self.own
    }

    /// This node is now known under another address or name.
    pub fn announce(&mut self, now: Moment, me: Arc<NodeInfo>) {
        self.notice_pause(now);
        if me.id == self.own.id() && me != self.own.info {
            let incarnation = self.own.incarnation.refute();
            self.tell_of_us(now, Told { info: me, incarnation, class: self.own.class });
        }
    }

    /// This node stops and will be back: nobody suspects it meanwhile. It judges nobody any more.
    pub fn announce_restarting(&mut self, now: Moment) {
        self.stop(now, Class::Restarting);
    }

    /// This node leaves for good.
    pub fn leave(&mut self, now: Moment) {
        self.stop(now, Class::Left);
    }

    fn stop(&mut self, now: Moment, class: Class) {
        self.notice_pause(now);
        let info = Arc::clone(&self.own.info);
        self.tell_of_us(now, Told { info, incarnation: self.own.incarnation.refute(), class });
        self.probes.clear();
        self.joins.clear();
    }

    /// After [`Output::Clash`]: this process goes on as another node. Whom it knew it still knows, and its rival
    /// keeps the old id.
    pub fn rename(&mut self, now: Moment, me: Arc<NodeInfo>, incarnation: Incarnation) {
        self.notice_pause(now);
        let old = Arc::clone(&self.own);
        if me.id == old.id() {
            return;
        }
        self.yielded = false;
        self.rumours.remove(Key::Told(old.id()));
        self.table.remove(&BTreeSet::from([me.id]));
        self.lost.remove(me.id);
        self.suspicions.end(me.id);
        self.rumours.remove_suspicion(me.id);
        self.tell_of_us(now, Told { info: me, incarnation, class: old.class });
        let newest = std::mem::take(&mut self.rivals).into_iter().map(|rival| rival.told);
        if let Some(rival) = newest.max_by_key(|told| (told.incarnation, told.class)) {
            self.learn(now, rival, Duration::ZERO, true);
        }
    }

    /// Somebody told something of us.
    pub(super) fn about_us(&mut self, now: Moment, told: Told) {
        if told.incarnation < self.own.incarnation {
            return;
        }
        if told.info.boot != self.own.info.boot {
            return self.rival(now, told);
        }
        // Nobody but us makes an Alive or a Restarting of ours; it could be higher only if we forgot.
        if told.beats(&self.own) {
            if told.class == Class::Down {
                // Others found us silent: perhaps it was our fault.
                self.worsen();
            }
            self.counts.refuted += 1;
            self.outdo(now, told.incarnation, false);
        }
    }

    /// We were found silent.
    pub(super) fn refute_suspicion(
        &mut self,
        now: Moment,
        from: NodeId,
        address: SocketAddr,
        suspect: Suspect,
    ) {
        if suspect.incarnation >= self.own.incarnation && !self.stopping() {
            self.worsen();
            self.counts.refuted += 1;
            self.outdo(now, suspect.incarnation, false);
            // Who found us silent must hear it before anybody.
            let by = self.table.get(suspect.by).filter(|by| by.id() != from);
            if let Some(to) = by.map(|by| by.info.address) {
                self.send(to, vec![self.introduction()]);
            }
            self.send(address, vec![self.introduction()]);
        } else if self.tell_now(from) {
            self.send(address, vec![self.introduction()]);
        }
    }

    fn rival(&mut self, now: Moment, told: Told) {
        let boot = told.info.boot;
        let (incarnation, lives) = (told.incarnation, told.class == Class::Alive);
        let heard = match self.rivals.iter_mut().find(|rival| rival.told.info.boot == boot) {
            Some(rival) => {
                rival.heard += u32::from(lives);
                rival.told = told;
                rival.heard
            }
            None => {
                if self.rivals.len() == RIVALS_MAX {
                    self.rivals.remove(0);
                }
                self.rivals.push(Rival { told, heard: u32::from(lives) });
                1
            }
        };
        if self.yielded {
            return;
        }
        if lives && heard > 1 && boot < self.own.info.boot {
            self.yielded = true;
            self.outputs.push_back(Output::Clash);
        } else {
            self.outdo(now, incarnation, true);
        }
    }

    /// Says of us what we said before, above that incarnation; as a new life, if it is another's or of one that
    /// we know nothing of.
    fn outdo(&mut self, now: Moment, incarnation: Incarnation, new_life: bool) {
        let own = self.own.incarnation;
        let above = if new_life || incarnation.generation > own.generation {
            Incarnation::first(Generation(incarnation.generation.max(own.generation).0.saturating_add(1)))
        } else {
            incarnation.max(own).refute()
        };
        self.tell_of_us(now, Told { incarnation: above, ..(*self.own).clone() });
        if above.generation != own.generation {
            self.outputs.push_back(Output::Raised { incarnation: above });
        }
    }

    fn tell_of_us(&mut self, now: Moment, told: Told) {
        let before = Some(std::mem::replace(&mut self.own, self.pool.share(told)));
        self.rumours.add(Key::Told(self.own.id()));
        let told = Arc::clone(&self.own);
        self.outputs.push_back(Output::Changed { health: told.health(), told, before });
        self.push_soon(now);
    }

    /// What we say to who asks who we are.
    pub(super) fn introduction(&self) -> Frame {
        Frame::Told { told: (*self.own).clone(), age_s: 0 }
    }
}
