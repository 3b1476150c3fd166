//! The twin: a map, and the rules said plainly. Random lives in virtual time hold the two against each other.

use super::*;
use crate::resolve::body::ExtendedError;
use proptest::prelude::*;
use std::collections::HashMap;

/// Octets, and where the TTLs stand in them.
type Records = (Vec<u8>, Vec<u16>);

/// What is known of a question.
#[derive(Debug, Clone)]
struct Known {
    /// The answer: when it was kept, for how long, and with what.
    answer: Option<(Moment, Life, Records)>,
    failing: Option<Failing>,
    asked: bool,
    told: bool,
}

#[derive(Default)]
struct Twin(HashMap<(Vec<u8>, u16, u8), Known>);

fn key(question: &Question<'_>) -> (Vec<u8>, u16, u8) {
    (question.name.to_vec(), question.rtype.0, question.wants.bits())
}

impl Twin {
    fn put_answer(&mut self, question: &Question<'_>, now: Moment, life: Life, records: &Records) {
        // What is told and forgotten ends what was known before.
        if life.fresh_seconds == 0 {
            self.0.remove(&key(question));
            return;
        }
        let answer = Some((now, life, records.clone()));
        self.0.insert(key(question), Known { answer, failing: None, asked: false, told: false });
    }

    fn put_failure(&mut self, question: &Question<'_>, now: Moment, seconds: u32, body: &Body<'_>) {
        let unknown = Known { answer: None, failing: None, asked: false, told: false };
        let until = now + Duration::from_secs(seconds.into());
        self.0.entry(key(question)).or_insert(unknown).failing =
            Some(Failing { rcode: body.rcode, error: body.error, until });
    }

    /// What a look must find, and the records with their TTLs.
    fn look(&mut self, question: &Question<'_>, now: Moment) -> (Looked, Vec<u8>) {
        let Some(known) = self.0.get_mut(&key(question)) else { return (Looked::Miss, Vec::new()) };
        let failing = known.failing.filter(|failing| now < failing.until);
        let answer = known.answer.as_ref().map(|(kept, life, records)| {
            let fresh_until = *kept + Duration::from_secs(life.fresh_seconds.into());
            (*kept, fresh_until, fresh_until + Duration::from_secs(life.stale_seconds.into()), records)
        });
        let Some((kept, fresh_until, _, records)) =
            answer.filter(|(_, _, stale_until, _)| now < *stale_until)
        else {
            known.asked |= failing.is_some();
            return (failing.map_or(Looked::Miss, Looked::Failing), Vec::new());
        };
        let mut octets = records.0.clone();
        let fresh = now < fresh_until;
        for place in &records.1 {
            let place = usize::from(*place)..usize::from(*place) + 4;
            let ttl = octets[place.clone()].iter().fold(0, |ttl, octet| ttl << 8 | u32::from(*octet));
            let aged = ttl.saturating_sub((now - kept).as_secs() as u32).max(1);
            octets[place].copy_from_slice(&if fresh { aged } else { 30 }.to_be_bytes());
        }
        let ending = fresh && (fresh_until - now) * 10 < fresh_until - kept;
        let prefetch = ending && known.asked && !known.told;
        known.told |= prefetch;
        known.asked = true;
        let found = Found { prefetch, octets: octets.len(), ..found(&body(records)) };
        (if fresh { Looked::Fresh(found) } else { Looked::Stale(found, failing) }, octets)
    }

    fn flush(&mut self, name: &[u8]) -> usize {
        let before = self.0.len();
        self.0.retain(|(own, ..), _| !own.ends_with(name));
        before - self.0.len()
    }
}

fn found(body: &Body<'_>) -> Found {
    let Body { rcode, authentic, error, counts, octets, .. } = *body;
    Found { rcode, authentic, error, counts, octets: octets.len(), prefetch: false }
}

