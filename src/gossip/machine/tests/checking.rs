//! Copies of equal head whose contents differ.

use super::*;
use crate::gossip::replication::log::Log;

/// The log that the owner would have if it had said something else.
fn other_words(net: &Net, owner: usize) -> (NodeId, Arc<Log>) {
    let id = net.gossip(owner).me().id;
    let own = net.gossip(owner).replication().owners().get(id).and_then(|owner| owner.shown()).unwrap();
    let mut other = Log::new(own.generation());
    for entry in own.since(crate::gossip::identity::Version(0)) {
        other.put(entry.key, b"other");
    }
    other.declare_whole();
    assert_eq!((other.head(), other.generation()), (own.head(), own.generation()));
    (id, Arc::new(other))
}

fn mismatches(net: &Net) -> u64 {
    net.live().map(|gossip| gossip.replication().counts().mismatches).sum()
}

#[test]
fn a_copy_of_equal_head_and_other_content_is_replaced_by_the_owners() {
    let mut net = Net::new(61, 6, true);
    net.until_equal(Duration::from_secs(10));
    net.run(2 * CHECK_EVERY);
    assert_eq!(mismatches(&net), 0);
    let altered = other_words(&net, 4);
    net.with(2, |gossip, _| gossip.replication.restore([altered]));
    assert!(net.is_equal());
    assert_eq!(net.value(2, 4, b"name"), Some(b"other".to_vec()));
    net.run(2 * CHECK_EVERY);
    for n in 0..6 {
        assert_eq!(net.value(n, 4, b"name"), Some(b"n4".to_vec()), "node {n}");
    }
    assert!(net.is_equal());
    let counted = mismatches(&net);
    assert!(counted > 0);
    // All is well again, and nothing more is found.
    net.run(2 * CHECK_EVERY);
    assert_eq!(mismatches(&net), counted);
}

#[test]
fn an_owner_tells_who_has_other_words_of_it() {
    let mut net = Net::new(62, 2, false);
    net.until_equal(Duration::from_secs(10));
    net.run(Duration::from_secs(2));
    let altered = other_words(&net, 0);
    net.with(1, |gossip, _| gossip.replication.restore([altered]));
    let other = net.gossip(1).me().id;
    net.with(0, |gossip, now| gossip.ask_for_states(now, &[other], super::super::checking::CHECK));
    net.run(ms(200));
    assert_eq!(net.value(1, 0, b"name"), Some(b"n0".to_vec()));
}
