//! The zone as those see it whom nobody knows, and who are on no node in particular: plain records, made of what owners and
//! the cluster say by the rules by which it is answered.
//!
//! Of a name only what changed is made anew. [`crate::zone::live::choice`] has the rules for what several say,
//! [`crate::zone::view`] those for who sees what; properties hold this against the answers of the packet path.

use crate::base::limits::MESSAGE_OCTETS_MAX;
use crate::discovery::cut::sets::hash;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::plain;
use crate::zone::rdata::canonicalize;
use crate::zone::seal::beside_cname;
use crate::zone::sink::Record;
use crate::zone::view::{MARK, Tag, flags, marks, number};
use std::collections::{BTreeMap, BTreeSet};

/// Octets of a set: it has to fit in a message behind the longest question. What is beyond stays away.
const SET_OCTETS_MAX: usize = MESSAGE_OCTETS_MAX - 12 - 255 - 4;
/// Octets of a record beside its RDATA, its owner being a pointer.
const RECORD_OCTETS: usize = 12;
/// Types at one name: a node counts them in one octet.
const TYPES_MAX: usize = 255;

/// Who says something: an owner, or `None` for the cluster.
pub type Source = Option<u64>;

/// A name's labels in front of the domain, in wire form and lower case.
type Key = Box<[u8]>;

#[derive(Debug)]
struct Said {
    ttl: u32,
    rdatas: Vec<Box<[u8]>>,
}

/// TTL and RDATA of each set at a name.
type Sets = BTreeMap<RecordType, (u32, BTreeSet<Box<[u8]>>)>;

/// What changed, as plain records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is no more.
    pub gone: Vec<u8>,
    /// What is new.
    pub come: Vec<u8>,
}

impl Changes {
    /// Both, one after the other: of what came and went again, or went and came again, nothing. Who takes them lets all go
    /// before anything comes (RFC 1995 §4).
    pub fn then(self, next: Changes) -> Changes {
        if self == Changes::default() {
            return next;
        }
        if next == Changes::default() {
            return self;
        }
        let (mut gone, mut come) =
            (BTreeSet::from_iter(lines(&self.gone)), BTreeSet::from_iter(lines(&self.come)));
        for line in lines(&next.gone) {
            if !come.remove(line) {
                gone.insert(line);
            }
        }
        for line in lines(&next.come) {
            if !gone.remove(line) {
                come.insert(line);
            }
        }
        let joined = |lines: BTreeSet<&[u8]>| lines.into_iter().flatten().copied().collect();
        Changes { gone: joined(gone), come: joined(come) }
    }
}

/// Each record of a run of plain records.
fn lines(mut run: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (line, rest) = run.split_at_checked(plain::first(run)?.1)?;
        run = rest;
        Some(line)
    })
}

/// See the module.
#[derive(Debug)]
pub struct Content {
    domain: Name,
    said: BTreeMap<Key, BTreeMap<(RecordType, Source), Said>>,
    /// At which names an owner says something.
    names: BTreeMap<u64, BTreeSet<Key>>,
    told: BTreeMap<Key, Sets>,
    /// The sum of the hashes of all records.
    hash: u64,
    networks: Vec<u32>,
    touched: BTreeSet<Key>,
}

