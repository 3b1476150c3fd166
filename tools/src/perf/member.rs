//! A member of the server's cluster: the library's own gossip machine over real sockets, which writes cluster-wide
//! records at a rate and watches over the DNS when they are served.
//!
//! It runs on a thread of its own that gives its core away between turns.

use crate::clock;
use crate::wire::{Type, write_query};
use bytes::Bytes;
use hivedns::base::time::Moment;
use hivedns::gossip::identity::{Generation, NodeId};
use hivedns::gossip::machine::{Gossip, Settings, Start};
use hivedns::gossip::output::{DATAGRAM_OCTETS_MAX, NodeInfo, Output, StreamId};
use hivedns::gossip::replication::leases::FreezeRule;
use hivedns::os::clock as server_clock;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

/// Who it is; its clients are told apart from any other writer's by it.
pub(super) const MEMBER: NodeId = NodeId(0x7001);
/// Between two turns.
const TURN: Duration = Duration::from_micros(500);
/// Octets that a stream may have waiting.
const STREAM_ROOM: usize = 256 << 10;
/// Octets read from a stream at once.
const READ_OCTETS: usize = 64 << 10;
/// Between two changes that are watched until they are served.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// When a question of a watch is asked again: it may have been lost.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// How long a watched change may take at most.
const WATCH_MAX: Duration = Duration::from_secs(30);

/// A record's key and value, as the cluster replicates them.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// The record of a name's number with that address, as it is replicated; the name in plain text.
pub(super) trait Records: Send {
    /// A record.
    fn record(&self, number: u32, address: Ipv4Addr) -> Record;
    /// Its name.
    fn name(&self, number: u32) -> String;
    /// How many numbers there are; the last is the one that is watched.
    fn count(&self) -> u32;
}

/// What the member is asked for.
pub(super) enum Wish {
    /// Change so many records per second from now on.
    Change(f64),
    /// Stop changing, wait until the last change is served, and tell.
    Settle(Sender<Result<Changes, String>>),
}

/// What came of some seconds of changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    /// Changes written.
    pub(super) written: u64,
    /// From the first to the last.
    pub(super) seconds: f64,
    /// From the last change until it was served.
    pub(super) settled_ms: f64,
    /// From a change until it was served, for some while the others went on.
    pub(super) served_ms: Vec<f64>,
}

struct Stream {
    tcp: TcpStream,
    waiting: VecDeque<Bytes>,
    sent: usize,
    queued: usize,
    is_closing: bool,
}

/// A change that is watched.
struct Watch {
    address: Ipv4Addr,
    since: Instant,
    asked: Instant,
}

/// See the module.
pub(super) struct Member<R> {
    gossip: Gossip,
    udp: UdpSocket,
    listener: TcpListener,
    streams: BTreeMap<StreamId, Stream>,
    wake_at: Moment,
    buffer: Vec<u8>,
    records: R,
    /// Asks the server.
    client: UdpSocket,
    question: Vec<u8>,
    watch: Option<Watch>,
    served_ms: Vec<f64>,
    /// Changes ever made: also what the next one says.
    number: u32,
}

impl<R: Records> Member<R> {
    /// Joins the server at `gossip`, and returns once it knows what the server knows. `restored`: the records that both
    /// begin with, in the form of the disk.
    pub(super) fn join(
        gossip: SocketAddr,
        dns: SocketAddr,
        records: R,
        restored: &[Record],
        patience: Duration,
    ) -> Result<Member<R>, String> {
        let failed = |error: io::Error| format!("the changing member: {error}");
        let mut member = Member::new(dns, records, restored).map_err(failed)?;
        let now = moment();
        member.gossip.join(now, &[gossip], true);
        member.drain(now);
        member.until_synced(patience)?;
        Ok(member)
    }

