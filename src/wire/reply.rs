//! Writing an answer into a buffer that the caller owns.
//!
//! A [`Reply`] never grows past its limit: room for OPT is set aside at the start, an RRset goes in whole or
//! not at all, and what that means (TC or a silent omission) is the caller's to say. Nothing is allocated.

mod authority;

use crate::base::octets::{put_u16, u16_at};
use crate::base::time::Moment;
use crate::wire::message::{AA, AD, CD, HEADER_OCTETS, OPCODE_MASK, QR, RA, RD, Rcode, TC};
use crate::wire::query::{Edns, Query};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::{RECORD_HEAD_OCTETS, SealedRrset};
use crate::wire::shift::{POINTER_MAX, shift, walk};
use std::ops::Range;

/// Octets of an OPT record without options (RFC 6891 §6.1.2).
pub(crate) const OPT_OCTETS: usize = 11;

/// The sections that an answer adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer = 0,
    /// Who knows, or how long nothing is known.
    Authority = 1,
    /// What will be asked for next.
    Additional = 2,
}

/// Where in the message an owner's name stands, and how long it is uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Offset from the message's start.
    pub at: usize,
    /// Octets in uncompressed wire form, the root's zero octet included.
    pub len: usize,
}

/// A reply as it was at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    len: usize,
    counts: [u16; 3],
}

/// It does not fit; the reply is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// An OPT record without options (RFC 6891 §6.1.2).
#[inline(always)]
pub(crate) fn opt(edns: Edns, rcode: Rcode, udp_payload_max: u16) -> [u8; OPT_OCTETS] {
    let [size_high, size_low] = udp_payload_max.to_be_bytes();
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    [0, 0, RecordType::OPT.0 as u8, size_high, size_low, rcode as u8 >> 4, 0, dnssec_ok, 0, 0, 0]
}

/// An answer in the making.
pub struct Reply<'b> {
    octets: &'b mut [u8],
    len: usize,
    /// Octets of the whole message.
    limit: usize,
    /// Octets that sections may fill: the caller's limit less what OPT will take.
    room: usize,
    /// Octets of the header and the question.
    question_end: usize,
    counts: [u16; 3],
    flags: u16,
    now: Moment,
    /// Why the answer is no better (RFC 8914); told to those who have EDNS, if there is room.
    extended_error: Option<u16>,
}

