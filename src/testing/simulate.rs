//! A run: a warm cluster, a while in which changes are made and things go wrong, then quiet until every rule is kept.
//!
//! ```text
//!  0 s      5 s, or as asked                     5 s + duration            + patience
//!  │ settle │ changes; cut, crashes, newcomers   │ quiet: all well yet? ...│ no: a rule is broken
//!           └──────────── measured ──────────────┘
//! ```

use super::action::{Action, DiskFate};
use super::chaos;
use super::machine::{LEASE, Machine};
use super::network::{Network, Span, Stage};
use super::oracle;
use super::scenario::{BURST_AT, CRASH_EVERY, JOIN_WITHIN, Scenario, join_at};
use super::seat::Seat;
use super::summary::{Broken, Convergence, Death, Line, Summary, Times};
use super::watch::Spread;
use super::world::{Stopwatch, Traffic, World};
use crate::base::time::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// Quiet may take so long until every rule is kept.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often is looked whether all is well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How far a run is: for a line on a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Virtual seconds that have passed.
    pub now_s: f64,
    /// Virtual seconds until quiet begins.
    pub of_s: f64,
    /// Events so far.
    pub events: u64,
}

/// What was counted at one moment.
struct Counted {
    traffic: Traffic,
    busy: Duration,
    useful_octets: u64,
    counters: BTreeMap<String, u64>,
}

impl Counted {
    fn now<M: Machine>(world: &World<M>) -> Counted {
        let mut counters = BTreeMap::new();
        for (_, machine) in world.machines() {
            machine.counters(&mut |name, value| match counters.get_mut(name) {
                Some(sum) => *sum += value,
                None => {
                    counters.insert(name.to_owned(), value);
                }
            });
        }
        let useful_octets = world.observer().watches.useful_octets();
        Counted { traffic: world.traffic(), busy: world.busy(), useful_octets, counters }
    }
}

/// Runs a scenario with machines of the kind `M`.
pub fn simulate<M: Machine>(
    scenario: &Scenario,
    stopwatch: Option<Stopwatch>,
    mut progress: impl FnMut(Progress),
) -> Summary {
    let seats = scenario.nodes + scenario.join;
    let mut world = World::<M>::new(scenario.seed, seats, Network::near());
    if let Some(stopwatch) = stopwatch {
        world.time_by(stopwatch);
    }
    if scenario.loss > 0.0 {
        world.network_mut().add(Stage::Loss { span: Span::ALWAYS, share: scenario.loss });
    }
    world.warm(scenario.nodes, scenario.records);
    let begin = Moment::START + scenario.settle;
    let end = begin + scenario.duration;
    let cut = plan(&mut world, scenario, begin);
    chaos::plan(&mut world, scenario, begin, end);
    world.run_until(begin);
    let before = Counted::now(&world);
    let mut tell = |world: &World<M>| {
        progress(Progress { now_s: seconds(world.now()), of_s: seconds(end), events: world.events() });
    };
    let mut healed = Healed::default();
    let mut cut_told = 0;
    while world.now() < end {
        let next = (world.now() + LOOK_EVERY).min(end);
        if let Some(span) = cut {
            tell_cut(&mut world, span, next, &mut cut_told, scenario);
        } else {
            world.run_until(next);
        }
        healed.look(&world, cut);
        tell(&world);
    }
    let after = Counted::now(&world);
    let settled = quiet(&mut world, scenario, end, |world| {
        healed.look(world, cut);
        tell(world);
    });
    summary(&world, scenario, cut, (&before, &after), settled.map(|at| at - end), healed.members)
}

