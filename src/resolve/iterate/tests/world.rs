//! A world of name servers in memory, written as text.
//!
//! ```text
//! @ 192.0.2.1 192.0.2.2 silent      two servers that hold what follows, and how they behave
//! zone example.                     a zone of theirs; an SOA of 60 s if the lines tell none
//! example. 60 NS ns.example.        its records
//! repeat 1-9 a$. 60 CNAME a$+.      nine records: `$` is the number, `$+` the next
//! file maths.groucho.edu.           a zone of examples/zones
//! without b.example.                takes what is at and below the name out of the zone
//! with base                         the world of scenarios/base.txt
//! ```

use crate::resolve::iterate::cut::{is_below, wire};
use crate::resolve::iterate::minimise::suffix;
use crate::resolve::script_tests as script;
use crate::resolve::writer::{Writer, Written};
use crate::wire::message::{AA, Rcode, TC};
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use crate::zone::examples::EXAMPLES;
use crate::zone::fault::{Faults, Place};
use crate::zone::master::{Disk, Options, read};
use crate::zone::sink::{self, RecordSink};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Aliases that a server follows within its zone.
const SERVER_ALIASES_MAX: usize = 20;

#[derive(Clone, Default)]
pub(super) struct Zone {
    apex: Vec<u8>,
    records: BTreeMap<Vec<u8>, Vec<Record>>,
}

#[derive(Clone, Default)]
pub(super) struct Server {
    pub(super) zones: Vec<Zone>,
    pub(super) manners: Vec<String>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) servers: BTreeMap<IpAddr, Server>,
}

/// What a server sends, and when.
pub(super) struct Sent {
    pub(super) octets: Vec<u8>,
    pub(super) millis: u64,
}

struct Found {
    code: Rcode,
    is_owner: bool,
    sections: [Vec<Record>; 3],
}

impl World {
    /// Takes a line; false if it is none of the world's.
    pub(super) fn take(&mut self, at: &mut Vec<IpAddr>, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix("@ ") {
            at.clear();
            let mut manners = Vec::new();
            for word in rest.split(' ') {
                match word.parse() {
                    Ok(address) => at.push(address),
                    Err(_) => manners.push(word.to_owned()),
                }
            }
            for address in at.iter() {
                self.servers.entry(*address).or_default().manners = manners.clone();
            }
        } else if let Some(apex) = line.strip_prefix("zone ") {
            self.add_zone(at, Zone { apex: wire(&Name::parse(apex).unwrap()).to_vec(), ..Zone::default() });
        } else if let Some(apex) = line.strip_prefix("file ") {
            self.add_zone(at, example(apex));
        } else if let Some(rest) = line.strip_prefix("repeat ") {
            let (range, line) = rest.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            for number in from.parse::<u32>().unwrap()..=to.parse().unwrap() {
                let line = line.replace("$+", &(number + 1).to_string()).replace('$', &number.to_string());
                self.add_record(at, &line);
            }
        } else if line == "with base" {
            for line in include_str!("scenarios/base.txt").lines().filter(|line| !line.is_empty()) {
                assert!(line.starts_with(';') || self.take(at, line), "{line}");
            }
        } else if let Some(name) = line.strip_prefix("without ") {
            let name = wire(&Name::parse(name).unwrap());
            for address in at.iter() {
                let zone = self.servers.get_mut(address).and_then(|server| server.zones.last_mut()).unwrap();
                zone.records.retain(|owner, _| owner[..] != name[..] && !is_below(owner, &name));
            }
        } else if line.split(' ').next().is_some_and(|word| word.ends_with('.')) {
            self.add_record(at, line);
        } else {
            return false;
        }
        true
    }

    fn add_zone(&mut self, at: &[IpAddr], zone: Zone) {
        for address in at {
            let zones = &mut self.servers.entry(*address).or_default().zones;
            match zones.iter().position(|other| other.apex == zone.apex) {
                // It goes on.
                Some(known) => {
                    let known = zones.remove(known);
                    zones.push(known);
                }
                None => zones.push(zone.clone()),
            }
        }
    }