    fn new(dns: SocketAddr, records: R, restored: &[Record]) -> io::Result<Member<R>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let udp = UdpSocket::bind(address)?;
        udp.set_nonblocking(true)?;
        let client = crate::socket::client(dns)?;
        let now = moment();
        let info = NodeInfo { id: MEMBER, boot: 1, name: "changer".into(), address };
        let settings = Settings {
            cluster: "default".to_owned(),
            membership: Default::default(),
            freeze: FreezeRule { share: 0.34, max: Duration::from_secs(3_600) },
            measures: false,
        };
        let start =
            Start { info, generation: Generation(1), ring: Default::default(), secret: [7; 32], seed: 7 };
        let mut machine = Gossip::new(now, &settings, start);
        for (_, stored) in restored {
            machine.restore_cluster(now, stored);
        }
        let mut question = Vec::new();
        write_query(&mut question, &records.name(records.count() - 1), Type::A, None);
        let mut member = Member {
            gossip: machine,
            udp,
            listener,
            streams: BTreeMap::new(),
            wake_at: now,
            buffer: vec![0; READ_OCTETS],
            records,
            client,
            question,
            watch: None,
            served_ms: Vec::new(),
            number: 0,
        };
        member.gossip.ready(now);
        member.drain(now);
        Ok(member)
    }

    /// Takes turns until it is a member and knows what the others know.
    fn until_synced(&mut self, patience: Duration) -> Result<(), String> {
        let begun = clock::now();
        while !self.gossip.is_synced() || self.gossip.membership().alive() == 0 {
            if clock::now() - begun > patience {
                return Err("the server did not let the changing member in".to_owned());
            }
            self.turn();
            clock::pause(TURN);
        }
        Ok(())
    }

    /// Does what it is asked for, until nobody can ask any more.
    pub(super) fn run(mut self, wishes: &Receiver<Wish>) {
        let (mut rate, mut begun, mut written) = (0.0, clock::now(), 0u64);
        let mut probed = begun;
        loop {
            match wishes.try_recv() {
                Ok(Wish::Change(per_second)) => {
                    (rate, begun, written) = (per_second, clock::now(), 0);
                    self.served_ms.clear();
                }
                Ok(Wish::Settle(answer)) => {
                    let seconds = (clock::now() - begun).as_secs_f64();
                    rate = 0.0;
                    let settled = self.settle();
                    let changes = settled.map(|settled_ms| Changes {
                        written,
                        seconds,
                        settled_ms,
                        served_ms: std::mem::take(&mut self.served_ms),
                    });
                    // Whoever asked may have gone.
                    let _ = answer.send(changes);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let now = clock::now();
            let due = ((now - begun).as_secs_f64() * rate) as u64;
            while written < due {
                self.change();
                written += 1;
            }
            if rate > 0.0 && self.watch.is_none() && now - probed >= PROBE_EVERY {
                probed = now;
                self.probe();
                written += 1;
            }
            self.turn();
            self.look();
            clock::pause(TURN);
        }
    }

    /// Changes one more record: a step that meets all of them, in an order that no block of the zone shares.
    fn change(&mut self) {
        self.number = self.number.wrapping_add(1);
        let names = self.records.count() - 1;
        let name = (u64::from(self.number) * 618_033 % u64::from(names)) as u32;
        self.write(name, self.number);
    }

    fn write(&mut self, name: u32, content: u32) -> Ipv4Addr {
        let address = Ipv4Addr::from(0x0a00_0000 | (content & 0x00ff_ffff));
        let (key, value) = self.records.record(name, address);
        let now = moment();
        self.gossip.write_cluster(now, &key, Some(&value));
        self.drain(now);
        address
    }

    /// Changes the record that is watched.
    fn probe(&mut self) {
        self.number = self.number.wrapping_add(1);
        let since = clock::now();
        let address = self.write(self.records.count() - 1, self.number);
        self.watch = Some(Watch { address, since, asked: since });
        self.ask();
    }

    fn ask(&mut self) {
        // A full buffer or a closed port: it is asked again.
        let _ = self.client.send(&self.question);
    }

    /// Looks whether the watched change is served.
    fn look(&mut self) {
        let mut octets = [0; 1_500];
        while let Ok(len) = self.client.recv(&mut octets) {
            let Some(watch) = &self.watch else { continue };
            // The answer ends with the only record's RDATA.
            if octets[..len].ends_with(&watch.address.octets()) {
                self.served_ms.push((clock::now() - watch.since).as_secs_f64() * 1e3);
                self.watch = None;
            }
        }
        let now = clock::now();
        if let Some(watch) = &mut self.watch
            && now - watch.asked >= ASK_AGAIN
        {
            watch.asked = now;
            self.ask();
        }
    }

    /// Makes a last change and waits until it is served; the milliseconds.
    fn settle(&mut self) -> Result<f64, String> {
        let (begun, told) = (clock::now(), self.served_ms.len());
        let told = told + usize::from(self.watch.is_some());
        let mut probed = false;
        while self.served_ms.len() <= told || !probed {
            if self.watch.is_none() && !probed {
                self.probe();
                probed = true;
            }
            if clock::now() - begun > WATCH_MAX {
                return Err(format!("a change was not served within {WATCH_MAX:?}"));
            }
            self.turn();
            self.look();
            clock::pause(TURN);
        }
        // The last is not one of those that were made while others went on.
        self.served_ms.pop();
        Ok((clock::now() - begun).as_secs_f64() * 1e3)
    }

    /// Takes what has come and does what is due.
    fn turn(&mut self) {
        let now = moment();
        while let Ok((tcp, from)) = self.listener.accept() {
            if let Some(id) = self.gossip.accept(now, from) {
                self.enter(now, id, tcp);
            }
        }
        loop {
            match self.udp.recv_from(&mut self.buffer) {
                Ok((len, from)) if len <= DATAGRAM_OCTETS_MAX => {
                    self.gossip.handle_datagram(now, from, &mut self.buffer[..len]);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Of an earlier datagram that found nobody.
                Err(_) => {}
            }
        }
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.read(now, id);
        }
        if self.wake_at <= now {
            self.gossip.handle_timeout(now);
        }
        self.drain(now);
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.flush(now, id);
        }
        self.drain(now);
    }

    fn enter(&mut self, now: Moment, id: StreamId, tcp: TcpStream) {
        let _ = (tcp.set_nonblocking(true), tcp.set_nodelay(true));
        let stream = Stream { tcp, waiting: VecDeque::new(), sent: 0, queued: 0, is_closing: false };
        self.streams.insert(id, stream);
        self.gossip.stream_writable(now, id, STREAM_ROOM);
    }

    fn read(&mut self, now: Moment, id: StreamId) {
        while let Some(stream) = self.streams.get_mut(&id) {
            match stream.tcp.read(&mut self.buffer) {
                Ok(len) if len > 0 => {
                    if !stream.is_closing {
                        self.gossip.stream_received(now, id, &self.buffer[..len]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.streams.remove(&id);
                    self.gossip.stream_closed(now, id);
                }
            }
        }
    }

    fn flush(&mut self, now: Moment, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.queued;
        let is_whole = stream.write();
        if !is_whole || (stream.is_closing && stream.queued == 0) {
            self.streams.remove(&id);
            self.gossip.stream_closed(now, id);
        } else if stream.queued < before && !stream.is_closing {
            let room = STREAM_ROOM - stream.queued.min(STREAM_ROOM);
            self.gossip.stream_writable(now, id, room);
        }
    }

    /// Does what the machine wants until it wants nothing.
    fn drain(&mut self, now: Moment) {
        loop {
            match self.gossip.poll(now) {
                Output::Datagram { to, octets } => {
                    // What a full buffer does not take is lost as on any network.
                    let _ = self.udp.send_to(&octets, to);
                }
                Output::Open { stream, to } => match TcpStream::connect(to) {
                    Ok(tcp) => {
                        self.gossip.stream_opened(now, stream);
                        self.enter(now, stream, tcp);
                    }
                    Err(_) => self.gossip.stream_closed(now, stream),
                },
                Output::Write { stream, octets } => {
                    if let Some(stream) = self.streams.get_mut(&stream) {
                        stream.queued += octets.len();
                        stream.waiting.push_back(octets);
                    }
                }
                Output::Close { stream } => {
                    if let Some(stream) = self.streams.get_mut(&stream) {
                        stream.is_closing = true;
                    }
                }
                Output::Event(_) => {}
                Output::Wake(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }
}

impl Stream {
    /// Sends as much as the socket takes; false if it is broken.
    fn write(&mut self) -> bool {
        while let Some(octets) = self.waiting.front() {
            match self.tcp.write(&octets[self.sent..]) {
                Ok(len) => {
                    self.sent += len;
                    self.queued -= len;
                    if self.sent == octets.len() {
                        self.sent = 0;
                        self.waiting.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn moment() -> Moment {
    server_clock::moment(server_clock::now())
}
