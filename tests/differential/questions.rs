//! What is asked about a zone: every name in it, around it and below it, in many types and ways.

use crate::oracle::message::{self, AD, CD, Edns, Record, target};
use crate::oracle::names::{self, Wire, child, parent};
use crate::oracle::render;
use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// How a question travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    Udp,
    /// UDP with OPT.
    Edns(Edns),
    Tcp,
    /// TCP with OPT.
    TcpEdns(Edns),
}

impl Transport {
    pub fn is_tcp(&self) -> bool {
        matches!(self, Transport::Tcp | Transport::TcpEdns(_))
    }

    fn edns(&self) -> Option<&Edns> {
        match self {
            Transport::Edns(edns) | Transport::TcpEdns(edns) => Some(edns),
            Transport::Udp | Transport::Tcp => None,
        }
    }
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    pub zone: Wire,
    pub name: Wire,
    pub qtype: u16,
    pub qclass: u16,
    pub flags: u16,
    pub transport: Transport,
}

impl Question {
    pub fn encode(&self) -> Vec<u8> {
        message::query(0, self.flags, &self.name, self.qtype, self.qclass, self.transport.edns())
    }

    /// Octets that an answer over UDP may have.
    pub fn udp_limit(&self) -> Option<usize> {
        match &self.transport {
            Transport::Udp => Some(512),
            Transport::Edns(edns) => Some(usize::from(edns.payload).clamp(512, 1232)),
            Transport::Tcp | Transport::TcpEdns(_) => None,
        }
    }

    /// Whether signatures and proofs are wanted.
    pub fn dnssec_ok(&self) -> bool {
        self.transport.edns().is_some_and(|edns| edns.dnssec_ok)
    }

    /// As dig would be asked.
    pub fn to_text(&self) -> String {
        let (name, qtype) = (names::to_text(&self.name), render::rtype(self.qtype));
        let transport = match &self.transport {
            Transport::Udp => "+noedns".to_owned(),
            Transport::Tcp => "+noedns +tcp".to_owned(),
            Transport::Edns(edns) => format!("+bufsize={}", edns.payload),
            Transport::TcpEdns(_) => "+tcp".to_owned(),
        };
        let dnssec_ok = self.dnssec_ok();
        let flags = [(dnssec_ok, " +dnssec"), (self.flags & CD != 0, " +cd"), (self.flags & AD != 0, " +ad")];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, text)| *text).collect();
        format!("dig +norec {transport}{flags} '{name}' {qtype} {}", render::class(self.qclass))
    }
}

/// Everyday types, and some that are rarely there.
const TYPES: [u16; 14] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 65, 255, 65_280];
/// Types and meta-types that no zone holds or that mean something special.
const ODD_TYPES: [u16; 16] = [0, 10, 24, 25, 41, 46, 47, 48, 50, 99, 249, 250, 253, 254, 65_281, 65_535];

/// All questions about a zone whose records are `records`; in one that is signed, most want to see that.
pub fn about(zone: &[u8], records: &[Record], signed: bool, rng: &mut Rng) -> Vec<Question> {
    let mut asked: BTreeSet<(Wire, u16)> = BTreeSet::new();
    let mut owners: BTreeMap<&[u8], BTreeSet<u16>> = BTreeMap::new();
    for record in records {
        owners.entry(&record.owner).or_default().insert(record.rtype);
    }
    let mut names: BTreeSet<Wire> = owners.keys().map(|owner| owner.to_vec()).collect();
    for record in records {
        names.extend(target(record).filter(|name| name.len() > 1).map(<[u8]>::to_vec));
    }
    for owner in owners.keys() {
        let mut name = owner.to_vec();
        while let Some(up) = parent(&name)
            && up.len() >= zone.len()
        {
            names.insert(up.clone());
            name = up;
        }
    }
    names.extend(parent(zone).filter(|up| up.len() > 1));
    for name in &names {
        let present = owners.get(name.as_slice());
        asked.extend(present.into_iter().flatten().map(|rtype| (name.clone(), *rtype)));
        let all = if present.is_some() { TYPES.len() } else { 5 };
        for _ in 0..all {
            asked.insert((name.clone(), *rng.pick(&TYPES)));
        }
        if rng.chance(20) {
            asked.insert((name.clone(), *rng.pick(&ODD_TYPES)));
        }
        let kind = present.cloned().unwrap_or_default();
        for around in neighbours(name, zone, &kind, rng) {
            for rtype in [1, *rng.pick(&TYPES), *rng.pick(&TYPES)] {
                asked.insert((around.clone(), rtype));
            }
            if let Some(rtype) = kind.first().filter(|_| around.len() > name.len()) {
                asked.insert((around, *rtype));
            }
        }
    }
    asked.into_iter().map(|(name, qtype)| dressed(zone, name, qtype, signed, rng)).collect()
}

