//! Who asks decides what is seen: stacks with services of one name, networks, IPv6; and the ways to a server.

use crate::harness::ask::{A, AAAA, By, NOERROR, PTR, SRV, ask};
use crate::harness::engine::Container;
use crate::harness::{CLIENTS, Swarm, wait_for};
use crate::names::{is_answered, is_told, named, nothing, reversed, some};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

/// The same service in two stacks, each with one more that asks.
const TWIN: &str = r#"
version: "3.8"
services:
  api: { image: "client:1", networks: [clients], deploy: { replicas: 2, endpoint_mode: dnsrr } }
  ask: { image: "client:1", networks: [clients], deploy: { replicas: 1, endpoint_mode: dnsrr } }
networks:
  clients: { external: true, name: hivedns }
"#;

/// `api` is that of the asker's own stack; each has a name that is its own.
pub fn two_stacks(swarm: &mut Swarm, _: bool) {
    for stack in ["left", "right"] {
        swarm.stack(stack, TWIN);
    }
    let all = |stack: &str| some(addresses(&swarm.wait_tasks(&format!("{stack}_api"), 2)));
    let (left, right) = (all("left"), all("right"));
    for (stack, own) in [("left", &left), ("right", &right)] {
        let asker = &swarm.wait_tasks(&format!("{stack}_ask"), 1)[0];
        for number in swarm.numbers() {
            let server = swarm.listener(number);
            for (name, expected) in [
                ("api", own),
                ("api.left", &left),
                ("api.right", &right),
                ("left_api", &left),
                ("right_api", &right),
            ] {
                is_told(asker, server, By::Udp, name, A, expected);
            }
        }
    }
    swarm.manager().docker(&["stack", "rm", "left", "right"]);
}

fn addresses(tasks: &[Container]) -> Vec<String> {
    tasks.iter().map(|task| task.address(CLIENTS).to_string()).collect()
}

/// A task is seen at its address in a network of the asker's, and by others not at all.
pub fn two_networks(swarm: &mut Swarm, _: bool) {
    swarm.manager().docker(&["network", "create", "--driver", "overlay", "--attachable", "backend"]);
    swarm.service("both", &["--network", "backend", "--replicas", "3"], &[]);
    let create =
        ["service", "create", "--detach", "--quiet", "--no-resolve-image", "--endpoint-mode", "dnsrr"];
    let far = ["--network", "backend", "--replicas", "2", "--name", "far", "client:1"];
    swarm.manager().docker(&[&create[..], &far].concat());
    swarm.service("outer", &[], &[]);
    let (both, far) = (swarm.wait_tasks("both", 3), swarm.wait_tasks("far", 2));
    let outer = &swarm.wait_tasks("outer", 1)[0];
    let within = |tasks: &[Container], network: &str| {
        some(tasks.iter().map(|task| task.address(network)).collect::<Vec<_>>())
    };
    for number in swarm.numbers() {
        let server = swarm.listener(number);
        for by in [By::Udp, By::Tcp] {
            is_told(outer, server, by, "both", A, &within(&both, CLIENTS));
            is_told(outer, server, by, "far", A, &nothing(NOERROR));
            // Of the networks that it shares with a task the first by name counts.
            is_told(&both[0], server, by, "both", A, &within(&both, "backend"));
            is_told(&both[0], server, by, "far", A, &within(&far, "backend"));
        }
    }
    swarm.remove(&["both", "far", "outer"]);
}

