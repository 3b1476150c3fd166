//! Sealed and placed sets against records written out in full: wherever a set is put, and for whatever name,
//! its records decode to what was sealed.

use crate::chance::below;
use crate::naive::{A, CNAME, MX, NS, SOA, SRV};
use crate::oracle::message::{self, Record};
use crate::oracle::names::{Wire, lowered};
use hivedns::base::time::Moment;
use hivedns::wire::key::NameKey;
use hivedns::wire::message::Rcode;
use hivedns::wire::query::{Accepted, accept};
use hivedns::wire::reply::{Owner, Reply, Section};
use hivedns::wire::rtype::{Class, RecordType};
use hivedns::wire::sealed::{SealedRrset, Sealer};
use proptest::prelude::*;
use proptest::sample::select;

/// Types with names in every position that compression knows, and one without.
const TYPES: [u16; 8] = [A, NS, CNAME, SOA, 12, 14, MX, SRV];
const TTL: u32 = 77;

#[derive(Debug, Clone)]
struct Case {
    owner: Wire,
    rtype: u16,
    rdatas: Vec<Vec<u8>>,
    /// The labels that a wildcard owner stands in for.
    instead: Wire,
    /// Names of aliases before the set; each is the owner of the next, the last of the set.
    aliases: usize,
    /// Octets of other records before it.
    before: usize,
}

fn rdata(rtype: u16) -> impl Strategy<Value = Vec<u8>> {
    let name = || below(b"\x01z\0".to_vec(), 4);
    (name(), name(), any::<[u8; 6]>()).prop_map(move |(first, second, octets)| match rtype {
        NS | CNAME | 12 => first,
        14 => [first, second].concat(),
        SOA => [&first, &second, &[0; 20][..]].concat(),
        MX => [&octets[..2], &first].concat(),
        SRV => [&octets[..6], &first].concat(),
        _ => octets[..4].to_vec(),
    })
}

fn case() -> impl Strategy<Value = Case> {
    let names = (below(b"\x01z\0".to_vec(), 4), below(Vec::new(), 3));
    (names, select(&TYPES[..]), 0..4usize, 0..3_000usize).prop_flat_map(
        |((owner, instead), rtype, aliases, before)| {
            prop::collection::vec(rdata(rtype), 1..30).prop_map(move |rdatas| {
                let (owner, instead) = (owner.clone(), instead.clone());
                Case { owner, rtype, rdatas, instead, aliases, before }
            })
        },
    )
}

/// The name that is asked for where the owner is a wildcard, else the owner.
fn asked(case: &Case) -> Wire {
    match case.owner.strip_prefix(b"\x01*") {
        Some(parent) if !case.instead.is_empty() && case.instead.len() + parent.len() <= 255 => {
            [&case.instead, parent].concat()
        }
        _ => case.owner.clone(),
    }
}

fn pointers(sealer: &Sealer) -> Vec<u8> {
    sealer.pointers().iter().flat_map(|at| at.to_be_bytes()).collect()
}

proptest! {
    #![proptest_config(super::config())]

    #[test]
    fn a_sealed_set_means_the_same_wherever_it_is_placed(case in case()) {
        let mut sealer = Sealer::default();
        sealer.begin(&lowered(&case.owner));
        for rdata in &case.rdatas {
            sealer.record(RecordType(case.rtype), TTL, rdata);
        }
        let pointers = pointers(&sealer);
        let records = sealer.records() as u16;
        let rrset = SealedRrset { records, octets: sealer.octets(), pointers: &pointers, owner_len: case.owner.len(), deadline: Moment::NEVER };

        let (name, asked_first) = (asked(&case), b"\x05first\x01z\0".to_vec());
        let question = if case.aliases == 0 { &name } else { &asked_first };
        let query = message::query(1, 0, question, case.rtype, 1, None);
        let mut key = NameKey::default();
        let Accepted::Query(shape) = accept(&query, &mut key) else { return Err(TestCaseError::fail("not accepted")) };
        let mut buffer = vec![0; 65_535];
        let mut reply = Reply::begin(&mut buffer, &shape.of(&query), 65_535, b"");
        let mut owner = reply.question();
        let mut full = Vec::new();
        let record = |owner: &[u8], rtype, rdata: &[u8]| Record { owner: lowered(owner), rtype, class: 1, ttl: TTL, rdata: rdata.to_vec() };
        let append = |reply: &mut Reply<'_>, owner, rtype: u16, rdata: &[u8]| {
            reply.append_record(Section::Answer, owner, (RecordType(rtype), Class::IN, TTL), &[rdata]).expect("there is room")
        };
        if case.before > 0 {
            append(&mut reply, owner, 65_280, &vec![1; case.before]);
            full.push(record(question, 65_280, &vec![1; case.before]));
        }
        for alias in 0..case.aliases {
            let target = if alias + 1 == case.aliases { name.clone() } else { [&b"\x01n"[..], &asked_first].concat() };
            let owner_name = if alias == 0 { &asked_first } else { &[&b"\x01n"[..], &asked_first].concat() };
            full.push(record(owner_name, CNAME, &lowered(&target)));
            let at = append(&mut reply, owner, CNAME, &target);
            owner = Owner { at, len: target.len() };
        }
        let start = reply.append(Section::Answer, &rrset, owner);
        prop_assert!(start.is_ok());
        let len = reply.finish(&shape.of(&query), Rcode::NoError, 1232, b"");
        let decoded = message::decode(&buffer[..len]).map_err(TestCaseError::fail)?;
        // RDATA as it would be without any compression, its names lowered as the decoder lowers them.
        for rdata in &case.rdatas {
            let fixed = match case.rtype { MX => 2, SRV => 6, A => 4, _ => 0 };
            let mut expected = rdata.clone();
            expected[fixed..].make_ascii_lowercase();
            full.push(record(&name, case.rtype, &expected));
        }
        prop_assert_eq!(&decoded.sections[0], &full);
        let uncompressed: usize = full.iter().map(|r| r.owner.len() + 10 + r.rdata.len()).sum();
        prop_assert!(len <= query.len() + uncompressed, "compression made it longer");
    }
}
