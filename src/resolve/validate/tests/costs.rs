//! What an answer may cost, whatever the owners of its zones do.

use super::signer::{Signer, namesakes};
use super::world::World;
use super::zone::{Zone, name};
use super::{Denies, NSEC3, world};
use crate::resolve::validate::limits::{
    CHECKS_MAX, DIGESTS_OF_ZONE_MAX, FAILED_CHECKS_MAX, FAILED_CHECKS_OF_SET_MAX, FETCHES_MAX,
    NSEC3_HASHES_MAX, NSEC3_ITERATIONS_MAX,
};
use crate::resolve::validate::{Asked, Response};
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;

const A: RecordType = RecordType::A;
const NAME: &str = "www.example.";

fn two(example: Zone) -> World {
    let root = Zone::new(".", Denies::Nsec, vec![Signer::rsa()]).delegate(&example);
    World::new(vec![root, example])
}

/// Spoils all signatures and repeats them, each a little different.
fn multiply(records: &mut Vec<Record>, times: u8) {
    let spoiled = |record: &Record| {
        let record = record.clone();
        (0..times).map(move |i| {
            let mut other = record.clone();
            let last = other.rdata.len() - 1;
            other.rdata[last] ^= i + 1;
            other
        })
    };
    let signatures: Vec<_> =
        records.iter().filter(|r| r.rtype == RecordType::RRSIG).flat_map(spoiled).collect();
    records.retain(|r| r.rtype != RecordType::RRSIG);
    records.extend(signatures);
}

#[test]
fn many_keys_of_one_tag_and_many_signatures_cost_little() {
    let mut example = Zone::new("example.", NSEC3, vec![Signer::p256()]).address(NAME);
    let crowd = namesakes(&example.signers[0].dnskey(), 15);
    example.crowd(&crowd);
    let mut world = two(example);
    // The keys themselves are signed well, and those of the DS record are few.
    let asked = Asked { name: name(NAME), rtype: A };
    let mut response = world.resolve(&asked);
    multiply(&mut response.answer, 200);
    let found = world.judge_response(asked, &response);
    assert_eq!(found.text(), "bogus 6");
    assert!(found.spent.failed <= FAILED_CHECKS_OF_SET_MAX + 1, "{found:?}");
    // One failing set ends it; here are sets that fail and then succeed.
    let mut world = two({
        let signer = Signer::p256();
        let crowd = namesakes(&signer.dnskey(), 2);
        let mut example = Zone::new("example.", NSEC3, vec![signer]);
        for i in 0..60 {
            example = example.address(&format!("h{i}.example."));
        }
        example.crowd(&crowd);
        example
    });
    let asked = Asked { name: name("h0.example."), rtype: A };
    let mut response = world.resolve(&asked);
    for i in 1..60 {
        response
            .answer
            .extend(world.resolve(&Asked { name: name(&format!("h{i}.example.")), rtype: A }).answer);
    }
    let found = world.judge_response(asked, &response);
    assert_eq!(found.text(), "bogus 6");
    assert!(found.spent.failed <= FAILED_CHECKS_MAX && found.spent.checks <= CHECKS_MAX, "{found:?}");
}

#[test]
fn a_zone_whose_two_keys_share_a_tag_is_secure() {
    let signer = Signer::p256();
    let crowd = namesakes(&signer.dnskey(), 2);
    let mut example = Zone::new("example.", NSEC3, vec![signer]).address(NAME);
    example.crowd(&crowd[..1]);
    let mut world = two(example);
    let found = world.judge(NAME, A);
    assert_eq!((found.text().as_str(), found.spent.failed), ("secure", 1));
}

#[test]
fn a_set_of_keys_with_many_spoiled_signatures_costs_little() {
    let mut world = two(Zone::new("example.", NSEC3, vec![Signer::p256()]).address(NAME));
    world.tamper = Box::new(|asked, response| {
        if asked.rtype == RecordType::DNSKEY && !asked.name.is_root() {
            multiply(&mut response.answer, 200);
        }
        true
    });
    let found = world.judge(NAME, A);
    assert_eq!(found.text(), "bogus 6");
    assert!(found.spent.failed <= FAILED_CHECKS_OF_SET_MAX + 1, "{found:?}");
}

