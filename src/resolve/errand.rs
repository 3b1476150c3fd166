//! What a worker has others do for it, because it takes long or needs streams: asking from the root on, and asking a
//! server over TCP. Values that go from thread to thread.

use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::forward::StreamId;
use crate::resolve::question::Wants;
use crate::resolve::said::Said;
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use std::net::{IpAddr, SocketAddr};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Find the answer to a question.
    Resolve {
        /// The worker's number for it.
        ticket: u32,
        /// Whose question it is, by [`crate::resolve::pending::Pending::client`].
        client: IpAddr,
        /// The name, lower-cased, in uncompressed wire form.
        name: Box<[u8]>,
        /// The type.
        rtype: RecordType,
        /// What of DNSSEC.
        wants: Wants,
    },
    /// Ask a server over TCP.
    Exchange {
        /// The worker's number for it.
        stream: StreamId,
        /// The server.
        to: SocketAddr,
        /// The query.
        query: Box<[u8]>,
    },
}

/// A name of the services' domain that this node cannot answer yet: a member of the cluster is to be asked. Of class IN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberErrand {
    /// The worker's number for it.
    pub ticket: u32,
    /// The name, lower-cased, in uncompressed wire form.
    pub name: Box<[u8]>,
    /// The type.
    pub rtype: RecordType,
    /// Who wants to know: answers differ by it.
    pub client: IpAddr,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Of [`Errand::Resolve`].
    Resolved {
        /// The worker's number.
        ticket: u32,
        /// What was found; of a failure, why. [`ExtendedError::NOT_READY`]: there was no room to ask anybody.
        found: Result<OwnedBody, Option<ExtendedError>>,
    },
    /// Of a [`MemberErrand`].
    Told {
        /// The worker's number.
        ticket: u32,
        /// What a member said; `None`: nobody knew it in time.
        said: Option<Said>,
    },
    /// Of [`Errand::Exchange`].
    Exchanged {
        /// The worker's number.
        stream: StreamId,
        /// The server's response; nothing if there was none in time.
        response: Option<Box<[u8]>>,
    },
}

/// A [`Body`] that belongs to nobody's buffers, and how long it may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBody {
    rcode: Rcode,
    authentic: bool,
    error: Option<ExtendedError>,
    counts: [u16; 3],
    octets: Box<[u8]>,
    ttls: Box<[u16]>,
    /// Seconds it may be kept; 0: it is told and forgotten.
    pub ttl: u32,
}

impl OwnedBody {
    /// A copy of a body.
    pub fn new(body: &Body<'_>, ttl: u32) -> OwnedBody {
        let Body { rcode, authentic, error, counts, octets, ttls } = *body;
        OwnedBody { rcode, authentic, error, counts, octets: octets.into(), ttls: ttls.into(), ttl }
    }

    /// The body.
    pub fn body(&self) -> Body<'_> {
        let OwnedBody { rcode, authentic, error, counts, .. } = *self;
        Body { rcode, authentic, error, counts, octets: &self.octets, ttls: &self.ttls }
    }
}
