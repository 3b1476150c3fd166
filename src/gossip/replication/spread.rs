//! What is new here and must go on: fresh changes to a few members at once, their heads to a few more.
//!
//! Whoever learns of a change by a push sends it on to [`FAN`] members: so it reaches 98 of 100 (the share that
//! a push to four at random misses is the solution of u = e^(-4(1-u))). The rest learn from [`HINTS`] hints,
//! which cost an eighth of the change, that there is something to pull.
//!
//! The first change after a quiet while leaves at once; those that follow within [`COALESCE`] leave together.

use crate::base::time::Moment;
use crate::gossip::frame::{Kind, write};
use crate::gossip::identity::NodeId;
use crate::gossip::replication::owners::Reach;
use crate::gossip::replication::wire::{HEAD_OCTETS_MAX, HeadWire, write_heads};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Members that a change is pushed to.
pub const FAN: usize = 4;
/// How often a head is told.
pub const HINTS: u8 = 10;
/// Of a change that was pulled, and so is not news to all: how often its head is told.
pub const HINTS_PULLED: u8 = 3;
/// Changes within this time travel together.
pub const COALESCE: Duration = Duration::from_millis(10);
/// Time between hints of one head.
const HINT_EVERY: Duration = Duration::from_millis(10);
/// Datagrams of hints at a time: a burst is told within a second, and no burst fills a link with hints.
const HINT_DATAGRAMS_MAX: usize = 8;
/// Octets of changes that wait to be sent. Beyond it, others' changes are only hinted: who lacks them pulls.
const QUEUED_OCTETS_MAX: usize = 4 << 20;
/// Octets that may be sent in a second, all members together: a sixth of a link of 1 Gbit/s.
const RATE: u64 = 20_000_000;
/// Octets that may be sent at once after a quiet while.
const BURST: u64 = 512 * 1024;

/// Frames to be packed into datagrams, each for `FAN` members.
pub struct Batch {
    /// The frames, together no more than fits.
    pub frames: Vec<u8>,
    /// How many members get them.
    pub fan: usize,
    /// Who is not among them: it told us.
    pub except: Option<NodeId>,
}

#[derive(Debug, Clone, Copy)]
struct Telling {
    reach: Reach,
    left: u8,
}

/// What is to be spread.
pub struct Spread {
    own: VecDeque<Vec<u8>>,
    relayed: VecDeque<(Vec<u8>, NodeId)>,
    queued: usize,
    heads: BTreeMap<NodeId, Telling>,
    /// Octets of frames that a datagram takes.
    room: usize,
    /// How often it is still told that cluster-wide records are new here.
    cluster_left: u8,
    /// The next head to tell: all of them get their turn.
    cursor: Option<NodeId>,
    flushed: Moment,
    flush_at: Moment,
    hint_at: Moment,
    tokens: u64,
    filled: Moment,
    /// Changes of others that were only hinted because too much was waiting.
    pub shed: u64,
}

impl Spread {
    /// Nothing to spread; a datagram takes so many octets of frames.
    pub fn new(now: Moment, room: usize) -> Spread {
        Spread {
            own: VecDeque::new(),
            relayed: VecDeque::new(),
            queued: 0,
            heads: BTreeMap::new(),
            room,
            cluster_left: 0,
            cursor: None,
            flushed: Moment::START,
            flush_at: Moment::NEVER,
            hint_at: Moment::NEVER,
            tokens: BURST,
            filled: now,
            shed: 0,
        }
    }

    /// Octets that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Datagrams take only so many octets of frames from now on.
    pub fn set_room(&mut self, room: usize) {
        self.room = room;
    }

    /// A frame of this node's own. One that no datagram takes is left to its hint.
    pub fn push_own(&mut self, now: Moment, frame: Vec<u8>) {
        if frame.len() > self.room {
            return;
        }
        self.queued += frame.len();
        self.own.push_back(frame);
        self.schedule(now);
    }

    /// There will be frames of this node's own when [`Spread::next`] is due.
    pub fn push_own_soon(&mut self, now: Moment) {
        self.schedule(now);
    }

    /// A frame that `from` pushed and that was new here. One that no datagram takes is left to its hint.
    pub fn push_on(&mut self, now: Moment, frame: Vec<u8>, from: NodeId) {
        if frame.len() > self.room {
            return;
        }
        if self.queued + frame.len() > QUEUED_OCTETS_MAX {
            self.shed += 1;
            return;
        }
        self.queued += frame.len();
        self.relayed.push_back((frame, from));
        self.schedule(now);
    }

