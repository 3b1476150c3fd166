//! The threads: what is overtaken, and what waits for what.

use super::*;
use crate::wire::rtype::RecordType;
use crate::zone::history::Difference;
use crate::zone::sink::Record;
use crate::zone::{Serial, plain};
use crossbeam::channel::{Receiver, bounded};
use std::fs;

const ZONE: &str = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

fn spec(i: usize) -> ZoneSpec {
    let origin = Name::parse(&format!("z{i}.")).unwrap();
    ZoneSpec { origin, source: Source::Text { name: "z", text: ZONE } }
}

/// A loader that stands still at each zone until it is let go on, and what it has done.
fn loader() -> (Loader, Sender<()>, Receiver<(u64, Name)>) {
    let ((go, gate), (done, results)) = (bounded(0), unbounded());
    let loader = Loader::start(HashSeed::new([7; 16]), None, move |what| {
        let Done::Zone(round, loaded) = what else { panic!("nothing was transferred") };
        done.send((round, loaded.origin)).unwrap();
        let _ = gate.recv();
    });
    (loader.unwrap(), go, results)
}

#[test]
fn a_loader_that_is_dropped_reads_the_zone_at_hand_to_its_end_and_no_other() {
    let (loader, go, results) = loader();
    (0..300).for_each(|i| loader.load(1, spec(i), None));
    assert_eq!(results.recv().unwrap().1, spec(0).origin);
    drop(loader);
    drop(go);
    assert_eq!(results.iter().count(), 0, "of 299 zones that waited");
}

#[test]
fn zones_of_an_overtaken_round_are_not_read() {
    let (loader, go, results) = loader();
    (0..100).for_each(|i| loader.load(1, spec(i), None));
    assert_eq!(results.recv().unwrap().0, 1);
    (0..2).for_each(|i| loader.load(2, spec(i), None));
    drop(go);
    let rest: Vec<u64> = (0..2).map(|_| results.recv().unwrap().0).collect();
    assert_eq!(rest, [2, 2]);
    drop(loader);
    assert_eq!(results.iter().count(), 0);
}

#[test]
fn what_is_freed_does_not_wait_for_zones() {
    let (loader, go, results) = loader();
    loader.load(1, spec(0), None);
    results.recv().unwrap();
    // The loader stands still.
    let value = Arc::new(());
    let freed = Arc::downgrade(&value);
    struct Told(Arc<()>, Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = (&self.0, self.1.send(()));
        }
    }
    let (tell, told) = unbounded();
    loader.free(Told(value, tell));
    assert!(told.recv().is_ok());
    // The sender is gone when the value is.
    assert!(told.recv().is_err() && freed.upgrade().is_none());
    drop(go);
}

#[test]
fn an_update_waits_for_others_in_a_stream_of_them_and_never_for_long() {
    let (ended, origin) = (clock::now(), spec(0).origin);
    let after = |updates, waiting, late| {
        let before = Group { origin: origin.clone(), updates, ended };
        pause(Some(&before), waiting, ended + Duration::from_micros(late)).as_micros()
    };
    assert_eq!(pause(None, 0, ended), Duration::ZERO, "the first of all");
    assert_eq!(
        [after(1, 0, 0), after(1, 0, 600), after(1, 0, 1_600), after(1, 0, 1_000_000)],
        [1_600, 1_000, 0, 0]
    );
    assert_eq!(
        [1, 8, 25, 64, u32::MAX].map(|updates| after(updates, 0, 0)),
        [1_600, 2_300, 4_000, 4_000, 4_000]
    );
    assert_eq!([after(8, GROUP_GOOD - 1, 0), after(8, GROUP_GOOD, 0)], [2_300, 0], "they are there");
}

#[test]
fn updates_that_wait_are_carried_out_together_and_those_of_another_zone_apart() {
    let dir = std::env::temp_dir().join(format!("hivedns-loader-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("master");
    fs::write(&file, ZONE).unwrap();
    let (tell, told) = unbounded();
    let start = |tell: Sender<Done>| {
        Loader::start(HashSeed::new([7; 16]), Some(Zones::new(&dir)), move |done| drop(tell.send(done)))
            .unwrap()
    };
    let loader = start(tell);
    let origins = ["a.", "b."].map(|origin| Name::parse(origin).unwrap());
    let ask = |loader: &Loader, origin: &Name| {
        loader.load(1, ZoneSpec { origin: origin.clone(), source: Source::Updated(file.clone()) }, None);
    };
    origins.iter().for_each(|origin| ask(&loader, origin));
    (0..2).for_each(|_| assert!(matches!(told.recv(), Ok(Done::Zone(1, Loaded { zone: Some(_), .. })))));
    let (go, gate) = bounded::<()>(0);
    let (acknowledge, acknowledged) = unbounded();
    let update = |origin: &Name, number: u32, gate: Option<Receiver<()>>| {
        let (name, acknowledge) = (origin.clone(), acknowledge.clone());
        loader.changer().update(Update {
            origin: origin.clone(),
            propose: Box::new(move |amendment| {
                gate.map(|gate| gate.recv());
                let soa = amendment.records(&name).iter().find(|record| record.rtype == RecordType::SOA);
                let mut soa = soa.unwrap().rdata.to_vec();
                let mut records = Vec::new();
                let from = amendment.serial();
                let to = Serial(from.0 + 1);
                for serial in [from, to] {
                    let at = soa.len() - 20;
                    soa[at..at + 4].copy_from_slice(&serial.0.to_be_bytes());
                    let (owner, rtype) = (name.as_wire(), RecordType::SOA);
                    plain::write(&mut records, &Record { owner, rtype, ttl: 60, rdata: &soa });
                }
                let owner = Name::parse_relative(format!("n{number}").as_bytes(), &name).unwrap();
                let record =
                    Record { owner: owner.as_wire(), rtype: RecordType::A, ttl: 60, rdata: &[192, 0, 2, 1] };
                plain::write(&mut records, &record);
                Some(Difference::new(from, to, records))
            }),
            done: Box::new(move |done| drop(acknowledge.send((number, done)))),
        });
    };
    // While that one waits the others come.
    update(&origins[1], 0, Some(gate));
    (1..101).for_each(|number| update(&origins[0], number, None));
    (101..111).for_each(|number| update(&origins[1], number, None));
    (111..113).for_each(|number| update(&origins[0], number, None));
    drop(go);
    let mut serials = Vec::new();
    while acknowledged.len() < 113 {
        let Ok(Done::Updates(updated)) = told.recv() else { panic!("nothing else was asked for") };
        serials.push((updated.made.len(), updated.zone.unwrap().serial().0));
        updated.made.into_iter().for_each(|done| done(Ok(())));
    }
    assert_eq!(serials, [(1, 2), (100, 101), (10, 12), (2, 103)]);
    assert!(acknowledged.try_iter().map(|(number, done)| done.map(|()| number)).eq((0..113).map(Ok)));
    drop(loader);
    // Nobody else has the directory; what was acknowledged is there.
    let (tell, told) = unbounded();
    let again = start(tell);
    for (origin, serial) in origins.iter().zip([103, 12]) {
        ask(&again, origin);
        let Ok(Done::Zone(_, loaded)) = told.recv() else { panic!("nothing else was asked for") };
        assert_eq!(loaded.zone.unwrap().serial().0, serial);
    }
    fs::remove_dir_all(dir).unwrap();
}
