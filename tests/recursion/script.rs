//! Name servers as the scenario files of the iterating machine write them (`src/resolve/iterate/tests/scenarios`), to be
//! met on the wire: the lines of their worlds, and what each server says to a query. It shares no code with the server,
//! as all that answers are held against.
//!
//! ```text
//! @ 192.0.2.1 192.0.2.2 silent      servers that hold what follows, and how they behave
//! zone example.                     a zone of theirs
//! example. 60 NS ns.example.        its records: A, NS, CNAME
//! repeat 1-9 a$. 60 CNAME a$+.      nine records: `$` is the number, `$+` the next
//! without b.example.                takes what is at and below the name out of the zone
//! with base                         the world of base.txt
//! ```
//!
//! Manners: `silent`, `servfail`, `refused`, `always-tc`, `one-step` (one alias in each answer), `mismatched` (before each
//! answer four that do not match), `records=N` (each name has that many addresses).

use crate::oracle::message::{AA, Message, QR, TC};
use crate::oracle::names::{self, Wire};
use crate::world::{A, CNAME, NXDOMAIN, REFUSED, SERVFAIL, SOA, wire};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

const NS: u16 = 2;
const DS: u16 = 43;
/// Octets of the largest answer in a datagram.
const DATAGRAM: usize = 1_232;
/// Aliases that a server follows within its zone.
const ALIASES: usize = 20;
/// What is never put on the wire: addresses that are special there.
const SPECIAL: [&str; 2] = ["0.0.0.0", "192.0.2.5"];

macro_rules! scenario {
    ($name:literal) => {
        include_str!(concat!("../../src/resolve/iterate/tests/scenarios/", $name, ".txt"))
    };
}
pub(crate) use scenario;

#[derive(Clone)]
struct Record {
    owner: String,
    rtype: u16,
    ttl: u32,
    /// A name, for the types that have one.
    target: Option<String>,
    octets: Vec<u8>,
}

impl Record {
    /// `www.example. 60 A 192.0.2.1`.
    fn parse(line: &str) -> Record {
        let words: Vec<&str> = line.split(' ').collect();
        let [owner, ttl, rtype, data] = words[..] else { panic!("owner, TTL, type, data: {line}") };
        let (rtype, target, octets) = match rtype {
            "A" => (A, None, data.parse::<Ipv4Addr>().expect(line).octets().to_vec()),
            "NS" => (NS, Some(data.to_owned()), Vec::new()),
            "CNAME" => (CNAME, Some(data.to_owned()), Vec::new()),
            other => panic!("{other}: {line}"),
        };
        Record { owner: owner.to_owned(), rtype, ttl: ttl.parse().expect(line), target, octets }
    }
}

#[derive(Clone)]
struct Zone {
    apex: String,
    records: BTreeMap<String, Vec<Record>>,
}

#[derive(Clone, Default)]
struct Server {
    zones: Vec<Zone>,
    manners: Vec<String>,
}

/// All servers.
#[derive(Clone, Default)]
pub struct Script {
    servers: BTreeMap<Ipv4Addr, Server>,
    /// Those that the next lines speak of.
    at: Vec<Ipv4Addr>,
}

/// What is said before it is written.
struct Found {
    code: u16,
    is_owner: bool,
    sections: [Vec<Record>; 3],
}

impl Found {
    fn nothing(code: u16) -> Found {
        Found { code, is_owner: false, sections: Default::default() }
    }
}

fn parent(name: &str) -> &str {
    name.split_once('.').map_or(".", |(_, above)| if above.is_empty() { "." } else { above })
}