    fn add_record(&mut self, at: &[IpAddr], line: &str) {
        let record = script::record(line);
        for address in at {
            let zone = self.servers.get_mut(address).and_then(|server| server.zones.last_mut());
            zone.unwrap_or_else(|| panic!("a zone before {line}")).add(record.clone());
        }
    }

    /// What the server at that address sends for a query.
    pub(super) fn answer(&self, to: IpAddr, query: &[u8], on_stream: bool) -> Vec<Sent> {
        self.servers.get(&to).map_or(Vec::new(), |server| server.answer(query, on_stream))
    }
}

fn example(apex: &str) -> Zone {
    struct Sink(Zone);
    impl RecordSink for Sink {
        fn record(&mut self, record: sink::Record<'_>, _: &Place) {
            let sink::Record { owner: name, rtype, ttl, rdata, .. } = record;
            let (name, rdata) = (Name::from_wire(name).unwrap(), rdata.to_vec());
            self.0.add(Record { name, rtype, class: Class::IN, ttl, rdata });
        }
    }
    let (_, file, text) = EXAMPLES.iter().find(|example| example.0 == apex).unwrap();
    let origin = Name::parse(apex).unwrap();
    let mut sink = Sink(Zone { apex: wire(&origin).to_vec(), ..Zone::default() });
    let options = Options { origin: &origin, ttl: None };
    read(
        Box::new(text.as_bytes()),
        Arc::from(Path::new(file)),
        options,
        &Disk,
        &mut sink,
        &mut Faults::default(),
    );
    sink.0
}

impl Server {
    fn is(&self, manner: &str) -> bool {
        self.manners.iter().any(|own| own == manner)
    }

    fn number(&self, manner: &str) -> Option<u64> {
        self.manners.iter().find_map(|own| own.strip_prefix(manner)?.strip_prefix('=')?.parse().ok())
    }

