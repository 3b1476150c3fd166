//! Messages that no resolver sends: what comes back, if anything, is compared by rcode and AA only.

use crate::oracle::message::{self, Edns};
use crate::oracle::names::from_text;

/// One message and what is wrong or odd about it.
pub struct Oddity {
    pub name: &'static str,
    pub octets: Vec<u8>,
}

/// A query for `name` SOA, twisted in every way that has a name.
pub fn oddities(name: &str) -> Vec<Oddity> {
    let wire = from_text(name).unwrap_or_else(|| panic!("{name} is no name"));
    let query = |flags: u16| message::query(0, flags, &wire, 6, 1, None);
    let typed = |qtype: u16, qclass: u16| message::query(0, 0, &wire, qtype, qclass, None);
    let edns = |version: u8, options: &[u8]| {
        let edns = Edns { payload: 1232, dnssec_ok: false, version, options: options.to_vec() };
        message::query(0, 0, &wire, 6, 1, Some(&edns))
    };
    let question = query(0)[12..].to_vec();
    let opt = edns(0, &[])[12 + question.len()..].to_vec();
    let record = [&wire[..], &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]].concat();
    let opcode = |opcode: u16, counts: [u16; 4], body: &[u8]| with(opcode << 11, counts, body);
    let named = |name: &'static str, octets: Vec<u8>| Oddity { name, octets };
    vec![
        named("a response", query(0x8000)),
        named("eleven octets", query(0)[..11].to_vec()),
        named("a header alone that promises a question", with(0, [1, 0, 0, 0], &[])),
        named("a header alone", with(0, [0, 0, 0, 0], &[])),
        named("two questions", with(0, [2, 0, 0, 0], &[&question[..], &question[..]].concat())),
        named("octets after the question", [query(0), b"xx".to_vec()].concat()),
        named("octets after OPT", [edns(0, &[]), b"xx".to_vec()].concat()),
        named("a question cut short", query(0)[..query(0).len() - 2].to_vec()),
        named("a label of type 0x40", with(0, [1, 0, 0, 0], b"\x40abc\0\0\x01\0\x01")),
        named("a pointer in the question", with(0, [1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01")),
        named(
            "a name of 257 octets",
            with(0, [1, 0, 0, 0], &[&[&[63; 64][..]; 4].concat()[..], b"\0\0\x01\0\x01"].concat()),
        ),
        named("two OPTs", with(0, [1, 0, 0, 2], &[&question[..], &opt[..], &opt[..]].concat())),
        named("OPT below a name", with(0, [1, 0, 0, 1], &[&question[..], b"\x01a", &opt[..]].concat())),
        named("OPT in the answer section", with(0, [1, 1, 0, 0], &[&question[..], &opt[..]].concat())),
        named("OPT in the authority section", with(0, [1, 0, 1, 0], &[&question[..], &opt[..]].concat())),
        named("OPT promised, not there", with(0, [1, 0, 0, 1], &question)),
        named("an option longer than OPT", edns(0, &[0, 3, 0, 255])),
        named("EDNS version 1", edns(1, &[])),
        named("EDNS version 255", edns(255, &[])),
        named("an option nobody knows", edns(0, &[0xfd, 0xe9, 0, 2, 1, 2])),
        named("an answer in the query", with(0, [1, 1, 0, 0], &[&question[..], &record[..]].concat())),
        named("an authority in the query", with(0, [1, 0, 1, 0], &[&question[..], &record[..]].concat())),
        named("an additional in the query", with(0, [1, 0, 0, 1], &[&question[..], &record[..]].concat())),
        named("a record before OPT", with(0, [1, 0, 0, 2], &[&question[..], &record[..], &opt[..]].concat())),
        named("a record after OPT", with(0, [1, 0, 0, 2], &[&question[..], &opt[..], &record[..]].concat())),
        named("TC set", query(0x0200)),
        named("AA set", query(0x0400)),
        named("RA set", query(0x0080)),
        named("Z set", query(0x0040)),
        named("rcode set", query(5)),
        named("opcode IQUERY", opcode(1, [1, 0, 0, 0], &question)),
        named("opcode STATUS", opcode(2, [1, 0, 0, 0], &question)),
        named("opcode STATUS, nothing else", opcode(2, [0; 4], &[])),
        named("opcode 3", opcode(3, [1, 0, 0, 0], &question)),
        named("opcode NOTIFY", opcode(4, [1, 0, 0, 0], &question)),
        named("opcode UPDATE", opcode(5, [1, 0, 0, 0], &question)),
        named("opcode DSO", opcode(6, [0; 4], &[])),
        named("opcode 15, nothing else", opcode(15, [0; 4], &[])),
        named("AXFR over UDP", typed(252, 1)),
        named("type OPT", typed(41, 1)),
        named("type TSIG", typed(250, 1)),
        named("type TKEY", typed(249, 1)),
        named("type MAILA", typed(254, 1)),
        named("type MAILB", typed(253, 1)),
        named("class NONE", typed(6, 254)),
        named("class 0", typed(6, 0)),
    ]
}

fn with(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0, 0];
    octets.extend(flags.to_be_bytes());
    octets.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    octets.extend_from_slice(body);
    octets
}
