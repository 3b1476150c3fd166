//! The plainest machine that could be a cluster: everybody tells each change to everybody, says every second that it
//! lives, and asks one peer each second for what it missed. The yardstick of the simulator's own tests: what the
//! world, its oracles and its measures have to say of a machine this plain is known beforehand.
//!
//! It is no machine to run a cluster with: each second costs a datagram for each pair of members. It has no
//! suspicion, no secrecy, and keeps no deleted record in mind: versions alone say what is new.

mod calls;

use super::machine::{Change, Changes, Held, News, Wish};
use crate::base::time::Moment;
use crate::gossip::codec;
use crate::gossip::identity::{Generation, NodeId};
use crate::gossip::output::{Health, NodeInfo, StreamId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often everybody is told that this node lives, and somebody asked for news.
const BEAT: Duration = Duration::from_secs(1);
/// Silence of so long is a loss.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long a node that was given addresses waits for an answer before it goes on alone.
const ALONE_AFTER: Duration = Duration::from_secs(30);
/// Octets of the answer to an asking: below what one value may have, the rest is asked for next time.
const ANSWER_OCTETS_MAX: usize = 512 << 10;
/// Changes in one datagram: 100 octets each, with room for the frame.
const CHANGES_PER_DATAGRAM: usize = 8;

type WireRecord<'o> = (&'o [u8], Option<&'o [u8]>);
type WireLog<'o> = (NodeId, Generation, u64, Vec<WireRecord<'o>>);
type WirePeer<'o> = (NodeId, u64, Generation, &'o str, String);
type WireCluster<'o> = (&'o [u8], (u64, NodeId), Option<&'o [u8]>);
type WireAnswer<'o> = (Vec<WirePeer<'o>>, Vec<WireLog<'o>>, Vec<WireCluster<'o>>);

const BEATS: u8 = 1;
const CHANGED: u8 = 2;
const LEFT: u8 = 3;
const CLUSTER: u8 = 4;

#[derive(Debug, Clone, Default)]
struct Log {
    generation: Generation,
    version: u64,
    records: BTreeMap<Bytes, Bytes>,
}

#[derive(Debug, Clone)]
struct Peer {
    info: Arc<NodeInfo>,
    generation: Generation,
    heard: Moment,
    health: Health,
}

#[derive(Debug, Default)]
struct Talk {
    asked: bool,
    received: Vec<u8>,
    to_send: Vec<u8>,
    room: usize,
    /// The last octet to send is known.
    ends: bool,
}

