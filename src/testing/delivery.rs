//! How the world brings to a machine what has come for it.

use super::machine::Machine;
use super::node::Kept;
use super::seat::Seat;
use super::step::Told;
use super::world::World;

/// Wake-ups in a row at one moment, at most: a machine that always wants to be woken is found by that.
const WAKES_MAX: u32 = 1_000;

impl<M: Machine> World<M> {
    pub(super) fn datagram(&mut self, from: Seat, to: Seat, octets: &[u8]) {
        let mut opened = std::mem::take(&mut self.opened);
        opened.clear();
        opened.extend_from_slice(octets);
        self.call(to, |machine, now| machine.handle_datagram(now, from.address(), &mut opened));
        self.opened = opened;
        self.settle(to);
    }

    pub(super) fn wake(&mut self, seat: Seat) {
        let now = self.now();
        let node = &mut self.parts().0[seat.index()];
        if node.is_paused(now) || node.machine.is_none() {
            return;
        }
        match &mut node.wakes_at {
            (at, count) if *at == now => *count += 1,
            wakes => *wakes = (now, 1),
        }
        if node.wakes_at.1 > WAKES_MAX {
            let what = format!("{seat} wants to be woken again and again at one moment");
            return self.observer_mut().fail(now, "time passes", what);
        }
        self.call(seat, |machine, now| machine.handle_timeout(now));
        self.settle(seat);
    }

    /// The process goes on: its loop finds what has come and a timer that is late, in the one or the other order.
    pub(super) fn resume(&mut self, seat: Seat) {
        let now = self.now();
        let node = &mut self.parts().0[seat.index()];
        if node.is_paused(now) || node.machine.is_none() {
            return;
        }
        let kept = node.take_kept();
        let due = node.timer.is_due(now);
        if due && self.parts().3.bool() {
            self.wake(seat);
        }
        for kept in kept {
            match kept {
                Kept::Datagram(from, octets) => self.datagram(from, seat, &octets),
                Kept::Told(told) => self.tell(seat, told),
            }
        }
        if self.parts().0[seat.index()].timer.is_due(now) {
            self.wake(seat);
        }
    }

    pub(super) fn tell(&mut self, seat: Seat, told: Told) {
        let now = self.now();
        let node = &mut self.parts().0[seat.index()];
        if node.machine.is_none() {
            return;
        }
        if node.is_paused(now) {
            node.keep(Kept::Told(told));
            return;
        }
        match told {
            Told::Accept { connection, from } => {
                let from = from.address_of_streams();
                let accepted = self.call(seat, |machine, now| machine.accept(now, from)).flatten();
                // Before its outputs are looked at: it may have closed the stream at once.
                let room = match accepted {
                    Some(stream) => self.streams.accepted(connection, stream),
                    None => {
                        self.with_streams(|streams, around| streams.refused(around, connection));
                        None
                    }
                };
                self.settle(seat);
                if let Some((seat, room)) = room {
                    self.tell(seat, room);
                }
            }
            Told::Opened(stream) => {
                self.call(seat, |machine, now| machine.stream_opened(now, stream));
                self.settle(seat);
                let room = self.streams.first_room(stream);
                self.tell(seat, room);
            }
            Told::Received { connection, from, stream, octets } => {
                self.trace.octets(&octets);
                self.with_streams(|streams, around| streams.taken(around, connection, from, octets.len()));
                self.call(seat, |machine, now| machine.stream_received(now, stream, &octets));
                self.settle(seat);
            }
            Told::Writable(stream, room) => {
                self.call(seat, |machine, now| machine.stream_writable(now, stream, room));
                self.settle(seat);
            }
            Told::Closed(stream) => {
                self.call(seat, |machine, now| machine.stream_closed(now, stream));
                self.settle(seat);
            }
        }
    }
}
