//! The cache of answers: one look that finds, one that does not, and keeping an answer; with few entries that the
//! processor's caches hold, and with many. Then the choice between one cache for all and one for each thread.
//!
//! `cargo bench --bench cache`

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivedns::base::time::Moment;
use hivedns::resolve::body::Body;
use hivedns::resolve::cache::{Cache, Life, Looked};
use hivedns::resolve::question::{Question, Wants};
use hivedns::wire::message::Rcode;
use hivedns::wire::rtype::RecordType;
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Duration;
use support::{Numbers, seed};

const LIFE: Life = Life { fresh_seconds: 300, stale_seconds: 86_400 };
/// Questions that are answered together, as a worker does.
const STRIPE: usize = 16;
/// Names of the comparison: twice what its caches hold.
const NAMES: u32 = 400_000;
const COMPARED_OCTETS: usize = 32 << 20;

/// 25 octets or a few more.
fn name(number: u32) -> Vec<u8> {
    let label = format!("www-{number:07}");
    [&[label.len() as u8][..], label.as_bytes(), b"\x04dept\x07example\0"].concat()
}

fn ask(name: &[u8]) -> Question<'_> {
    Question::new(name, seed().name(name), RecordType::A, Wants::default())
}

/// Records with so many octets of RDATA each.
fn records(count: usize, rdata: usize) -> (Vec<u8>, Vec<u16>) {
    let one = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, rdata as u8][..], &vec![7; rdata]].concat();
    (one.repeat(count), (0..count).map(|n| (n * one.len() + 6) as u16).collect())
}

fn body((octets, ttls): &(Vec<u8>, Vec<u16>)) -> Body<'_> {
    let counts = [ttls.len() as u16, 0, 0];
    Body { rcode: Rcode::NoError, authentic: false, error: None, counts, octets, ttls }
}

/// Two addresses, or a denial of 100 octets.
fn bodies() -> [(Vec<u8>, Vec<u16>); 2] {
    [records(2, 4), records(1, 88)]
}

fn now() -> Moment {
    Moment::START + Duration::from_secs(3 * 24 * 3_600)
}

/// True when measuring; a test runs everything once and small.
fn measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn looks(criterion: &mut Criterion) {
    let bodies = bodies();
    let sizes = if measuring() { &[1_000u32, 100_000, 1_000_000][..] } else { &[1_000] };
    for size in sizes.iter().copied() {
        let cache = Cache::new(if size > 100_000 { 200 << 20 } else { 32 << 20 });
        for number in 0..size {
            cache.put(&ask(&name(number)), now(), LIFE, &body(&bodies[number as usize % 2]));
        }
        println!("cache: {size} entries, {:?}, {} octets in all", cache.stats(), cache.octets());
        // In random order, their hashes made before, as the path of a packet has them.
        let mut numbers = Numbers::new(7);
        let order: Vec<u32> = (0..size.max(16_384)).map(|_| numbers.below(size)).collect();
        let known: Vec<Vec<u8>> = order.iter().map(|number| name(*number)).collect();
        let absent: Vec<Vec<u8>> = order.iter().map(|number| name(number + 5_000_000)).collect();
        let (known, absent): (Vec<_>, Vec<_>) =
            (known.iter().map(|n| ask(n)).collect(), absent.iter().map(|n| ask(n)).collect());
        let mut group = criterion.benchmark_group(format!("cache of {size}"));
        group.throughput(Throughput::Elements(1));
        let mut room = [0; 512];
        for (what, questions) in [("hit", &known), ("miss", &absent)] {
            let mut next = questions.iter().cycle();
            group.bench_function(what, |bencher| {
                bencher
                    .iter(|| next.next().map(|question| cache.look(question, now(), black_box(&mut room))));
            });
        }
        let mut stripes = known.chunks_exact(STRIPE).cycle();
        group.throughput(Throughput::Elements(STRIPE as u64));
        group.bench_function(format!("{STRIPE} hits, fetched early"), |bencher| {
            bencher.iter(|| {
                let stripe = stripes.next().unwrap_or_default();
                stripe.iter().for_each(|question| cache.fetch_slot(question));
                stripe.iter().for_each(|question| cache.fetch_entry(question));
                let hit = |question: &&Question<'_>| {
                    matches!(cache.look(question, now(), black_box(&mut room)), Looked::Fresh(_))
                };
                stripe.iter().filter(hit).count()
            });
        });
        group.throughput(Throughput::Elements(1));
        let mut next = (0..).map(|n| &known[n % known.len()]);
        group.bench_function("put again", |bencher| {
            bencher.iter(|| next.next().map(|question| cache.put(question, now(), LIFE, &body(&bodies[0]))));
        });
        let mut fresh = absent.iter().cycle();
        group.bench_function("put anew", |bencher| {
            bencher.iter(|| fresh.next().map(|question| cache.put(question, now(), LIFE, &body(&bodies[1]))));
        });
        group.finish();
    }
}

