//! What the server tells of its container engine.

use serde::{Deserialize, Serialize};

documents! {
    /// The container engine as this node sees it.
    EngineDocument {
        /// Its events are being heard.
        connected: bool,
        /// Its own version; null if it never was connected.
        version: Option<String>,
        /// Why it is not connected.
        error: Option<String>,
        /// Containers that this node publishes.
        containers: usize,
        /// When all of them were last looked at, in seconds since 1970; null if they never were.
        last_sync_timestamp_seconds: Option<f64>,
        /// It manages a swarm.
        manager: bool,
        /// This node speaks for that swarm: the lowest of its living managers.
        speaks: bool,
    }

    /// What came of comparing answers with those of the engine's own resolver.
    ShadowDocument {
        /// Names that both answered for, since the start.
        compared: u64,
        /// Those of them for which the answers differed, twice.
        differences: u64,
        /// Names for which one of the two gave no answer.
        unanswered: u64,
        /// The last differences, the oldest first.
        last: Vec<ShadowDifferenceDocument>,
    }

    /// A name for which the engine's own resolver and this server answer differently.
    ShadowDifferenceDocument {
        /// The name, as the engine's resolver is asked for it.
        name: String,
        /// Addresses that only the engine's resolver tells.
        missing: Vec<String>,
        /// Addresses that only this server tells.
        surplus: Vec<String>,
    }
}
