//! A copy of what the cluster says that goes from cut to cut.
//!
//! **The law of use: all of each owner's log is told by [`Replica::hear`], and again whole whenever that says so or
//! [`Replica::advance`] names the owner; [`Replica::advance`] changes nothing unless it succeeds.**

use crate::catalog::delta::Delta;
use crate::catalog::lease::{OwnerId, Source};
use crate::discovery::cluster::{Rrset, decode_key};
use crate::discovery::cut::content::{Changes, Content};
use crate::discovery::cut::entry::{Head, Place, Terms};
use crate::discovery::cut::prefix::{Heard, Prefix};
use crate::discovery::cut::sets::Sets;
use crate::discovery::names::{self, Names};
use crate::discovery::node::{self, Entry};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Serial;
use crate::zone::history::Difference;
use crate::zone::plain;
use crate::zone::sink::Record;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The SOA's timers for secondaries, in seconds: refresh and retry fit a zone that changes all the time, expire is
/// RFC 1912's two weeks.
const SOA_TIMERS: [u32; 3] = [30, 10, 1_209_600];

/// Why a cut cannot be taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Nothing is known of this owner.
    Owner(u64),
    /// This owner's log is not known at the cut's head.
    Head(u64),
    /// The cluster-wide sets were never the cut's.
    Sets,
}

/// The zone of a cut.
#[derive(Debug, Clone)]
pub enum Version {
    /// All of it as plain records, the SOA first.
    Whole(Vec<u8>),
    /// What differs from the version that was given before.
    Step(Arc<Difference>),
}

/// See the module.
#[derive(Debug)]
pub struct Replica {
    domain: Name,
    names: Names,
    prefixes: BTreeMap<u64, Prefix>,
    sets: Sets,
    content: Content,
    /// Owners of the cut where it stands.
    listed: BTreeMap<u64, Head>,
    /// What they say of themselves.
    nodes: BTreeMap<u64, Entry>,
    /// What changed since the version that was given last.
    changes: Changes,
    terms: Option<Terms>,
    /// The SOA that was given last, as a plain record, and its serial. `None`: what is given next is whole.
    given: Option<(Serial, Vec<u8>)>,
}

impl Replica {
    /// Without records.
    pub fn new(terms: names::Terms) -> Replica {
        Replica {
            domain: terms.domain.clone(),
            content: Content::new(&terms.domain),
            names: Names::new(terms),
            prefixes: BTreeMap::new(),
            sets: Sets::default(),
            listed: BTreeMap::new(),
            nodes: BTreeMap::new(),
            changes: Changes::default(),
            terms: None,
            given: None,
        }
    }

    /// The log of an owner has changed. False if something before that is missing: then all of the log is to be told.
    #[must_use]
    pub fn hear(&mut self, owner: u64, heard: Heard) -> bool {
        match heard.since {
            Some(_) => self.prefixes.get_mut(&owner).is_some_and(|prefix| prefix.hear(heard)),
            None => self.prefixes.entry(owner).or_default().hear(heard),
        }
    }

    /// Nobody remembers the owner any more. The copy does, until a cut does not name it.
    pub fn forgotten(&mut self, owner: u64) {
        if !self.listed.contains_key(&owner) {
            self.prefixes.remove(&owner);
        }
    }

