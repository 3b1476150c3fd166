//! The cache held against a simple one, and asked by many at once.

mod edges;
mod parts;
mod queues;
mod threads;
mod twin;

use super::*;
use crate::base::limits::NAME_OCTETS_MAX;
use crate::resolve::question::Wants;
use crate::wire::key::HashSeed;
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use std::time::Duration;

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(1_000 + seconds)
}

fn life(fresh_seconds: u32, stale_seconds: u32) -> Life {
    Life { fresh_seconds, stale_seconds }
}

/// `host-N.example.`, about 25 octets.
fn name(number: u32) -> Vec<u8> {
    let label = format!("host-{number:07}");
    [&[label.len() as u8][..], label.as_bytes(), b"\x03dep\x07example\0"].concat()
}

fn question(name: &[u8], rtype: RecordType, wants: Wants) -> Question<'_> {
    Question::new(name, HashSeed::new(*b"a seed for tests").name(name), rtype, wants)
}

fn ask_a(name: &[u8]) -> Question<'_> {
    question(name, RecordType::A, Wants::default())
}

/// Records, whose owners point into the question, with these TTLs and so many octets of RDATA each.
fn records(ttls: &[u32], rdata_octets: usize, fill: u8) -> (Vec<u8>, Vec<u16>) {
    let (mut octets, mut places) = (Vec::new(), Vec::new());
    for ttl in ttls {
        octets.extend([0xc0, 12, 0, 1, 0, 1]);
        places.push(octets.len() as u16);
        octets.extend(ttl.to_be_bytes());
        octets.extend((rdata_octets as u16).to_be_bytes());
        octets.extend(vec![fill; rdata_octets]);
    }
    (octets, places)
}

fn body<'b>((octets, ttls): &'b (Vec<u8>, Vec<u16>)) -> Body<'b> {
    let counts = [ttls.len() as u16, 0, 0];
    Body { rcode: Rcode::NoError, authentic: false, error: None, counts, octets, ttls }
}

/// The TTLs in `octets` at these places.
fn ttls(octets: &[u8], places: &[u16]) -> Vec<u32> {
    let ttl = |place: &u16| crate::base::octets::u32_at(octets, usize::from(*place));
    places.iter().filter_map(ttl).collect()
}

/// What a dump tells from its beginning to its end.
fn dump(cache: &Cache, now: Moment) -> Vec<Kept> {
    let (mut all, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        let (some, next) = cache.dump(from, now);
        all.extend(some);
        cursor = next;
    }
    all
}
