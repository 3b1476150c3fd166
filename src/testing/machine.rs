//! What a machine has to be to live in the world: the calls of the production machine, and what an observer may ask.
//!
//! The world keeps the machine's law of use: after each call `poll` is drained until it says `Wake`, and
//! `handle_timeout` is called at that moment unless something else comes before.

use crate::base::time::Moment;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::output::{Health, StreamId};
use crate::gossip::replication::log::Log;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long the records of a lost owner are served: the default of `services.lease`.
pub const LEASE: Duration = Duration::from_secs(60);

/// What outlives a process.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// Who the node is, and the life it was last in; `None` before its first start and after the disk was lost.
    pub identity: Option<(NodeId, Generation)>,
    /// The cluster's records: what the machine wanted to be kept under each key.
    pub cluster: BTreeMap<Bytes, Bytes>,
}

/// What a machine is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The node's name.
    pub name: Box<str>,
    /// Where it takes datagrams and streams.
    pub address: SocketAddr,
    /// What its disk says.
    pub disk: Disk,
    /// For the id if the disk has none.
    pub id: NodeId,
    /// Tells this process from every other.
    pub boot: u64,
    /// For the machine's own lots.
    pub seed: u64,
}

impl Start {
    /// Who it will be: the disk's id in the disk's next life, or a new id in its first.
    pub fn identity(&self) -> (NodeId, Generation) {
        match self.disk.identity {
            Some((id, Generation(last))) => (id, Generation(last + 1)),
            None => (self.id, Generation(1)),
        }
    }
}

/// One change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: Bytes,
    /// What it became; `None`: it is gone.
    pub value: Option<Bytes>,
}

/// Changes of one owner's records, as the machine keeps them: an observer reads them there, so that telling copies
/// nothing, and the time inside of machines is theirs alone.
#[derive(Debug)]
pub enum Changes {
    /// These.
    Listed(Vec<Change>),
    /// What a log says after a version; without one, every record that it has.
    Logged(Arc<Log>, Option<Version>),
}

impl Changes {
    /// Tells each key, and what it became; `None`: it is gone.
    pub fn each(&self, mut tell: impl FnMut(&[u8], Option<&[u8]>)) {
        match self {
            Changes::Listed(changes) => changes.iter().for_each(|c| tell(&c.key, c.value.as_deref())),
            Changes::Logged(log, None) => log.records().for_each(|entry| tell(entry.key, entry.value)),
            Changes::Logged(log, Some(since)) => {
                log.since(*since).iter().for_each(|entry| tell(entry.key, entry.value));
            }
        }
    }
}

/// Whether an owner's records are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Their owner lives, or nothing was said of it.
    Full,
    /// For a while.
    Counting,
    /// And the while does not pass.
    Frozen,
    /// Not any more.
    Hidden,
}

/// What a machine tells its owner, as far as anybody here looks at it.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields say it by their names; the variants have the words")]
pub enum News {
    /// Records of an owner changed; all that was known of it is replaced, or each of these.
    Records { owner: NodeId, replace: bool, changes: Changes },
    /// An owner's records are now served like this.
    Lease { owner: NodeId, held: Held },
    /// A record of the cluster changed; the last is what the disk keeps for it. An empty key: it is no record.
    Cluster { change: Change, stored: Option<Bytes> },
    /// A member appeared or changed.
    Member { id: NodeId, address: SocketAddr, health: Health },
    /// A member is forgotten.
    Forgotten(NodeId),
    /// The node knows the cluster's records; `true`: because nobody answered.
    Synced(bool),
    /// This goes to the disk before the next start.
    Identity(NodeId, Generation),
    /// A drain is over; so many have not acknowledged.
    Drained(usize),
    /// Whether leases wait.
    ExpiryFrozen(bool),
}

