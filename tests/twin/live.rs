//! The live zone against its naive twin: whatever sources say, in whichever order, as time goes by, each snapshot
//! answers as a zone made anew of what is served at that moment, and goes on to.

use crate::chance::below;
use crate::naive::{self, A, ANY, CNAME, DNAME, MX, NS, SOA, TXT};
use crate::oracle::message;
use crate::oracle::names::{Wire, lowered};
use crate::support::desk::{Desk, Entry, seed};
use crate::{expected_of, shown};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId, Source};
use hivedns::catalog::services::Terms;
use hivedns::catalog::state::State;
use hivedns::wire::name::Name;
use hivedns::wire::rtype::RecordType;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ORIGIN: &[u8] = b"\x01z\0";
const LEASE: Duration = Duration::from_secs(60);
const OWNERS: u64 = 4;

#[derive(Debug, Clone)]
enum Step {
    Put { source: Source, name: Wire, rtype: u16, ttl: u32, rdatas: Vec<Vec<u8>> },
    Lease(u64, LeaseNow),
    Renew(u64),
    Drop(u64),
    Pass(u64),
    Work,
    Publish,
}

#[derive(Debug, Clone, Copy)]
enum LeaseNow {
    Full,
    Counting { spent: u64, restarting: bool },
    Frozen(u64),
    Hidden,
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        1 => Just(Source::Cluster),
        4 => (0..OWNERS).prop_map(|owner| Source::Owner(OwnerId(owner))),
    ]
}