/// Addresses of IPv6 networks are told as AAAA, those of others as nothing.
pub fn ipv6(swarm: &mut Swarm, _: bool) {
    let create = ["network", "create", "--driver", "overlay", "--attachable", "--ipv6", "--subnet"];
    let subnets = ["fd00:6::/64", "--subnet", "10.66.0.0/24", "six"];
    swarm.manager().docker(&[&create[..], &subnets].concat());
    // The swarm draws a task's address from either subnet, and its nodes refuse those of IPv6: then it tries again.
    let options =
        ["--network", "six", "--replicas", "3", "--replicas-max-per-node", "1", "--restart-delay", "100ms"];
    swarm.service("dual", &[&options[..], &["--label", "hivedns.port.http=8080/tcp"]].concat(), &[]);
    let dual = swarm.wait_tasks("dual", 3);
    let six = |task: &Container| task.networks["six"].1.expect("an address of IPv6");
    let slot = |task: &Container| task.name.split('.').nth(1).expect("a slot").to_owned();
    let all = some(dual.iter().map(six));
    let targets = dual.iter().map(|task| format!("0 1 8080 {}", named(&format!("{}.dual", slot(task)))));
    let targets = some(targets);
    swarm.service("four", &[], &[]);
    let four = &swarm.wait_tasks("four", 1)[0];
    let mut called = BTreeMap::new();
    for server in swarm.numbers().map(|number| swarm.listener(number)) {
        for by in [By::Udp, By::Tcp] {
            for asker in &dual {
                for name in ["dual", "tasks.dual", "all.dual", "nearest.dual"] {
                    is_told(asker, server, by, name, AAAA, &all);
                }
                is_told(asker, server, by, "local.dual", AAAA, &some([six(asker)]));
                for task in &dual {
                    let own = some([six(task)]);
                    is_told(asker, server, by, &format!("{}.dual", slot(task)), AAAA, &own);
                    is_told(asker, server, by, &format!("{}.m.dual", task.node), AAAA, &own);
                }
                // Which of two tasks with one address is told is settled once both are known.
                for task in &dual {
                    let told = called.entry(six(task)).or_insert_with(|| {
                        let own = dual.iter().filter(|other| six(other) == six(task));
                        one_of(asker, server, six(task), own.map(|own| named(&format!("{}.dual", slot(own)))))
                    });
                    is_answered(asker, server, by, &reversed(six(task).into()), PTR, &some([&told]));
                }
                is_told(asker, server, by, "_http._tcp.dual", SRV, &targets);
                let told = ask(asker.pid, server, by, &named("nearest.dual"), AAAA).expect("an answer");
                assert_eq!(
                    told.answers.first(),
                    Some(&six(asker).to_string()),
                    "its own node's task comes first"
                );
            }
            is_told(four, server, by, "dual", AAAA, &nothing(NOERROR));
            is_told(four, server, by, "dual", A, &some(addresses(&dual)));
        }
    }
    swarm.remove(&["dual", "four"]);
}

/// The name that an address is told to have, one of those. Each node gives addresses of IPv6 by itself, and so two tasks may
/// have the same: then it has the name of one of them, everywhere alike.
fn one_of(
    asker: &Container,
    server: SocketAddr,
    address: Ipv6Addr,
    names: impl Iterator<Item = String>,
) -> String {
    let (names, mut told) = (names.collect::<Vec<_>>(), None);
    wait_for(&format!("{address} to have a name out of {names:?}"), || {
        told = ask(asker.pid, server, By::Udp, &reversed(address.into()), PTR);
        told.as_ref().is_some_and(|told| told.answers.len() == 1 && names.contains(&told.answers[0]))
    });
    told.expect("an answer").answers.remove(0)
}

/// Every way to a server that the documents tell of, by the C library and by hand; what is not the swarm's is found, too.
pub fn ways(swarm: &mut Swarm, _: bool) {
    swarm.service("ways", &["--replicas", "3", "--dns", "172.18.0.1"], &[]);
    let web = swarm.wait_tasks("ways", 3);
    let all = some(addresses(&web));
    for task in &web {
        for by in [By::Udp, By::Tcp] {
            is_told(task, swarm.gateway(), by, "ways", A, &all);
            is_told(task, swarm.gateway(), by, "_8080._tcp.absent", A, &nothing(3));
        }
        let engine = swarm.engines.iter().find(|engine| engine.node.name == task.node).expect("its engine");
        let looked_up = |name: &str| engine.docker(&["exec", &task.id, "/lookup", name]);
        let found: std::collections::BTreeSet<String> =
            looked_up("ways.hive.internal").lines().map(str::to_owned).collect();
        assert_eq!(found, all.1);
        assert_eq!(looked_up("www.outside"), "192.0.2.80");
    }
    swarm.remove(&["ways"]);
}
