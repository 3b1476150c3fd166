//! Asking every living member what it has of each owner: for people who want to see where nodes differ. Nothing is
//! changed by it; what differs is mended by [comparing](super::comparing).
//!
//! ```text
//! AskStates | round (v) | a hash of each part of the owners, 32 bits each
//! States    | round (v) | part, parts (8, 8) | left out (v) | bucket (8), states (8), state ... | ...
//! ```
//!
//! The answer holds all states of each bucket that differs, so that an owner that is not among them is not known there.
//! A bucket's hash is over contents too, not over heads alone: equal heads with different contents are a fault to be
//! shown. Rounds are drawn from 1 on; round 0 is [checking](super::checking)'s.

use super::Gossip;
use super::asking::Turns;
use super::checking::CHECK;
use crate::base::time::Moment;
use crate::gossip::codec::{Malformed, decode, encode};
use crate::gossip::frame::{Kind, write};
use crate::gossip::hash;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::membership::Class;
use crate::gossip::replication::owners::{BUCKETS, Owner, Reach, bucket_of};
use crate::gossip::replication::wire::{buckets, differing};
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A member that has not answered is asked again: what was lost once is most likely not lost twice.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Whoever has not answered by then is silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Datagrams of one answer: some 200 states. Who differs in more has more than a difference to be looked at.
const PARTS_MAX: usize = 4;
/// States kept of all answers together: 12 MB.
const STATES_MAX: usize = 1 << 18;
/// Octets of a frame beside its buckets.
const FRAME_OCTETS: usize = 24;

/// What a node has of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct OwnerState {
    owner: NodeId,
    generation: Generation,
    head: Version,
    content: Option<[u8; 8]>,
}

impl OwnerState {
    pub(super) fn new(owner: &Owner) -> OwnerState {
        let reach = owner.have();
        // A copy that lacks pieces says nothing of the whole.
        let exact = owner.newest().filter(|log| log.is_exact());
        OwnerState {
            owner: owner.id(),
            generation: reach.generation,
            head: reach.head,
            content: exact.map(|log| log.hash().to_le_bytes()),
        }
    }

    /// Whose.
    pub fn owner(&self) -> NodeId {
        self.owner
    }

    /// How far what the node has goes.
    pub fn reach(&self) -> Reach {
        Reach { generation: self.generation, head: self.head }
    }

    /// A hash of what it made of that; `None` if it lacks pieces.
    pub fn content(&self) -> Option<u64> {
        self.content.map(u64::from_le_bytes)
    }

    /// True if the other goes as far, and is made of something else. What lacks pieces contradicts nothing.
    pub(super) fn contradicts(&self, other: &OwnerState) -> bool {
        let known = self.content.is_some() && other.content.is_some();
        known && self.reach() == other.reach() && self.content != other.content
    }

    fn hash(&self) -> u64 {
        let content = self.content().unwrap_or_default();
        hash::words([self.owner.0, u64::from(self.generation.0), self.head.0, content])
    }
}

/// A part of an answer: buckets, each with all that is in it.
pub(super) type Part = Vec<(u8, Vec<OwnerState>)>;

/// What one member answered.
#[derive(Debug, Default)]
pub struct Answered {
    parts: BTreeMap<u8, Part>,
    expected: u8,
    left_out: u32,
    /// Buckets for which there was no room here.
    dropped: u32,
}

impl Answered {
    /// The buckets in which it differs, with all that it has in each.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, &[OwnerState])> {
        self.parts.values().flatten().map(|(bucket, states)| (usize::from(*bucket), &states[..]))
    }

    /// Buckets that differ too, and were too many. If there are any, nothing is known of a bucket that is not told.
    pub fn left_out(&self) -> usize {
        self.left_out as usize + self.dropped as usize
    }

    fn states(&self) -> usize {
        self.buckets().map(|(_, states)| states.len()).sum()
    }

    fn is_whole(&self) -> bool {
        self.expected > 0 && self.parts.len() >= usize::from(self.expected)
    }
}

