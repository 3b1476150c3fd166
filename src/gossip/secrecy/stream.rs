//! A stream between two nodes: a hello from each side, then records until a last one.
//!
//! ```text
//!  sealed   │ version, kind │ hint 8 │ sender 8 │ boot 8 │ salt 16 │ records ...
//!  in clear │ version, kind │ mark 4 │ sender 8 │ boot 8 │ records ...
//! ```
//!
//! The keys of both directions are made from both hellos, so each stream has its own: a recorded stream opens
//! nothing, and needs no challenge. So nobody can write before the other side's hello has come. Each side seals
//! with its own first key; the two may differ while a key is being rotated.
//!
//! Does not know what is written, or when to give up waiting.

use super::derive::Root;
use super::header::{self, Kind};
use super::record::{Direction, Follows, RECORD_HEADER, RECORD_OCTETS_MAX};
use super::refusal::Refused;
use super::{Peer, Secrecy};
use crate::gossip::identity::NodeId;
use bytes::Bytes;
use std::fmt;

const HELLO_SEALED: usize = 1 + 8 + 8 + 8 + 16;
const HELLO_CLEAR: usize = 1 + 4 + 8 + 8;

/// Which side of a stream a node is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It opened the stream.
    Opener,
    /// It took it.
    Accepter,
}

/// Why nothing can be written now. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// The other side's hello has not come: try again after the next [`Stream::read`].
    TooEarly,
    /// [`Stream::finish`] was called before.
    Finished,
}

/// One stream, both directions. Holds at most one record of what was read and nothing of what was written.
pub struct Stream {
    side: Side,
    me: Peer,
    /// The key that this side seals with; `None`: in clear.
    root: Option<Root>,
    hello: Bytes,
    writing: Writing,
    reading: Reading,
    /// Of what is being read, the octets that came so far.
    partial: Vec<u8>,
}

enum Writing {
    Waits,
    Open(Direction),
    Finished,
}

enum Reading {
    /// The other side's hello.
    Hello,
    /// Records of a peer, `proven` once the first of them opened.
    Records { direction: Direction, peer: Peer, proven: bool },
    /// The last record came.
    Ended(Peer),
    /// The stream is dead.
    Refused(Refused),
}

impl Secrecy {
    /// Begins a stream: send its [`Stream::hello`], then hand it what comes.
    pub fn stream(&mut self, side: Side) -> Stream {
        let root = self.roots.first().cloned();
        let mut hello = Vec::with_capacity(HELLO_SEALED);
        hello.push(header::first(if root.is_some() { Kind::Said } else { Kind::Clear }, 0));
        match &root {
            Some(root) => hello.extend_from_slice(root.hint()),
            None => hello.extend_from_slice(&self.mark),
        }
        hello.extend_from_slice(&self.me.id.0.to_be_bytes());
        hello.extend_from_slice(&self.me.boot.to_be_bytes());
        if root.is_some() {
            self.streams += 1;
            let salt = ring::hmac::sign(&self.salts, &[b"salt", &self.streams.to_be_bytes()[..]].concat());
            hello.extend(salt.as_ref().iter().take(16));
        }
        Stream {
            side,
            me: self.me,
            root,
            hello: hello.into(),
            writing: Writing::Waits,
            reading: Reading::Hello,
            partial: Vec::new(),
        }
    }
}

impl Stream {
    /// What to send before anything else.
    pub fn hello(&self) -> Bytes {
        self.hello.clone()
    }

    /// True once something can be written.
    pub fn is_writable(&self) -> bool {
        matches!(self.writing, Writing::Open(_))
    }

    /// True once the other side has said, provably, that nothing more comes.
    pub fn is_ended(&self) -> bool {
        matches!(self.reading, Reading::Ended(_))
    }

    /// Who is on the other side, once that is proven: with keys by its first record, in clear by its hello.
    /// Nothing large should be sent before.
    pub fn peer(&self) -> Option<Peer> {
        match &self.reading {
            Reading::Records { peer, proven: true, .. } | Reading::Ended(peer) => Some(*peer),
            Reading::Records { proven: false, .. } | Reading::Hello | Reading::Refused(_) => None,
        }
    }

    /// Octets of an unfinished record, for bounds: at most a record.
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Appends records with `plain` to `octets`, which are to be sent.
    pub fn write(&mut self, plain: &[u8], octets: &mut Vec<u8>) -> Result<(), Unwritable> {
        let direction = self.writing.direction()?;
        plain.chunks(RECORD_OCTETS_MAX).for_each(|content| direction.seal(content, Follows::More, octets));
        Ok(())
    }

    /// Appends the last record: nothing can be written afterwards.
    pub fn finish(&mut self, octets: &mut Vec<u8>) -> Result<(), Unwritable> {
        self.writing.direction()?.seal(&[], Follows::Nothing, octets);
        self.writing = Writing::Finished;
        Ok(())
    }

    /// Takes octets as they came, cut anywhere, and appends what they open to `plain`: never more than came now
    /// and one record. After a refusal the stream is dead; close it.
    pub fn read(&mut self, secrecy: &mut Secrecy, octets: &[u8], plain: &mut Vec<u8>) -> Result<(), Refused> {
        let mut rest = octets;
        while !rest.is_empty() {
            if let Err(why) = self.step(secrecy, &mut rest, plain) {
                return Err(self.refuse(secrecy, why));
            }
        }
        Ok(())
    }

