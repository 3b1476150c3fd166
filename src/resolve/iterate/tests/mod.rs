//! Scenarios: each rule, and each attack by its name.

mod play;
mod world;

use crate::base::time::Moment;
use crate::resolve::iterate::{Outcome, Purse};
use crate::resolve::question::Wants;
use crate::wire::rtype::RecordType;
use play::{Play, ROOT, settings};
use proptest::prelude::*;
use std::fmt::Write;
use std::time::Duration;
use world::World;

macro_rules! scenarios {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            play::play(stringify!($name), include_str!(concat!("scenarios/", stringify!($name), ".txt")));
        }
    )*};
}

scenarios! {
    a_dead_zone_does_not_hold_up_another
    a_lame_server_is_skipped_and_remembered
    a_server_that_comes_back_is_noticed
    a_server_that_does_not_repeat_the_case_is_asked_on_a_stream_once
    a_server_without_edns_is_asked_without
    a_header_alone_tells_that_a_query_was_not_understood
    a_type_that_a_server_does_not_know_says_nothing_of_edns
    a_type_that_is_refused_leaves_the_others
    a_server_that_cannot_be_reached_costs_no_time
    a_truncated_answer_is_asked_for_on_a_stream
    aliases_lead_across_zones
    a_zone_that_moved_is_found_again
    an_alias_of_a_name_elsewhere_is_the_end
    always_tc
    camp
    ds_is_asked_of_the_zone_above
    endless_cname
    failures_of_one_name_leave_the_others
    failures_cost_few_packets_however_they_come
    ghost_domain
    glue_of_no_use_is_looked_for_at_its_owner
    glue_of_the_other_family_is_looked_for_at_its_owner
    glue_to_loopback
    mismatched_replies
    labyrinth
    many_below_an_unknown_cut_have_their_turn
    missing_glue_is_looked_for
    nrdelegation
    nxns
    servers_are_asked_over_ipv6
    the_other_family_is_looked_for_where_one_has_no_address
    servfail
    short_names_that_are_answered_with_nonsense_are_followed_by_the_whole
    short_names_that_are_dropped_are_followed_by_the_whole
    silent
    that_there_is_no_cut_is_remembered
    the_first_walk_takes_five_packets_and_the_second_one
    the_nearest_server_is_asked_most
    the_next_server_is_asked_before_the_first_is_given_up
    the_root_s_servers_are_learned
    tsuname
    what_never_leaves_costs_nothing
    what_nobody_asked_for_is_left
}

fn world(text: &str) -> World {
    let (mut world, mut at) = (World::default(), Vec::new());
    text.lines().for_each(|line| assert!(world.take(&mut at, line), "{line}"));
    world
}

#[test]
fn a_chain_of_120_delegations_takes_a_packet_for_each() {
    let zone = |depth: usize| "a.".repeat(depth - 1) + "t.";
    let mut text = "@ 198.51.100.1\nzone .\n. 60 NS a.root.\na.root. 60 A 198.51.100.1\n".to_owned();
    for depth in 1..=120 {
        let zone = zone(depth);
        writeln!(
            text,
            "{zone} 60 NS ns.{zone}\nns.{zone} 60 A 10.0.{depth}.1\n@ 10.0.{depth}.1\nzone {zone}"
        )
        .unwrap();
    }
    writeln!(text, "{} 60 A 192.0.2.1", zone(120)).unwrap();
    let mut play = Play::new(settings(&[ROOT]), world(&text), 1);
    let done = play.ask(&format!("{} A", zone(120)));
    assert!(
        matches!(&done.outcome, Outcome::Found { answer, zones, .. } if answer.len() == 1 && zones.len() == 121)
    );
    // Priming, the root, and each zone once.
    assert_eq!(play.total(), 122);
    play.ask(&format!("x.{} A", zone(119)));
    assert_eq!(play.total(), 123);
}

#[test]
fn equal_questions_are_asked_once() {
    let mut play = Play::new(settings(&[ROOT]), world("with base"), 1);
    (0..100).for_each(|_| assert!(play.start("www.good.test. A") > 0));
    play.wait(Duration::from_secs(1));
    assert_eq!((play.done.len(), play.total()), (100, 4));
}

/// As whoever validates asks.
const SIGNED: Wants = Wants { dnssec_ok: true, checking_disabled: false };

