//! Which zones go to whom, who may tell of news and change them, and with which keys. Read by the workers, exchanged whole.

use crate::transfer::access::AccessList;
use crate::transfer::tsig::Key;
use crate::transfer::update::rights::Rights;
use crate::wire::name::Name;
use std::collections::HashMap;
use std::sync::Arc;

/// What is said of one zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZonePolicy {
    /// Who may transfer it.
    pub transfer: AccessList,
    /// Who may tell of a new serial; `None`: it is a primary zone, nobody.
    pub notify_from: Option<AccessList>,
    /// Who may change it.
    pub update: AccessList,
}

/// What is said of all zones.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    keys: Vec<Arc<Key>>,
    /// What some keys may not.
    rights: HashMap<Name, Rights>,
    /// By apex in lower-cased wire form.
    zones: HashMap<Box<[u8]>, ZonePolicy>,
}

impl Policy {
    /// Of keys, no name twice, and zones.
    pub fn new(keys: Vec<Arc<Key>>, zones: impl IntoIterator<Item = (Name, ZonePolicy)>) -> Policy {
        let zones = zones.into_iter().map(|(origin, zone)| (origin.to_lowercase().as_wire().into(), zone));
        Policy { keys, rights: HashMap::new(), zones: zones.collect() }
    }

    /// The same, with keys that may touch certain things only.
    pub fn with_rights(self, rights: impl IntoIterator<Item = (Name, Rights)>) -> Policy {
        Policy { rights: rights.into_iter().collect(), ..self }
    }

    /// What updates with the key of that name may touch; `None`: whatever the zone has.
    pub fn rights(&self, key: &Name) -> Option<&Rights> {
        self.rights.get(key)
    }

    /// The keys.
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// The key of that name.
    pub fn key(&self, name: &Name) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.name() == name)
    }

    /// What is said of the zone of that apex, in lower-cased wire form. `None`: it is nobody else's affair.
    pub fn zone(&self, origin: &[u8]) -> Option<&ZonePolicy> {
        self.zones.get(origin)
    }
}
