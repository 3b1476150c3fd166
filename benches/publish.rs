//! From a change to a snapshot that readers have: one zone among many is replaced.
//!
//! `cargo bench --bench publish`

mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::{Delta, ZoneContent};
use hivedns::catalog::published::Publisher;
use hivedns::catalog::state::State;
use hivedns::wire::name::Name;
use std::hint::black_box;
use std::sync::Arc;

fn publish(criterion: &mut Criterion) {
    let zone = Arc::new(support::zone(1_000));
    let mut group = criterion.benchmark_group("publish");
    for zones in [1usize, 100, 1_000] {
        let mut state = State::new(support::seed(), 256);
        // What a zone holds costs nothing here: each origin may have the same.
        let put = |number: usize| Delta::PutZone {
            origin: Name::parse(&format!("zone{number}.example.")).unwrap_or(Name::ROOT),
            content: ZoneContent::Sealed(Arc::clone(&zone)),
        };
        (0..zones).for_each(|number| state.apply(put(number)));
        let mut publisher = Publisher::new(state.snapshot(Moment::START));
        let mut reader = publisher.published().reader();
        let mut numbers = support::Numbers::new(3);
        group.bench_function(format!("replace one of {zones} zones"), |bencher| {
            bencher.iter(|| {
                state.apply(put(numbers.below(zones as u32) as usize));
                publisher.publish(state.snapshot(Moment::START));
                black_box(reader.current().revision());
                publisher.reclaim().len()
            });
        });
    }
    group.bench_function("look for a newer snapshot", |bencher| {
        let publisher = Publisher::new(State::new(support::seed(), 1).snapshot(Moment::START));
        let mut reader = publisher.published().reader();
        bencher.iter(|| black_box(reader.current().revision()));
    });
    group.finish();
}

criterion_group!(benches, publish);
criterion_main!(benches);
