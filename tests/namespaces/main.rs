//! A cluster of real servers on hosts of its own, with links that can be cut: what loopback cannot show. Needs root
//! and iproute2; elsewhere each test says that it was skipped.
//!
//! Reading order: [`lan`] (the hosts and their links), [`node`] (a member on a host), then what is shown.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../support/apart.rs"]
mod apart;
mod lan;
mod node;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../support/verb.rs"]
mod verb;

use apart::apart;
use lan::{Half, Lan};
use node::{Cluster, GONE, LEASE, Node, THERE, TXT, until};
use oracle::now;
use std::time::Duration;

/// What an encrypted overlay leaves of Ethernet's 1,500.
const MTU: usize = 1_450;

/// A lease that outlasts the time by which one loss is noticed after the other: else it is over before the last loss
/// makes them many.
const SPLIT_LEASE: Duration = Duration::from_secs(8);

/// A text of so many octets in the record: strings of at most 255, each with its length before it.
fn text(octets: usize) -> (String, Vec<u8>) {
    let (mut words, mut data) = (String::new(), Vec::new());
    while data.len() < octets {
        let length = (octets - data.len() - 1).min(255);
        words += &format!("\"{}\" ", "x".repeat(length));
        data.push(length as u8);
        data.extend(std::iter::repeat_n(b'x', length));
    }
    (words, data)
}

/// Records of these sizes, each set on another node, are answered by all, and no packet was cut in pieces for it.
fn all_sizes_cross(lan: &Lan, cluster: &Cluster, sizes: &[usize]) {
    for (turn, size) in sizes.iter().enumerate() {
        let (name, (words, data)) = (format!("t{size}.hive.internal."), text(*size));
        let teller = &cluster.nodes[turn % cluster.nodes.len()];
        let (code, said) = teller.verb(&["set", &name, "60", "TXT", words.trim_end()]);
        assert_eq!(code, Some(0), "{said}");
        let answered = |node: &Node| node.data(&name, TXT).as_ref() == Some(&data);
        assert!(until(|| cluster.nodes.iter().all(answered)), "{size} octets:\n{}", cluster.logs());
    }
    assert_eq!(lan.fragments(), 0, "a packet was fragmented");
}

#[test]
fn what_one_host_is_told_all_answer_and_no_packet_is_fragmented() {
    apart("what_one_host_is_told_all_answer_and_no_packet_is_fragmented", "namespaces", || {
        let lan = Lan::new(5, MTU);
        let cluster = Cluster::start(5, LEASE);
        cluster.nodes[1].set("www.hive.internal.", "A", "192.0.2.1");
        assert!(until(|| cluster.nodes.iter().all(|node| node.told("www.hive.internal.") == THERE)));
        let (code, said) = cluster.nodes[3].verb(&["unset", "www.hive.internal."]);
        assert_eq!(code, Some(0), "{said}");
        assert!(until(|| cluster.nodes.iter().all(|node| node.told("www.hive.internal.") == GONE)));
        // From well below the largest datagram to what only a stream takes.
        all_sizes_cross(
            &lan,
            &cluster,
            &[1_000, 1_200, 1_250, 1_275, 1_300, 1_325, 1_350, 1_400, 1_475, 4_000, 60_000],
        );
    });
}

/// A datagram of 1,350 octets leaves no host here: the kernel says EMSGSIZE, and from then on none is larger than 1,200.
#[test]
fn where_the_largest_datagram_does_not_fit_smaller_ones_carry_all() {
    apart("where_the_largest_datagram_does_not_fit_smaller_ones_carry_all", "namespaces", || {
        let lan = Lan::new(5, 1_300);
        let cluster = Cluster::start(5, LEASE);
        all_sizes_cross(&lan, &cluster, &[1_150, 1_200, 1_225, 1_250, 1_275, 1_300, 2_000]);
        // Many at once fill whatever a datagram may have.
        for n in 0..40 {
            cluster.nodes[n % 5].set(&format!("m{n}.hive.internal."), "TXT", &text(120).0);
        }
        let has = |node: &Node, n: usize| node.data(&format!("m{n}.hive.internal."), TXT).is_some();
        assert!(
            until(|| cluster.nodes.iter().all(|node| (0..40).all(|n| has(node, n)))),
            "{}",
            cluster.logs()
        );
        assert_eq!(lan.fragments(), 0, "a packet was fragmented");
    });
}

#[test]
fn a_host_whose_link_is_cut_is_answered_for_until_its_lease_is_over_and_again_after_the_heal() {
    apart(
        "a_host_whose_link_is_cut_is_answered_for_until_its_lease_is_over_and_again_after_the_heal",
        "namespaces",
        || {
            let lan = Lan::new(5, MTU);
            let cluster = Cluster::start(5, LEASE);
            let (lost, others) = cluster.nodes.split_last().expect("five");
            lan.cut(4);
            let cut = now();
            // Whatever the detection takes, the lease counts from then on: nobody may stop answering before it is over.
            while now().duration_since(cut) < LEASE {
                assert!(others.iter().all(|node| cluster.knows_all(node)), "{}", cluster.logs());
            }
            let gone = |node: &Node| node.told(&lost.name()) == GONE;
            assert!(until(|| others.iter().all(gone)), "{}", cluster.logs());
            others[0].set("there.hive.internal.", "A", "192.0.2.1");
            // To the lost one all others seem lost: more likely it is itself, and it goes on answering for them.
            lost.set("here.hive.internal.", "A", "192.0.2.2");
            assert!(cluster.knows_all(lost), "{}", lost.log());
            lan.heal(4);
            cluster.all_know_all();
            for name in ["here.hive.internal.", "there.hive.internal."] {
                assert!(
                    until(|| cluster.nodes.iter().all(|node| node.told(name) == THERE)),
                    "{}",
                    cluster.logs()
                );
            }
        },
    );
}

