//! Signed zones by chance, and questions about them: names from so few labels that wildcards, cuts, aliases and empty
//! names meet often. How they are signed shares no code with the server.

use crate::oracle::render;
use crate::signer::Signer;
use crate::support::desk::Entry;
use data_encoding::BASE32_DNSSEC;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::{Class, RecordType};
use hivedns::wire::section::Record;
use proptest::prelude::*;
use proptest::sample::select;
use ring::digest;
use std::collections::{BTreeMap, BTreeSet};

/// A name behind its hash.
type Hashed = (Vec<u8>, Name);

/// The apex of all of them.
pub const ZONE: &str = "z.";
/// When the tests happen.
pub const WALL: u32 = 1_800_000_000;
const DAY: u32 = 86_400;
/// Questions about each zone.
const QUESTIONS: usize = 16;
const SALT: u8 = 0xaa;

/// How a zone proves what does not exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Denies {
    Nsec,
    Nsec3 { iterations: u16, opt_out: bool },
}

pub const WAYS: [Denies; 4] = [
    Denies::Nsec,
    Denies::Nsec3 { iterations: 0, opt_out: false },
    Denies::Nsec3 { iterations: 3, opt_out: false },
    Denies::Nsec3 { iterations: 0, opt_out: true },
];

pub struct Zone {
    pub denies: Denies,
    pub signer: Signer,
    /// Without signatures.
    sets: BTreeMap<(Name, RecordType), Vec<Record>>,
    /// The records of the chain.
    chain: Vec<Record>,
}

impl std::fmt::Debug for Zone {
    /// As text: it stands in the report of a failure.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}", self.denies)?;
        let mut records = self.sets.values().flatten().chain(&self.chain);
        records.try_for_each(|r| {
            writeln!(f, "{} {} {}", r.name, r.rtype, render::rdata_text(r.rtype.0, &r.rdata))
        })
    }
}

fn apex() -> Name {
    Name::parse(ZONE).expect("a name")
}

fn record(owner: &Name, rtype: RecordType, rdata: &[u8]) -> Record {
    Record { name: owner.clone(), rtype, class: Class::IN, ttl: 300, rdata: rdata.to_vec() }
}

impl Zone {
    /// Of those records that may stand together, in their order; the rest are left out.
    fn new(denies: Denies, records: Vec<Record>) -> Zone {
        let signer = Signer::ed25519(7);
        let soa = [b"\x01m\0\x01h\0", &[0, 0, 0, 200].repeat(5)[..]].concat();
        let mut sets: BTreeMap<_, Vec<Record>> = BTreeMap::new();
        let own = [
            record(&apex(), RecordType::SOA, &soa),
            record(&apex(), RecordType::NS, b"\x02ns\x01z\0"),
            record(&apex(), RecordType::DNSKEY, &signer.dnskey()),
        ];
        for record in own.into_iter().chain(records) {
            let has = |name: &Name, rtype| sets.contains_key(&(name.clone(), rtype));
            let above = std::iter::successors(record.name.parent(), Name::parent);
            // Glue alone stands below a cut.
            let is_below = |name: &Name| {
                has(name, RecordType::DNAME)
                    || *name != apex() && has(name, RecordType::NS) && record.rtype != RecordType::A
            };
            let is_hidden = above.filter(|name| name.is_at_or_below(&apex())).any(|name| is_below(&name));
            let is_above =
                |name: &Name| sets.keys().any(|(other, _)| other != name && other.is_at_or_below(name));
            let stands_alone = match record.rtype {
                RecordType::CNAME => sets.keys().all(|(name, _)| *name != record.name),
                RecordType::DNAME => {
                    !is_above(&record.name)
                        && !has(&record.name, RecordType::NS)
                        && !has(&record.name, RecordType::DNAME)
                }
                RecordType::NS if record.name != apex() => {
                    !record.name.is_wildcard()
                        && !is_above(&record.name)
                        && sets.keys().all(|(name, rtype)| *name != record.name || *rtype == RecordType::NS)
                }
                RecordType::DS => has(&record.name, RecordType::NS) && record.name != apex(),
                _ => record.name == apex() || !has(&record.name, RecordType::NS),
            };
            if stands_alone && !is_hidden && !has(&record.name, RecordType::CNAME) {
                let set = sets.entry((record.name.clone(), record.rtype)).or_default();
                if !set.iter().any(|known| known.rdata == record.rdata) {
                    set.push(record);
                }
            }
        }
        let mut zone = Zone { denies, signer, sets, chain: Vec::new() };
        if let Denies::Nsec3 { iterations, .. } = denies {
            let [high, low] = iterations.to_be_bytes();
            let param = record(&apex(), RecordType::NSEC3PARAM, &[1, 0, high, low, 1, SALT]);
            zone.sets.insert((apex(), RecordType::NSEC3PARAM), vec![param]);
        }
        zone.chain = zone.make_chain();
        zone
    }

