//! How long the records of an owner are served when nothing is heard of it.
//!
//! While an owner lives its lease is full. When it is lost, or restarts, the lease counts: a record is served for
//! the lease or its own TTL, whichever is longer, with a TTL in answers of at most what is left. A frozen lease
//! waits. A hidden owner's records are kept and not served, until its lease is full again.

use crate::base::time::Moment;
use crate::zone::live::choice::Standing;
use std::time::Duration;

/// Who a record was learned from: one node of the cluster. Given by whoever hands deltas in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u64);

/// Who says a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The cluster as a whole: an operator set it. Not leased, and before all that is discovered.
    Cluster,
    /// One node discovered it.
    Owner(OwnerId),
}

/// What becomes of the records of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The owner lives.
    Full,
    /// The owner is lost or restarting.
    Counting {
        /// How much of the lease was spent at that moment.
        spent: Duration,
        /// The moment.
        at: Moment,
        /// It restarts: its records keep their rank.
        restarting: bool,
    },
    /// As counting, but expiry waits.
    Frozen {
        /// How much of the lease is spent.
        spent: Duration,
    },
    /// Its records are not served.
    Hidden,
}

impl Lease {
    /// How a record of that TTL stands at `now`, where the configured lease is `whole`.
    pub fn standing(self, ttl: u32, whole: Duration, now: Moment) -> Standing {
        let span = whole.max(Duration::from_secs(ttl.into()));
        match self {
            Lease::Full => Standing::FULL,
            Lease::Hidden => Standing::Unserved,
            Lease::Counting { spent, at, restarting } => {
                let until = at + span.saturating_sub(spent);
                // What has no end is not told apart from what has one by NEVER.
                if until <= now {
                    Standing::Unserved
                } else {
                    Standing::Served { lost: !restarting, ttl_max: u32::MAX, until }
                }
            }
            Lease::Frozen { spent } => match span.saturating_sub(spent) {
                Duration::ZERO => Standing::Unserved,
                left => Standing::Served {
                    lost: true,
                    ttl_max: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
                    until: Moment::NEVER,
                },
            },
        }
    }
}
