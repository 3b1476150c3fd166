//! What is asked of others and kept: a name, a type, and what the asker wants of DNSSEC.

use crate::wire::rtype::RecordType;

/// What the asker wants of DNSSEC: answers to the same name and type differ by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Wants {
    /// The records of DNSSEC with the answer (RFC 3225).
    pub dnssec_ok: bool,
    /// The answer even if it is bogus (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
}

impl Wants {
    /// As two bits.
    pub fn bits(self) -> u8 {
        u8::from(self.dnssec_ok) | u8::from(self.checking_disabled) << 1
    }

    /// From [`Wants::bits`]; other bits do not count.
    pub fn from_bits(bits: u8) -> Wants {
        Wants { dnssec_ok: bits & 1 != 0, checking_disabled: bits & 2 != 0 }
    }
}

/// A question of class IN. Two are the same if all but `hash` is equal; equal ones have equal hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'q> {
    /// The name: uncompressed wire form, lower-cased, the root's zero octet included.
    pub name: &'q [u8],
    /// The type.
    pub rtype: RecordType,
    /// What of DNSSEC.
    pub wants: Wants,
    /// Of all of it, keyed: see [`Question::new`].
    pub hash: u64,
}

impl<'q> Question<'q> {
    /// `name_hash` is that of the lower-cased name under the process's [`HashSeed`](crate::wire::key::HashSeed), which
    /// nobody outside can foresee.
    #[inline(always)]
    pub fn new(name: &'q [u8], name_hash: u64, rtype: RecordType, wants: Wants) -> Question<'q> {
        // The hash of the name is spread already; what is added must move all bits, and differ for each pair.
        let rest = u64::from(rtype.0) << 2 | u64::from(wants.bits());
        let hash = (name_hash ^ rest.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Question { name, rtype, wants, hash: hash ^ hash >> 32 }
    }
}
