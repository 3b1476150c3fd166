//! Clusters: what is lost is noticed, what lives is left alone, what comes back is taken back.

use crate::base::time::Moment;
use crate::gossip::membership::Settings;
use crate::gossip::membership::tests::world::World;
use crate::gossip::output::Health;
use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// First suspicion and Down everywhere after a crash, in seconds.
fn detection(seed: u64, loss: f64, nodes: usize) -> (f64, f64) {
    let mut world = World::warm(seed, loss, nodes);
    let (crashed, id, start) = (nodes / 3, world.id(nodes / 3), world.now);
    world.crash(crashed);
    let down = world.run_until(seconds(60), |world| world.all_see(id, Health::Down)).expect("it is found");
    let first: Option<Moment> =
        world.saw(Health::Suspect).filter(|seen| seen.id == id).map(|seen| seen.at).min();
    assert!(
        world.saw(Health::Down).all(|seen| seen.id == id),
        "seed {seed}: a healthy node was declared down"
    );
    (first.expect("suspected before").since(start).as_secs_f64(), down.as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn a_crash_is_suspected_and_down_everywhere_in_time() {
    for loss in [0.0, 0.05] {
        let runs: Vec<(f64, f64)> = (0..9).map(|seed| detection(seed, loss, 200)).collect();
        let first = median(runs.iter().map(|run| run.0).collect());
        let down = median(runs.iter().map(|run| run.1).collect());
        assert!(first <= 2.5 && down <= 7.0, "loss {loss}: {first} {down} {runs:?}");
    }
}

#[test]
fn nobody_healthy_is_declared_down_at_5_and_20_in_100_lost() {
    for seed in 0..5 {
        for (loss, nodes, span) in [(0.05, 100, 60), (0.2, 100, 60), (0.2, 4, 300)] {
            let mut world = World::warm(seed, loss, nodes);
            world.run(seconds(span));
            assert_eq!(world.saw(Health::Down).count(), 0, "seed {seed}, loss {loss}");
            world.loss = 0.0;
            assert!(world.run_until(seconds(30), World::whole).is_some(), "seed {seed}, loss {loss}");
        }
    }
}

#[test]
fn a_bad_network_makes_few_suspicions_and_little_traffic() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.2, 100);
        world.octets = 0;
        world.run(seconds(60));
        // 6,000 probes, of which one in a hundred would be without an answer if each were two pings.
        let silent: u64 = world.living().map(|(_, machine)| machine.counts().silent).sum();
        let rate = world.octets as f64 / 60.0 / 100.0;
        assert!(silent <= 15 && rate < 500.0, "seed {seed}: {silent} silent, {rate} octets a second");
    }
}

#[test]
fn the_lost_are_forgotten_once_and_all_know_the_same_meanwhile() {
    let settings = Settings { remembered: seconds(180), ..Settings::default() };
    let mut world = World::warm_with(5, 0.0, 100, settings);
    let lost = world.id(7);
    world.crash(7);
    assert!(world.run_until(seconds(30), |world| world.all_see(lost, Health::Down)).is_some());
    // Each compares itself every ten seconds.
    let compared = world.compared;
    for step in 0..3_000 {
        world.compare(step % 100);
        world.run(Duration::from_millis(100));
    }
    let by: std::collections::BTreeSet<usize> = world.forgotten.iter().map(|(by, _)| *by).collect();
    assert_eq!((world.forgotten.len(), by.len()), (99, 99));
    assert!(world.forgotten.iter().all(|(_, id)| *id == lost));
    assert!(world.living().all(|(_, machine)| machine.tellings().count() == 98));
    // Digests differ only while some have left it out of theirs and others not yet.
    let found = world.compared - compared;
    assert!(found < 30, "{found} comparisons found a difference");
}

#[test]
fn an_idle_node_sends_little() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 100);
        world.octets = 0;
        world.run(seconds(60));
        let rate = world.octets as f64 / 60.0 / 100.0;
        assert!(rate < 100.0, "{rate} octets a second");
    }
}

#[test]
fn a_cluster_grows_from_one_node_and_all_know_the_same() {
    for loss in [0.0, 0.2] {
        let mut world = World::new(5, loss);
        (0..50).for_each(|_| world.add());
        (1..50).for_each(|node| world.join(node, 0));
        assert!(world.run_until(seconds(60), World::whole).is_some(), "loss {loss}");
        assert!(world.run_until(seconds(60), |world| world.digests().len() == 1).is_some());
    }
}

#[test]
fn one_who_joins_knows_all_and_is_known_within_seconds() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 100);
        world.add();
        world.join(100, 3);
        let took = world.run_until(seconds(10), World::whole).expect("it joins");
        assert!(took < seconds(2), "{took:?}");
    }
}

