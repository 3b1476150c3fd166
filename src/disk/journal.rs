//! A journal, of the cluster-wide records or of a zone: what changed since the snapshot or the copy, one frame for each time
//! that the disk was waited for.
//!
//! ```text
//! | envelope: epoch, note | frame | frame | ...        frame: | length | CRC-32 | entries ... |
//!                                                entry: | key length | value length | key | value |
//! ```
//!
//! A frame is written only when the disk has all frames before it. So a crash tears the last frame and no other,
//! and a bad frame with a good one behind it is damage. The checksum also covers the epoch and the frame's place: a
//! frame of an older journal that shines through a torn write is no frame.
//!
//! Does not know which entries are worth keeping: [`super::records`] and [`super::changes`] do.

use super::envelope::{Kind, Rest, Unsound, open, seal};
use super::{Entry, KEY_OCTETS_MAX, VALUE_OCTETS_MAX};
use bytes::Bytes;

/// Octets of the entries of one frame: what a disk writes in a moment. More becomes a new snapshot.
pub(super) const FRAME_OCTETS_MAX: usize = 4 << 20;
/// Octets of the epoch, before the note.
pub(super) const EPOCH_OCTETS: usize = 8;
/// Octets before a frame's entries.
const FRAME_HEAD_OCTETS: usize = 8;
/// Octets of an entry beside its key and value.
pub(super) const ENTRY_HEAD_OCTETS: usize = 8;
/// In the place of a value's length: the entry has none, its key is forgotten.
const FORGOTTEN: u32 = u32::MAX;
/// Octets that may be hashed in search of a good frame behind a bad one: some seconds at the very worst.
const SEARCH_OCTETS_MAX: usize = 1 << 30;

const _: () = assert!(KEY_OCTETS_MAX + VALUE_OCTETS_MAX + ENTRY_HEAD_OCTETS <= FRAME_OCTETS_MAX);
const _: () = assert!(VALUE_OCTETS_MAX < FORGOTTEN as usize);

/// A journal without frames. Journals of a higher epoch follow those of a lower one. The note is whatever its owner wants
/// to know of it.
pub(super) fn empty(kind: Kind, epoch: u64, note: &[u8]) -> Vec<u8> {
    seal(kind, &[&epoch.to_le_bytes(), note].concat())
}

/// Appends an entry to those of a frame, or of a snapshot.
pub(super) fn write_entry(octets: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    // Both lengths were held against their bounds when the entry came in.
    octets.extend_from_slice(&(key.len() as u32).to_le_bytes());
    octets.extend_from_slice(&value.map_or(FORGOTTEN, |value| value.len() as u32).to_le_bytes());
    octets.extend_from_slice(key);
    octets.extend_from_slice(value.unwrap_or_default());
}

/// Reads an entry that [`write_entry`] wrote.
pub(super) fn read_entry(rest: &mut Rest<'_>) -> Result<Entry, Unsound> {
    let key = rest.u32("the length of a key")?;
    let value = rest.u32("the length of a value")?;
    let key = Bytes::copy_from_slice(rest.take(key as usize, "a key")?);
    let value = match value {
        FORGOTTEN => None,
        len => Some(Bytes::copy_from_slice(rest.take(len as usize, "a value")?)),
    };
    Ok(Entry { key, value })
}

/// A frame of these entries, for this place of this journal.
pub(super) fn frame(epoch: u64, at: u64, entries: &[u8]) -> Vec<u8> {
    let len = entries.len() as u32;
    let mut frame = Vec::with_capacity(FRAME_HEAD_OCTETS + entries.len());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&checksum(epoch, at, len, entries).to_le_bytes());
    frame.extend_from_slice(entries);
    frame
}

fn checksum(epoch: u64, at: u64, len: u32, entries: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&epoch.to_le_bytes());
    hasher.update(&at.to_le_bytes());
    hasher.update(&len.to_le_bytes());
    hasher.update(entries);
    hasher.finalize()
}

/// What a journal says, as far as it can be trusted.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) epoch: u64,
    pub(super) note: Vec<u8>,
    /// All entries of the good frames, oldest first.
    pub(super) entries: Vec<Entry>,
    /// Octets up to the end of the last good frame.
    pub(super) good: usize,
    /// What is wrong behind it.
    pub(super) bad: Option<BadFrame>,
}

/// The first frame that is none.
#[derive(Debug)]
pub(super) struct BadFrame {
    pub(super) unsound: Unsound,
    /// True if no good frame follows: then it is the end of a write that was never acknowledged, unless the last
    /// one was damaged later, which nobody can tell apart.
    pub(super) is_last: bool,
}

/// Reads a journal. An error means that nothing in it can be trusted.
pub(super) fn read(kind: Kind, octets: &[u8]) -> Result<Journal, Unsound> {
    let (body, mut good) = open(kind, octets)?;
    let mut head = Rest::new(body);
    let epoch = head.u64("the epoch")?;
    let note = body.get(head.at..).unwrap_or_default().to_vec();
    let (mut entries, mut bad) = (Vec::new(), None);
    while good < octets.len() {
        match read_frame(epoch, good, octets) {
            Ok((more, end)) => {
                entries.extend(more);
                good = end;
            }
            Err(unsound) => {
                bad = Some(BadFrame { unsound, is_last: !good_frame_behind(epoch, good, octets) });
                break;
            }
        }
    }
    Ok(Journal { epoch, note, entries, good, bad })
}

