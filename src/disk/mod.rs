//! Floor 3: what outlives the process. One directory (`server.state_dir`), used by one process at a time.
//!
//! ```text
//! identity     who this node is, and how often it has started        replaced whole
//! peers        where the members were                                replaced whole
//! ring         the cluster's keys, once they were rotated            replaced whole
//! shared       which zones come from members, and from whom          replaced whole
//! records      the cluster-wide records, as of some moment           replaced whole
//! journal      what changed of them since                            grows, frame by frame
//! zone.ORIGIN  a zone that was transferred                           replaced whole
//! changes.ORIGIN   what changed of it since                          grows, frame by frame
//! earlier.ORIGIN   what changed before that                          replaced by changes.ORIGIN
//! updated-zone.ORIGIN and so on   the same of one that has a file here, and was updated
//! file-zone.ORIGIN and so on      the same of one that has a file here and goes to others: what led to it
//! lock         locked while a process uses the directory
//! NAME.tmp         a replacement that was not finished; nobody reads it
//! NAME.broken-1    what was unreadable, set aside for a person to look at
//! ```
//!
//! **The law of use: what [`StateDir`] was told is on disk when the call returns without an error; records only
//! when [`StateDir::sync`] has. After an error the same call may be made again: nothing is lost by it.** A file
//! holds what was acknowledged last, or what was being written when the process ended, and nothing in between;
//! faulty files are set aside with a [`Notice`], never read in part, overwritten or dropped.
//!
//! It does not know what a record, a key of the ring or an id means, who is in the cluster, or what time it is. It
//! is slow, as disks are: the thread in front of it is `keeper`.
//!
//! # Reading order
//!
//! [`fault`]: what can go wrong. `envelope`: the form of every file. `hand`: how the disk is touched. `journal`,
//! `records`: the cluster-wide records. [`place`]: which directory, if none is named.

pub mod changes;
#[cfg(test)]
mod crash;
mod envelope;
pub mod fault;
mod hand;
mod journal;
pub mod place;
mod records;
pub mod sum;
#[cfg(test)]
mod tests;
pub mod zones;

use bytes::Bytes;
use envelope::{ENVELOPE_OCTETS, Kind, Rest, Unsound, open_whole, seal};
use fault::{DiskError, Notice};
use hand::Hand;
use records::Records;
use std::net::SocketAddr;
use std::path::Path;

/// Octets of the key of one cluster-wide record: a name and a type take far less.
pub const KEY_OCTETS_MAX: usize = 4 << 10;
/// Octets of its value: a set of records fits into a message of 64 KiB, text and stamps included in a few more.
pub const VALUE_OCTETS_MAX: usize = 1 << 20;
/// Octets of all cluster-wide records: a million of them. They are written as a whole now and then.
pub const CLUSTER_OCTETS_MAX: u64 = 256 << 20;
/// Members remembered: one that still lives is enough to find the cluster again.
pub const PEERS_MAX: usize = 1_024;
/// Octets of the key ring: hundreds of keys.
pub const RING_OCTETS_MAX: usize = 64 << 10;
/// Octets of the list of shared zones: a hundred thousand of them.
pub const SHARED_OCTETS_MAX: usize = 16 << 20;

/// Octets of the file `peers`: an IPv6 address with zone and port takes at most 60.
const PEERS_OCTETS_MAX: usize = PEERS_MAX * 64;

/// What becomes of one cluster-wide record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which record; at most [`KEY_OCTETS_MAX`].
    pub key: Bytes,
    /// What it is now, at most [`VALUE_OCTETS_MAX`]; `None` forgets the key, as if it had never been. That a record
    /// was deleted is a value like any other here.
    pub value: Option<Bytes>,
}

/// What the directory held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Who this node was; `None` at its first start, or if the file was lost: then it has to become somebody new.
    pub id: Option<u64>,
    /// The life it had; 0 without an id. The next is one higher, and on disk before anybody hears of it.
    pub generation: u32,
    /// The cluster-wide records, by rising key.
    pub cluster: Vec<(Bytes, Bytes)>,
    /// Where members were seen last.
    pub peers: Vec<SocketAddr>,
    /// The key ring, if it was ever rotated.
    pub ring: Option<Vec<u8>>,
    /// The list of shared zones, if there ever was one.
    pub shared: Option<Vec<u8>>,
    /// What was wrong, and what was done about it.
    pub notices: Vec<Notice>,
}

/// The directory, locked for this process until it is dropped.
pub struct StateDir {
    hand: Hand,
    records: Records,
}

impl StateDir {
    /// Locks the directory, making it if it is missing (those above it must be there), and reads what it holds.
    pub fn open(dir: &Path) -> Result<(StateDir, Restored), DiskError> {
        StateDir::read(Hand::open(dir)?)
    }

