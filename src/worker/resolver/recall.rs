//! The short way to what the cache keeps: an ordinary query, and an answer that is fresh, is no alias, has nothing to be
//! said of it and fits.
//!
//! `None` at any point means that the general way begins anew, which can tell everything; what is answered here is octet
//! for octet what that one answers (see the test).

use crate::answer::{Offers, Outcome, Route, Verdict};
use crate::base::octets::u16_at;
use crate::base::time::Moment;
use crate::resolve::cache::{Cache, Looked};
use crate::resolve::question::{Question, Wants};
use crate::wire::key::NameKey;
use crate::wire::message::{AD, CD, HEADER_OCTETS, Rcode};
use crate::wire::query::Shape;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::short::{Sheet, WINDOW};

/// The question that a query asks of others, if no zone of ours has a say in it. `key` is hashed with the snapshot's seed.
#[inline(always)]
pub(in crate::worker) fn question<'k>(route: Route, shape: &Shape, key: &'k NameKey) -> Option<Question<'k>> {
    let qtype = shape.qtype();
    match route {
        Route::Nowhere(Rcode::Refused) if shape.qclass() == Class::IN && !qtype.is_meta() => {}
        _ => return None,
    }
    let dnssec_ok = shape.edns().is_some_and(|edns| edns.dnssec_ok);
    let wants = Wants { dnssec_ok, checking_disabled: shape.flags() & CD != 0 };
    Some(Question::new(key.as_wire(), key.full_hash(), qtype, wants))
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recalled {
    /// The answer, unless it is for the general way.
    pub(super) outcome: Option<Outcome>,
    /// It should be asked for anew: nobody else is told so.
    pub(super) refresh: bool,
}

const NOTHING: Recalled = Recalled { outcome: None, refresh: false };

/// Answers from the cache, at `now`. `buffer` may have been written to where there is no answer.
#[inline(always)]
pub(super) fn recall(
    cache: &Cache,
    now: Moment,
    question: &Question<'_>,
    (window, shape): (&[u8; WINDOW], &Shape),
    buffer: &mut [u8],
    udp_payload_max: u16,
) -> Recalled {
    if Sheet::head(buffer, window).is_none() {
        return NOTHING;
    }
    let mut sheet = Sheet::begin(buffer, shape);
    let room = sheet.room_mut(shape, udp_payload_max);
    let Looked::Fresh(found) = cache.look(question, now, room) else { return NOTHING };
    let refresh = found.prefetch;
    // An alias may lead into a zone of ours, which then has a say.
    let is_alias = found.counts[0] > 0 && !is_of_question(room, question.rtype);
    if is_alias || found.error.is_some() {
        return Recalled { outcome: None, refresh };
    }
    sheet.take(found.octets, found.counts);
    let wants_authentic = question.wants.dnssec_ok || shape.flags() & AD != 0;
    let authentic = if found.authentic && wants_authentic { AD } else { 0 };
    let flags = Offers::Recursion.flags(shape) | authentic;
    let len = sheet.finish(shape, flags, found.rcode, udp_payload_max);
    let outcome = len.map(|len| Outcome { verdict: Verdict::Reply(len), rcode: found.rcode, zone: None });
    Recalled { outcome, refresh }
}

/// True if the first of these records is of that type and of the name asked for.
#[inline(always)]
fn is_of_question(records: &[u8], rtype: RecordType) -> bool {
    const POINTER: [u8; 2] = (0xc000 | HEADER_OCTETS as u16).to_be_bytes();
    records.starts_with(&POINTER) && u16_at(records, POINTER.len()) == Some(rtype.0)
}

#[cfg(test)]
mod tests {
    use super::super::finder::{By, Finder, Missing};
    use super::*;
    use crate::answer::{Bounds, Scratch, resolve};
    use crate::base::metrics::WorkerCounters;
    use crate::catalog::state::State;
    use crate::resolve::body::{Body, ExtendedError};
    use crate::resolve::cache::Life;
    use crate::resolve::harvest::Caps;
    use crate::resolve::policy::Policy;
    use crate::wire::key::HashSeed;
    use crate::wire::query::{Accepted, accept};
    use crate::wire::short;
    use crate::zone::store::Hint;
    use std::time::Duration;

    const PAYLOAD_MAX: u16 = 1232;

