//! The only description of a change. Idempotent: the same delta twice leaves the same state.

use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::fault::Faults;
use std::sync::Arc;

/// What a zone became.
#[derive(Debug, Clone)]
pub enum ZoneContent {
    /// It is being loaded for the first time: SERVFAIL until then, for absence is not known yet.
    Pending,
    /// It is served.
    Sealed(Arc<Zone>),
    /// It cannot be served: SERVFAIL, and this is why.
    Faulty(Arc<Faults>),
}

/// One change.
#[derive(Debug, Clone)]
pub enum Delta {
    /// A zone is new or has other content.
    PutZone {
        /// Its apex.
        origin: Name,
        /// What it became.
        content: ZoneContent,
    },
    /// A zone is gone.
    DropZone {
        /// Its apex.
        origin: Name,
    },
    /// What the server says of itself (RFC 4892, RFC 5001).
    Identify {
        /// For `hostname.bind`, `id.server` and NSID; at most 255 octets are used.
        identity: String,
    },
}
