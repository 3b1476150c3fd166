//! Who updates a zone over and over (RFC 2136), with a bounded number of updates under way, and remembers what was
//! acknowledged.

use crate::histogram::Histogram;
use crate::wire::Header;
use crate::{clock, socket};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Opcode UPDATE in the third octet of a message (RFC 2136 §2.2).
const UPDATE: u8 = 5 << 3;
/// Types and classes: SOA, A; IN, ANY (RFC 2136 §2.5.2: with ANY a set is deleted).
const SOA: u16 = 6;
const A: u16 = 1;
const IN: u16 = 1;
const ANY: u16 = 255;
/// How long an update may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the updater sleeps where it has nothing to do: the core is shared.
const REST: Duration = Duration::from_micros(100);

/// The names that are updated, and the last address of each that was acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    origin: String,
    /// By number; 0 is none.
    pub(super) acknowledged: Vec<u32>,
}

/// What came of updating for a while.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Updates {
    pub(super) seconds: f64,
    pub(super) acknowledged: u64,
    /// With another code than NOERROR.
    pub(super) refused: u64,
    /// Without an answer in time.
    pub(super) lost: u64,
    /// Half, and 99 of a hundred, were acknowledged within.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

impl Updates {
    /// Acknowledged updates per second.
    pub(super) fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.seconds.max(1e-9)
    }
}

impl Ground {
    /// So many names below `origin`, none of them there yet.
    pub(super) fn new(origin: &str, names: usize) -> Ground {
        Ground { origin: origin.to_owned(), acknowledged: vec![0; names] }
    }

    /// The name of that number.
    pub(super) fn name(&self, number: usize) -> String {
        format!("dyn-{number}.{}", self.origin)
    }

    /// Puts the address in place of whatever addresses the name has.
    pub(super) fn update(&self, id: u16, number: usize, address: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend(id.to_be_bytes());
        // One zone, no prerequisites, two changes.
        out.extend([UPDATE, 0, 0, 1, 0, 0, 0, 2, 0, 0]);
        let zone_at = out.len();
        labels(&self.origin, &mut out);
        out.extend(SOA.to_be_bytes());
        out.extend(IN.to_be_bytes());
        let label = format!("dyn-{number}");
        let mut record = |class: u16, ttl: u32, rdata: &[u8]| {
            out.push(label.len() as u8);
            out.extend(label.as_bytes());
            out.extend((0xc000 | zone_at as u16).to_be_bytes());
            out.extend(A.to_be_bytes());
            out.extend(class.to_be_bytes());
            out.extend(ttl.to_be_bytes());
            out.extend((rdata.len() as u16).to_be_bytes());
            out.extend(rdata);
        };
        record(ANY, 0, &[]);
        record(IN, 60, &Ipv4Addr::from(address).octets());
        out
    }
}

fn labels(name: &str, out: &mut Vec<u8>) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
}

/// Under way: since when, which name, which address.
type UnderWay = (u16, Instant, usize, u32);

/// One who updates, from a socket of its own.
pub(super) struct Updater {
    socket: UdpSocket,
    ground: Ground,
    under_way: VecDeque<UnderWay>,
    sent: u32,
    updates: Updates,
    latencies: Histogram,
}

impl Updater {
    pub(super) fn new(target: SocketAddr, ground: Ground) -> io::Result<Updater> {
        let (socket, under_way) = (socket::client(target)?, VecDeque::new());
        let (updates, latencies) = (Updates::default(), Histogram::new());
        Ok(Updater { socket, ground, under_way, sent: 0, updates, latencies })
    }

    /// Updates until `stop`, at most `rate` per second and `outstanding` at once, then waits for what is under way.
    pub(super) fn run(&mut self, rate: f64, outstanding: usize, stop: &AtomicBool) -> io::Result<Updates> {
        (self.updates, self.latencies) = (Updates::default(), Histogram::new());
        let (begun, first) = (clock::now(), self.sent);
        let mut seconds = 0.0;
        loop {
            let has_heard = self.hear()?;
            let stops = stop.load(Ordering::Relaxed);
            if !stops {
                seconds = begun.elapsed().as_secs_f64();
            } else if self.under_way.is_empty() {
                break;
            }
            let due = (seconds * rate) as u32;
            let mut has_sent = false;
            while !stops && self.sent - first < due && self.under_way.len() < outstanding {
                self.send()?;
                has_sent = true;
            }
            if !has_heard && !has_sent {
                clock::pause(REST);
            }
        }
        self.updates.seconds = seconds;
        (self.updates.p50_ms, self.updates.p99_ms) =
            (self.latencies.percentile(50.0) as f64 / 1e6, self.latencies.percentile(99.0) as f64 / 1e6);
        Ok(self.updates)
    }

    /// One update, and the wait for it; how long it took.
    pub(super) fn one(&mut self) -> io::Result<(String, u32, Instant)> {
        self.send()?;
        let (_, _, number, address) = self.under_way[0];
        while !self.under_way.is_empty() {
            self.hear()?;
        }
        match self.ground.acknowledged[number] == address {
            true => Ok((self.ground.name(number), address, clock::now())),
            false => Err(io::Error::other("an update was not acknowledged")),
        }
    }

    /// The names and what they have to be.
    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    fn send(&mut self) -> io::Result<()> {
        let names = self.ground.acknowledged.len();
        // Scattered, and each name only once under way: a step that shares no factor with the count.
        let number = (self.sent as usize * 7_919) % names;
        let (id, address) = (self.sent as u16, 0x0a00_0001 + self.sent);
        self.sent += 1;
        self.socket.send(&self.ground.update(id, number, address))?;
        self.under_way.push_back((id, clock::now(), number, address));
        Ok(())
    }

    /// Takes what has come; true if anything has.
    fn hear(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 512];
        let mut has_heard = false;
        loop {
            let len = match self.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            has_heard = true;
            let Some(header) = Header::parse(&buffer[..len]) else { continue };
            let Some(at) = self.under_way.iter().position(|(id, ..)| *id == header.id) else { continue };
            let Some((_, since, number, address)) = self.under_way.remove(at) else { continue };
            self.latencies.record(since.elapsed().as_nanos() as u64);
            if header.rcode == 0 {
                self.updates.acknowledged += 1;
                self.ground.acknowledged[number] = address;
            } else {
                self.updates.refused += 1;
            }
        }
        while self.under_way.front().is_some_and(|(_, since, ..)| since.elapsed() > PATIENCE) {
            self.under_way.pop_front();
            self.updates.lost += 1;
        }
        Ok(has_heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_laid_out_as_the_rfc_says() {
        let ground = Ground::new("a.b.", 10);
        let update = ground.update(7, 3, 0x0a00_0102);
        assert_eq!(&update[..12], [0, 7, 0x28, 0, 0, 1, 0, 0, 0, 2, 0, 0]);
        let expected = b"\x01a\x01b\0\0\x06\0\x01\
            \x05dyn-3\xc0\x0c\0\x01\0\xff\0\0\0\0\0\0\
            \x05dyn-3\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\x01\x02";
        assert_eq!(&update[12..], expected);
        assert_eq!(ground.name(3), "dyn-3.a.b.");
    }
}
