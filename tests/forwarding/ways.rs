//! Suffixes that are asked for in different ways: none tells anything of another's names, wherever an alias leads.

use crate::oracle::message::Message;
use crate::site::{Plan, Site, zone};
use crate::upstream::{Said, Upstream};
use crate::{A, CNAME, NXDOMAIN, REFUSED, addresses, ask, wire};

/// A record, as an upstream says it.
type Told = (String, u16, u32, Vec<u8>);

fn alias(owner: &str, target: &str, ttl: u32) -> Told {
    (owner.to_owned(), CNAME, ttl, wire(target))
}

fn address(owner: &str, last: u8) -> Told {
    (owner.to_owned(), A, 300, vec![192, 0, 2, last])
}

/// One server for all names, and one for those of `corp.`; `more` stands in the file.
fn split(general: &Upstream, corp: &Upstream, more: &str) -> Site {
    let zones = [("own.", zone(1, "www A 192.0.2.5\nout CNAME app.corp.\n"))];
    let forward = format!(
        "\".\" = [\"{}\"]\n\"corp.\" = [\"{}\"]\n\"secret.\" = [\"refuse\"]",
        general.address, corp.address
    );
    Site::start(&Plan { forward: &forward, zones: &zones, more, ..Plan::default() })
}

/// Code, records of the answer, addresses.
fn told(reply: &Message) -> (u16, usize, Vec<u8>) {
    (reply.rcode(), reply.sections[0].len(), addresses(reply))
}

#[test]
fn what_one_upstream_says_of_the_names_of_another_is_not_told() {
    let (general, corp) = (Upstream::start(), Upstream::start());
    corp.say_address("app.corp.", 300, 7);
    general.say_address("app.corp.", 300, 66);
    let site = split(&general, &corp, "");
    let lie = vec![alias("www.example.", "app.corp.", 300), address("app.corp.", 66)];
    general.say("www.example.", A, Said::Records(lie));
    let denial = vec![alias("gone.example.", "app.corp.", 300)];
    general.say("gone.example.", A, Said::Denied(denial.clone(), NXDOMAIN, 300));
    general.say("half.example.", A, Said::Records(vec![alias("half.example.", "app.corp.", 300)]));
    // From the server of corp. back to all others, and on into the zone of ours.
    corp.say(
        "out.corp.",
        A,
        Said::Records(vec![alias("out.corp.", "x.example.", 300), address("x.example.", 66)]),
    );
    let ours = vec![alias("x.example.", "www.own.", 300), address("www.own.", 66)];
    general.say("x.example.", A, Said::Records(ours));
    for (name, expected) in [
        ("www.example.", (0, 2, vec![7])),
        ("gone.example.", (0, 2, vec![7])),
        ("half.example.", (0, 2, vec![7])),
        ("out.corp.", (0, 3, vec![5])),
        ("out.own.", (0, 2, vec![7])),
    ] {
        // The second time from memory.
        for _ in 0..2 {
            assert_eq!(told(&ask(&site, name, A)), expected, "{name}");
        }
    }
    assert_eq!(corp.heard("app.corp.").len(), 1, "all of them had it from one question");
    assert!(general.heard("app.corp.").is_empty() && general.heard("www.own.").is_empty());
    // That there is none is its own server's to say, too.
    let none = vec![alias("none.example.", "none.corp.", 300), address("none.corp.", 66)];
    general.say("none.example.", A, Said::Records(none));
    assert_eq!(told(&ask(&site, "none.example.", A)), (NXDOMAIN, 1, vec![]));
    // Nobody is asked for what is refused, nor told what others say of it.
    let hidden = vec![alias("hidden.example.", "a.secret.", 300), address("a.secret.", 66)];
    general.say("hidden.example.", A, Said::Records(hidden));
    assert_eq!(told(&ask(&site, "hidden.example.", A)), (REFUSED, 1, vec![]));
}

#[test]
fn a_chain_that_nobody_may_keep_is_told_all_the_same() {
    let (general, corp) = (Upstream::start(), Upstream::start());
    let kept = "[cache]\nsize = \"64MiB\"\n";
    let not_kept = "[cache]\nsize = \"0KiB\"\n";
    for (more, ttl) in [(kept, 0), (not_kept, 300)] {
        let site = split(&general, &corp, more);
        general.say("www.example.", A, Said::Records(vec![alias("www.example.", "app.corp.", ttl)]));
        corp.say("app.corp.", A, Said::Records(vec![alias("app.corp.", "b.example.", ttl)]));
        general.say(
            "b.example.",
            A,
            Said::Records(vec![("b.example.".to_owned(), A, ttl, vec![192, 0, 2, 9])]),
        );
        let before = general.heard("www.example.").len();
        assert_eq!(told(&ask(&site, "www.example.", A)), (0, 3, vec![9]), "{more}");
        assert_eq!(general.heard("www.example.").len() - before, 1, "{more}");
    }
}
