//! Whole worlds, with the plainest machine: what the simulator says of it is known beforehand.

use super::action::{Action, DiskFate};
use super::flood::Flood;
use super::machine::LEASE;
use super::network::{Delays, Network, Span, Stage};
use super::oracle;
use super::scenario::{Asked, Scenario};
use super::seat::{Seat, Seats};
use super::simulate::simulate;
use super::summary::{Convergence, Summary};
use super::world::World;
use crate::base::time::Moment;
use std::time::Duration;

fn scenario(change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = Asked { nodes: Some("12".into()), duration: Some("20s".into()), ..Asked::default() }
        .read(42)
        .expect("it is sound");
    change(&mut scenario);
    scenario
}

fn run(change: impl FnOnce(&mut Scenario)) -> Summary {
    let run = simulate::<Flood>(&scenario(change), None, |_| ());
    assert_eq!(run.broken, [], "{:#?}", run.story);
    run
}

fn calm(run: &Summary) -> Convergence {
    run.calm.expect("there were changes")
}

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

#[test]
fn in_a_sound_network_a_change_is_everywhere_after_one_hop() {
    let run = run(|_| ());
    assert_eq!((calm(&run).changes, run.cut), (200, None));
    assert!(calm(&run).all.worst_ms < 1.2, "{:?}", run.calm);
    assert_eq!((run.false_downs, run.deaths.len(), run.unwatched), (0, 0, 0));
    // A beat per second to each of the others, and the changes.
    assert!((11.0..30.0).contains(&run.datagrams_per_node_s), "{}", run.datagrams_per_node_s);
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let faults = |scenario: &mut Scenario| {
        (scenario.loss, scenario.crash, scenario.join) = (0.1, 1, 1);
        scenario.partition = None;
    };
    let (first, again) = (run(faults), run(faults));
    assert_eq!(first, again);
    let other = run(|scenario| {
        faults(scenario);
        scenario.seed = 43;
    });
    assert_ne!(first.trace, other.trace);
}

#[test]
fn what_was_lost_on_the_way_is_made_good() {
    let run = run(|scenario| scenario.loss = 0.2);
    assert_eq!(calm(&run).changes, 200);
    assert!(calm(&run).all.median_ms > 100.0 && run.octets_per_useful > Some(1.0), "{run:?}");
}

#[test]
fn a_cut_is_seen_in_the_changes_in_its_way_and_heals() {
    let run = run(|scenario| {
        let asked =
            Asked { partition: Some("half:20s".into()), ..Asked::default() }.read(1).expect("it is sound");
        scenario.partition = asked.partition;
        scenario.duration = asked.duration;
    });
    let cut = run.cut.expect("changes waited for it");
    assert!(cut.changes >= 200 && cut.all.worst_ms > 19_000.0, "{cut:?}");
    // Who was down for the others may still lack a log when all hold it for alive again.
    assert!(calm(&run).half.worst_ms < 1.2, "{:?}", run.calm);
    assert!(run.healed_s.is_some() && run.healed_s < Some(30.0), "{run:?}");
    let told = |what: &str| run.story.iter().any(|line| line.what.contains(what));
    assert!(
        told("the network is cut: 6 nodes against 6")
            && told("the cut is healed")
            && told("every rule is kept")
    );
    // They were down, and with reason.
    assert_eq!(run.false_downs, 0);
}

#[test]
fn a_death_is_timed_and_its_records_go_when_the_lease_is_over() {
    let run = run(|scenario| scenario.crash = 2);
    assert_eq!(run.deaths.len(), 2);
    for death in &run.deaths {
        let everywhere = death.everywhere_s.expect("all noticed");
        assert!((7.0..11.0).contains(&everywhere) && death.suspected_s <= Some(everywhere), "{death:?}");
    }
}

#[test]
fn a_newcomer_is_timed_until_it_has_everything() {
    let run = run(|scenario| scenario.join = 3);
    assert_eq!(run.joins_s.len(), 3);
    assert!(
        run.joins_s.iter().all(|seconds| seconds.is_some_and(|seconds| seconds < 30.0)),
        "{:?}",
        run.joins_s
    );
}