#[test]
fn a_stopped_process_declares_nobody_down_when_it_goes_on() {
    for pause in [500, 2_000, 5_000, 20_000] {
        let mut world = World::warm(pause, 0.05, 60);
        let id = world.id(9);
        world.pause(9, Duration::from_millis(pause));
        world.run(Duration::from_millis(pause) + seconds(20));
        let by_it = world.saw(Health::Down).filter(|seen| seen.by == 9).count();
        let others = world.saw(Health::Down).filter(|seen| seen.id != id).count();
        assert_eq!((by_it, others), (0, 0), "{pause} ms");
        assert!(world.run_until(seconds(20), World::whole).is_some(), "{pause} ms: it is taken back");
        // Half a second may pass between two of its timers.
        assert!(pause < 1_000 || world.machine(9).counts().pauses > 0);
    }
}

#[test]
fn many_stopped_processes_do_not_take_the_others_with_them() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 100);
        (0..30).for_each(|node| world.pause(node, seconds(4)));
        world.run(seconds(40));
        let stopped: Vec<_> = (0..30).map(|node| world.id(node)).collect();
        let healthy = world.saw(Health::Down).filter(|seen| !stopped.contains(&seen.id)).count();
        assert_eq!(healthy, 0);
        assert!(world.run_until(seconds(20), World::whole).is_some());
    }
}

#[test]
fn a_split_is_noticed_and_heals_by_itself() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 100);
        world.split_at = Some(50);
        let low = world.id(0);
        let split = |world: &World| {
            world.living().filter(|(at, _)| *at >= 50).all(|(_, machine)| machine.alive() == 49)
                && world.living().filter(|(at, _)| *at < 50).all(|(_, machine)| machine.alive() == 49)
        };
        assert!(world.run_until(seconds(120), split).is_some());
        world.run(seconds(180));
        assert_eq!(world.machine(70).get(low).map(|member| member.health), Some(Health::Down));
        world.split_at = None;
        let took = world.run_until(seconds(60), World::whole).expect("it heals");
        assert!(took < seconds(5), "{took:?}");
        // What rumours missed is found by comparing: each does so every ten seconds.
        for step in 0..200 {
            world.compare(step % 100);
            world.run(Duration::from_millis(100));
        }
        assert_eq!(world.digests().len(), 1, "seed {seed}");
    }
}

#[test]
fn an_announced_restart_is_no_loss() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 60);
        let (id, now) = (world.id(4), world.now);
        world.with(4, |machine| machine.announce_restarting(now));
        world.run(seconds(1));
        assert!(world.all_see(id, Health::Restarting));
        world.crash(4);
        world.run(seconds(60));
        assert!(world.all_see(id, Health::Restarting));
        world.restart(4, 7);
        assert!(world.run_until(seconds(5), World::whole).is_some());
        assert_eq!(world.saw(Health::Suspect).count() + world.saw(Health::Down).count(), 0);
    }
}

#[test]
fn a_restart_that_does_not_end_is_a_loss() {
    let mut world = World::warm(2, 0.0, 20);
    let (id, now) = (world.id(4), world.now);
    world.with(4, |machine| machine.announce_restarting(now));
    world.run(seconds(1));
    world.crash(4);
    world.run(seconds(130));
    assert!(world.all_see(id, Health::Down));
    // It is lost since it stopped, and not since it was declared so.
    for (_, machine) in world.living() {
        let since = machine.get(id).and_then(|member| member.since).expect("it is lost");
        assert!(since.since(now) < seconds(10), "{since:?} {now:?}");
    }
}

#[test]
fn a_process_that_starts_again_at_once_is_taken_as_new() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 60);
        world.crash(4);
        world.run(seconds(2));
        world.restart(4, 9);
        assert!(world.run_until(seconds(5), World::whole).is_some());
        world.run(seconds(30));
        assert_eq!(world.saw(Health::Down).count(), 0);
        let boot = world.nodes[4].info.boot;
        let id = world.id(4);
        assert!(
            world
                .living()
                .filter(|(at, _)| *at != 4)
                .all(|(_, machine)| { machine.get(id).is_some_and(|member| member.told.info.boot == boot) })
        );
    }
}

#[test]
fn who_leaves_is_gone_at_once_and_may_come_back() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.2, 60);
        let (id, now) = (world.id(4), world.now);
        world.with(4, |machine| machine.leave(now));
        world.run(seconds(2));
        world.crash(4);
        assert!(world.run_until(seconds(20), |world| world.all_see(id, Health::Left)).is_some());
        assert_eq!(world.saw(Health::Down).count(), 0);
        world.restart(4, 1);
        assert!(world.run_until(seconds(20), |world| world.all_see(id, Health::Alive)).is_some());
    }
}