/// What all members answered.
#[derive(Debug)]
pub struct States {
    /// What this node had when it asked, by rising owner.
    pub own: Vec<OwnerState>,
    /// By member; without those that were silent.
    pub answered: BTreeMap<NodeId, Answered>,
    /// Members that live and did not answer in time.
    pub silent: BTreeSet<NodeId>,
}

pub(super) struct Asking {
    round: u32,
    next: Moment,
    deadline: Moment,
    body: Vec<u8>,
    missing: BTreeSet<NodeId>,
    turns: Turns,
    answers: BTreeMap<NodeId, Answered>,
    own: Vec<OwnerState>,
    kept: usize,
}

fn hashes(states: impl Iterator<Item = OwnerState>) -> Box<[u64; BUCKETS]> {
    let mut hashes = Box::new([0; BUCKETS]);
    for state in states {
        hashes[bucket_of(state.owner)] ^= state.hash();
    }
    hashes
}

/// The body of an `AskStates`.
fn question(round: u32, own: impl Iterator<Item = OwnerState>) -> Vec<u8> {
    let mut body = Vec::new();
    encode(&mut body, &round);
    body.extend_from_slice(&buckets(&hashes(own)[..]));
    body
}

/// The owners of which there is anything.
fn states<'o>(owners: impl IntoIterator<Item = &'o Owner>) -> impl Iterator<Item = OwnerState> {
    owners.into_iter().map(OwnerState::new).filter(|state| state.reach() != Reach::default())
}

impl Gossip {
    /// Asks every living member what it has of each owner; [`Gossip::take_states`] gives the answers, in two seconds
    /// at the latest. False: members are being asked already.
    pub fn ask_states(&mut self, now: Moment) -> bool {
        if self.asking.is_some() {
            return false;
        }
        let own: Vec<OwnerState> = states(self.replication.owners().iter()).collect();
        let round = self.rng.u32(CHECK + 1..);
        let body = question(round, own.iter().copied());
        let alive = self.membership.tellings().filter(|told| told.class == Class::Alive);
        self.asking = Some(Asking {
            round,
            next: now,
            deadline: now + PATIENCE,
            body,
            missing: alive.map(|told| told.id()).collect(),
            turns: Turns::default(),
            answers: BTreeMap::new(),
            own,
            kept: 0,
        });
        self.ask_states_if_due(now);
        self.settle(now);
        true
    }

    /// Asks those members what they have; nobody waits for the answers.
    pub(super) fn ask_for_states(&mut self, now: Moment, members: &[NodeId], round: u32) {
        let body = question(round, states(self.replication.owners().iter()));
        let mut frames = Vec::new();
        write(&mut frames, Kind::AskStates, &body);
        for member in members {
            self.send_to(now, *member, frames.clone());
        }
    }

    /// The answers, once all are there or time is over.
    pub fn take_states(&mut self, now: Moment) -> Option<States> {
        let over = |asking: &mut Asking| asking.missing.is_empty() || asking.deadline <= now;
        let Asking { mut answers, missing, own, .. } = self.asking.take_if(over)?;
        answers.retain(|id, _| !missing.contains(id));
        Some(States { own, answered: answers, silent: missing })
    }

    pub(super) fn asking_next(&self) -> Moment {
        self.asking.as_ref().map_or(Moment::NEVER, |asking| asking.next)
    }

