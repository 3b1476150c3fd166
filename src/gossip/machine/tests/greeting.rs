//! Members meet before they have anything to tell each other.

use super::*;

#[test]
fn who_is_in_the_view_knows_this_node_before_there_is_news() {
    let mut net = Net::new(29, 40, true);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(20));
    let met = net.live().map(|gossip| gossip.secrecy().sessions()).min();
    assert_eq!(met, Some(39), "everybody knows everybody");
    // So first words need no challenge: a change is everywhere as fast as datagrams travel.
    net.with(3, |gossip, now| gossip.put(now, b"k", b"v"));
    let took = net.until_equal(Duration::from_secs(1));
    assert!(took <= ms(60), "{took:?}");
}

#[test]
fn greetings_end() {
    let mut net = Net::new(31, 10, true);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(30));
    assert!(net.live().all(|gossip| gossip.greeting.next() == Moment::NEVER));
    // A hint of nothing is no news, and nothing strange.
    assert!(net.live().all(|gossip| gossip.traffic().strange == 0));
}
