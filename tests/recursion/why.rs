//! Each step of a walk, as `hivedns why` tells it.

use crate::verb::{document, verb};
use crate::world::{A, CLIENT, NOERROR, SILENT, STRANGER, World, port_53, until};
use crate::{BY_LOT, PACKETS, apart};
use serde_json::Value;
use std::net::{Ipv4Addr, UdpSocket};

/// The document for an asker, and what its steps about walking tell.
fn why(world: &World, name: &str, from: Ipv4Addr) -> (Value, Vec<String>) {
    let document = document(&world.control(), &["why", name, "A", "--from", &from.to_string()]);
    let steps = document["steps"].as_array().expect("steps").iter();
    let walk = steps.filter(|step| step["about"] == "walk");
    let walk = walk.map(|step| step["found"].as_str().expect("text").to_owned()).collect();
    (document, walk)
}

#[test]
fn why_tells_each_step_of_a_walk_and_the_second_time_that_all_is_in_the_cache() {
    apart("why::why_tells_each_step_of_a_walk_and_the_second_time_that_all_is_in_the_cache", || {
        let world = World::start(|_| {});
        let name = "erdos.maths.groucho.edu.";
        let before = world.asked();
        // Over HTTP nobody is asked: who reads there need not be one who may have names resolved.
        let told = world.resolver.get(&format!("/api/v1/why?name={name}&type=A&from={CLIENT}"));
        assert!(told.contains("nothing: others have to be asked first") && !told.contains("walk"), "{told}");
        // Nor for somebody who may not.
        let (told, walk) = why(&world, name, STRANGER);
        assert_eq!((&told["rcode"], walk.len()), (&"REFUSED".into(), 0), "{told}");
        assert_eq!(world.asked(), before);

        let (told, walk) = why(&world, name, CLIENT);
        assert_eq!(told["rcode"], "NOERROR", "{told}");
        assert_eq!(told["answer"], serde_json::json!(["erdos.maths.groucho.edu. 86400 IN A 10.76.4.17"]));
        let expected = [
            "for erdos.maths.groucho.edu. begins at .",
            "(10.0.0.1) of . for edu. A: a referral to edu., ",
            "(10.0.1.1) of edu. for groucho.edu. A: a referral to groucho.edu., ",
            "of groucho.edu. for maths.groucho.edu. A: ",
            "for erdos.maths.groucho.edu. A: an answer, ",
        ];
        let mut steps = walk.iter();
        for part in expected {
            assert!(steps.any(|step| step.contains(part)), "{part} is not in {walk:#?}");
        }
        let by_lot = walk.len() - expected.len();
        let referral = "for erdos.maths.groucho.edu. A: a referral to maths.groucho.edu., ";
        assert_eq!(by_lot, walk.iter().filter(|step| step.contains(referral)).count(), "{walk:#?}");
        assert!(by_lot as u64 <= BY_LOT, "{walk:#?}");
        assert!(
            walk[1..].iter().all(|step| step.starts_with("asked ") && step.ends_with(" ms")),
            "{walk:#?}"
        );
        // Priming need not be over when the answer is there.
        let first = PACKETS + by_lot as u64;
        assert!(until(|| world.asked() - before >= first), "{}", world.asked() - before);

        // What was found is there for clients, and for whoever asks why.
        let (told, walk) = why(&world, name, CLIENT);
        assert_eq!(
            (&told["rcode"], &walk[..]),
            (&"NOERROR".into(), &["from cache: nobody is asked".to_owned()][..])
        );
        assert_eq!(world.ask(name, A).rcode(), NOERROR);
        assert_eq!(world.asked() - before, first);

        // Of another name only what is not known is asked for; a table tells it, too.
        let table = verb(&world.control(), &["why", "gauss.maths.groucho.edu."]).out;
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("walk")).collect();
        assert_eq!(rows.len(), 2, "{table}");
        assert!(rows[0].ends_with(", known from before") && rows[1].contains(": an answer, "), "{table}");
        assert_eq!(world.asked() - before, first + 1);
    });
}

#[test]
fn why_tells_of_aliases_and_of_servers_that_do_not_help() {
    apart("why::why_tells_of_aliases_and_of_servers_that_do_not_help", || {
        let world = World::start(|_| {});
        let _silent = UdpSocket::bind(port_53(SILENT)).expect("an address of ours");
        let has = |walk: &[String], part: &str| {
            assert!(walk.iter().any(|step| step.contains(part)), "{part} is not in {walk:#?}");
        };
        let (told, walk) = why(&world, "www.freedonia.example.", CLIENT);
        assert_eq!(told["answer"].as_array().expect("records").len(), 3, "{told}");
        has(&walk, "for www.freedonia.example. A: an alias of ");
        for (name, part) in [
            ("www.lame.example.", "A: lame: REFUSED, "),
            ("www.silent.example.", "of silent.example. for www.silent.example. A: timed out, "),
        ] {
            let (told, walk) = why(&world, name, CLIENT);
            assert_eq!(
                (&told["rcode"], &told["answer"]),
                (&"SERVFAIL".into(), &serde_json::json!([])),
                "{told}"
            );
            has(&walk, part);
            assert!(walk.last().is_some_and(|step| step.starts_with("failed: no")), "{walk:#?}");
        }
    });
}
