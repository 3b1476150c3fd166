//! An allocator that counts: calls per thread and for the whole process, and octets per thread. The program that
//! includes this file counts from its start.
#![allow(unsafe_code, reason = "a global allocator cannot be written without")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses a part of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    /// Octets that this thread allocated and did not give back; what one thread allocates another may free.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that this ever was, since somebody last looked.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

static OF_ALL_THREADS: AtomicUsize = AtomicUsize::new(0);

fn note(octets: isize) {
    OF_ALL_THREADS.fetch_add(1, Ordering::Relaxed);
    // A thread that is ending has no counter any more, and nothing that a test looks at.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
    let held = HELD.try_with(|held| {
        held.set(held.get() + octets);
        held.get()
    });
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.unwrap_or_default())));
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a thread's own cell only, which
// needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as isize - layout.size() as isize);
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

/// Octets that this thread holds more after `work`, or less, if negative; what it made stays. What the allocator
/// itself adds to each allocation is not among them.
pub fn octets_held<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let before = HELD.get();
    let done = work();
    (HELD.get() - before, done)
}

/// By how many octets what this thread holds grew at most while `work` ran.
pub fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let done = work();
    ((PEAK.get() - before).max(0) as usize, done)
}

/// Allocations and deallocations of the whole process so far.
pub fn of_all_threads() -> usize {
    OF_ALL_THREADS.load(Ordering::SeqCst)
}