    fn seed() -> HashSeed {
        HashSeed::new(*b"a seed for tests")
    }

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(1_000 + seconds)
    }

    /// Addresses of the name asked for.
    fn records(count: u8) -> (Vec<u8>, Vec<u16>) {
        let (mut octets, mut places) = (Vec::new(), Vec::new());
        for number in 0..count {
            octets.extend([0xc0, 12, 0, 1, 0, 1]);
            places.push(octets.len() as u16);
            octets.extend([0, 0, 1, 0x2c, 0, 4, 192, 0, 2, number]);
        }
        (octets, places)
    }

    fn query(name: &[u8], flags: u16, opt: Option<(u16, bool)>) -> Vec<u8> {
        let mut message = [&[0x12, 0x34][..], &flags.to_be_bytes(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        message[11] = u8::from(opt.is_some());
        message.extend(name);
        message.extend([0, 1, 0, 1]);
        if let Some((payload, dnssec_ok)) = opt {
            message.extend([0, 0, 41]);
            message.extend(payload.to_be_bytes());
            message.extend([0, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
        }
        message
    }

    /// What each way answers at `now`; the short one `None` where it has no say.
    fn both(cache: &Cache, message: &[u8], now: Moment) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut window = [0xee; WINDOW];
        window[..message.len()].copy_from_slice(message);
        let mut key = NameKey::default();
        let shape = short::accept(&window, message.len(), &mut key).expect("an ordinary query");
        key.hash(&seed());
        let route = Route::Nowhere(Rcode::Refused);
        let question = question(route, &shape, &key).unwrap();
        let mut buffer = [0xdd; 4_160];
        let recalled = recall(cache, now, &question, (&window, &shape), &mut buffer, PAYLOAD_MAX);
        let told = recalled.outcome.map(|outcome| match outcome.verdict {
            Verdict::Reply(len) => buffer[..len].to_vec(),
            verdict => panic!("{verdict:?}"),
        });

        let mut key = NameKey::default();
        let Accepted::Query(shape) = accept(message, &mut key) else { panic!("a query") };
        key.hash(&seed());
        let (query, mut buffer) = (shape.of(message), [0xdd; 4_160]);
        let caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
        let policy = Policy::new(Default::default(), caps, 86_400, (true, true), []);
        let (mut missing, counters) = (Missing::default(), WorkerCounters::default());
        let (mut room, mut rdata) = (vec![0; 65_535], Vec::with_capacity(65_535));
        let mut finder = Finder {
            cache,
            policy: &policy,
            counters: &counters,
            now,
            given: None,
            earlier: &[],
            by: By::Others,
            impatient: false,
            missing: &mut missing,
            refresh: false,
            room: &mut room,
            rdata: &mut rdata,
        };
        let bounds = Bounds {
            limit: query.udp_limit(PAYLOAD_MAX.into()),
            udp_payload_max: PAYLOAD_MAX,
            now,
            from: None,
        };
        let snapshot = State::new(seed(), 4).snapshot(now);
        let way = (route, Hint::ABSENT);
        let mut scratch = Scratch::default();
        let outcome = resolve(&snapshot, way, (&query, &key), &mut scratch, &mut buffer, bounds, &mut finder);
        let general = match outcome.verdict {
            Verdict::Reply(len) if outcome.rcode != Rcode::Refused => Some(buffer[..len].to_vec()),
            _ => None,
        };
        (told, general)
    }

    #[test]
    fn what_is_recalled_the_general_way_answers_too() {
        let cache = Cache::new(1 << 20);
        let names: [&[u8]; 5] =
            [b"\x03few\0", b"\x04many\x04test\0", b"\x04none\x04test\0", b"\x05wrong\0", b"\x05never\0"];
        let bodies = [records(2), records(60), records(0), records(1)];
        for (place, body) in bodies.iter().enumerate() {
            for wants in (0..4).map(Wants::from_bits) {
                let name = names[place];
                let question = Question::new(name, seed().name(name), RecordType::A, wants);
                let body = Body {
                    rcode: if place == 2 { Rcode::NxDomain } else { Rcode::NoError },
                    authentic: place != 1,
                    error: (place == 3).then_some(ExtendedError::CACHED_ERROR),
                    counts: [body.1.len() as u16, 0, 0],
                    octets: &body.0,
                    ttls: &body.1,
                };
                let life = Life { fresh_seconds: 300, stale_seconds: 600 };
                assert!(cache.put(&question, at(0), life, &body));
            }
        }
        let (mut short, mut asked) = (0, 0);
        for (place, name) in names.into_iter().enumerate() {
            let name = if place == 0 { b"\x03fEw\0" } else { name };
            for flags in [0x0100, 0x0110, 0x0120, 0x0130] {
                for opt in
                    [None, Some((0, false)), Some((512, true)), Some((1232, false)), Some((4096, true))]
                {
                    for seconds in [0, 7, 299, 300, 500] {
                        let message = query(name, flags, opt);
                        let (told, general) = both(&cache, &message, at(seconds));
                        asked += 1;
                        if let Some(told) = told {
                            short += 1;
                            assert_eq!(Some(told), general, "{place}, {flags:x}, {opt:?}, {seconds}");
                        }
                    }
                }
            }
        }
        // Two names with whole answers, and the one with many where 960 octets and more are taken, while they are fresh.
        assert_eq!((short, asked), (2 * 60 + 24, 500));
    }
}
