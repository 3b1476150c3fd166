//! What the thread that changes zones and the one that talks to other servers tell each other.

use crate::transfer::incoming::Came;
use crate::transfer::policy::Policy;
use crate::transfer::secondary::{Spec, Terms};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::zone::Serial;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What is to be done about other servers.
#[derive(Debug)]
pub enum Order {
    /// These zones come from elsewhere, and no others; these are the keys.
    Zones(Vec<Spec>, Arc<Policy>),
    /// A version of a zone that comes from elsewhere is in place.
    Served {
        /// Its apex.
        origin: Name,
        /// What its SOA says.
        terms: Terms,
        /// RDATA of its SOA.
        soa: Vec<u8>,
        /// For how long it was not checked.
        age: Duration,
    },
    /// There is no version of it.
    Absent(Name),
    /// What was transferred could not be put in place.
    Failed(Name),
    /// Somebody who may tell says that there is a later version.
    Notified(Name, Option<Serial>),
    /// It is to be asked for now; or all of it is to be transferred.
    Refresh(Name, bool),
    /// Others are to be told of a version.
    Announce {
        /// Its apex.
        origin: Name,
        /// RDATA of its SOA.
        soa: Vec<u8>,
        /// Who is told.
        to: Vec<SocketAddr>,
        /// The name of the key that signs.
        key: Option<Name>,
    },
    /// The publisher of a zone is to carry out an update.
    Update {
        /// The zone's apex.
        origin: Name,
        /// The update; its id is drawn when it is sent.
        message: Vec<u8>,
        /// Where the publisher answers; the first that does is told.
        to: Vec<SocketAddr>,
        /// The name of the key that signs.
        key: Option<Name>,
        /// Who waits for what comes of it.
        done: Sent,
    },
}

/// Told what came of a message: its answer's code, or why there is none. **Dropped uncalled, nobody asked.**
pub struct Sent(Box<dyn FnOnce(Result<Rcode, String>) + Send>);

impl Sent {
    /// Tells `take`, which must not wait.
    pub fn to(take: impl FnOnce(Result<Rcode, String>) + Send + 'static) -> Sent {
        Sent(Box::new(take))
    }

    /// Tells it.
    pub fn tell(self, outcome: Result<Rcode, String>) {
        (self.0)(outcome);
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

/// What came of it.
#[derive(Debug)]
pub enum News {
    /// A transfer is complete.
    Arrived(Name, Came),
    /// The version at hand is the primary's newest.
    Checked(Name),
    /// Nobody has said so for too long.
    Expired(Name),
    /// It is so again.
    Revived(Name),
}
