//! A node that is cut off: what both sides tell of tasks that live all the while, and when all is as before.

use super::swarm_watch::{Events, Reply, Watch, Who};
use crate::clock;
use crate::swarm::ask::NXDOMAIN;
use crate::swarm::engine::Container;
use crate::swarm::{CLIENTS, PACE, Swarm, until_within, wait_for};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long all is left alone at the end.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the engines' resolver may take until it tells everything again.
const ENGINE_BACK: Duration = Duration::from_secs(60);
const ALL: [Who; 3] = [Who::Hivedns, Who::HivednsOneNode, Who::Engine];

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// How long the node is cut off.
    pub(super) time: Duration,
}

/// What one resolver told.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) who: Who,
    /// Answers while the node was cut off.
    pub(super) replies: usize,
    /// Of these, that there is no such name.
    pub(super) nxdomain: usize,
    /// Of these, without the address of a task that runs.
    pub(super) lacking: usize,
    /// From the healing, or from the start of what was started after it, until every node tells what runs then, in ms.
    pub(super) back_ms: Option<f64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) time: Duration,
    pub(super) sides: Vec<Side>,
}

/// Cuts off the third node.
pub(super) fn measure(swarm: &Swarm, askers: &[Container], cut: &Cut) -> Result<Told, String> {
    let events = Events::start(swarm)?;
    swarm.service("island", &["--replicas", "3", "--replicas-max-per-node", "1"], &[]);
    let tasks = swarm.wait_tasks("island", 3);
    let names = [
        (Who::Hivedns, "island.hive.internal."),
        (Who::HivednsOneNode, "n3.m.island.hive.internal."),
        (Who::Engine, "island."),
    ];
    let watch = Watch::start(swarm, askers, &names)?;
    wait_for("all nodes to tell all tasks", || is_complete(&watch, Who::Hivedns, &tasks));
    wait_for("all engines to tell all tasks", || is_complete(&watch, Who::Engine, &tasks));
    watch.take();
    eprintln!("  cutting off n3 for {:?} …", cut.time);
    let began = clock::wall_ns();
    swarm.engine(3).node.cut();
    clock::pause(cut.time);
    let healed = clock::wall_ns();
    swarm.engine(3).node.heal();
    let mut after = Vec::new();
    wait_for("all nodes to tell what runs now", || {
        after = swarm.tasks("island");
        after.len() == 3 && is_complete(&watch, Who::Hivedns, &after)
    });
    // Engines have been seen to forget one another's tasks for good.
    until_within(ENGINE_BACK, PACE, || is_complete(&watch, Who::Engine, &after));
    clock::pause(SETTLE);
    let replies = watch.take();
    let started: Vec<(String, u64)> = after
        .iter()
        .map(|task| {
            let is_new = tasks.iter().all(|old| old.id != task.id);
            (address(task), if is_new { events.first(&task.id, "start").max(healed) } else { healed })
        })
        .collect();
    let sides = ALL.map(|who| side(&watch, who, &replies, (began, healed), &tasks, &started));
    drop(watch);
    swarm.remove(&["island"]);
    swarm.wait_united();
    Ok(Told { time: cut.time, sides: sides.to_vec() })
}

fn address(task: &Container) -> String {
    task.address(CLIENTS).to_string()
}

fn is_complete(watch: &Watch, who: Who, tasks: &[Container]) -> bool {
    let all: BTreeSet<String> = tasks.iter().map(address).collect();
    let third: BTreeSet<String> = tasks.iter().filter(|task| task.node == "n3").map(address).collect();
    watch.all_tell(&[who], &all) && (who == Who::Engine || watch.all_tell(&[Who::HivednsOneNode], &third))
}

fn side(
    watch: &Watch,
    who: Who,
    replies: &[Reply],
    (began, healed): (u64, u64),
    tasks: &[Container],
    started: &[(String, u64)],
) -> Side {
    let is_alone = who == Who::HivednsOneNode;
    let live: Vec<String> = tasks.iter().filter(|task| !is_alone || task.node == "n3").map(address).collect();
    let own: Vec<&Reply> = replies.iter().filter(|reply| watch.posts[reply.post] == who).collect();
    let during: Vec<&&Reply> = own.iter().filter(|reply| (began..healed).contains(&reply.at)).collect();
    let lacks = |reply: &&&&Reply| live.iter().any(|address| !reply.addresses.contains(address));
    // Each address by itself: what was told all the while was never away.
    let wanted = started.iter().filter(|(address, _)| {
        !is_alone || own.last().is_some_and(|reply| reply.addresses.contains(address))
    });
    let mut back = Vec::new();
    for (address, since) in wanted {
        for post in watch.of(who) {
            let first = own
                .iter()
                .find(|reply| reply.post == post && reply.at >= *since && reply.addresses.contains(address));
            back.push(first.map(|reply| (reply.at - since) as f64 / 1e6));
        }
    }
    let back: Option<Vec<f64>> = back.into_iter().collect();
    Side {
        who,
        replies: during.len(),
        nxdomain: during.iter().filter(|reply| reply.rcode == NXDOMAIN).count(),
        lacking: during.iter().filter(lacks).count(),
        back_ms: back.and_then(|back| back.into_iter().reduce(f64::max)),
    }
}
