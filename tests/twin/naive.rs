//! The naive twin: RFC 1034 §4.3.2 over maps, as slow and as plain as it can be said, with wildcards
//! (RFC 4592), DNAME (RFC 6672), negative answers (RFC 2308) and glue. Shares no code with the server.
//!
//! What the standards leave open is decided here as the server decides it, and marked CHOICE.

use crate::oracle::message::{Record, target};
use crate::oracle::names::{Wire, is_within, lowered, parent, to_text};
use crate::oracle::render;
use crate::support::desk::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const DNAME: u16 = 39;
pub const DS: u16 = 43;
pub const ANY: u16 = 255;

/// CHOICE: aliases followed in one answer, as with Knot.
const ALIASES_MAX: usize = 20;

/// One zone: every name that exists, empty non-terminals with no sets. Names are lowered.
#[derive(Clone)]
pub struct Zone {
    pub origin: Wire,
    pub names: BTreeMap<Wire, BTreeMap<u16, Vec<Record>>>,
    /// What was taken, as it is to be handed to the server.
    pub entries: Vec<Entry>,
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Node(Wire),
    BelowCut(Wire),
    BelowDname(Wire),
    Wildcard(Wire),
    Absent,
}

/// The answer, each section in the order it was collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub rcode: u16,
    pub aa: bool,
    pub sections: [Vec<Record>; 3],
}

impl std::fmt::Debug for Zone {
    /// As text: it stands in the report of a failure.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "zone {}", to_text(&self.origin))?;
        let mut records = self.names.values().flat_map(|sets| sets.values().flatten());
        records.try_for_each(|record| writeln!(f, "  {}", render::record(record)))
    }
}

impl Zone {
    /// A zone of those entries that may stand together, in their order; the rest are left out.
    pub fn new(origin: &[u8], entries: impl IntoIterator<Item = Entry>) -> Zone {
        let origin = lowered(origin);
        let mut zone = Zone { names: BTreeMap::new(), entries: Vec::new(), origin };
        for entry in entries {
            if zone.admits(&entry) {
                zone.add(&entry);
                zone.entries.push(entry);
            }
        }
        zone
    }

    fn admits(&self, entry: &Entry) -> bool {
        let owner = lowered(&entry.owner);
        if !is_within(&owner, &self.origin) || entry.rtype == SOA && owner != self.origin {
            return false;
        }
        let empty = BTreeMap::new();
        let sets = self.names.get(&owner).unwrap_or(&empty);
        match entry.rtype {
            CNAME => sets.is_empty() && owner != self.origin,
            DNAME | SOA => !sets.contains_key(&CNAME) && !sets.contains_key(&entry.rtype),
            _ => !sets.contains_key(&CNAME),
        }
    }

    fn add(&mut self, entry: &Entry) {
        let owner = lowered(&entry.owner);
        let mut name = owner.clone();
        while name != self.origin {
            self.names.entry(name.clone()).or_default();
            name = parent(&name).expect("the origin lies above");
        }
        let set = self.names.entry(owner.clone()).or_default().entry(entry.rtype).or_default();
        // RFC 2181 §5.2: one TTL for a set; CHOICE: the first.
        let ttl = set.first().map_or(entry.ttl, |first| first.ttl);
        let record = Record {
            owner,
            rtype: entry.rtype,
            class: 1,
            ttl,
            rdata: lowered_rdata(entry.rtype, &entry.rdata),
        };
        // RFC 2181 §5: no record twice; names compare without regard to case.
        if !set.contains(&record) {
            set.push(record);
        }
    }

    fn set(&self, name: &[u8], rtype: u16) -> Option<&Vec<Record>> {
        self.names.get(name)?.get(&rtype)
    }

    /// Steps 3a to 3c, without regard to types.
    pub fn locate(&self, name: &[u8]) -> Place {
        let mut above = vec![name.to_vec()];
        while above.last() != Some(&self.origin) {
            above.push(parent(above.last().expect("never empty")).expect("the name lies in the zone"));
        }
        above.reverse();
        for ancestor in &above[..above.len() - 1] {
            if *ancestor != self.origin && self.set(ancestor, NS).is_some() {
                return Place::BelowCut(ancestor.clone());
            }
            if self.set(ancestor, DNAME).is_some() {
                return Place::BelowDname(ancestor.clone());
            }
        }
        if self.names.contains_key(name) {
            return Place::Node(name.to_vec());
        }
        let encloser = above.iter().rev().find(|n| self.names.contains_key(*n) || **n == self.origin);
        let wildcard = star(encloser.expect("the apex exists"));
        if self.names.contains_key(&wildcard) { Place::Wildcard(wildcard) } else { Place::Absent }
    }

    /// Addresses of the names in `set`, which the asker will want next.
    fn additional(&self, set: &[Record], out: &mut Vec<Record>) {
        let mut done = BTreeSet::new();
        for host in set.iter().filter_map(target) {
            if !is_within(host, &self.origin) || !done.insert(host.to_vec()) {
                continue;
            }
            let Some(node) = self.host(host) else { continue };
            // CHOICE: aliases are not followed for additional data.
            for rtype in [A, AAAA] {
                out.extend(self.set(&node, rtype).into_iter().flatten().map(|r| renamed(r, host)));
            }
        }
    }

    /// The node with a host's addresses. CHOICE: what lies below a cut is told as glue, be it a wildcard's.
    fn host(&self, host: &[u8]) -> Option<Wire> {
        if self.names.contains_key(host) {
            return (!matches!(self.locate(host), Place::BelowDname(_))).then(|| host.to_vec());
        }
        let mut encloser = host.to_vec();
        while encloser != self.origin && !self.names.contains_key(&encloser) {
            encloser = parent(&encloser).expect("the origin lies above");
        }
        let mut above = encloser.clone();
        loop {
            if self.set(&above, DNAME).is_some() {
                return None;
            }
            if above == self.origin {
                break;
            }
            above = parent(&above).expect("the origin lies above");
        }
        Some(star(&encloser)).filter(|star| self.names.contains_key(star))
    }
}