    /// The other side sends no more. An error if it did not say so before: then it was cut off.
    pub fn end(&mut self, secrecy: &mut Secrecy) -> Result<(), Refused> {
        match &self.reading {
            Reading::Ended(_) => Ok(()),
            Reading::Refused(why) => Err(*why),
            Reading::Hello | Reading::Records { .. } => Err(self.refuse(secrecy, Refused::Truncated)),
        }
    }

    /// Kills the stream. What it died of is counted once.
    fn refuse(&mut self, secrecy: &mut Secrecy, why: Refused) -> Refused {
        if !matches!(self.reading, Reading::Refused(_)) {
            secrecy.refusals.count(why);
            self.reading = Reading::Refused(why);
            self.partial = Vec::new();
        }
        why
    }

    /// Takes some octets from `rest`, at least one, or refuses.
    fn step(&mut self, secrecy: &Secrecy, rest: &mut &[u8], plain: &mut Vec<u8>) -> Result<(), Refused> {
        match &mut self.reading {
            Reading::Refused(why) => Err(*why),
            Reading::Ended(_) => Err(Refused::Malformed),
            Reading::Hello => {
                let wanted = match (self.partial.first(), rest.first()) {
                    (Some(first), _) | (None, Some(first)) => self.hello_octets(*first)?,
                    (None, None) => return Ok(()),
                };
                if fill(&mut self.partial, wanted, rest) {
                    self.greet(secrecy)?;
                    self.partial.clear();
                }
                Ok(())
            }
            Reading::Records { direction, peer, proven } => {
                if !fill(&mut self.partial, RECORD_HEADER, rest) {
                    return Ok(());
                }
                let header = self.partial.first_chunk().copied().ok_or(Refused::Truncated)?;
                let (follows, wanted) = direction.announced(header)?;
                if !fill(&mut self.partial, wanted, rest) {
                    return Ok(());
                }
                plain.extend_from_slice(direction.open(&mut self.partial)?);
                self.partial.clear();
                *proven = true;
                if follows == Follows::Nothing {
                    self.reading = Reading::Ended(*peer);
                    self.partial = Vec::new();
                }
                Ok(())
            }
        }
    }

    /// Octets of a hello that begins with this one.
    fn hello_octets(&self, first: u8) -> Result<usize, Refused> {
        let (kind, extra) = header::split_first(first)?;
        match (kind, extra, self.root.is_some()) {
            (Kind::Said, 0, true) => Ok(HELLO_SEALED),
            (Kind::Said, 0, false) => Err(Refused::Sealed),
            (Kind::Clear, 0, false) => Ok(HELLO_CLEAR),
            (Kind::Clear, 0, true) => Err(Refused::Unsealed),
            (Kind::Said | Kind::Clear | Kind::Challenge | Kind::Answer, ..) => Err(Refused::Malformed),
        }
    }

    /// Takes the other side's hello, which is whole.
    fn greet(&mut self, secrecy: &Secrecy) -> Result<(), Refused> {
        let theirs = &self.partial[..];
        let mut rest = theirs.get(1..).ok_or(Refused::Truncated)?;
        let their_root = match &self.root {
            Some(_) => {
                let hint = header::take(&mut rest)?;
                let root = secrecy.roots.iter().find(|root| *root.hint() == hint);
                Some(root.ok_or(Refused::Foreign)?)
            }
            None if header::take(&mut rest)? != secrecy.mark => return Err(Refused::Foreign),
            None => None,
        };
        let id = NodeId(u64::from_be_bytes(header::take(&mut rest)?));
        let peer = Peer { id, boot: u64::from_be_bytes(header::take(&mut rest)?) };
        if peer == self.me {
            return Err(Refused::Own);
        }
        let (opener, accepter) = match self.side {
            Side::Opener => (&self.hello[..], theirs),
            Side::Accepter => (theirs, &self.hello[..]),
        };
        let cipher = |root: &Root, sealer: Side| Box::new(root.stream(sealer as u8, opener, accepter));
        let other_side = match self.side {
            Side::Opener => Side::Accepter,
            Side::Accepter => Side::Opener,
        };
        let writing = Direction::new(self.root.as_ref().map(|root| cipher(root, self.side)));
        let reading = Direction::new(their_root.map(|root| cipher(root, other_side)));
        self.writing = Writing::Open(writing);
        self.reading = Reading::Records { direction: reading, peer, proven: their_root.is_none() };
        Ok(())
    }
}

impl Writing {
    fn direction(&mut self) -> Result<&mut Direction, Unwritable> {
        match self {
            Writing::Open(direction) => Ok(direction),
            Writing::Waits => Err(Unwritable::TooEarly),
            Writing::Finished => Err(Unwritable::Finished),
        }
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unwritable::TooEarly => "the other side has not said hello",
            Unwritable::Finished => "the stream was finished",
        })
    }
}

impl std::error::Error for Unwritable {}

/// Moves octets from `rest` until `partial` has `wanted`; false if they did not suffice.
fn fill(partial: &mut Vec<u8>, wanted: usize, rest: &mut &[u8]) -> bool {
    let missing = wanted.saturating_sub(partial.len()).min(rest.len());
    let (octets, behind) = rest.split_at(missing);
    partial.extend_from_slice(octets);
    *rest = behind;
    partial.len() >= wanted
}
