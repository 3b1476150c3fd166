//! Sets whose owner does not stand in the message yet, as those that prove what does not exist: their first labels are
//! written out, and point to the rest.

use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::sealed::{RECORD_HEAD_OCTETS, SealedRrset};
use crate::wire::shift::POINTER_MAX;

impl Reply<'_> {
    /// Puts a whole RRset without pointers in its RDATA at the end of `section`, for the owner that begins with `labels`
    /// and goes on with `suffix`; tells where in the message it begins.
    pub fn append_spelled(
        &mut self,
        section: Section,
        rrset: &SealedRrset<'_>,
        labels: &[u8],
        suffix: Owner,
    ) -> Result<usize, Full> {
        if suffix.at > POINTER_MAX || !rrset.pointers.is_empty() {
            return Err(Full);
        }
        let start = self.written().len();
        let (room, mut len, mut rest) = (self.room_mut(), 0, rrset.octets);
        for _ in 0..rrset.records {
            let head = rest.first_chunk::<RECORD_HEAD_OCTETS>().ok_or(Full)?;
            let end = RECORD_HEAD_OCTETS + usize::from(u16::from_be_bytes([head[10], head[11]]));
            let (record, others) = rest.split_at_checked(end).ok_or(Full)?;
            for part in [labels, &(0xc000 | suffix.at as u16).to_be_bytes(), &record[2..]] {
                room.get_mut(len..len + part.len()).ok_or(Full)?.copy_from_slice(part);
                len += part.len();
            }
            rest = others;
        }
        let mut counts = [0; 3];
        counts[section as usize] = rrset.records;
        self.take(len, counts);
        Ok(start)
    }
}
