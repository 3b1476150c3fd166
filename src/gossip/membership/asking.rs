//! Asking whether members live: the rounds, the probes and their ways, first contacts.

use crate::base::time::Moment;
use crate::gossip::identity::NodeId;
use crate::gossip::membership::frame::{Frame, Sequence, Suspect};
use crate::gossip::membership::probe::{Probe, Purpose, Relay, Tried};
use crate::gossip::membership::settings::{JOINS_MAX, PROBES_MAX, RELAYS_MAX};
use crate::gossip::membership::told::{Class, Told};
use crate::gossip::membership::{Membership, Output};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An address at which nobody is known yet.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) address: SocketAddr,
    sequence: Sequence,
    pub(super) next: Moment,
    wait: Duration,
}

impl Membership {
    /// Looks for nodes at these addresses until somebody answers there, which [`Output::Met`] tells. Addresses of
    /// living members are passed over, and so are more than 256; a later call replaces those not yet answered.
    pub fn join(&mut self, now: Moment, addresses: &[SocketAddr]) {
        let own = self.own.info.address;
        let alive = self.table.iter_after(None).filter(|told| told.class == Class::Alive);
        let known: BTreeSet<SocketAddr> = alive.map(|told| told.info.address).chain([own]).collect();
        let mut wanted: BTreeSet<SocketAddr> = addresses.iter().copied().collect();
        wanted.retain(|address| !known.contains(address));
        self.joins.retain(|join| wanted.remove(&join.address));
        for address in wanted.into_iter().take(JOINS_MAX.saturating_sub(self.joins.len())) {
            let sequence = self.next_sequence();
            self.joins.push(Join { address, sequence, next: now, wait: self.settings.join_wait });
        }
        self.ask_joins(now);
    }

    fn ask_joins(&mut self, now: Moment) {
        for at in 0..self.joins.len() {
            let Some(join) = self.joins.get_mut(at).filter(|join| join.next <= now) else { continue };
            join.next = now + join.wait;
            join.wait = (join.wait * 2).min(self.settings.join_wait_max);
            let (address, sequence) = (join.address, join.sequence);
            self.send(address, vec![Frame::Ping(sequence)]);
        }
    }

    /// A frame under our own id: an echo of ours, because an address to join is our own; or another process uses
    /// our id, and then both must learn of it.
    pub(super) fn look_in_the_mirror(
        &mut self,
        now: Moment,
        from: NodeId,
        address: SocketAddr,
        frame: Frame,
    ) {
        if let Frame::Ping(sequence) = frame
            && let Some(echo) = self.joins.iter().position(|join| join.sequence == sequence)
        {
            self.joins.swap_remove(echo);
            return;
        }
        if let Frame::Told { told, .. } = frame {
            self.about_us(now, told);
        } else if self.told_lately.insert(from) {
            self.send(address, vec![self.introduction()]);
        }
    }

    /// One period is over.
    pub(super) fn round(&mut self, now: Moment) {
        self.round_at = now + self.stretched(self.settings.period);
        self.told_lately.clear();
        self.let_time_pass(now);
        if self.stopping() {
            return;
        }
        self.ping_somebody_lost(now);
        if let Some(told) = self.table.next_turn(&mut self.rng) {
            self.probe(now, &told, Purpose::Turn);
        }
    }

    /// Somebody who was declared down may be back, or have been cut off: it is told what is thought of it, so
    /// that it can refute.
    fn ping_somebody_lost(&mut self, now: Moment) {
        let down = self.lost.down();
        if !self.lot(u64::from(self.settings.lost_pings).saturating_mul(down as u64)) {
            return;
        }
        let lost = self.lost.nth_down(self.rng.usize(..down));
        let Some(told) = lost.and_then(|id| self.table.get(id)).cloned() else { return };
        let sequence = self.next_sequence();
        let frames = vec![self.telling(now, &told), Frame::Ping(sequence)];
        self.send(told.info.address, frames);
    }