/// Zones of a silent server each, and `evil.test.`, whose names lead there.
const COSTLY: &str = "with base
@ 198.51.100.10
zone test.
evil.test. 3600 NS ns.evil.test.
ns.evil.test. 3600 A 192.0.2.66
repeat 1-9 d$.test. 3600 NS ns.d$.test.
repeat 1-9 ns.d$.test. 3600 A 10.1.0.$
@ 198.51.100.11
zone example.
repeat 1-9 d$.example. 3600 NS ns.d$.example.
repeat 1-9 ns.d$.example. 3600 A 10.2.0.$
@ 192.0.2.66
zone evil.test.
www.evil.test. 60 A 192.0.2.67";

#[test]
fn what_an_answer_and_its_proof_cost_is_counted_together() {
    let mut play = Play::new(settings(&[ROOT]), world(COSTLY), 1);
    play.ask("www.good.test. A");
    let before = play.total();
    let mut done = play.ask("www.evil.test. A");
    for number in 2..=19 {
        let asked = format!("x.d{}.{} A", number / 2, ["test.", "example."][number % 2]);
        let ticket = play.start_with(&asked, SIGNED, done.purse);
        done = play.end(&asked, ticket);
    }
    assert_eq!(play.total() - before, 50);
    assert!(matches!(&done.outcome, Outcome::Failed { is_spent: true, .. }), "{:?}", done.outcome);
    // A question of its own can pay, and asks at once: whoever could not has not failed for others.
    let before = play.total();
    assert!(matches!(&play.ask("x.d9.example. A").outcome, Outcome::Failed { is_spent: false, .. }));
    assert!(play.total() > before);
}

#[test]
fn a_ds_that_came_with_the_referral_is_asked_for_only_if_it_is_wanted_again_or_later() {
    let ds = "good.test. 3600 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000";
    let signature = "good.test. 3600 RRSIG DS 13 2 3600 20300101000000 20200101000000 1 test. AAAA";
    let text = format!("with base\n@ 198.51.100.10\nzone test.\n{ds}\n{signature}");
    for (seconds, packets) in [(9, [0, 1]), (11, [1, 1])] {
        let mut play = Play::new(settings(&[ROOT]), world(&text), 1);
        let ticket = play.start_with("www.good.test. A", SIGNED, Purse::default());
        let mut purse = play.end("www.good.test. A", ticket).purse;
        play.wait(Duration::from_secs(seconds));
        for packets in packets {
            let before = play.total();
            let ticket = play.start_with("good.test. DS", SIGNED, purse);
            let done = play.end("good.test. DS", ticket);
            let Outcome::Found { answer, .. } = &done.outcome else { panic!("{:?}", done.outcome) };
            let ttl = if packets == 0 { 3_600 - seconds } else { 3_600 };
            let is_ds = answer[0].rtype == RecordType::DS;
            assert_eq!((is_ds, u64::from(answer[0].ttl), play.total() - before), (true, ttl, packets));
            purse = done.purse;
        }
    }
    // What a client asks for itself is the owner's word.
    let mut play = Play::new(settings(&[ROOT]), world(&text), 1);
    let ticket = play.start_with("www.good.test. A", SIGNED, Purse::default());
    play.end("www.good.test. A", ticket);
    let before = play.total();
    let ticket = play.start_with("good.test. DS", SIGNED, Purse::default());
    play.end("good.test. DS", ticket);
    assert_eq!(play.total() - before, 1);
}

#[test]
fn whoever_waits_for_one_that_cannot_pay_pays_itself() {
    let mut play = Play::new(settings(&[ROOT]), world(COSTLY), 1);
    // One packet is left: it goes to the root.
    let mut purse = Purse::default().hand_on();
    loop {
        let mut more = purse.clone();
        more.send(&[0][..].into(), false, [192, 0, 2, 1].into());
        if !more.has_packet() {
            break;
        }
        purse = more;
    }
    let asked = "www.good.test. A";
    let poor = play.start_with(asked, Wants::default(), purse);
    let rich: Vec<u64> = (0..3).map(|_| play.start(asked)).collect();
    let poor = play.end(asked, poor);
    assert!(matches!(&poor.outcome, Outcome::Failed { is_spent: true, .. }), "{:?}", poor.outcome);
    for ticket in rich {
        assert!(matches!(&play.end(asked, ticket).outcome, Outcome::Found { .. }));
    }
}

