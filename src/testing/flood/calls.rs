//! The machine's calls, as the world makes them.

use super::super::machine::{LEASE, Machine, Start, Warm};
use super::*;

impl Machine for Flood {
    const NAME: &'static str = "flood";
    type House = ();

    fn house(_: usize) {}

    fn start(_: &(), start: Start, now: Moment) -> Flood {
        let (id, generation) = start.identity();
        let mut rng = fastrand::Rng::with_seed(start.seed);
        let me = Arc::new(NodeInfo { id, boot: start.boot, name: start.name, address: start.address });
        let beat = now + Duration::from_micros(rng.u64(..1_000_000));
        let mut flood = Flood {
            me,
            own: Log { generation, ..Log::default() },
            ready: false,
            peers: BTreeMap::new(),
            logs: BTreeMap::new(),
            cluster: BTreeMap::new(),
            lamport: 0,
            seeds: Vec::new(),
            talks: BTreeMap::new(),
            streams: 0,
            outputs: VecDeque::new(),
            beat,
            alone: Some(now + ALONE_AFTER),
            rng,
            sent: [("datagrams", 0), ("stream octets", 0)],
        };
        flood.tell(News::Identity(id, generation));
        for (key, stored) in start.disk.cluster {
            if let Ok((stamp, value)) = codec::decode_all::<((u64, NodeId), Option<&[u8]>)>(&stored) {
                flood.take_cluster(vec![(&key, stamp, value)]);
            }
        }
        flood
    }

    fn warm(house: &(), nodes: Vec<Warm>) -> Vec<Flood> {
        let mut machines: Vec<(Flood, Moment)> = nodes
            .into_iter()
            .map(|Warm { start, now, records }| {
                let mut flood = Flood::start(house, start, now);
                flood.own.version = records.len() as u64;
                flood.own.records = records.into_iter().collect();
                flood.ready = true;
                flood.alone = None;
                (flood, now)
            })
            .collect();
        let all: Vec<(Arc<NodeInfo>, Log)> =
            machines.iter().map(|(flood, _)| (flood.me.clone(), flood.own.clone())).collect();
        for (flood, now) in &mut machines {
            for (info, log) in all.iter().filter(|(info, _)| info.id != flood.me.id) {
                let peer = Peer {
                    info: info.clone(),
                    generation: log.generation,
                    heard: *now,
                    health: Health::Alive,
                };
                flood.peers.insert(info.id, peer);
                flood.logs.insert(info.id, log.clone());
            }
        }
        machines.into_iter().map(|(flood, _)| flood).collect()
    }

    fn handle_datagram(&mut self, now: Moment, _: SocketAddr, octets: &mut [u8]) {
        let Some((&kind, body)) = octets.split_first() else { return };
        match kind {
            BEATS | LEFT => {
                let health = if kind == LEFT { Health::Left } else { Health::Alive };
                if let Ok(peer) = codec::decode_all::<WirePeer<'_>>(body) {
                    self.heard(now, peer, health, now);
                }
            }
            CHANGED => {
                if let Ok(log) = codec::decode_all(body) {
                    self.changed(log);
                }
            }
            CLUSTER => {
                if let Ok(records) = codec::decode_all(body) {
                    self.take_cluster(records);
                }
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Moment) {
        if self.alone.is_some_and(|at| at <= now) {
            self.sync(true);
        }
        if now < self.beat {
            return;
        }
        self.beat = now + BEAT;
        self.say_beat(false);
        self.ask();
        let mut lost = Vec::new();
        for (id, peer) in &mut self.peers {
            let silent = now.since(peer.heard);
            if peer.health == Health::Alive && silent > SILENCE_MAX {
                peer.health = Health::Down;
                lost.push((*id, Held::Counting));
            } else if peer.health == Health::Down && silent > LEASE && self.logs.remove(id).is_some() {
                lost.push((*id, Held::Hidden));
            }
        }
        for (owner, held) in lost {
            if held != Held::Hidden {
                let info = self.peers[&owner].info.clone();
                self.tell(News::Member { id: info.id, address: info.address, health: Health::Down });
            }
            self.tell(News::Lease { owner, held });
        }
    }

    fn accept(&mut self, _: Moment, _: SocketAddr) -> Option<StreamId> {
        self.streams += 1;
        self.talks.insert(StreamId(self.streams), Talk::default());
        Some(StreamId(self.streams))
    }

    fn stream_opened(&mut self, _: Moment, _: StreamId) {}

    fn stream_received(&mut self, now: Moment, stream: StreamId, octets: &[u8]) {
        let Some(talk) = self.talks.get_mut(&stream) else { return };
        talk.received.extend_from_slice(octets);
        let Some((len, body)) = talk.received.split_first_chunk::<4>() else { return };
        if body.len() < u32::from_be_bytes(*len) as usize {
            return;
        }
        let asked = talk.asked;
        let body = std::mem::take(&mut talk.received).split_off(4);
        if asked {
            if let Ok((peers, logs, cluster)) = codec::decode_all::<WireAnswer<'_>>(&body) {
                for peer in peers {
                    // Hearsay: it counts as heard of so long ago that it is soon asked for itself.
                    let stranger = !self.peers.contains_key(&peer.0);
                    if stranger {
                        self.heard(now, peer, Health::Alive, now);
                    }
                }
                logs.into_iter().for_each(|log| self.take_log(log));
                self.take_cluster(cluster);
                self.sync(false);
            }
            self.talks.remove(&stream);
            self.outputs.push_back(Wish::Close(stream));
        } else if let Ok(heads) = codec::decode_all(&body) {
            let answer = self.answer(heads);
            if let Some(talk) = self.talks.get_mut(&stream) {
                talk.to_send = answer;
                talk.ends = true;
            }
            self.pump(stream);
        }
    }