fn put() -> impl Strategy<Value = Step> {
    let rdata = (below(ORIGIN.to_vec(), 3), any::<bool>(), 1..5u8);
    let head = (source(), below(ORIGIN.to_vec(), 4), select(&[A, A, A, MX, TXT, CNAME, NS, DNAME][..]));
    (head, select(&[1u32, 30, 60, 90][..]), prop::collection::vec(rdata, 0..4)).prop_map(
        |((source, name, rtype), ttl, rdatas)| {
            let rdatas = rdatas.into_iter().map(|(target, upper, number)| {
                let target = if upper { target.to_ascii_uppercase() } else { target };
                match rtype {
                    A => vec![192, 0, 2, number],
                    TXT => vec![1, number],
                    MX => [&[0, number][..], &target].concat(),
                    _ => target,
                }
            });
            Step::Put { source, name, rtype, ttl, rdatas: rdatas.collect() }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let lease = prop_oneof![
        4 => Just(LeaseNow::Full),
        2 => (0..80u64, any::<bool>()).prop_map(|(spent, restarting)| LeaseNow::Counting { spent, restarting }),
        1 => (0..100u64).prop_map(LeaseNow::Frozen),
        1 => Just(LeaseNow::Hidden),
    ];
    prop_oneof![
        12 => put(),
        3 => (0..OWNERS, lease).prop_map(|(owner, lease)| Step::Lease(owner, lease)),
        1 => (0..OWNERS).prop_map(Step::Renew),
        1 => (0..OWNERS).prop_map(Step::Drop),
        2 => (1..50u64).prop_map(Step::Pass),
        2 => Just(Step::Work),
        4 => Just(Step::Publish),
    ]
}

/// What a source says of one name and type.
type Saying = (Source, Wire, u16);

/// Everything that is said, and nothing else.
#[derive(Default)]
struct Twin {
    said: BTreeMap<Saying, (u32, Vec<Vec<u8>>)>,
    leases: BTreeMap<u64, Lease>,
    now: Moment,
}

/// A record that is served: of a lost owner, its TTL, the most that may be, and until when.
#[derive(Clone, Copy)]
struct Served {
    lost: bool,
    ttl: u32,
    most: u32,
    until: Moment,
}

impl Twin {
    fn standing(&self, source: Source, ttl: u32) -> Option<Served> {
        let full = Served { lost: false, ttl, most: u32::MAX, until: Moment::NEVER };
        let Source::Owner(owner) = source else { return Some(full) };
        let whole = LEASE.max(Duration::from_secs(ttl.into()));
        match *self.leases.get(&owner.0)? {
            Lease::Full => Some(full),
            Lease::Hidden => None,
            Lease::Counting { spent, at, restarting } => {
                let until = at + whole.saturating_sub(spent);
                (until > self.now).then_some(Served { lost: !restarting, until, ..full })
            }
            Lease::Frozen { spent } => {
                let left = whole.saturating_sub(spent);
                (left > Duration::ZERO).then_some(Served { lost: true, most: left.as_secs() as u32, ..full })
            }
        }
    }

    /// The records served, with TTLs as they are `later`.
    fn entries(&self, later: Moment) -> Vec<Entry> {
        let names: BTreeSet<&Wire> = self.said.keys().map(|(_, name, _)| name).collect();
        names.into_iter().flat_map(|name| self.entries_of(name, later)).collect()
    }

    fn entries_of(&self, name: &Wire, later: Moment) -> Vec<Entry> {
        let mut sets: BTreeMap<u16, Vec<(Source, Vec<u8>, Served)>> = BTreeMap::new();
        for ((source, owner, rtype), (ttl, rdatas)) in &self.said {
            let Some(served) = self.standing(*source, *ttl).filter(|_| owner == name) else { continue };
            if *rtype == CNAME && name == ORIGIN {
                continue;
            }
            for rdata in rdatas {
                let rdata = match *rtype {
                    A | TXT => rdata.clone(),
                    MX => [&rdata[..2], &lowered(&rdata[2..])].concat(),
                    _ => lowered(rdata),
                };
                sets.entry(*rtype).or_default().push((*source, rdata, served));
            }
        }
        for set in sets.values_mut() {
            if set.iter().any(|(source, _, _)| *source == Source::Cluster) {
                set.retain(|(source, _, _)| *source == Source::Cluster);
            }
        }
        let by_cluster = |set: &Vec<(Source, Vec<u8>, Served)>| set[0].0 == Source::Cluster;
        if sets.get(&CNAME).is_some_and(by_cluster) {
            sets.retain(|rtype, _| *rtype == CNAME);
        } else if sets.len() > 1 {
            sets.remove(&CNAME);
        }
        let mut entries = Vec::new();
        for (rtype, set) in sets {
            let mut records: BTreeMap<Vec<u8>, Served> = BTreeMap::new();
            for (_, rdata, served) in set {
                let record = records.entry(rdata).or_insert(served);
                record.lost &= served.lost;
                record.ttl = record.ttl.min(served.ttl);
                record.most = record.most.max(served.most);
                record.until = record.until.max(served.until);
            }
            let mut records: Vec<(bool, Vec<u8>, Served)> =
                records.into_iter().map(|(rdata, served)| (served.lost, rdata, served)).collect();
            records.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            if matches!(rtype, CNAME | DNAME) {
                records.truncate(1);
            }
            let left =
                |served: &Served| u32::try_from(served.until.since(later).as_secs()).unwrap_or(u32::MAX);
            let ttl =
                records.iter().map(|(_, _, served)| served.ttl.min(served.most).min(left(served))).min();
            let ttl = ttl.unwrap_or(0);
            let owner = name.clone();
            entries.extend(records.into_iter().map(|(_, rdata, _)| Entry {
                owner: owner.clone(),
                rtype,
                ttl,
                rdata,
            }));
        }
        entries
    }
}

fn take(step: &Step, twin: &mut Twin) -> Option<Delta> {
    let id = OwnerId;
    Some(match step {
        Step::Put { source, name, rtype, ttl, rdatas } => {
            let saying = (*source, lowered(name), *rtype);
            if let Source::Owner(owner) = source {
                twin.leases.entry(owner.0).or_insert(Lease::Hidden);
            }
            twin.said.remove(&saying);
            let (name, rtype, source) = (Name::from_wire(name).expect("a name"), RecordType(*rtype), *source);
            if rdatas.is_empty() {
                return Some(Delta::DropRecords { source, name, rtype });
            }
            twin.said.insert(saying, (*ttl, rdatas.clone()));
            let rdatas = rdatas.iter().map(|rdata| rdata.as_slice().into()).collect();
            Delta::PutRecords { source, name, rtype, ttl: *ttl, rdatas }
        }
        Step::Lease(owner, lease) => {
            let lease = match *lease {
                LeaseNow::Full => Lease::Full,
                LeaseNow::Hidden => Lease::Hidden,
                LeaseNow::Frozen(spent) => Lease::Frozen { spent: Duration::from_secs(spent) },
                LeaseNow::Counting { spent, restarting } => {
                    Lease::Counting { spent: Duration::from_secs(spent), at: twin.now, restarting }
                }
            };
            twin.leases.insert(*owner, lease);
            Delta::Lease { owner: id(*owner), lease }
        }
        Step::Renew(owner) | Step::Drop(owner) => {
            twin.said.retain(|(source, _, _), _| *source != Source::Owner(id(*owner)));
            if matches!(step, Step::Renew(_)) {
                return Some(Delta::RenewOwner { owner: id(*owner) });
            }
            twin.leases.remove(owner);
            Delta::DropOwner { owner: id(*owner) }
        }
        Step::Pass(_) | Step::Work | Step::Publish => return None,
    })
}

fn opened() -> State {
    let mut state = State::new(seed(), 16);
    let origin = Name::from_wire(ORIGIN).expect("a name");
    let (ttl, negative_ttl) = (Duration::from_secs(5), Duration::from_secs(2));
    let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl, lease: LEASE };
    state.apply(Delta::OpenServices(Box::new(terms)));
    state.apply(Delta::Synced(true));
    state
}

/// A query and the reply to it.
type Exchange = (Vec<u8>, Vec<u8>);

/// The replies to the questions, held against the twin's; for asking again.
fn check(desk: &mut Desk, twin: &Twin, questions: &[(Wire, u16)]) -> Result<Vec<Exchange>, TestCaseError> {
    let query = |name: &[u8], qtype| message::query(7, 0, name, qtype, 1, None);
    let reply = desk.answer(&query(ORIGIN, SOA)).expect("an answer");
    let soa = message::decode(reply).map_err(TestCaseError::fail)?.sections[0][0].clone();
    prop_assert_eq!(soa.ttl, 5);
    let soa = Entry { owner: ORIGIN.to_vec(), rtype: SOA, ttl: soa.ttl, rdata: soa.rdata };
    let zone = naive::Zone::new(ORIGIN, std::iter::once(soa).chain(twin.entries(desk.now)));
    let mut replies = Vec::new();
    for (name, qtype) in questions {
        let query = query(name, *qtype);
        let mut expected = naive::answer(std::slice::from_ref(&zone), &lowered(name), *qtype);
        let octets = desk.answer(&query).expect("an answer").to_vec();
        let mut got = expected_of(&message::decode(&octets).map_err(TestCaseError::fail)?);
        [&mut expected, &mut got].into_iter().for_each(|side| side.sections[2].sort());
        prop_assert!(got == expected, "{name:?} {qtype}\ngot {}\nexpected {}", shown(&got), shown(&expected));
        let by_short = desk.answer_datagram(&query).map(<[u8]>::to_vec);
        prop_assert_eq!(by_short.as_deref(), desk.answer_datagram_generally(&query));
        replies.push((query, octets));
    }
    Ok(replies)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::config().cases / 4, ..super::config() })]

    #[test]
    fn every_snapshot_of_the_live_zone_answers_as_its_naive_twin(
        steps in prop::collection::vec(step(), 1..40),
        questions in prop::collection::vec((below(ORIGIN.to_vec(), 4), select(&[A, A, MX, CNAME, NS, DNAME, ANY][..])), 1..12),
        later in 0..20u64,
    ) {
        let (mut state, mut twin) = (opened(), Twin::default());
        let mut kept: Vec<(Desk, Vec<Exchange>)> = Vec::new();
        for step in steps.iter().chain([&Step::Publish]) {
            if let Some(delta) = take(step, &mut twin) {
                state.apply(delta);
            }
            match step {
                Step::Pass(seconds) => twin.now += Duration::from_secs(*seconds),
                Step::Work => { state.work(twin.now); }
                Step::Publish => {
                    let mut desk = Desk::new(state.snapshot(twin.now));
                    prop_assert!(!state.work(twin.now), "a snapshot leaves nothing to do");
                    prop_assert!(state.next_expiry() > twin.now);
                    desk.now = twin.now + Duration::from_secs(later);
                    let replies = check(&mut desk, &twin, &questions)?;
                    kept.push((desk, replies));
                }
                _ => {}
            }
        }
        for (desk, replies) in &mut kept {
            for (query, reply) in replies {
                prop_assert_eq!(desk.answer(query), Some(&reply[..]), "an old snapshot changed");
            }
        }
        // What people are shown is what was said, name by name or all at once.
        let records = state.services().expect("open").records();
        let mut all = Vec::new();
        records.for_each(|record| all.push(record));
        for name in all.iter().map(|record| &record.name) {
            let here: Vec<_> = all.iter().filter(|record| record.name == *name).cloned().collect();
            prop_assert_eq!(records.of(name), here);
        }
        let mut said: Vec<(Source, Wire, u16)> =
            all.iter().map(|record| (record.source, record.name.as_wire().to_vec(), record.rtype.0)).collect();
        said.retain(|(_, _, rtype)| *rtype != SOA);
        let mut expected: Vec<_> = twin.said.iter().flat_map(|(saying, (_, rdatas))| rdatas.iter().map(|_| saying.clone())).collect();
        said.sort();
        expected.sort();
        prop_assert_eq!(said, expected);
    }
}

