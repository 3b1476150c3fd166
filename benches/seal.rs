//! From records to a zone that answers: drafting and sealing 100,000 names.
//!
//! `cargo bench --bench seal`

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hivedns::zone::seal::seal;

fn sealing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(support::NAMES)));
    group.bench_function("draft 100k names", |bencher| {
        bencher.iter_with_large_drop(|| support::draft(support::NAMES));
    });
    group.bench_function("seal 100k names", |bencher| {
        bencher.iter_batched(
            || support::draft(support::NAMES),
            |draft| seal(draft).0.map(|zone| zone.octets()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, sealing);
criterion_main!(benches);