/// Plans what befalls the nodes; the span of the cut.
fn plan<M: Machine>(world: &mut World<M>, scenario: &Scenario, begin: Moment) -> Option<Span> {
    // A lot of its own, so that what is planned depends on nothing but the seed.
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x706c_616e);
    let nodes = scenario.nodes as u32;
    let count = (scenario.changes * scenario.duration.as_secs_f64()) as u64;
    let micros = scenario.duration.as_micros() as u64;
    for _ in 0..count {
        let at = begin + Duration::from_micros(rng.u64(..micros));
        world.plan(at, Seat(rng.u32(..nodes)), Action::Change(rng.u32(..)));
    }
    for key in 0..scenario.cluster as u32 {
        let lot = write_of_cluster(key);
        let at = Moment::START + scenario.settle / 2;
        world.plan(at, Seat(rng.u32(..nodes)), Action::ChangeCluster(lot));
    }
    for _ in 0..scenario.burst {
        world.plan(begin + BURST_AT, Seat(rng.u32(..nodes)), Action::Change(rng.u32(..)));
    }
    let mut victims: Vec<u32> = (0..nodes).collect();
    rng.shuffle(&mut victims);
    for (number, victim) in victims.into_iter().take(scenario.crash).enumerate() {
        // Not on the beat of anybody's timers.
        let at = begin
            + scenario.duration / 10
            + CRASH_EVERY * number as u32
            + Duration::from_micros(rng.u64(..1_000_000));
        world.plan(at, Seat(victim), Action::PowerOff);
    }
    for newcomer in 0..scenario.join as u32 {
        let within = rng.u64(..JOIN_WITHIN.as_micros() as u64);
        let at = begin + join_at(scenario.duration) + Duration::from_micros(within);
        world.plan(at, Seat(nodes + newcomer), Action::Start(DiskFate::Lost));
    }
    scenario.partition.map(|partition| {
        let span = Span { from: begin + partition.from, until: begin + partition.from + partition.length };
        let side = partition.seats(scenario.nodes);
        world.network_mut().add(Stage::Cut { span, side });
        span
    })
}

/// The lot that writes that record of the cluster; see [`Action::ChangeCluster`].
fn write_of_cluster(key: u32) -> u32 {
    key * 8 + 1
}

/// Lets time pass, with a line where the cut begins and ends.
fn tell_cut<M: Machine>(
    world: &mut World<M>,
    span: Span,
    next: Moment,
    told: &mut usize,
    scenario: &Scenario,
) {
    for (number, moment) in [span.from, span.until].into_iter().enumerate() {
        if *told == number && moment <= next {
            world.run_until(moment);
            let apart = scenario.partition.map_or(0, |partition| partition.seats(scenario.nodes).count());
            let line = match number {
                0 => format!("the network is cut: {apart} nodes against {}", scenario.nodes - apart),
                _ => "the cut is healed".to_owned(),
            };
            world.observer_mut().tell(moment, line);
            *told += 1;
        }
    }
    world.run_until(next);
}

/// Quiet until all is well; when that was. Else the failure is told.
fn quiet<M: Machine>(
    world: &mut World<M>,
    scenario: &Scenario,
    end: Moment,
    mut look: impl FnMut(&World<M>),
) -> Option<Moment> {
    let last_death = world.observer().census.incidents().iter().map(|incident| incident.at).max();
    // The dead are looked at when their leases have ended for sure.
    let from = last_death.map_or(end, |at| end.max(at + LEASE * 2 + LEASE));
    // Of two writes that did not know of each other the world's order says nothing.
    let cluster_has_truth = scenario.partition.is_none() && scenario.chaos == 0;
    loop {
        look(world);
        // Before that moment no answer would count, and asking is not cheap.
        if world.now() >= from {
            match oracle::unwell(world, LEASE, cluster_has_truth) {
                None => break,
                Some(unwell) if world.now() >= from.max(end + PATIENCE) => {
                    let now = world.now();
                    world.observer_mut().fail(now, unwell.rule, unwell.what);
                    return None;
                }
                Some(_) => {}
            }
        }
        let next = world.now() + LOOK_EVERY;
        world.run_until(next);
    }
    let now = world.now();
    world.observer_mut().tell(now, "every rule is kept");
    Some(now)
}

/// When everybody held everybody for alive again.
#[derive(Default)]
struct Healed {
    members: Option<Moment>,
}

impl Healed {
    fn look<M: Machine>(&mut self, world: &World<M>, cut: Option<Span>) {
        if let Some(span) = cut
            && self.members.is_none()
            && world.now() > span.until
            && let Some(since) = world.observer().census.whole_since()
        {
            self.members = Some(since.max(span.until));
        }
    }
}

