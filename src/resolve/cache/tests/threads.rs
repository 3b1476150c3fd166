//! Many at once: readers and writers of the same few keys, with bodies that say what they must be.

use super::*;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

/// Keys, few enough for all to meet, and more than the small cache holds with long bodies.
const KEYS: u32 = 64;
/// Steps of each thread.
const STEPS: u32 = 60_000;

/// A body that names its key and its version, repeated, of a length that follows from both.
fn described(key: u32, version: u32) -> (Vec<u8>, Vec<u16>) {
    let mark = (key << 24 | version & 0x00ff_ffff).to_be_bytes();
    let longest = if version.is_multiple_of(64) { 3_000 } else { 60 };
    let repeats = (key as usize * 7 + version as usize * 31) % longest + 1;
    let mut octets = vec![0xc0, 12, 0, 1, 0, 1];
    octets.extend(1_000u32.to_be_bytes());
    octets.extend(((repeats * 4) as u16).to_be_bytes());
    (0..repeats).for_each(|_| octets.extend(mark));
    (octets, vec![6])
}

fn check(key: u32, room: &[u8], found: &Found) {
    let octets = &room[..found.octets];
    let mark = crate::base::octets::u32_at(octets, 12).unwrap_or_default();
    assert_eq!(mark >> 24, key, "a foreign body");
    assert_eq!(octets, described(key, mark & 0x00ff_ffff).0, "a torn body");
    assert_eq!(found.counts, [1, 0, 0]);
}

fn write(cache: &Cache, seed: u64) -> u32 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut kept = 0;
    for step in 0..STEPS {
        let key = rng.u32(0..KEYS);
        let name = name(key);
        let done = match rng.u8(0..32) {
            0 => cache.put(&ask_a(&name), at(0), life(1_000, 0), &Body::failure(None)),
            1 if step % 64 == 0 => cache.flush(&name) > 0,
            2 if step % 512 == 0 => dump(cache, at(0)).len() > KEYS as usize,
            _ => cache.put(&ask_a(&name), at(0), life(1_000, 0), &body(&described(key, rng.u32(0..1 << 20)))),
        };
        kept += u32::from(done);
    }
    kept
}

fn read(cache: &Cache, seed: u64, told: &AtomicUsize) -> u32 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut room = vec![0; BODY_OCTETS_MAX];
    let mut hits = 0;
    for _ in 0..STEPS {
        let key = rng.u32(0..KEYS);
        match cache.look(&ask_a(&name(key)), at(0), &mut room) {
            Looked::Fresh(found) => {
                check(key, &room, &found);
                hits += 1;
                told.fetch_add(usize::from(found.prefetch), Relaxed);
            }
            Looked::Miss | Looked::Failing(_) => {}
            other => panic!("{other:?}"),
        }
    }
    hits
}

#[test]
fn no_reader_ever_sees_a_torn_or_a_foreign_body() {
    let (cache, told) = (Cache::new(CACHE_OCTETS_MIN), AtomicUsize::new(0));
    let (kept, hits) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|seed| {
                let cache = &cache;
                scope.spawn(move || write(cache, seed))
            })
            .collect();
        let readers: Vec<_> = (2..5)
            .map(|seed| {
                let (cache, told) = (&cache, &told);
                scope.spawn(move || read(cache, seed, told))
            })
            .collect();
        let sum = |threads: Vec<std::thread::ScopedJoinHandle<'_, u32>>| {
            threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
        };
        (sum(writers), sum(readers))
    });
    // A thread that panicked counts nothing.
    assert!(kept.iter().chain(&hits).all(|count| *count > STEPS / 100), "{kept:?} {hits:?}");
    assert_eq!(told.load(Relaxed), 0, "nothing was near its end");
    // What is left is whole, and found again.
    for kept in dump(&cache, at(0)) {
        assert!(cache.look(&ask_a(&kept.name), at(0), &mut vec![0; BODY_OCTETS_MAX]) != Looked::Miss);
    }
    assert_eq!(dump(&cache, at(0)).len() as u64, cache.stats().entries);
}

#[test]
fn of_many_who_look_near_the_end_one_is_told_to_ask_anew() {
    let cache = Cache::new(CACHE_OCTETS_MIN);
    for round in 0..200 {
        let name = name(round);
        assert!(cache.put(&ask_a(&name), at(0), life(100, 0), &body(&records(&[100], 4, 1))));
        cache.look(&ask_a(&name), at(0), &mut [0; 64]);
        let told = std::thread::scope(|scope| {
            let look =
                || matches!(cache.look(&ask_a(&name), at(95), &mut [0; 64]), Looked::Fresh(f) if f.prefetch);
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(look)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|told| *told).count()
        });
        assert_eq!(told, 1);
    }
}
