//! The border between readers of zone data (master files now, transfers later) and what becomes of the records.

use crate::wire::rtype::RecordType;
use crate::zone::fault::Place;

/// One record as a reader hands it over: class IN, nothing compressed, names in their loaded case.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The owner: an absolute name in wire form, checked by the reader.
    pub owner: &'a [u8],
    /// The type; never a meta-type.
    pub rtype: RecordType,
    /// Seconds, at most `TTL_SECONDS_MAX`.
    pub ttl: u32,
    /// RDATA in wire form, checked against the type where the type is known.
    pub rdata: &'a [u8],
}

/// Takes records one by one, in the order of the file.
pub trait RecordSink {
    /// Takes one record that stands at `place`; what it makes of a record that does not fit is its own affair.
    fn record(&mut self, record: Record<'_>, place: &Place);
}
