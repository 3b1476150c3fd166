//! The production machine under what has broken others: each by its name, small, with several seeds.

use super::action::{Action, DiskFate};
use super::gossip::Citizen;
use super::machine::LEASE;
use super::network::Network;
use super::oracle;
use super::scenario::{Asked, Scenario};
use super::seat::Seat;
use super::simulate::simulate;
use super::summary::Summary;
use super::world::World;
use crate::base::time::Moment;
use proptest::prelude::*;
use std::time::Duration;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;
/// When what is planned is over, and until when all must be well, in seconds.
const OVER: u64 = 60;
const PATIENCE: u64 = 300;

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

/// Ten nodes to which things happen; they must be well again, for each seed.
#[track_caller]
fn gets_well(plan: impl Fn(&mut World<Citizen>)) {
    for seed in SEEDS {
        let mut world = World::new(seed, 11, Network::near());
        world.warm(10, 5);
        plan(&mut world);
        world.run_until(at(OVER));
        let mut second = OVER;
        while let Some(unwell) = oracle::unwell(&world, LEASE, true) {
            assert!(second < PATIENCE, "seed {seed}: {unwell:?}\n{:#?}", world.observer().story);
            second += 1;
            world.run_until(at(second));
        }
        assert_eq!(world.observer().failures, [], "seed {seed}");
    }
}

fn asked(change: impl FnOnce(&mut Asked)) -> Scenario {
    let mut asked = Asked { nodes: Some("10".into()), duration: Some("30s".into()), ..Asked::default() };
    change(&mut asked);
    asked.read(1).expect("it is sound")
}

#[track_caller]
fn run(scenario: &Scenario) -> Summary {
    let run = simulate::<Citizen>(scenario, None, |_| ());
    assert_eq!(run.broken, [], "seed {}: {:#?}", run.seed, run.story);
    run
}

#[test]
fn a_node_that_leaves_and_comes_back_is_not_buried_by_its_own_farewell() {
    gets_well(|world| {
        for (number, seat) in (0..).zip([3, 4, 5]) {
            world.plan(at(5), Seat(seat), Action::Leave);
            world.plan(at(6 + 5 * number), Seat(seat), Action::Start(DiskFate::Kept));
            world.plan(at(30), Seat(seat), Action::Change(2));
        }
    });
}

#[test]
fn a_cut_of_seconds_or_minutes_leaves_nothing_forgotten() {
    for (length, duration) in [("10s", "60s"), ("30s", "80s"), ("300s", "350s")] {
        for seed in [1, 2] {
            let run = run(&Scenario {
                seed,
                ..asked(|asked| {
                    asked.partition = Some(format!("third:{length}"));
                    asked.duration = Some(duration.into());
                    asked.changes = Some("5/s".into());
                })
            });
            assert!(run.cut.is_some() && run.healed_s.is_some(), "{length}: {:?}", run.story);
        }
    }
}

#[test]
fn the_records_of_the_dead_go_though_newcomers_learn_of_them_late() {
    gets_well(|world| {
        world.plan(at(5), Seat(3), Action::PowerOff);
        // Just before the lease is over, and from those who know of it only by hearsay.
        world.plan(at(55), Seat(10), Action::Start(DiskFate::Lost));
        world.plan(at(58), Seat(4), Action::Crash);
        world.plan(at(59), Seat(4), Action::Start(DiskFate::Kept));
    });
}

#[test]
fn a_cloned_disk_is_found_out_and_both_keep_their_records() {
    gets_well(|world| {
        world.plan(at(5), Seat(3), Action::Crash);
        world.plan(at(6), Seat(3), Action::Start(DiskFate::CloneOf(Seat(4))));
        world.plan(at(20), Seat(3), Action::Change(2));
        world.plan(at(21), Seat(4), Action::Change(2));
    });
}

#[test]
fn an_owner_that_flaps_is_itself_again_when_it_stays() {
    gets_well(|world| {
        for round in 0..15 {
            world.plan(at(5 + 3 * round), Seat(3), Action::Crash);
            world.plan(at(7 + 3 * round), Seat(3), Action::Start(DiskFate::Kept));
        }
    });
}

#[test]
fn a_storm_of_changes_of_one_node_passes() {
    gets_well(|world| {
        for lot in 0..3_000 {
            world.plan(at(5), Seat(3), Action::Change(lot));
        }
    });
}

#[test]
fn a_process_that_stood_still_for_long_is_well_again() {
    gets_well(|world| {
        for (number, ms) in (0..).zip([500, 3_000, 8_000, 20_000]) {
            world.plan(at(5), Seat(number), Action::Pause(Duration::from_millis(ms)));
            world.plan(at(10), Seat(number), Action::Change(2));
        }
    });
}

fn chaos(seed: u64, chaos: usize) -> Scenario {
    Scenario { seed, chaos, loss: 0.02, ..asked(|_| ()) }
}

#[test]
fn the_same_seed_gives_the_same_trace_with_the_production_machine() {
    let (first, again) = (run(&chaos(3, 6)), run(&chaos(3, 6)));
    assert_eq!(first, again);
    assert_ne!(first.trace, run(&chaos(4, 6)).trace);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    /// Whatever befalls them in whatever order, they are well at the end.
    #[test]
    fn any_interleaving_ends_well(seed in 0u64..1 << 32, count in 1usize..10) {
        let run = simulate::<Citizen>(&chaos(seed, count), None, |_| ());
        prop_assert!(run.broken.is_empty(), "--seed {seed} --chaos {count}: {:?}", run.broken);
    }
}