/// One node.
pub struct Flood {
    me: Arc<NodeInfo>,
    own: Log,
    ready: bool,
    peers: BTreeMap<NodeId, Peer>,
    logs: BTreeMap<NodeId, Log>,
    cluster: BTreeMap<Bytes, ((u64, NodeId), Option<Bytes>)>,
    lamport: u64,
    seeds: Vec<SocketAddr>,
    talks: BTreeMap<StreamId, Talk>,
    streams: u64,
    outputs: VecDeque<Wish>,
    beat: Moment,
    /// When to go on alone; `None` once synced.
    alone: Option<Moment>,
    rng: fastrand::Rng,
    sent: [(&'static str, u64); 2],
}

impl Flood {
    fn tell(&mut self, news: News) {
        self.outputs.push_back(Wish::News(news));
    }

    fn datagram(&mut self, to: SocketAddr, octets: &Bytes) {
        self.sent[0].1 += 1;
        self.outputs.push_back(Wish::Datagram { to, octets: octets.clone() });
    }

    fn say_to_all(&mut self, octets: Vec<u8>) {
        let octets = Bytes::from(octets);
        let known: Vec<SocketAddr> = self.peers.values().map(|peer| peer.info.address).collect();
        let strangers: Vec<SocketAddr> =
            self.seeds.iter().copied().filter(|seed| !known.contains(seed)).collect();
        let own = self.me.address;
        for to in known.into_iter().chain(strangers).filter(|to| *to != own) {
            self.datagram(to, &octets);
        }
    }

    fn wire_me(&self) -> (NodeId, u64, Generation, &str, String) {
        (self.me.id, self.me.boot, self.own.generation, &self.me.name, self.me.address.to_string())
    }

    fn say_beat(&mut self, left: bool) {
        let mut octets = Vec::new();
        codec::encode(&mut octets, &(if left { LEFT } else { BEATS }, self.wire_me()));
        self.say_to_all(octets);
    }

    fn change_own(&mut self, changes: Vec<(Bytes, Option<Bytes>)>) {
        for part in changes.chunks(CHANGES_PER_DATAGRAM) {
            let from = self.own.version;
            for (key, value) in part {
                apply(&mut self.own.records, key, value.as_ref());
            }
            self.own.version += part.len() as u64;
            if self.ready {
                let wire: Vec<WireRecord<'_>> =
                    part.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
                let mut octets = Vec::new();
                codec::encode(&mut octets, &(CHANGED, (self.me.id, self.own.generation, from, wire)));
                self.say_to_all(octets);
            }
        }
    }

    fn changed(&mut self, (owner, generation, from, wire): WireLog<'_>) {
        let Some(log) = self.logs.get_mut(&owner) else { return };
        if (log.generation, log.version) != (generation, from) {
            return;
        }
        log.version += wire.len() as u64;
        let changes: Vec<Change> = wire.into_iter().map(change).collect();
        for change in &changes {
            apply(&mut log.records, &change.key, change.value.as_ref());
        }
        self.tell(News::Records { owner, replace: false, changes: Changes::Listed(changes) });
    }

    /// A whole log: taken if its owner lives and it is newer.
    fn take_log(&mut self, (owner, generation, version, wire): WireLog<'_>) {
        let lives = self.peers.get(&owner).is_some_and(|peer| peer.health == Health::Alive);
        let have = self.logs.get(&owner).map(|log| (log.generation, log.version));
        if owner == self.me.id || !lives || have >= Some((generation, version)) {
            return;
        }
        let changes: Vec<Change> = wire.into_iter().map(change).collect();
        let mut records = BTreeMap::new();
        for change in &changes {
            apply(&mut records, &change.key, change.value.as_ref());
        }
        self.logs.insert(owner, Log { generation, version, records });
        self.tell(News::Records { owner, replace: true, changes: Changes::Listed(changes) });
    }

    fn heard(
        &mut self,
        now: Moment,
        (id, boot, generation, name, address): WirePeer<'_>,
        health: Health,
        at: Moment,
    ) {
        let Ok(address) = address.parse() else { return };
        if id == self.me.id {
            // Somebody has our disk, or the network our own octets. The lower boot gives way.
            if boot > self.me.boot && health == Health::Alive {
                self.rename(NodeId(self.me.boot));
            }
            return;
        }
        let info = NodeInfo { id, boot, name: name.into(), address };
        match self.peers.get_mut(&id) {
            Some(peer) => {
                peer.heard = peer.heard.max(at);
                peer.generation = peer.generation.max(generation);
                if peer.health == health || peer.health == Health::Left || now.since(at) > SILENCE_MAX {
                    return;
                }
                peer.health = health;
                peer.info = Arc::new(info);
            }
            None => {
                self.peers.insert(id, Peer { info: Arc::new(info), generation, heard: at, health });
            }
        }
        let info = self.peers[&id].info.clone();
        self.tell(News::Member { id, address: info.address, health });
        let held = if health == Health::Left { Held::Hidden } else { Held::Full };
        self.tell(News::Lease { owner: id, held });
        if health == Health::Left {
            self.logs.remove(&id);
        }
    }

    fn rename(&mut self, id: NodeId) {
        let NodeInfo { boot, name, address, .. } = (*self.me).clone();
        self.me = Arc::new(NodeInfo { id, boot, name, address });
        self.own.generation = Generation(1);
        self.tell(News::Identity(id, Generation(1)));
    }

    fn take_cluster(&mut self, wire: Vec<WireCluster<'_>>) {
        for (key, stamp, value) in wire {
            self.lamport = self.lamport.max(stamp.0);
            if self.cluster.get(key).is_none_or(|(have, _)| *have < stamp) {
                let value = value.map(Bytes::copy_from_slice);
                let key = Bytes::copy_from_slice(key);
                self.cluster.insert(key.clone(), (stamp, value.clone()));
                let mut stored = Vec::new();
                codec::encode(&mut stored, &(stamp, value.as_deref()));
                self.tell(News::Cluster { change: Change { key, value }, stored: Some(stored.into()) });
            }
        }
    }

    fn change_cluster(&mut self, key: Bytes, value: Option<Bytes>) {
        self.lamport += 1;
        let stamp = (self.lamport, self.me.id);
        self.take_cluster(vec![(&key, stamp, value.as_deref())]);
        let mut octets = Vec::new();
        codec::encode(&mut octets, &(CLUSTER, vec![(&key[..], stamp, value.as_deref())]));
        self.say_to_all(octets);
    }

    fn ask(&mut self) {
        let living = self.peers.values().filter(|peer| peer.health == Health::Alive);
        let addresses: Vec<SocketAddr> =
            living.map(|peer| peer.info.address).chain(self.seeds.iter().copied()).collect();
        let Some(&to) = self.rng.choice(&addresses) else { return };
        self.streams += 1;
        let stream = StreamId(self.streams);
        let heads: Vec<(NodeId, Generation, u64)> =
            self.logs.iter().map(|(id, log)| (*id, log.generation, log.version)).collect();
        let mut talk = Talk { asked: true, ..Talk::default() };
        frame(&mut talk.to_send, |octets| codec::encode(octets, &heads));
        self.talks.insert(stream, talk);
        self.outputs.push_back(Wish::Open { stream, to });
    }

    fn answer(&self, heads: Vec<(NodeId, Generation, u64)>) -> Vec<u8> {
        let heads: BTreeMap<NodeId, (Generation, u64)> =
            heads.into_iter().map(|(id, generation, version)| (id, (generation, version))).collect();
        let known = self.peers.values().filter(|peer| peer.health == Health::Alive);
        let mut peers: Vec<WirePeer<'_>> = known
            .map(|Peer { info, generation, .. }| {
                (info.id, info.boot, *generation, &info.name[..], info.address.to_string())
            })
            .collect();
        peers.push(self.wire_me());
        let own = (&self.me.id, &self.own);
        let mut size = 0;
        let mut logs: Vec<WireLog<'_>> = Vec::new();
        for (id, log) in self.logs.iter().chain(self.ready.then_some(own)) {
            if size > ANSWER_OCTETS_MAX || heads.get(id) >= Some(&(log.generation, log.version)) {
                continue;
            }
            let records: Vec<WireRecord<'_>> =
                log.records.iter().map(|(key, value)| (&key[..], Some(&value[..]))).collect();
            size += log.records.iter().map(|(key, value)| key.len() + value.len() + 8).sum::<usize>();
            logs.push((*id, log.generation, log.version, records));
        }
        let cluster: Vec<WireCluster<'_>> =
            self.cluster.iter().map(|(key, (stamp, value))| (&key[..], *stamp, value.as_deref())).collect();
        let answer: WireAnswer<'_> = (peers, logs, cluster);
        let mut octets = Vec::new();
        frame(&mut octets, |octets| codec::encode(octets, &answer));
        octets
    }

    fn pump(&mut self, stream: StreamId) {
        let Some(talk) = self.talks.get_mut(&stream) else { return };
        let octets: Vec<u8> = talk.to_send.drain(..talk.room.min(talk.to_send.len())).collect();
        talk.room -= octets.len();
        let over = talk.ends && talk.to_send.is_empty();
        if !octets.is_empty() {
            self.sent[1].1 += octets.len() as u64;
            self.outputs.push_back(Wish::Write { stream, octets: octets.into() });
        }
        if over {
            self.talks.remove(&stream);
            self.outputs.push_back(Wish::Close(stream));
        }
    }

    fn sync(&mut self, alone: bool) {
        if self.alone.take().is_some() {
            self.tell(News::Synced(alone));
        }
    }
}

fn frame(octets: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = octets.len();
    octets.extend_from_slice(&[0; 4]);
    fill(octets);
    let len = (octets.len() - start - 4) as u32;
    octets[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn change((key, value): WireRecord<'_>) -> Change {
    Change { key: Bytes::copy_from_slice(key), value: value.map(Bytes::copy_from_slice) }
}

fn apply(records: &mut BTreeMap<Bytes, Bytes>, key: &Bytes, value: Option<&Bytes>) {
    match value {
        Some(value) => records.insert(key.clone(), value.clone()),
        None => records.remove(key),
    };
}
