//! The authority section of an answer that is complete but for its end: what it says, and for how long.

use crate::wire::message::AA;
use crate::wire::reply::{Reply, Section};
use crate::wire::rtype::RecordType;

/// Octets from a record's TTL to its RDATA: the length stands between (RFC 1035 §4.1.3).
const TTL_TO_RDATA: usize = 6;

impl Reply<'_> {
    /// Takes back everything but the question.
    pub fn clear(&mut self) {
        self.cut(self.question_end, 0);
        self.flags &= !AA;
    }

    /// True if the authority section names servers and denies nothing: a referral.
    pub fn refers(&self) -> bool {
        let (mut at, mut has_servers) = (self.question_end, false);
        for number in 0..self.count(Section::Answer) + self.count(Section::Authority) {
            let Some((rtype, rdata)) = self.record_at(at) else { break };
            at = rdata.end;
            match rtype {
                _ if number < self.count(Section::Answer) => {}
                RecordType::SOA => return false,
                rtype => has_servers |= rtype == RecordType::NS,
            }
        }
        has_servers
    }

    /// Has the records of the authority section hold for no longer than so many seconds.
    pub fn bound_authority(&mut self, ttl: u32) {
        let mut at = self.question_end;
        for number in 0..self.count(Section::Answer) + self.count(Section::Authority) {
            let Some((_, rdata)) = self.record_at(at) else { return };
            at = rdata.end;
            let place = rdata.start.checked_sub(TTL_TO_RDATA).and_then(|at| self.octets.get_mut(at..));
            if number >= self.counts[Section::Answer as usize]
                && let Some(place) = place.and_then(|rest| rest.first_chunk_mut::<4>())
            {
                *place = u32::from_be_bytes(*place).min(ttl).to_be_bytes();
            }
        }
    }
}
