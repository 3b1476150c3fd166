//! What breaks, and what is told meanwhile: never that a task does not exist which runs.

use crate::changes::{address, all_nodes_tell, load};
use crate::harness::ask::{A, By, NOERROR, Told, ask};
use crate::harness::engine::Container;
use crate::harness::load::{Load, Stub};
use crate::harness::node::Node;
use crate::harness::raised::document;
use crate::harness::{CLIENTS, Swarm, now, until_within, wait_for};
use crate::names::named;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a node is cut off: about until the swarm gives it up, and for long.
const CUT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// Members notice a loss within that.
const NOTICED: Duration = Duration::from_secs(6);
/// How often what is told is looked at while something is broken.
const LOOK: Duration = Duration::from_millis(50);
/// Look-ups a second while hivedns is updated, and in full length.
const RATE: (u32, u32) = (100, 1_000);

/// A service with a task on each node, which ask for one another.
fn spread(swarm: &Swarm, name: &str) -> Vec<Container> {
    swarm.service(name, &["--replicas", "3", "--replicas-max-per-node", "1"], &[]);
    let mut tasks = swarm.wait_tasks(name, 3);
    tasks.sort_by(|one, other| one.node.cmp(&other.node));
    all_nodes_tell(swarm, &tasks[0], name, &tasks);
    tasks
}

/// A hivedns that is killed says nothing for a moment; the others go on telling what it said, and it comes back.
pub fn hivedns_killed(swarm: &mut Swarm, _: bool) {
    let tasks = spread(swarm, "crash");
    let killed = swarm.hivedns(2).expect("it runs");
    let load = load(&tasks[0], vec![swarm.listener(1), swarm.listener(3)], "n2.m.crash");
    Node::kill(killed.pid);
    wait_for("another in its place", || swarm.hivedns(2).is_some_and(|now| now.id != killed.id));
    swarm.wait_united();
    all_nodes_tell(swarm, &tasks[0], "crash", &tasks);
    let report = load.end();
    assert!(report.failures.is_empty(), "{report:?}");
    swarm.remove(&["crash"]);
}

/// An engine that is killed: its containers run, so their names are told; when it is back, its new ones are.
pub fn engine_killed(swarm: &mut Swarm, _: bool) {
    let tasks = spread(swarm, "engine");
    let old = tasks[2].address(CLIENTS).to_string();
    let server = swarm.listener(1);
    let load = load(&tasks[0], vec![server], "engine");
    swarm.engines[2].kill();
    let began = now();
    let task = tasks[2].task().expect("a task's");
    let list = ["service", "ps", "engine", "--quiet", "--no-trunc", "--filter", "desired-state=running"];
    let is_wanted = || swarm.manager().docker(&list).lines().any(|id| id == task);
    // Longer than members take to notice; the swarm gives the node up 8 to 16 s after its last word, and wants the task no
    // more from then on.
    until_within(CUT.0, LOOK, || {
        let told = ask(tasks[0].pid, server, By::Udp, &named("engine"), A);
        let is_told = told.as_ref().is_some_and(|told| told.answers.contains(&old));
        let is_over = !is_told && began.elapsed() > NOTICED && !is_wanted();
        assert!(is_told || is_over, "{:?} after the engine ended: {told:?}", began.elapsed());
        is_over
    });
    swarm.engines[2].start();
    swarm.engine(3).wait_up();
    let mut after = Vec::new();
    wait_for("tasks on all nodes", || {
        after = swarm.tasks("engine");
        after.len() == 3 && after.iter().any(|task| task.node == "n3" && task.id != tasks[2].id)
    });
    swarm.wait_united();
    all_nodes_tell(swarm, &tasks[0], "engine", &after);
    let report = load.end();
    assert!(report.failures.is_empty(), "{report:?}");
    swarm.remove(&["engine"]);
}

/// A node that is cut off: on both sides its task is told as long as it lives, and all are when it is back.
pub fn cut(swarm: &mut Swarm, _: bool) {
    let mut tasks = spread(swarm, "island");
    for length in [CUT.0, CUT.1] {
        tasks = cut_for(swarm, &tasks, length);
    }
    swarm.remove(&["island"]);
}