fn summary<M: Machine>(
    world: &World<M>,
    scenario: &Scenario,
    cut: Option<Span>,
    (before, after): (&Counted, &Counted),
    settled: Option<Duration>,
    healed_members: Option<Moment>,
) -> Summary {
    let observer = world.observer();
    let done = observer.watches.done();
    // The last arrival of a change that the cut held up.
    let caught_up = cut.and_then(|span| {
        let waited = done.iter().filter(|spread| spread.made < span.until);
        waited.map(|spread| spread.made + spread.all).filter(|arrived| *arrived > span.until).max()
    });
    let disturbed = |spread: &&Spread| {
        // Until everybody holds everybody for alive again and has what was held up, the cut is in the way.
        let over = |span: Span| {
            let members = healed_members.unwrap_or(Moment::NEVER);
            members.max(caught_up.unwrap_or(span.until)).max(span.until)
        };
        cut.is_some_and(|span| spread.made < over(span) && spread.made + spread.all >= span.from)
    };
    let measured = scenario.duration.as_secs_f64().max(1e-6);
    let per_node = |count: u64| count as f64 / measured / scenario.nodes as f64;
    let octets = after.traffic.datagram_octets - before.traffic.datagram_octets;
    let stream_octets = after.traffic.stream_octets - before.traffic.stream_octets;
    let all_watched = observer.watches.unwatched() == 0;
    let useful = (after.useful_octets - before.useful_octets) as f64;
    let per_useful = |octets: u64| (useful > 0.0 && all_watched).then(|| octets as f64 / useful);
    let counters = after.counters.iter().map(|(name, value)| {
        let earlier = before.counters.get(name).copied().unwrap_or(0);
        (name.clone(), value.saturating_sub(earlier))
    });
    let since = |at: Moment, later: Option<Moment>| later.map(|later| (later - at).as_secs_f64());
    let deaths = observer.census.incidents().iter().map(|incident| Death {
        node: incident.seat.to_string(),
        suspected_s: since(incident.at, incident.suspected),
        everywhere_s: since(incident.at, incident.everywhere),
    });
    let all_arrived = all_watched && observer.watches.open() == 0;
    let healed_records = cut.and_then(|span| since(span.until, caught_up.filter(|_| all_arrived)));
    let healed_members = cut.and_then(|span| since(span.until, healed_members));
    Summary {
        seed: scenario.seed,
        machine: M::about(world.house()).to_owned(),
        nodes: scenario.nodes as u64,
        records: observer.ledger.len() as u64,
        loss: scenario.loss,
        virtual_s: seconds(world.now()),
        measured_s: measured,
        events: world.events(),
        trace: format!("{:016x}", world.trace()),
        calm: convergence(done.iter().filter(|spread| !disturbed(spread))),
        cut: convergence(done.iter().filter(disturbed)),
        unwatched: observer.watches.unwatched(),
        unfinished: observer.watches.open() as u64,
        curve: observer
            .watches
            .curve()
            .into_iter()
            .map(|(time, share)| (time.as_secs_f64() * 1e3, share))
            .collect(),
        datagrams_per_node_s: per_node(after.traffic.datagrams - before.traffic.datagrams),
        octets_per_node_s: per_node(octets),
        stream_octets_per_node_s: per_node(stream_octets),
        octets_per_useful: per_useful(octets),
        stream_octets_per_useful: per_useful(stream_octets),
        packets_lost: world.traffic().lost,
        packets_unheard: world.traffic().unheard,
        counters: counters.collect(),
        deaths: deaths.collect(),
        false_downs: observer.census.false_downs,
        hidden_early: observer.hidden_early,
        joins_s: observer.newcomers.iter().map(|newcomer| since(newcomer.at, newcomer.complete)).collect(),
        healed_records_s: healed_records,
        healed_members_s: healed_members,
        healed_s: healed_records.zip(healed_members).map(|(records, members)| records.max(members)),
        settled_s: settled.map(|settled| settled.as_secs_f64()),
        queued_octets_max: world.queued_octets_max() as u64,
        machine_ms_per_s: (after.busy.saturating_sub(before.busy)).as_secs_f64() * 1e3 / measured,
        real_s: 0.0,
        peak_kib: 0,
        story: observer
            .story
            .iter()
            .map(|(at, what)| Line { at_s: seconds(*at), what: what.clone() })
            .collect(),
        broken: observer
            .failures
            .iter()
            .map(|failure| Broken {
                at_s: seconds(failure.at),
                rule: failure.rule.to_owned(),
                what: failure.what.clone(),
            })
            .collect(),
    }
}

fn convergence<'s>(spreads: impl Iterator<Item = &'s Spread>) -> Option<Convergence> {
    let spreads: Vec<&Spread> = spreads.collect();
    let times = |of: fn(&Spread) -> Duration| {
        Times::of(spreads.iter().map(|spread| of(spread).as_secs_f64() * 1e3).collect())
    };
    Some(Convergence {
        changes: spreads.len() as u64,
        half: times(|spread| spread.half)?,
        most: times(|spread| spread.most)?,
        all: times(|spread| spread.all)?,
    })
}

fn seconds(at: Moment) -> f64 {
    at.as_micros() as f64 / 1e6
}