impl Content {
    /// Without records.
    pub fn new(domain: &Name) -> Content {
        Content {
            domain: domain.to_lowercase(),
            said: BTreeMap::new(),
            names: BTreeMap::new(),
            told: BTreeMap::new(),
            hash: 0,
            networks: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// What a source says of a name and a type is replaced; without RDATA it says nothing.
    pub fn put(&mut self, source: Source, name: &Name, rtype: RecordType, ttl: u32, rdatas: Vec<Box<[u8]>>) {
        let lowered = name.to_lowercase();
        if !lowered.is_at_or_below(&self.domain) {
            return;
        }
        let Some(key) = lowered.as_wire().strip_suffix(self.domain.as_wire()) else { return };
        let key = Key::from(key);
        self.touched.insert(key.clone());
        if rdatas.is_empty() {
            return self.unsay(&key, |place| *place == (rtype, source));
        }
        if let Some(owner) = source {
            self.names.entry(owner).or_default().insert(key.clone());
        }
        self.said.entry(key).or_default().insert((rtype, source), Said { ttl, rdatas });
    }

    /// An owner says nothing any more.
    pub fn forget(&mut self, owner: u64) {
        for key in self.names.remove(&owner).unwrap_or_default() {
            self.unsay(&key, |(_, source)| *source == Some(owner));
            self.touched.insert(key);
        }
    }

    fn unsay(&mut self, key: &Key, is_gone: impl Fn(&(RecordType, Source)) -> bool) {
        let Some(said) = self.said.get_mut(key) else { return };
        said.retain(|place, _| !is_gone(place));
        if said.is_empty() {
            self.said.remove(key);
        }
    }

    /// The networks that those are in whom nobody knows, in the order in which they count.
    pub fn set_networks(&mut self, networks: &[u32]) {
        if self.networks != networks {
            self.networks = networks.to_vec();
            self.touched.extend(self.said.keys().cloned());
        }
    }

    /// The hash of all records: the same for the same records.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Makes what was touched anew; what changed since the last time.
    pub fn settle(&mut self) -> Changes {
        let mut changes = Changes::default();
        for key in std::mem::take(&mut self.touched) {
            let now = self.said.get(&key).map(|said| tell(said, key.is_empty(), &self.networks));
            let now = now.unwrap_or_default();
            let before = self.told.remove(&key).unwrap_or_default();
            let owner = [&key, self.domain.as_wire()].concat();
            let missing = |out: &mut Vec<u8>, own: &Sets, others: &Sets| {
                let mut sum = 0u64;
                for (rtype, (ttl, rdatas)) in own {
                    let other = others.get(rtype).filter(|(other, _)| other == ttl);
                    let is_there = |rdata: &[u8]| other.is_some_and(|(_, all)| all.contains(rdata));
                    for rdata in rdatas.iter().filter(|rdata| !is_there(rdata)) {
                        let start = out.len();
                        plain::write(out, &Record { owner: &owner, rtype: *rtype, ttl: *ttl, rdata });
                        sum = sum.wrapping_add(hash(&[&out[start..]]));
                    }
                }
                sum
            };
            let gone = missing(&mut changes.gone, &before, &now);
            let come = missing(&mut changes.come, &now, &before);
            self.hash = self.hash.wrapping_sub(gone).wrapping_add(come);
            if !now.is_empty() {
                self.told.insert(key, now);
            }
        }
        changes
    }

    /// All of it as plain records, as it was settled last.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (key, sets) in &self.told {
            let owner = [key, self.domain.as_wire()].concat();
            for (rtype, (ttl, rdatas)) in sets {
                for rdata in rdatas {
                    plain::write(out, &Record { owner: &owner, rtype: *rtype, ttl: *ttl, rdata });
                }
            }
        }
    }
}

/// The sets of a name.
fn tell(said: &BTreeMap<(RecordType, Source), Said>, is_apex: bool, networks: &[u32]) -> Sets {
    let of_cluster: BTreeSet<RecordType> =
        said.keys().filter(|(_, source)| source.is_none()).map(|(rtype, _)| *rtype).collect();
    let has_alias = of_cluster.contains(&RecordType::CNAME);
    let counts = |(rtype, source): &(RecordType, Source)| {
        let is_overruled = source.is_some() && of_cluster.contains(rtype);
        let is_hidden = has_alias && !beside_cname(*rtype);
        let is_misplaced = is_apex && *rtype == RecordType::CNAME;
        !is_overruled && !is_hidden && !is_misplaced
    };
    let said: Vec<(RecordType, &Said)> =
        said.iter().filter(|(place, _)| counts(place)).map(|((rtype, _), said)| (*rtype, said)).collect();
    // A discovered alias yields to all else.
    let yields = !has_alias && said.iter().any(|(rtype, _)| !beside_cname(*rtype));
    let marks: Vec<&[u8]> = said
        .iter()
        .filter(|(rtype, _)| *rtype == MARK.viewed())
        .flat_map(|(_, said)| said.rdatas.iter().map(|rdata| &**rdata))
        .collect();
    let mut sets = Sets::new();
    for set in said.chunk_by(|a, b| a.0 == b.0) {
        let Some((rtype, _)) = set.first() else { continue };
        let ttl = set.iter().map(|(_, said)| said.ttl).min().unwrap_or(0);
        let rdatas = set.iter().flat_map(|(_, said)| &said.rdatas);
        match rtype {
            // Marks say which group counts, and are no records.
            rtype if *rtype == MARK.viewed() => {}
            rtype if rtype.is_viewed() => {
                // Types rise, and those of views stand behind all others.
                let seen = see(rdatas.map(|rdata| &**rdata), &marks, networks);
                sets.entry(rtype.told()).or_insert_with(|| (ttl, bounded(rtype.told(), seen)));
            }
            &RecordType::CNAME if yields => {}
            rtype => {
                let mut rdatas = bounded(*rtype, rdatas.map(|rdata| &**rdata));
                if matches!(*rtype, RecordType::CNAME | RecordType::DNAME) {
                    rdatas = rdatas.into_iter().take(1).collect();
                }
                sets.insert(*rtype, (ttl, rdatas));
            }
        }
    }
    sets.retain(|_, (_, rdatas)| !rdatas.is_empty());
    while sets.len() > TYPES_MAX {
        sets.pop_last();
    }
    sets
}

