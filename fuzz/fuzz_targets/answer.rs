//! Octets taken for a zone and questions: every answer is that of the naive twin, by either way.
#![no_main]

#[path = "../../tests/twin/naive.rs"]
mod naive;
mod oracle;
#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use naive::Expected;
use oracle::{message, names};
use support::desk::{self, Desk, Entry};

const ORIGIN: &[u8] = b"\x01z\0";
const LABELS: [&[u8]; 8] = [b"a", b"b", b"c", b"*", b"A", b"aB", b"*", &[b'L'; 59]];
const TYPES: [u16; 12] = [
    naive::A,
    naive::AAAA,
    naive::NS,
    naive::CNAME,
    naive::DNAME,
    naive::MX,
    naive::SRV,
    naive::TXT,
    naive::DS,
    naive::SOA,
    naive::ANY,
    65_280,
];
/// Of [`TYPES`], those that a zone holds beside its SOA.
const DATA_TYPES: usize = 9;
const ENTRIES_MAX: usize = 32;
const QUESTIONS_MAX: usize = 32;

/// Octets handed out one by one.
struct Chance<'a>(&'a [u8]);

impl Chance<'_> {
    fn next(&mut self, bound: usize) -> usize {
        match self.0.split_first() {
            Some((octet, rest)) => {
                self.0 = rest;
                usize::from(*octet) % bound
            }
            None => 0,
        }
    }

    fn name(&mut self) -> Vec<u8> {
        let mut wire = ORIGIN.to_vec();
        for _ in 0..self.next(6) {
            let label = LABELS[self.next(LABELS.len())];
            if wire.len() + label.len() < 255 {
                wire = [&[label.len() as u8], label, &wire].concat();
            }
        }
        wire
    }

    fn entry(&mut self) -> Entry {
        let (owner, rtype) = (self.name(), TYPES[self.next(DATA_TYPES)]);
        let name = self.name();
        let n = self.next(3) as u8;
        let rdata = match rtype {
            naive::NS | naive::CNAME | naive::DNAME => name,
            naive::MX => [&[0, n], &name[..]].concat(),
            naive::SRV => [&[0, n, 0, 0, 0, 53], &name[..]].concat(),
            naive::AAAA => [&[0xfd; 15][..], &[n]].concat(),
            naive::TXT => vec![1, n],
            naive::DS => vec![0, n, 8, 2, 1],
            _ => vec![192, 0, 2, n],
        };
        Entry { owner, rtype, ttl: 60, rdata }
    }
}

fuzz_target!(|octets: &[u8]| {
    let mut chance = Chance(octets);
    let numbers = [1u32, 2, 3, 4, 30].map(u32::to_be_bytes).concat();
    let soa = [ORIGIN, b"\x01m\0", &numbers].concat();
    let soa = Entry { owner: ORIGIN.to_vec(), rtype: naive::SOA, ttl: 90, rdata: soa };
    let entries: Vec<_> = (0..chance.next(ENTRIES_MAX)).map(|_| chance.entry()).collect();
    let zones = [naive::Zone::new(ORIGIN, std::iter::once(soa).chain(entries))];
    let sealed = desk::zone(ORIGIN, &zones[0].entries).unwrap_or_else(|faults| panic!("{faults}"));
    let mut desk = Desk::new(desk::snapshot("fuzz", [sealed]));
    for _ in 0..=chance.next(QUESTIONS_MAX) {
        let (name, qtype) = (chance.name(), TYPES[chance.next(TYPES.len())]);
        let mut expected = naive::answer(&zones, &names::lowered(&name), qtype);
        let query = message::query(1, 0, &name, qtype, 1, None);
        // As over UDP: the short way, where it is open, and the general way are one.
        let by_short = desk.answer_datagram(&query).map(<[u8]>::to_vec);
        assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(&query), "the short way differs");
        let reply = desk.answer(&query).expect("a query gets an answer");
        let reply = message::decode(reply).unwrap_or_else(|why| panic!("{why}: {reply:?}"));
        let aa = reply.flags & message::AA != 0;
        let mut got = Expected { rcode: reply.rcode(), aa, sections: reply.sections };
        [&mut expected, &mut got].into_iter().for_each(|side| side.sections[2].sort());
        assert_eq!(got, expected, "{} {qtype} in {zones:?}", names::to_text(&name));
    }
});
