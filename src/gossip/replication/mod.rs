//! Every record of every owner, on every node.
//!
//! ```text
//! an owner changes something ─► DELTA to some members ─► each that learns of it by that sends it on
//!                             └► HINT (only the head), a few times ─► who lacks it sends PULL ─► DELTA
//! now and then two compare:    DIGEST (one hash) ─► BUCKETS ─► HEADS ─► PULL
//! a new or long absent node:   everything, over a stream
//! ```

pub mod cluster;
pub mod delta;
pub mod engine;
pub mod forgotten;
pub mod leases;
pub mod log;
pub mod owners;
pub mod pulls;
pub mod sharing;
pub mod spread;
pub mod wire;