#[test]
fn a_change_touches_its_own_block_and_the_apex_only() {
    const NAMES: u32 = 5_000;
    // Blocks hold at most so many nodes.
    const BLOCK_NODES_MAX: usize = 128;
    let mut state = opened();
    let put = |number: u32, last: u8| Delta::PutRecords {
        source: Source::Cluster,
        name: Name::parse(&format!("n{number}.z.")).expect("a name"),
        rtype: RecordType(A),
        ttl: 60,
        rdatas: vec![Box::from([192, 0, 2, last])],
    };
    (0..NAMES).for_each(|number| state.apply(put(number, 1)));
    let before = state.snapshot(Moment::START);
    state.apply(put(77, 1));
    let same = state.snapshot(Moment::START);
    state.apply(put(77, 2));
    let after = state.snapshot(Moment::START);
    // Both versions live, so nodes at one address are one.
    let nodes = |snapshot: &hivedns::catalog::snapshot::Snapshot| -> BTreeSet<usize> {
        snapshot.entries()[0].zone().expect("served").nodes().map(|node| node.id()).collect()
    };
    let [before, same, after] = [&before, &same, &after].map(nodes);
    assert_eq!(before.len(), NAMES as usize + 1);
    assert_eq!(before, same, "what was said before is no change");
    let touched = after.difference(&before).count();
    assert!((1..=2 * BLOCK_NODES_MAX).contains(&touched), "{touched} nodes were written anew");
}