#[test]
fn an_operator_can_make_a_lost_node_leave_but_not_a_living_one() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 30);
        let lost = world.id(5);
        world.crash(5);
        world.run(seconds(15));
        let now = world.now;
        world.with(8, |machine| assert!(machine.declare_left(now, lost)));
        assert!(world.run_until(seconds(5), |world| world.all_see(lost, Health::Left)).is_some());
        let living = world.id(6);
        world.with(8, |machine| assert!(machine.declare_left(now, living)));
        world.run(seconds(3));
        assert!(world.all_see(living, Health::Alive));
    }
}

#[test]
fn a_disk_that_was_cloned_gives_two_nodes_in_the_end() {
    for seed in 0..10 {
        for nodes in [1, 2, 40] {
            let mut world = World::warm(seed, 0.0, nodes);
            let (id, generation) = (world.id(0), world.nodes[0].generation);
            world.add_with(id, generation);
            world.join(nodes, if seed % 2 == 0 { nodes - 1 } else { 0 });
            world.run(seconds(20));
            assert_eq!(world.clashes, 1, "seed {seed}, {nodes} nodes");
            // The one that yielded joined under its new id.
            assert!(world.whole(), "seed {seed}, {nodes} nodes");
            world.run(seconds(60));
            let before = world.machine(0).own().incarnation;
            world.run(seconds(60));
            assert_eq!(world.clashes, 1);
            assert_eq!(world.machine(0).own().incarnation, before);
        }
    }
}

#[test]
fn an_old_disk_costs_a_new_life_and_no_duel() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.0, 30);
        let id = world.id(3);
        for _ in 0..3 {
            world.crash(3);
            world.run(seconds(1));
            world.restart(3, 5);
            world.run(seconds(3));
        }
        world.crash(3);
        world.run(seconds(1));
        world.nodes[3].generation.0 -= 3;
        world.restart(3, 5);
        world.run(seconds(10));
        assert!(world.whole());
        assert_eq!((world.clashes, world.id(3)), (0, id));
        assert_eq!(world.nodes[3].generation, world.machine(3).own().incarnation.generation);
    }
}

#[test]
fn a_node_that_comes_and_goes_ends_as_it_is() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.05, 50);
        let id = world.id(3);
        for turn in 0..12 {
            world.crash(3);
            world.run(Duration::from_millis(300 + turn * 700));
            world.restart(3, 5);
            world.run(Duration::from_millis(200 + turn * 400));
        }
        assert!(world.run_until(seconds(20), |world| world.all_see(id, Health::Alive)).is_some());
        let others = world.saw(Health::Down).filter(|seen| seen.id != id).count();
        assert_eq!(others, 0);
    }
}

#[test]
fn a_new_address_of_a_living_node_is_taken() {
    let mut world = World::warm(10, 0.0, 30);
    let mut info = (*world.nodes[3].info).clone();
    info.name = "renamed".into();
    let (id, now) = (info.id, world.now);
    world.with(3, |machine| machine.announce(now, info.into()));
    world.run(seconds(2));
    for (_, machine) in world.living().filter(|(at, _)| *at != 3) {
        let name = machine.get(id).map(|member| member.told.info.name.clone());
        assert_eq!(name.as_deref(), Some("renamed"));
    }
}

#[test]
fn half_of_a_cluster_that_dies_is_found_and_the_other_half_is_left_alone() {
    for seed in 0..5 {
        let mut world = World::warm(seed, 0.05, 100);
        let dead: Vec<_> = (0..50).map(|node| world.id(node)).collect();
        (0..50).for_each(|node| world.crash(node));
        let found = |world: &World| dead.iter().all(|id| world.all_see(*id, Health::Down));
        let took = world.run_until(seconds(120), found).expect("all are found");
        assert!(took < seconds(60), "{took:?}");
        assert!(world.saw(Health::Down).all(|seen| dead.contains(&seen.id)));
    }
}

#[test]
fn two_nodes_notice_each_other_s_loss() {
    for seed in 0..5 {
        let (first, down) = detection(seed, 0.0, 2);
        assert!(first < 3.0 && down < 8.0, "{first} {down}");
    }
}

#[test]
fn the_way_to_each_member_is_measured_and_forgotten_when_it_is_lost() {
    let mut world = World::warm(3, 0.05, 6);
    world.run(seconds(60));
    // Twice the way of a datagram.
    let bounds = Duration::from_micros(400)..=Duration::from_micros(2_000);
    for node in 0..6 {
        for other in (0..6).filter(|other| *other != node) {
            let trip = world.machine(node).round_trip(world.id(other)).expect("measured within a minute");
            assert!(bounds.contains(&trip), "{node} to {other}: {trip:?}");
        }
        assert_eq!(world.machine(node).round_trip(world.id(node)), None);
    }
    let id = world.id(5);
    world.crash(5);
    assert!(world.run_until(seconds(60), |world| world.all_see(id, Health::Down)).is_some());
    assert!((0..5).all(|node| world.machine(node).round_trip(id).is_none()));
}
