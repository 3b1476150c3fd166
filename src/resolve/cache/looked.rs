//! What a look into the cache finds.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::wire::message::Rcode;

/// The outcome of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// Nothing is known, or a writer was in the way for too long. What the room holds then means nothing.
    Miss,
    /// The owner's answer; its records stand in the room, their TTLs counted down.
    Fresh(Found),
    /// What the owner's answer was; its records stand in the room, their TTLs 30 (RFC 8767 §4). To be told if there is
    /// nothing better; whether it is worth asking now, the failure tells.
    Stale(Found, Option<Failing>),
    /// There is no answer, and asking for one failed not long ago (RFC 9520 §3.2).
    Failing(Failing),
    /// There is an answer of so many octets, and the room is smaller. Nothing was written.
    TooLarge(usize),
}

/// What is told of an answer beside its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The code.
    pub rcode: Rcode,
    /// All of it was validated (RFC 4035 §3.2.3).
    pub authentic: bool,
    /// Why it is no better.
    pub error: Option<ExtendedError>,
    /// Records in the answer, authority and additional section.
    pub counts: [u16; 3],
    /// Octets of the records at the start of the room.
    pub octets: usize,
    /// Somebody should ask for it anew: less than a tenth of its time is left, and it was asked for before in that
    /// time. One look alone is told so.
    pub prefetch: bool,
}

/// A failure that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// The code, which is no answer's.
    pub rcode: Rcode,
    /// What went wrong.
    pub error: Option<ExtendedError>,
    /// Nobody is asked again before.
    pub until: Moment,
}