/// Cuts the third node off, and heals; the tasks afterwards, by node.
fn cut_for(swarm: &Swarm, tasks: &[Container], length: Duration) -> Vec<Container> {
    let servers = [swarm.listener(1), swarm.listener(2), swarm.listener(3)];
    swarm.engine(3).node.cut();
    let began = now();
    until_within(length, LOOK, || {
        for number in 0..3 {
            let told = |name: &str| ask(tasks[number].pid, servers[number], By::Udp, &named(name), A);
            // Of the service those that this side reaches, at least; of one task alone there is nothing else to tell.
            let reached = if number == 2 { 2..3 } else { 0..2 };
            for (name, wanted) in [("island", &tasks[reached]), ("n3.m.island", &tasks[2..3])] {
                let told: Option<Told> = told(name);
                let is_well = told.as_ref().is_some_and(|told| {
                    told.rcode == NOERROR && wanted.iter().all(|task| told.answers.contains(&address(task)))
                });
                assert!(is_well, "n{}, {name}, {:?} after the cut: {told:?}", number + 1, began.elapsed());
            }
        }
        false
    });
    swarm.engine(3).node.heal();
    swarm.wait_settled();
    swarm.wait_united();
    // One that the swarm had given up is replaced.
    let mut after = Vec::new();
    wait_for("the three tasks that the swarm wants", || {
        let wanted = swarm.wanted("island");
        after = swarm.tasks("island");
        let ids: BTreeSet<&str> = after.iter().filter_map(Container::task).collect();
        wanted.len() == 3 && wanted.iter().map(String::as_str).eq(ids)
    });
    after.sort_by(|one, other| one.node.cmp(&other.node));
    all_nodes_tell(swarm, &after[0], "island", &after);
    after
}

/// A node that leaves: what ran there is told no more, and its successor is. Then it joins again.
pub fn leave(swarm: &mut Swarm, _: bool) {
    let tasks = spread(swarm, "nomad");
    swarm.engine(3).docker(&["swarm", "leave"]);
    let gone = tasks[2].address(CLIENTS).to_string();
    wait_for("the address of a node that left to go", || {
        [1, 2].iter().all(|number| {
            let told = ask(tasks[0].pid, swarm.listener(*number), By::Udp, &named("nomad"), A);
            told.is_some_and(|told| told.answers.len() == 2 && !told.answers.contains(&gone))
        })
    });
    let manager = swarm.manager();
    wait_for("the manager to see that it left", || {
        manager.docker(&["node", "ls", "--format", "{{.Hostname}} {{.Status}}"]).contains("n3 Down")
    });
    let ids = manager.docker(&["node", "ls", "--format", "{{.ID}} {{.Hostname}}"]);
    let id = ids.lines().find_map(|line| line.strip_suffix(" n3")).expect("it is listed");
    manager.docker(&["node", "rm", "--force", id]);
    let token = manager.docker(&["swarm", "join-token", "--quiet", "worker"]);
    swarm.join(3, &token);
    swarm.wait_united();
    let after = swarm.wait_tasks("nomad", 3);
    all_nodes_tell(swarm, &tasks[0], "nomad", &after);
    swarm.remove(&["nomad"]);
}

/// hivedns is updated node by node under load: with servers of two nodes configured no look-up fails.
pub fn hivedns_update(swarm: &mut Swarm, is_long: bool) {
    let tasks = spread(swarm, "fresh");
    let other: SocketAddr = (swarm.engine(2).node.address, 53).into();
    let before: Vec<Container> = swarm.numbers().filter_map(|number| swarm.hivedns(number)).collect();
    let load = Load::start(Stub {
        pid: tasks[0].pid,
        servers: vec![swarm.gateway(), other],
        name: named("n3.m.fresh"),
        rtype: A,
        rate: if is_long { RATE.1 } else { RATE.0 },
    });
    swarm.manager().docker(&["service", "update", "--detach", "--quiet", "--force", "hivedns_hivedns"]);
    wait_for("another hivedns on every node", || {
        swarm.numbers().all(|number| {
            let now = swarm.hivedns(number);
            now.is_some_and(|now| before.iter().all(|old| old.id != now.id))
        })
    });
    swarm.wait_united();
    let report = load.end();
    println!("{} look-ups, the longest {:?}", report.asked, report.longest);
    assert!(report.failures.is_empty() && report.asked > 0, "{report:?}");
    all_nodes_tell(swarm, &tasks[0], "fresh", &tasks);
    swarm.remove(&["fresh"]);
}

