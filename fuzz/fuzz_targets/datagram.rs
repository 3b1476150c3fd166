//! Any frames in datagrams to a machine of the cluster, in clear and sealed: nothing ends it, what it keeps stays small;
//! what was changed on the way or comes a second time is counted and changes nothing.
#![no_main]

mod node;

use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::refusal::Refused;
use libfuzzer_sys::fuzz_target;
use node::{Chance, Member, Node, address, ring_of};
use std::time::Duration;

/// Who speaks.
const MEMBERS: u64 = 3;

/// What a datagram could change, as far as one can see from outside.
fn seen(node: &Node) -> impl PartialEq + std::fmt::Debug + use<> {
    let members: Vec<_> =
        node.gossip.membership().members().map(|member| (member.told.clone(), member.health)).collect();
    let replication = node.gossip.replication();
    let owners: Vec<_> = replication.owners().iter().map(|owner| (owner.id(), owner.have())).collect();
    (
        members,
        owners,
        replication.cluster().hash(),
        node.gossip.traffic().strange,
        node.sent.len(),
        node.streams.len(),
    )
}

/// What nobody with the key sent just now is counted, and changes nothing.
fn is_ignored(node: &mut Node, octets: &[u8], why: &str) {
    let (before, refused) = (seen(node), node.refused());
    node.datagram(address(2), octets);
    assert_eq!(node.refused(), refused + 1, "{why} was not counted");
    assert_eq!(seen(node), before, "{why} changed something");
}

fn run(input: &[u8], ring: Ring) {
    let sealed = !ring.is_empty();
    let mut node = Node::new(ring.clone());
    let mut members: Vec<Member> = (2..2 + MEMBERS).map(|n| Member::new(n, ring.clone())).collect();
    let introduction = members[0].introduction();
    members[0].say(&mut node, &introduction);
    assert!(
        node.gossip.membership().get(members[0].id).is_some(),
        "a member that proved itself is not known"
    );
    let mut chance = Chance(input);
    while !chance.is_empty() {
        let how = chance.octet();
        let member = &mut members[usize::from(how) % MEMBERS as usize];
        let (at, bit) = (usize::from(chance.octet()), how & 7);
        let octets = chance.piece();
        node.datagram(member.address, octets);
        let genuine = member.say(&mut node, octets);
        if sealed {
            // Anything else that it would send now answers nothing of this.
            let replayed = node.gossip.secrecy().refusals().of(Refused::Replayed);
            is_ignored(&mut node, &genuine, "a datagram that came before");
            assert_eq!(node.gossip.secrecy().refusals().of(Refused::Replayed), replayed + 1);
            let mut forged = member.datagram(node.now, octets).to_vec();
            let at = at % forged.len();
            forged[at] ^= 1 << bit;
            is_ignored(&mut node, &forged, "a datagram that was changed");
            // From anywhere else it is as authentic: the address is no proof, and no reason against.
        }
        node.advance(Duration::from_millis(u64::from(how) * 40), 32);
        node.sent.clear();
    }
}

fuzz_target!(|input: &[u8]| {
    run(input, Ring::default());
    run(input, ring_of(input));
});