    fn answer(&self, query: &[u8], on_stream: bool) -> Vec<Sent> {
        let millis = self.number("delay").unwrap_or(10);
        if self.is("silent") || on_stream && self.is("no-stream") {
            return Vec::new();
        }
        let name = Name::from_wire(&query[12..]).unwrap();
        let end = 12 + name.as_wire().len();
        let rtype = RecordType(u16::from_be_bytes([query[end], query[end + 1]]));
        let has_edns = query[11] == 1;
        let name = wire(&name);
        if self.is("bare-formerr") && has_edns {
            // Nothing but the header.
            return vec![Sent { octets: [&query[..2], &[0x80, 1], &[0; 8]].concat(), millis }];
        }
        if self.is("drops-unknown") && self.zones.iter().all(|zone| !zone.records.contains_key(&name[..])) {
            return Vec::new();
        }
        let is_type = |manner: &str| self.number(manner) == Some(rtype.0.into());
        let found = if self.is("servfail") || self.is("wants-edns") && !has_edns {
            Found::code(Rcode::ServFail)
        } else if self.is("refused") || is_type("refuses") {
            Found::code(Rcode::Refused)
        } else if self.is("no-edns") && has_edns || is_type("formerr") {
            Found::code(Rcode::FormErr)
        } else if is_type("notimp") {
            Found::code(Rcode::NotImp)
        } else {
            self.find(&name, rtype)
        };
        let is_cut_short = self.is("always-tc") || self.is("tc") && !on_stream;
        let mut octets =
            write(&query[..end + 4], &found, is_cut_short, if on_stream { 65_535 } else { 1_232 });
        if self.is("opt") && has_edns {
            octets[11] += 1;
            octets.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        if self.is("wrong-case") {
            octets[12..end].make_ascii_lowercase();
        }
        if self.is("garbled") {
            // One octet behind the id, which is drawn by lot.
            let seed = usize::from(octets[0]) << 8 | usize::from(octets[1]);
            let place = 2 + seed % (octets.len() - 2);
            octets[place] = octets[place].wrapping_add((seed >> 3) as u8 | 1);
        }
        let mut all = Vec::new();
        if self.is("mismatched") && !on_stream {
            // Another id, another question, another name's answer, and octets that are no message.
            for place in [0, 13, end, 2] {
                let mut wrong = octets.clone();
                wrong[place] ^= 0x81;
                all.push(Sent { octets: wrong, millis: 1 });
            }
            all.push(Sent { octets: vec![0; 5], millis: 1 });
        }
        all.push(Sent { octets, millis });
        all
    }

    fn find(&self, name: &[u8], rtype: RecordType) -> Found {
        let refers_up = self.is("upward");
        let zones = self
            .zones
            .iter()
            .filter(|zone| name == zone.apex && rtype != RecordType::DS || is_below(name, &zone.apex));
        let Some(zone) = zones.max_by_key(|zone| zone.apex.len()).filter(|_| !refers_up) else {
            if refers_up {
                let ns = script::record(". 3600 NS a.root.");
                return Found { is_owner: false, sections: [vec![], vec![ns], vec![]], code: Rcode::NoError };
            }
            return Found::code(Rcode::Refused);
        };
        if self.is("labyrinth") && name != zone.apex {
            // Each name is a zone of its own, served here.
            let owner = Name::from_wire(name).unwrap();
            let ns = script::record(&format!("{owner} 60 NS ns.{owner}"));
            let glue = script::record(&format!("ns.{owner} 60 A 192.0.2.66"));
            return Found { is_owner: false, sections: [vec![], vec![ns], vec![glue]], code: Rcode::NoError };
        }
        let mut found = zone.find(name, rtype, if self.is("one-step") { 1 } else { SERVER_ALIASES_MAX });
        let has_answer = !found.sections[0].is_empty();
        if self.is("ent-nxdomain") && !has_answer && found.is_owner {
            found.code = Rcode::NxDomain;
        }
        if self.is("ent-servfail") && !has_answer && found.is_owner {
            return Found::code(Rcode::ServFail);
        }
        if self.is("not-owner") {
            found.is_owner = false;
        }
        if self.is("extra") {
            // What nobody asked for.
            found.sections[0].push(script::record("www.victim.test. 3600 A 192.0.2.66"));
            found.sections[1].push(script::record("victim.test. 3600 NS ns.evil.test."));
            found.sections[2].push(script::record("ns.victim.test. 3600 A 192.0.2.66"));
        }
        found
    }
}

impl Found {
    fn code(code: Rcode) -> Found {
        Found { code, is_owner: false, sections: Default::default() }
    }
}

impl Zone {
    fn add(&mut self, record: Record) {
        self.records.entry(wire(&record.name).to_vec()).or_default().push(record);
    }

    fn get(&self, name: &[u8], rtype: RecordType) -> Vec<Record> {
        let all = self.records.get(name).into_iter().flatten();
        all.filter(|record| record.rtype == rtype || rtype == RecordType::ANY).cloned().collect()
    }

