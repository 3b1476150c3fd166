//! Where chains of trust begin, break and end.

use super::signer::{Signer, ZONE_KEY};
use super::world::World;
use super::zone::{WALL, Zone, name, record};
use super::{Denies, NSEC3, world};
use crate::base::time::{Moment, WallSeconds};
use crate::resolve::hints::root_anchors;
use crate::resolve::validate::{Asked, FetchId, Output, Ticket, Unfetched, Validator, Verdict};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;

const A: RecordType = RecordType::A;
const NAME: &str = "www.example.";

/// A root and `example.`, whose keys these are.
fn two(root: Vec<Signer>, example: Vec<Signer>) -> Vec<Zone> {
    let example = Zone::new("example.", NSEC3, example).address(NAME);
    vec![Zone::new(".", Denies::Nsec, root).delegate(&example), example]
}

fn usual() -> World {
    World::new(two(vec![Signer::rsa()], vec![Signer::p256()]))
}

#[test]
fn the_built_in_anchors_are_those_that_iana_publishes() {
    let texts: Vec<String> = root_anchors()
        .iter()
        .map(|anchor| {
            let [high, low, algorithm, digest_type, digest @ ..] = &anchor.rdata[..] else { panic!() };
            let tag = u16::from_be_bytes([*high, *low]);
            let digest = data_encoding::HEXUPPER.encode(digest);
            format!("{} {} {tag} {algorithm} {digest_type} {digest}", anchor.name, anchor.rtype)
        })
        .collect();
    assert_eq!(
        texts,
        [
            ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
            ". DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
        ]
    );
}

#[test]
fn an_anchor_may_be_a_ds_or_a_dnskey_record() {
    let signer = Signer::rsa();
    let anchor = record(&Name::ROOT, RecordType::DNSKEY, 1, &signer.dnskey());
    let mut world = World::trusting(two(vec![signer], vec![Signer::ed25519(1)]), &[anchor]);
    assert_eq!(world.text(NAME, A), "secure");
}

#[test]
fn an_anchor_that_matches_no_key_makes_all_bogus() {
    for anchors in
        [root_anchors(), vec![record(&Name::ROOT, RecordType::DNSKEY, 1, &Signer::ed25519(9).dnskey())]]
    {
        let mut world = World::trusting(two(vec![Signer::rsa()], vec![Signer::ed25519(1)]), &anchors);
        assert_eq!(world.text(NAME, A), "bogus 9");
        assert_eq!(world.text("missing.", A), "bogus 9");
    }
}

#[test]
fn without_an_anchor_above_nothing_is_known() {
    let mut world = World::trusting(two(vec![Signer::rsa()], vec![]), &[]);
    assert_eq!(world.text(NAME, A), "indeterminate");
    assert!(world.fetched.is_empty());
}

#[test]
fn an_anchor_further_down_is_an_island_of_trust() {
    let mut zones = world(Denies::Nsec).zones;
    let example = zones.iter().position(|zone| zone.apex == name("example.com.")).unwrap();
    let anchor = record(
        &name("example.com."),
        RecordType::DS,
        1,
        &zones[example].signers[0].ds(&name("example.com.")),
    );
    zones[0].signers = vec![Signer::ed25519(77)];
    let mut world = World::trusting(zones, &[anchor]);
    assert_eq!(world.text("www.example.com.", A), "secure");
    assert_eq!(world.text("missing.example.com.", A), "secure");
    assert_eq!(world.text("example.com.", RecordType::DS), "indeterminate");
    assert_eq!(world.text("erdos.maths.groucho.edu.", A), "indeterminate");
    assert!(world.fetched.iter().all(|fetch| fetch == "example.com. DNSKEY"));
    // Who signs in the name of a zone above the anchor is not believed, nor counted as insecure.
    let asked = Asked { name: name("www.example.com."), rtype: A };
    let mut response = world.resolve(&asked);
    let unsigned: Vec<_> = response.answer.iter().filter(|r| r.rtype == A).cloned().collect();
    let forged = Signer::ed25519(66).sign_set(&name("com."), &unsigned, WALL - 1, WALL + 1);
    response.answer = [unsigned, vec![forged]].concat();
    assert_eq!(world.judge_response(asked, &response).text(), "bogus 6");
}

