//! Who stays when there is not room for all, and what it takes.

use super::*;

const MIB: usize = 1 << 20;

/// Two addresses.
fn addresses() -> (Vec<u8>, Vec<u16>) {
    records(&[300, 300], 4, 7)
}

/// A denial: 100 octets with one SOA.
fn denial() -> (Vec<u8>, Vec<u16>) {
    records(&[300], 88, 7)
}

fn is_known(cache: &Cache, number: u32) -> bool {
    matches!(cache.look(&ask_a(&name(number)), at(1), &mut [0; 512]), Looked::Fresh(_))
}

fn put(cache: &Cache, number: u32, records: &(Vec<u8>, Vec<u16>)) {
    assert!(cache.put(&ask_a(&name(number)), at(0), life(300, 0), &body(records)));
}

#[test]
fn the_cache_takes_the_octets_it_was_given_and_no_more() {
    for octets in [0, CACHE_OCTETS_MIN, MIB, 3 * MIB, 4 * MIB - 1, 64 * MIB] {
        let taken = Cache::new(octets).octets();
        assert!(taken <= octets.max(CACHE_OCTETS_MIN), "{taken} of {octets}");
        assert!(taken + taken / 1_000 + 64 >= octets, "{taken} of {octets}");
    }
}

/// A sixteenth: four of the 64 shards that 200 MiB make, and as many entries as fall to them.
#[test]
fn a_million_typical_entries_take_200_mib() {
    assert_eq!(Cache::new(200 * MIB).shards.len(), 64);
    for records in [addresses(), denial()] {
        let cache = Cache {
            flushes: AtomicU64::new(0),
            shards: (0..4).map(|_| Shard::new(200 * MIB / 64)).collect(),
        };
        let numbers = 0..1_000_000 / 16;
        numbers.clone().for_each(|number| put(&cache, number, &records));
        let known = numbers.clone().filter(|number| is_known(&cache, *number)).count();
        assert!(known >= numbers.len() * 999 / 1_000, "{known}");
        assert!(cache.octets() <= 200 * MIB / 16);
    }
}

#[test]
fn what_is_in_use_survives_a_flood_of_names_that_are_asked_for_once() {
    for used in [100, 2_000] {
        let cache = Cache::new(MIB);
        (0..used).for_each(|number| put(&cache, number, &addresses()));
        for flood in 0..200_000u32 {
            put(&cache, 1_000_000 + flood, &if flood % 2 == 0 { addresses() } else { denial() });
            // Each is asked for again once in many more foreign names than the cache holds.
            if flood % 20 == 0 {
                is_known(&cache, flood / 20 % used);
            }
        }
        let known = (0..used).filter(|number| is_known(&cache, *number)).count();
        assert!(known as u32 >= used * 98 / 100, "{known} of {used}");
    }
}

#[test]
fn a_flood_of_failures_pushes_out_no_answer_in_use() {
    let cache = Cache::new(MIB);
    (0..2_000).for_each(|number| put(&cache, number, &addresses()));
    (0..2_000).for_each(|number| assert!(is_known(&cache, number)));
    for flood in 0..100_000u32 {
        let name = name(1_000_000 + flood);
        assert!(cache.put(&ask_a(&name), at(0), life(300, 0), &Body::failure(None)));
    }
    let known = (0..2_000).filter(|number| is_known(&cache, *number)).count();
    assert!(known >= 1_960, "{known}");
}

#[test]
fn a_new_working_set_takes_the_place_of_one_that_nobody_uses_any_more() {
    let cache = Cache::new(MIB);
    for set in 0..4u32 {
        let numbers = set * 10_000..set * 10_000 + 3_000;
        for _ in 0..4 {
            for number in numbers.clone() {
                if !is_known(&cache, number) {
                    put(&cache, number, &denial());
                }
            }
        }
        let known = numbers.filter(|number| is_known(&cache, *number)).count();
        assert!(known >= 2_900, "{known} of set {set}");
    }
}

#[test]
fn answers_of_all_sizes_come_and_go_and_none_is_ever_another() {
    let cache = Cache::new(CACHE_OCTETS_MIN);
    let mut rng = fastrand::Rng::with_seed(4);
    let mut room = vec![0; BODY_OCTETS_MAX];
    let (mut told, mut kept) = (0, 0);
    for _ in 0..30_000 {
        let number = rng.u32(0..2_000);
        let name = name(number);
        let octets = if rng.u8(0..20) == 0 { rng.usize(0..BODY_OCTETS_MAX - 12) } else { rng.usize(0..300) };
        match cache.look(&ask_a(&name), at(1), &mut room) {
            Looked::Fresh(found) => {
                told += 1;
                assert!(room[12..found.octets].iter().all(|octet| *octet == number as u8));
            }
            Looked::Miss => {}
            other => panic!("{other:?}"),
        }
        kept += usize::from(cache.put(
            &ask_a(&name),
            at(0),
            life(60, 0),
            &body(&records(&[60], octets, number as u8)),
        ));
    }
    let stats = cache.stats();
    assert!(kept == 30_000 && told > 3_000, "{kept} {told}");
    assert_eq!(dump(&cache, at(1)).len() as u64, stats.entries);
    assert!(stats.evictions > 1_000 && stats.octets <= CACHE_OCTETS_MIN as u64 && stats.gave_up == 0);
}

#[test]
fn what_is_over_goes_out_without_being_counted_as_lost() {
    let cache = Cache::new(CACHE_OCTETS_MIN);
    for number in 0..10_000 {
        let name = name(number);
        assert!(cache.put(&ask_a(&name), at(u64::from(number)), life(1, 1), &body(&addresses())));
    }
    assert_eq!(cache.stats().evictions, 0);
}