    /// Of lines of owner below the apex, type and data.
    pub fn of_text(text: &str, denies: Denies) -> Zone {
        let name = |text: &str| Name::parse(&format!("{text}.{ZONE}")).expect("a name");
        let read = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [owner, rtype, data] = words[..] else { panic!("{line}") };
            let rtype: RecordType = rtype.parse().expect("a type");
            let rdata = match rtype {
                RecordType::A => data.split('.').map(|octet| octet.parse().expect("an octet")).collect(),
                _ => name(data).as_wire().to_vec(),
            };
            record(&name(owner), rtype, &rdata)
        };
        Zone::new(denies, text.lines().map(read).collect())
    }

    /// The same where an alias leads elsewhere.
    pub fn with_alias(mut self, owner: &str, target: &str) -> Zone {
        let [owner, target] = [owner, target].map(|text| Name::parse(text).expect("a name"));
        let alias = record(&owner, RecordType::CNAME, target.as_wire());
        self.sets.insert((owner, RecordType::CNAME), vec![alias]);
        self
    }

    /// The records of the chain.
    pub fn proofs(&self) -> impl Iterator<Item = &Record> {
        self.chain.iter()
    }

    /// The same with a part of the chain.
    pub fn with_proofs(&self, keeps: impl Fn(usize) -> bool) -> Zone {
        let numbered = self.chain.iter().cloned().enumerate();
        let chain = numbered.filter(|(number, _)| keeps(*number)).map(|(_, record)| record).collect();
        Zone { denies: self.denies, signer: Signer::ed25519(7), sets: self.sets.clone(), chain }
    }

    /// All records with their signatures.
    pub fn entries(&self) -> Vec<Entry> {
        let is_cut = |name: &Name| *name != apex() && self.sets.contains_key(&(name.clone(), RecordType::NS));
        let below_cut =
            |name: &Name| std::iter::successors(name.parent(), Name::parent).any(|name| is_cut(&name));
        let chain = self.chain.iter().map(std::slice::from_ref);
        let mut entries = Vec::new();
        for set in self.sets.values().map(Vec::as_slice).chain(chain) {
            entries.extend(set.iter().map(entry));
            let first = &set[0];
            // Name servers of a cut and glue are not ours to sign (RFC 4035 §2.2).
            if !(is_cut(&first.name) && first.rtype == RecordType::NS || below_cut(&first.name)) {
                entries.push(entry(&self.signer.sign_set(&apex(), set, WALL - DAY, WALL + DAY)));
            }
        }
        entries
    }

    fn make_chain(&self) -> Vec<Record> {
        let has = |name: &Name, rtype| self.sets.contains_key(&(name.clone(), rtype));
        let is_cut = |name: &Name| *name != apex() && has(name, RecordType::NS);
        let mut owners: BTreeSet<Name> = self.sets.keys().map(|(name, _)| name.clone()).collect();
        let below_cut =
            |name: &Name| std::iter::successors(name.parent(), Name::parent).any(|name| is_cut(&name));
        owners.retain(|name| !below_cut(name));
        match self.denies {
            Denies::Nsec => {
                let next = owners.iter().cycle().skip(1);
                let make = |(owner, next): (&Name, &Name)| {
                    let types = self.bitmap(owner, &[RecordType::NSEC, RecordType::RRSIG]);
                    record(owner, RecordType::NSEC, &[next.as_wire(), &types].concat())
                };
                owners.iter().zip(next).map(make).collect()
            }
            Denies::Nsec3 { iterations, opt_out } => {
                let unsigned = |name: &Name| is_cut(name) && !has(name, RecordType::DS);
                owners.retain(|name| !(opt_out && unsigned(name)));
                // Empty names are there for what is below them, and go with it.
                let above =
                    |name: &Name| std::iter::successors(name.parent(), Name::parent).collect::<Vec<_>>();
                let nodes: BTreeSet<Name> = owners
                    .iter()
                    .flat_map(above)
                    .filter(|name| name.is_at_or_below(&apex()))
                    .chain(owners.iter().cloned())
                    .collect();
                let mut hashed: Vec<Hashed> =
                    nodes.into_iter().map(|node| (hash(&node, iterations), node)).collect();
                hashed.sort();
                let [high, low] = iterations.to_be_bytes();
                let make = |(hash, node): &Hashed, next: &Vec<u8>| {
                    let signs = owners.contains(node) && !unsigned(node);
                    let types = self.bitmap(node, if signs { &[RecordType::RRSIG] } else { &[] });
                    let owner =
                        Name::parse(&format!("{}.{ZONE}", BASE32_DNSSEC.encode(hash))).expect("a name");
                    let head = [1, u8::from(opt_out), high, low, 1, SALT, 20];
                    record(&owner, RecordType::NSEC3, &[&head[..], next, &types].concat())
                };
                let next = hashed.iter().cycle().skip(1).map(|(hash, _)| hash);
                hashed.iter().zip(next).map(|(own, next)| make(own, next)).collect()
            }
        }
    }

    fn bitmap(&self, owner: &Name, also: &[RecordType]) -> Vec<u8> {
        let own = self.sets.keys().filter(|(name, _)| name == owner).map(|(_, rtype)| *rtype);
        let mut bits = [0u8; 32];
        for rtype in own.chain(also.iter().copied()) {
            bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8);
        }
        let len = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        if len == 0 { Vec::new() } else { [&[0, len as u8], &bits[..len]].concat() }
    }
}

