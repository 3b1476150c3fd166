//! Floor 2: everything this server answers from, as one value.
//!
//! [`delta::Delta`] describes a change, [`state::State`] applies it, [`snapshot::Snapshot`] is what comes of it,
//! [`published::Published`] hands it to the workers. No I/O, no clock; knows nothing of queries.

pub mod delta;
pub mod published;
pub mod snapshot;
pub mod state;