/// A world of twelve to which things happen between the fifth and the thirtieth second.
fn world(plan: impl FnOnce(&mut World<Flood>)) -> World<Flood> {
    let mut world = World::new(7, 13, Network::near());
    world.warm(12, 5);
    plan(&mut world);
    world.run_until(at(30));
    world
}

#[track_caller]
fn assert_gets_well(mut world: World<Flood>) -> World<Flood> {
    let mut unwell = None;
    for second in 31..300 {
        unwell = oracle::unwell(&world, LEASE, true);
        if unwell.is_none() {
            break;
        }
        world.run_until(at(second));
    }
    assert_eq!(unwell, None);
    assert_eq!(world.observer().failures, []);
    world
}

#[test]
fn a_node_that_restarts_has_its_records_again_with_each_kind_of_disk() {
    for fate in [DiskFate::Kept, DiskFate::Lost, DiskFate::CloneOf(Seat(4))] {
        let world = world(|world| {
            world.plan(at(5), Seat(3), Action::Crash);
            world.plan(at(6), Seat(3), Action::Start(fate));
            world.plan(at(20), Seat(3), Action::Change(2));
            world.plan(at(21), Seat(4), Action::Change(2));
        });
        let world = assert_gets_well(world);
        assert!(world.observer().census.lives(Seat(3)), "{fate:?}");
    }
}

#[test]
fn a_node_that_stood_still_finds_what_came_meanwhile() {
    let world = world(|world| {
        world.plan(at(5), Seat(3), Action::Pause(Duration::from_secs(4)));
        for second in 5..9 {
            world.plan(at(second), Seat(1), Action::Change(2));
        }
    });
    let world = assert_gets_well(world);
    let slowest = world.observer().watches.done().iter().map(|spread| spread.all).max();
    assert!(slowest > Some(Duration::from_secs(3)) && slowest < Some(Duration::from_secs(5)), "{slowest:?}");
}

#[test]
fn who_leaves_or_drains_takes_its_records_along() {
    let world = world(|world| {
        world.plan(at(5), Seat(3), Action::Leave);
        world.plan(at(6), Seat(4), Action::Drain);
        world.plan(at(7), Seat(5), Action::Stop);
        world.plan(at(9), Seat(5), Action::Start(DiskFate::Kept));
        world.plan(at(10), Seat(6), Action::ChangeCluster(9));
        world.plan(at(15), Seat(7), Action::ChangeCluster(17));
        world.plan(at(20), Seat(8), Action::ChangeCluster(8));
    });
    let world = assert_gets_well(world);
    assert!(!world.observer().census.lives(Seat(3)));
    assert_eq!(world.observer().ledger.records(Seat(4)).count(), 0);
    assert_eq!(world.observer().ledger.cluster().len(), 1);
}

#[test]
fn a_network_that_doubles_delays_and_carries_one_way_is_survived() {
    let world = world(|world| {
        let network = world.network_mut();
        network.add(Stage::Duplicate { share: 0.3, by: Delays::NEAR });
        network.add(Stage::Reorder { share: 0.3, by: Delays { micros_min: 1_000, micros_max: 50_000 } });
        let from = Seats::of(13, |seat| seat == Seat(2));
        let to = Seats::of(13, |seat| seat.0 > 6);
        network.add(Stage::OneWay { span: Span { from: at(6), until: at(20) }, from, to });
        for second in 5..25 {
            world.plan(at(second), Seat(2), Action::Change(second as u32));
        }
    });
    assert_gets_well(world);
}

#[test]
fn a_difference_is_told_with_its_nodes_and_stays_one_for_as_long_as_it_is_there() {
    let mut world = world(|world| {
        let side = Seats::of(13, |seat| seat == Seat(0));
        world.network_mut().add(Stage::Cut { span: Span::ALWAYS, side });
        world.plan(at(5), Seat(1), Action::Change(2));
    });
    world.run_until(at(90));
    let unwell = oracle::unwell(&world, LEASE, true).expect("it is cut");
    assert_eq!(unwell.rule, "every change reaches every node");
    assert!(
        unwell.what.starts_with("1 nodes lack change") && unwell.what.ends_with("node-0 among them"),
        "{unwell:?}"
    );
}