#[test]
fn many_ds_records_for_many_keys_of_one_tag_cost_little() {
    let signer = Signer::p256();
    let crowd = namesakes(&signer.dnskey(), 300);
    let ds: Vec<Vec<u8>> = (0..100u8)
        .map(|i| {
            let mut ds = signer.ds(&name("example."));
            ds[10] = i;
            ds
        })
        .collect();
    let mut example = Zone::new("example.", NSEC3, vec![signer]).address(NAME);
    example.crowd(&crowd);
    let mut world = two(example);
    world.zones[0].entrust("example.", &ds);
    let found = world.judge(NAME, A);
    assert_eq!(found.text(), "bogus 9");
    // And one for the root.
    assert!(found.spent.digests <= DIGESTS_OF_ZONE_MAX + 1, "{found:?}");
}

#[test]
fn a_zone_that_hashes_its_names_too_often_is_insecure_and_costs_nothing() {
    for (iterations, verdict) in
        [(NSEC3_ITERATIONS_MAX, "secure"), (NSEC3_ITERATIONS_MAX + 1, "insecure 27"), (2_500, "insecure 27")]
    {
        let denies = Denies::Nsec3 { iterations, opt_out: false };
        let plain = Zone::new("plain.example.", Denies::Nsec, vec![]).address("www.plain.example.");
        let example = Zone::new("example.", denies, vec![Signer::ed25519(1)]).address("*.wild.example.");
        let mut world = two(example.delegate(&plain));
        let found = world.judge("missing.example.", A);
        assert_eq!(found.text(), verdict);
        assert_eq!(found.spent.hashes, if verdict == "secure" { 3 } else { 0 });
        assert_eq!(world.text("a.wild.example.", A), verdict);
        world.zones.push(plain);
        let below = if verdict == "secure" { "insecure" } else { verdict };
        assert_eq!(world.text("www.plain.example.", A), below);
    }
}

#[test]
fn a_name_of_many_labels_is_hashed_only_so_often() {
    let denies = Denies::Nsec3 { iterations: NSEC3_ITERATIONS_MAX, opt_out: false };
    let mut world = two(Zone::new("example.", denies, vec![Signer::ed25519(1)]));
    let reverse = format!("{}example.", "a.".repeat(34));
    assert_eq!(world.text(&reverse, A), "secure");
    let found = world.judge(&format!("{}example.", "a.".repeat(120)), A);
    assert_eq!((found.text().as_str(), found.spent.hashes), ("bogus 6", NSEC3_HASHES_MAX));
}

/// Zones within each other, each signed, `count` of them below the root.
fn nested(count: usize) -> World {
    let apex = |depth: usize| "a.".repeat(depth);
    let mut zones = vec![
        Zone::new(&apex(count), Denies::Nsec, vec![Signer::ed25519(1)])
            .address(&format!("w.{}", apex(count))),
    ];
    for depth in (1..count).rev() {
        let zone = Zone::new(&apex(depth), Denies::Nsec, vec![Signer::ed25519(1)]);
        zones.push(zone.delegate(zones.last().unwrap()));
    }
    let root = Zone::new(".", Denies::Nsec, vec![Signer::ed25519(1)]);
    zones.push(root.delegate(zones.last().unwrap()));
    zones.reverse();
    World::new(zones)
}

#[test]
fn a_long_chain_of_zones_ends_at_the_bound() {
    let mut world = nested(15);
    let found = world.judge(&format!("w.{}", "a.".repeat(15)), A);
    assert_eq!((found.text().as_str(), found.spent.fetches), ("secure", 31));
    let mut world = nested(60);
    let found = world.judge(&format!("w.{}", "a.".repeat(60)), A);
    assert_eq!((found.text().as_str(), found.spent.fetches), ("bogus 6", FETCHES_MAX));
}

#[test]
fn an_expensive_answer_makes_no_other_zone_bogus() {
    let mut zones = world(Denies::Nsec).zones;
    let spoil = |zone: &mut Zone| {
        let crowd = namesakes(&zone.signers[0].dnskey(), 2);
        zone.crowd(&crowd);
    };
    zones.iter_mut().filter(|zone| zone.apex == name("groucho.edu.")).for_each(spoil);
    let mut world = World::new(zones);
    // One by one these fail twice each and succeed then; at last the alias leads to a zone of somebody else.
    let asked = Asked { name: name("away.groucho.edu."), rtype: A };
    let response = world.resolve(&asked);
    let mut expensive = Response { answer: Vec::new(), ..response.clone() };
    for owner in
        ["erdos.maths", "any", "unsafe", "nowhere", "old", "b.any", "c.any", "d.any", "e.any", "f.any"]
    {
        let owner = format!("{owner}.groucho.edu.");
        for rtype in [A, RecordType::CNAME, RecordType::DNAME] {
            let more = world.resolve(&Asked { name: name(&owner), rtype });
            expensive.answer.extend(more.answer.into_iter().filter(|r| r.name == name(&owner)));
            expensive.authority.extend(more.authority);
        }
    }
    expensive.answer.extend(response.answer);
    let found = world.judge_response(asked, &expensive);
    assert_eq!((found.text().as_str(), found.spent.failed), ("bogus 6", FAILED_CHECKS_MAX));
    assert_eq!(world.text("www.example.com.", A), "secure");
    assert_eq!(world.text("groucho.edu.", RecordType::SOA), "secure");
}