/// What a machine wants: [`Output`](crate::gossip::output::Output) with news in the form above.
#[derive(Debug)]
#[allow(missing_docs, reason = "as above")]
pub enum Wish {
    /// Send a datagram.
    Datagram { to: SocketAddr, octets: Bytes },
    /// Open a stream.
    Open { stream: StreamId, to: SocketAddr },
    /// Write to it.
    Write { stream: StreamId, octets: Bytes },
    /// Close it.
    Close(StreamId),
    /// Something to know.
    News(News),
    /// Nothing more; wake me then.
    Wake(Moment),
}

/// A machine of a cluster that has been running for long: what it is started with, and what it said of itself.
#[derive(Debug, Clone)]
pub struct Warm {
    /// As for any start.
    pub start: Start,
    /// The moment on the node's own clock.
    pub now: Moment,
    /// Its records.
    pub records: Vec<(Bytes, Bytes)>,
}

/// The production machine's calls, and some questions. Moments are the node's own.
pub trait Machine: Sized {
    /// What is simulated, for the report.
    const NAME: &'static str;
    /// What the machines of one world have in common.
    type House;

    /// For a world with so many seats.
    fn house(nodes: usize) -> Self::House;
    /// The name, with what the size of the world changes.
    fn about(_: &Self::House) -> &'static str {
        Self::NAME
    }
    /// Octets to count with each datagram besides its own: what the simulation leaves out for speed.
    fn uncounted_octets(_: &Self::House) -> usize {
        0
    }

    /// A machine that knows nobody.
    fn start(house: &Self::House, start: Start, now: Moment) -> Self;
    /// The machines of a cluster in which everybody knows everybody and everything. One call for all, so that
    /// they can share what they know.
    fn warm(house: &Self::House, nodes: Vec<Warm>) -> Vec<Self>;

    /// A datagram came; it may be opened in place.
    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, octets: &mut [u8]);
    /// The moment of the last `Wake` has come.
    fn handle_timeout(&mut self, now: Moment);
    /// A stream was opened by somebody; the port of `from` says nothing. `None`: it is refused.
    fn accept(&mut self, now: Moment, from: SocketAddr) -> Option<StreamId>;
    /// A stream that was asked for is open.
    fn stream_opened(&mut self, now: Moment, stream: StreamId);
    /// Octets came on a stream.
    fn stream_received(&mut self, now: Moment, stream: StreamId, octets: &[u8]);
    /// So many octets may now be written in all: what was granted before and not used is part of it.
    fn stream_writable(&mut self, now: Moment, stream: StreamId, room: usize);
    /// A stream is over: not opened, closed by the other side, or broken.
    fn stream_closed(&mut self, now: Moment, stream: StreamId);
    /// The next thing to do.
    fn poll(&mut self, now: Moment) -> Wish;

    /// Addresses of nodes to join by, and whether these are all.
    fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool);
    /// Sets a record of this node.
    fn put(&mut self, now: Moment, key: Bytes, value: Bytes);
    /// Removes a record of this node.
    fn remove(&mut self, now: Moment, key: Bytes);
    /// All records of this node have been said: what it said in an earlier life may be replaced.
    fn ready(&mut self, now: Moment);
    /// Sets a record of the cluster.
    fn cluster_put(&mut self, now: Moment, key: Bytes, value: Bytes);
    /// Removes a record of the cluster.
    fn cluster_remove(&mut self, now: Moment, key: Bytes);
    /// Withdraws all records of this node and says when everybody knows.
    fn drain(&mut self, now: Moment);
    /// Says farewell for good.
    fn leave(&mut self, now: Moment);
    /// Says that this process ends and another takes its place soon.
    fn restarting(&mut self, now: Moment);
    /// Declares that another node has left for good.
    fn force_leave(&mut self, now: Moment, id: NodeId);

    /// Tells each counter's name and value, in a fixed order.
    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64));
    /// Octets in all queues of what is to be sent.
    fn queued_octets(&self) -> usize;
    /// Appends what is replicated in a form that is equal if and only if the state is: lines of text, sorted.
    fn dump(&self, lines: &mut String);
}