#[derive(Debug, Clone)]
enum Step {
    Answer { key: u8, life: Life, ttls: Vec<u32>, rdata: usize },
    Failure { key: u8, seconds: u32, refused: bool },
    Look(u8),
    Flush(u8),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..24u8;
    let life = (0..20u32, 0..20u32).prop_map(|(fresh, stale)| life(fresh, stale));
    let ttls = proptest::collection::vec(0..40u32, 0..6);
    let step = prop_oneof![
        4 => (key.clone(), life, ttls, 0..40usize)
            .prop_map(|(key, life, ttls, rdata)| Step::Answer { key, life, ttls, rdata }),
        2 => (key.clone(), 1..15u32, any::<bool>())
            .prop_map(|(key, seconds, refused)| Step::Failure { key, seconds, refused }),
        10 => key.clone().prop_map(Step::Look),
        1 => key.prop_map(Step::Flush),
        4 => (0..4_000_000u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_cache_tells_what_a_plain_map_would(steps in steps()) {
        let (cache, mut twin) = (Cache::new(CACHE_OCTETS_MIN), Twin::default());
        let mut now = at(0);
        // Two names below each of three, with two types and two wishes.
        let names: Vec<Vec<u8>> = (0..6u8).map(|n| [&[1, b'a' + n % 2, 1, b'p' + n / 2][..], b"\x01z\0"].concat()).collect();
        let ask = |key: u8| {
            let rtype = if key & 1 == 0 { RecordType::A } else { RecordType::AAAA };
            question(&names[usize::from(key) / 4], rtype, Wants::from_bits(key >> 1 & 1))
        };
        for step in steps {
            match step {
                Step::Answer { key, life, ttls, rdata } => {
                    let records = records(&ttls, rdata, key);
                    let kept = cache.put(&ask(key), now, life, &body(&records));
                    prop_assert_eq!(kept, life.fresh_seconds > 0);
                    twin.put_answer(&ask(key), now, life, &records);
                }
                Step::Failure { key, seconds, refused } => {
                    let error = refused.then_some(ExtendedError::PROHIBITED);
                    let rcode = if refused { Rcode::Refused } else { Rcode::ServFail };
                    let body = Body { rcode, ..Body::failure(error) };
                    prop_assert!(cache.put(&ask(key), now, life(seconds, 5), &body));
                    twin.put_failure(&ask(key), now, seconds, &body);
                }
                Step::Look(key) => {
                    let mut room = [0; 512];
                    let looked = cache.look(&ask(key), now, &mut room);
                    let (expected, octets) = twin.look(&ask(key), now);
                    prop_assert_eq!(looked, expected);
                    prop_assert_eq!(&room[..octets.len()], &octets[..]);
                }
                Step::Flush(key) => {
                    let name = &names[usize::from(key) / 4];
                    let name = if key & 1 == 0 { &name[..] } else { &name[2..] };
                    prop_assert_eq!(cache.flush(name), twin.flush(name));
                }
                Step::Pass(micros) => now += Duration::from_micros(micros),
            }
            prop_assert_eq!(cache.stats().entries, twin.0.len() as u64);
        }
        // A dump tells what looks would.
        let told = dump(&cache, now);
        for key in 0..24 {
            let question = ask(key);
            let (looked, _) = twin.look(&question, now);
            let kept = told.iter().find(|kept| {
                (&*kept.name, kept.rtype, kept.wants) == (question.name, question.rtype, question.wants)
            });
            let (answer, failing) = match looked {
                Looked::Miss => (false, None),
                Looked::Failing(failing) => (false, Some(failing)),
                Looked::Stale(_, failing) => (true, failing),
                Looked::Fresh(_) | Looked::TooLarge(_) => (true, kept.and_then(|kept| kept.failing)),
            };
            prop_assert_eq!(kept.is_some(), looked != Looked::Miss);
            prop_assert_eq!(kept.map_or((false, None), |kept| (kept.answer.is_some(), kept.failing)), (answer, failing));
        }
    }
}