fn is_below(name: &str, zone: &str) -> bool {
    name != zone && (zone == "." || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.')))
}

impl Script {
    /// The world that a scenario begins with: all before its first question.
    pub fn of(scenario: &str) -> Script {
        let mut script = Script::default();
        let first = |line: &&str| ["ask ", "start ", "mark"].iter().all(|word| !line.starts_with(word));
        scenario.lines().take_while(first).for_each(|line| script.take(line));
        script
    }

    /// Takes lines.
    pub fn and(mut self, lines: &str) -> Script {
        lines.lines().for_each(|line| self.take(line));
        self
    }

    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.servers.keys().copied().collect()
    }

    pub fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            [""] | [";", ..] | ["deny", ..] => {}
            ["with", "base"] => scenario!("base").lines().for_each(|line| self.take(line)),
            ["@", ..] => {
                let (mut manners, mut at) = (Vec::new(), Vec::new());
                for word in words[1..].iter().filter(|word| !SPECIAL.contains(word)) {
                    match word.parse() {
                        Ok(address) => at.push(address),
                        Err(_) => manners.push((*word).to_owned()),
                    }
                }
                for address in &at {
                    self.servers.entry(*address).or_default().manners.clone_from(&manners);
                }
                self.at = at;
            }
            ["zone", apex] => {
                for address in &self.at {
                    let zones = &mut self.servers.entry(*address).or_default().zones;
                    // One that is there already goes on.
                    let known = zones.iter().position(|zone| zone.apex == apex);
                    let new = || Zone { apex: apex.to_owned(), records: BTreeMap::new() };
                    let zone = known.map_or_else(new, |at| zones.remove(at));
                    zones.push(zone);
                }
            }
            ["without", name] => self.each_zone(|zone| {
                zone.records.retain(|owner, _| owner != name && !is_below(owner, name));
            }),
            ["repeat", range, ..] => {
                let (from, to) = range.split_once('-').expect(line);
                let line = words[2..].join(" ");
                for number in from.parse::<u32>().expect(range)..=to.parse().expect(range) {
                    self.add(
                        &line.replace("$+", &(number + 1).to_string()).replace('$', &number.to_string()),
                    );
                }
            }
            _ => self.add(line),
        }
    }

    fn each_zone(&mut self, mut change: impl FnMut(&mut Zone)) {
        for address in &self.at {
            self.servers.get_mut(address).and_then(|server| server.zones.last_mut()).map(&mut change);
        }
    }

    fn add(&mut self, line: &str) {
        if !SPECIAL.iter().any(|special| line.ends_with(&format!(" {special}"))) {
            let record = Record::parse(line);
            self.each_zone(|zone| {
                zone.records.entry(record.owner.clone()).or_default().push(record.clone());
            });
        }
    }

    /// What the server at that address sends, in this order.
    pub fn answer(&self, to: Ipv4Addr, query: &Message, by_tcp: bool) -> Vec<Vec<u8>> {
        let (Some(server), Some((name, rtype, _))) = (self.servers.get(&to), &query.question) else {
            return Vec::new();
        };
        let name = names::to_text(&names::lowered(name));
        if server.is("silent") {
            return Vec::new();
        }
        let found = match () {
            () if server.is("servfail") => Found::nothing(SERVFAIL),
            () if server.is("refused") => Found::nothing(REFUSED),
            () => server.find(&name, *rtype),
        };
        let limit = if by_tcp { usize::from(u16::MAX) } else { DATAGRAM };
        let right = write(query, &found, limit, server.is("always-tc"));
        let mut all = Vec::new();
        if server.is("mismatched") && !by_tcp {
            let end = 12 + query.question.as_ref().map_or(0, |(name, ..)| name.len());
            // Another id, a query, another question, another type: whoever heard one would tell what it says.
            for place in [0, 2, 13, end + 1] {
                let mut wrong = right.clone();
                wrong[place] ^= 0x81;
                wrong.pop();
                wrong.push(66);
                all.push(wrong);
            }
            all.push(vec![0; 5]);
        }
        all.push(right);
        all
    }
}

impl Server {
    fn is(&self, manner: &str) -> bool {
        self.manners.iter().any(|own| own == manner)
    }

    fn find(&self, name: &str, rtype: u16) -> Found {
        let zones = self.zones.iter().filter(|zone| zone.apex == name || is_below(name, &zone.apex));
        let Some(zone) = zones.max_by_key(|zone| zone.apex.len()) else { return Found::nothing(REFUSED) };
        let many = self.manners.iter().find_map(|own| own.strip_prefix("records=")?.parse::<u32>().ok());
        if let Some(many) = many.filter(|_| rtype == A) {
            let address = |number: u32| Record {
                owner: name.to_owned(),
                rtype: A,
                ttl: 60,
                target: None,
                octets: (0x0a00_0000 + number).to_be_bytes().to_vec(),
            };
            let sections = [(0..many).map(address).collect(), vec![], vec![]];
            return Found { code: 0, is_owner: true, sections };
        }
        zone.find(name, rtype, if self.is("one-step") { 1 } else { ALIASES })
    }
}

impl Zone {
    fn set(&self, name: &str, rtype: u16) -> Vec<Record> {
        let all = self.records.get(name).into_iter().flatten();
        all.filter(|record| record.rtype == rtype).cloned().collect()
    }

    fn exists(&self, name: &str) -> bool {
        name == self.apex || self.records.keys().any(|owner| owner == name || is_below(owner, name))
    }

    fn glue(&self, servers: &[Record]) -> Vec<Record> {
        servers.iter().flat_map(|server| self.set(server.target.as_deref().unwrap_or("."), A)).collect()
    }