    /// A head that is new here, to be told `times`.
    pub fn tell(&mut self, now: Moment, owner: NodeId, reach: Reach, times: u8) {
        let telling = self.heads.entry(owner).or_insert(Telling { reach, left: 0 });
        *telling = Telling { reach, left: telling.left.max(times) };
        self.hint_at = self.hint_at.min(now + HINT_EVERY);
    }

    /// An owner is forgotten: nothing more is told of it.
    pub fn forget(&mut self, owner: NodeId) {
        self.heads.remove(&owner);
    }

    /// Cluster-wide records are new here.
    pub fn tell_cluster(&mut self, now: Moment) {
        self.cluster_left = HINTS;
        self.hint_at = self.hint_at.min(now + HINT_EVERY);
    }

    /// When [`Spread::flush`] is due.
    pub fn next(&self) -> Moment {
        self.flush_at.min(self.hint_at)
    }

    fn schedule(&mut self, now: Moment) {
        self.flush_at = self.flush_at.min((self.flushed + COALESCE).max(now));
    }

    /// What is due now, `cluster` being the hash of the cluster-wide records; each batch fits into a datagram.
    pub fn flush(&mut self, now: Moment, cluster: u64, out: &mut Vec<Batch>) {
        self.refill(now);
        if self.flush_at <= now {
            self.flush_at = Moment::NEVER;
            self.flushed = now;
            self.flush_frames(now, out);
        }
        if self.hint_at <= now {
            self.hint_at = Moment::NEVER;
            self.flush_hints(now, cluster, out);
        }
    }

    fn flush_frames(&mut self, now: Moment, out: &mut Vec<Batch>) {
        let mut batch = Batch { frames: Vec::new(), fan: FAN, except: None };
        loop {
            // Own changes first: nobody else can send them.
            let next = match (self.own.front(), self.relayed.front()) {
                (Some(frame), _) => frame.len(),
                (None, Some((frame, _))) => frame.len(),
                (None, None) => break,
            };
            // Room may have shrunk since it was pushed: then it is not sent, and costs nothing.
            let price = if next <= self.room { (next * FAN) as u64 } else { 0 };
            if self.tokens < price {
                self.flush_at = now + COALESCE;
                break;
            }
            if !batch.frames.is_empty() && batch.frames.len() + next > self.room {
                out.push(std::mem::replace(&mut batch, Batch { frames: Vec::new(), fan: FAN, except: None }));
            }
            self.tokens -= price;
            self.queued -= next;
            let frame = match self.own.pop_front() {
                Some(frame) => frame,
                None => match self.relayed.pop_front() {
                    Some((frame, from)) => {
                        batch.except = Some(from);
                        frame
                    }
                    None => break,
                },
            };
            if next <= self.room {
                batch.frames.extend_from_slice(&frame);
            }
        }
        if !batch.frames.is_empty() {
            out.push(batch);
        }
    }

    fn flush_hints(&mut self, now: Moment, cluster: u64, out: &mut Vec<Batch>) {
        let mut frames = Vec::new();
        if self.cluster_left > 0 {
            self.cluster_left -= 1;
            let mut frame = Vec::new();
            write(&mut frame, Kind::ClusterHint, &cluster.to_le_bytes());
            frames.push(frame);
        }
        let max = HINT_DATAGRAMS_MAX * (self.room / HEAD_OCTETS_MAX);
        let mut told: Vec<(NodeId, Telling)> = Vec::new();
        let start = self.cursor.unwrap_or(NodeId(0));
        told.extend(self.heads.range(start..).take(max).map(|(id, telling)| (*id, *telling)));
        let rest = max - told.len();
        told.extend(self.heads.range(..start).take(rest).map(|(id, telling)| (*id, *telling)));
        self.cursor = None;
        if let (true, Some((last, _))) = (told.len() < self.heads.len(), told.last()) {
            self.cursor = Some(NodeId(last.0.wrapping_add(1)));
        }
        let wire = told.iter().map(|(id, telling)| HeadWire::new(*id, telling.reach));
        write_heads(&mut frames, Kind::Hint, self.room, wire);
        out.extend(frames.into_iter().map(|frames| Batch { frames, fan: 1, except: None }));
        for (id, _) in told {
            if let Some(telling) = self.heads.get_mut(&id) {
                telling.left -= 1;
                if telling.left == 0 {
                    self.heads.remove(&id);
                }
            }
        }
        if !self.heads.is_empty() || self.cluster_left > 0 {
            self.hint_at = now + HINT_EVERY;
        }
    }