#[test]
fn exchanges_with_a_dead_zone_are_bounded_and_so_is_the_time_of_those_who_wait() {
    let text = "with base\n@ 198.51.100.10\nzone test.\ndead.test. 60 NS ns.dead.test.\nns.dead.test. 60 A 192.0.2.70";
    let mut play = Play::new(settings(&[ROOT]), world(text), 1);
    play.ask("www.good.test. A");
    let began = play.now;
    (0..400).for_each(|number| assert!(play.start(&format!("w{number}.dead.test. A")) > 0));
    play.wait(Duration::from_secs(11));
    println!("{} packets, {} exchanges at once", play.total() - 4, play.out_max);
    // One referral for all, and three tries.
    assert!(play.out_max <= 64 && play.total() - 4 <= 1 + 3 * 64, "{}", play.total());
    assert_eq!(play.done.len(), 400);
    assert!(play.done.values().all(|done| done.at - began <= Duration::from_secs(10)));
}

/// One client asks for 600 names of a zone, and another for the last of them and for one of its own: how many of the first
/// are told at once that there is no room, and what came of the others.
fn crowd(text: &str, zone: &str) -> (usize, [Outcome; 2]) {
    let mut play = Play::new(settings(&[ROOT]), world(text), 1);
    play.ask("www.good.test. A");
    let [crowd, other] = [1, 2].map(|last| Purse::of(Some([192, 0, 2, last].into())));
    let mut ask = |number: u32, purse: &Purse| {
        play.start_with(&format!("w{number}.{zone} A"), Wants::default(), purse.clone())
    };
    let crowd: Vec<u64> = (0..600).map(|number| ask(number, &crowd)).collect();
    let others = [599, 600].map(|number| ask(number, &other));
    // The referral comes, and no answer of the zone's.
    play.wait(Duration::from_millis(300));
    let is_busy = |ticket: &&u64| {
        let outcome = play.done.get(ticket).map(|done| &done.outcome);
        matches!(outcome, Some(Outcome::Failed { error: super::ExtendedError::NOT_READY, .. }))
    };
    let busy = crowd.iter().filter(is_busy).count();
    play.wait(Duration::from_secs(11));
    assert!(play.done.values().all(|done| done.at - Moment::START <= Duration::from_secs(11)));
    assert_eq!((play.done.len(), play.machine.jobs(), play.out), (602, 0, 0));
    (busy, others.map(|ticket| play.done.remove(&ticket).unwrap().outcome))
}

#[test]
fn one_client_leaves_others_places_at_a_zone_that_is_slow() {
    let text = "with base\n@ 198.51.100.10\nzone test.\nslow.test. 60 NS ns.slow.test.\nns.slow.test. 60 A 192.0.2.70\n\
        @ 192.0.2.70 delay=400\nzone slow.test.\nrepeat 0-600 w$.slow.test. 60 A 192.0.2.85";
    let (busy, others) = crowd(text, "slow.test.");
    // 64 ask, and half of those wait who may wait at all.
    assert_eq!(busy, 600 - 64 - 256);
    assert!(others.iter().all(|other| matches!(other, Outcome::Found { .. })), "{others:?}");
}

#[test]
fn one_client_leaves_others_places_where_an_address_is_waited_for() {
    let text = "with base\n@ 198.51.100.10\nzone test.\nslow.test. 60 NS ns.far.example.\n\
        @ 198.51.100.11\nzone example.\nfar.example. 60 NS ns1.far.example.\nns1.far.example. 60 A 192.0.2.70\n\
        @ 192.0.2.70 delay=400\nzone far.example.\nns.far.example. 60 A 192.0.2.71\n\
        @ 192.0.2.71\nzone slow.test.\nrepeat 0-600 w$.slow.test. 60 A 192.0.2.85";
    let (busy, others) = crowd(text, "slow.test.");
    assert!(busy >= 600 - 64 - 256, "{busy}");
    assert!(others.iter().all(|other| matches!(other, Outcome::Found { .. })), "{others:?}");
}

#[test]
fn what_is_remembered_stays_within_its_octets() {
    let mut text = "with base\n@ 192.0.2.10\nzone good.test.".to_owned();
    for number in 0..300 {
        let zone = format!("z{number}.good.test.");
        write!(text, "\n{zone} 600 NS ns.{zone}\nns.{zone} 600 A 10.1.{}.{}", number / 200, number % 200)
            .unwrap();
    }
    let small = super::Settings { cache_octets_max: 20_000, ..settings(&[ROOT]) };
    let mut play = Play::new(small, world(&text), 1);
    for number in 0..300 {
        play.start(&format!("www.z{number}.good.test. A"));
        play.wait(Duration::from_millis(50));
        assert!(play.machine.cache_octets() <= 20_000);
    }
    play.wait(Duration::from_secs(11));
    assert!(play.machine.cache_octets() > 5_000);
    play.machine.flush();
    assert_eq!(play.machine.cache_octets(), 0);
}

