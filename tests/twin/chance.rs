//! Zones and questions by chance: names from so few labels that cuts, wildcards and aliases meet often.

use crate::naive::{self, Zone};
use crate::oracle::names::{Wire, to_text};
use crate::oracle::render;
use crate::support::desk::Entry;
use proptest::prelude::*;
use proptest::sample::select;

/// Questions to each set of zones.
const QUESTIONS: usize = 24;

/// One label; mixed case, sometimes so long that a few of them overfill a name (YXDOMAIN).
fn label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(vec![&b"a"[..], b"b", b"c"]),
        3 => Just(&b"*"[..]),
        2 => select(vec![&b"A"[..], b"B", b"bb", b"aB"]),
        1 => Just(&[b'L'; 59][..]),
    ]
    .prop_map(<[u8]>::to_vec)
}

/// A name at or below `origin`.
pub fn below(origin: Wire, depth_max: usize) -> impl Strategy<Value = Wire> {
    prop::collection::vec(label(), 0..=depth_max).prop_map(move |labels| {
        let mut wire = origin.clone();
        for label in labels.iter().rev() {
            if wire.len() + label.len() < 255 {
                wire = [&[label.len() as u8], &label[..], &wire].concat();
            }
        }
        wire
    })
}

/// A name in RDATA: mostly of the same zone.
fn target(origin: Wire) -> impl Strategy<Value = Wire> {
    prop_oneof![
        6 => below(origin.clone(), 3),
        // Few names, so that sets meet them twice and chains close.
        3 => below(origin, 1),
        1 => below(b"\x05other\0".to_vec(), 1),
    ]
}

fn rdata(rtype: u16, origin: Wire) -> BoxedStrategy<Vec<u8>> {
    let name = target(origin);
    match rtype {
        naive::NS | naive::CNAME | naive::DNAME => name.boxed(),
        naive::MX => (0..3u8, name).prop_map(|(n, name)| [&[0, n], &name[..]].concat()).boxed(),
        naive::SRV => (0..2u8, name).prop_map(|(n, name)| [&[0, n, 0, 0, 0, 53], &name[..]].concat()).boxed(),
        naive::AAAA => (0..3u8).prop_map(|n| [&[0xfd; 15][..], &[n]].concat()).boxed(),
        naive::TXT => (0..3u8).prop_map(|n| vec![2, b'T', n]).boxed(),
        naive::DS => (0..2u8).prop_map(|n| vec![0, n, 8, 2, 1, 2, 3, 4]).boxed(),
        _ => (0..3u8).prop_map(|n| vec![192, 0, 2, n]).boxed(),
    }
}

pub fn entry(origin: Wire) -> impl Strategy<Value = Entry> {
    let rtype = prop_oneof![
        4 => Just(naive::A),
        2 => Just(naive::AAAA),
        4 => Just(naive::NS),
        4 => Just(naive::CNAME),
        3 => Just(naive::DNAME),
        2 => Just(naive::MX),
        1 => Just(naive::SRV),
        1 => Just(naive::TXT),
        1 => Just(naive::DS),
        1 => Just(65_280),
    ];
    (below(origin.clone(), 4), rtype, select(&[60u32, 300, 0][..])).prop_flat_map(
        move |(owner, rtype, ttl)| {
            rdata(rtype, origin.clone()).prop_map(move |rdata| Entry {
                owner: owner.clone(),
                rtype,
                ttl,
                rdata,
            })
        },
    )
}

/// A zone at `origin` with a SOA, and whatever else chance gives it.
pub fn zone(origin: Wire) -> impl Strategy<Value = Zone> {
    (prop::collection::vec(entry(origin.clone()), 0..28), 0..400u32).prop_map(move |(entries, minimum)| {
        let names = [&origin[..], b"\x05admin\0"].concat();
        let numbers = [1u32, 2, 3, 4, minimum].map(u32::to_be_bytes).concat();
        let soa =
            Entry { owner: origin.clone(), rtype: naive::SOA, ttl: 200, rdata: [names, numbers].concat() };
        Zone::new(&origin, std::iter::once(soa).chain(entries))
    })
}

/// One zone, or one and another below it.
fn zones() -> impl Strategy<Value = Vec<Zone>> {
    let origins = prop_oneof![
        6 => Just(vec![&b"\x01z\0"[..]]),
        1 => Just(vec![&b"\0"[..]]),
        1 => Just(vec![&b"\x01*\x01z\0"[..]]),
        2 => Just(vec![&b"\x01z\0"[..], b"\x01a\x01z\0"]),
        1 => Just(vec![&b"\x01Z\0"[..], b"\x01B\x01a\x01z\0", b"\x01a\x01z\0"]),
    ];
    origins
        .prop_flat_map(|origins| origins.into_iter().map(|origin| zone(origin.to_vec())).collect::<Vec<_>>())
}

#[derive(Clone)]
pub struct Question {
    pub name: Wire,
    pub qtype: u16,
    pub edns: bool,
}

impl std::fmt::Debug for Question {
    /// As text: it stands in the report of a failure.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", to_text(&self.name), render::rtype(self.qtype))
    }
}

pub fn question(origin: Wire) -> impl Strategy<Value = Question> {
    let name = prop_oneof![
        20 => below(origin, 5),
        1 => below(b"\x01y\0".to_vec(), 1),
    ];
    let qtype = select(
        &[
            naive::A,
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
        ][..],
    );
    (name, qtype, any::<bool>()).prop_map(|(name, qtype, edns)| Question { name, qtype, edns })
}

/// Zones and questions about them.
pub fn case() -> impl Strategy<Value = (Vec<Zone>, Vec<Question>)> {
    zones().prop_flat_map(|zones| {
        let origin = zones[0].origin.clone();
        (Just(zones), prop::collection::vec(question(origin), 1..=QUESTIONS))
    })
}
