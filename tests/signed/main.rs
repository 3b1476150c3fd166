//! Signed zones, as those see them who check: our own validator over zones by chance, and delv and Unbound over zones that
//! ldns and BIND have signed. `tests/differential` holds the answers against NSD's and Knot's.
#![allow(unreachable_pub, reason = "a test program has no outside")]

// The signer of the validator's own tests lives in the crate.
use hivedns::wire;

#[path = "../support/apart.rs"]
#[allow(unused_imports)]
mod apart;
mod chance;
mod judge;
#[path = "../oracle/mod.rs"]
mod oracle;
mod others;
#[path = "../../src/resolve/validate/tests/signer.rs"]
#[allow(dead_code)]
mod signer;
#[path = "../support/signers.rs"]
mod signers;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use chance::Denies;
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use judge::Judge;
use proptest::prelude::*;

/// Zones of one run; each is asked some questions.
const CASES: u32 = 250;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES.max(ProptestConfig::default().cases), failure_persistence: None, ..ProptestConfig::default() })]

    /// Only what a zone with opt-out denies is left open (RFC 5155 §6).
    #[test]
    fn every_answer_is_proven((zone, questions) in chance::case()) {
        let opts_out = matches!(zone.denies, Denies::Nsec3 { opt_out: true, .. });
        let mut judge = Judge::new(&zone).map_err(TestCaseError::fail)?;
        for (name, rtype) in &questions {
            let told = judge.ask(name, *rtype);
            let verdict = judge.judge(name, *rtype, &told);
            let is_open = opts_out && verdict == "insecure";
            prop_assert!(verdict == "secure" || is_open, "{name} {rtype}: {verdict}\n{}\n{zone:?}", told.text);
        }
    }

    /// A referral says whether what is below is signed, and says it so that it can be checked.
    #[test]
    fn every_referral_vouches_for_its_cut((zone, questions) in chance::case()) {
        let opts_out = matches!(zone.denies, Denies::Nsec3 { opt_out: true, .. });
        let mut judge = Judge::new(&zone).map_err(TestCaseError::fail)?;
        for (name, _) in &questions {
            let told = judge.ask(name, RecordType::A);
            let Some(cut) = told.cut() else { continue };
            // What a resolver learns of the cut.
            let told = told.asked_for_ds(&cut);
            let verdict = judge.judge(&cut, RecordType::DS, &told);
            let is_open = opts_out && verdict == "insecure";
            prop_assert!(verdict == "secure" || is_open, "{name}, {cut} DS: {verdict}\n{}\n{zone:?}", told.text);
        }
    }
}

/// A name that only NSEC3 made is no name (RFC 5155 §7.2.8).
#[test]
fn the_owner_of_nsec3_is_denied_and_a_wildcard_stands_in_for_it() {
    for (records, rcode) in [("", Rcode::NxDomain), ("* A 192.0.2.1\n", Rcode::NoError)] {
        let zone = chance::Zone::of_text(records, Denies::Nsec3 { iterations: 2, opt_out: false });
        let hashed = zone.proofs().next().expect("a record").clone();
        assert_eq!(hashed.rtype, RecordType::NSEC3);
        let mut judge = Judge::new(&zone).expect("a zone");
        let below = Name::parse(&format!("a.{}", hashed.name)).expect("a name");
        for (name, rtype) in
            [(&hashed.name, RecordType::NSEC3), (&hashed.name, RecordType::A), (&below, RecordType::A)]
        {
            let told = judge.ask(name, rtype);
            assert_eq!(
                (told.response.rcode, judge.judge(name, rtype, &told).as_str()),
                (rcode, "secure"),
                "{name}"
            );
        }
    }
}

