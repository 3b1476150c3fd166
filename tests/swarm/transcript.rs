//! The transcript of `docs/swarm.md`: what a user types on a fresh swarm, and what is said.

use crate::harness::Swarm;
use crate::harness::ask::{A, By};
use crate::harness::swarm::Line;
use crate::names::{is_told, some};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

const HEAD: &str = "# A swarm, from nothing\n
Written by `cargo test --test swarm -- --transcript docs/swarm.md`, which raises three engines on one machine, each in a
network of its own, without any registry, and types what stands here (`ssh NODE` goes to the engine of that node). `client:1` is an image of two small static programs:
one that waits, and one that asks the C library for a name.\n\n";

/// Types what the documents say, looks at what is said, and writes it down.
pub fn write(swarm: &Swarm, file: &Path) {
    let mut parts = vec![("The swarm, the image and the stack", swarm.record().len())];
    let create = "docker service create --detach --quiet --no-resolve-image --name web --replicas 3 --network hivedns \
                  --endpoint-mode dnsrr --dns 172.18.0.1 client:1";
    swarm.typed(1, create);
    let tasks = swarm.wait_tasks("web", 3);
    let addresses = some(tasks.iter().map(|task| task.address("hivedns")));
    for number in swarm.numbers() {
        let asker = tasks.iter().find(|task| task.node == format!("n{number}")).unwrap_or(&tasks[0]);
        is_told(asker, swarm.listener(number), By::Udp, "web", A, &addresses);
    }
    let running = "docker service ps --format '{{.Name}} on {{.Node}}: {{.CurrentState}}'";
    swarm.typed(1, &format!("{running} hivedns_hivedns"));
    swarm.typed(1, &format!("{running} web"));
    parts.push(("A service", swarm.record().len()));
    for number in swarm.numbers() {
        let typed = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' $(docker ps -qf name=^web)) \
                     dig +noall +answer @172.18.0.1 web.hive.internal";
        let said = swarm.typed(number, typed);
        assert!(tasks.iter().all(|task| said.contains(&task.address("hivedns").to_string())), "{said}");
        let said = swarm.typed(number, "docker exec $(docker ps -qf name=^web) /lookup web.hive.internal");
        assert_eq!(said.lines().count(), 3, "{said}");
    }
    parts.push((
        "Its name, asked from a container on each node, by `dig` and by the C library",
        swarm.record().len(),
    ));
    let hivedns = "docker exec $(docker ps -qf name=hivedns_hivedns) /hivedns";
    swarm.typed(2, &format!("{hivedns} status"));
    let said = swarm.typed(2, &format!("{hivedns} members"));
    assert_eq!(said.matches("alive").count(), 3, "{said}");
    let said = swarm.typed(2, &format!("{hivedns} records web.hive.internal"));
    assert!(tasks.iter().all(|task| said.contains(&task.address("hivedns").to_string())), "{said}");
    let from = tasks[0].address("hivedns");
    swarm.typed(3, &format!("{hivedns} why web.hive.internal --from {from}"));
    parts.push(("What the cluster knows", swarm.record().len()));
    swarm.typed(1, "docker service scale --detach web=5");
    let tasks = swarm.wait_tasks("web", 5);
    let addresses = some(tasks.iter().map(|task| task.address("hivedns")));
    is_told(&tasks[0], swarm.listener(3), By::Udp, "web", A, &addresses);
    let typed = "nsenter --net --target $(docker inspect -f '{{.State.Pid}}' $(docker ps -qf name=^web | head -1)) \
                 dig +short @172.18.0.1 web.hive.internal";
    swarm.typed(3, typed);
    parts.push(("More tasks", swarm.record().len()));
    std::fs::write(file, text(&swarm.record(), &parts)).expect("a file");
}

fn text(lines: &[Line], parts: &[(&str, usize)]) -> String {
    let version = Command::new("dockerd").arg("--version").output().expect("dockerd");
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.split(',').next().unwrap_or_default().trim_start_matches("Docker version ");
    let mut text = format!("{HEAD}Engines: Docker {version}.\n");
    let mut begin = 0;
    // Writing into a string does not fail.
    for (title, end) in parts {
        let _ = write!(text, "\n## {title}\n\n```console\n");
        for Line { node, typed, said } in &lines[begin..*end] {
            let said = said.trim_end();
            let _ = write!(text, "{node}$ {typed}\n{said}{}", if said.is_empty() { "" } else { "\n" });
        }
        text += "```\n";
        begin = *end;
    }
    text
}
