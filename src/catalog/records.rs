//! The records of the services as people ask for them: who says what, and what is served of it.

use crate::base::time::Moment;
use crate::catalog::lease::{Lease, OwnerId, Source};
use crate::catalog::owners::Owners;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::live::block::Lying;
use crate::zone::live::directory::Directory;
use crate::zone::live::ledger::{self, SourceNumber};

/// One record as one source says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub rtype: RecordType,
    /// The TTL that the source gave it, in seconds.
    pub ttl: u32,
    /// Uncompressed.
    pub rdata: Box<[u8]>,
    /// Who says it.
    pub source: Source,
    /// The lease of the owner; full for what the cluster says.
    pub lease: Lease,
    /// False if it is hidden, over, overruled, or said by another source too.
    pub is_served: bool,
}

/// All records at one moment. Shares its memory with the snapshots.
pub struct Records {
    origin: Name,
    seed: HashSeed,
    directory: Directory,
    owners: Owners,
}

impl Records {
    pub(crate) fn new(origin: &Name, seed: HashSeed, directory: Directory, owners: Owners) -> Records {
        Records { origin: origin.to_lowercase(), seed, directory, owners }
    }

    /// The owners.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The moment up to which what is over is known.
    pub fn now(&self) -> Moment {
        self.owners.now
    }

    /// Every record, in no order of names that means anything.
    pub fn for_each(&self, mut each: impl FnMut(RecordView)) {
        let origin_len = self.origin.as_wire().len();
        for lying in self.directory.blocks().flat_map(|block| block.lying(origin_len)) {
            self.read(&lying, &mut each);
        }
    }

    /// Every record of the names that `is_wanted`, which is handed each name's labels in front of the domain, in wire
    /// form and lower case. What is not wanted is not read and costs next to nothing.
    pub fn for_each_at(&self, mut is_wanted: impl FnMut(&[u8]) -> bool, mut each: impl FnMut(RecordView)) {
        let origin_len = self.origin.as_wire().len();
        for lying in self.directory.blocks().flat_map(|block| block.lying(origin_len)) {
            if is_wanted(lying.node.key()) {
                self.read(&lying, &mut each);
            }
        }
    }

    /// What is said of one name: a look-up, however many records there are.
    pub fn of(&self, name: &Name) -> Vec<RecordView> {
        let (name, origin) = (name.to_lowercase(), self.origin.as_wire());
        let mut found = Vec::new();
        if !name.is_at_or_below(&self.origin) {
            return found;
        }
        let key = name.as_wire().strip_suffix(origin).unwrap_or_default();
        let hash = self.seed.name(name.as_wire());
        let lying = self.directory.block(hash).and_then(|block| block.find(hash, key, origin.len()));
        if let Some(lying) = lying {
            self.read(&lying, &mut |record| found.push(record));
        }
        found
    }

    fn read(&self, lying: &Lying<'_>, each: &mut impl FnMut(RecordView)) {
        let owner = [lying.node.key(), self.origin.as_wire()].concat();
        let name = Name::from_wire(&owner).unwrap_or(Name::ROOT);
        ledger::read(&lying.node, lying.ledger, &owner, |said, is_served| {
            let Some((source, lease)) = self.source(said.source) else { return };
            each(RecordView {
                name: name.clone(),
                rtype: said.rtype,
                ttl: said.ttl,
                rdata: said.rdata,
                source,
                lease,
                is_served,
            });
        });
    }

    /// `None` for an owner that is being forgotten.
    fn source(&self, number: SourceNumber) -> Option<(Source, Lease)> {
        match self.owners.get(number) {
            None => Some((Source::Cluster, Lease::Full)),
            Some(owner) => Some((Source::Owner(OwnerId(owner.id?.0)), owner.lease)),
        }
    }
}
