//! What kinds of answers there are, and which verdict each gets.

use super::signer::Signer;
use super::world::World;
use super::zone::{Zone, name};
use super::{Denies, NSEC3, OPT_OUT, world};
use crate::resolve::validate::{Asked, Response};
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;

const A: RecordType = RecordType::A;

/// Each way to prove what does not exist.
const WAYS: [Denies; 3] = [Denies::Nsec, NSEC3, OPT_OUT];

/// The verdict, after `change` was made to the final answer.
fn tampered(world: &mut World, owner: &str, rtype: RecordType, change: impl FnOnce(&mut Response)) -> String {
    let asked = Asked { name: name(owner), rtype };
    let mut response = world.resolve(&asked);
    change(&mut response);
    world.judge_response(asked, &response).text()
}

#[test]
fn an_answer_is_secure_along_its_chain_of_trust() {
    for denies in WAYS {
        let mut world = world(denies);
        assert_eq!(world.text("erdos.maths.groucho.edu.", A), "secure", "{denies:?}");
        assert_eq!(
            world.fetched,
            ["groucho.edu. DS", "edu. DS", ". DNSKEY", "edu. DNSKEY", "groucho.edu. DNSKEY"],
        );
        // The second time all is known.
        let found = world.judge("ERDOS.maths.groucho.EDU.", A);
        assert_eq!((found.text().as_str(), found.spent.fetches, found.spent.checks), ("secure", 0, 1));
    }
}

#[test]
fn aliases_are_judged_each_in_its_own_zone() {
    for denies in WAYS {
        let mut world = world(denies);
        assert_eq!(world.text("away.groucho.edu.", A), "secure");
        assert_eq!(world.text("unsafe.groucho.edu.", A), "insecure");
        assert_eq!(world.text("away.groucho.edu.", RecordType::CNAME), "secure");
        let strip = |response: &mut Response| {
            response.answer.retain(|r| !(r.rtype == RecordType::RRSIG && r.name == name("www.example.com.")));
        };
        assert_eq!(tampered(&mut world, "away.groucho.edu.", A, strip), "bogus 10");
    }
}

/// An answer that ends with an alias on purpose proves that alias, and nothing is asked about its target.
#[test]
fn what_ends_with_an_alias_is_judged_up_to_there_only_if_its_owner_says_so() {
    for denies in WAYS {
        let open = |is_open: bool| {
            move |response: &mut Response| {
                response.answer.retain(|record| record.name == name("away.groucho.edu."));
                response.authority.clear();
                response.is_open = is_open;
            }
        };
        let mut world = world(denies);
        assert_eq!(tampered(&mut world, "away.groucho.edu.", A, open(true)), "secure", "{denies:?}");
        assert!(world.fetched.iter().all(|fetched| !fetched.contains("com.")), "{:?}", world.fetched);
        assert_eq!(tampered(&mut world, "away.groucho.edu.", A, open(false)), "bogus 12", "{denies:?}");
        // What is no alias at all is denied as ever, and the alias itself must be signed.
        let nothing = |response: &mut Response| {
            response.answer.clear();
            response.authority.clear();
            response.is_open = true;
        };
        assert!(tampered(&mut world, "away.groucho.edu.", A, nothing).starts_with("bogus"));
        let unsigned = |response: &mut Response| {
            open(true)(response);
            response.answer.retain(|record| record.rtype != RecordType::RRSIG);
        };
        assert_eq!(tampered(&mut world, "away.groucho.edu.", A, unsigned), "bogus 10");
    }
}

#[test]
fn an_alias_of_a_dname_has_no_signature_and_must_be_the_one_it_makes() {
    let mut world = world(Denies::Nsec);
    assert_eq!(world.text("erdos.old.groucho.edu.", A), "secure");
    let turn = |response: &mut Response| {
        let alias = response.answer.iter_mut().find(|r| r.rtype == RecordType::CNAME).unwrap();
        alias.rdata = name("www.plain.groucho.edu.").as_wire().to_vec();
    };
    assert_eq!(tampered(&mut world, "erdos.old.groucho.edu.", A, turn), "bogus 6");
    // The same where the alias is what was asked for.
    assert_eq!(world.text("erdos.old.groucho.edu.", RecordType::CNAME), "secure");
    assert_eq!(tampered(&mut world, "erdos.old.groucho.edu.", RecordType::CNAME, turn), "bogus 6");
}