    fn read(hand: Hand) -> Result<(StateDir, Restored), DiskError> {
        hand.remove_drafts();
        let mut notices = Vec::new();
        let identity = read_file(&hand, Kind::Identity, 12, IDENTITY_LOST, &mut notices, |octets| {
            let mut rest = Rest::new(octets);
            Ok((rest.u64("the id")?, rest.u32("the generation")?))
        })?;
        let peers = read_file(&hand, Kind::Peers, PEERS_OCTETS_MAX, PEERS_LOST, &mut notices, parse_peers)?;
        let ring = read_file(&hand, Kind::Ring, RING_OCTETS_MAX, RING_LOST, &mut notices, |octets| {
            Ok(octets.to_vec())
        })?;
        let shared =
            read_file(&hand, Kind::Shared, SHARED_OCTETS_MAX, SHARED_LOST, &mut notices, |octets| {
                Ok(octets.to_vec())
            })?;
        let records = Records::open(&hand, &mut notices)?;
        let restored = Restored {
            id: identity.map(|(id, _)| id),
            generation: identity.map_or(0, |(_, generation)| generation),
            cluster: records.all().collect(),
            peers: peers.unwrap_or_default(),
            ring,
            shared,
            notices,
        };
        Ok((StateDir { hand, records }, restored))
    }

    /// Remembers who this node is, and which life it has.
    pub fn write_identity(&mut self, id: u64, generation: u32) -> Result<(), DiskError> {
        let mut body = id.to_le_bytes().to_vec();
        body.extend_from_slice(&generation.to_le_bytes());
        self.hand.replace(Kind::Identity, &seal(Kind::Identity, &body))
    }

    /// Remembers where members are: the first [`PEERS_MAX`] of these.
    pub fn write_peers(&mut self, peers: &[SocketAddr]) -> Result<(), DiskError> {
        let body: String = peers.iter().take(PEERS_MAX).map(|peer| format!("{peer}\n")).collect();
        self.hand.replace(Kind::Peers, &seal(Kind::Peers, body.as_bytes()))
    }

    /// Remembers the key ring; at most [`RING_OCTETS_MAX`].
    pub fn write_ring(&mut self, ring: &[u8]) -> Result<(), DiskError> {
        self.write_bounded(Kind::Ring, ring, ("the key ring", RING_OCTETS_MAX))
    }

    /// Remembers which zones are shared; at most [`SHARED_OCTETS_MAX`].
    pub fn write_shared(&mut self, shared: &[u8]) -> Result<(), DiskError> {
        self.write_bounded(Kind::Shared, shared, ("the list of shared zones", SHARED_OCTETS_MAX))
    }

    /// `what` is for people, and has so many octets at most.
    fn write_bounded(
        &mut self,
        kind: Kind,
        body: &[u8],
        (what, octets_max): (&'static str, usize),
    ) -> Result<(), DiskError> {
        if body.len() > octets_max {
            let (octets, octets_max) = (body.len() as u64, octets_max as u64);
            return Err(DiskError::TooLarge { what, octets, octets_max });
        }
        self.hand.replace(kind, &seal(kind, body))
    }

    /// Takes changes of cluster-wide records in, in this order; the next [`sync`](StateDir::sync) brings them to
    /// the disk. The only error is that something is too large; then none of them is taken.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), DiskError> {
        self.records.append(entries)
    }

    /// True if [`sync`](StateDir::sync) has something to do.
    pub fn is_dirty(&self) -> bool {
        self.records.is_dirty()
    }

    /// Waits until all records that were appended are on disk. After a crash the disk has the records of some sync,
    /// this or a later one, and never a part of what one sync wrote.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.records.sync(&self.hand)
    }
}

const IDENTITY_LOST: &str =
    "THIS NODE GETS A NEW ID: to the cluster it is a new member, and the old one is lost";
const PEERS_LOST: &str = "members are looked for at the addresses of gossip.join alone";
const SHARED_LOST: &str = "zones that members share are served once a member has said so";
const RING_LOST: &str =
    "the keys of gossip.keys_file are used; if they were rotated since, put the new ones there";

/// The content of a file that is replaced whole; `None` if there is none, or if it had to be set aside.
fn read_file<T>(
    hand: &Hand,
    kind: Kind,
    body_octets_max: usize,
    lost: &'static str,
    notices: &mut Vec<Notice>,
    parse: impl Fn(&[u8]) -> Result<T, Unsound>,
) -> Result<Option<T>, DiskError> {
    let octets_max = (body_octets_max + ENVELOPE_OCTETS) as u64 + 1;
    let Some(octets) = hand.read(kind, octets_max)? else { return Ok(None) };
    match open_whole(kind, &octets).and_then(&parse) {
        Ok(value) => Ok(Some(value)),
        Err(unsound) => {
            notices.push(records::set_aside(hand, kind, unsound, lost)?);
            Ok(None)
        }
    }
}

fn parse_peers(octets: &[u8]) -> Result<Vec<SocketAddr>, Unsound> {
    let (mut peers, mut at) = (Vec::new(), envelope::HEAD_OCTETS);
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let text = std::str::from_utf8(line).unwrap_or_default().trim_end();
        let unsound = |_| Unsound::at(at, "an address with its port", format!("{text:?}"));
        peers.push(text.parse().map_err(unsound)?);
        at += line.len();
    }
    Ok(peers)
}
