//! Dynamic updates of a zone of 100,000 names, as the loader carries them out in groups: judged, made into steps, and put
//! into the next version, which has the history of the one before. Disk and threads are not in it.
//!
//! `cargo bench --bench update`

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hivedns::transfer::update::write::Draft;
use hivedns::transfer::update::{Ledger, Update, difference};
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use hivedns::zone::Zone;
use hivedns::zone::amend::{Amendment, Outcome};
use hivedns::zone::seal::{Form, seal_as};
use std::sync::Arc;

/// Names that are updated, none of which is in the zone at first.
const GROUND: u32 = 10_000;
/// Updates before any is timed: the history is as long as it gets, and most names are there.
const BEFORE: u32 = 16_384;

/// The name of a number gets an address in the place of all that it has.
fn update(origin: &Name, number: u32) -> Update {
    // Scattered: a step that shares no factor with the count.
    let label = format!("dyn-{}", u64::from(number) * 7_919 % u64::from(GROUND));
    let name = Name::parse_relative(label.as_bytes(), origin).expect("a name");
    let draft = Draft::new(1, origin, &name).drop_sets(Some(RecordType::A));
    let message = draft.add(RecordType::A, 60, &(0x0a00_0001 + number).to_be_bytes()).finish();
    Update::read(&message).expect("an update")
}

/// The version that a group of updates leads to.
#[inline(never)]
fn group(zone: &Zone, updates: &[Update]) -> Zone {
    let mut amendment = Amendment::begin(zone);
    for update in updates {
        let changes = Ledger::new(update.zone(), &mut amendment).judge(update).expect("it is not refused");
        let step = difference(&changes).expect("it changes something");
        amendment.take(&Arc::new(step)).expect("it fits");
    }
    match amendment.finish() {
        Outcome::Zone(zone) => *zone,
        Outcome::Anew(_, why) => panic!("{why}"),
    }
}

fn updating(criterion: &mut Criterion) {
    let mut zone = seal_as(support::draft(support::NAMES), Form::Blocks).0.expect("a zone");
    let origin = zone.origin().clone();
    let mut number = 0;
    let mut next = |count: u32| -> Vec<Update> {
        number += count;
        (number - count..number).map(|number| update(&origin, number)).collect()
    };
    for _ in 0..BEFORE / 64 {
        zone = group(&zone, &next(64));
    }
    let mut bench = criterion.benchmark_group("update");
    for count in [1, 8, 64, 256] {
        bench.throughput(Throughput::Elements(count.into()));
        bench.bench_function(format!("{count} of {} names", support::NAMES), |bencher| {
            bencher.iter_batched_ref(
                || next(count),
                |updates| zone = group(&zone, updates),
                BatchSize::SmallInput,
            );
        });
    }
    bench.finish();
}

criterion_group!(benches, updating);
criterion_main!(benches);
