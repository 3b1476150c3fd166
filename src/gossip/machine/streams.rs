//! Streams: what is too much for datagrams, and the last try to reach a member.
//!
//! ```text
//! opener                         accepter
//!   hello ──────────────────────►
//!         ◄────────────────────── hello
//!   Ping ───────────────────────►           a probe: Ack, and that is all
//!   or Want, Want, ..., Done ───►           how far the opener's copies go
//!         ◄───── Table, Cluster, Answer, ..., Done    members, cluster-wide records, what the opener lacks
//! ```
//!
//! Cut off in the middle, the next one begins where this one ended: what was taken needs not be sent again.

use super::{Gossip, STREAM_IDLE_MAX};
use crate::base::time::Moment;
use crate::gossip::codec::{decode_all, encode};
use crate::gossip::frame::{FRAME_HEAD_MAX, Kind, split, write};
use crate::gossip::identity::{NodeId, Version};
use crate::gossip::membership::{self, Frame, MEMBERS_MAX, Sequence};
use crate::gossip::output::{Output, StreamId};
use crate::gossip::replication::cluster::purge::{Mark, read_mark};
use crate::gossip::replication::cluster::{self, Cluster};
use crate::gossip::replication::delta::{DELTA_HEAD_OCTETS_MAX, cut};
use crate::gossip::replication::log::{KEY_OCTETS_MAX, VALUE_OCTETS_MAX};
use crate::gossip::replication::owners::Reach;
use crate::gossip::replication::wire::{DoneWire, HeadWire, heads, write_heads};
use crate::gossip::secrecy::Peer;
use crate::gossip::secrecy::record::RECORD_OCTETS_MAX;
use crate::gossip::secrecy::stream::{Side, Stream};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Streams at once that were opened here ...
const OPENED_MAX: usize = 64;
/// ... and by others. If there are so many, the oldest whose other side has not proven yet who it is makes room: so
/// strangers keep nobody out.
const ACCEPTED_MAX: usize = 256;
/// Streams that fetch everything at once: a second one brings nothing that the first does not.
const FETCHES_MAX: usize = 2;
/// Octets of frames that are made ready before there is room to send them.
const READY_OCTETS: usize = 64 * 1024;
/// Octets of one frame's list of heads or members.
const LIST_OCTETS: usize = 16 * 1024;
/// Octets of the largest frame that is taken: one record with the largest value.
const FRAME_OCTETS_MAX: usize =
    FRAME_HEAD_MAX + DELTA_HEAD_OCTETS_MAX + 2 * 16 + KEY_OCTETS_MAX + VALUE_OCTETS_MAX + LIST_OCTETS;

/// Octets that a record adds to its content: its length and the tag. The last record of a stream has no content.
const RECORD_OVERHEAD: usize = 3 + 16;
/// Room below which nothing is written: a record with one octet, and the last one.
const ROOM_MIN: usize = 2 * RECORD_OVERHEAD + 1;

/// What a stream is for.
enum Purpose {
    /// Opened here, to see whether the other side lives.
    Probe,
    /// Opened here, to fetch what is lacking. With the cluster-wide records that will replace those here.
    Fetch(Option<Box<(Mark, Cluster)>>),
    /// Opened by the other side.
    Serve(Box<Serving>),
}

/// How far the serving of a stream is.
#[derive(Default)]
struct Serving {
    /// What the other side has.
    haves: HashMap<NodeId, Reach>,
    stage: Stage,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It still says what it has.
    #[default]
    Listening,
    /// Members after that one come next.
    Members(Option<NodeId>),
    /// What was purged of cluster-wide records comes next, and then they themselves from that part on.
    Mark,
    /// Cluster-wide records from that part on come next.
    Cluster(u16),
    /// Owners after that one come next.
    Owners(Option<NodeId>),
    /// All was said.
    Finished,
}

