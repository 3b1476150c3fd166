//! What the server says of its own state to people and probes.

use crate::wire::name::Name;
use std::time::{Duration, Instant};

/// Whether a zone is served, and if not why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Being loaded for the first time.
    Loading,
    /// Served.
    Serving,
    /// Not served: SERVFAIL. The first faults, one per line as `file:line:column: message`.
    Faulty(Vec<String>),
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneStatus {
    /// Its apex.
    pub origin: Name,
    /// How it is.
    pub health: Health,
    /// The SOA's serial, if it is served.
    pub serial: Option<u32>,
    /// Records loaded.
    pub records: usize,
}

/// The server at one moment. Published anew with every snapshot.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// True once every zone has been loaded or found faulty, and until the server stops.
    pub ready: bool,
    /// Why it is not ready, for people.
    pub reason: String,
    /// The zones, by rising origin.
    pub zones: Vec<ZoneStatus>,
    /// Origins by the slot of their counters.
    pub slots: Vec<String>,
    /// The current snapshot's revision.
    pub revision: u64,
    /// When it was published.
    pub published: Option<Instant>,
    /// How long making and publishing it took.
    pub publish_took: Duration,
}
