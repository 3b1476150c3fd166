//! How fast master files are read, to a sink that forgets every record.
//!
//! `cargo bench --bench master`; 100,000 records of the types of a large hosting zone.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hivedns::wire::name::Name;
use hivedns::zone::fault::{Faults, Place};
use hivedns::zone::master::{Disk, Options, read};
use hivedns::zone::sink::{Record, RecordSink};
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const RECORDS: usize = 100_000;

#[derive(Default)]
struct Forgetful {
    records: usize,
}

impl RecordSink for Forgetful {
    fn record(&mut self, record: Record<'_>, place: &Place) {
        self.records += 1;
        black_box((record.owner, record.rdata, place.line));
    }
}

/// Thirteen records for every ten names, about 35 octets a line.
fn zone_text(records: usize) -> String {
    let mut text =
        String::from("$ORIGIN example.\n$TTL 3600\n@ IN SOA ns1 admin ( 1 2h 1h 2w 5m )\n@ NS ns1\n");
    for i in 0..records / 13 {
        let n = i * 10;
        let (a, b, c) = (i >> 16 & 255, i >> 8 & 255, i & 255);
        let _ = write!(
            text,
            "host-{n}\t3600\tIN\tA\t10.{a}.{b}.{c}\n\
             host-{n}\t3600\tIN\tAAAA\t2001:db8:{a:x}:{b:x}::{c:x}\n\
             srv{n}.example. 300 IN A 192.0.{b}.{c}\n\
             srv{n}b.example. 300 IN A 198.51.{b}.{c}\n\
             node{n}.rack7 IN A 172.16.{b}.{c}\n\
             www{n} IN CNAME host-{n}.example.\n\
             cdn{n} CNAME host-{n}\n\
             mail{n} 600 IN MX 10 mx1.mail.example.net.\n\
             mail{n} 600 IN MX 20 mx2.mail.example.net.\n\
             sub{n} 86400 IN NS ns1.provider.example.com.\n\
             \t86400 IN NS ns2.provider.example.com.\n\
             txt{n} IN TXT \"v=spf1 ip4:10.{a}.{b}.{c} -all\"\n\
             app{n} IN AAAA 2001:db8::{b:x}:{c:x}\n"
        );
    }
    text
}

fn master(criterion: &mut Criterion) {
    let text = zone_text(RECORDS);
    let origin = Name::parse("example.").unwrap_or(Name::ROOT);
    let mut group = criterion.benchmark_group("master");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("read 100k records", |bencher| {
        bencher.iter(|| {
            let (mut sink, mut faults) = (Forgetful::default(), Faults::default());
            let options = Options { origin: &origin, ttl: None };
            let file: Arc<Path> = Arc::from(Path::new("bench.zone"));
            read(Box::new(text.as_bytes()), file, options, &Disk, &mut sink, &mut faults);
            assert_eq!((sink.records, faults.errors()), (RECORDS / 13 * 13 + 2, 0));
        });
    });
    group.finish();
}

criterion_group!(benches, master);
criterion_main!(benches);
