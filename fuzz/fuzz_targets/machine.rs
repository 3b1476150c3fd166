//! A machine of the cluster under any sequence of what its owner, its members and time may do: nothing ends it, nothing
//! goes in circles, and what waits stays bounded.
#![no_main]

mod node;

use hivedns::gossip::identity::NodeId;
use hivedns::gossip::secrecy::key::Key;
use hivedns::gossip::secrecy::keyring::{Ring, RingChange};
use libfuzzer_sys::fuzz_target;
use node::{Chance, Member, Node, address, ring_of};
use std::time::Duration;

const MEMBERS: u64 = 4;

fn step(node: &mut Node, members: &mut [Member], chance: &mut Chance<'_>) {
    let (what, octet) = (chance.octet(), chance.octet());
    let key = [b'k', octet % 16];
    let long = usize::from(octet) << 8 | 0xff;
    match what % 24 {
        0 => {
            let value = chance.piece();
            node.say(value.len(), |gossip, now| gossip.put(now, &key, value));
        }
        1 => {
            let value = vec![what; long];
            node.say(long, |gossip, now| gossip.put(now, &key, &value));
        }
        2 => node.say(16, |gossip, now| gossip.remove(now, &key)),
        3 => {
            let value = chance.piece();
            node.say(value.len(), |gossip, now| gossip.write_cluster(now, &key, Some(value)));
        }
        4 => {
            let value = vec![what; long];
            node.say(long, |gossip, now| gossip.write_cluster(now, &key, Some(&value)));
        }
        5 => {
            node.say(16, |gossip, now| gossip.write_cluster(now, &key, None));
        }
        6 => node.call(0, |gossip, now| gossip.ready(now)),
        7 => {
            let addresses: Vec<_> = (0..octet % 8).map(|n| address(n.into())).collect();
            node.call(0, |gossip, now| gossip.join(now, &addresses, octet & 8 != 0));
        }
        8 => node.call(0, |gossip, now| gossip.drain(now, Duration::from_millis(u64::from(octet) * 40))),
        9 => node.call(0, |gossip, now| gossip.leave(now)),
        10 => node.call(0, |gossip, now| gossip.restarting(now)),
        11 => {
            node.call(0, |gossip, now| gossip.force_leave(now, NodeId(u64::from(octet) % 8)));
        }
        12 => {
            let with = (octet & 1 != 0).then_some(NodeId(u64::from(octet) % 8));
            node.call(0, |gossip, now| gossip.resync(now, with));
        }
        13 => {
            node.call(0, |gossip, now| gossip.ask_states(now));
        }
        14 => {
            node.call(0, |gossip, now| gossip.take_states(now));
        }
        15 => node.call(0, |gossip, _| gossip.shrink_datagrams()),
        16 => node.call(0, |gossip, now| gossip.move_to(now, address(u64::from(octet) % 4 + 100))),
        17 => {
            let key = Key::new([octet; 32]);
            let change = match octet % 3 {
                0 => RingChange::Add(key),
                1 => RingChange::Use(key.id()),
                _ => RingChange::Remove(key.id()),
            };
            let _ = node.call(0, |gossip, now| gossip.change_key(now, &change));
        }
        18 => {
            let stored = chance.piece();
            node.say(stored.len(), |gossip, now| gossip.restore_cluster(now, stored));
        }
        19 => {
            let member = &mut members[usize::from(octet) % MEMBERS as usize];
            let frames = match octet & 128 {
                0 => member.introduction(),
                _ => chance.piece().to_vec(),
            };
            member.say(node, &frames);
        }
        // Milliseconds, then minutes: what is due every second, and what is remembered for a day.
        20 => node.advance(Duration::from_millis(u64::from(octet) * 4), 64),
        21 => node.advance(Duration::from_secs(u64::from(octet) * 60), 64),
        22 => {
            let question = chance.piece();
            node.call(question.len(), |gossip, now| gossip.ask_members(now, question));
        }
        _ => {
            let answer = chance.piece();
            let (to, number) = (NodeId(u64::from(octet) % 8), octet.into());
            node.call(answer.len(), |gossip, now| gossip.answer_member(now, to, number, answer));
        }
    }
    node.sent.clear();
    // Half of the streams that it wants come about, and are silent.
    while let Some((id, _)) = node.opening.pop_front() {
        match id.0 & 1 {
            0 => node.closed(id),
            _ => {
                node.call(0, |gossip, now| gossip.stream_opened(now, id));
                node.writable(id, 4_096);
            }
        }
    }
    node.written.clear();
}

fn run(input: &[u8], ring: Ring) {
    let mut node = Node::new(ring.clone());
    let mut members: Vec<Member> = (2..2 + MEMBERS).map(|n| Member::new(n, ring.clone())).collect();
    let mut chance = Chance(input);
    while !chance.is_empty() {
        step(&mut node, &mut members, &mut chance);
    }
}

fuzz_target!(|input: &[u8]| {
    run(input, Ring::default());
    run(input, ring_of(input));
});