/// Questions about the server itself (RFC 4892). The version is each server's own: not asked.
pub fn chaos() -> Vec<Question> {
    let names =
        ["id.server.", "hostname.bind.", "ID.Server.", "authors.bind.", "no.such.server.", "server.", "."];
    let zone = vec![0];
    let ways = [Transport::Udp, Transport::Tcp];
    let mut asked = Vec::new();
    for name in names.iter().filter_map(|name| names::from_text(name)) {
        for qtype in [16, 1, 6, 255] {
            for transport in ways.clone() {
                let (zone, name) = (zone.clone(), name.clone());
                asked.push(Question { zone, name, qtype, qclass: 3, flags: 0, transport });
            }
        }
    }
    asked
}

/// Names beside and below `name`, whether they exist or not.
fn neighbours(name: &[u8], zone: &[u8], kind: &BTreeSet<u16>, rng: &mut Rng) -> Vec<Wire> {
    let random = format!("zz{:x}", rng.below(4096));
    let mut found = vec![child(random.as_bytes(), name)];
    if rng.chance(30) {
        found.push(child(b"*", name));
    }
    if rng.chance(40) {
        found.push(child(b"two", name).and_then(|name| child(random.as_bytes(), &name)));
    }
    if kind.contains(&39) || kind.contains(&2) {
        for label in ["www", "a", "ns", "host", "alias", &"l".repeat(63)] {
            found.push(child(label.as_bytes(), name));
        }
        found.push(child(b"a", name).and_then(|name| child(b"b", &name)));
    }
    if kind.contains(&39) {
        let long = (0..3).try_fold(name.to_vec(), |name, _| child(&[b'y'; 50], &name));
        found.push(long);
    }
    if let Some(up) = parent(name).filter(|up| up.len() >= zone.len()) {
        found.push(child(random.as_bytes(), &up));
        if name[..2] == *b"\x01*" {
            found.extend([child(b"a", &up), child(b"Star", &up), child(b"x.y", &up), child(b"c1", &up)]);
            found.push(child(b"in", &up).and_then(|name| child(b"two", &name)));
        }
    }
    found.into_iter().flatten().collect()
}

/// A question with a way to travel, now and then an odd case, flag, option or class.
fn dressed(zone: &[u8], mut name: Wire, qtype: u16, signed: bool, rng: &mut Rng) -> Question {
    if rng.chance(25) {
        for octet in name.iter_mut().filter(|octet| octet.is_ascii_lowercase()) {
            if rng.chance(50) {
                octet.make_ascii_uppercase();
            }
        }
    }
    let flags = match rng.below(20) {
        0 => CD,
        1 => AD,
        _ => 0,
    };
    let qclass = match rng.below(200) {
        0 => 3,
        1 => 255,
        2 => 254,
        3 => *rng.pick(&[0, 2, 4, 99]),
        _ => 1,
    };
    let payload = |rng: &mut Rng| *rng.pick(&[512, 512, 1232, 1232, 1232, 4096, 0, 65_535]);
    let edns = |payload, dnssec_ok| Edns { payload, dnssec_ok, version: 0, options: Vec::new() };
    let transport = match rng.below(100) {
        // What fits is each server's choice; over TCP all does.
        0..60 if signed => Transport::TcpEdns(edns(1232, true)),
        60..85 if signed => Transport::Edns(edns(payload(rng), true)),
        0..35 => Transport::Udp,
        35..75 => Transport::Edns(edns(payload(rng), rng.chance(15))),
        _ => Transport::Tcp,
    };
    Question { zone: zone.to_vec(), name, qtype, qclass, flags, transport }
}
