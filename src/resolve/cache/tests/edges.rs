//! Single rules, each at its edge.

use super::*;
use crate::resolve::body::ExtendedError;

const MIB: usize = 1 << 20;

fn failure() -> Body<'static> {
    Body::failure(Some(ExtendedError::NO_REACHABLE_AUTHORITY))
}

#[test]
fn ttls_count_down_by_whole_seconds_and_never_below_one_while_fresh() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[60, 61, 3_600, 7], 4, 9));
    assert!(cache.put(&ask_a(&name), at(0), life(60, 0), &body(&kept)));
    let mut room = [0; 512];
    let mut look = |now: Moment| match cache.look(&ask_a(&name), now, &mut room) {
        Looked::Fresh(found) => ttls(&room[..found.octets], &kept.1),
        other => panic!("{other:?}"),
    };
    assert_eq!(look(at(0)), [60, 61, 3_600, 7]);
    assert_eq!(look(at(1).before(Duration::from_micros(1))), [60, 61, 3_600, 7]);
    assert_eq!(look(at(1)), [59, 60, 3_599, 6]);
    assert_eq!(look(at(59)), [1, 2, 3_541, 1]);
    assert_eq!(look(at(60).before(Duration::from_micros(1))), [1, 2, 3_541, 1]);
    // A worker that read its clock a moment earlier.
    assert_eq!(look(at(0).before(Duration::from_secs(1))), [60, 61, 3_600, 7]);
}

#[test]
fn a_stale_answer_is_told_with_a_ttl_of_30_for_its_time_and_no_longer() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[5, 500], 4, 9));
    assert!(cache.put(&ask_a(&name), at(0), life(5, 10), &body(&kept)));
    let mut room = [0; 512];
    assert!(matches!(cache.look(&ask_a(&name), at(4), &mut room), Looked::Fresh(_)));
    for now in [5, 14] {
        let Looked::Stale(found, None) = cache.look(&ask_a(&name), at(now), &mut room) else {
            panic!("{now}")
        };
        assert_eq!(ttls(&room[..found.octets], &kept.1), [30, 30]);
    }
    assert_eq!(cache.look(&ask_a(&name), at(15), &mut room), Looked::Miss);
}

#[test]
fn a_failure_neither_hides_nor_replaces_an_answer_that_may_be_told() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[5], 4, 9));
    let ask = ask_a(&name);
    assert!(cache.put(&ask, at(0), life(5, 10), &body(&kept)));
    assert!(cache.put(&ask, at(2), life(10, 0), &failure()));
    let mut room = [0; 512];
    let failing =
        Failing { rcode: Rcode::ServFail, error: Some(ExtendedError::NO_REACHABLE_AUTHORITY), until: at(12) };
    assert!(matches!(cache.look(&ask, at(4), &mut room), Looked::Fresh(_)));
    assert!(matches!(cache.look(&ask, at(5), &mut room), Looked::Stale(_, Some(f)) if f == failing));
    assert!(matches!(cache.look(&ask, at(12), &mut room), Looked::Stale(_, None)));
    assert!(cache.put(&ask, at(14), life(10, 0), &failure()));
    assert_eq!(cache.look(&ask, at(15), &mut room), Looked::Failing(Failing { until: at(24), ..failing }));
    assert_eq!(cache.look(&ask, at(24), &mut room), Looked::Miss);
    // An answer ends the failure.
    assert!(cache.put(&ask, at(24), life(5, 10), &body(&kept)));
    assert!(matches!(cache.look(&ask, at(29), &mut room), Looked::Stale(_, None)));
}

#[test]
fn an_answer_that_cannot_be_kept_ends_the_one_before_it() {
    let cache = Cache::new(MIB);
    let (name, older, large) = (name(1), records(&[300], 4, 9), records(&[60], BODY_OCTETS_MAX, 7));
    let ask = ask_a(&name);
    for (life_of_newer, newer) in [(life(0, 600), &older), (life(60, 600), &large)] {
        assert!(cache.put(&ask, at(0), life(300, 600), &body(&older)));
        // A failure of no time is no news.
        assert!(!cache.put(&ask, at(1), life(0, 0), &failure()));
        assert!(matches!(cache.look(&ask, at(1), &mut [0; 512]), Looked::Fresh(_)));
        assert!(!cache.put(&ask, at(2), life_of_newer, &body(newer)));
        for now in [2, 400] {
            assert_eq!(cache.look(&ask, at(now), &mut [0; 512]), Looked::Miss);
        }
        assert_eq!((cache.stats().entries, cache.stats().octets), (0, 0));
    }
    assert_eq!(cache.stats().evictions, 0, "it did not have to make room");
}

