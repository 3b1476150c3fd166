//! One message of a transfer (RFC 5936 §2.2): records one behind the other in the answer section, as many as fit.
//!
//! ```text
//! header | apex type class | labels, C00C  record | C0xx record | ... | labels, C00C  record | ...
//!          12 <------------------ C00C             \ to these labels
//! ```
//!
//! A sealed set is copied, and its pointers shifted: its first record's owner ends where the set's own pointer stood.

use crate::base::octets::{put_u16, u16_at};
use crate::wire::message::{AA, HEADER_OCTETS, QR, RD};
use crate::wire::query::Query;
use crate::wire::reply::Full;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::SealedRrset;
use crate::wire::shift::{POINTER_MAX, shift_owner};

/// A pointer to the question's name.
const TO_QUESTION: [u8; 2] = (0xc000 | HEADER_OCTETS as u16).to_be_bytes();
/// Octets of a record's owner where it stands in the message already.
const POINTER_OCTETS: usize = TO_QUESTION.len();

/// A message in the making.
pub struct Page<'b> {
    octets: &'b mut [u8],
    len: usize,
    /// Octets that it may have.
    limit: usize,
    /// Octets of the apex in wire form.
    apex_len: usize,
    records: u16,
    /// Where the name of the records that come now stands, if it does.
    owner_at: Option<usize>,
}

impl<'b> Page<'b> {
    /// Begins an authoritative message with the question of `query`, whose name is the apex. At most `limit` octets.
    pub fn begin(octets: &'b mut [u8], query: &Query<'_>, limit: usize) -> Page<'b> {
        let limit = limit.min(octets.len());
        let copied = query.header_and_question();
        let len = match octets.get_mut(..copied.len()) {
            Some(place) => {
                place.copy_from_slice(copied);
                copied.len()
            }
            None => 0,
        };
        let apex_len = len.saturating_sub(HEADER_OCTETS + 4);
        let page = Page { octets, len, limit, apex_len, records: 0, owner_at: None };
        let flags = query.flags() & RD | QR | AA;
        for (at, value) in [(2, flags), (4, 1), (6, 0), (8, 0), (10, 0)] {
            put_u16(page.octets, at, value);
        }
        page
    }

    /// Lets it have so many octets, if the buffer does.
    pub fn widen(&mut self, limit: usize) {
        self.limit = limit.min(self.octets.len());
    }

    /// True if no record stands in it yet.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Goes on to records of another name.
    pub fn turn(&mut self) {
        self.owner_at = None;
    }

    /// Adds a sealed set of the name that has these labels before the apex, in the case they are to have. Nothing is
    /// added if there is no room, or if a pointer would reach too far: then [`Page::record`] may still do.
    pub fn set(&mut self, labels: &[u8], rrset: &SealedRrset<'_>) -> Result<(), Full> {
        let records = self.records.checked_add(rrset.records).ok_or(Full)?;
        let place = Place::of(labels, self.owner_at, self.len).ok_or(Full)?;
        let start = self.len + place.prefix;
        let end = start + rrset.octets.len();
        if end > self.limit || rrset.records == 0 {
            return Err(Full);
        }
        self.octets.get_mut(start..end).ok_or(Full)?.copy_from_slice(rrset.octets);
        self.shift(labels.len(), rrset, &place, start).ok_or(Full)?;
        if place.prefix > 0 {
            // Over the first record's own pointer.
            let name = self.octets.get_mut(self.len..start + POINTER_OCTETS).ok_or(Full)?;
            let (own, apex) = name.split_at_mut_checked(labels.len()).ok_or(Full)?;
            own.copy_from_slice(labels);
            apex.copy_from_slice(&TO_QUESTION);
        }
        self.owner_at = Some(place.owner_at);
        self.len = end;
        self.records = records;
        Ok(())
    }

    fn shift(
        &mut self,
        labels_len: usize,
        rrset: &SealedRrset<'_>,
        place: &Place,
        start: usize,
    ) -> Option<()> {
        let base = rrset.base();
        for at in rrset.pointers.as_chunks::<2>().0 {
            let at = start + usize::from(u16::from_be_bytes(*at));
            let sealed = usize::from(u16_at(self.octets, at)?) & POINTER_MAX;
            let target = match sealed.checked_sub(base) {
                Some(within) => within + start,
                None => match sealed.checked_sub(HEADER_OCTETS)? {
                    into if into < labels_len => place.owner_at + into,
                    into => HEADER_OCTETS + into - labels_len,
                },
            };
            if target > POINTER_MAX {
                return None;
            }
            put_u16(self.octets, at, 0xc000 | target as u16);
        }
        if place.owner_at == HEADER_OCTETS {
            return Some(());
        }
        shift_owner(self.octets, start, rrset.records, place.owner_at)
    }

    /// Adds one record of the Internet class; of its names only the owner is compressed, to the apex.
    pub fn record(
        &mut self,
        owner: &[u8],
        (rtype, ttl): (RecordType, u32),
        rdata: &[u8],
    ) -> Result<(), Full> {
        let records = self.records.checked_add(1).ok_or(Full)?;
        // The reader of names saw to it that the owner is at or below the apex.
        let labels = owner.get(..owner.len().saturating_sub(self.apex_len)).unwrap_or_default();
        let parts: [&[u8]; 7] = [
            labels,
            &TO_QUESTION,
            &rtype.0.to_be_bytes(),
            &Class::IN.0.to_be_bytes(),
            &ttl.to_be_bytes(),
            &(rdata.len() as u16).to_be_bytes(),
            rdata,
        ];
        let end = self.len + parts.iter().map(|part| part.len()).sum::<usize>();
        if end > self.limit {
            return Err(Full);
        }
        let mut rest = self.octets.get_mut(self.len..end).ok_or(Full)?;
        for part in parts {
            let (place, behind) = rest.split_at_mut_checked(part.len()).ok_or(Full)?;
            place.copy_from_slice(part);
            rest = behind;
        }
        (self.len, self.records) = (end, records);
        Ok(())
    }

    /// Its octets.
    pub fn finish(self) -> usize {
        put_u16(self.octets, 6, self.records);
        self.len
    }
}

/// Where a set's owner stands.
struct Place {
    owner_at: usize,
    /// Octets before the set: labels that the message does not have yet, their pointer standing where the set's own
    /// stood.
    prefix: usize,
}

impl Place {
    fn of(labels: &[u8], known: Option<usize>, len: usize) -> Option<Place> {
        match (labels, known) {
            ([], _) => Some(Place { owner_at: HEADER_OCTETS, prefix: 0 }),
            (_, Some(owner_at)) => Some(Place { owner_at, prefix: 0 }),
            _ if len > POINTER_MAX => None,
            _ => Some(Place { owner_at: len, prefix: labels.len() }),
        }
    }
}