/// Zones with servers, aliases and manners drawn by lot.
fn any_world(rng: &mut fastrand::Rng) -> String {
    let manners = "silent servfail refused always-tc tc upward not-owner no-edns wrong-case one-step extra mismatched \
        ent-nxdomain ent-servfail no-stream delay=700 unreachable no-way refuses-streams garbled labyrinth";
    // One in six behaves.
    let manners: Vec<&str> = manners.split(' ').chain([""; 4]).collect();
    let mut text = "with base\n@ 198.51.100.10\nzone test.".to_owned();
    let zones = 6;
    let servers = |rng: &mut fastrand::Rng, zone: &str, text: &mut String| {
        for _ in 0..rng.usize(1..6) {
            let other = rng.usize(0..zones);
            match rng.u8(0..4) {
                0 => write!(text, "\n{zone} 60 NS n{}.z{other}.test.", rng.u8(0..9)),
                1 => write!(text, "\n{zone} 60 NS n{}.sub.z{other}.test.", rng.u8(0..9)),
                _ => {
                    let host = rng.u8(1..12);
                    write!(text, "\n{zone} 60 NS h{host}.{zone}\nh{host}.{zone} 60 A 192.0.2.{}", 100 + host)
                }
            }
            .unwrap();
        }
    };
    (0..zones).for_each(|zone| servers(rng, &format!("z{zone}.test."), &mut text));
    for host in 1..12 {
        let two = [*rng.choice(&manners).unwrap(), *rng.choice(&manners).unwrap()].join(" ");
        write!(text, "\n@ 192.0.2.{} {}", 100 + host, two.trim()).unwrap();
        for zone in 0..zones {
            write!(text, "\nzone z{zone}.test.").unwrap();
            if rng.bool() {
                servers(rng, &format!("sub.z{zone}.test."), &mut text);
            }
            for name in 0..9 {
                let (to, other) = (rng.u8(0..9), rng.usize(0..zones));
                match rng.u8(0..4) {
                    0 => write!(text, "\nn{name}.z{zone}.test. 60 CNAME n{to}.z{other}.test."),
                    1 => write!(text, "\nn{name}.z{zone}.test. 60 CNAME n{to}.a.b.c.sub.z{other}.test."),
                    2 => write!(text, "\nn{name}.z{zone}.test. 60 A 192.0.2.{}", 101 + rng.u8(0..11)),
                    _ => Ok(()),
                }
                .unwrap();
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn whatever_servers_do_a_question_ends_in_time_and_within_its_packets(seed in any::<u64>()) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut play = Play::new(settings(&[ROOT]), world(&any_world(&mut rng)), seed);
        play.ask("www.good.test. A");
        for _ in 0..8 {
            let (before, began) = (play.packets.clone(), play.now);
            let prefix = ["", "x.", "a.b.c.", "sub.", "n1.sub."][rng.usize(0..5)];
            let name = format!("{prefix}n{}.z{}.test. A", rng.u8(0..9), rng.u8(0..6));
            let done = play.ask(&name);
            prop_assert!(done.at - began <= Duration::from_secs(10), "{name} took {:?}", done.at - began);
            let mut sum = 0;
            for (address, sent) in &play.packets {
                let sent = sent - before.get(address).copied().unwrap_or_default();
                // Beside the ten there are the referrals of the question's own walk.
                prop_assert!(sent <= 14, "{sent} to {address} for {name}");
                sum += sent;
            }
            prop_assert!(sum <= 50, "{sum} for {name}");
            play.wait(Duration::from_millis(rng.u64(0..20_000)));
        }
        // Many at once.
        for number in 0..200 {
            play.start(&format!("n{}.z{}.test. {}", number % 9, number % 6, ["A", "AAAA", "MX", "DS"][number % 4]));
        }
        let out = play.now + Duration::from_secs(10);
        play.wait(Duration::from_secs(10));
        prop_assert!(play.done.values().all(|done| done.at <= out));
        prop_assert_eq!((play.machine.jobs(), play.out), (0, 0));
        prop_assert!(play.now > Moment::START && play.machine.cache_octets() <= 1 << 20);
    }
}