/// The entries of the frame at `at`, and where the next one begins.
fn read_frame(epoch: u64, at: usize, octets: &[u8]) -> Result<(Vec<Entry>, usize), Unsound> {
    let mut rest = Rest::new(octets);
    rest.at = at;
    let len = rest.u32("the length of a frame")?;
    let sum = rest.u32("the checksum of a frame")?;
    if !(ENTRY_HEAD_OCTETS..=FRAME_OCTETS_MAX).contains(&(len as usize)) {
        let expected = format!("a frame of {ENTRY_HEAD_OCTETS} to {FRAME_OCTETS_MAX} octets");
        return Err(Unsound::at(at, expected, format!("{len}")));
    }
    let body = rest.take(len as usize, "a frame")?;
    let expected = checksum(epoch, at as u64, len, body);
    if sum != expected {
        return Err(Unsound::at(
            at,
            format!("a frame with the checksum {expected:08x}"),
            format!("{sum:08x}"),
        ));
    }
    let (mut entries, mut within) = (Vec::new(), Rest::new(body));
    while !within.is_empty() {
        entries.push(read_entry(&mut within)?);
    }
    Ok((entries, rest.at))
}

/// True if a good frame begins somewhere behind `at`. Frames know their place, so hardly anything else is one.
fn good_frame_behind(epoch: u64, at: usize, octets: &[u8]) -> bool {
    let mut budget = SEARCH_OCTETS_MAX;
    for start in at + 1..octets.len().saturating_sub(FRAME_HEAD_OCTETS) {
        let Ok(len) = Rest::new(&octets[start..]).u32("") else { return false };
        let len = len as usize;
        if len < ENTRY_HEAD_OCTETS || len > FRAME_OCTETS_MAX.min(octets.len() - start - FRAME_HEAD_OCTETS) {
            continue;
        }
        let Some(left) = budget.checked_sub(len) else {
            // Too much that looks like frames: somebody wrote those.
            return true;
        };
        budget = left;
        if read_frame(epoch, start, octets).is_ok() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(epoch: u64, frames: &[&[(&str, &str)]]) -> Vec<u8> {
        let mut octets = empty(Kind::Journal, epoch, b"note");
        for entries in frames {
            let mut body = Vec::new();
            for (key, value) in *entries {
                write_entry(&mut body, key.as_bytes(), Some(value.as_bytes()).filter(|v| !v.is_empty()));
            }
            let at = octets.len() as u64;
            octets.extend_from_slice(&frame(epoch, at, &body));
        }
        octets
    }

    #[test]
    fn a_journal_says_its_entries_in_order() {
        let octets = journal(7, &[&[("a", "1"), ("b", "2")], &[("a", "")]]);
        let read = read(Kind::Journal, &octets).unwrap();
        let said: Vec<String> = read.entries.iter().map(|entry| format!("{entry:?}")).collect();
        assert_eq!((read.epoch, read.good, read.bad.is_none()), (7, octets.len(), true));
        assert_eq!((said.len(), &read.note[..]), (3, &b"note"[..]));
        assert_eq!(read.entries[2], Entry { key: "a".into(), value: None });
    }

    #[test]
    fn what_is_cut_anywhere_says_a_prefix_of_its_frames_and_that_it_is_torn() {
        let frames: [&[(&str, &str)]; 3] = [&[("a", "1")], &[("b", "2"), ("c", "3")], &[("d", "4")]];
        let octets = journal(1, &frames);
        let ends: Vec<usize> = (0..=3).map(|n| journal(1, &frames[..n]).len()).collect();
        for len in ends[0]..octets.len() {
            let read = read(Kind::Journal, &octets[..len]).unwrap();
            let whole = ends.iter().rposition(|&end| end <= len).unwrap();
            assert_eq!(read.good, ends[whole]);
            assert_eq!(read.entries.len(), frames[..whole].iter().map(|frame| frame.len()).sum::<usize>());
            assert_eq!(read.bad.map(|bad| bad.is_last), (len > ends[whole]).then_some(true), "{len}");
        }
    }

    #[test]
    fn a_changed_octet_before_a_good_frame_is_damage_and_not_a_tear() {
        let octets = journal(1, &[&[("a", "1")], &[("b", "2")], &[("d", "4")]]);
        let start = journal(1, &[]).len();
        let second = journal(1, &[&[("a", "1")]]).len();
        let third = journal(1, &[&[("a", "1")], &[("b", "2")]]).len();
        for at in start..octets.len() {
            let mut octets = octets.clone();
            octets[at] ^= 0x10;
            let read = read(Kind::Journal, &octets).unwrap();
            let expected = [start, second, third].into_iter().rfind(|&begin| begin <= at).unwrap();
            assert_eq!(read.good, expected, "{at}");
            assert_eq!(read.bad.unwrap().is_last, expected == third, "{at}");
        }
    }

    #[test]
    fn a_frame_of_another_journal_or_place_is_none() {
        let old = journal(1, &[&[("a", "1")], &[("b", "2")]]);
        let mut new = empty(Kind::Journal, 2, b"note");
        new.extend_from_slice(&old[new.len()..]);
        let first = read(Kind::Journal, &new).unwrap();
        assert_eq!((first.entries.len(), first.bad.unwrap().is_last), (0, true));
        let mut moved = old.clone();
        let start = empty(Kind::Journal, 1, b"note").len();
        let frame = (old.len() - start) / 2;
        moved.drain(start..start + frame);
        assert!(read(Kind::Journal, &moved).unwrap().entries.is_empty());
    }
}