    /// Begins to ask a member. One question at a time is enough, unless it is the last.
    pub(super) fn probe(&mut self, now: Moment, told: &Arc<Told>, purpose: Purpose) -> bool {
        let last = purpose == Purpose::Last;
        if self.probes.len() >= PROBES_MAX {
            return false;
        }
        if self.probes.iter().any(|p| p.target == told.id() && (!last || p.purpose == Purpose::Last)) {
            return false;
        }
        let ack_wait = self.round_trip.ack_wait(&self.settings);
        let mut probe = Probe {
            target: told.id(),
            incarnation: told.incarnation,
            address: told.info.address,
            sequence: self.next_sequence(),
            purpose,
            tried: if last { Tried::AllOnce } else { Tried::Ping },
            started: now,
            due: now + self.stretched(ack_wait),
            helpers: Vec::new(),
            nacks: Vec::new(),
        };
        self.ping(&probe);
        if last {
            self.ask_helpers(&mut probe);
            self.outputs.push_back(Output::ProbeStream { to: probe.address });
        }
        self.probes.push(probe);
        true
    }

    /// A ping; if its target is suspect, it is the first to be told (Lifeguard's buddy system).
    fn ping(&mut self, probe: &Probe) {
        let ping = Frame::Ping(probe.sequence);
        let by = self.suspicions.get(probe.target).and_then(|suspicion| suspicion.by.as_slice().first());
        let suspect = by.map(|by| Suspect { id: probe.target, incarnation: probe.incarnation, by: *by });
        let frames = suspect.map(Frame::Suspect).into_iter().chain([ping]).collect();
        self.send(probe.address, frames);
    }

    fn ask_helpers(&mut self, probe: &mut Probe) {
        let suspicions = &self.suspicions;
        // A suspect would not help.
        let wanted = |told: &Told| told.id() != probe.target && suspicions.get(told.id()).is_none();
        let helpers = self.table.some_alive(&mut self.rng, self.settings.helpers, wanted);
        for helper in &helpers {
            let request = Frame::PingReq(probe.sequence, probe.target);
            self.send(helper.info.address, vec![request]);
        }
        probe.helpers = helpers.iter().map(|helper| helper.id()).collect();
    }

    /// Tries the next way where an answer is overdue, tells askers that there is none, asks at addresses to join.
    pub(super) fn go_on_asking(&mut self, now: Moment) {
        while let Some(at) = self.probes.iter().position(|probe| probe.due <= now) {
            let mut probe = self.probes.swap_remove(at);
            let end = match probe.purpose {
                Purpose::Turn | Purpose::Opinion => self.settings.period,
                Purpose::Last => self.settings.last_check,
            };
            let end = probe.started + self.stretched(end);
            let again = end.min(now + self.stretched(self.settings.ping_again));
            match probe.tried {
                Tried::Ping => {
                    self.ping(&probe);
                    self.ask_helpers(&mut probe);
                    probe.tried = Tried::Helpers;
                    probe.due = probe.started + self.stretched(self.settings.stream_after);
                }
                Tried::Helpers => {
                    self.outputs.push_back(Output::ProbeStream { to: probe.address });
                    self.ping(&probe);
                    probe.tried = Tried::All;
                    probe.due = again;
                }
                Tried::AllOnce => {
                    self.ping(&probe);
                    probe.tried = Tried::All;
                    probe.due = again;
                }
                Tried::All if now < end => {
                    self.ping(&probe);
                    probe.due = again;
                }
                Tried::All => {
                    self.silent(now, &probe);
                    continue;
                }
            }
            self.probes.push(probe);
        }
        while let Some(at) = self.relays.iter().position(|relay| relay.nack_at <= now) {
            let relay = self.relays.swap_remove(at);
            self.send(relay.asker_address, vec![Frame::Nack(relay.asker_sequence)]);
        }
        self.ask_joins(now);
    }