impl<'b> Reply<'b> {
    /// Begins the answer to a query: header and question as they came. `limit` bounds the whole answer and
    /// is itself bounded by the buffer; `nsid` is what is told to those who ask which server this is.
    #[inline(always)]
    pub fn begin(octets: &'b mut [u8], query: &Query<'_>, limit: usize, nsid: &[u8]) -> Reply<'b> {
        let limit = limit.min(octets.len());
        let copied = query.header_and_question();
        let reserved = match query.edns() {
            None => 0,
            // A long name and a long identity may not fit together: then the identity is left out.
            Some(edns) if edns.nsid && copied.len() + OPT_OCTETS + 4 + nsid.len() <= limit => {
                OPT_OCTETS + 4 + nsid.len()
            }
            Some(_) => OPT_OCTETS,
        };
        let question_end = match octets.get_mut(..copied.len()) {
            Some(place) => {
                place.copy_from_slice(copied);
                copied.len()
            }
            None => 0,
        };
        Reply {
            limit,
            room: limit.saturating_sub(reserved),
            octets,
            len: question_end,
            question_end,
            counts: [0; 3],
            flags: query.flags() & (OPCODE_MASK | RD) | QR,
            now: Moment::START,
            extended_error: None,
        }
    }

    /// The same at that moment: sets with a deadline get what is left of their TTL.
    #[inline(always)]
    pub fn at(mut self, now: Moment) -> Reply<'b> {
        self.now = now;
        self
    }

    /// The TTL of a set in this answer, in seconds.
    pub fn ttl_of(&self, rrset: &SealedRrset<'_>) -> u32 {
        let left = rrset.deadline.since(self.now).as_secs();
        rrset.ttl().min(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// The name asked for, where it stands in the message.
    #[inline]
    pub fn question(&self) -> Owner {
        Owner { at: HEADER_OCTETS, len: self.question_end.saturating_sub(HEADER_OCTETS + 4) }
    }

    /// The suffix of the question that has `len` octets.
    #[inline]
    pub fn question_suffix(&self, len: usize) -> Owner {
        Owner { at: self.question_end.saturating_sub(4 + len), len }
    }

    /// The suffix of `len` octets of a name in the message.
    #[inline]
    pub fn suffix_of(&self, owner: Owner, len: usize) -> Option<Owner> {
        let skip = owner.len.checked_sub(len)?;
        // The question is never compressed.
        let at = if owner.at == HEADER_OCTETS { owner.at + skip } else { self.walk(owner.at, skip)? };
        Some(Owner { at, len })
    }

    /// Splits a name in the message: where its suffix of `suffix_len` octets stands, and the labels before it,
    /// copied to `prefix`; how many octets those have.
    pub fn split_name(&self, owner: Owner, suffix_len: usize, prefix: &mut [u8]) -> Option<(Owner, usize)> {
        let prefix_len = owner.len.checked_sub(suffix_len)?;
        let (mut at, mut copied) = (owner.at, 0);
        while copied < prefix_len {
            let (start, label) = self.label_at(at)?;
            prefix.get_mut(copied..copied + label.len())?.copy_from_slice(label);
            copied += label.len();
            at = start + label.len();
        }
        Some((Owner { at: self.walk(at, 0)?, len: suffix_len }, prefix_len))
    }

    /// True if the first label of a name in the message is a lone `*`.
    pub fn is_wildcard(&self, name: Owner) -> bool {
        let at = self.walk(name.at, 0);
        at.and_then(|at| self.octets.get(at..)).is_some_and(|octets| octets.starts_with(b"\x01*"))
    }

    /// True if two names in the message are the same; case does not count.
    pub fn is_same_name(&self, a: Owner, b: Owner) -> bool {
        let (mut a_at, mut b_at) = (a.at, b.at);
        let mut left = a.len;
        while a.len == b.len && left > 1 {
            let (Some(a_label), Some(b_label)) = (self.label_at(a_at), self.label_at(b_at)) else {
                return false;
            };
            if !a_label.1.eq_ignore_ascii_case(b_label.1) {
                return false;
            }
            left = left.saturating_sub(a_label.1.len());
            a_at = a_label.0 + a_label.1.len();
            b_at = b_label.0 + b_label.1.len();
        }
        a.len == b.len
    }

    /// The first label of a name in the message, with its length octet.
    pub fn first_label(&self, name: Owner) -> &[u8] {
        self.label_at(name.at).map_or(&[], |(_, label)| label)
    }

    /// The label to which the name at `at` leads, with its length octet, and where it stands.
    fn label_at(&self, at: usize) -> Option<(usize, &[u8])> {
        let at = self.walk(at, 0)?;
        let end = at + 1 + usize::from(*self.octets.get(at)?);
        Some((at, self.octets.get(at..end)?))
    }

    /// The message so far; the header's flags and counts are not yet set.
    #[inline]
    pub fn written(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    /// Marks the answer as authoritative.
    #[inline]
    pub fn set_authoritative(&mut self) {
        self.flags |= AA;
    }

    /// True if the answer was marked as authoritative.
    pub fn is_authoritative(&self) -> bool {
        self.flags & AA != 0
    }

    /// Marks the answer as not authoritative.
    pub fn clear_authoritative(&mut self) {
        self.flags &= !AA;
    }

    /// Marks the answer as truncated.
    #[inline]
    pub fn set_truncated(&mut self) {
        self.flags |= TC;
    }

    /// Tells the asker that this server resolves for it; whether it wanted checking is repeated (RFC 4035 §3.2.2).
    pub fn set_recursion_available(&mut self, query: &Query<'_>) {
        self.flags |= RA | query.flags() & CD;
    }

    /// Marks all of the answer as validated (RFC 4035 §3.2.3).
    pub fn set_authentic(&mut self) {
        self.flags |= AD;
    }

    /// The record that begins at `at`: its type, where its RDATA begins and where it ends. `None` where there is none.
    pub fn record_at(&self, at: usize) -> Option<(RecordType, Range<usize>)> {
        let written = self.written();
        let mut fields = at;
        loop {
            match usize::from(*written.get(fields)?) {
                0 => break fields += 1,
                len @ 0..0xc0 => fields += 1 + len,
                _ => break fields += 2,
            }
        }
        let rdata = fields + RECORD_HEAD_OCTETS - 2;
        let end = rdata + usize::from(u16_at(written, rdata - 2)?);
        (end <= written.len()).then_some((RecordType(u16_at(written, fields)?), rdata..end))
    }

    /// Takes back all that stands behind `end`, so that `answers` records are left, all of them answers. What is left
    /// was not validated as a whole.
    pub fn cut(&mut self, end: usize, answers: u16) {
        (self.len, self.counts) = (end.min(self.len), [answers, 0, 0]);
        self.flags &= !(AD | TC);
        self.extended_error = None;
    }

    /// Tells why the answer is no better (RFC 8914).
    pub fn set_extended_error(&mut self, code: u16) {
        self.extended_error = Some(code);
    }

    /// Room for records behind those that are there.
    pub fn room_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.len..self.room).unwrap_or_default()
    }

    /// Takes over the `len` octets that were written to the [room](Reply::room_mut): so many records of each section.
    pub fn take(&mut self, len: usize, counts: [u16; 3]) {
        self.len = self.room.min(self.len + len);
        self.counts.iter_mut().zip(counts).for_each(|(own, more)| *own += more);
    }

    /// The name in the message that begins at `at`.
    pub fn owner_at(&self, at: usize) -> Option<Owner> {
        let (mut from, mut len) = (at, 1);
        loop {
            let (start, label) = self.label_at(from)?;
            if label == [0] {
                return Some(Owner { at, len });
            }
            len += label.len();
            from = start + label.len();
        }
    }

    /// Writes a name of the message out; its octets. `None` where it is longer than `name`.
    pub fn copy_name<'n>(&self, owner: Owner, name: &'n mut [u8]) -> Option<&'n [u8]> {
        let (mut from, mut len) = (owner.at, 0);
        loop {
            let (start, label) = self.label_at(from)?;
            name.get_mut(len..len + label.len())?.copy_from_slice(label);
            len += label.len();
            if label == [0] {
                return name.get(..len);
            }
            from = start + label.len();
        }
    }

    /// Puts one record of the Internet class at the end of `section`, nothing of it compressed.
    pub fn append_plain(
        &mut self,
        section: Section,
        owner: &[u8],
        (rtype, ttl): (RecordType, u32),
        rdata: &[u8],
    ) -> Result<(), Full> {
        let parts: [&[u8]; 6] = [
            owner,
            &rtype.0.to_be_bytes(),
            &Class::IN.0.to_be_bytes(),
            &ttl.to_be_bytes(),
            &(rdata.len() as u16).to_be_bytes(),
            rdata,
        ];
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let place = self.room_mut().get_mut(..len).ok_or(Full)?;
        let mut at = 0;
        for part in parts {
            place[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.take(len, [0; 3]);
        self.counts[section as usize] += 1;
        Ok(())
    }

    /// True if the answer was marked as truncated.
    pub fn is_truncated(&self) -> bool {
        self.flags & TC != 0
    }

    /// Puts a whole RRset at the end of `section`; tells where in the message it begins. Sections must be
    /// filled in their order.
    #[inline(always)]
    pub fn append(&mut self, section: Section, rrset: &SealedRrset<'_>, owner: Owner) -> Result<usize, Full> {
        let start = self.len;
        let end = start + rrset.octets.len();
        if end > self.room || owner.at > POINTER_MAX {
            return Err(Full);
        }
        let Some(place) = self.octets.get_mut(start..end) else { return Err(Full) };
        place.copy_from_slice(rrset.octets);
        self.len = end;
        if (owner.at != HEADER_OCTETS || owner.len != rrset.owner_len || start != rrset.base())
            && self.shift(rrset, owner, start).is_none()
        {
            self.len = start;
            return Err(Full);
        }
        if rrset.deadline != Moment::NEVER {
            self.write_ttls(start, rrset.records, self.ttl_of(rrset));
        }
        self.counts[section as usize] += rrset.records;
        Ok(start)
    }

    /// Puts one record, whose RDATA is the concatenation of `rdata`, nothing of it compressed, at the end of
    /// `section`; tells where in the message its RDATA begins.
    pub fn append_record(
        &mut self,
        section: Section,
        owner: Owner,
        (rtype, class, ttl): (RecordType, Class, u32),
        rdata: &[&[u8]],
    ) -> Result<usize, Full> {
        let start = self.len;
        let rdata_len: usize = rdata.iter().map(|part| part.len()).sum();
        let end = start + RECORD_HEAD_OCTETS + rdata_len;
        if end > self.room || owner.at > POINTER_MAX {
            return Err(Full);
        }
        let Some(place) = self.octets.get_mut(start..end) else { return Err(Full) };
        place[0..2].copy_from_slice(&(0xc000 | owner.at as u16).to_be_bytes());
        place[2..4].copy_from_slice(&rtype.0.to_be_bytes());
        place[4..6].copy_from_slice(&class.0.to_be_bytes());
        place[6..10].copy_from_slice(&ttl.to_be_bytes());
        place[10..12].copy_from_slice(&(rdata_len as u16).to_be_bytes());
        let mut at = RECORD_HEAD_OCTETS;
        for part in rdata {
            place[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.len = end;
        self.counts[section as usize] += 1;
        Ok(start + RECORD_HEAD_OCTETS)
    }

    /// What stands there now, to come back to.
    pub fn mark(&self) -> Mark {
        Mark { len: self.len, counts: self.counts }
    }

    /// Takes back all that was added since the mark.
    pub fn return_to(&mut self, mark: Mark) {
        (self.len, self.counts) = (mark.len, mark.counts);
    }

    /// Records in a section so far.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize]
    }

    /// Ends the answer: OPT (RFC 6891 §6.1.1: if and only if the query had one), counts, flags. The octets of
    /// the whole message. `query` and `nsid` are those it began with.
    #[inline(always)]
    pub fn finish(&mut self, query: &Query<'_>, rcode: Rcode, udp_payload_max: u16, nsid: &[u8]) -> usize {
        if let Some(edns) = query.edns() {
            self.append_opt(edns, rcode, udp_payload_max, nsid);
        }
        let [flags_high, flags_low] = (self.flags | (rcode as u16 & 0x0f)).to_be_bytes();
        let [an, ns, ar] = self.counts.map(u16::to_be_bytes);
        let questions = u8::from(self.question_end > HEADER_OCTETS);
        if let Some([_, _, rest @ ..]) = self.octets.first_chunk_mut::<HEADER_OCTETS>() {
            *rest = [flags_high, flags_low, 0, questions, an[0], an[1], ns[0], ns[1], ar[0], ar[1]];
        }
        self.len
    }

    #[inline(always)]
    fn append_opt(&mut self, edns: Edns, rcode: Rcode, udp_payload_max: u16, nsid: &[u8]) {
        let Some(rest) = self.octets.get_mut(self.len..) else { return };
        let Some(place) = rest.first_chunk_mut() else { return };
        *place = opt(edns, rcode, udp_payload_max);
        self.len += OPT_OCTETS;
        self.counts[Section::Additional as usize] += 1;
        if edns.nsid || self.extended_error.is_some() {
            self.append_options(edns, nsid);
        }
    }

    #[cold]
    fn append_options(&mut self, edns: Edns, nsid: &[u8]) {
        let start = self.len;
        if edns.nsid {
            self.append_option(3, nsid);
        }
        if let Some(error) = self.extended_error {
            self.append_option(15, &error.to_be_bytes());
        }
        put_u16(self.octets, start - 2, (self.len - start) as u16);
    }

    /// Adds an option to the OPT at the message's end, if it fits.
    fn append_option(&mut self, code: u16, value: &[u8]) {
        let len = value.len();
        if self.len + 4 + len > self.limit {
            return;
        }
        let Some(option) = self.octets.get_mut(self.len..self.len + 4 + len) else { return };
        option[0..2].copy_from_slice(&code.to_be_bytes());
        option[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        option[4..].copy_from_slice(value);
        self.len += 4 + len;
    }

    /// Gives the `records` records at `start` another TTL.
    #[cold]
    pub fn write_ttls(&mut self, start: usize, records: u16, ttl: u32) {
        let mut at = start;
        for _ in 0..records {
            let Some(record) = self.octets.get_mut(at..at + RECORD_HEAD_OCTETS) else { return };
            record[6..10].copy_from_slice(&ttl.to_be_bytes());
            at += RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([record[10], record[11]]));
        }
    }

    /// See [`shift`].
    #[inline]
    fn shift(&mut self, rrset: &SealedRrset<'_>, owner: Owner, start: usize) -> Option<()> {
        shift(self.octets, self.question_end, rrset, owner, start)
    }

    /// See [`walk`].
    #[inline]
    fn walk(&self, at: usize, skip: usize) -> Option<usize> {
        walk(self.octets, at, skip)
    }
}
