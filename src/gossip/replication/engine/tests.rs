//! One machine of replication, handed frames as others would send them.

use super::*;
use std::time::Duration;

const ME: NodeId = NodeId(1);
const OWNER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);
const ROOM: usize = 1_300;

fn at(ms: u64) -> Moment {
    Moment::from_micros(1_000_000_000_000 + ms * 1_000)
}

fn machine() -> Replication {
    let rule = FreezeRule { share: 0.34, max: Duration::from_secs(3_600) };
    let mut machine = Replication::new(ME, Generation(1), ROOM, rule, Sharing::default(), at(0));
    machine.declare_whole(at(0));
    // What it says itself is pushed at once; no test here is about that.
    machine.handle_timeout(at(0));
    todos(&mut machine);
    machine
}

fn todos(machine: &mut Replication) -> Vec<Todo> {
    std::iter::from_fn(|| machine.poll()).collect()
}

fn log(records: u32) -> Log {
    let mut log = Log::new(Generation(1));
    (0..records).for_each(|n| {
        log.put(&n.to_be_bytes(), &[7; 100]);
    });
    log.declare_whole();
    log
}

fn pieces(log: &Log, room: usize) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    cut(OWNER, log, Version(0), room, |_, body| {
        bodies.push(body);
        true
    });
    bodies
}

fn shown(machine: &Replication) -> usize {
    machine.owners().get(OWNER).and_then(Owner::shown).map_or(0, |log| log.live())
}

#[test]
fn what_comes_at_once_of_one_owner_is_one_event() {
    let mut machine = machine();
    let mut log = log(3);
    for body in pieces(&log, ROOM) {
        machine.handle(at(1), OTHER, Kind::Delta, &body).unwrap();
    }
    todos(&mut machine);
    for n in 0..20 {
        let from = log.head();
        log.put(&[n], b"v");
        cut(OWNER, &log, from, ROOM, |_, body| {
            machine.handle(at(2), OTHER, Kind::Delta, &body).unwrap();
            true
        });
    }
    let events: Vec<(NodeId, Option<Version>, usize)> = todos(&mut machine)
        .into_iter()
        .filter_map(|todo| match todo {
            Todo::Event(Event::Records { owner, log, since }) => Some((owner, since, log.live())),
            _ => None,
        })
        .collect();
    assert_eq!(events, [(OWNER, Some(Version(3)), 23)]);
}

#[test]
fn a_forgotten_owner_does_not_come_back_by_who_still_remembers_it() {
    let mut machine = machine();
    let body = pieces(&log(3), ROOM).remove(0);
    machine.handle(at(1), OTHER, Kind::Answer, &body).unwrap();
    assert_eq!(shown(&machine), 3);
    machine.forget(at(2), OWNER, Generation(1), 1);
    machine.handle(at(3), OTHER, Kind::Answer, &body).unwrap();
    machine.handle(at(3), OTHER, Kind::Delta, &body).unwrap();
    let reach = Reach { generation: Generation(1), head: Version(3) };
    machine.hear(at(3), OTHER, OWNER, reach, Duration::ZERO);
    assert_eq!((machine.owners().get(OWNER).is_none(), machine.depth().1), (true, 0));
    // The owner itself is back, after all.
    machine.member(at(4), OWNER, Health::Alive, at(4), 1);
    machine.handle(at(5), OTHER, Kind::Answer, &body).unwrap();
    assert_eq!(shown(&machine), 3);
}

#[test]
fn pulls_are_kept_until_a_stream_is_on_its_way() {
    let mut machine = machine();
    let reach = Reach { generation: Generation(1), head: Version(3) };
    machine.hear(at(1), OTHER, OWNER, reach, Duration::ZERO);
    machine.handle(at(2), OTHER, Kind::Refer, &[]).unwrap();
    assert!(todos(&mut machine).iter().any(|todo| matches!(todo, Todo::Fetch(OTHER))));
    assert_eq!(machine.depth().1, 1);
    machine.fetching(OTHER);
    assert_eq!(machine.depth().1, 0);
}

#[test]
fn cluster_wide_records_that_came_over_a_stream_are_only_hinted() {
    let mut writer = machine();
    writer.write_cluster(at(0), b"key", Some(b"value"));
    let mut frames: Vec<Vec<u8>> = Vec::new();
    assert!(writer.cluster().frames(writer.cluster().parts_from(0), ROOM, usize::MAX, &mut frames));
    let (_, body, _) = crate::gossip::frame::split(&frames[0]).unwrap();
    for (streamed, pushed) in [(true, 0), (false, 1)] {
        let mut machine = machine();
        if streamed {
            assert_eq!(machine.handle_streamed(at(1), OTHER, Kind::Cluster, body), Ok(true));
        } else {
            assert_eq!(machine.handle(at(1), OTHER, Kind::Cluster, body), Ok(true));
        }
        assert!(machine.cluster().get(b"key").is_some());
        machine.handle_timeout(at(100));
        let pushes =
            todos(&mut machine).iter().filter(|todo| matches!(todo, Todo::Spread { fan: FAN, .. })).count();
        assert_eq!(pushes, pushed, "streamed {streamed}");
    }
}