#[test]
fn after_a_split_in_halves_all_agree_again() {
    apart("after_a_split_in_halves_all_agree_again", "namespaces", || {
        let lan = Lan::new(5, MTU);
        let cluster = Cluster::start(5, SPLIT_LEASE);
        let (left, right) = cluster.nodes.split_at(3);
        for host in [3, 4] {
            lan.move_to(host, Half::Right);
        }
        // Two of five are lost to the left: their leases end. To the right it is three of five, which freezes expiry.
        let gone = |node: &Node| right.iter().all(|lost| node.told(&lost.name()) == GONE);
        assert!(until(|| left.iter().all(gone)), "{}", cluster.logs());
        let frozen = |node: &Node| node.counts("hivedns_owner_expiry_frozen 1");
        assert!(until(|| right.iter().all(frozen)), "{}", cluster.logs());
        assert!(right.iter().all(|node| cluster.knows_all(node)), "{}", cluster.logs());
        // Each half is told something of its own, and both something of one name.
        left[0].set("left.hive.internal.", "A", "192.0.2.1");
        right[0].set("right.hive.internal.", "A", "192.0.2.2");
        left[1].set("both.hive.internal.", "TXT", "left");
        right[1].set("both.hive.internal.", "TXT", "right");
        let kept = now();
        while now().duration_since(kept) < SPLIT_LEASE {
            assert!(right.iter().all(|node| cluster.knows_all(node)), "{}", cluster.logs());
        }
        for host in [3, 4] {
            lan.move_to(host, Half::Left);
        }
        cluster.all_know_all();
        let thawed = |node: &Node| node.counts("hivedns_owner_expiry_frozen 0");
        assert!(until(|| cluster.nodes.iter().all(thawed)), "{}", cluster.logs());
        for name in ["left.hive.internal.", "right.hive.internal."] {
            assert!(
                until(|| cluster.nodes.iter().all(|node| node.told(name) == THERE)),
                "{}",
                cluster.logs()
            );
        }
        let both = |node: &Node| node.data("both.hive.internal.", TXT);
        let agree =
            || both(&left[0]).is_some() && cluster.nodes.iter().all(|node| both(node) == both(&left[0]));
        assert!(until(agree), "{}", cluster.logs());
        let all_alive = |node: &Node| node.verb(&["members"]).1.matches(" alive ").count() == 5;
        assert!(until(|| cluster.nodes.iter().all(all_alive)), "{}", cluster.logs());
    });
}

#[test]
fn neither_a_restart_nor_a_crash_that_is_soon_over_changes_an_answer() {
    apart("neither_a_restart_nor_a_crash_that_is_soon_over_changes_an_answer", "namespaces", || {
        let _lan = Lan::new(5, MTU);
        let mut cluster = Cluster::start(5, LEASE);
        cluster.nodes[2].set("www.hive.internal.", "A", "192.0.2.1");
        assert!(until(|| cluster.nodes.iter().all(|node| node.told("www.hive.internal.") == THERE)));
        let same = |cluster: &Cluster| {
            for node in [0, 1, 3, 4].map(|n| &cluster.nodes[n]) {
                assert!(cluster.knows_all(node), "{}", cluster.logs());
                assert_eq!(node.told("www.hive.internal."), THERE, "{}", cluster.logs());
            }
        };
        for crashes in [false, true] {
            let node = &mut cluster.nodes[2];
            if crashes {
                node.kill()
            } else {
                node.stop()
            }
            let down = now();
            while now().duration_since(down) < Duration::from_secs(1) {
                same(&cluster);
            }
            cluster.nodes[2].start();
            assert!(until(|| {
                same(&cluster);
                cluster.knows_all(&cluster.nodes[2]) && cluster.nodes[2].told("www.hive.internal.") == THERE
            }));
        }
        cluster.all_know_all();
    });
}

/// Each of two hears nothing of the other; all others hear both. They must not talk each other down.
#[test]
fn two_that_others_reach_are_not_lost_because_they_do_not_reach_each_other() {
    apart("two_that_others_reach_are_not_lost_because_they_do_not_reach_each_other", "namespaces", || {
        let lan = Lan::new(5, MTU);
        let cluster = Cluster::start(5, LEASE);
        lan.blackhole(1, 2);
        lan.blackhole(2, 1);
        let cut = now();
        // Longer than any suspicion lasts that somebody confirms.
        while now().duration_since(cut) < Duration::from_secs(12) {
            assert!(cluster.nodes.iter().all(|node| cluster.knows_all(node)), "{}", cluster.logs());
        }
        cluster.nodes[1].set("www.hive.internal.", "A", "192.0.2.1");
        assert!(until(|| cluster.nodes[2].told("www.hive.internal.") == THERE), "{}", cluster.logs());
        assert!(!cluster.logs().contains("a member is lost"), "{}", cluster.logs());
        lan.clear(1, 2);
        lan.clear(2, 1);
        cluster.all_know_all();
    });
}