#[test]
fn aliases_without_end_and_answers_of_many_sets_are_refused() {
    let mut example = Zone::new("example.", NSEC3, vec![Signer::ed25519(1)]);
    for i in 0..100 {
        example = example.alias(&format!("h{i}.example."), &format!("h{}.example.", (i + 1) % 100));
    }
    let mut world = two(example);
    let found = world.judge("h0.example.", A);
    assert_eq!((found.text().as_str(), found.spent.checks), ("bogus 6", 0));
    let loops = Zone::new("example.", NSEC3, vec![Signer::ed25519(1)]).alias("h.example.", "h.example.");
    assert_eq!(two(loops).text("h.example.", A), "bogus 6");
    let asked = Asked { name: name("h0.example."), rtype: RecordType::CNAME };
    let mut response = world.resolve(&asked);
    for i in 1..100 {
        let more = Asked { name: name(&format!("h{i}.example.")), rtype: RecordType::CNAME };
        response.answer.extend(world.resolve(&more).answer);
    }
    let found = world.judge_response(asked, &response);
    assert_eq!((found.text().as_str(), found.spent.checks), ("bogus 6", 0));
}

/// Each octet of each record of a secure answer and its proof is changed in turn.
#[test]
fn no_octet_can_be_changed_unnoticed() {
    for (denies, owner) in [
        (Denies::Nsec, "erdos.maths.groucho.edu."),
        (Denies::Nsec, "missing.maths.groucho.edu."),
        (NSEC3, "missing.maths.groucho.edu."),
        (NSEC3, "a.wild.groucho.edu."),
    ] {
        let mut world = world(denies);
        let asked = Asked { name: name(owner), rtype: A };
        let response = world.resolve(&asked);
        assert_eq!(world.judge_response(asked.clone(), &response).text(), "secure");
        let sizes =
            response.answer.iter().chain(&response.authority).map(|r| r.rdata.len()).collect::<Vec<_>>();
        for (at, size) in sizes.into_iter().enumerate() {
            for octet in 0..size {
                let mut changed = response.clone();
                let record = changed.answer.iter_mut().chain(&mut changed.authority).nth(at).unwrap();
                record.rdata[octet] ^= 1;
                let text = format!("{} {} at {octet}", record.name, record.rtype);
                let found = world.judge_response(asked.clone(), &changed);
                assert_ne!(found.text(), "secure", "{text}");
            }
        }
    }
}

#[test]
fn octets_by_lot_never_make_it_panic() {
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..400u32 {
        let denies = if round % 2 == 0 { Denies::Nsec } else { NSEC3 };
        let mut world = nested_like(denies);
        let seed = rng.u64(..);
        world.tamper = Box::new(move |asked, response| {
            let mut rng =
                fastrand::Rng::with_seed(seed ^ asked.name.as_wire().len() as u64 ^ u64::from(asked.rtype.0));
            for record in response.answer.iter_mut().chain(&mut response.authority) {
                match rng.u8(0..6) {
                    0 if !record.rdata.is_empty() => {
                        let at = rng.usize(..record.rdata.len());
                        record.rdata[at] = rng.u8(..);
                    }
                    1 => record.rdata.truncate(rng.usize(..=record.rdata.len())),
                    2 => record.rtype = RecordType(rng.u16(40..52)),
                    _ => {}
                }
            }
            true
        });
        let owner = ["www.example.", "missing.example.", "a.wild.example.", "x.y.plain.example."];
        let found = world.judge(owner[round as usize % 4], A);
        assert!(found.spent.fetches <= FETCHES_MAX);
    }
}

/// A small world that is quickly made.
fn nested_like(denies: Denies) -> World {
    let plain = Zone::new("plain.example.", Denies::Nsec, vec![]).address("x.y.plain.example.");
    let example =
        Zone::new("example.", denies, vec![Signer::ed25519(1)]).address(NAME).address("*.wild.example.");
    let example = example.delegate(&plain);
    let root = Zone::new(".", Denies::Nsec, vec![Signer::ed25519(2)]).delegate(&example);
    World::new(vec![root, example, plain])
}
