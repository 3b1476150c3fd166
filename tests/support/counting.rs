//! An allocator that counts: calls per thread, calls and octets for the whole process. The program that includes this
//! file counts from its start.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

static OF_ALL_THREADS: AtomicUsize = AtomicUsize::new(0);

/// Octets that are allocated and not freed.
static OCTETS: AtomicUsize = AtomicUsize::new(0);

fn note() {
    OF_ALL_THREADS.fetch_add(1, Ordering::Relaxed);
    // A thread that is ending has no counter any more, and nothing that a test looks at.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a thread's own cell only, which
// needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        OCTETS.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note();
        OCTETS.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        OCTETS.fetch_add(size.wrapping_sub(layout.size()), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations and deallocations of this thread while `work` runs.
pub fn counted<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let done = work();
    (ALLOCATIONS.get() - before, done)
}

/// Octets that the whole process holds more after `work`, or less, if negative; what it made stays.
/// What the allocator itself adds to each allocation is not among them.
pub fn octets_held<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = OCTETS.load(Ordering::SeqCst);
    let done = work();
    (OCTETS.load(Ordering::SeqCst).wrapping_sub(before) as isize, done)
}

/// Allocations and deallocations of the whole process so far.
pub fn of_all_threads() -> usize {
    OF_ALL_THREADS.load(Ordering::SeqCst)
}
