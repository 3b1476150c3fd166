//! Machines that go away, for a while or for good, and say so.

use super::*;

#[test]
fn a_drain_is_over_when_every_living_member_has_acknowledged() {
    let mut net = Net::new(6, 20, true);
    net.until_equal(Duration::from_secs(10));
    net.loss = 0.1;
    net.with(7, |gossip, now| gossip.drain(now, Duration::from_secs(10)));
    net.run(Duration::from_secs(3));
    let drained = net.seats[7].events.iter().find_map(|event| match event {
        Event::Drained { missing } => Some(missing.clone()),
        _ => None,
    });
    assert_eq!(drained, Some(vec![]));
    assert!((0..20).all(|n| net.value(n, 7, b"name").is_none()));
}

#[test]
fn draining_many_records_holds_few_versions_of_them() {
    let mut net = Net::new(15, 1, false);
    for n in 0..10_000u32 {
        net.with(0, |gossip, now| gossip.put(now, &n.to_be_bytes(), b"value"));
    }
    net.seats[0].events.clear();
    net.with(0, |gossip, now| gossip.drain(now, Duration::from_secs(1)));
    let versions = net.seats[0].events.iter().filter(|event| matches!(event, Event::Records { .. })).count();
    assert!((1..=3).contains(&versions), "{versions} versions of the log");
    assert_eq!(net.value(0, 0, &7u32.to_be_bytes()), None);
}

#[test]
fn a_withdrawal_that_is_not_shown_yet_is_not_acknowledged() {
    let mut net = Net::new(16, 2, false);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(1));
    net.side[1] = 1;
    let owner = net.gossip(1).me().id;
    let mut log = Log::new(Generation(2));
    (0..50u8).for_each(|key| {
        log.put(&[key], &[key; 100]);
    });
    log.declare_whole();
    let mut pieces = Vec::new();
    crate::gossip::replication::delta::cut(
        owner,
        &log,
        crate::gossip::identity::Version(0),
        1_000,
        |head, body| {
            pieces.push((Reach { generation: head.generation, head: head.to }, body));
            true
        },
    );
    let held = |net: &Net| {
        let by_kind = &net.gossip(0).traffic().by_kind;
        by_kind.iter().filter(|(kind, _)| *kind == Kind::Held as u8).count()
    };
    let last = pieces.len() - 1;
    assert!(last > 1);
    for (at, (reach, body)) in pieces.into_iter().enumerate() {
        let mut ask = Vec::new();
        crate::gossip::codec::encode(
            &mut ask,
            &crate::gossip::replication::wire::HeadWire::new(owner, reach),
        );
        net.with(0, |gossip, now| {
            gossip.replication.handle(now, owner, Kind::Answer, &body).unwrap();
            gossip.hear_ask(now, owner, &ask).unwrap();
        });
        assert_eq!(net.gossip(0).replication().owners().have(owner), reach);
        assert_eq!(held(&net), usize::from(at == last), "piece {at} of {last}");
    }
}

#[test]
fn a_restart_that_was_announced_raises_no_suspicion() {
    let mut net = Net::new(7, 10, true);
    net.until_equal(Duration::from_secs(10));
    net.with(3, Gossip::restarting);
    net.run(ms(200));
    net.kill(3);
    net.run(Duration::from_secs(6));
    let id = NodeId(4u64.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for n in (0..10).filter(|n| *n != 3) {
        assert_eq!(net.gossip(n).membership().get(id).map(|member| member.health), Some(Health::Restarting));
        assert_eq!(net.value(n, 3, b"name"), Some(b"n3".to_vec()));
    }
    net.boot(3, 2);
    net.until_equal(Duration::from_secs(5));
}