/// One stream.
pub(super) struct Channel {
    stream: Stream,
    purpose: Purpose,
    address: SocketAddr,
    /// Frames that were received in part.
    inbox: Vec<u8>,
    /// Frames that wait until the other side's hello has come, or for room.
    outbox: VecDeque<u8>,
    greeted: bool,
    /// Octets that the transport takes.
    room: usize,
    finishing: bool,
    /// When there was last a sign of life; of a stranger none counts.
    heard: Moment,
}

impl Channel {
    /// Octets that wait for room.
    pub(super) fn queued_octets(&self) -> usize {
        self.outbox.len()
    }

    fn is_accepted(&self) -> bool {
        matches!(self.purpose, Purpose::Serve(_))
    }

    fn is_proven(&self) -> bool {
        self.stream.peer().is_some()
    }
}

impl Gossip {
    /// Fetches over a stream, from that member, all that this node lacks. False: not now, too much is under way.
    pub(super) fn fetch(&mut self, now: Moment, node: NodeId) -> bool {
        let Some(address) = self.address_of(node) else { return false };
        if self.fetching().count() >= FETCHES_MAX || self.is_fetching_from(node) {
            return false;
        }
        let mut frames = Vec::new();
        let owners = self.replication.owners().iter();
        let wire = owners.map(|owner| HeadWire::new(owner.id(), owner.have()));
        write_heads(&mut frames, Kind::Want, LIST_OCTETS, wire);
        let mut outbox: VecDeque<u8> = frames.concat().into();
        let (mut done, mut body) = (Vec::new(), Vec::new());
        encode(&mut body, &DoneWire { synced: self.is_synced() });
        write(&mut done, Kind::Done, &body);
        outbox.extend(done);
        self.open(now, address, Purpose::Fetch(None), outbox)
    }

    /// Where everything is fetched from at present.
    fn fetching(&self) -> impl Iterator<Item = SocketAddr> {
        let fetching = self.streams.values().filter(|channel| matches!(channel.purpose, Purpose::Fetch(_)));
        fetching.map(|channel| channel.address)
    }

    /// True while everything is being fetched from that member.
    pub(super) fn is_fetching_from(&self, node: NodeId) -> bool {
        self.address_of(node).is_some_and(|address| self.fetching().any(|from| from == address))
    }

    /// Tries to reach a member over a stream.
    pub(super) fn probe(&mut self, now: Moment, to: SocketAddr) {
        let mut frames = Vec::new();
        Frame::Ping(Sequence(0)).emit(&mut frames);
        let _ = self.open(now, to, Purpose::Probe, frames.into());
    }

    /// False: there are too many.
    fn open(&mut self, now: Moment, to: SocketAddr, purpose: Purpose, outbox: VecDeque<u8>) -> bool {
        if self.streams.values().filter(|channel| !channel.is_accepted()).count() >= OPENED_MAX {
            return false;
        }
        let id = self.new_stream(now, to, Side::Opener, purpose, outbox);
        self.outputs.push_back(Output::Open { stream: id, to });
        true
    }

    fn new_stream(
        &mut self,
        now: Moment,
        address: SocketAddr,
        side: Side,
        purpose: Purpose,
        outbox: VecDeque<u8>,
    ) -> StreamId {
        self.streams_opened += 1;
        let id = StreamId(self.streams_opened);
        let channel = Channel {
            stream: self.secrecy.stream(side),
            purpose,
            address,
            inbox: Vec::new(),
            outbox,
            greeted: false,
            room: 0,
            finishing: false,
            heard: now,
        };
        self.streams.insert(id, channel);
        id
    }

