//! How the world does what was planned for a node.

use super::action::{Action, DiskFate};
use super::machine::{Disk, Machine};
use super::record::{Key, RECORDS_PER_NODE_MAX};
use super::scenario::CLUSTER_KEYS;
use super::seat::Seat;
use super::step::Host;
use super::world::World;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a process that says farewell still runs: long enough for the datagrams that say so.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);
/// Nodes that a newcomer is given addresses of.
const INTRODUCTIONS: usize = 3;

impl<M: Machine> World<M> {
    pub(super) fn act(&mut self, seat: Seat, action: Action) {
        let now = self.now();
        let runs = self.parts().0[seat.index()].machine.is_some();
        let acts = runs && !self.parts().0[seat.index()].is_paused(now);
        match action {
            Action::Start(fate) if !runs => self.start(seat, fate),
            Action::Crash if runs => self.end(seat, false, true),
            Action::PowerOff if runs => self.end(seat, true, true),
            Action::End if runs => self.end(seat, false, false),
            Action::Pause(time) if runs => {
                self.observer_mut().tell(now, format!("{seat} stands still for {:.1} s", time.as_secs_f64()));
                self.parts().0[seat.index()].paused_until = now + time;
                self.resume_at(now + time, seat);
            }
            Action::Stop if acts => self.farewell(seat, "stops, to come back", M::restarting),
            Action::Leave if acts => {
                self.withdraws(seat);
                self.farewell(seat, "leaves for good", M::leave);
            }
            Action::Drain if acts => {
                self.withdraws(seat);
                self.forget_records(seat);
                self.command(seat, M::drain);
            }
            Action::ForceLeave(other) if acts => {
                // Whoever is down has its id still.
                if let Some((id, _)) = self.parts().0[other.index()].disk.identity {
                    self.observer_mut().withdraws(id);
                    self.command(seat, |machine, now| machine.force_leave(now, id));
                }
            }
            Action::Change(lot) if acts => self.change(seat, lot),
            Action::ChangeCluster(lot) if acts => self.change_cluster(seat, lot),
            // It makes no sense any more.
            Action::Start(_)
            | Action::Crash
            | Action::PowerOff
            | Action::End
            | Action::Pause(_)
            | Action::Stop
            | Action::Leave
            | Action::Drain
            | Action::ForceLeave(_)
            | Action::Change(_)
            | Action::ChangeCluster(_) => {}
        }
    }

    fn withdraws(&mut self, seat: Seat) {
        if let Some(id) = self.observer().id(seat) {
            self.observer_mut().withdraws(id);
        }
    }

    fn command(&mut self, seat: Seat, act: impl FnOnce(&mut M, crate::base::time::Moment)) {
        self.call(seat, act);
        self.settle(seat);
    }

    fn farewell(&mut self, seat: Seat, what: &str, act: impl FnOnce(&mut M, crate::base::time::Moment)) {
        let now = self.now();
        self.observer_mut().tell(now, format!("{seat} {what}"));
        self.command(seat, act);
        self.plan(now + FAREWELL, seat, Action::End);
    }

