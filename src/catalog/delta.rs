//! The only description of a change. Idempotent: the same delta twice leaves the same state.

use crate::base::network::Network;
use crate::catalog::lease::{Lease, OwnerId, Source};
use crate::catalog::services::Terms;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::fault::Faults;
use crate::zone::view::Asker;
use std::net::IpAddr;
use std::sync::Arc;

/// What a zone became.
#[derive(Debug, Clone)]
pub enum ZoneContent {
    /// It is being loaded for the first time: SERVFAIL until then, for absence is not known yet.
    Pending,
    /// It is served.
    Sealed(Arc<Zone>),
    /// Its primaries have been silent for too long: SERVFAIL, until one of them says that this is still the zone.
    Expired(Arc<Zone>),
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
    /// These names and what lies below them belong to others, though a zone of this server stands above.
    Cede {
        /// Each a suffix; all that there are.
        suffixes: Vec<Name>,
    },
    /// What the server says of itself (RFC 4892, RFC 5001).
    Identify {
        /// For `hostname.bind`, `id.server` and NSID; at most 255 octets are used.
        identity: String,
    },
    /// There is a domain of service names, or its terms changed. Under another origin it begins without records.
    OpenServices(Box<Terms>),
    /// There is none any more.
    CloseServices,
    /// What a source says of a name and a type is this, whatever it said before.
    PutRecords {
        /// Who says it.
        source: Source,
        /// Of which name; it is kept in lower case.
        name: Name,
        /// Of which type; none that only questions have, and no SOA.
        rtype: RecordType,
        /// In seconds.
        ttl: u32,
        /// Well-formed, uncompressed.
        rdatas: Vec<Box<[u8]>>,
    },
    /// A source says nothing any more of a name and a type.
    DropRecords {
        /// Who.
        source: Source,
        /// Of which name.
        name: Name,
        /// Of which type.
        rtype: RecordType,
    },
    /// An owner begins anew: what it has said so far is forgotten, what it says from here on counts. Its lease stays.
    RenewOwner {
        /// Who.
        owner: OwnerId,
    },
    /// An owner is forgotten with all that it said.
    DropOwner {
        /// Who.
        owner: OwnerId,
    },
    /// The lease of an owner's records. Until the first, they are hidden.
    Lease {
        /// Whose.
        owner: OwnerId,
        /// What it is now.
        lease: Lease,
    },
    /// Who asks from an address, and what it is called; neither: nobody knows.
    PutAddress {
        /// The address.
        address: IpAddr,
        /// Who.
        asker: Option<Asker>,
        /// The name of its PTR.
        name: Option<Name>,
    },
    /// Networks whose addresses have names, as far as they are known.
    Reverse {
        /// None: no address has.
        networks: Vec<Network>,
    },
    /// Who those are taken for that nobody knows.
    Outsiders {
        /// What they get.
        asker: Asker,
    },
    /// Whether this node knows the records of the cluster. As long as it does not, no service name can be said to
    /// be absent: what is known is told, all else gets SERVFAIL.
    Synced(bool),
}