/// The hivedns that speaks for the swarm, killed again and again until another does, while a service is updated: what only
/// managers know, a name of its labels, is told all the while; what changes meanwhile is, too, and all is when it is back.
pub fn speaker_killed(swarm: &mut Swarm, _: bool) {
    swarm.manager().docker(&["node", "promote", "n2", "n3"]);
    swarm.wait_united();
    let (mut speaker, mut killed) = (0, 0);
    wait_for("all to manage the swarm", || standing(swarm, "manager").len() == 3);
    wait_for("one to speak for the swarm", || match standing(swarm, "speaks")[..] {
        [one] => (speaker = one, true).1,
        _ => false,
    });
    let update = ["--update-parallelism", "1", "--update-delay", "1s", "--update-monitor", "1s"];
    let options = ["--replicas", "3", "--stop-grace-period", "1s", "--label", "hivedns.alias=baton"];
    swarm.service("relay", &[&options[..], &update].concat(), &[]);
    swarm.service("crowd", &[], &[]);
    let asker = &swarm.wait_tasks("crowd", 1)[0];
    let before = swarm.wait_tasks("relay", 3);
    all_nodes_tell(swarm, asker, "baton", &before);
    let servers = swarm.numbers().filter(|number| *number != speaker).map(|number| swarm.listener(number));
    let load = load(asker, servers.collect(), "baton");
    let words = ["--detach", "--quiet", "--force", "--label-add", "hivedns.alias=baton, torch", "relay"];
    swarm.manager().docker(&[&["service", "update"], &words[..]].concat());
    wait_for("another to speak for the swarm", || {
        if let Some(again) = swarm.hivedns(speaker).filter(|hivedns| hivedns.pid != killed) {
            killed = again.pid;
            Node::kill(killed);
        }
        standing(swarm, "speaks").iter().any(|one| *one != speaker)
    });
    let others: Vec<SocketAddr> =
        swarm.numbers().filter(|number| *number != speaker).map(|number| swarm.listener(number)).collect();
    for server in others {
        for name in ["baton", "torch"] {
            wait_for("what changed to be told by those that are left", || {
                let told = ask(asker.pid, server, By::Udp, &named(name), A);
                told.is_some_and(|told| told.rcode == NOERROR && !told.answers.is_empty())
            });
        }
    }
    swarm.wait_united();
    wait_for("one to speak for the swarm again", || standing(swarm, "speaks").len() == 1);
    let mut after = Vec::new();
    wait_for("all tasks to be new", || {
        after = swarm.tasks("relay");
        after.len() == 3 && after.iter().all(|task| before.iter().all(|old| old.id != task.id))
    });
    for name in ["baton", "torch"] {
        all_nodes_tell(swarm, asker, name, &after);
    }
    let report = load.end();
    println!("  {} look-ups, the longest {:?}", report.asked, report.longest);
    assert!(report.failures.is_empty() && report.asked > 0, "{report:?}");
    swarm.remove(&["relay", "crowd"]);
    swarm.manager().docker(&["node", "demote", "n2", "n3"]);
}

/// The nodes whose hivedns says that of its engine.
fn standing(swarm: &Swarm, word: &str) -> Vec<usize> {
    let says = |number: &usize| {
        let status = swarm.hivedns(*number).and_then(|hivedns| document(hivedns.pid, "status"));
        status.is_some_and(|status| status["docker"][word] == true)
    };
    swarm.numbers().filter(says).collect()
}
