//! Integers in and out of octets, network order unless said otherwise, without a panic in any of them.
//!
//! A read past the end yields `None` (or 0 where the caller has proven the range), so that the packet
//! path needs neither `unwrap` nor `unsafe`.

/// The 16 bits at `at`, network order.
#[inline(always)]
pub fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk::<2>().map(|c| u16::from_be_bytes(*c))
}

/// The 32 bits at `at`, network order.
#[inline(always)]
pub fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk::<4>().map(|c| u32::from_be_bytes(*c))
}

/// The 64 bits at `at`, little-endian; 0 where fewer than eight octets are left.
#[inline(always)]
pub fn le64_or_zero(octets: &[u8], at: usize) -> u64 {
    match octets.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(c) => u64::from_le_bytes(*c),
        None => 0,
    }
}

/// Writes `value` at `at` in network order; false, and nothing written, where it does not fit.
#[inline(always)]
pub fn put_u16(octets: &mut [u8], at: usize, value: u16) -> bool {
    match octets.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        Some(c) => {
            *c = value.to_be_bytes();
            true
        }
        None => false,
    }
}
