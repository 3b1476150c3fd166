//! What the server tells of its zones.

use serde::{Deserialize, Serialize};

documents! {
    /// All zones.
    ZonesDocument {
        /// By rising origin.
        zones: Vec<ZoneDocument>,
    }

    /// One zone.
    ZoneDocument {
        /// Its apex.
        origin: String,
        /// `loading`, `serving` or `faulty`.
        health: String,
        /// The serial of its SOA.
        serial: Option<u32>,
        /// How many records it has.
        records: usize,
        /// Steps between versions that are remembered for IXFR.
        journal_steps: usize,
        /// Octets that they take.
        journal_octets: usize,
        /// The node whose version all members of the cluster have, if one of them shares the zone.
        shared_by: Option<String>,
        /// For a secondary: for how long nobody has said that this version is the newest.
        age_seconds: Option<f64>,
        /// For a secondary: when its primaries are asked next; 0 while they are.
        next_refresh_seconds: Option<f64>,
        /// The first faults, each as `file:line:column: message`.
        faults: Vec<String>,
    }

    /// Something was begun with a zone; the log and `zones` tell what comes of it.
    ZoneVerbDocument {
        /// Its apex.
        origin: String,
        /// `notify`, `refresh` or `retransfer`.
        begun: String,
    }
}