    /// All that was asked is asked again, as if it had not been.
    pub(super) fn ask_anew(&mut self, now: Moment) {
        for old in std::mem::take(&mut self.probes) {
            let told = self.table.get(old.target).filter(|told| told.class == Class::Alive).cloned();
            if let Some(told) = told {
                self.probe(now, &told, old.purpose);
            }
        }
    }

    /// Somebody asks us to ping a member.
    pub(super) fn relay(
        &mut self,
        now: Moment,
        asker_address: SocketAddr,
        asker_sequence: Sequence,
        target: NodeId,
    ) {
        if target == self.own.id() {
            return self.send(asker_address, vec![Frame::Ack(asker_sequence)]);
        }
        let known = self.table.get(target).filter(|told| told.class == Class::Alive).cloned();
        let Some(told) = known.filter(|_| self.relays.len() < RELAYS_MAX) else {
            return self.send(asker_address, vec![Frame::Nack(asker_sequence)]);
        };
        let sequence = self.next_sequence();
        // Not stretched: the asker waits for the nack.
        let nack_at = now + self.round_trip.ack_wait(&self.settings);
        self.relays.push(Relay { asker_address, asker_sequence, target, nack_at });
        self.send(told.info.address, vec![Frame::Ping(sequence)]);
    }

    /// An ack: of a ping of ours, of a ping for somebody else, of a first contact; or a helper's.
    pub(super) fn acked(&mut self, now: Moment, from: NodeId, address: SocketAddr, sequence: Sequence) {
        if let Some(probe) = self.probes.iter().find(|probe| probe.sequence == sequence) {
            // Which of two pings an ack is for cannot be told: only a first one is measured (Karn).
            if probe.target == from && probe.tried == Tried::Ping {
                let took = now.since(probe.started);
                self.round_trip.measured(took);
                self.trips.measured(from, took);
            } else if probe.helpers.contains(&from) {
                let (target, address) = (probe.target, probe.address);
                self.sign_of_life(now, target, address);
            }
        }
        if let Some(at) = self.joins.iter().position(|join| join.sequence == sequence) {
            self.joins.swap_remove(at);
            self.outputs.push_back(Output::Met { node: from });
            self.ask_who(from, address);
        }
    }

    /// A helper had no answer, but it lives and heard us: the fault is not ours.
    pub(super) fn nacked(&mut self, from: NodeId, sequence: Sequence) {
        if let Some(probe) = self.probes.iter_mut().find(|probe| probe.sequence == sequence)
            && probe.helpers.contains(&from)
            && !probe.nacks.contains(&from)
        {
            probe.nacks.push(from);
        }
    }

    /// Ends the questions that are answered by its being alive.
    pub(super) fn answered(&mut self, id: NodeId) {
        while let Some(at) = self.probes.iter().position(|probe| probe.target == id) {
            if self.probes.swap_remove(at).purpose == Purpose::Turn {
                self.score = self.score.saturating_sub(1);
            }
        }
        while let Some(at) = self.relays.iter().position(|relay| relay.target == id) {
            let relay = self.relays.swap_remove(at);
            self.send(relay.asker_address, vec![Frame::Ack(relay.asker_sequence)]);
        }
    }

    fn silent(&mut self, now: Moment, probe: &Probe) {
        // Lifeguard, section IV-A: helpers that do not even say nack make us doubt ourselves. With lost datagrams
        // some always do not, hence the half. Where nobody could be asked, nothing speaks for either side.
        if probe.nacks.len() * 2 < probe.helpers.len() {
            self.worsen();
        }
        self.counts.silent += 1;
        match probe.purpose {
            Purpose::Turn | Purpose::Opinion => {
                let by = self.own.id();
                self.accuse(now, Suspect { id: probe.target, incarnation: probe.incarnation, by });
            }
            Purpose::Last => self.declare_down(now, probe.target, probe.incarnation),
        }
    }

    fn next_sequence(&mut self) -> Sequence {
        self.sequence = self.sequence.wrapping_add(1);
        Sequence(self.sequence)
    }
}
