//! An entry: a question and what is known of it, in words of eight octets.
//!
//! ```text
//! word 0   tag 32 | octets of the name 8 | type 16 | wants 2 | answered 1 | authentic 1 | -
//!      1   kept, in microseconds 54 | rcode 5 | rcode of the failure 5
//!      2   fresh, in seconds 32 | stale, in seconds 32
//!      3   the failure's end, in microseconds after `kept` 48 (0: none) | its extended error 16
//!      4   extended error 16 | octets of the records 15 | three counts of 11
//!      5   name | places of the TTLs, 16 each | records; each begins a word of its own
//! ```
//!
//! One entry holds an answer, a failure or both, so that a failure hides no answer that may still be told.
//!
//! Readers read while others write: what they see may be of two entries, and is believed only once the shard's
//! sequence says that nobody wrote. Until then nothing seen may lead out of bounds, or to a panic.

use super::life::{Life, micros};
use super::looked::Failing;
use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::octets::{le64_or_zero, u32_at};
use crate::base::time::Moment;
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::question::{Question, Wants};
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Octets of the records of one entry: whole answers of ordinary size, and no 64 KiB that push out hundreds of others.
pub const BODY_OCTETS_MAX: usize = 16 << 10;
/// Octets of the shortest record: a root's owner, type, class, TTL and length.
const RECORD_OCTETS_MIN: usize = 11;
/// Records of one entry.
const RECORDS_MAX: usize = BODY_OCTETS_MAX / RECORD_OCTETS_MIN;

/// Octets of a word.
pub(super) const WORD: usize = 8;
/// Words before the name.
const HEADER_WORDS: usize = 5;
/// Words of the longest entry.
pub(super) const ENTRY_WORDS_MAX: usize = HEADER_WORDS
    + NAME_OCTETS_MAX.div_ceil(WORD)
    + RECORDS_MAX.div_ceil(PLACES_PER_WORD)
    + BODY_OCTETS_MAX / WORD;
/// Places of TTLs in a word.
const PLACES_PER_WORD: usize = 4;

const COUNT_BITS: u32 = 11;
const LEN_BITS: u32 = 15;
const KEPT_BITS: u32 = 54;
const FAILING_BITS: u32 = 48;
const RCODE_BITS: u32 = 5;
const _: () = assert!(RECORDS_MAX < 1 << COUNT_BITS && BODY_OCTETS_MAX < 1 << LEN_BITS);
const _: () = assert!(Rcode::COUNT <= 1 << RCODE_BITS && KEPT_BITS + 2 * RCODE_BITS == 64);
const _: () = assert!(16 + LEN_BITS + 3 * COUNT_BITS == 64 && FAILING_BITS + 16 == 64);

/// The part of word 0 that is the question.
const KEY_MASK: u64 = (1 << 58) - 1;
const ANSWERED: u64 = 1 << 58;
const AUTHENTIC: u64 = 1 << 59;
/// Stands for no extended error: RFC 8914 leaves the code to private use, and nobody here uses it.
const NO_ERROR: u16 = u16::MAX;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Everything before the name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Of the hash, what the index needs.
    pub(super) tag: u32,
    name_len: u8,
    pub(super) rtype: RecordType,
    pub(super) wants: Wants,
    /// Whether there is an answer, or only a failure.
    pub(super) answered: bool,
    pub(super) authentic: bool,
    /// When, in microseconds of the process's clock.
    pub(super) kept: u64,
    rcode: u8,
    failing_rcode: u8,
    pub(super) life: Life,
    failing: u64,
    failing_error: Option<ExtendedError>,
    pub(super) error: Option<ExtendedError>,
    len: u16,
    pub(super) counts: [u16; 3],
}

