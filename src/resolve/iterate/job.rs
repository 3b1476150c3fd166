//! A question in work, and who waits for it.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::exchange::Exchange;
use crate::resolve::iterate::bounds::TRACE_LINES_MAX;
use crate::resolve::iterate::cut::{Cut, Wire};
use crate::resolve::iterate::minimise::label_count;
use crate::resolve::iterate::reading::{Asked, Piece};
use crate::resolve::iterate::servers::Silence;
use crate::wire::rtype::RecordType;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A job.
pub(super) type JobId = u64;

/// For whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aim {
    /// A client.
    Client,
    /// Another job, that needs the address of a name server.
    Address,
    /// The machine: the servers of the root (RFC 9609).
    Priming,
}

/// Equal keys, one job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) name: Wire,
    pub(super) rtype: RecordType,
    pub(super) dnssec_ok: bool,
    pub(super) aim: Aim,
}

/// Whom to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiter {
    Ticket(u64),
    /// What is done is its own end.
    Nobody,
    Job(JobId),
}

/// Where there is no room to send now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// At that zone.
    Zone(Wire),
    /// Among all exchanges.
    Any,
}

/// Why a job failed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    pub(super) error: ExtendedError,
    pub(super) text: String,
}

/// What a failure says of the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It would fail again.
    Final,
    /// The means of the one question were at an end: another's may do.
    Spent,
    /// Its time was over.
    Late,
    /// The machine was busy.
    Busy,
}

pub(super) struct Job {
    pub(super) key: Key,
    pub(super) waiters: Vec<Waiter>,
    /// Whose purse it spends from: the client's job that started it.
    pub(super) purse: JobId,
    /// Questions for addresses that it stands within.
    pub(super) depth: u8,
    pub(super) deadline: Moment,
    /// The name in work: of the question, or of the alias that it led to.
    pub(super) name: Wire,
    /// What was found on the way there.
    pub(super) found: Piece,
    /// Zones passed.
    pub(super) zones: Vec<Wire>,
    /// The zone that is asked now.
    pub(super) visit: Option<Visit>,
    /// The exchange that is out, the newer one if there are two.
    pub(super) flight: Option<u64>,
    /// The older one, whose answer is late.
    pub(super) late: Option<u64>,
    /// The job that it waits for.
    pub(super) needs: Option<JobId>,
    /// It asked the zone above again, because no server of an old delegation was of use.
    pub(super) refreshed: bool,
    /// What it waits for its turn at.
    pub(super) queued: Option<Turn>,
    /// The turn that came: it sends now, or passes it on.
    pub(super) turn: Option<Turn>,
    /// Its last alias leads to a name that is not looked for from the root.
    pub(super) is_open: bool,
    pub(super) trace: Option<Vec<String>>,
}

impl Job {
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = self.trace.as_mut().filter(|lines| lines.len() < TRACE_LINES_MAX) {
            lines.push(line());
        }
    }
}

/// What happened at one zone.
pub(super) struct Visit {
    pub(super) cut: Arc<Cut>,
    /// Up to so many labels of the name there is no cut.
    pub(super) known: usize,
    /// The whole name is shown from now on.
    pub(super) whole: bool,
    /// How often each address was tried.
    pub(super) tries: BTreeMap<IpAddr, u8>,
    /// Servers that did not understand a query with EDNS, and are asked without here; true: one said so that knew the
    /// question, and was it hardly by guessing.
    pub(super) plain: BTreeMap<IpAddr, bool>,
    /// Packets that brought nothing, but for some that met nobody.
    pub(super) failures: u8,
    /// Those that did, as the network says.
    pub(super) unreachable: u8,
    /// Name servers whose addresses were looked for: which, and of which family.
    pub(super) sought: Vec<(usize, RecordType)>,
    /// It waited for a query of another job that would have been equal to its own.
    pub(super) followed: bool,
    /// A bound of the one question stood in the way: another's way may be free.
    pub(super) is_bounded: bool,
    /// There was no room to look for an address: there may be some soon, or for somebody else.
    pub(super) is_crowded: bool,
    /// The last thing that went wrong.
    pub(super) fault: &'static str,
}

impl Visit {
    pub(super) fn new(cut: Arc<Cut>) -> Visit {
        let known = label_count(&cut.zone);
        Visit {
            cut,
            known,
            whole: false,
            tries: BTreeMap::new(),
            plain: BTreeMap::new(),
            failures: 0,
            unreachable: 0,
            sought: Vec::new(),
            followed: false,
            is_bounded: false,
            is_crowded: false,
            fault: "it has no server that may be asked",
        }
    }
}

/// A query to be sent.
pub(super) struct Query {
    pub(super) asked: Asked,
    pub(super) address: IpAddr,
    /// The server's name.
    pub(super) server: Wire,
    pub(super) stream: bool,
    /// Without EDNS.
    pub(super) plain: bool,
}

/// An exchange that is out.
pub(super) struct Flight {
    pub(super) job: JobId,
    pub(super) exchange: Exchange,
    pub(super) asked: Asked,
    /// The server's name.
    pub(super) server: Wire,
    pub(super) sent: Moment,
    /// From then on it is late, and another server may be asked too.
    pub(super) late_at: Moment,
    pub(super) until: Moment,
    pub(super) edns: bool,
    pub(super) stream: bool,
    /// It shows a part of the name only.
    pub(super) short: bool,
}

impl Flight {
    /// Packets that were in vain if this one was: a stream repeats a datagram.
    pub(super) fn packets(&self) -> u8 {
        1 + u8::from(self.stream)
    }

    /// What it is that nobody answers it.
    pub(super) fn silence(&self) -> Silence {
        if self.short { Silence::Short } else { Silence::Whole }
    }
}
