//! Pointers of sets that stand elsewhere in a message than they were sealed for.

use crate::base::octets::{put_u16, u16_at};
use crate::wire::message::HEADER_OCTETS;
use crate::wire::reply::Owner;
use crate::wire::sealed::{RECORD_HEAD_OCTETS, SealedRrset};

/// The largest offset a compression pointer can hold (RFC 1035 §4.1.4).
pub(crate) const POINTER_MAX: usize = 0x3fff;

/// Shifts the pointers of a set that stands elsewhere in the message than it was sealed for. `None` if one would
/// reach too far.
pub(crate) fn shift(
    octets: &mut [u8],
    question_end: usize,
    rrset: &SealedRrset<'_>,
    owner: Owner,
    start: usize,
) -> Option<()> {
    if owner.at != HEADER_OCTETS {
        shift_owner(octets, start, rrset.records, owner.at)?;
    }
    let (base, excess) = (rrset.base(), owner.len as isize - rrset.owner_len as isize);
    for place in rrset.pointers.as_chunks::<2>().0 {
        let at = start + usize::from(u16::from_be_bytes(*place));
        let sealed = usize::from(u16_at(octets, at)?) & POINTER_MAX;
        let target = if sealed >= base {
            sealed - base + start
        } else {
            let into_owner = (sealed - HEADER_OCTETS).checked_add_signed(excess)?;
            // The question is never compressed.
            if owner.at < question_end { owner.at + into_owner } else { walk(octets, owner.at, into_owner)? }
        };
        if target > POINTER_MAX {
            return None;
        }
        put_u16(octets, at, 0xc000 | target as u16);
    }
    Some(())
}

/// Has the records from `start` on, `records` of them, belong to the name that stands at `owner_at`.
#[inline(always)]
pub(crate) fn shift_owner(octets: &mut [u8], start: usize, records: u16, owner_at: usize) -> Option<()> {
    let owner = (0xc000 | owner_at as u16).to_be_bytes();
    let mut rest = octets.get_mut(start..)?;
    for _ in 0..records {
        let head = rest.first_chunk_mut::<RECORD_HEAD_OCTETS>()?;
        [head[0], head[1]] = owner;
        let rdata_len = u16::from_be_bytes([head[10], head[11]]);
        rest = rest.get_mut(RECORD_HEAD_OCTETS + usize::from(rdata_len)..)?;
    }
    Some(())
}

/// Where the suffix that begins `skip` octets into the name at `at` stands, following pointers.
pub(crate) fn walk(octets: &[u8], mut at: usize, mut skip: usize) -> Option<usize> {
    loop {
        let len = usize::from(*octets.get(at)?);
        if len >= 0xc0 {
            at = usize::from(u16_at(octets, at)?) & POINTER_MAX;
        } else if skip == 0 {
            return Some(at);
        } else {
            skip = skip.checked_sub(1 + len)?;
            at += 1 + len;
        }
    }
}
