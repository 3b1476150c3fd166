//! How long it takes until every node tells a new task, and tells one no more that stops or was killed. Both resolvers
//! look at the same change.

use super::swarm_watch::{Events, Reply, Watch, Who};
use crate::clock;
use crate::swarm::engine::Container;
use crate::swarm::node::Node;
use crate::swarm::{CLIENTS, Swarm, wait_for};
use std::collections::BTreeSet;
use std::time::Duration;

/// Tasks of the service, before and after.
const FEW: usize = 3;
const MORE: usize = 6;
/// How long all is left alone between changes.
const SETTLE: Duration = Duration::from_secs(2);
const BOTH: [Who; 2] = [Who::Hivedns, Who::Engine];

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// It started: counted from that event.
    Started,
    /// It was asked to stop: counted from its `kill` event.
    Stopped,
    /// It was killed: counted from its `die` event.
    Killed,
}

/// One task's change, seen by the last of the nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) what: What,
    pub(super) who: Who,
    /// Milliseconds; less than nothing if it was seen before the event.
    pub(super) ms: f64,
}

/// Scales a service up and down and kills a task, that many times.
pub(super) fn measure(swarm: &Swarm, askers: &[Container], rounds: usize) -> Result<Vec<Change>, String> {
    let events = Events::start(swarm)?;
    swarm.service("flex", &["--replicas", &FEW.to_string()], &[]);
    let mut tasks = swarm.wait_tasks("flex", FEW);
    let names = [(Who::Hivedns, "flex.hive.internal."), (Who::Engine, "flex.")];
    let watch = Watch::start(swarm, askers, &names)?;
    let mut changes = Vec::new();
    settled(&watch, &tasks);
    for round in 0..rounds {
        let scaled = |count: usize| {
            let since = clock::wall_ns();
            swarm.manager().docker(&["service", "scale", "--detach", &format!("flex={count}")]);
            let tasks = swarm.wait_tasks("flex", count);
            let settled = settled(&watch, &tasks);
            (since, tasks, settled)
        };
        let (since, more, replies) = scaled(MORE);
        for new in more.iter().filter(|task| tasks.iter().all(|old| old.id != task.id)) {
            let began = events.first(&new.id, "start");
            add(
                &mut changes,
                &watch,
                What::Started,
                began,
                |reply| reply.at >= since && reply.addresses.contains(&address(new)),
                &replies,
            );
        }
        let (since, fewer, replies) = scaled(FEW);
        for old in more.iter().filter(|task| fewer.iter().all(|left| left.id != task.id)) {
            let asked = events.first(&old.id, "kill");
            add(
                &mut changes,
                &watch,
                What::Stopped,
                asked,
                |reply| reply.at >= since && !reply.addresses.contains(&address(old)),
                &replies,
            );
        }
        let (since, victim) = (clock::wall_ns(), &fewer[round % FEW]);
        Node::kill(victim.pid);
        wait_for("a task in its place", || {
            tasks = swarm.tasks("flex");
            tasks.len() == FEW && tasks.iter().all(|task| task.id != victim.id)
        });
        let replies = settled(&watch, &tasks);
        let died = events.first(&victim.id, "die");
        add(
            &mut changes,
            &watch,
            What::Killed,
            died,
            |reply| reply.at >= since && !reply.addresses.contains(&address(victim)),
            &replies,
        );
        tell(&changes, round);
    }
    drop(watch);
    swarm.remove(&["flex"]);
    Ok(changes)
}

fn address(task: &Container) -> String {
    task.address(CLIENTS).to_string()
}

/// Waits until all tell these tasks, and for a while; what was answered meanwhile.
fn settled(watch: &Watch, tasks: &[Container]) -> Vec<Reply> {
    let addresses: BTreeSet<String> = tasks.iter().map(address).collect();
    wait_for("both resolvers to tell the same on all nodes", || watch.all_tell(&BOTH, &addresses));
    clock::pause(SETTLE);
    watch.take()
}

/// Adds when the last node first had such an answer, for both resolvers.
fn add(
    changes: &mut Vec<Change>,
    watch: &Watch,
    what: What,
    event: u64,
    is_so: impl Fn(&Reply) -> bool,
    replies: &[Reply],
) {
    for who in BOTH {
        let first =
            |post| replies.iter().find(|reply| reply.post == post && is_so(reply)).map(|reply| reply.at);
        let seen: Option<Vec<u64>> = watch.of(who).map(first).collect();
        if let Some(last) = seen.and_then(|seen| seen.into_iter().max()) {
            changes.push(Change { what, who, ms: (last as f64 - event as f64) / 1e6 });
        }
    }
}

/// Says on the terminal what came so far.
fn tell(changes: &[Change], round: usize) {
    for what in [What::Started, What::Stopped, What::Killed] {
        let of = |who| {
            let own = changes.iter().filter(|change| change.what == what && change.who == who);
            own.map(|change| format!("{:.0}", change.ms)).collect::<Vec<_>>().join(" ")
        };
        eprintln!(
            "  round {}: {what:?}: hivedns {} ms; engine {} ms",
            round + 1,
            of(Who::Hivedns),
            of(Who::Engine)
        );
    }
}
