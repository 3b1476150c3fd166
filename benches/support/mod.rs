//! A zone of 100,000 names for the benchmarks, the same in each run, and the order in which it is asked.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each benchmark uses a part of it")]

use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use hivedns::zone::Zone;
use hivedns::zone::draft::ZoneDraft;
use hivedns::zone::fault::{Place, place_in};
use hivedns::zone::seal::seal;
use hivedns::zone::sink::{Record, RecordSink};

/// Names of the large zone.
pub const NAMES: u32 = 100_000;
/// Questions of one round: so many different names that no cache holds their data.
pub const QUESTIONS: usize = 16_384;
const ORIGIN: &[u8] = b"\x07example\0";

pub fn seed() -> HashSeed {
    HashSeed::new(*b"a seed for bench")
}

/// Numbers that look random and are the same in each run (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(bound)) as u32
    }
}

/// What a name of the zone holds, by its number: mostly addresses, some aliases, mail and delegations.
pub fn kind(number: u32) -> RecordType {
    match number % 16 {
        0..10 => RecordType::A,
        10..12 => RecordType::AAAA,
        12..14 => RecordType::CNAME,
        14 => RecordType::MX,
        _ => RecordType::NS,
    }
}

/// The name of a number.
pub fn owner(number: u32) -> Vec<u8> {
    let label = format!("host-{number}");
    let dept = format!("d{}", number % 500);
    let labels = [label.as_bytes(), dept.as_bytes()];
    labels
        .iter()
        .flat_map(|label| [&[label.len() as u8], *label].concat())
        .chain(ORIGIN.iter().copied())
        .collect()
}

/// The zone's records, not yet sealed.
pub fn draft(names: u32) -> ZoneDraft {
    let origin = Name::from_wire(ORIGIN).unwrap_or(Name::ROOT);
    let mut draft = ZoneDraft::new(&origin, seed());
    fill(&mut draft, names, &place_in("bench", 1, 1));
    draft
}

/// Adds the apex and so many names.
pub fn fill(draft: &mut ZoneDraft, names: u32, place: &Place) {
    let mut add = |owner: &[u8], rtype, rdata: &[u8]| {
        draft.record(Record { owner, rtype, ttl: 300, rdata }, place);
    };
    let numbers = [1u32, 3600, 600, 86_400, 300].map(u32::to_be_bytes).concat();
    let ns = [b"\x02ns", ORIGIN].concat();
    add(ORIGIN, RecordType::SOA, &[&ns, &b"\x05admin"[..], ORIGIN, &numbers].concat());
    add(ORIGIN, RecordType::NS, &ns);
    add(&ns, RecordType::A, &[192, 0, 2, 1]);
    for number in 0..names {
        let name = owner(number);
        let address = (0x0a00_0000 | number).to_be_bytes();
        match kind(number) {
            RecordType::A => add(&name, RecordType::A, &address),
            RecordType::AAAA => add(&name, RecordType::AAAA, &[&[0xfd; 12][..], &address].concat()),
            // A name that holds an address.
            RecordType::CNAME => add(&name, RecordType::CNAME, &owner(number / 16 * 16)),
            RecordType::MX => add(&name, RecordType::MX, &[&[0, 10], &owner(number / 16 * 16)[..]].concat()),
            _ => {
                let glue = [&b"\x02ns"[..], &name].concat();
                add(&name, RecordType::NS, &glue);
                add(&glue, RecordType::A, &address);
            }
        }
    }
}

/// The sealed zone.
pub fn zone(names: u32) -> Zone {
    match seal(draft(names)) {
        (Some(zone), _) => zone,
        (None, faults) => panic!("{} faults", faults.errors()),
    }
}

/// Names to ask for in random order, and the type that each holds; one in eight does not exist.
pub fn questions() -> Vec<(Vec<u8>, RecordType)> {
    let mut numbers = Numbers::new(7);
    let question = |_| {
        let number = numbers.below(NAMES);
        let absent = numbers.below(8) == 0;
        (owner(if absent { number + NAMES } else { number }), kind(number))
    };
    (0..QUESTIONS).map(question).collect()
}

/// A query with EDNS, as resolvers send it.
pub fn query(name: &[u8], qtype: RecordType) -> Vec<u8> {
    let header = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let opt = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];
    [&header[..], name, &qtype.0.to_be_bytes(), &[0, 1], &opt].concat()
}
