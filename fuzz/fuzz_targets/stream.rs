//! Any frames on streams of the cluster, on either side and cut anywhere, and any octets in the place of records: a
//! stream that goes wrong ends, the machine does not, and what a stream holds stays small.
#![no_main]

mod node;

use hivedns::gossip::output::StreamId;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::gossip::secrecy::stream::{Side, Stream};
use libfuzzer_sys::fuzz_target;
use node::{Chance, Member, Node, address, ring_of};
use std::time::Duration;

/// A stream, and what there is on the other side of it.
struct Line {
    id: StreamId,
    other: Stream,
    /// False: the other side says no hello.
    greets: bool,
}

/// Hands octets in, cut into pieces of that many.
fn deliver(node: &mut Node, id: StreamId, octets: &[u8], piece: usize) {
    for piece in octets.chunks(piece.max(1)) {
        node.received(id, piece);
    }
}

/// Brings what the machine wrote to the other side.
fn take(node: &mut Node, member: &mut Member, line: &mut Line) {
    let written = node.written.remove(&line.id).unwrap_or_default();
    member.read(&mut line.other, &written);
}

fn run(input: &[u8], ring: Ring) {
    let mut node = Node::new(ring.clone());
    let mut member = Member::new(2, ring);
    let introduction = member.introduction();
    // So it knows somebody, asks for everything, and opens streams of its own.
    node.call(0, |gossip, now| gossip.join(now, &[address(2)], true));
    member.say(&mut node, &introduction);
    let mut lines: Vec<Line> = Vec::new();
    let mut chance = Chance(input);
    while !chance.is_empty() {
        let (what, which, piece) = (chance.octet(), usize::from(chance.octet()), usize::from(chance.octet()));
        match what % 8 {
            0 => {
                let other = member.stream(Side::Opener);
                let greets = which.is_multiple_of(8);
                if let Some(id) = node.accept(address(2)) {
                    let hello = other.hello();
                    lines.push(Line { id, other, greets });
                    node.writable(id, 256 * piece);
                    deliver(&mut node, id, if greets { &hello } else { &[] }, 1 + which);
                }
            }
            1 => {
                if let Some((id, _)) = node.opening.pop_front() {
                    let other = member.stream(Side::Accepter);
                    let hello = other.hello();
                    lines.push(Line { id, other, greets: true });
                    node.call(0, |gossip, now| gossip.stream_opened(now, id));
                    node.writable(id, 256 * piece);
                    deliver(&mut node, id, &hello, 1 + which);
                }
            }
            2 => {
                if let Some((id, _)) = node.opening.pop_front() {
                    node.closed(id);
                }
            }
            3 => {
                node.advance(Duration::from_millis(20 * which as u64), 32);
                member.converse(&mut node);
            }
            4 => {
                if let Some(line) = lines.get(which) {
                    node.writable(line.id, 1 + 1_024 * piece);
                }
            }
            5 if !lines.is_empty() => {
                let line = lines.swap_remove(which % lines.len());
                node.closed(line.id);
            }
            // What the other side says, in records, then the end if it is so.
            6 | 7 if !lines.is_empty() => {
                let at = which % lines.len();
                let line = &mut lines[at];
                take(&mut node, &mut member, line);
                let said = chance.piece();
                let mut octets = Vec::new();
                if what & 64 != 0 && line.greets && line.other.is_writable() {
                    let _ = line.other.write(said, &mut octets);
                    if what & 128 != 0 {
                        let _ = line.other.finish(&mut octets);
                    }
                } else {
                    octets.extend_from_slice(said);
                }
                deliver(&mut node, line.id, &octets, piece * 8);
            }
            _ => {}
        }
        lines.retain(|line| node.streams.contains_key(&line.id));
        node.written.retain(|id, _| lines.iter().any(|line| line.id == *id));
    }
    // Nobody says anything any more: all streams end.
    for _ in 0..4 {
        node.advance(Duration::from_secs(30), 256);
        while let Some((id, _)) = node.opening.pop_front() {
            node.closed(id);
        }
    }
    assert!(lines.iter().all(|line| !node.streams.contains_key(&line.id)), "a silent stream stays open");
}

fuzz_target!(|input: &[u8]| {
    run(input, Ring::default());
    run(input, ring_of(input));
});