    /// A cluster-wide set changed.
    pub fn hear_set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.sets.hear(key, value);
    }

    /// The last place of an owner's log at which a cut could be made here.
    pub fn latest(&self, owner: u64) -> Option<Place> {
        self.prefixes.get(&owner)?.latest()
    }

    /// The hash of the cluster-wide sets at present.
    pub fn latest_sets(&self) -> u64 {
        self.sets.latest()
    }

    /// The hash of what it comes to where it stands.
    pub fn hash(&self) -> u64 {
        self.content.hash()
    }

    /// Goes to a cut: owners with their heads, and the hash of the cluster-wide sets. The owners that are in it no more: they
    /// are to be told whole, should they come back.
    pub fn advance(
        &mut self,
        heads: &BTreeMap<u64, Head>,
        sets: u64,
        terms: &Terms,
    ) -> Result<Vec<u64>, Lacking> {
        for (owner, head) in heads {
            let prefix = self.prefixes.get(owner).ok_or(Lacking::Owner(*owner))?;
            if !prefix.reaches(head.place) {
                return Err(Lacking::Head(*owner));
            }
        }
        let changes = self.sets.advance(sets).ok_or(Lacking::Sets)?;
        changes.iter().for_each(|(key, value)| self.take_set(key, value.as_deref()));
        let gone: Vec<u64> = self.listed.keys().filter(|owner| !heads.contains_key(owner)).copied().collect();
        for owner in &gone {
            self.prefixes.remove(owner);
            self.nodes.remove(owner);
            self.names.forget(OwnerId(*owner));
            self.content.forget(*owner);
        }
        for (owner, head) in heads {
            self.take_owner(*owner, head);
        }
        self.listed.clone_from(heads);
        self.take_terms(terms);
        for delta in self.names.changes() {
            match delta {
                Delta::PutRecords { source: Source::Owner(owner), name, rtype, ttl, rdatas } => {
                    self.content.put(Some(owner.0), &name, rtype, ttl, rdatas);
                }
                Delta::DropRecords { source: Source::Owner(owner), name, rtype } => {
                    self.content.put(Some(owner.0), &name, rtype, 0, Vec::new());
                }
                // Who asks from where is no part of the zone.
                _ => {}
            }
        }
        let changes = self.content.settle();
        if self.given.is_some() {
            // A cut that this node made itself may never be given: another's later one can come first.
            self.changes = std::mem::take(&mut self.changes).then(changes);
        }
        Ok(gone)
    }

    fn take_set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Ok((name, rtype)) = decode_key(key) else { return };
        // What breaks the rules is not served anywhere.
        let set = value.and_then(|value| Rrset::decode(key, value).ok());
        let set = set.filter(|set| set.stands_in(&self.domain).is_ok());
        let (ttl, rdatas) = match &set {
            Some(set) => (set.ttl(), set.rdatas().iter().map(|rdata| rdata.clone().into()).collect()),
            None => (0, Vec::new()),
        };
        self.content.put(None, &name, rtype, ttl, rdatas);
    }

    fn take_owner(&mut self, owner: u64, head: &Head) {
        let before = self.listed.get(&owner);
        if before == Some(head) {
            return;
        }
        let is_called_otherwise = before.is_none_or(|before| before.name != head.name);
        let advance = self.prefixes.get_mut(&owner).and_then(|prefix| prefix.advance(head.place));
        let Some(advance) = advance else { return };
        let mut is_node_changed = is_called_otherwise || advance.is_anew;
        if advance.is_anew {
            let says: BTreeMap<&[u8], bool> =
                advance.changes.iter().map(|(key, value)| (&**key, value.is_some())).collect();
            self.names.keep(OwnerId(owner), |kind, id| {
                says.get(&[&[kind], id.as_bytes()].concat()[..]).copied().unwrap_or_default()
            });
            self.nodes.remove(&owner);
        }
        for (key, value) in &advance.changes {
            if **key == *node::KEY {
                let entry = value.as_ref().and_then(|value| Entry::decode(value).ok());
                match entry {
                    Some(entry) => drop(self.nodes.insert(owner, entry)),
                    None => drop(self.nodes.remove(&owner)),
                }
                is_node_changed = true;
            } else {
                // What cannot be understood has no names, here as elsewhere; who serves it has told so.
                let _ = self.names.hear(OwnerId(owner), key, value.as_deref());
            }
        }
        if is_node_changed {
            let entry = self.nodes.get(&owner).filter(|_| !head.name.is_empty());
            self.names.put_node(OwnerId(owner), entry.map(|entry| (&*head.name, entry)));
        }
    }

    fn take_terms(&mut self, terms: &Terms) {
        if self.terms.as_ref() == Some(terms) {
            return;
        }
        let names = terms.servers.iter().filter_map(|server| node::name_of(server, &self.domain).ok());
        let servers = names.map(|name| name.as_wire().into()).collect();
        let domain = self.domain.clone();
        self.content.put(None, &domain, RecordType::NS, terms.ttl, servers);
        self.content.set_networks(&terms.networks);
        self.terms = Some(terms.clone());
    }

    /// The zone where it stands, under that serial. Follows each [`Replica::advance`] whose zone is to be served.
    pub fn give(&mut self, serial: Serial) -> Version {
        let soa = self.soa(serial);
        let Changes { gone, come } = std::mem::take(&mut self.changes);
        match self.given.replace((serial, soa.clone())) {
            Some((before, old)) => {
                let records = [old, gone, soa, come].concat();
                Version::Step(Arc::new(Difference::new(before, serial, records)))
            }
            None => {
                let mut run = soa;
                self.content.write(&mut run);
                Version::Whole(run)
            }
        }
    }

    /// What was given did not come to be served: what is given next is whole.
    pub fn give_anew(&mut self) {
        self.given = None;
        self.changes = Changes::default();
    }

    /// The SOA as a plain record (RFC 1035 §3.3.13).
    fn soa(&self, serial: Serial) -> Vec<u8> {
        let (ttl, negative_ttl) = self.terms.as_ref().map_or((0, 0), |terms| (terms.ttl, terms.negative_ttl));
        let first = self.terms.as_ref().and_then(|terms| terms.servers.first());
        let primary = first.and_then(|server| node::name_of(server, &self.domain).ok());
        let mut rdata = primary.as_ref().unwrap_or(&self.domain).as_wire().to_vec();
        let mailbox = [b"\x0ahostmaster", self.domain.as_wire()].concat();
        // A domain so long that it has no room for its mailbox has none.
        rdata.extend_from_slice(Name::from_wire(&mailbox).unwrap_or(Name::ROOT).as_wire());
        let [refresh, retry, expire] = SOA_TIMERS;
        for number in [serial.0, refresh, retry, expire, negative_ttl] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        let mut out = Vec::new();
        let owner = self.domain.to_lowercase();
        plain::write(
            &mut out,
            &Record { owner: owner.as_wire(), rtype: RecordType::SOA, ttl, rdata: &rdata },
        );
        out
    }
}