fn entry(record: &Record) -> Entry {
    let Record { name, rtype, ttl, rdata, .. } = record;
    Entry { owner: name.as_wire().to_vec(), rtype: rtype.0, ttl: *ttl, rdata: rdata.clone() }
}

/// RFC 5155 §5.
fn hash(name: &Name, iterations: u16) -> Vec<u8> {
    let mut hash = name.to_lowercase().as_wire().to_vec();
    for _ in 0..=iterations {
        let input = [&hash[..], &[SALT]].concat();
        hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &input).as_ref().to_vec();
    }
    hash
}

fn below(depth_max: usize) -> impl Strategy<Value = Name> {
    let label = select(vec!["a", "b", "c", "*", "*", "ns", "B"]);
    prop::collection::vec(label, 0..=depth_max).prop_map(|labels| {
        Name::parse(
            &labels.iter().map(|label| format!("{label}.")).chain([ZONE.to_owned()]).collect::<String>(),
        )
        .expect("a name")
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    let rtype = select(vec![
        RecordType::A,
        RecordType::A,
        RecordType::TXT,
        RecordType::CNAME,
        RecordType::CNAME,
        RecordType::DNAME,
        RecordType::NS,
        RecordType::NS,
        RecordType::DS,
        RecordType::MX,
    ]);
    (below(4), rtype, below(3), 0..3u8).prop_map(|(owner, rtype, target, number)| {
        let rdata = match rtype {
            RecordType::A => vec![192, 0, 2, number],
            RecordType::TXT => vec![1, number],
            RecordType::DS => [&[0, number, 15, 2][..], &[number; 32]].concat(),
            RecordType::MX => [&[0, number], target.to_lowercase().as_wire()].concat(),
            _ => target.to_lowercase().as_wire().to_vec(),
        };
        // Signatures are over what is lowered; the signer of these tests leaves owners and MX as they are.
        record(&owner, rtype, &rdata)
    })
}

/// A zone and questions about it.
pub fn case() -> impl Strategy<Value = (Zone, Vec<(Name, RecordType)>)> {
    let denies = prop_oneof![
        2 => Just(Denies::Nsec),
        1 => (0..3u16).prop_map(|iterations| Denies::Nsec3 { iterations, opt_out: false }),
        1 => (0..3u16).prop_map(|iterations| Denies::Nsec3 { iterations, opt_out: true }),
    ];
    let zone = (denies, prop::collection::vec(any_record(), 0..24))
        .prop_map(|(denies, records)| Zone::new(denies, records));
    let qtypes = vec![
        RecordType::A,
        RecordType::A,
        RecordType::TXT,
        RecordType::CNAME,
        RecordType::NS,
        RecordType::DS,
        RecordType::MX,
        RecordType::SOA,
        RecordType::DNSKEY,
        RecordType::NSEC,
    ];
    (zone, prop::collection::vec((below(5), select(qtypes)), QUESTIONS))
}
