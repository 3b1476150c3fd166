//! A node: a machine while its process runs, and what is there without it: a clock, a disk, a kernel that keeps what
//! comes while the process stands still.

use super::clock::NodeClock;
use super::machine::Disk;
use super::seat::Seat;
use super::step::Told;
use crate::base::time::Moment;
use bytes::Bytes;
use std::collections::VecDeque;

/// Octets of datagrams that the kernel keeps for a process that does not read: SO_RCVBUF as the server sets it.
const RECEIVE_OCTETS_MAX: usize = 4 << 20;
/// What the kernel counts for a datagram besides its octets (struct sk_buff and rounding).
const DATAGRAM_OVERHEAD_OCTETS: usize = 768;

/// When the machine wants to be woken, and which event of the queue does it.
///
/// One event is valid at most: the one with the present token. It may come before `wake`, then another is sent
/// on; so a machine that moves its wake-up into the future with every datagram costs no event for that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    wake: Moment,
    event_at: Moment,
    token: u32,
}

impl Timer {
    const OFF: Timer = Timer { wake: Moment::NEVER, event_at: Moment::NEVER, token: 0 };

    /// The machine wants to be woken then (in the world's time). The moment and the token of an event to queue.
    pub(super) fn set(&mut self, wake: Moment) -> Option<(Moment, u32)> {
        self.wake = wake;
        if wake >= self.event_at {
            return None;
        }
        self.event_at = wake;
        self.token = self.token.wrapping_add(1);
        Some((wake, self.token))
    }

    /// An event with that token came.
    pub(super) fn rings(&mut self, now: Moment, token: u32) -> Ring {
        if token != self.token {
            return Ring::Stale;
        }
        self.event_at = Moment::NEVER;
        if self.wake <= now {
            return Ring::Due;
        }
        match self.set(self.wake) {
            Some((at, token)) => Ring::Early(at, token),
            None => Ring::Stale,
        }
    }

    /// True if the machine should have been woken.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.wake <= now
    }

    /// Nobody is there to be woken.
    pub(super) fn off(&mut self) {
        *self = Timer { token: self.token.wrapping_add(1), ..Timer::OFF };
    }
}

/// What a timer's event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    /// Nothing any more.
    Stale,
    /// Another event is to be queued.
    Early(Moment, u32),
    /// The machine is to be woken.
    Due,
}

/// What came while the process stood still.
#[derive(Debug)]
pub(super) enum Kept {
    /// A datagram.
    Datagram(Seat, Bytes),
    /// News of a stream.
    Told(Told),
}

/// One node.
#[derive(Debug)]
pub(super) struct Node<M> {
    /// The process, if it runs.
    pub(super) machine: Option<M>,
    /// Its clock.
    pub(super) clock: NodeClock,
    /// Its disk.
    pub(super) disk: Disk,
    /// When the machine is to be woken.
    pub(super) timer: Timer,
    /// Until when the process stands still.
    pub(super) paused_until: Moment,
    kept: VecDeque<Kept>,
    kept_octets: usize,
    /// Wake-ups at one moment in a row; a machine that never sleeps is found by that.
    pub(super) wakes_at: (Moment, u32),
}

impl<M> Node<M> {
    /// A node without a process.
    pub(super) fn new(clock: NodeClock) -> Node<M> {
        Node {
            machine: None,
            clock,
            disk: Disk::default(),
            timer: Timer::OFF,
            paused_until: Moment::START,
            kept: VecDeque::new(),
            kept_octets: 0,
            wakes_at: (Moment::START, 0),
        }
    }

    /// True while the process stands still.
    pub(super) fn is_paused(&self, now: Moment) -> bool {
        now < self.paused_until
    }

    /// Keeps something for later; false if there is no room for it.
    pub(super) fn keep(&mut self, kept: Kept) -> bool {
        if let Kept::Datagram(_, octets) = &kept {
            let size = octets.len() + DATAGRAM_OVERHEAD_OCTETS;
            if self.kept_octets + size > RECEIVE_OCTETS_MAX {
                return false;
            }
            self.kept_octets += size;
        }
        self.kept.push_back(kept);
        true
    }

    /// All that was kept, in its order.
    pub(super) fn take_kept(&mut self) -> VecDeque<Kept> {
        self.kept_octets = 0;
        std::mem::take(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Moment {
        Moment::from_micros(micros)
    }

    #[test]
    fn a_timer_that_is_put_off_needs_no_new_event_and_one_that_is_drawn_forward_voids_the_old() {
        let mut timer = Timer::OFF;
        let (_, first) = timer.set(at(10)).unwrap();
        assert_eq!(timer.set(at(30)), None);
        let Ring::Early(moment, second) = timer.rings(at(10), first) else { panic!("not early") };
        assert_eq!((moment, second != first), (at(30), true));
        let (_, third) = timer.set(at(20)).unwrap();
        assert_eq!(timer.rings(at(20), third), Ring::Due);
        assert_eq!(timer.rings(at(30), second), Ring::Stale);
    }

    #[test]
    fn a_kernel_keeps_what_fits_its_buffer() {
        let mut node: Node<()> = Node::new(NodeClock::draw(&mut fastrand::Rng::with_seed(1)));
        let datagram = || Kept::Datagram(Seat(1), Bytes::from_static(&[0; 1_280]));
        assert_eq!((0..5_000).filter(|_| node.keep(datagram())).count(), 2_048);
        assert_eq!(node.take_kept().len(), 2_048);
        assert!(node.keep(datagram()));
    }
}