/// How long this thread has been on a processor, which tells more than a clock where others run too.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// One thread's share of the comparison: looks by a skewed choice of names, and puts what it does not find. Hits of so
/// many looks, and the time of one.
fn serve(cache: &Cache, seed: u64, looks: u32, questions: &[Question<'_>]) -> (f64, Duration) {
    let (bodies, mut numbers, mut room) = (bodies(), Numbers::new(seed), [0; 512]);
    let mut hits = 0;
    let start = on_processor();
    for _ in 0..looks {
        // Each half of the names is asked for about as often as the half before: rank is the power of a uniform number.
        let exponent = f64::from(numbers.below(1 << 24)) / f64::from(1 << 24);
        let rank = f64::from(questions.len() as u32).powf(exponent) as usize;
        let Some(question) = questions.get(rank) else { continue };
        match cache.look(question, now(), &mut room) {
            Looked::Fresh(_) => hits += 1,
            _ => {
                cache.put(question, now(), LIFE, &body(&bodies[rank % 2]));
            }
        }
    }
    (f64::from(hits) / f64::from(looks), (on_processor() - start) / looks)
}

/// Two threads that answer the same clients: with one cache, and with one of half the size each.
fn shared_or_not(_: &mut Criterion) {
    let (looks, names) = if measuring() { (4_000_000, NAMES) } else { (1_000, 1_000) };
    let names: Vec<Vec<u8>> = (0..names).map(name).collect();
    let questions: Vec<Question<'_>> = names.iter().map(|name| ask(name)).collect();
    let compare = |what: &str, octets: usize, caches: [&Cache; 2]| {
        let barrier = Barrier::new(caches.len());
        let outcome = |round: u64| {
            std::thread::scope(|scope| {
                let run = |seed: u64, cache| {
                    let (barrier, questions) = (&barrier, &questions);
                    scope.spawn(move || {
                        barrier.wait();
                        serve(cache, seed, looks, questions)
                    })
                };
                let threads = [run(round * 2 + 1, caches[0]), run(round * 2 + 2, caches[1])];
                threads.map(|thread| thread.join().unwrap_or_default())
            })
        };
        // The first fills, the second is what counts.
        for (round, name) in ["cold", "warm"].into_iter().enumerate() {
            let gave_up = caches[0].stats().gave_up;
            let [(hits_a, time_a), (hits_b, time_b)] = outcome(round as u64);
            println!(
                "{what}, {} MiB in all, {name}: {:.2} % hits, {:?} a look, {} puts given up",
                octets >> 20,
                (hits_a + hits_b) * 50.0,
                (time_a + time_b) / 2,
                caches[0].stats().gave_up - gave_up
            );
        }
    };
    for octets in [COMPARED_OCTETS / 4, COMPARED_OCTETS, COMPARED_OCTETS * 4] {
        let (one, halves) = (Cache::new(octets), [Cache::new(octets / 2), Cache::new(octets / 2)]);
        compare("shared", octets, [&one, &one]);
        compare("one each", octets, [&halves[0], &halves[1]]);
    }
}

criterion_group!(benches, looks, shared_or_not);
criterion_main!(benches);
