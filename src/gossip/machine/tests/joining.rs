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
