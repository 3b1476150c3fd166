//! Asking all members what they have of each owner.

use super::*;

/// Asks at that node and runs until the answers are there.
fn states(net: &mut Net, at: usize) -> States {
    assert!(net.with(at, |gossip, now| gossip.ask_states(now)));
    for _ in 0..300 {
        net.run(ms(10));
        if let Some(states) = net.with(at, |gossip, now| gossip.take_states(now)) {
            return states;
        }
    }
    panic!("no answer in three seconds");
}

fn settled(seed: u64, nodes: usize) -> Net {
    let mut net = Net::new(seed, nodes, true);
    // How soon they agree is other tests' to show.
    let took = net.until_equal(Duration::from_secs(60));
    println!("{nodes} nodes agree after {took:?}");
    net.run(Duration::from_secs(2));
    net
}

#[test]
fn nodes_that_agree_answer_that_nothing_differs() {
    let mut net = settled(51, 80);
    let began = net.now;
    let states = states(&mut net, 3);
    assert!(net.now - began < ms(200), "{:?}", net.now - began);
    assert_eq!((states.own.len(), states.answered.len(), states.silent.len()), (80, 79, 0));
    assert!(states.answered.values().all(|answered| answered.buckets().next().is_none()));
}

#[test]
fn a_node_that_missed_a_change_answers_what_it_has() {
    let mut net = settled(52, 6);
    net.side[4] = 1;
    let owner = net.gossip(2).me().id;
    net.with(2, |gossip, now| gossip.put(now, b"k", b"v"));
    net.run(ms(50));
    let newest = net.gossip(2).replication().owners().have(owner);
    // Back, and asked before it has heard of the change.
    net.side[4] = 0;
    let states = states(&mut net, 0);
    let behind = net.gossip(4).me().id;
    for (node, answered) in &states.answered {
        let told: Vec<Reach> = answered
            .buckets()
            .flat_map(|(_, states)| states)
            .filter(|state| state.owner() == owner)
            .map(|state| state.reach())
            .collect();
        if *node == behind {
            assert!(told.iter().all(|reach| *reach < newest) && told.len() == 1, "{told:?}");
        } else {
            assert_eq!(told, []);
        }
    }
}

#[test]
fn a_node_that_does_not_answer_is_told_after_two_seconds_and_loss_does_not_make_one_silent() {
    let mut net = settled(53, 10);
    net.loss = 0.2;
    net.side[7] = 1;
    let silent = net.gossip(7).me().id;
    let states = states(&mut net, 1);
    assert!(states.silent.contains(&silent) && states.silent.len() <= 2, "{:?}", states.silent);
    assert!(states.answered.len() + states.silent.len() == 9);
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut net = settled(54, 2);
    let from = net.gossip(1).me().id;
    net.with(0, |gossip, now| {
        for body in [&[][..], &[1, 0, 0, 0], &[0, 0, 0], &[1, 0, 1, 0, 7, 200, 1], &[1, 0, 1, 0, 9]] {
            assert!(gossip.hear_states(now, from, body).is_err(), "{body:?}");
            assert!(gossip.hear_ask_states(now, from, body).is_err(), "{body:?}");
        }
    });
}
