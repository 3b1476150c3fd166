//! One node of a cluster: secrecy, membership and replication behind one door.
//!
//! **After every call that hands something in, [`Gossip::poll`] is drained until it says `Wake`;
//! [`Gossip::handle_timeout`] is called at that moment, unless something else comes before.**
//!
//! The clock whose moments are handed in shows at least [`LOOK_BACK`](crate::base::time::LOOK_BACK) when the machine
//! is made: what was spent of a lease before is told by a moment on it.

mod asking;
mod asking_heads;
mod checking;
mod comparing;
mod doing;
mod greeting;
mod joining;
mod measuring;
mod purging;
mod questions;
mod resyncing;
mod streams;
mod telling;
mod traffic;
mod view;
mod withdrawing;

#[cfg(test)]
mod tests;

use crate::base::time::Moment;
use crate::gossip::frame::{Kind, split};
use crate::gossip::identity::{Generation, Incarnation, NodeId};
use crate::gossip::membership::{self, Frame, Membership, Pool, Told};
use crate::gossip::output::{DATAGRAM_OCTETS_MAX, DATAGRAM_OCTETS_SMALL, Event, NodeInfo, Output, StreamId};
use crate::gossip::replication::cluster::Write;
use crate::gossip::replication::engine::Replication;
use crate::gossip::replication::leases::FreezeRule;
use crate::gossip::replication::log::Log;
use crate::gossip::replication::sharing::Sharing;
use crate::gossip::secrecy::keyring::{Ring, RingChange, RingError};
use crate::gossip::secrecy::{self, OVERHEAD, Opened, Peer, Secrecy};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use streams::Channel;
use view::View;

pub use crate::gossip::replication::engine::ClusterWrite;
pub use asking_heads::{Answered, OwnerState, States};
pub use checking::CHECK_EVERY;
pub use comparing::COMPARE_EVERY;
pub use joining::{ALONE_AFTER, UNSYNCED_FOR};
pub use measuring::MEASURE_EVERY;
pub use questions::{QUESTION_OCTETS_MAX, QUESTIONS_MAX};
pub use resyncing::RESYNC_MAX;
pub use traffic::{ByKind, Traffic};

/// Octets that all frames of a datagram may have.
const ROOM: usize = DATAGRAM_OCTETS_MAX - OVERHEAD;
/// The same on a path that takes only smaller ones.
const ROOM_SMALL: usize = DATAGRAM_OCTETS_SMALL - OVERHEAD;

/// How a cluster is kept. The same for all its members.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name: nodes of other names are not heard.
    pub cluster: String,
    /// How members are watched.
    pub membership: membership::Settings,
    /// When the expiry of lost owners' records waits.
    pub freeze: FreezeRule,
    /// Whether it is measured how long changes take.
    pub measures: bool,
}

/// Who a node is and what it brings along.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its id, name and address; the boot nonce must be new.
    pub info: NodeInfo,
    /// Its life: higher than of any before.
    pub generation: Generation,
    /// The cluster's keys; none: in clear.
    pub ring: Ring,
    /// From the system's entropy, for this life alone.
    pub secret: [u8; 32],
    /// What lots are drawn from.
    pub seed: u64,
}

/// The machine.
pub struct Gossip {
    me: Arc<NodeInfo>,
    generation: Generation,
    secrecy: Secrecy,
    membership: Membership,
    replication: Replication,
    rng: fastrand::Rng,
    outputs: VecDeque<Output>,
    streams: BTreeMap<StreamId, Channel>,
    streams_opened: u64,
    view: View,
    joining: joining::Joining,
    comparing: comparing::Comparing,
    withdrawing: Option<withdrawing::Withdrawing>,
    asking: Option<asking_heads::Asking>,
    checking: checking::Checking,
    purging: purging::Purging,
    greeting: greeting::Greeting,
    questions: questions::Questions,
    resyncing: Option<resyncing::Resyncing>,
    measuring: measuring::Measuring,
    room: usize,
    traffic: Traffic,
}

