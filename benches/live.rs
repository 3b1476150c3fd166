//! The live zone: from what a source says to a snapshot that readers have, in a zone of a million names.
//!
//! `cargo bench --bench live`

use criterion::{Criterion, criterion_group, criterion_main};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId, Source};
use hivedns::catalog::published::Publisher;
use hivedns::catalog::services::Terms;
use hivedns::catalog::state::State;
use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use std::hint::black_box;
use std::time::Duration;

const NAMES: u32 = 1_000_000;
const OWNERS: u32 = 1_000;

/// What the owner of a number says: one address at one name.
fn put(number: u32, address: u32) -> Delta {
    Delta::PutRecords {
        source: Source::Owner(OwnerId(u64::from(number % OWNERS))),
        name: Name::parse(&format!("task-{number}.svc{}.hive.internal.", number % 5_000))
            .unwrap_or(Name::ROOT),
        rtype: RecordType::A,
        ttl: 5,
        rdatas: vec![Box::from(address.to_be_bytes())],
    }
}

fn opened() -> State {
    let origin = Name::parse("hive.internal.").unwrap_or(Name::ROOT);
    let (ttl, negative_ttl, lease) =
        (Duration::from_secs(5), Duration::from_secs(2), Duration::from_secs(60));
    let mut state = State::new(HashSeed::new(*b"a seed for bench"), 16);
    let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl, lease };
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    for owner in 0..OWNERS {
        state.apply(Delta::Lease { owner: OwnerId(owner.into()), lease: Lease::Full });
    }
    state
}

fn filled(names: u32) -> State {
    let mut state = opened();
    (0..names).for_each(|number| state.apply(put(number, number)));
    state.snapshot(Moment::START);
    state
}

fn live(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live");
    group.sample_size(10);
    group.bench_function("apply and publish 100,000 records", |bencher| bencher.iter(|| filled(NAMES / 10)));
    let mut state = filled(NAMES);
    if let Some(zone) = state.services().and_then(|services| services.latest()) {
        println!("live: {} records take {} octets", zone.record_count(), zone.octets());
    }
    let mut publisher = Publisher::new(state.snapshot(Moment::START));
    let mut reader = publisher.published().reader();
    let mut number = 0u32;
    for changes in [1u32, 100, 10_000] {
        group.bench_function(format!("publish {changes} changes of {NAMES} names"), |bencher| {
            bencher.iter(|| {
                for _ in 0..changes {
                    // A step that meets all names, in an order that no block shares.
                    number = number.wrapping_add(618_033);
                    state.apply(put(number % NAMES, number));
                }
                publisher.publish(state.snapshot(Moment::START));
                black_box(reader.current().revision());
                publisher.reclaim().len()
            });
        });
    }
    let mut spent = 0;
    group.bench_function("lose and find one of 1,000 owners", |bencher| {
        bencher.iter(|| {
            spent += 1;
            let lease = match spent % 2 {
                0 => Lease::Full,
                _ => Lease::Counting { spent: Duration::ZERO, at: Moment::START, restarting: false },
            };
            state.apply(Delta::Lease { owner: OwnerId(7), lease });
            publisher.publish(state.snapshot(Moment::START));
            black_box(reader.current().revision());
            publisher.reclaim().len()
        });
    });
    group.finish();
}

criterion_group!(benches, live);
criterion_main!(benches);
