//! What the machine wants done, and what it has to tell.

use crate::base::time::Moment;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::replication::log::Log;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A stream, for as long as it is open at this machine. The machine numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One thing to do. Closed: whoever drives the machine handles each.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram, whole, unfragmented.
    Datagram {
        /// To whom.
        to: SocketAddr,
        /// At most [`DATAGRAM_OCTETS_MAX`]; the same octets may go to several members.
        octets: Bytes,
    },
    /// Open a stream to that address; tell by `stream_opened` or `stream_closed` what came of it.
    Open {
        /// What it will be called.
        stream: StreamId,
        /// To whom.
        to: SocketAddr,
    },
    /// Append to what is being sent on a stream. Only as much comes as `stream_writable` made room for.
    Write {
        /// The stream.
        stream: StreamId,
        /// At least one octet.
        octets: Bytes,
    },
    /// Send what was written, then close; the machine knows the stream no more.
    Close {
        /// The stream.
        stream: StreamId,
    },
    /// News.
    Event(Event),
    /// Nothing more now. Call `handle_timeout` at that moment; [`Moment::NEVER`] if nothing is due.
    Wake(Moment),
}

/// Octets of the largest datagram: within the MTU of an encrypted overlay (1,424) with IPv6 and UDP headers.
pub const DATAGRAM_OCTETS_MAX: usize = 1_350;
/// Octets of the largest datagram to where a larger one did not get through (EMSGSIZE).
pub const DATAGRAM_OCTETS_SMALL: usize = 1_200;

/// What others know of a node besides its records. Shared: it changes once in a node's life or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeInfo {
    /// Who.
    pub id: NodeId,
    /// Drawn at random at each start: tells two processes that were given one disk apart.
    pub boot: u64,
    /// One label.
    pub name: Box<str>,
    /// Where it takes datagrams and streams.
    pub address: SocketAddr,
}

/// How a member is, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// It answers.
    Alive,
    /// It did not answer somebody; it may still refute that.
    Suspect,
    /// It said that it stops and comes back: its lease counts, nobody suspects it.
    Restarting,
    /// It did not refute. Remembered, and probed now and then: that is how a split heals.
    Down,
    /// It said that it leaves for good, or an operator did.
    Left,
}

/// What becomes of the records of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The owner lives: its records are served with their own TTL.
    Full,
    /// The owner is lost or restarting: a record is served until max(lease, its TTL) after `since`.
    Counting {
        /// When the count began, on this machine's clock. May lie before the machine was made.
        since: Moment,
        /// True if the owner restarts: its records keep their rank.
        restarting: bool,
    },
    /// As counting, but too many owners were lost at once and expiry waits: so much has been spent.
    Frozen {
        /// How much of the lease.
        spent: Duration,
    },
    /// The owner left, or its lease is over: its records are not served.
    Hidden,
}

/// News for the machine's owner. Each follows from what was handed in, in the order in which it is true.
#[derive(Debug)]
pub enum Event {
    /// Records of an owner changed. Another owner's order means nothing.
    Records {
        /// Whose.
        owner: NodeId,
        /// All that it says now. Let it go before the machine is handed anything: else it copies.
        log: Arc<Log>,
        /// What is older than this has been told before; `None`: all that was told of this owner is replaced.
        since: Option<Version>,
    },
    /// The lease of an owner's records changed. Comes after the records it is about.
    Lease {
        /// Whose.
        owner: NodeId,
        /// Into what.
        lease: Lease,
    },
    /// A cluster-wide record changed.
    Cluster {
        /// Which record; opaque here. Empty: none, but what is to be kept beside the records.
        key: Bytes,
        /// What it became; `None`: it is gone.
        value: Option<Bytes>,
        /// The same with what orders it: what is kept on disk under that key, and handed in again at the next
        /// start, by rising key. `None`: nothing is kept of it any more.
        stored: Option<Bytes>,
    },
    /// This node was away until the others had purged what was removed: its cluster-wide records were replaced by
    /// a member's.
    ClusterReplaced {
        /// Records that were set or removed here and that nobody had seen: they were written again.
        again: usize,
        /// Values of others that the cluster does not have: let go.
        dropped: usize,
    },
    /// A member appeared or changed.
    Member {
        /// Who and where.
        info: Arc<NodeInfo>,
        /// How it is now.
        health: Health,
    },
    /// A member is forgotten.
    Forgotten {
        /// Who.
        id: NodeId,
    },
    /// This node knows the cluster's records. `alone`: because nobody answered, not because somebody told it.
    Synced {
        /// See above; an alarm for the operator.
        alone: bool,
    },
    /// This node's own numbers changed and must be on disk before its next start. The id changes if another
    /// process uses the same (a cloned disk).
    Identity {
        /// Who this node is now.
        id: NodeId,
        /// Its life.
        generation: Generation,
    },
    /// The ring of keys changed and must be on disk before the next start.
    Keys,
    /// A drain is over.
    Drained {
        /// Members that live and have not acknowledged; empty: all have.
        missing: Vec<NodeId>,
    },
    /// What came of a comparison that was asked for, by
    /// [`resync`](crate::gossip::machine::Gossip::resync).
    Resynced {
        /// The member, of several the last.
        with: NodeId,
        /// It has told everything that it has. Else no stream brought that.
        is_whole: bool,
        /// Owners of which changes came.
        owners: usize,
        /// Changes that came, those of cluster-wide records from whomever meanwhile among them.
        changes: u64,
        /// How long it took.
        took: Duration,
    },
    /// A member does not know something: what this node knows of it goes to
    /// [`answer_member`](crate::gossip::machine::Gossip::answer_member).
    Asked {
        /// Who asks.
        by: NodeId,
        /// By which it will know the answer.
        number: u64,
        /// Its owner's octets.
        question: Bytes,
    },
    /// What became of a question that this node had put to members.
    Known {
        /// Which.
        number: u64,
        /// What a member knows; `None`: nobody knew anything in time.
        answer: Option<Bytes>,
    },
    /// Expiry waits (`true`) because many owners were lost at once, or goes on.
    ExpiryFrozen(bool),
}