#[test]
fn a_failure_alone_is_told_for_its_time_and_gives_way_to_an_answer() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[5], 4, 9));
    let ask = ask_a(&name);
    let refused = Body { rcode: Rcode::Refused, ..Body::failure(None) };
    assert!(cache.put(&ask, at(0), life(3, 100), &refused));
    let mut room = [0; 512];
    let failing = Failing { rcode: Rcode::Refused, error: None, until: at(3) };
    assert_eq!(cache.look(&ask, at(2), &mut room), Looked::Failing(failing));
    assert_eq!(cache.look(&ask, at(3), &mut room), Looked::Miss);
    assert!(cache.put(&ask, at(2), life(5, 0), &body(&kept)));
    assert!(matches!(cache.look(&ask, at(2), &mut room), Looked::Fresh(_)));
    assert_eq!(cache.stats().entries, 1);
}

#[test]
fn one_look_near_the_end_is_told_to_ask_anew_if_the_answer_was_asked_for_before() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[100], 4, 9));
    let ask = ask_a(&name);
    let prefetch = |now| match cache.look(&ask, at(now), &mut [0; 512]) {
        Looked::Fresh(found) => found.prefetch,
        other => panic!("{other:?}"),
    };
    for _ in 0..2 {
        assert!(cache.put(&ask, at(0), life(100, 0), &body(&kept)));
        assert_eq!([91, 95].map(prefetch), [false, true], "the first look is no demand yet");
        assert_eq!([96, 97].map(prefetch), [false, false]);
    }
    assert!(cache.put(&ask, at(0), life(100, 0), &body(&kept)));
    assert_eq!([50, 90, 91].map(prefetch), [false, false, true], "less than a tenth, not a tenth");
}

#[test]
fn a_room_of_just_the_size_is_enough_and_one_octet_less_tells_the_size() {
    let cache = Cache::new(MIB);
    for rdata in [0, 1, 4, 7, 8, 9, 500] {
        let (name, kept) = (name(rdata as u32), records(&[60], rdata, 0xee));
        assert!(cache.put(&ask_a(&name), at(0), life(60, 0), &body(&kept)));
        let len = kept.0.len();
        let mut room = vec![1; len];
        // Fetching changes nothing.
        cache.fetch_slot(&ask_a(&name));
        cache.fetch_entry(&ask_a(&name));
        assert_eq!(cache.look(&ask_a(&name), at(0), &mut room[1..]), Looked::TooLarge(len));
        assert_eq!(room, vec![1; len], "nothing was written");
        assert!(matches!(cache.look(&ask_a(&name), at(0), &mut room), Looked::Fresh(f) if f.octets == len));
        assert_eq!(room, kept.0);
    }
}

#[test]
fn a_body_at_the_bound_is_kept_and_one_beyond_is_not() {
    let cache = Cache::new(CACHE_OCTETS_MIN);
    let mut room = vec![0; BODY_OCTETS_MAX];
    for (number, (records, kept)) in [
        (records(&[60], BODY_OCTETS_MAX - 12, 7), true),
        (records(&[60], BODY_OCTETS_MAX - 11, 7), false),
        (records(&[60; BODY_OCTETS_MAX / 12], 0, 7), true),
        ((Vec::new(), Vec::new()), true),
    ]
    .into_iter()
    .enumerate()
    {
        let name = name(number as u32);
        assert_eq!(cache.put(&ask_a(&name), at(0), life(60, 0), &body(&records)), kept, "{number}");
        let looked = cache.look(&ask_a(&name), at(0), &mut room);
        assert_eq!(matches!(looked, Looked::Fresh(_)), kept, "{number}: {looked:?}");
        assert!(!kept || room[..records.0.len()] == records.0);
    }
}

#[test]
fn what_cannot_be_told_rightly_is_not_kept() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[60, 60], 4, 7));
    let ask = ask_a(&name);
    assert!(!cache.put(&ask, at(0), life(0, 60), &body(&kept)), "it lives for no time");
    assert!(!cache.put(&ask, at(0), life(0, 60), &failure()), "it lives for no time");
    assert!(
        !cache.put(&ask, at(0), life(60, 0), &Body { ttls: &kept.1[1..], ..body(&kept) }),
        "a TTL is missing"
    );
    assert!(!cache.put(&ask, Moment::NEVER, life(60, 0), &body(&kept)), "no such moment");
    assert!(!cache.put(&ask_a(&[]), at(0), life(60, 0), &body(&kept)), "no such name");
    assert!(!cache.put(&ask_a(&[1; NAME_OCTETS_MAX + 1]), at(0), life(60, 0), &body(&kept)), "no such name");
    assert_eq!(cache.stats(), Stats::default());
}