#[test]
fn a_chain_with_holes_is_told_as_far_as_it_is_there() {
    for denies in chance::WAYS {
        let zone = chance::Zone::of_text("a A 192.0.2.1\nb.c A 192.0.2.1\n*.w A 192.0.2.1\n", denies);
        let names = ["none.z.", "a.z.", "c.z.", "x.b.c.z.", "x.w.z.", "z."]
            .map(|name| Name::parse(name).expect("a name"));
        // None, each alone, all but each.
        let count = zone.proofs().count();
        let kept = (0..count).flat_map(|one| [vec![one], (0..count).filter(|other| *other != one).collect()]);
        for kept in kept.chain([vec![]]) {
            let zone = zone.with_proofs(|number| kept.contains(&number));
            let mut judge = Judge::new(&zone).expect("a zone");
            for name in &names {
                for rtype in [RecordType::A, RecordType::TXT] {
                    assert!(
                        [Rcode::NoError, Rcode::NxDomain].contains(&judge.ask(name, rtype).response.rcode)
                    );
                }
            }
        }
    }
}

#[test]
fn too_many_iterations_are_not_done_and_the_answer_shows_why() {
    for (iterations, verdict) in [(50, "secure"), (150, "insecure"), (151, "insecure"), (65_535, "insecure")]
    {
        let zone = chance::Zone::of_text("a A 192.0.2.1\n", Denies::Nsec3 { iterations, opt_out: false });
        let mut judge = Judge::new(&zone).expect("a zone");
        let name = Name::parse("none.z.").expect("a name");
        let told = judge.ask(&name, RecordType::A);
        let proofs =
            told.response.authority.iter().filter(|record| record.rtype == RecordType::NSEC3).count();
        assert_eq!(proofs, if iterations > 150 { 1 } else { 2 }, "{}", told.text);
        assert_eq!(judge.judge(&name, RecordType::A, &told), verdict, "{iterations}");
    }
}

#[test]
fn what_does_not_fit_is_missed_by_tc() {
    for denies in chance::WAYS {
        let zone = chance::Zone::of_text(
            "*.w CNAME a.b\n*.b A 192.0.2.1\ncut NS ns.cut\nns.cut A 192.0.2.1\n",
            denies,
        );
        let mut judge = Judge::new(&zone).expect("a zone");
        for name in ["x.w.z.", "none.z.", "z.", "x.cut.z."].map(|name| Name::parse(name).expect("a name")) {
            let full = judge.ask(&name, RecordType::A);
            for limit in 40..full.octets + 8 {
                let told = judge.ask_within(&name, RecordType::A, limit);
                assert!(told.octets <= limit);
                let lacks = told.response.answer.len() + told.response.authority.len()
                    < full.response.answer.len() + full.response.authority.len();
                assert_eq!(told.truncated, told.octets < full.octets, "{name} {limit} {lacks}");
            }
        }
    }
}

#[test]
fn who_does_not_ask_for_signatures_sees_none() {
    let text = "a A 192.0.2.1\n*.w A 192.0.2.1\nalias CNAME a\ncut NS ns.cut\nns.cut A 192.0.2.1\n";
    for denies in chance::WAYS {
        let signed = chance::Zone::of_text(text, denies);
        let mut judge = Judge::new(&signed).expect("a zone");
        for name in ["a.z.", "b.w.z.", "alias.z.", "none.z.", "w.z.", "x.cut.z.", "z."] {
            let name = Name::parse(name).expect("a name");
            for rtype in [RecordType::A, RecordType::TXT] {
                let message = oracle::message::query(7, 0, name.as_wire(), rtype.0, 1, None);
                let by_short = judge.desk.answer_datagram(&message).map(<[u8]>::to_vec);
                let is_short = judge.desk.answer_short(&message).is_some();
                assert!(is_short || rtype != RecordType::A, "{name}: not by the short way");
                assert_eq!(
                    by_short.as_deref(),
                    judge.desk.answer_datagram_generally(&message),
                    "{name} {rtype}"
                );
                let told = oracle::message::decode(&by_short.expect("an answer")).expect("well formed");
                let is_signing = |rtype: u16| (46..=51).contains(&rtype);
                assert!(
                    told.sections.iter().flatten().all(|record| !is_signing(record.rtype)),
                    "{name} {rtype}"
                );
            }
        }
    }
}