impl Header {
    /// Of a body that is kept at `now`; `None` if the body, the name or the moment is beyond what an entry can hold.
    pub(super) fn new(question: &Question<'_>, now: Moment, life: Life, body: &Body<'_>) -> Option<Header> {
        let blank = Header {
            tag: tag(question),
            name_len: u8::try_from(question.name.len()).ok().filter(|len| *len > 0)?,
            rtype: question.rtype,
            wants: question.wants,
            answered: false,
            authentic: false,
            kept: Some(now.as_micros()).filter(|micros| *micros <= mask(KEPT_BITS))?,
            rcode: 0,
            failing_rcode: 0,
            life: Life::default(),
            failing: 0,
            failing_error: None,
            error: None,
            len: 0,
            counts: [0; 3],
        };
        if body.is_failure() {
            return Some(blank.failed(now, life, body));
        }
        let records: usize = body.counts.iter().map(|count| usize::from(*count)).sum();
        let fits = body.octets.len() <= BODY_OCTETS_MAX && records <= RECORDS_MAX;
        (fits && records == body.ttls.len()).then_some(Header {
            answered: true,
            authentic: body.authentic,
            rcode: body.rcode as u8,
            life,
            error: body.error,
            len: body.octets.len() as u16,
            counts: body.counts,
            ..blank
        })
    }

    /// The same with a failure beside whatever else is known.
    pub(super) fn failed(self, now: Moment, life: Life, body: &Body<'_>) -> Header {
        let until = now.as_micros().saturating_add(micros(life.fresh_seconds));
        Header {
            failing: until.saturating_sub(self.kept).min(mask(FAILING_BITS)),
            failing_rcode: body.rcode as u8,
            failing_error: body.error,
            ..self
        }
    }

    pub(super) fn pack(&self) -> [u64; HEADER_WORDS] {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        let code = |error: Option<ExtendedError>| u64::from(error.map_or(NO_ERROR, |error| error.0));
        let [answer, authority, additional] = self.counts.map(u64::from);
        [
            key(self.tag, self.name_len, self.rtype, self.wants)
                | flag(self.answered, ANSWERED)
                | flag(self.authentic, AUTHENTIC),
            self.kept
                | u64::from(self.rcode) << KEPT_BITS
                | u64::from(self.failing_rcode) << (KEPT_BITS + RCODE_BITS),
            u64::from(self.life.fresh_seconds) | u64::from(self.life.stale_seconds) << 32,
            self.failing | code(self.failing_error) << FAILING_BITS,
            code(self.error)
                | u64::from(self.len) << 16
                | answer << (16 + LEN_BITS)
                | authority << (16 + LEN_BITS + COUNT_BITS)
                | additional << (16 + LEN_BITS + 2 * COUNT_BITS),
        ]
    }

    #[inline(always)]
    pub(super) fn unpack(words: [u64; HEADER_WORDS]) -> Header {
        let error = |code: u64| Some(ExtendedError(code as u16)).filter(|error| error.0 != NO_ERROR);
        let [question, kept, life, failing, body] = words;
        let count = |at: u32| (body >> (16 + LEN_BITS + at * COUNT_BITS) & mask(COUNT_BITS)) as u16;
        Header {
            tag: question as u32,
            name_len: (question >> 32) as u8,
            rtype: RecordType((question >> 40) as u16),
            wants: Wants::from_bits((question >> 56) as u8),
            answered: question & ANSWERED != 0,
            authentic: question & AUTHENTIC != 0,
            kept: kept & mask(KEPT_BITS),
            rcode: (kept >> KEPT_BITS & mask(RCODE_BITS)) as u8,
            failing_rcode: (kept >> (KEPT_BITS + RCODE_BITS)) as u8,
            life: Life { fresh_seconds: life as u32, stale_seconds: (life >> 32) as u32 },
            failing: failing & mask(FAILING_BITS),
            failing_error: error(failing >> FAILING_BITS),
            error: error(body & 0xffff),
            len: (body >> 16 & mask(LEN_BITS)) as u16,
            counts: [count(0), count(1), count(2)],
        }
    }

