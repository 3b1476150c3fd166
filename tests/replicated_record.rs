//! What a node pays in memory for a record that another node owns, beside the sealed answer that serves it: the log,
//! from which it serves others, and what the state keeps.

#[path = "support/counting.rs"]
mod counting;

use counting::octets_held;
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId, Source};
use hivedns::catalog::services::Terms;
use hivedns::catalog::state::State;
use hivedns::gossip::identity::{Generation, NodeId, Version};
use hivedns::gossip::replication::delta::{Delta as Changes, cut};
use hivedns::gossip::replication::log::Log;
use hivedns::gossip::replication::owners::Owners;
use hivedns::gossip::replication::sharing::Sharing;
use hivedns::wire::key::HashSeed;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use std::time::Duration;

/// Owners, and records that each of them has: as many as a busy node has containers.
const OWNERS: u64 = 500;
const RECORDS: u64 = 200;
const ALL: usize = (OWNERS * RECORDS) as usize;
/// Octets that a record may take in log and state together.
const OCTETS_MAX: usize = 150;
/// Octets of a body of changes.
const ROOM: usize = 1_300;

fn name(owner: u64, record: u64) -> String {
    format!("worker-{record:03}.stack-{owner:04}.hive.internal.")
}

/// As a node gets the logs of others: in pieces, in any order of keys.
fn replicas() -> Owners {
    let mut owners = Owners::new(Sharing::default());
    for owner in 0..OWNERS {
        let mut log = Log::new(Generation(1));
        for record in 0..RECORDS {
            // A name and its type, a time to live and an address.
            let key = [name(owner, record.wrapping_mul(77) % RECORDS).as_bytes(), &[0, 1]].concat();
            let value = [&60u32.to_be_bytes()[..], &(record as u32).to_be_bytes()].concat();
            assert!((40..=60).contains(&(key.len() + value.len())));
            log.put(&key, &value);
        }
        log.declare_whole();
        cut(NodeId(owner.wrapping_mul(0x9e37_79b9_7f4a_7c15)), &log, Version(0), ROOM, |_, body| {
            owners.take(&Changes::parse(&body).expect("a body of changes"));
            true
        });
    }
    owners
}

fn state() -> State {
    let origin = Name::parse("hive.internal.").expect("a name");
    let (ttl, negative_ttl, lease) =
        (Duration::from_secs(5), Duration::from_secs(2), Duration::from_secs(60));
    let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl, lease };
    let mut state = State::new(HashSeed::new(*b"a seed for tests"), 16);
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    for owner in 0..OWNERS {
        state.apply(Delta::Lease { owner: OwnerId(owner), lease: Lease::Full });
        for record in 0..RECORDS {
            state.apply(Delta::PutRecords {
                source: Source::Owner(OwnerId(owner)),
                name: Name::parse(&name(owner, record)).expect("a name"),
                rtype: RecordType::A,
                ttl: 60,
                rdatas: vec![(record as u32).to_be_bytes().into()],
            });
        }
        // Between turns the control thread works on what was applied, so that never more than some waits.
        while state.work(Moment::START) {}
    }
    state
}

#[test]
fn a_replicated_record_takes_no_more_than_so_many_octets_beside_its_answer() {
    let (logs, owners) = octets_held(replicas);
    let logs = usize::try_from(logs).expect("they take something");
    assert_eq!(owners.iter().map(|owner| owner.shown().map_or(0, |log| log.live())).sum::<usize>(), ALL);
    let counted: usize = owners.iter().filter_map(|owner| owner.shown()).map(|log| log.heap_octets()).sum();
    // What the logs say they take is what they take, but for what stands around them.
    assert!(counted <= logs && logs <= counted + OWNERS as usize * 256 + 4_096, "{counted} of {logs}");

    let mut state = state();
    let snapshot = state.snapshot(Moment::START);
    // It gives back what it held beside what the snapshot serves from.
    let (held, ()) = octets_held(|| drop(state));
    let beside = usize::try_from(-held).expect("it held something");
    drop(snapshot);

    let octets = (logs + beside).div_ceil(ALL);
    println!("{} octets in the log, {} in the state, for each record", logs / ALL, beside / ALL);
    assert!(octets <= OCTETS_MAX, "{octets} octets");
}