    /// A process starts, says the node's records, and joins by some that live.
    fn start(&mut self, seat: Seat, fate: DiskFate) {
        let now = self.now();
        let copied = match fate {
            DiskFate::Kept => None,
            DiskFate::Lost => Some(Disk::default()),
            DiskFate::CloneOf(other) => Some(self.parts().0[other.index()].disk.clone()),
        };
        if let Some(disk) = copied {
            if let (DiskFate::CloneOf(_), Some((id, _))) = (fate, disk.identity) {
                // Two say what one says: until one of them has another name, either's records may be hidden.
                self.observer_mut().withdraws(id);
            }
            self.parts().0[seat.index()].disk = disk;
        }
        let was_off = self.parts().1[seat.index()] == Host::Off;
        if was_off {
            self.with_streams(|streams, around| streams.host_is_back(around, seat));
        }
        let start = self.start_of(seat);
        let identity = start.identity();
        let (nodes, hosts, observer, _) = self.parts();
        observer.tell(now, format!("{seat} starts"));
        observer.begins(now, seat, identity.0, true);
        hosts[seat.index()] = Host::Serving;
        let node = &mut nodes[seat.index()];
        node.disk.identity = Some(identity);
        let local = node.clock.local(now);
        let machine = M::start(self.house(), start, local);
        self.parts().0[seat.index()].machine = Some(machine);
        let mut addresses: Vec<SocketAddr> = self
            .machines()
            .map(|(other, _)| other)
            .filter(|other| *other != seat)
            .map(Seat::address)
            .collect();
        self.parts().3.shuffle(&mut addresses);
        addresses.truncate(INTRODUCTIONS);
        self.command(seat, |machine, now| machine.join(now, &addresses, true));
        let records: Vec<_> = self
            .observer()
            .ledger
            .records(seat)
            .map(|(key, change)| (key.octets(), change.value()))
            .collect();
        for (key, value) in records {
            self.command(seat, |machine, now| machine.put(now, key, value));
        }
        self.command(seat, M::ready);
    }

    fn end(&mut self, seat: Seat, off: bool, missed: bool) {
        let now = self.now();
        let (nodes, hosts, observer, _) = self.parts();
        if missed {
            observer.tell(now, format!("{seat} {}", if off { "loses power" } else { "crashes" }));
        }
        hosts[seat.index()] = if off { Host::Off } else { Host::Refusing };
        let node = &mut nodes[seat.index()];
        node.machine = None;
        node.timer.off();
        node.take_kept();
        node.paused_until = node.paused_until.min(now);
        observer.ends(now, seat, missed);
        self.with_streams(|streams, around| streams.end_all(around, seat, off));
    }

    /// All of a node's records go, as far as the ledger is concerned.
    fn forget_records(&mut self, seat: Seat) {
        let now = self.now();
        let keys: Vec<Key> = self.observer().ledger.records(seat).map(|(key, _)| key).collect();
        for key in keys {
            let change = self.observer_mut().ledger.remove(seat, key);
            self.observer_mut().changes(now, key, change, true, seat);
        }
    }

    /// Of ten changes eight set a record anew, one adds one, one removes one.
    fn change(&mut self, seat: Seat, lot: u32) {
        let now = self.now();
        let keys: Vec<Key> = self.observer().ledger.records(seat).map(|(key, _)| key).collect();
        let some = keys.get(lot as usize / 10 % keys.len().max(1)).copied();
        let free = (0..RECORDS_PER_NODE_MAX as u32).map(|number| Key::of(seat, number as u16));
        let (key, deletes) = match (lot % 10, some) {
            (0, Some(key)) if keys.len() > 1 => (Some(key), true),
            (1, _) | (_, None) => (
                free.zip(keys.iter().map(Some).chain(std::iter::repeat(None)))
                    .find_map(|(free, taken)| (taken != Some(&free)).then_some(free)),
                false,
            ),
            (_, Some(key)) => (Some(key), false),
        };
        let Some(key) = key else { return };
        let ledger = &mut self.observer_mut().ledger;
        let change = if deletes { ledger.remove(seat, key) } else { ledger.put(seat, key) };
        self.observer_mut().changes(now, key, change, deletes, seat);
        self.command(seat, |machine, now| match deletes {
            true => machine.remove(now, key.octets()),
            false => machine.put(now, key.octets(), change.value()),
        });
    }

    fn change_cluster(&mut self, seat: Seat, lot: u32) {
        let key = Key(lot / 8 % CLUSTER_KEYS);
        let ledger = &mut self.observer_mut().ledger;
        if lot.is_multiple_of(8) {
            ledger.cluster_remove(key);
            self.command(seat, |machine, now| machine.cluster_remove(now, key.cluster_octets()));
        } else {
            let change = ledger.cluster_put(key);
            self.command(seat, |machine, now| machine.cluster_put(now, key.cluster_octets(), change.value()));
        }
    }
}