/// Equal records once, as many as fit.
fn bounded<'r>(rtype: RecordType, rdatas: impl Iterator<Item = &'r [u8]>) -> BTreeSet<Box<[u8]>> {
    let mut all: BTreeMap<Vec<u8>, &[u8]> = BTreeMap::new();
    for rdata in rdatas {
        let mut canonical = rdata.to_vec();
        canonicalize(rtype, &mut canonical);
        let kept = all.entry(canonical).or_insert(rdata);
        // Names in RDATA keep their case: of two that differ in it alone the same one everywhere.
        *kept = (*kept).min(rdata);
    }
    let mut octets = 0;
    let fits = |rdata: &&[u8]| {
        octets += RECORD_OCTETS + rdata.len();
        octets <= SET_OCTETS_MAX
    };
    all.into_values().take_while(fits).map(Box::from).collect()
}

/// What those get whom nobody knows, in some networks: of one stack, one record of each thing. What is for those on one
/// node nobody gets who is on none. `marks`: those of the name.
fn see<'r>(
    rdatas: impl Iterator<Item = &'r [u8]>,
    marks: &[&'r [u8]],
    networks: &[u32],
) -> impl Iterator<Item = &'r [u8]> {
    let open = |sealed: &'r [u8]| {
        let (tag, rdata) = Tag::open(sealed).filter(|(tag, _)| tag.flags & flags::LOCAL == 0)?;
        let place = networks.iter().position(|network| *network == tag.network)?;
        Some((tag, place, rdata))
    };
    let marks: Vec<(Tag, usize, &[u8])> = marks.iter().filter_map(|sealed| open(sealed)).collect();
    let mut seen: Vec<(Tag, usize, &[u8])> = rdatas.filter_map(open).collect();
    let own = seen.iter().chain(&marks).find(|(tag, ..)| tag.stack == number(b""));
    let full = marks.iter().filter(|(.., rdata)| *rdata == marks::FULL);
    let first = || seen.iter().chain(full).map(|(tag, ..)| tag.group).min();
    let group = own.map(|(tag, ..)| tag.group).or_else(first);
    seen.retain(|(tag, ..)| Some(tag.group) == group);
    seen.sort_unstable_by(|a, b| (a.0.item, a.1, a.0, a.2).cmp(&(b.0.item, b.1, b.0, b.2)));
    seen.dedup_by_key(|(tag, ..)| tag.item);
    seen.into_iter().map(|(_, _, rdata)| rdata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOMAIN: &str = "hive.internal.";

    proptest! {
        /// However many changes are told as one, they lead from the zone before them to the zone after.
        #[test]
        fn changes_told_as_one_lead_from_the_first_zone_to_the_last(
            puts in prop::collection::vec((0u8..3, 0u8..3, 1u32..3, prop::collection::vec(0u8..4, 0..3)), 1..30),
            each in 1usize..5,
        ) {
            let domain = Name::parse(DOMAIN).unwrap();
            let mut content = Content::new(&domain);
            let mut zone: BTreeSet<Vec<u8>> = BTreeSet::new();
            for puts in puts.chunks(each) {
                let mut told = Changes::default();
                for (owner, name, ttl, rdatas) in puts {
                    let name = Name::parse(&format!("n{name}.{DOMAIN}")).unwrap();
                    let rdatas = rdatas.iter().map(|last| Box::from([10, 0, 0, *last])).collect();
                    content.put(Some(u64::from(*owner)), &name, RecordType::A, *ttl, rdatas);
                    told = told.then(content.settle());
                }
                for line in lines(&told.gone) {
                    prop_assert!(zone.remove(line), "what goes was there");
                }
                for line in lines(&told.come) {
                    prop_assert!(zone.insert(line.to_vec()), "what comes was not");
                }
                let mut whole = Vec::new();
                content.write(&mut whole);
                prop_assert_eq!(&zone, &lines(&whole).map(<[u8]>::to_vec).collect());
            }
        }
    }
}