#[test]
fn questions_of_one_hash_that_differ_in_name_type_or_wants_are_kept_apart() {
    let cache = Cache::new(MIB);
    let long = [&[63; 64][..], &[63; 64], &[63; 64], &[61; 62], &[0]].concat();
    let names: Vec<Vec<u8>> =
        vec![vec![0], name(1), name(2), b"\x06abcdef\0".to_vec(), b"\x06abcdeg\0".to_vec(), long];
    let mut all = Vec::new();
    for name in &names {
        for rtype in [RecordType::A, RecordType::AAAA] {
            for bits in 0..4 {
                all.push(Question { name, rtype, wants: Wants::from_bits(bits), hash: 77 });
            }
        }
    }
    for (number, question) in all.iter().enumerate() {
        assert!(cache.put(question, at(0), life(60, 0), &body(&records(&[60], 4, number as u8))));
    }
    for (number, question) in all.iter().enumerate() {
        let mut room = [0; 16];
        assert!(matches!(cache.look(question, at(0), &mut room), Looked::Fresh(_)), "{number}");
        assert_eq!(room[12..], [number as u8; 4]);
    }
    assert_eq!(dump(&cache, at(0)).len(), all.len());
}

#[test]
fn everything_about_an_answer_comes_back() {
    let cache = Cache::new(MIB);
    let (octets, places) = records(&[60; 6], 4, 7);
    for (number, rcode) in [Rcode::NoError, Rcode::NxDomain, Rcode::YxDomain].into_iter().enumerate() {
        let name = name(number as u32);
        let error = [None, Some(ExtendedError::STALE_ANSWER), Some(ExtendedError(0))][number];
        let body =
            Body { rcode, authentic: number == 1, error, counts: [3, 1, 2], octets: &octets, ttls: &places };
        assert!(cache.put(&ask_a(&name), at(0), life(60, 1), &body));
        let expected = Found {
            rcode,
            authentic: number == 1,
            error,
            counts: [3, 1, 2],
            octets: octets.len(),
            prefetch: false,
        };
        assert_eq!(cache.look(&ask_a(&name), at(0), &mut [0; 512]), Looked::Fresh(expected));
        let told = dump(&cache, at(0)).into_iter().find(|kept| *kept.name == name);
        assert_eq!(cache.kept(&ask_a(&name), at(0)), told, "one question alone is told as all are");
        let answer = told.and_then(|kept| kept.answer);
        assert_eq!(answer.as_ref().map(Answer::body), Some(body));
        assert_eq!(answer.map(|answer| (answer.fresh_until, answer.stale_until)), Some((at(60), at(61))));
    }
}

#[test]
fn what_was_found_before_all_was_forgotten_is_not_kept_after_it() {
    let cache = Cache::new(MIB);
    let (name, kept) = (name(1), records(&[60], 4, 9));
    let epoch = cache.epoch();
    assert!(cache.put_in(epoch, &ask_a(&name), at(0), life(60, 0), &body(&kept)));
    cache.flush(&[0]);
    assert!(cache.put_in(epoch, &ask_a(&name), at(0), life(60, 0), &body(&kept)));
    cache.flush_all();
    assert!(!cache.put_in(epoch, &ask_a(&name), at(0), life(60, 0), &body(&kept)));
    assert_eq!(cache.look(&ask_a(&name), at(0), &mut [0; 512]), Looked::Miss);
    assert!(cache.put_in(cache.epoch(), &ask_a(&name), at(0), life(60, 0), &body(&kept)));
}

#[test]
fn flushing_a_name_takes_what_is_at_and_below_it_and_nothing_else() {
    let cache = Cache::new(8 * MIB);
    let names: [&[u8]; 6] = [
        b"\x03com\0",
        b"\x07example\x03com\0",
        b"\x03www\x07example\x03com\0",
        b"\x08xexample\x03com\0",
        b"\x09eeexample\x03com\0",
        b"\x07example\x03net\0",
    ];
    let fill = || {
        for name in names {
            assert!(cache.put(&ask_a(name), at(0), life(60, 0), &body(&records(&[60], 4, 7))));
        }
    };
    let left = || names.map(|name| cache.look(&ask_a(name), at(0), &mut [0; 99]) != Looked::Miss);
    fill();
    // Also where names are written in another case.
    assert_eq!(cache.flush(b"\x07EXAMPLE\x03com\0"), 2);
    assert_eq!(left(), [true, false, false, true, true, true]);
    fill();
    assert_eq!(cache.flush(&[0]), 6);
    assert_eq!(left(), [false; 6]);
    fill();
    assert_eq!(cache.flush_all(), 6);
    assert_eq!((left(), cache.stats().entries, cache.stats().octets), ([false; 6], 0, 0));
}