    fn refill(&mut self, now: Moment) {
        let micros = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        self.tokens = BURST.min(self.tokens.saturating_add(micros.saturating_mul(RATE) / 1_000_000));
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::identity::{Generation, Version};

    fn at(ms: u64) -> Moment {
        Moment::from_micros(1_000_000_000 + ms * 1000)
    }

    fn spread() -> Spread {
        Spread::new(at(0), 1_300)
    }

    fn flush(spread: &mut Spread, now: Moment) -> Vec<Batch> {
        let mut out = Vec::new();
        spread.flush(now, 0, &mut out);
        out
    }

    #[test]
    fn the_first_change_leaves_at_once_and_the_next_ones_together() {
        let mut spread = spread();
        spread.push_own(at(0), vec![1; 100]);
        assert_eq!(spread.next(), at(0));
        assert_eq!(flush(&mut spread, at(0)).len(), 1);
        spread.push_own(at(2), vec![2; 100]);
        spread.push_on(at(3), vec![3; 100], NodeId(5));
        assert_eq!(spread.next(), at(10));
        assert!(flush(&mut spread, at(5)).is_empty());
        let batches = flush(&mut spread, at(10));
        assert_eq!((batches.len(), batches[0].frames.len(), batches[0].except), (1, 200, Some(NodeId(5))));
        assert_eq!((spread.next(), spread.queued()), (Moment::NEVER, 0));
    }

    #[test]
    fn a_head_is_told_so_often_and_the_newest_wins() {
        let mut spread = spread();
        let reach = |head| Reach { generation: Generation(1), head: Version(head) };
        spread.tell(at(0), NodeId(1), reach(1), HINTS);
        let mut told = 0;
        for tick in 1..100 {
            if tick == 3 {
                spread.tell(at(tick * 10), NodeId(1), reach(2), HINTS);
            }
            told += flush(&mut spread, at(tick * 10)).len();
        }
        assert_eq!(told, usize::from(HINTS) + 2);
        assert_eq!(spread.next(), Moment::NEVER);
    }

    #[test]
    fn a_burst_is_paced_and_what_is_too_much_is_only_hinted() {
        let mut spread = spread();
        for _ in 0..10_000 {
            spread.push_on(at(0), vec![0; 1000], NodeId(1));
        }
        assert!(spread.queued() <= QUEUED_OCTETS_MAX);
        assert_eq!(spread.shed, 10_000 - (QUEUED_OCTETS_MAX / 1000) as u64);
        let sent: usize = flush(&mut spread, at(0)).iter().map(|batch| batch.frames.len() * batch.fan).sum();
        assert!(sent as u64 <= BURST && sent > 0);
        let later: usize = (1..=100)
            .flat_map(|tick| flush(&mut spread, at(tick * 10)))
            .map(|batch| batch.frames.len() * batch.fan)
            .sum();
        assert!((later as u64) <= RATE && later > 4 * QUEUED_OCTETS_MAX * 9 / 10);
    }

    #[test]
    fn a_frame_that_no_datagram_takes_is_left_to_its_hint_and_holds_up_nothing() {
        let mut spread = spread();
        for _ in 0..100 {
            spread.push_own(at(0), vec![1; 60_000]);
            spread.push_on(at(0), vec![1; 60_000], NodeId(1));
        }
        assert_eq!((spread.queued(), spread.next()), (0, Moment::NEVER));
        // What was pushed before the room shrank costs nothing either.
        for _ in 0..1_000 {
            spread.push_own(at(0), vec![1; 1_300]);
        }
        spread.set_room(1_200);
        spread.push_own(at(0), vec![2; 100]);
        let batches = flush(&mut spread, at(0));
        assert_eq!((batches.len(), batches[0].frames.clone()), (1, vec![2; 100]));
        assert_eq!((spread.queued(), spread.tokens), (0, BURST - 400));
    }

    #[test]
    fn many_heads_take_turns() {
        let mut spread = spread();
        for id in 0..2_000 {
            spread.tell(at(0), NodeId(id), Reach { generation: Generation(1), head: Version(1) }, 1);
        }
        let mut seen = std::collections::BTreeSet::new();
        for tick in 1..20 {
            for batch in flush(&mut spread, at(tick * 10)) {
                assert!(batch.frames.len() <= 1300);
                let (_, body, _) = crate::gossip::frame::split(&batch.frames).unwrap();
                for head in crate::gossip::replication::wire::heads(body) {
                    assert!(seen.insert(head.unwrap().owner()));
                }
            }
        }
        assert_eq!(seen.len(), 2_000);
    }
}