impl Gossip {
    /// A node that knows nobody. Not before [`Gossip::ready`] does it tell others what it was told to say.
    pub fn new(now: Moment, settings: &Settings, start: Start) -> Gossip {
        Gossip::sharing(now, settings, start, Sharing::default(), Pool::default())
    }

    /// The same, sharing with other machines of this process what is equal.
    pub fn sharing(now: Moment, settings: &Settings, start: Start, logs: Sharing, tellings: Pool) -> Gossip {
        let Start { info, generation, ring, secret, seed } = start;
        let mut rng = fastrand::Rng::with_seed(seed);
        let me = Arc::new(info);
        let peer = Peer { id: me.id, boot: me.boot };
        let membership = Membership::new(
            Arc::clone(&me),
            Incarnation::first(generation),
            &settings.membership,
            rng.fork(),
            now,
        )
        .with_pool(tellings);
        let replication = Replication::new(me.id, generation, ROOM, settings.freeze, logs, now);
        let comparing = comparing::Comparing::new(now, &mut rng);
        Gossip {
            me,
            generation,
            secrecy: Secrecy::new(&settings.cluster, ring, peer, secret),
            membership,
            replication,
            rng,
            outputs: VecDeque::new(),
            streams: BTreeMap::new(),
            streams_opened: 0,
            view: View::default(),
            joining: joining::Joining::new(now),
            comparing,
            withdrawing: None,
            asking: None,
            checking: checking::Checking::new(now),
            purging: purging::Purging::new(now),
            greeting: greeting::Greeting::new(),
            questions: questions::Questions::default(),
            resyncing: None,
            measuring: measuring::Measuring::new(now, settings.measures),
            room: ROOM,
            traffic: Traffic::default(),
        }
    }

    /// Begins as a member of a cluster that it knows already: for simulations that do not begin with a join.
    pub fn restore(
        &mut self,
        now: Moment,
        members: impl IntoIterator<Item = Arc<Told>>,
        logs: impl IntoIterator<Item = (NodeId, Arc<Log>)>,
    ) {
        self.membership.restore(now, members);
        self.replication.restore(logs);
        self.joining.restored();
        self.view.refresh_at(now);
        self.greeting.soon(now);
    }

    /// Takes what [`Event::Cluster`] gave to be kept, from an earlier life. False if that cannot be read.
    pub fn restore_cluster(&mut self, now: Moment, stored: &[u8]) -> bool {
        let Ok(write) = Write::from_octets(stored) else { return false };
        self.replication.restore_cluster(&write);
        self.settle(now);
        true
    }

    /// A datagram came. It is opened in its place.
    pub fn handle_datagram(&mut self, now: Moment, from: SocketAddr, octets: &mut [u8]) {
        self.traffic.received += octets.len() as u64;
        match self.secrecy.open(now, from, octets) {
            Ok(Opened::Said { sender, plain }) => self.hear(now, sender, from, plain),
            Ok(Opened::Stranger { challenge }) => self.send_sealed(from, challenge),
            Ok(Opened::Doubted { sender, answer }) => {
                self.send_sealed(from, answer);
                self.greeting.challenged(sender.id);
                self.membership.evidence(now, sender.id, from);
            }
            Ok(Opened::Met { sender, said }) => {
                for plain in said {
                    self.hear(now, sender, from, &plain);
                }
            }
            // Counted there; whoever sent it gets nothing.
            Err(_) => {}
        }
        self.settle(now);
    }

    /// What `sender` said in a datagram or on a stream, in frames.
    fn hear(&mut self, now: Moment, sender: Peer, from: SocketAddr, plain: &[u8]) {
        let mut rest = plain;
        let mut alive = false;
        while !rest.is_empty() {
            let Ok((number, body, behind)) = split(rest) else {
                self.traffic.strange += 1;
                break;
            };
            rest = behind;
            if membership::KINDS.contains(&number) {
                match Frame::parse(number, body) {
                    Ok(frame) => {
                        alive = true;
                        self.membership.handle(now, sender.id, from, frame);
                    }
                    Err(_) => self.traffic.strange += 1,
                }
                continue;
            }
            if !std::mem::replace(&mut alive, true) {
                self.membership.evidence(now, sender.id, from);
            }
            let heard = match Kind::from_number(number) {
                Some(kind) => self.hear_kind(now, sender.id, kind, body),
                None => false,
            };
            if !heard {
                self.traffic.strange += 1;
            }
        }
    }

