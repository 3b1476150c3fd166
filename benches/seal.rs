//! From records to a zone that answers: drafting and sealing 100,000 names; and the next version of a million names.
//!
//! `cargo bench --bench seal`

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hivedns::wire::rtype::RecordType;
use hivedns::zone::amend::{Amendment, Outcome};
use hivedns::zone::history::Difference;
use hivedns::zone::plain::{self, Unsealer};
use hivedns::zone::seal::{Form, seal, seal_as};
use hivedns::zone::sink::Record;
use hivedns::zone::{Serial, Zone};
use std::sync::Arc;

/// Names of the zone that changes.
const MANY: u32 = 1_000_000;

/// True when measuring; a test runs everything once and small.
fn measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// From a serial to the next: a name gets one record more.
fn step(zone: &Zone, from: u32, number: u32) -> Arc<Difference> {
    let (apex, mut records) = (zone.apex(), Vec::new());
    let soa = apex.rrset(RecordType::SOA).expect("a zone has a SOA");
    for serial in [from, from + 1] {
        Unsealer::default().each(zone, &apex, &soa, |record| {
            let mut rdata = record.rdata.to_vec();
            let at = rdata.len() - 20;
            rdata[at..at + 4].copy_from_slice(&serial.to_be_bytes());
            plain::write(&mut records, &Record { rdata: &rdata, ..*record });
        });
    }
    // Of those that have addresses.
    let owner = support::owner(number / 16 * 16);
    let record = Record { owner: &owner, rtype: RecordType::TXT, ttl: 60, rdata: b"\x07changed" };
    plain::write(&mut records, &record);
    Arc::new(Difference::new(Serial(from), Serial(from + 1), records))
}

fn amending(criterion: &mut Criterion) {
    let names = if measuring() { MANY } else { support::NAMES };
    let zone = seal_as(support::draft(names), Form::Blocks).0.expect("a zone");
    let mut group = criterion.benchmark_group("amend");
    let serial = zone.serial().0;
    for changes in [1u32, 64, 1_024] {
        // A step that meets all names, in an order that no block shares.
        let steps: Vec<_> =
            (0..changes).map(|i| step(&zone, serial + i, (i + 1).wrapping_mul(618_032) % names)).collect();
        group.throughput(Throughput::Elements(changes.into()));
        group.bench_function(format!("{changes} changes of {names} names"), |bencher| {
            bencher.iter_with_large_drop(|| {
                let mut amendment = Amendment::begin(&zone);
                steps.iter().for_each(|step| amendment.take(step).expect("it fits"));
                match amendment.finish() {
                    Outcome::Zone(zone) => zone,
                    Outcome::Anew(_, why) => panic!("{why}"),
                }
            });
        });
    }
    group.finish();
}

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

criterion_group!(benches, sealing, amending);
criterion_main!(benches);