/// What the zones say to a question. The name is lowered.
pub fn answer(zones: &[Zone], qname: &[u8], qtype: u16) -> Expected {
    let mut above: Vec<&Zone> = zones.iter().filter(|zone| is_within(qname, &zone.origin)).collect();
    above.sort_by_key(|zone| std::cmp::Reverse(zone.origin.len()));
    let zone = match above[..] {
        [] => return Expected { rcode: 5, ..Expected::default() },
        // RFC 4035 §3.1.4.1: DS stands above the cut.
        [nearest, over, ..] if qtype == DS && nearest.origin == qname => over,
        [nearest, ..] => nearest,
    };
    let mut expected = Expected::default();
    expected.rcode = follow(zone, qname.to_vec(), qtype, &mut expected);
    expected
}

fn follow(zone: &Zone, mut name: Wire, qtype: u16, expected: &mut Expected) -> u16 {
    let mut passed: Vec<(Wire, Wire)> = Vec::new();
    for steps in 0.. {
        let (node, is_node) = match zone.locate(&name) {
            Place::Node(node) if node != zone.origin && qtype != DS && zone.set(&node, NS).is_some() => {
                return refer(zone, &node, expected);
            }
            Place::BelowCut(cut) => return refer(zone, &cut, expected),
            Place::Absent => return absent(zone, 3, expected),
            Place::BelowDname(node) => (node, false),
            // CHOICE: NS and DNAME of a wildcard are data like any other (RFC 4592 §4.2, §4.4).
            Place::Node(node) | Place::Wildcard(node) => (node, true),
        };
        expected.aa = true;
        if is_node {
            let found = match qtype {
                // RFC 8482 §4.1; CHOICE: the set of the lowest type.
                ANY => zone.names[&node].values().next(),
                _ => zone.set(&node, qtype),
            };
            if let Some(set) = found {
                let found: Vec<_> = set.iter().map(|record| renamed(record, &name)).collect();
                // A DNAME may have led here.
                if !expected.sections[0].contains(&found[0]) {
                    expected.sections[0].extend(found);
                }
                if matches!(set[0].rtype, NS | MX | SRV) {
                    zone.additional(set, &mut expected.sections[2]);
                }
                return 0;
            }
            if zone.set(&node, CNAME).is_none() {
                return absent(zone, 0, expected);
            }
        }
        // An alias. CHOICE: a chain that loops or is too long ends with what it has; a wildcard that leads a name
        // to itself is told twice, as NSD and Knot do.
        let by_node = passed.iter().filter(|(by, _)| *by == node).count();
        let is_loop = passed.iter().any(|(_, passed)| *passed == name);
        if (is_loop && !(is_node && by_node == 1 && node.starts_with(b"\x01*") && node != name))
            || steps == ALIASES_MAX
        {
            return 0;
        }
        passed.push((node.clone(), name.clone()));
        if is_node {
            let cname = &zone.names[&node][&CNAME][0];
            expected.sections[0].push(renamed(cname, &name));
            name = cname.rdata.clone();
        } else {
            let dname = &zone.names[&node][&DNAME][0];
            if !expected.sections[0].contains(dname) {
                expected.sections[0].push(dname.clone());
            }
            let mut to = name[..name.len() - node.len()].to_vec();
            to.extend_from_slice(&dname.rdata);
            // CHOICE: a name that grows with every round is a loop, and ends as one.
            if to.len() > 255 {
                return if by_node > 0 { 0 } else { 6 };
            }
            let synthesised = Record { owner: name, rtype: CNAME, rdata: to.clone(), ..dname.clone() };
            expected.sections[0].push(synthesised);
            if qtype == CNAME {
                return 0;
            }
            name = to;
        }
        if !is_within(&name, &zone.origin) {
            return 0;
        }
    }
    unreachable!("the loop ends by its bound")
}

fn refer(zone: &Zone, cut: &[u8], expected: &mut Expected) -> u16 {
    let set = &zone.names[cut][&NS];
    expected.sections[1].extend(set.iter().cloned());
    zone.additional(set, &mut expected.sections[2]);
    0
}

/// RFC 2308 §3: the SOA with the smaller of its TTL and its last field.
fn absent(zone: &Zone, rcode: u16, expected: &mut Expected) -> u16 {
    expected.aa = true;
    let mut soa = zone.names[&zone.origin][&SOA][0].clone();
    let minimum = soa.rdata.last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
    soa.ttl = soa.ttl.min(minimum);
    expected.sections[1].push(soa);
    rcode
}

fn renamed(record: &Record, owner: &[u8]) -> Record {
    Record { owner: owner.to_vec(), ..record.clone() }
}

/// `*` below a name; the name is one that has room for it, for it has children.
fn star(name: &[u8]) -> Wire {
    [b"\x01*", name].concat()
}

pub fn lowered_rdata(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    match rtype {
        NS | CNAME | DNAME => lowered(rdata),
        SOA => {
            let (names, numbers) = rdata.split_at(rdata.len() - 20);
            [&lowered(names), numbers].concat()
        }
        // Preference; priority, weight, port.
        MX => [&rdata[..2], &lowered(&rdata[2..])].concat(),
        SRV => [&rdata[..6], &lowered(&rdata[6..])].concat(),
        _ => rdata.to_vec(),
    }
}
