//! Finding a name in a zone of 100,000, in random order: hashing and locating.
//!
//! `cargo bench --bench lookup`

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hivedns::wire::key::NameKey;
use std::hint::black_box;

fn lookup(criterion: &mut Criterion) {
    let zone = support::zone(support::NAMES);
    let questions = support::questions();
    let seed = support::seed();
    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(questions.len() as u64));
    group.bench_function("locate, one at a time", |bencher| {
        let mut key = NameKey::default();
        bencher.iter(|| {
            for (name, _) in &questions {
                black_box(zone.locate_name(name, &mut key).is_some());
            }
        });
    });
    group.bench_function("read and hash", |bencher| {
        let mut key = NameKey::default();
        bencher.iter(|| {
            for (name, _) in &questions {
                key.read(name);
                key.hash(&seed);
                black_box(key.full_hash());
            }
        });
    });
    group.bench_function("locate, hashed before and in stripes of 16", |bencher| {
        let hashed = || -> Vec<NameKey> {
            let keys = questions.iter().map(|(name, _)| {
                let mut key = NameKey::default();
                key.read(name);
                key.hash(&seed);
                key
            });
            keys.take(2_048).collect()
        };
        bencher.iter_batched_ref(
            hashed,
            |keys| {
                for stripe in keys.chunks(16) {
                    stripe.iter().for_each(|key| {
                        black_box(zone.prefetch_slot(key.full_hash()));
                    });
                    for key in stripe {
                        black_box(matches!(zone.locate(key), hivedns::zone::Place::Absent));
                    }
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, lookup);
criterion_main!(benches);