    fn find(&self, name: &[u8], rtype: RecordType, aliases_max: usize) -> Found {
        let mut name = name.to_vec();
        let mut found = Found { code: Rcode::NoError, is_owner: true, sections: Default::default() };
        for _ in 0..=aliases_max {
            if name != self.apex && !is_below(&name, &self.apex) {
                return found;
            }
            // From the apex down: a cut, or a DNAME.
            for count in 1..=name.len() {
                let above = suffix(&name, count);
                if !is_below(above, &self.apex) && above != self.apex {
                    continue;
                }
                let servers = self.get(above, RecordType::NS);
                let is_ds = above == name && rtype == RecordType::DS;
                if above != self.apex && !servers.is_empty() && !is_ds {
                    if found.sections[0].is_empty() {
                        found.is_owner = false;
                        for server in &servers {
                            let target = server.rdata.to_ascii_lowercase();
                            found.sections[2].extend(self.get(&target, RecordType::A));
                            found.sections[2].extend(self.get(&target, RecordType::AAAA));
                        }
                        found.sections[1].extend(servers);
                        found.sections[1].extend(self.get(above, RecordType::DS));
                        found.sections[1].extend(self.get(above, RecordType::RRSIG));
                    }
                    return found;
                }
                if above == name {
                    break;
                }
            }
            let dname = self
                .records
                .values()
                .flatten()
                .find(|record| record.rtype == RecordType::DNAME && is_below(&name, &wire(&record.name)));
            if let Some(dname) = dname {
                let owner = dname.name.as_wire().len();
                let target = [&name[..name.len() - owner], &dname.rdata].concat();
                found.sections[0].push(dname.clone());
                name = target.to_ascii_lowercase();
                continue;
            }
            let mut at = name.clone();
            if !self.exists(&name) {
                let mut above = &name[..];
                while !self.exists(above) && above.len() > 1 {
                    above = &above[1 + usize::from(above[0])..];
                }
                at = [b"\x01*", above].concat();
                if !self.records.contains_key(&at) {
                    found.code = Rcode::NxDomain;
                    found.sections[1].push(self.soa());
                    return found;
                }
            }
            let own = |mut record: Record| {
                record.name = Name::from_wire(&name).unwrap();
                record
            };
            let set = self.get(&at, rtype);
            if !set.is_empty() {
                for server in set.iter().filter(|record| record.rtype == RecordType::NS) {
                    let target = server.rdata.to_ascii_lowercase();
                    found.sections[2].extend(self.get(&target, RecordType::A));
                }
                found.sections[0].extend(set.into_iter().map(own));
                return found;
            }
            let Some(alias) = self.get(&at, RecordType::CNAME).into_iter().next() else {
                found.sections[1].push(self.soa());
                return found;
            };
            let target = alias.rdata.to_ascii_lowercase();
            found.sections[0].push(own(alias));
            if found.sections[0].len() >= aliases_max {
                return found;
            }
            name = target;
        }
        found
    }

    fn exists(&self, name: &[u8]) -> bool {
        name == self.apex || self.records.keys().any(|owner| owner == name || is_below(owner, name))
    }

    fn soa(&self) -> Record {
        let apex = Name::from_wire(&self.apex).unwrap();
        let own = self.get(&self.apex, RecordType::SOA).pop();
        own.unwrap_or_else(|| script::record(&format!("{apex} 60 SOA ns. admin. 1 2 3 4 60")))
    }
}

fn write(head: &[u8], found: &Found, is_cut_short: bool, room: usize) -> Vec<u8> {
    let question = &head[12..];
    let mut writer = Writer::default();
    writer.begin(&question[..question.len() - 4]);
    for (section, records) in
        [Section::Answer, Section::Authority, Section::Additional].into_iter().zip(&found.sections)
    {
        writer.section(section);
        for Record { name, rtype, ttl, rdata, .. } in records {
            if writer.put(&Written { owner: name.as_wire(), rtype: *rtype, ttl: *ttl, rdata }).is_err() {
                break;
            }
        }
    }
    let body = writer.body(found.code, false, None);
    let is_cut_short = is_cut_short || body.octets.len() + head.len() > room;
    let flags = 0x8000
        | if found.is_owner { AA } else { 0 }
        | if is_cut_short { TC } else { 0 }
        | u16::from(found.code as u8 & 0x0f);
    let (counts, octets) = if is_cut_short { ([0; 3], &[][..]) } else { (body.counts, body.octets) };
    let counts = counts.map(u16::to_be_bytes).concat();
    [&head[..2], &flags.to_be_bytes(), &[0, 1], &counts, question, octets].concat()
}