    /// The code of the answer.
    #[inline(always)]
    pub(super) fn rcode(&self) -> Rcode {
        rcode(self.rcode)
    }

    /// Octets of the records.
    #[inline(always)]
    pub(super) fn octets(&self) -> usize {
        usize::from(self.len)
    }

    /// The failure, if it lasts at `now`.
    #[inline(always)]
    pub(super) fn failing(&self, now: Moment) -> Option<Failing> {
        let until = Moment::from_micros(self.kept + self.failing);
        let lasts = self.failing > 0 && now < until;
        lasts.then(|| Failing { rcode: rcode(self.failing_rcode), error: self.failing_error, until })
    }

    #[inline(always)]
    fn records(&self) -> usize {
        self.counts.iter().map(|count| usize::from(*count)).sum()
    }

    /// Words of the whole entry.
    #[inline(always)]
    pub(super) fn words(&self) -> usize {
        self.records_at() + self.octets().div_ceil(WORD)
    }

    #[inline(always)]
    fn places_at(&self) -> usize {
        HEADER_WORDS + usize::from(self.name_len).div_ceil(WORD)
    }

    #[inline(always)]
    fn records_at(&self) -> usize {
        self.places_at() + self.records().div_ceil(PLACES_PER_WORD)
    }
}

/// The part of a question's hash that the index and its entry hold.
#[inline(always)]
pub(super) fn tag(question: &Question<'_>) -> u32 {
    question.hash as u32
}

#[inline(always)]
fn key(tag: u32, name_len: u8, rtype: RecordType, wants: Wants) -> u64 {
    u64::from(tag) | u64::from(name_len) << 32 | u64::from(rtype.0) << 40 | u64::from(wants.bits()) << 56
}

/// Of five bits; those that are no code were never written, and whoever reads them will throw them away.
#[inline(always)]
fn rcode(bits: u8) -> Rcode {
    const CODES: [Rcode; 1 << RCODE_BITS] = {
        let mut codes = [Rcode::ServFail; 1 << RCODE_BITS];
        let mut n = 0;
        while n < Rcode::ALL.len() {
            codes[Rcode::ALL[n] as usize] = Rcode::ALL[n];
            n += 1;
        }
        codes
    };
    CODES[usize::from(bits) & mask(RCODE_BITS) as usize]
}

/// An entry in a shard's words.
#[derive(Clone, Copy)]
pub(super) struct Entry<'w> {
    pub(super) header: Header,
    /// All of it.
    words: &'w [AtomicU64],
}

impl<'w> Entry<'w> {
    /// The one at `at`; `None` if it would reach beyond the words.
    #[inline(always)]
    pub(super) fn at(words: &'w [AtomicU64], at: usize) -> Option<Entry<'w>> {
        let words = words.get(at..)?;
        let header =
            Header::unpack(words.first_chunk::<HEADER_WORDS>()?.each_ref().map(|word| word.load(Relaxed)));
        Some(Entry { header, words: words.get(..header.words())? })
    }

    /// The one at `at`, if it is of this question. Name, type and wants are compared in full.
    #[inline(always)]
    pub(super) fn of(words: &'w [AtomicU64], at: usize, question: &Question<'_>) -> Option<Entry<'w>> {
        let first = words.get(at)?.load(Relaxed);
        let name_len = u8::try_from(question.name.len()).ok()?;
        if first & KEY_MASK != key(tag(question), name_len, question.rtype, question.wants) {
            return None;
        }
        let name = words.get(at + HEADER_WORDS..)?.get(..question.name.len().div_ceil(WORD))?;
        let (whole, tail) = question.name.as_chunks::<WORD>();
        let same =
            name.iter().zip(whole).all(|(word, octets)| word.load(Relaxed) == u64::from_le_bytes(*octets));
        if !same || !tail.is_empty() && name.last()?.load(Relaxed) != last_word(question.name, tail) {
            return None;
        }
        Entry::at(words, at)
    }