#[test]
fn what_does_not_exist_is_proven() {
    for denies in WAYS {
        let mut world = world(denies);
        let opt_out = if denies == OPT_OUT { "insecure" } else { "secure" };
        for (owner, rtype, verdict) in [
            // No such type at the name; at an empty non-terminal; at a wildcard.
            ("erdos.maths.groucho.edu.", RecordType::AAAA, "secure"),
            ("maths.groucho.edu.", A, "secure"),
            ("x.wild.groucho.edu.", RecordType::AAAA, opt_out),
            // No such name, one label or more below the closest encloser.
            ("missing.maths.groucho.edu.", A, opt_out),
            ("really.quite.missing.maths.groucho.edu.", A, opt_out),
            ("nowhere.groucho.edu.", A, opt_out),
            // No such zone; a DS that is not there, at a cut and at no cut.
            ("missing.", A, "secure"),
            ("erdos.maths.groucho.edu.", RecordType::DS, "secure"),
            ("plain.groucho.edu.", RecordType::DS, opt_out),
        ] {
            assert_eq!(world.text(owner, rtype), verdict, "{owner} {rtype} {denies:?}");
        }
    }
}

#[test]
fn what_an_alias_into_an_unsigned_zone_finds_absent_is_insecure() {
    for denies in WAYS {
        let mut zones = world(denies).zones;
        let groucho = zones.remove(2);
        let groucho = groucho
            .alias("*.ways.groucho.edu.", "www.plain.groucho.edu.")
            .alias("*.lost.groucho.edu.", "missing.plain.groucho.edu.")
            .alias("*.here.groucho.edu.", "missing.maths.groucho.edu.");
        zones.insert(2, groucho);
        let mut world = World::new(zones);
        // The wildcard's own proof, of a zone above the name, is there; and so may be that of the cut (RFC 4035 §3.1.4).
        assert_eq!(world.text("x.ways.groucho.edu.", RecordType::AAAA), "insecure", "{denies:?}");
        assert_eq!(world.text("x.lost.groucho.edu.", A), "insecure", "{denies:?}");
        let cut = world.resolve(&Asked { name: name("plain.groucho.edu."), rtype: RecordType::DS });
        let told = tampered(&mut world, "unsafe.groucho.edu.", RecordType::AAAA, |response| {
            response.authority.extend(cut.authority);
        });
        assert_eq!(told, "insecure", "{denies:?}");
        // Where the name's own zone signs, that proves nothing.
        let apex = world.resolve(&Asked { name: name("x.here.groucho.edu."), rtype: RecordType::CNAME });
        let told = tampered(&mut world, "x.here.groucho.edu.", A, |response| {
            response.authority.clone_from(&apex.authority);
        });
        assert!(denies == OPT_OUT || told == "bogus 6", "{denies:?}: {told}");
    }
}

#[test]
fn a_code_that_the_answer_does_not_bear_out_is_bogus() {
    let mut world = world(Denies::Nsec);
    for rcode in [Rcode::NxDomain, Rcode::YxDomain] {
        let told = tampered(&mut world, "erdos.maths.groucho.edu.", A, |response| response.rcode = rcode);
        assert_eq!(told, "bogus 6");
    }
}

#[test]
fn a_wildcard_that_is_an_empty_non_terminal_denies_the_type_and_not_the_name() {
    for denies in WAYS {
        let signer = Signer::ed25519(1);
        let zone = Zone::new("edu.", denies, vec![signer]).address("x.*.hollow.edu.").address("z.edu.");
        let mut world = World::new(vec![zone]);
        let verdict = if denies == OPT_OUT { "insecure" } else { "secure" };
        assert_eq!(world.text("y.hollow.edu.", A), verdict, "{denies:?}");
        let code = |response: &mut Response| response.rcode = Rcode::NxDomain;
        let told = tampered(&mut world, "y.hollow.edu.", A, code);
        assert!(denies == OPT_OUT || told == "bogus 6", "{denies:?}: {told}");
    }
}

