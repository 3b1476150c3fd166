//! What changes by itself or because somebody wants it: more tasks and fewer, tasks that fail, updates.

use crate::harness::ask::{A, By, NXDOMAIN, ask};
use crate::harness::engine::Container;
use crate::harness::load::{Load, Stub};
use crate::harness::node::Node;
use crate::harness::{CLIENTS, Swarm, wait_for};
use crate::names::{is_told, named, nothing, some};
use std::net::SocketAddr;

/// Look-ups a second of a load that runs beside a change.
const RATE: u32 = 100;
/// Tasks of a service with many, and in full length.
const MANY: (usize, usize) = (24, 200);

/// A service whose tasks are well until there is a file `/tmp/ill`.
const FRAIL: &str = r#"
version: "3.8"
services:
  frail:
    image: client:1
    networks: [clients]
    healthcheck: { test: ["CMD", "/pause", "check"], interval: 1s, retries: 1 }
    deploy: { replicas: 2, endpoint_mode: dnsrr }
networks:
  clients: { external: true, name: hivedns }
"#;

/// Waits until exactly these tasks are told on all nodes.
#[track_caller]
pub fn all_nodes_tell(swarm: &Swarm, asker: &Container, name: &str, tasks: &[Container]) {
    let expected = some(tasks.iter().map(|task| task.address(CLIENTS)).collect::<Vec<_>>());
    for number in swarm.numbers() {
        is_told(asker, swarm.listener(number), By::Udp, name, A, &expected);
    }
}

/// More tasks are told, and fewer; none: there is no such name, or none of its tasks.
pub fn scale(swarm: &mut Swarm, _: bool) {
    swarm.service("asker", &[], &[]);
    swarm.service("flex", &["--replicas", "2"], &[]);
    let asker = &swarm.wait_tasks("asker", 1)[0];
    for count in [2, 6, 1, 3] {
        swarm.manager().docker(&["service", "scale", "--detach", &format!("flex={count}")]);
        let tasks = swarm.wait_tasks("flex", count);
        all_nodes_tell(swarm, asker, "flex", &tasks);
    }
    swarm.manager().docker(&["service", "scale", "--detach", "flex=0"]);
    let gone = |number| {
        let told = ask(asker.pid, swarm.listener(number), By::Udp, &named("flex"), A);
        told.is_some_and(|told| told.answers.is_empty())
    };
    wait_for("no address of a service without tasks", || swarm.numbers().all(gone));
    swarm.remove(&["flex"]);
    for number in swarm.numbers() {
        is_told(asker, swarm.listener(number), By::Udp, "flex", A, &nothing(NXDOMAIN));
    }
    swarm.remove(&["asker"]);
}

/// Many tasks: as many as are there, over UDP as many as fit with the rest over TCP.
pub fn many(swarm: &mut Swarm, is_long: bool) {
    let count = if is_long { MANY.1 } else { MANY.0 };
    swarm.service("many", &["--replicas", &count.to_string()], &[]);
    let tasks = swarm.wait_tasks("many", count);
    let expected = some(tasks.iter().map(|task| task.address(CLIENTS)).collect::<Vec<_>>());
    for number in swarm.numbers() {
        is_told(&tasks[number], swarm.listener(number), By::Tcp, "many", A, &expected);
        let told = ask(tasks[0].pid, swarm.listener(number), By::Udp, &named("many"), A).expect("an answer");
        assert!(!told.answers.is_empty() && told.set().is_subset(&expected.1), "{told:?}");
    }
    swarm.remove(&["many"]);
}

/// A task that fails its check is told no more from then on; its successor is.
pub fn unhealthy(swarm: &mut Swarm, _: bool) {
    swarm.stack("check", FRAIL);
    swarm.service("doctor", &[], &[]);
    let asker = &swarm.wait_tasks("doctor", 1)[0];
    let tasks = swarm.wait_tasks("check_frail", 2);
    all_nodes_tell(swarm, asker, "frail.check", &tasks);
    let (ill, well) = (&tasks[0], &tasks[1]);
    let mark = swarm.dir.join("ill");
    std::fs::write(&mark, "").expect("a file");
    let engine = swarm.engines.iter().find(|engine| engine.node.name == ill.node).expect("its engine");
    engine.docker(&["cp", &mark.display().to_string(), &format!("{}:/tmp/ill", ill.id)]);
    let old = ill.address(CLIENTS).to_string();
    wait_for("the address of what fails its check to go", || {
        swarm.numbers().all(|number| {
            let told = ask(asker.pid, swarm.listener(number), By::Udp, &named("frail.check"), A);
            told.is_some_and(|told| !told.answers.contains(&old) && told.answers.contains(&address(well)))
        })
    });
    let mut tasks = Vec::new();
    wait_for("a task in its place", || {
        tasks = swarm.tasks("check_frail");
        tasks.len() == 2 && tasks.iter().all(|task| task.id != ill.id)
    });
    all_nodes_tell(swarm, asker, "frail.check", &tasks);
    swarm.remove(&["check_frail", "doctor"]);
}

/// Where clients find it.
pub fn address(task: &Container) -> String {
    task.address(CLIENTS).to_string()
}

/// A container that is killed is told no more; its successor is, and meanwhile the others are.
pub fn killed(swarm: &mut Swarm, _: bool) {
    swarm.service("mortal", &["--replicas", "3"], &[]);
    let tasks = swarm.wait_tasks("mortal", 3);
    all_nodes_tell(swarm, &tasks[0], "mortal", &tasks);
    let load = load(&tasks[0], vec![swarm.listener(1), swarm.listener(2)], "mortal");
    Node::kill(tasks[1].pid);
    let mut after = Vec::new();
    wait_for("a task in its place", || {
        after = swarm.tasks("mortal");
        after.len() == 3 && after.iter().all(|task| task.id != tasks[1].id)
    });
    all_nodes_tell(swarm, &tasks[0], "mortal", &after);
    let report = load.end();
    assert!(report.failures.is_empty(), "{report:?}");
    swarm.remove(&["mortal"]);
}

/// A load on a name, from a container.
pub fn load(asker: &Container, servers: Vec<SocketAddr>, labels: &str) -> Load {
    Load::start(Stub { pid: asker.pid, servers, name: named(labels), rtype: A, rate: RATE })
}

/// A service that is updated task by task, under load: no look-up fails, and at the end the new tasks are told.
pub fn service_update(swarm: &mut Swarm, _: bool) {
    swarm.service("looker", &[], &[]);
    let update =
        ["--replicas", "3", "--update-parallelism", "1", "--update-delay", "0s", "--update-monitor", "1s"];
    swarm.service("rolling", &[&update[..], &["--stop-grace-period", "1s"]].concat(), &[]);
    let asker = &swarm.wait_tasks("looker", 1)[0];
    let before = swarm.wait_tasks("rolling", 3);
    all_nodes_tell(swarm, asker, "rolling", &before);
    let load = load(asker, swarm.numbers().map(|number| swarm.listener(number)).collect(), "rolling");
    swarm.manager().docker(&["service", "update", "--detach", "--quiet", "--force", "rolling"]);
    let mut after = Vec::new();
    wait_for("all tasks to be new", || {
        after = swarm.tasks("rolling");
        let is_new = |task: &Container| before.iter().all(|old| old.id != task.id);
        after.len() == 3 && after.iter().all(is_new)
    });
    all_nodes_tell(swarm, asker, "rolling", &after);
    let report = load.end();
    assert!(report.failures.is_empty() && report.asked > 0, "{report:?}");
    swarm.remove(&["rolling", "looker"]);
}
