//! What the services thread tells of the container engine, and how it stands with it.

use crate::control::document::EngineDocument;
use crate::discovery::endpoint::Endpoint;
use crate::discovery::engine::Said;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// News of the container engine, in the order in which they are true.
#[derive(Debug)]
pub enum Tale {
    /// It is connected.
    Connected {
        /// The engine's own version.
        version: String,
    },
    /// It is out of reach.
    Lost {
        /// Why, one line.
        error: String,
    },
    /// It manages the swarm of that id, or none.
    Manages(Option<String>),
    /// This node says that of a container, in place of what it said of it before.
    Put(Box<Endpoint>),
    /// This node says nothing any more of the container of that id.
    Remove(String),
    /// All containers have been looked at: what was said is what the engine has.
    Listed,
    /// The engine has been out of reach for a lease: nothing is said of it any more.
    Expired,
    /// What this node says for its swarm.
    Say(Said),
    /// The engine, though it manages a swarm, does not tell of it.
    Mute,
    /// Where the names to join will lead to.
    Kin {
        /// Members' addresses.
        addresses: Vec<SocketAddr>,
        /// No name is missing.
        is_whole: bool,
        /// There is nobody but this node, and nobody is to come.
        is_alone: bool,
    },
}

/// How it stands with the container engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Its events are being heard.
    pub is_connected: bool,
    /// Its own version, if it ever was connected.
    pub version: Option<String>,
    /// Why it is not connected.
    pub error: Option<String>,
    /// When what is said of it was last known to be what it has.
    pub synced: Option<SystemTime>,
    /// Containers that this node says something of.
    pub containers: usize,
    /// It manages a swarm.
    pub is_manager: bool,
    /// This node speaks for that swarm.
    pub speaks: bool,
}

impl EngineStatus {
    /// Seconds from 1970 to when all containers were last looked at; none if they never were.
    pub fn synced_seconds(&self) -> Option<f64> {
        let since = self.synced?.duration_since(UNIX_EPOCH).ok();
        since.as_ref().map(Duration::as_secs_f64)
    }

    /// For people and programs.
    pub fn document(&self) -> EngineDocument {
        EngineDocument {
            connected: self.is_connected,
            version: self.version.clone(),
            error: self.error.clone(),
            containers: self.containers,
            last_sync_timestamp_seconds: self.synced_seconds(),
            manager: self.is_manager,
            speaks: self.speaks,
        }
    }
}