#[test]
fn a_denial_without_or_with_half_its_proof_is_bogus() {
    for denies in [Denies::Nsec, NSEC3] {
        let mut world = world(denies);
        let missing = "missing.maths.groucho.edu.";
        let is_denial = |rtype| rtype == RecordType::NSEC || rtype == RecordType::NSEC3;
        let all = |response: &mut Response| response.authority.retain(|r| !is_denial(r.rtype));
        assert_eq!(tampered(&mut world, missing, A, all), "bogus 12");
        let everything = |response: &mut Response| response.authority.clear();
        assert_eq!(tampered(&mut world, missing, A, everything), "bogus 12");
        let signatures =
            |response: &mut Response| response.authority.retain(|r| r.rtype != RecordType::RRSIG);
        assert_eq!(tampered(&mut world, missing, A, signatures), "bogus 10");
        // The other way round: the proof is that of NODATA or of NXDOMAIN, the code the other one.
        let code = |response: &mut Response| response.rcode = Rcode::NoError;
        assert_eq!(tampered(&mut world, missing, A, code), "bogus 6");
        let code = |response: &mut Response| response.rcode = Rcode::NxDomain;
        assert_eq!(tampered(&mut world, "erdos.maths.groucho.edu.", RecordType::AAAA, code), "bogus 6");
        // Each of the records of the proof is needed.
        let asked = Asked { name: name(missing), rtype: A };
        let owners = world.resolve(&asked).authority;
        let owners = owners.iter().filter(|r| is_denial(r.rtype)).map(|r| r.name.clone());
        for owner in owners.collect::<Vec<_>>() {
            let one = |response: &mut Response| response.authority.retain(|r| r.name != owner);
            let verdict = tampered(&mut world, missing, A, one);
            assert!(verdict.starts_with("bogus"), "{owner} {denies:?}: {verdict}");
        }
    }
}

#[test]
fn a_wildcard_needs_the_proof_that_the_name_itself_does_not_exist() {
    for denies in WAYS {
        let mut world = world(denies);
        let verdict = if denies == OPT_OUT { "insecure" } else { "secure" };
        assert_eq!(world.text("a.wild.groucho.edu.", A), verdict);
        assert_eq!(world.text("a.b.wild.groucho.edu.", A), verdict);
        assert_eq!(world.text("*.wild.groucho.edu.", A), "secure");
        let strip = |response: &mut Response| response.authority.clear();
        assert_eq!(tampered(&mut world, "a.wild.groucho.edu.", A, strip), "bogus 6");
        // The wildcard further up does not stand for names below another encloser, whatever proof comes along.
        let wild = world.resolve(&Asked { name: name("any.groucho.edu."), rtype: A });
        let forged = |response: &mut Response| {
            let authority = std::mem::take(&mut response.authority);
            *response = wild;
            response.answer.iter_mut().for_each(|r| r.name = name("missing.maths.groucho.edu."));
            response.authority.extend(authority);
        };
        let verdict = tampered(&mut world, "missing.maths.groucho.edu.", A, forged);
        assert!(verdict.starts_with("bogus"), "{denies:?}: {verdict}");
    }
}

#[test]
fn a_delegation_proven_without_ds_makes_all_below_insecure() {
    for denies in WAYS {
        let mut world = world(denies);
        assert_eq!(world.text("www.plain.groucho.edu.", A), "insecure");
        assert_eq!(world.text("missing.plain.groucho.edu.", A), "insecure");
        assert_eq!(world.text("plain.groucho.edu.", RecordType::SOA), "insecure");
        let before = world.fetched.len();
        assert_eq!(world.text("a.b.c.plain.groucho.edu.", A), "insecure");
        assert_eq!(world.fetched.len(), before, "it is remembered");
    }
}