    /// Copies the records to the start of `room`, which has room for them.
    #[inline(always)]
    pub(super) fn copy_records(&self, room: &mut [u8]) {
        let Some(words) = self.words.get(self.header.records_at()..) else { return };
        let Some(room) = room.get_mut(..self.header.octets()) else { return };
        copy(words, room);
    }

    /// Makes each TTL in `records` what `aged` says of it.
    #[inline(always)]
    pub(super) fn set_ttls(&self, records: &mut [u8], aged: impl Fn(u32) -> u32) {
        for place in self.places() {
            let Some(ttl) = u32_at(records, place) else { return };
            if let Some(octets) = records.get_mut(place..).and_then(|rest| rest.first_chunk_mut()) {
                *octets = aged(ttl).to_be_bytes();
            }
        }
    }

    /// Where in the records the TTLs stand.
    #[inline(always)]
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let words = self.words.get(self.header.places_at()..self.header.records_at()).unwrap_or_default();
        let places = words.iter().flat_map(|word| {
            let word = word.load(Relaxed);
            [word, word >> 16, word >> 32, word >> 48].map(|place| usize::from(place as u16))
        });
        places.take(self.header.records())
    }

    /// Copies the name to the start of `room`; its octets.
    pub(super) fn copy_name(&self, room: &mut [u8; NAME_OCTETS_MAX]) -> usize {
        let len = usize::from(self.header.name_len);
        if let (Some(words), Some(room)) = (self.words.get(HEADER_WORDS..), room.get_mut(..len)) {
            copy(words, room);
        }
        len
    }
}

/// Fills `octets` from the words.
#[inline(always)]
fn copy(words: &[AtomicU64], octets: &mut [u8]) {
    let (whole, tail) = octets.as_chunks_mut::<WORD>();
    for (octets, word) in whole.iter_mut().zip(words) {
        *octets = word.load(Relaxed).to_le_bytes();
    }
    if let Some(word) = words.get(whole.len()) {
        tail.iter_mut().zip(word.load(Relaxed).to_le_bytes()).for_each(|(octet, value)| *octet = value);
    }
}

/// The last octets of `octets`, fewer than a word and at least one, as a word with zeroes behind.
#[inline(always)]
fn last_word(octets: &[u8], tail: &[u8]) -> u64 {
    match octets.last_chunk::<WORD>() {
        // The word before reaches into the last eight octets.
        Some(last) => u64::from_le_bytes(*last) >> (8 * (WORD - tail.len())),
        None => le64_or_zero(&padded(tail), 0),
    }
}

fn padded(octets: &[u8]) -> [u8; WORD] {
    let mut word = [0; WORD];
    word.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
    word
}

/// Writes only what stands before the name.
pub(super) fn write_header(words: &[AtomicU64], header: &Header) {
    words.iter().zip(header.pack()).for_each(|(word, value)| word.store(value, Relaxed));
}

/// Writes a whole entry over `words`, which are as many as [`Header::words`] says.
pub(super) fn write(words: &[AtomicU64], header: &Header, name: &[u8], body: &Body<'_>) {
    write_header(words, header);
    let (octets, places) = match header.answered {
        true => (body.octets, body.ttls),
        false => (&[][..], &[][..]),
    };
    let parts = name.chunks(WORD).map(|chunk| u64::from_le_bytes(padded(chunk)));
    let parts = parts.chain(
        places
            .chunks(PLACES_PER_WORD)
            .map(|places| places.iter().rev().fold(0, |word, place| word << 16 | u64::from(*place))),
    );
    let parts = parts.chain(octets.chunks(WORD).map(|chunk| u64::from_le_bytes(padded(chunk))));
    words.iter().skip(HEADER_WORDS).zip(parts).for_each(|(word, value)| word.store(value, Relaxed));
}