    /// True if it could be read.
    fn hear_kind(&mut self, now: Moment, from: NodeId, kind: Kind, body: &[u8]) -> bool {
        // What this node says is its own; who claims to be it speaks for itself.
        if from == self.me.id {
            return true;
        }
        match self.replication.handle(now, from, kind, body) {
            Ok(true) => true,
            Ok(false) => match kind {
                Kind::Digest
                | Kind::Buckets
                | Kind::Heads
                | Kind::ClusterBuckets
                | Kind::ClusterParts
                | Kind::MemberBuckets => self.compare(now, from, kind, body).is_ok(),
                Kind::ClusterMark => self.hear_mark(now, from, body).is_ok(),
                Kind::MarkAsk => self.hear_mark_ask(now, from, body).is_ok(),
                Kind::MarkHeld => self.hear_mark_held(now, from, body).is_ok(),
                Kind::Ask => self.hear_ask(now, from, body).is_ok(),
                Kind::Held => self.hear_held(from, body).is_ok(),
                Kind::Key => self.hear_key(now, from, body).is_ok(),
                Kind::AskStates => self.hear_ask_states(now, from, body).is_ok(),
                Kind::States => self.hear_states(now, from, body).is_ok(),
                Kind::Question => self.hear_question(now, from, body).is_ok(),
                Kind::Known => self.hear_known(from, body).is_ok(),
                Kind::Reached => self.hear_reached(now, from, body).is_ok(),
                Kind::Since => self.hear_since(now, from, body).is_ok(),
                // These belong to streams.
                Kind::Table | Kind::Want | Kind::Done => false,
                Kind::Delta
                | Kind::Answer
                | Kind::Hint
                | Kind::Pull
                | Kind::Refer
                | Kind::Cluster
                | Kind::ClusterHint => true,
            },
            Err(_) => false,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        if self.membership.next_wake() <= now {
            self.membership.handle_timeout(now);
        }
        if self.replication.next_wake() <= now {
            self.replication.handle_timeout(now);
        }
        self.greet_if_due(now);
        self.compare_if_due(now);
        self.join_if_due(now);
        self.withdraw_if_due(now);
        self.ask_states_if_due(now);
        self.ask_members_if_due(now);
        self.purge_if_due(now);
        self.measure_if_due(now);
        self.streams_if_due(now);
        self.settle(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self, now: Moment) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let withdrawing = self.withdrawing.as_ref().map_or(Moment::NEVER, |withdrawing| withdrawing.next);
        let next = [
            self.membership.next_wake(),
            self.replication.next_wake(),
            self.comparing.next(),
            self.greeting.next(),
            self.joining.next(),
            withdrawing,
            self.asking_next(),
            self.questions.next(),
            self.purging.next(),
            self.measuring.next(),
            self.streams_next(),
            self.resyncing.as_ref().map_or(Moment::NEVER, resyncing::Resyncing::next),
        ];
        Output::Wake(next.into_iter().min().unwrap_or(Moment::NEVER).max(now))
    }

    /// Lets the parts do what the last call made them want to do.
    fn settle(&mut self, now: Moment) {
        self.resync_if_due(now);
        loop {
            if let Some(output) = self.membership.poll(now) {
                self.do_for_membership(now, output);
            } else if let Some(todo) = self.replication.poll() {
                self.do_for_replication(now, todo);
            } else {
                return;
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sets a record of this node; false if key or value is too long.
    pub fn put(&mut self, now: Moment, key: &[u8], value: &[u8]) -> bool {
        let put = self.replication.put(now, key, value);
        self.settle(now);
        put
    }

    /// Removes a record of this node.
    pub fn remove(&mut self, now: Moment, key: &[u8]) {
        self.replication.remove(now, key);
        self.settle(now);
    }

    /// This node has said all it has to say for now: from here on its records replace those of its earlier life.
    pub fn ready(&mut self, now: Moment) {
        self.replication.declare_whole(now);
        self.settle(now);
    }

    /// Sets or removes (`None`) a cluster-wide record. Keys are not empty.
    pub fn write_cluster(&mut self, now: Moment, key: &[u8], value: Option<&[u8]>) -> ClusterWrite {
        let written = self.replication.write_cluster(now, key, value);
        self.settle(now);
        written
    }

    /// A path takes only smaller datagrams (EMSGSIZE): from now on none is larger.
    pub fn shrink_datagrams(&mut self) {
        self.room = ROOM_SMALL;
        self.replication.set_room(ROOM_SMALL);
    }

    /// This node is reached at another address now.
    pub fn move_to(&mut self, now: Moment, address: SocketAddr) {
        if address != self.me.address {
            self.me = Arc::new(NodeInfo { address, ..(*self.me).clone() });
            self.membership.announce(now, Arc::clone(&self.me));
            self.settle(now);
        }
    }

    /// A step of a rotation of keys, made here and told to all.
    pub fn change_key(&mut self, now: Moment, change: &RingChange) -> Result<bool, RingError> {
        let changed = self.secrecy.change(change)?;
        if changed {
            self.spread_key(now, change, None);
            self.settle(now);
        }
        Ok(changed)
    }

    /// Who this node is.
    pub fn me(&self) -> &Arc<NodeInfo> {
        &self.me
    }

    /// Its life.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Its members, as membership knows them.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// All records.
    pub fn replication(&self) -> &Replication {
        &self.replication
    }

    /// The keys and what was refused.
    pub fn secrecy(&self) -> &secrecy::Secrecy {
        &self.secrecy
    }

    /// What was sent and received.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Octets that wait to be sent, in datagrams and on streams.
    pub fn queued_octets(&self) -> usize {
        self.replication.depth().0 + self.streams.values().map(Channel::queued_octets).sum::<usize>()
    }

    /// Datagrams are sent by their octets: the same to all of these. Rumours of membership fill them up.
    fn send(&mut self, now: Moment, to: &[SocketAddr], mut frames: Vec<u8>) {
        let copies = u8::try_from(to.len()).unwrap_or(u8::MAX);
        let room = self.room.saturating_sub(frames.len());
        self.membership.piggyback(now, room, copies, &mut frames);
        if frames.is_empty() || to.is_empty() {
            return;
        }
        self.count_kinds(&frames, to.len() as u64);
        let octets = self.secrecy.seal(now, &frames);
        for address in to {
            self.send_sealed(*address, octets.clone());
        }
    }

    fn send_sealed(&mut self, to: SocketAddr, octets: Bytes) {
        self.traffic.sent += octets.len() as u64;
        self.outputs.push_back(Output::Datagram { to, octets });
    }

    fn count_kinds(&mut self, frames: &[u8], copies: u64) {
        let mut rest = frames;
        while let Ok((number, _, behind)) = split(rest) {
            self.traffic.by_kind.add(number, copies * (rest.len() - behind.len()) as u64);
            rest = behind;
        }
    }

    /// The address of a member that is not known to be gone.
    fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        self.membership.get(node).map(|member| member.told.info.address)
    }

    fn send_to(&mut self, now: Moment, node: NodeId, frames: Vec<u8>) {
        if let Some(address) = self.address_of(node) {
            self.send(now, &[address], frames);
        }
    }

    fn spread(&mut self, now: Moment, frames: Vec<u8>, fan: usize, except: Option<NodeId>) {
        let to = self.view.some(now, &mut self.membership, &mut self.rng, fan, except);
        if self.view.has_new() {
            self.greeting.soon(now);
        }
        self.send(now, &to, frames);
    }
}

/// A stream that says nothing for so long is closed.
pub const STREAM_IDLE_MAX: Duration = Duration::from_secs(10);
