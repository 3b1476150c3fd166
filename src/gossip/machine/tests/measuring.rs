//! How long changes take to the members, as the machine measures it and as it is.

use super::*;
use crate::gossip::machine::MEASURE_EVERY;

fn grown(seed: u64, nodes: usize) -> Net {
    let mut net = Net::new(seed, nodes, false);
    net.until_equal(Duration::from_secs(10));
    // What it has measured of the start is over.
    net.run(MEASURE_EVERY + Duration::from_secs(15));
    net
}

/// Changes something at node 0; how long that takes to each of the others, rising.
fn change(net: &mut Net, value: &[u8]) -> Vec<Duration> {
    let start = net.now;
    net.with(0, |gossip, now| gossip.put(now, b"k", value));
    let mut took = vec![None; net.seats.len() - 1];
    while took.contains(&None) {
        net.run(Duration::from_micros(100));
        for (n, took) in (1..).zip(&mut took).filter(|(_, took)| took.is_none()) {
            *took = (net.value(n, 0, b"k").as_deref() == Some(value)).then(|| net.now - start);
        }
        assert!(net.now - start < Duration::from_secs(60));
    }
    let mut took: Vec<Duration> = took.into_iter().flatten().collect();
    took.sort();
    took
}

#[test]
fn what_is_measured_is_how_long_it_took_and_at_most_one_way_more() {
    for (nodes, loss) in [(3, 0.0), (10, 0.0), (10, 0.3)] {
        for seed in 0..4 {
            let mut net = grown(seed, nodes);
            net.loss = loss;
            let took = change(&mut net, b"1").pop().unwrap();
            net.loss = 0.0;
            net.run(Duration::from_secs(3));
            let measured = net.gossip(0).convergence().expect("measured");
            // All members are asked; an answer takes less than a millisecond on its way.
            let bounds = took.saturating_sub(ms(1))..=took + ms(2);
            assert!(bounds.contains(&measured), "{nodes} {loss}: {measured:?} of {took:?}");
        }
    }
}

#[test]
fn of_many_members_some_are_asked() {
    let mut net = grown(5, 60);
    let took = change(&mut net, b"1");
    net.run(Duration::from_secs(3));
    let measured = net.gossip(0).convergence().expect("measured");
    // That all of them are among the first half no lot brings about.
    assert!((took[29] - ms(1)..=took[58] + ms(2)).contains(&measured), "{measured:?} of {took:?}");
}

#[test]
fn a_member_that_gets_it_late_counts_with_all_the_time_until_then() {
    for seed in 0..4 {
        let mut net = grown(10 + seed, 4);
        net.side[3] = 1;
        let start = net.now;
        net.with(0, |gossip, now| gossip.put(now, b"k", b"1"));
        net.run(Duration::from_millis(2_200));
        net.side[3] = 0;
        while net.value(3, 0, b"k").is_none() {
            net.run(Duration::from_micros(100));
        }
        let took = net.now - start;
        net.run(Duration::from_secs(3));
        let measured = net.gossip(0).convergence().expect("measured");
        assert!((took.saturating_sub(ms(1))..=took + ms(2)).contains(&measured), "{measured:?} of {took:?}");
    }
}

#[test]
fn an_owner_that_never_rests_is_not_measured_and_one_change_a_minute_is_enough() {
    let mut net = grown(7, 3);
    let kinds = |net: &Net| {
        let by_kind = &net.gossip(0).traffic().by_kind;
        by_kind.iter().filter(|(kind, _)| *kind == Kind::Reached as u8).map(|(_, octets)| octets).sum::<u64>()
    };
    let before = kinds(&net);
    for value in 0..60u8 {
        net.with(0, |gossip, now| gossip.put(now, b"k", &[value]));
        net.run(ms(500));
    }
    assert_eq!(kinds(&net), before);
    net.run(Duration::from_secs(2));
    assert!(kinds(&net) > before);
}

#[test]
fn a_member_that_lags_counts_though_the_owner_goes_on_changing() {
    let mut net = grown(20, 4);
    net.with(0, |gossip, now| gossip.put(now, b"k", b"1"));
    net.run(ms(500));
    // Asked a second after the change; this one does not hear it, and has it long since.
    net.side[3] = 1;
    net.run(ms(700));
    net.with(0, |gossip, now| gossip.put(now, b"k", b"2"));
    net.run(ms(500));
    net.side[3] = 0;
    net.run(Duration::from_secs(15));
    // It has a later one by then, and is not counted with another's time.
    assert!(
        net.gossip(0).convergence().is_some_and(|took| took < ms(100)),
        "{:?}",
        net.gossip(0).convergence()
    );
}