    /// Somebody opened a stream; what it is called. `None`: there are too many, close it.
    pub fn accept(&mut self, now: Moment, from: SocketAddr) -> Option<StreamId> {
        let accepted = || self.streams.iter().filter(|(_, channel)| channel.is_accepted());
        if accepted().count() >= ACCEPTED_MAX {
            // Streams are numbered as they come.
            let oldest = accepted().find(|(_, channel)| !channel.is_proven()).map(|(id, _)| *id)?;
            self.close(oldest);
        }
        let purpose = Purpose::Serve(Box::default());
        Some(self.new_stream(now, from, Side::Accepter, purpose, VecDeque::new()))
    }

    /// A stream that [`Output::Open`] asked for is open.
    pub fn stream_opened(&mut self, now: Moment, id: StreamId) {
        if let Some(channel) = self.streams.get_mut(&id) {
            channel.heard = now;
        }
        self.settle(now);
    }

    /// The transport takes so many octets more of a stream.
    pub fn stream_writable(&mut self, now: Moment, id: StreamId, room: usize) {
        if let Some(channel) = self.streams.get_mut(&id) {
            channel.room = room;
            if channel.is_proven() {
                channel.heard = now;
            }
        }
        self.pump(now, id);
        self.settle(now);
    }

    /// Octets came on a stream.
    pub fn stream_received(&mut self, now: Moment, id: StreamId, octets: &[u8]) {
        let Some(mut channel) = self.streams.remove(&id) else { return };
        self.traffic.streamed += octets.len() as u64;
        let mut plain = std::mem::take(&mut channel.inbox);
        let read = channel.stream.read(&mut self.secrecy, octets, &mut plain);
        let mut over = read.is_err();
        if channel.is_proven() {
            channel.heard = now;
        }
        if let (false, Some(peer)) = (over, channel.stream.peer()) {
            let mut at = 0;
            while !over && at < plain.len() {
                let Ok((number, body, rest)) = split(&plain[at..]) else {
                    over = plain.len() - at > FRAME_OCTETS_MAX;
                    break;
                };
                over = !self.hear_on_stream(now, &mut channel, peer, number, body);
                at = plain.len() - rest.len();
            }
            plain.drain(..at.min(plain.len()));
        }
        over |= plain.len() > FRAME_OCTETS_MAX || channel.stream.is_ended() && channel.outbox.is_empty();
        channel.inbox = plain;
        self.streams.insert(id, channel);
        if over {
            self.close(id);
        } else {
            self.pump(now, id);
        }
        self.settle(now);
    }

    /// A stream ended, or never came about.
    pub fn stream_closed(&mut self, now: Moment, id: StreamId) {
        self.streams.remove(&id);
        self.settle(now);
    }

    fn close(&mut self, id: StreamId) {
        if self.streams.remove(&id).is_some() {
            self.outputs.push_back(Output::Close { stream: id });
        }
    }

    pub(super) fn streams_next(&self) -> Moment {
        let heard = self.streams.values().map(|channel| channel.heard).min();
        heard.map_or(Moment::NEVER, |heard| heard + STREAM_IDLE_MAX)
    }

    pub(super) fn streams_if_due(&mut self, now: Moment) {
        if self.streams_next() > now {
            return;
        }
        let idle = self.streams.iter().filter(|(_, channel)| channel.heard + STREAM_IDLE_MAX <= now);
        let idle: Vec<StreamId> = idle.map(|(id, _)| *id).collect();
        for id in idle {
            self.close(id);
        }
    }

