//! Hints about memory: they change how fast an access is, never what it yields.
#![allow(unsafe_code)]

/// Asks the processor to fetch the cache line where `items[at]` begins, or would begin if there were as many.
#[inline(always)]
pub fn prefetch<T>(items: &[T], at: usize) {
    let item = items.as_ptr().wrapping_add(at);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address, and changes no memory.
    // Safe code would have to load the item, and so wait for it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(item.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// Asks the kernel to back the spare capacity of `items` by huge pages, before it is filled: a look-up in a
/// large zone then misses the TLB less often. No more than a hint; failure costs speed only.
pub fn advise_huge<T>(items: &mut Vec<T>) {
    const HUGE: usize = 2 << 20;
    let spare = items.spare_capacity_mut();
    let (first, octets) = (spare.as_mut_ptr().cast::<u8>(), size_of_val(spare));
    let start = first.addr().next_multiple_of(HUGE);
    let end = (first.addr() + octets) & !(HUGE - 1);
    if end <= start {
        return;
    }
    let offset = start - first.addr();
    // SAFETY: the range lies within the vector's own allocation, whole pages of it; MADV_HUGEPAGE alters how
    // they are backed, not what they hold. There is no safe call for it.
    unsafe {
        libc::madvise(first.add(offset).cast(), end - start, libc::MADV_HUGEPAGE);
    }
}