    /// RFC 1034 §4.3.2, steps 3a and 3b, and 3c for names of one label more.
    fn find(&self, name: &str, rtype: u16, aliases_max: usize) -> Found {
        let mut found = Found { code: 0, is_owner: true, sections: Default::default() };
        let mut name = name.to_owned();
        while found.sections[0].len() < aliases_max && (name == self.apex || is_below(&name, &self.apex)) {
            let way_up = std::iter::successors(Some(&name[..]), |name| Some(parent(name)));
            let mut way: Vec<&str> = way_up.take_while(|name| *name != self.apex).collect();
            way.reverse();
            let is_cut = |at: &&&str| {
                let is_above = **at != name || rtype != DS;
                is_above && !self.set(at, NS).is_empty()
            };
            if let Some(cut) = way.iter().find(is_cut) {
                if found.sections[0].is_empty() {
                    let servers = self.set(cut, NS);
                    found.is_owner = false;
                    found.sections[2] = self.glue(&servers);
                    found.sections[1] = servers;
                }
                return found;
            }
            let source = match self.exists(&name) {
                true => name.clone(),
                false => format!("*.{}", parent(&name)),
            };
            if !self.exists(&source) {
                found.code = NXDOMAIN;
                break;
            }
            let own = |record: Record| Record { owner: name.clone(), ..record };
            let set = self.set(&source, rtype);
            if !set.is_empty() {
                if rtype == NS {
                    found.sections[2] = self.glue(&set);
                }
                found.sections[0].extend(set.into_iter().map(own));
                return found;
            }
            let Some(alias) = self.set(&source, CNAME).pop().map(own) else { break };
            let target = alias.target.clone().unwrap_or_default();
            found.sections[0].push(alias);
            name = target;
            if found.sections[0].len() >= aliases_max || !is_below(&name, &self.apex) {
                return found;
            }
        }
        found.sections[1].push(self.soa());
        found
    }

    fn soa(&self) -> Record {
        let numbers = [1u32, 2, 3, 4, 60].map(u32::to_be_bytes).concat();
        let octets = [&wire("ns."), &wire("admin."), &numbers[..]].concat();
        Record { owner: self.apex.clone(), rtype: SOA, ttl: 60, target: None, octets }
    }
}

/// A message in the making, its names compressed (RFC 1035 §4.1.4): a referral to sixty servers fits into a datagram.
struct Writer {
    octets: Vec<u8>,
    seen: HashMap<Wire, u16>,
}

impl Writer {
    fn name(&mut self, name: &[u8]) {
        let mut rest = name;
        while rest[0] != 0 {
            let key = names::lowered(rest);
            if let Some(at) = self.seen.get(&key) {
                self.octets.extend((0xc000 | at).to_be_bytes());
                return;
            }
            if self.octets.len() < 0x3fff {
                self.seen.insert(key, self.octets.len() as u16);
            }
            let (label, above) = rest.split_at(1 + usize::from(rest[0]));
            self.octets.extend(label);
            rest = above;
        }
        self.octets.push(0);
    }

    fn record(&mut self, record: &Record) {
        self.name(&wire(&record.owner));
        self.octets.extend(record.rtype.to_be_bytes());
        self.octets.extend(1u16.to_be_bytes());
        self.octets.extend(record.ttl.to_be_bytes());
        let start = self.octets.len();
        self.octets.extend([0, 0]);
        match &record.target {
            Some(target) => self.name(&wire(target)),
            None => self.octets.extend(&record.octets),
        }
        let len = (self.octets.len() - start - 2) as u16;
        self.octets[start..start + 2].copy_from_slice(&len.to_be_bytes());
    }
}

/// The response; what does not fit is left out, with TC. In a datagram, or where it is wanted, nothing is left then.
fn write(query: &Message, found: &Found, limit: usize, always_tc: bool) -> Vec<u8> {
    let (name, rtype, class) = query.question.clone().expect("a question");
    let mut writer = Writer { octets: vec![0; 12], seen: HashMap::new() };
    writer.name(&name);
    writer.octets.extend(rtype.to_be_bytes());
    writer.octets.extend(class.to_be_bytes());
    let (end, mut counts, mut is_cut) = (writer.octets.len(), [0u16; 3], always_tc);
    'all: for (section, count) in found.sections.iter().zip(&mut counts) {
        for record in section {
            let before = writer.octets.len();
            writer.record(record);
            if writer.octets.len() > limit {
                writer.octets.truncate(before);
                is_cut = true;
                break 'all;
            }
            *count += 1;
        }
    }
    if always_tc || is_cut && limit == DATAGRAM {
        writer.octets.truncate(end);
        counts = [0; 3];
    }
    let flags = QR | if found.is_owner { AA } else { 0 } | if is_cut { TC } else { 0 } | found.code;
    let head = [query.id, flags, 1, counts[0], counts[1], counts[2]].map(u16::to_be_bytes).concat();
    writer.octets[..12].copy_from_slice(&head);
    writer.octets
}
