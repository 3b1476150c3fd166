//! Machines that do not get to know the cluster as they should.

use super::*;

#[test]
fn who_met_only_somebody_that_died_serves_alone_in_the_end() {
    let mut net = Net::new(13, 2, false);
    net.run(Duration::from_secs(1));
    net.kill(1);
    net.boot(1, 2);
    while net.gossip(1).membership().alive() == 0 {
        net.run(Duration::from_micros(100));
    }
    assert!(!net.gossip(1).is_synced());
    net.kill(0);
    let died = net.now;
    while !net.gossip(1).is_synced() && net.now - died < Duration::from_secs(90) {
        net.run(ms(100));
    }
    assert!(net.now - died >= ALONE_AFTER && net.now - died < Duration::from_secs(60));
    assert!(net.seats[1].events.iter().any(|event| matches!(event, Event::Synced { alone: true })));
}

/// So many nodes that start together for the first time.
fn together(seed: u64, nodes: usize, join: impl Fn(usize) -> (Vec<SocketAddr>, bool)) -> Net {
    let mut net = Net::new(seed, nodes, true);
    for n in 0..nodes {
        net.kill(n);
        let (addresses, is_whole) = join(n);
        net.boot_joining(n, 2, &addresses, is_whole);
    }
    assert!(!net.live().any(Gossip::is_synced));
    net
}

#[test]
fn who_finds_nobody_is_found_and_synced_by_one_who_finds_all() {
    for seed in 0..8 {
        let all: Vec<SocketAddr> = (0..24).map(address).collect();
        let mut net = together(seed, 24, |n| if n == 5 { (all.clone(), true) } else { (vec![], false) });
        net.run(UNSYNCED_FOR - ms(100));
        assert!(!net.live().any(Gossip::is_synced));
        net.run(Duration::from_secs(5));
        assert!(net.live().all(Gossip::is_synced), "seed {seed}");
        net.until_equal(Duration::from_secs(5));
    }
}

#[test]
fn two_that_find_nobody_hear_from_the_third_within_two_askings_that_it_is_synced() {
    for seed in 0..32 {
        let mut net =
            together(
                seed,
                3,
                |n| if n == 0 { ((0..3).map(address).collect(), true) } else { (vec![], false) },
            );
        net.run(UNSYNCED_FOR + ms(1_200));
        assert!(net.live().all(Gossip::is_synced), "seed {seed}");
    }
}

#[test]
fn names_that_are_never_resolved_keep_nobody_waiting_for_ever() {
    // Each knows another of before, but no name leads anywhere, because none of them is well yet.
    let mut net = together(21, 3, |n| (vec![address((n + 1) % 3)], false));
    net.run(ALONE_AFTER - ms(500));
    assert!(net.live().all(|gossip| !gossip.is_synced() && gossip.membership().alive() == 2));
    net.run(ms(1_500));
    assert!(net.live().all(Gossip::is_synced) && net.is_equal());
    assert!(
        net.seats
            .iter()
            .flat_map(|seat| &seat.events)
            .all(|event| !matches!(event, Event::Synced { alone: true }))
    );
}

#[test]
fn what_changes_after_a_member_has_moved_is_sent_to_where_it_is_now() {
    let mut net = Net::new(22, 2, false);
    net.run(Duration::from_secs(2));
    net.with(1, |gossip, now| gossip.move_to(now, address(77)));
    net.run(ms(50));
    let now = net.now;
    let gossip = net.seats[0].gossip.as_mut().unwrap();
    gossip.put(now, b"name", b"another");
    gossip.handle_timeout(now);
    let mut sent = Vec::new();
    loop {
        match gossip.poll(now) {
            Output::Datagram { to, .. } => sent.push(to),
            Output::Wake(_) => break,
            _ => {}
        }
    }
    assert!(!sent.is_empty() && sent.iter().all(|to| *to == address(77)), "{sent:?}");
}

/// Until then it has no answer for those who ask it.
#[test]
fn who_starts_beside_members_that_know_all_is_synced_as_soon_as_it_meets_one() {
    for seed in 0..16 {
        let mut net = Net::new(seed, 3, true);
        net.until_equal(Duration::from_secs(60));
        net.kill(1);
        net.run(Duration::from_secs(2));
        net.boot(1, 2);
        let began = net.now;
        while !net.gossip(1).is_synced() {
            net.run(ms(1));
            assert!(net.now - began < ms(100), "seed {seed}");
        }
    }
}