    pub(super) fn ask_states_if_due(&mut self, now: Moment) {
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.next <= now) else { return };
        if asking.deadline <= now || asking.missing.is_empty() {
            // From here on it only waits to be taken.
            asking.next = Moment::NEVER;
            return;
        }
        let (asked, wait) = asking.turns.next(&asking.missing, ASK_AGAIN);
        asking.next = (now + wait).min(asking.deadline);
        let mut frames = Vec::new();
        write(&mut frames, Kind::AskStates, &asking.body);
        for node in asked {
            self.send_to(now, node, frames.clone());
        }
    }

    pub(super) fn hear_ask_states(
        &mut self,
        now: Moment,
        from: NodeId,
        body: &[u8],
    ) -> Result<(), Malformed> {
        let (round, theirs) = decode::<u32>(body)?;
        let owners = self.replication.owners();
        let differ = differing(&hashes(states(owners.iter()))[..], theirs).ok_or(Malformed)?;
        self.send_states(now, from, round, differ);
        Ok(())
    }

    /// Tells what this node has of all owners in those buckets.
    pub(super) fn send_states(
        &mut self,
        now: Moment,
        to: NodeId,
        round: u32,
        differ: impl IntoIterator<Item = usize>,
    ) {
        let owners = self.replication.owners();
        let room = self.room.saturating_sub(FRAME_OCTETS);
        let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
        let mut left_out = 0u32;
        for bucket in differ {
            let here = states(owners.in_bucket(bucket));
            let mut octets = vec![bucket as u8, 0];
            let mut count = 0usize;
            for state in here {
                count += 1;
                encode(&mut octets, &state);
            }
            octets[1] = count as u8;
            if octets.len() > room || count > usize::from(u8::MAX) {
                left_out += 1;
                continue;
            }
            if parts.last().is_none_or(|part| part.len() + octets.len() > room) {
                if parts.len() == PARTS_MAX {
                    left_out += 1;
                    continue;
                }
                parts.push(Vec::new());
            }
            if let Some(part) = parts.last_mut() {
                part.extend_from_slice(&octets);
            }
        }
        let count = parts.len() as u8;
        for (at, part) in (0u8..).zip(parts) {
            let (mut frames, mut body) = (Vec::new(), Vec::new());
            encode(&mut body, &round);
            body.extend_from_slice(&[at, count]);
            encode(&mut body, &left_out);
            body.extend_from_slice(&part);
            write(&mut frames, Kind::States, &body);
            self.send_to(now, to, frames);
        }
    }

    pub(super) fn hear_states(&mut self, now: Moment, from: NodeId, body: &[u8]) -> Result<(), Malformed> {
        let (round, rest) = decode::<u32>(body)?;
        let (&[at, count], rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
        let (left_out, mut rest) = decode::<u32>(rest)?;
        if at >= count || usize::from(count) > PARTS_MAX || left_out as usize > BUCKETS {
            return Err(Malformed);
        }
        let mut part = Vec::new();
        let mut heard = 0;
        while let Some((&[bucket, states], behind)) = rest.split_first_chunk::<2>() {
            rest = behind;
            let mut here = Vec::new();
            for _ in 0..states {
                let (state, behind) = decode::<OwnerState>(rest)?;
                if bucket_of(state.owner) != usize::from(bucket) {
                    return Err(Malformed);
                }
                rest = behind;
                here.push(state);
            }
            heard += here.len();
            part.push((bucket, here));
        }
        if !rest.is_empty() {
            return Err(Malformed);
        }
        if round == CHECK {
            self.check_contents(now, from, &part);
            return Ok(());
        }
        // An answer that is not wanted, or not any more, is no fault.
        let Some(asking) = self.asking.as_mut().filter(|asking| asking.round == round) else { return Ok(()) };
        if !asking.missing.contains(&from) {
            return Ok(());
        }
        let answered = asking.answers.entry(from).or_default();
        asking.kept -= answered.states();
        if answered.expected != count {
            // It was asked twice and has changed since.
            *answered = Answered { expected: count, ..Answered::default() };
        }
        answered.left_out = left_out;
        if asking.kept + answered.states() + heard > STATES_MAX {
            answered.dropped += part.len() as u32;
            part.clear();
        }
        answered.parts.insert(at, part);
        asking.kept += answered.states();
        if answered.is_whole() {
            asking.missing.remove(&from);
            if asking.missing.is_empty() {
                asking.next = Moment::START;
            }
        }
        Ok(())
    }
}