#[test]
fn unknown_algorithms_and_digests_make_a_zone_insecure() {
    let mut world = World::new(two(vec![Signer::rsa()], vec![Signer::unknown()]));
    assert_eq!(world.text(NAME, A), "insecure 1");
    assert_eq!(world.text("missing.example.", A), "insecure 1");
    let mut world = usual();
    let mut ds = world.zones[1].signers[0].ds(&name("example."));
    ds[3] = 99;
    world.zones[0].entrust("example.", &[ds]);
    assert_eq!(world.text(NAME, A), "insecure 2");
    // One that is known is enough, and then it has to hold.
    let mut world = World::new(two(vec![Signer::rsa()], vec![Signer::unknown(), Signer::p256()]));
    assert_eq!(world.text(NAME, A), "secure");
    world.zones[1].signers.pop();
    world.later(20_000);
    assert_eq!(world.text(NAME, A), "bogus 10");
}

#[test]
fn a_digest_by_sha_1_does_not_count_beside_a_better_one() {
    let mut world = usual();
    let apex = name("example.");
    let good = world.zones[1].signers[0].ds(&apex);
    let by_sha_1 = |signer: &Signer| {
        let signed = [apex.as_wire(), &signer.dnskey()].concat();
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &signed);
        [&signer.tag().to_be_bytes()[..], &[signer.algorithm(), 1], digest.as_ref()].concat()
    };
    let alone = by_sha_1(&world.zones[1].signers[0]);
    world.zones[0].entrust("example.", std::slice::from_ref(&alone));
    assert_eq!(world.text(NAME, A), "secure");
    let mut wrong = good;
    wrong[10] ^= 1;
    world.zones[0].entrust("example.", &[alone, wrong]);
    world.later(20_000);
    assert_eq!(world.text(NAME, A), "bogus 9");
}

#[test]
fn a_key_must_be_that_of_the_ds_record_and_sign_zones() {
    let mut world = usual();
    world.zones[0].entrust("example.", &[Signer::p256().ds(&name("example."))]);
    assert_eq!(world.text(NAME, A), "bogus 9");
    // A key without the bit, and one that was revoked.
    for (flags, code) in [(1, "bogus 11"), (ZONE_KEY | 0x80, "bogus 11")] {
        let signer = Signer { flags, ..Signer::p256() };
        let mut world = World::new(two(vec![Signer::rsa()], vec![signer]));
        assert_eq!(world.text(NAME, A), code);
    }
    // Only keys that the DS record stands for, or that such a key signed, are believed.
    let mut world = usual();
    let stranger = Signer::ed25519(5);
    world.tamper = Box::new(move |asked, response| {
        if asked.rtype == RecordType::DNSKEY && asked.name == name("example.") {
            let key = record(&asked.name, RecordType::DNSKEY, 3_600, &stranger.dnskey());
            response.answer = vec![key.clone(), stranger.sign_set(&asked.name, &[key], WALL - 1, WALL + 100)];
        }
        true
    });
    assert_eq!(world.text(NAME, A), "bogus 9");
}

#[test]
fn what_is_out_of_reach_is_bogus_for_ten_seconds() {
    for (rtype, code) in [(RecordType::DNSKEY, "bogus 9"), (RecordType::DS, "bogus 5")] {
        let mut world = usual();
        world.tamper = Box::new(move |asked, _| asked.rtype != rtype || asked.name.is_root());
        assert_eq!(world.text(NAME, A), code);
        let fetched = world.fetched.len();
        world.tamper = Box::new(|_, _| true);
        world.later(9);
        assert_eq!(world.text(NAME, A), code);
        assert_eq!(world.fetched.len(), fetched);
        world.later(1);
        assert_eq!(world.text(NAME, A), "secure");
    }
}

#[test]
fn keys_are_remembered_for_their_ttl_and_a_new_one_is_found_then() {
    let mut world = usual();
    assert_eq!(world.text(NAME, A), "secure");
    world.later(3_599);
    assert_eq!(world.judge(NAME, A).spent.fetches, 0);
    let zones = two(vec![Signer::rsa()], vec![Signer::ed25519(8)]);
    world.zones = zones;
    assert_eq!(world.text(NAME, A), "bogus 9", "signed by a key that is not known yet");
    world.later(1);
    assert_eq!(world.text(NAME, A), "secure");
    // Or it is forgotten by hand.
    world.zones = two(vec![Signer::rsa()], vec![Signer::ed25519(9)]);
    assert_eq!(world.text(NAME, A), "bogus 9");
    world.validator.flush(&name("example."));
    assert_eq!(world.text(NAME, A), "secure");
    assert!(world.validator.remembered() > 0);
}