    fn stream_writable(&mut self, _: Moment, stream: StreamId, room: usize) {
        if let Some(talk) = self.talks.get_mut(&stream) {
            talk.room = room;
        }
        self.pump(stream);
    }

    fn stream_closed(&mut self, _: Moment, stream: StreamId) {
        self.talks.remove(&stream);
    }

    fn poll(&mut self, _: Moment) -> Wish {
        let wake = self.alone.map_or(self.beat, |alone| alone.min(self.beat));
        self.outputs.pop_front().unwrap_or(Wish::Wake(wake))
    }

    fn join(&mut self, _: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        self.seeds = addresses.to_vec();
        if addresses.is_empty() && all_resolved {
            self.sync(false);
        } else {
            self.say_beat(false);
            self.ask();
        }
    }

    fn put(&mut self, _: Moment, key: Bytes, value: Bytes) {
        self.change_own(vec![(key, Some(value))]);
    }

    fn remove(&mut self, _: Moment, key: Bytes) {
        self.change_own(vec![(key, None)]);
    }

    fn ready(&mut self, _: Moment) {
        self.ready = true;
    }

    fn cluster_put(&mut self, _: Moment, key: Bytes, value: Bytes) {
        self.change_cluster(key, Some(value));
    }

    fn cluster_remove(&mut self, _: Moment, key: Bytes) {
        self.change_cluster(key, None);
    }

    fn drain(&mut self, _: Moment) {
        let all = self.own.records.keys().map(|key| (key.clone(), None)).collect();
        self.change_own(all);
        self.tell(News::Drained(0));
    }

    fn leave(&mut self, _: Moment) {
        self.say_beat(true);
    }

    fn restarting(&mut self, _: Moment) {}

    fn force_leave(&mut self, _: Moment, id: NodeId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.health = Health::Left;
            self.logs.remove(&id);
            self.tell(News::Lease { owner: id, held: Held::Hidden });
        }
    }

    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.sent.iter().for_each(|(name, value)| tell(name, *value));
    }

    fn queued_octets(&self) -> usize {
        self.talks.values().map(|talk| talk.to_send.len()).sum()
    }

    fn dump(&self, lines: &mut String) {
        let own = (&self.me.id, &self.own);
        let mut logs: Vec<(&NodeId, &Log)> = self.logs.iter().chain([own]).collect();
        logs.sort_by_key(|(id, _)| **id);
        for (id, log) in logs {
            let _ = writeln!(lines, "{id} {} {}", log.generation.0, log.version);
            for (key, value) in &log.records {
                let _ = writeln!(lines, "{id} {key:?} {value:?}");
            }
        }
        for (key, (stamp, value)) in &self.cluster {
            let _ = writeln!(lines, "cluster {key:?} {stamp:?} {value:?}");
        }
    }
}
