//! From a datagram to its reply, without sockets: accept, route, answer, over a zone of 100,000 names in random
//! order.
//!
//! `cargo bench --bench answer`

#[path = "../tests/support/desk.rs"]
#[allow(dead_code, missing_docs, unreachable_pub, reason = "the tests use more of it")]
mod desk;
mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use desk::{Desk, snapshot};
use hivedns::wire::rtype::RecordType;
use hivedns::zone::fault::place_in;
use std::hint::black_box;

fn answer(criterion: &mut Criterion) {
    // The desk hashes with a seed of its own.
    let mut draft = hivedns::zone::draft::ZoneDraft::new(support::draft(0).origin(), desk::seed());
    support::fill(&mut draft, support::NAMES, &place_in("bench", 1, 1));
    let (Some(zone), _) = hivedns::zone::seal::seal(draft) else { return };
    let mut desk = Desk::new(snapshot("bench", [zone]));
    let questions = support::questions();
    let mut group = criterion.benchmark_group("answer");
    let mut bench = |what: &str, wanted: &dyn Fn(RecordType) -> bool| {
        let queries: Vec<_> = questions
            .iter()
            .filter(|(_, qtype)| wanted(*qtype))
            .map(|(name, qtype)| match *qtype {
                // For an address: through the alias, and down to the delegation.
                RecordType::CNAME | RecordType::NS => support::query(name, RecordType::A),
                qtype => support::query(name, qtype),
            })
            .collect();
        group.throughput(Throughput::Elements(queries.len() as u64));
        group.bench_function(what, |bencher| {
            bencher.iter(|| {
                for query in &queries {
                    black_box(desk.answer_datagram(query).map(<[u8]>::len));
                }
            });
        });
    };
    bench("mix", &|_| true);
    bench("addresses", &|qtype| qtype == RecordType::A);
    bench("aliases", &|qtype| qtype == RecordType::CNAME);
    bench("mail exchangers", &|qtype| qtype == RecordType::MX);
    bench("referrals", &|qtype| qtype == RecordType::NS);
    group.finish();
}

criterion_group!(benches, answer);
criterion_main!(benches);