#[test]
fn what_should_be_signed_and_is_not_is_bogus() {
    for denies in WAYS {
        let mut world = world(denies);
        let strip = |response: &mut Response| response.answer.retain(|r| r.rtype != RecordType::RRSIG);
        assert_eq!(tampered(&mut world, "erdos.maths.groucho.edu.", A, strip), "bogus 10");
        assert!(world.fetched.iter().any(|fetch| fetch == "erdos.maths.groucho.edu. DS"));
        let change = |response: &mut Response| response.answer[0].rdata[3] = 66;
        assert_eq!(tampered(&mut world, "erdos.maths.groucho.edu.", A, change), "bogus 6");
        let more = |response: &mut Response| response.answer.push(response.answer[0].clone());
        assert_eq!(tampered(&mut world, "erdos.maths.groucho.edu.", A, more), "secure", "twice is once");
        let extra = |response: &mut Response| {
            let mut extra = response.answer[0].clone();
            extra.name = name("extra.groucho.edu.");
            response.answer.push(extra);
        };
        assert_ne!(tampered(&mut world, "erdos.maths.groucho.edu.", A, extra), "secure");
    }
}

#[test]
fn a_stripped_ds_does_not_make_a_zone_insecure() {
    for denies in [Denies::Nsec, NSEC3] {
        let mut world = world(denies);
        // Nobody signs anything, and the DS set is gone without proof.
        world.tamper = Box::new(|asked, response| {
            if asked.name.is_at_or_below(&name("groucho.edu.")) {
                response.answer.retain(|r| r.rtype != RecordType::DS && r.rtype != RecordType::RRSIG);
                response.authority.retain(|r| r.rtype != RecordType::RRSIG);
            }
            true
        });
        assert!(world.text("erdos.maths.groucho.edu.", A).starts_with("bogus"));
    }
}

#[test]
fn the_ttl_ends_with_the_signature_and_at_what_was_signed() {
    let mut world = world(Denies::Nsec);
    assert_eq!(world.judge("erdos.maths.groucho.edu.", A).ttl_max, 600);
    world.zones[2].expiration = super::zone::WALL + 90;
    let found = world.judge("erdos.maths.groucho.edu.", A);
    assert_eq!((found.text().as_str(), found.ttl_max), ("secure", 90));
    let long = |response: &mut Response| response.answer.iter_mut().for_each(|r| r.ttl = 80_000);
    assert_eq!(tampered(&mut world, "erdos.maths.groucho.edu.", A, long), "secure", "TTLs are not signed");
}

#[test]
fn signatures_count_in_their_time_only() {
    let mut world = world(Denies::Nsec);
    world.zones[2].expiration = super::zone::WALL - 1;
    assert_eq!(world.text("erdos.maths.groucho.edu.", A), "bogus 7");
    world.zones[2].expiration = super::zone::WALL + 100;
    world.zones[2].inception = super::zone::WALL + 50;
    world.later(11);
    assert_eq!(world.text("erdos.maths.groucho.edu.", A), "bogus 8");
    world.later(60);
    assert_eq!(world.text("erdos.maths.groucho.edu.", A), "secure");
}

#[test]
fn signatures_and_questions_of_all_kinds_are_no_trap() {
    let mut world = world(Denies::Nsec);
    assert_eq!(world.text("erdos.maths.groucho.edu.", RecordType::RRSIG), "insecure");
    let asked = Asked { name: name("groucho.edu."), rtype: RecordType::ANY };
    let mut response = world.resolve(&Asked { name: name("groucho.edu."), rtype: RecordType::SOA });
    response
        .answer
        .extend(world.resolve(&Asked { name: name("groucho.edu."), rtype: RecordType::NS }).answer);
    assert_eq!(world.judge_response(asked.clone(), &response).text(), "secure");
    // That there is nothing at all cannot be proven of a name that has something.
    let nothing = world.resolve(&Asked { name: name("groucho.edu."), rtype: RecordType::TXT });
    assert_eq!(world.judge_response(asked, &nothing).text(), "bogus 6");
}
