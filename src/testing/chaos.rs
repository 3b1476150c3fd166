//! Everything that may befall a cluster, drawn by lot: what `--chaos` asks for. The lots are of the seed alone.
//!
//! Whoever is stopped starts again before the end of the run, or as soon as its farewell is over, so that quiet shows a whole
//! cluster.

use super::action::{Action, DiskFate};
use super::deed::FAREWELL;
use super::machine::Machine;
use super::network::{Delays, Span, Stage};
use super::scenario::Scenario;
use super::seat::{Seat, Seats};
use super::world::World;
use crate::base::time::Moment;
use std::time::Duration;

/// Within a region, and between two.
const NEAR: Delays = Delays::NEAR;
const FAR: Delays = Delays { micros_min: 5_000, micros_max: 20_000 };
const REGIONS: u8 = 3;
/// Shares of packets that come twice and that come late.
const TWICE: f64 = 0.02;
const LATE: f64 = 0.05;
const LATE_BY: Delays = Delays { micros_min: 1_000, micros_max: 50_000 };
/// Of so many things one is a link that carries one way only.
const LINK_EVERY: usize = 8;
/// Changes of a storm: one node, one moment.
const STORM: usize = 200;
/// Milliseconds: a pause of a process, and how long one stays away.
const PAUSE_MS: std::ops::Range<u64> = 500..20_000;
const AWAY_MS: std::ops::Range<u64> = 100..30_000;

/// Plans so many things between two moments.
pub(super) fn plan<M: Machine>(world: &mut World<M>, scenario: &Scenario, begin: Moment, end: Moment) {
    if scenario.chaos == 0 {
        return;
    }
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x0063_6861_6f73);
    let nodes = scenario.nodes as u32;
    let network = world.network_mut();
    let region = (0..nodes).map(|_| rng.u8(..REGIONS)).collect();
    let row = |of: u8| (0..REGIONS).map(|to| if to == of { NEAR } else { FAR }).collect();
    network.add(Stage::Regions { region, matrix: (0..REGIONS).map(row).collect() });
    network.add(Stage::Reorder { share: LATE, by: LATE_BY });
    network.add(Stage::Duplicate { share: TWICE, by: LATE_BY });
    let micros = (end - begin).as_micros().max(1) as u64;
    for _ in 0..scenario.chaos / LINK_EVERY {
        let from = begin + Duration::from_micros(rng.u64(..micros));
        let span = Span { from, until: end.min(from + Duration::from_millis(rng.u64(PAUSE_MS))) };
        let (one, other) = (Seat(rng.u32(..nodes)), Seat(rng.u32(..nodes)));
        let only = |who: Seat| Seats::of(scenario.nodes, |seat| seat == who);
        world.network_mut().add(Stage::OneWay { span, from: only(one), to: only(other) });
    }
    for _ in 0..scenario.chaos {
        let at = begin + Duration::from_micros(rng.u64(..micros));
        let (seat, other) = (Seat(rng.u32(..nodes)), Seat(rng.u32(..nodes)));
        let back = (at + Duration::from_millis(rng.u64(AWAY_MS))).min(end);
        let end_and_start = match rng.u32(..12) {
            0 => (Action::Crash, DiskFate::Kept),
            1 => (Action::Crash, DiskFate::Lost),
            2 => (Action::Crash, DiskFate::CloneOf(other)),
            3 => (Action::PowerOff, DiskFate::Kept),
            4 => (Action::Stop, DiskFate::Kept),
            5 => (Action::Leave, DiskFate::Kept),
            6 => {
                // An operator gives up what is down.
                world.plan(at + (back - at) / 2, other, Action::ForceLeave(seat));
                (Action::PowerOff, DiskFate::Kept)
            }
            7 => {
                let time = Duration::from_millis(rng.u64(PAUSE_MS)).min(end - at);
                world.plan(at, seat, Action::Pause(time));
                continue;
            }
            8 => {
                world.plan(at, seat, Action::Drain);
                continue;
            }
            9 => {
                (0..STORM).for_each(|_| world.plan(at, seat, Action::Change(rng.u32(..))));
                continue;
            }
            _ => {
                world.plan(at, seat, Action::ChangeCluster(rng.u32(..)));
                continue;
            }
        };
        world.plan(at, seat, end_and_start.0);
        world.plan(back, seat, Action::Start(end_and_start.1));
        // A farewell takes a while, perhaps beyond the end; who starts within it starts after it.
        let over = at + FAREWELL + Duration::from_millis(1);
        world.plan(end.max(over), seat, Action::Start(DiskFate::Kept));
    }
}