#[test]
fn a_zone_that_is_signed_anew_is_secure_within_the_ttl_of_the_proof_that_it_was_not() {
    let mut world = World::new(two(vec![Signer::rsa()], vec![]));
    assert_eq!(world.text(NAME, A), "insecure");
    let root = world.zones.remove(0);
    let mut zones = two(root.signers, vec![Signer::p256()]);
    zones.swap(0, 1);
    world.zones = zones;
    assert_eq!(world.text(NAME, A), "insecure");
    world.later(300);
    assert_eq!(world.text(NAME, A), "secure");
}

#[test]
fn a_new_ds_set_counts_even_if_the_keys_were_bogus_before() {
    let mut world = usual();
    world.zones[1].expiration = WALL - 5;
    assert_eq!(world.text(NAME, A), "bogus 7");
    world.zones[1].expiration = WALL + 500;
    world.later(10);
    assert_eq!(world.text(NAME, A), "secure");
}

#[test]
fn answers_that_need_the_same_keys_ask_for_them_once() {
    let mut world = usual();
    let asked = Asked { name: name(NAME), rtype: A };
    let response = world.resolve(&asked);
    let (now, wall) = (Moment::START, WallSeconds(u64::from(WALL)));
    for ticket in 1..=3 {
        world.validator.start(now, wall, Ticket(ticket), asked.clone(), &response).unwrap();
    }
    world.validator.cancel(Ticket(2));
    let mut done = Vec::new();
    while let Some(output) = world.validator.poll() {
        match output {
            Output::Done { ticket, verdict, .. } => done.push((ticket.0, verdict)),
            Output::Fetch { id, ticket, asked } => {
                assert_eq!(ticket, Ticket(1));
                world.fetched.push(format!("{} {}", asked.name, asked.rtype));
                let response = world.resolve(&asked);
                world.validator.fetched(now, wall, id, Ok(&response));
                // Twice is once, and what nobody waits for is nothing.
                world.validator.fetched(now, wall, id, Ok(&response));
                world.validator.fetched(now, wall, FetchId(99), Ok(&response));
            }
        }
    }
    assert_eq!(done, [(1, Verdict::Secure), (3, Verdict::Secure)]);
    assert_eq!(world.fetched, ["example. DS", ". DNSKEY", "example. DNSKEY"]);
}

#[test]
fn an_answer_that_cannot_pay_for_a_key_fails_alone() {
    for (why, code) in [(Unfetched::Spent, 6), (Unfetched::Busy, 14)] {
        let mut world = usual();
        let asked = Asked { name: name(NAME), rtype: A };
        let response = world.resolve(&asked);
        let (now, wall) = (Moment::START, WallSeconds(u64::from(WALL)));
        for ticket in 1..=4 {
            world.validator.start(now, wall, Ticket(ticket), asked.clone(), &response).unwrap();
        }
        let mut done = Vec::new();
        while let Some(output) = world.validator.poll() {
            match output {
                Output::Done { ticket, verdict: Verdict::Bogus(cause), .. } => {
                    done.push((ticket.0, cause.error.0));
                }
                Output::Done { ticket, .. } => done.push((ticket.0, 0)),
                Output::Fetch { id, ticket, asked } => {
                    let response = world.resolve(&asked);
                    // The second of them pays for one set, and the first for none.
                    let can_pay = ticket.0 > 2 || ticket.0 == 2 && asked.rtype == RecordType::DS;
                    let response = if can_pay { Ok(&response) } else { Err(why) };
                    world.validator.fetched(now, wall, id, response);
                }
            }
        }
        assert_eq!(done, [(1, code), (2, code), (3, 0), (4, 0)]);
        // Nothing of it was remembered as bogus.
        assert_eq!(world.text(NAME, A), "secure");
    }
}

#[test]
fn a_validator_without_anchors_needs_nothing() {
    let zones = two(vec![Signer::rsa()], vec![Signer::p256()]);
    let asked = Asked { name: name(NAME), rtype: A };
    let response = zones[1].respond(&asked.name, A);
    let mut validator = Validator::new(&[]);
    validator.start(Moment::START, WallSeconds(0), Ticket(7), asked, &response).unwrap();
    assert!(matches!(validator.poll(), Some(Output::Done { verdict: Verdict::Indeterminate(_), .. })));
    assert_eq!(validator.poll(), None);
}
