//! Runs that share nothing, as many at a time as there are processors, each in the order in which it was asked for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for each item on `jobs` threads and hands each outcome to `done` as it comes, with the item's place.
/// `done` says whether to go on; what has begun is still finished.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
    done: impl FnMut(usize, R) -> bool + Send,
) {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(done);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some((place, item)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    items.get(place).map(|item| (place, item))
                } {
                    let outcome = work(item);
                    // Poisoned only if `done` panicked, which ends the scope with a panic anyhow.
                    let Ok(mut done) = done.lock() else { return };
                    if !done(place, outcome) {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn everything_is_done_once_by_as_many_as_were_asked_for() {
        // Two at a time: neither gets through alone.
        let both = Barrier::new(2);
        let mut came = Vec::new();
        let work = |item: &u32| {
            both.wait();
            item * 10
        };
        each(&[1, 2, 3, 4], 2, work, |place, outcome| {
            came.push((place, outcome));
            true
        });
        came.sort_unstable();
        assert_eq!(came, [(0, 10), (1, 20), (2, 30), (3, 40)]);
    }

    #[test]
    fn nothing_new_is_begun_once_it_is_over() {
        let mut count = 0;
        each(
            &[(); 100],
            1,
            |()| (),
            |_, ()| {
                count += 1;
                count < 3
            },
        );
        assert_eq!(count, 3);
    }
}