    /// A frame on a stream; false: the stream has served its purpose, or is at fault.
    fn hear_on_stream(
        &mut self,
        now: Moment,
        channel: &mut Channel,
        peer: Peer,
        number: u8,
        body: &[u8],
    ) -> bool {
        // A stream proves that its node lives, but comes from a port that is not the node's.
        let address = match (&channel.purpose, self.address_of(peer.id)) {
            (Purpose::Serve(_), Some(known)) => known,
            (Purpose::Serve(_), None) | (Purpose::Probe | Purpose::Fetch(_), _) => channel.address,
        };
        let known = self.membership.get(peer.id).is_some();
        if known || !matches!(channel.purpose, Purpose::Serve(_)) {
            self.membership.evidence(now, peer.id, address);
        }
        let kind = match (number, Kind::from_number(number)) {
            (number, _) if membership::KINDS.contains(&number) => {
                return match (Frame::parse(number, body), &channel.purpose) {
                    (Ok(Frame::Ping(sequence)), Purpose::Serve(_)) => {
                        let mut frames = Vec::new();
                        Frame::Ack(sequence).emit(&mut frames);
                        channel.outbox.extend(frames);
                        channel.finishing = true;
                        true
                    }
                    (Ok(Frame::Ack(_)), Purpose::Probe) => false,
                    (Ok(_), _) => true,
                    (Err(_), _) => false,
                };
            }
            (_, Some(kind)) => kind,
            (_, None) => {
                self.traffic.strange += 1;
                return true;
            }
        };
        match (kind, &mut channel.purpose) {
            (Kind::Want, Purpose::Serve(serving)) if serving.stage == Stage::Listening => {
                for head in heads(body) {
                    let Ok(head) = head else { return false };
                    if serving.haves.len() >= MEMBERS_MAX {
                        return false;
                    }
                    serving.haves.insert(head.owner(), head.reach());
                }
                true
            }
            (Kind::Done, Purpose::Serve(serving)) if serving.stage == Stage::Listening => {
                serving.stage = Stage::Members(None);
                // What it has more than this node is wanted in turn.
                let haves: Vec<(NodeId, Reach)> =
                    serving.haves.iter().map(|(id, reach)| (*id, *reach)).collect();
                for (id, reach) in haves {
                    self.replication.hear(now, peer.id, id, reach, Duration::ZERO);
                }
                true
            }
            (Kind::ClusterMark, Purpose::Fetch(copy)) => {
                let Ok(mark) = read_mark(body) else { return false };
                *copy = self
                    .wants_copy(now, peer.id, mark)
                    .then(|| Box::new((mark, self.replication.cluster().blank())));
                true
            }
            (Kind::Cluster, Purpose::Fetch(Some(copy))) => cluster::writes(body).all(|write| {
                let read = write.as_ref().map(|write| copy.1.take(write));
                read.is_ok()
            }),
            (Kind::Table, Purpose::Fetch(_)) => {
                self.membership.take_table(now, body, !self.joining_now()).is_ok()
            }
            (Kind::Done, Purpose::Fetch(copy)) => {
                if let Ok(DoneWire { synced }) = decode_all(body) {
                    if let Some(copy) = copy.take() {
                        self.take_copy(now, peer.id, *copy, synced);
                    }
                    self.told_everything(peer.id, synced);
                    self.resynced(now, peer.id);
                }
                false
            }
            (Kind::Answer | Kind::Cluster, Purpose::Fetch(_)) => {
                let before = self.before_piece(peer.id, body).filter(|_| kind == Kind::Answer);
                let is_taken = matches!(self.replication.handle_streamed(now, peer.id, kind, body), Ok(true));
                before.into_iter().for_each(|before| self.after_piece(before));
                is_taken
            }
            _ => false,
        }
    }

    fn joining_now(&self) -> bool {
        !self.is_synced()
    }

