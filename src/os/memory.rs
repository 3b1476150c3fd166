//! Hints about memory: they change how fast an access is, never what it yields.
#![allow(unsafe_code)]

/// Asks the processor to fetch the cache line of `octets[at]`; nothing happens where that lies outside.
#[inline(always)]
pub fn prefetch(octets: &[u8], at: usize) {
    let Some(octet) = octets.get(at) else { return };
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults and changes no memory, and the address is that of a live reference.
    // Safe code would have to load the octet, and so wait for it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(octet).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = octet;
}

/// Asks the kernel to back the spare capacity of `octets` by huge pages, before it is filled: a look-up in a
/// large zone then misses the TLB less often. No more than a hint; failure costs speed only.
pub fn advise_huge(octets: &mut Vec<u8>) {
    const HUGE: usize = 2 << 20;
    let spare = octets.spare_capacity_mut();
    let start = spare.as_mut_ptr().addr().next_multiple_of(HUGE);
    let end = (spare.as_mut_ptr().addr() + spare.len()) & !(HUGE - 1);
    if end <= start {
        return;
    }
    let offset = start - spare.as_mut_ptr().addr();
    // SAFETY: the range lies within the vector's own allocation, whole pages of it; MADV_HUGEPAGE alters how
    // they are backed, not what they hold. There is no safe call for it.
    unsafe {
        libc::madvise(spare.as_mut_ptr().add(offset).cast(), end - start, libc::MADV_HUGEPAGE);
    }
}
