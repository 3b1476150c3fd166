//! Comparisons that somebody waits for: what comes by them, and that each has an end.

use super::*;

/// What came of one: with whom, whether all was told, owners, changes; and how long it took.
fn outcome(net: &mut Net, n: usize) -> Option<(NodeId, bool, usize, u64, Duration)> {
    let found = net.seats[n].events.iter().find_map(|event| match event {
        Event::Resynced { with, is_whole, owners, changes, took } => {
            Some((*with, *is_whole, *owners, *changes, *took))
        }
        _ => None,
    });
    net.seats[n].events.clear();
    found
}

fn three(seed: u64) -> Net {
    let mut net = Net::new(seed, 3, true);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(2));
    net
}

#[test]
fn it_is_over_when_all_that_was_lacking_is_there() {
    let mut net = three(21);
    let id = net.gossip(1).me().id;
    // Nothing but streams gets through.
    net.loss = 1.0;
    net.with(1, |gossip, now| {
        (0..50u8).for_each(|key| _ = gossip.put(now, &[key], &[key; 500]));
        gossip.write_cluster(now, b"set", Some(b"value"));
    });
    net.run(ms(20));
    assert_eq!((net.value(0, 1, &[7]), outcome(&mut net, 0)), (None, None));
    assert!(net.with(0, |gossip, now| gossip.resync(now, Some(id))));
    // One at a time.
    assert!(net.gossip(0).is_resyncing() && !net.with(0, |gossip, now| gossip.resync(now, None)));
    while net.gossip(0).is_resyncing() {
        assert!(outcome(&mut net, 0).is_none());
        net.run(ms(1));
    }
    let (with, is_whole, owners, changes, took) = outcome(&mut net, 0).unwrap();
    assert_eq!((with, is_whole, owners, changes), (id, true, 1, 51));
    assert!(took > ms(1) && took < Duration::from_secs(1), "{took:?}");
    assert_eq!(net.value(0, 1, &[7]), Some(vec![7; 500]));
    assert_eq!(
        net.gossip(0).replication().cluster().get(b"set").map(|value| value.to_vec()),
        Some(b"value".into())
    );
    // Where nothing is lacking nothing comes.
    net.with(0, |gossip, now| gossip.resync(now, Some(id)));
    net.run(ms(100));
    let again =
        outcome(&mut net, 0).map(|(with, is_whole, owners, changes, _)| (with, is_whole, owners, changes));
    assert_eq!(again, Some((id, true, 0, 0)));
}

#[test]
fn a_member_that_is_not_reached_is_told_and_of_those_by_lot_another_is_taken() {
    for seed in 0..8 {
        let mut net = three(30 + seed);
        let (dead, alive) = (net.gossip(2).me().id, net.gossip(1).me().id);
        net.kill(2);
        assert!(net.with(0, |gossip, now| gossip.resync(now, Some(dead))));
        net.run(Duration::from_secs(3));
        let (with, is_whole, owners, changes, took) = outcome(&mut net, 0).unwrap();
        assert_eq!((with, is_whole, owners, changes), (dead, false, 0, 0));
        assert!(took >= ms(500) && took < Duration::from_secs(2), "{took:?}");
        assert!(net.with(0, |gossip, now| gossip.resync(now, None)));
        net.run(Duration::from_secs(3));
        let (with, is_whole, ..) = outcome(&mut net, 0).unwrap();
        assert_eq!((with, is_whole), (alive, true), "seed {seed}");
    }
    // Who is alone compares with nobody.
    let mut net = Net::new(1, 1, false);
    assert!(!net.with(0, |gossip, now| gossip.resync(now, None)));
}

#[test]
fn a_member_that_falls_silent_on_the_way_does_not_hold_it_up_for_ever() {
    let mut net = three(40);
    let id = net.gossip(1).me().id;
    net.with(1, |gossip, now| (0..200u8).for_each(|key| _ = gossip.put(now, &[key], &[key; 500])));
    net.with(0, |gossip, now| gossip.resync(now, Some(id)));
    net.run(ms(3));
    assert!(net.gossip(0).is_resyncing());
    // What has not arrived never does, and no stream tells that.
    net.seats[1].gossip = None;
    let begun = net.now;
    while net.gossip(0).is_resyncing() {
        net.run(ms(100));
        assert!(net.now - begun < crate::gossip::machine::RESYNC_MAX + Duration::from_secs(1));
    }
    assert_eq!(outcome(&mut net, 0).map(|(with, is_whole, ..)| (with, is_whole)), Some((id, false)));
}