    /// Writes as much as there is and as the transport takes.
    fn pump(&mut self, now: Moment, id: StreamId) {
        let Some(mut channel) = self.streams.remove(&id) else { return };
        let hello = channel.stream.hello();
        if !channel.greeted && channel.room >= hello.len() {
            channel.greeted = true;
            channel.room = channel.room.saturating_sub(hello.len());
            self.write_octets(id, hello.to_vec());
        }
        let mut finished = false;
        while channel.greeted && channel.stream.is_writable() && channel.room >= ROOM_MIN && !finished {
            // A step may have nothing to say.
            while channel.outbox.is_empty() && !channel.finishing && self.make_ready(now, &mut channel) {}
            if channel.outbox.is_empty() && !channel.finishing {
                break;
            }
            // One record at a time: what sealing adds takes room as well.
            let content_max = (channel.room - 2 * RECORD_OVERHEAD).min(RECORD_OCTETS_MAX);
            let take = content_max.min(channel.outbox.len());
            let plain: Vec<u8> = channel.outbox.drain(..take).collect();
            let mut octets = Vec::with_capacity(take + 64);
            let written = channel.stream.write(&plain, &mut octets);
            if channel.finishing && channel.outbox.is_empty() {
                finished = channel.stream.finish(&mut octets).is_ok();
            }
            if written.is_err() || octets.is_empty() {
                break;
            }
            channel.room = channel.room.saturating_sub(octets.len());
            self.write_octets(id, octets);
        }
        self.streams.insert(id, channel);
        if finished {
            // What was written still leaves.
            self.close(id);
        }
    }

    fn write_octets(&mut self, stream: StreamId, octets: Vec<u8>) {
        self.traffic.streamed += octets.len() as u64;
        self.outputs.push_back(Output::Write { stream, octets: octets.into() });
    }

    /// Puts the next frames into the outbox; false: there are none now.
    fn make_ready(&mut self, now: Moment, channel: &mut Channel) -> bool {
        let Purpose::Serve(serving) = &mut channel.purpose else { return false };
        let outbox = &mut channel.outbox;
        let mut put = |kind: Kind, body: &[u8]| {
            let mut frame = Vec::with_capacity(body.len() + FRAME_HEAD_MAX);
            write(&mut frame, kind, body);
            outbox.extend(frame);
            outbox.len()
        };
        match serving.stage {
            Stage::Listening | Stage::Finished => return false,
            Stage::Members(after) => {
                let mut body = Vec::new();
                let next = self.membership.table_chunk(now, after, LIST_OCTETS, &mut body);
                put(Kind::Table, &body);
                serving.stage = next.map_or(Stage::Mark, |next| Stage::Members(Some(next)));
            }
            Stage::Mark => {
                // Also that there is none: who is not synced takes ours in place of its own.
                let mut body = Vec::new();
                encode(&mut body, &self.replication.cluster().mark());
                put(Kind::ClusterMark, &body);
                serving.stage = Stage::Cluster(0);
            }
            Stage::Cluster(first) => {
                let cluster = self.replication.cluster();
                let mut frames = Vec::new();
                let mut next = None;
                for part in cluster.parts_from(first) {
                    if frames.iter().map(Vec::len).sum::<usize>() > LIST_OCTETS {
                        next = Some(part);
                        break;
                    }
                    cluster.frames([part], LIST_OCTETS, usize::MAX, &mut frames);
                }
                outbox.extend(frames.concat());
                serving.stage = next.map_or(Stage::Owners(None), Stage::Cluster);
            }
            Stage::Owners(after) => {
                let mut last = after;
                let mut complete = true;
                for owner in self.replication.owners().after(after) {
                    last = Some(owner.id());
                    let Some(log) = owner.newest() else { continue };
                    let theirs = serving.haves.get(&owner.id()).copied().unwrap_or_default();
                    if theirs >= owner.have() {
                        continue;
                    }
                    let from = if theirs.generation == log.generation() { theirs.head } else { Version(0) };
                    let mut queued = 0;
                    cut(owner.id(), log, from, LIST_OCTETS, |_, body| {
                        queued = put(Kind::Answer, &body);
                        true
                    });
                    if queued > READY_OCTETS {
                        complete = false;
                        break;
                    }
                }
                serving.stage = Stage::Owners(last);
                if complete {
                    let mut body = Vec::new();
                    encode(&mut body, &DoneWire { synced: self.joining.is_synced() });
                    put(Kind::Done, &body);
                    serving.stage = Stage::Finished;
                    channel.finishing = true;
                }
            }
        }
        true
    }
}
