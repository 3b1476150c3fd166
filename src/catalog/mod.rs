//! Floor 2: everything this server answers from, as one value.
//!
//! [`delta::Delta`] describes a change, [`state::State`] applies it, [`snapshot::Snapshot`] is what comes of it,
//! [`published::Published`] hands it to the workers. The domain of service names is a zone of its own kind, made of
//! what many [`lease::Source`]s say: [`services`]. No I/O, no clock; knows nothing of queries.

pub mod delta;
pub mod lease;
pub mod owners;
pub mod published;
pub mod records;
pub mod reverse;
pub mod services;
pub mod snapshot;
pub mod state;
