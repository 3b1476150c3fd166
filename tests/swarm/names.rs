//! Every form of name of the README's table, asked from containers on every node, over UDP and TCP.

use crate::harness::ask::{A, AAAA, By, MX, NOERROR, NS, NXDOMAIN, PTR, SRV, TXT, Told, ask};
use crate::harness::engine::Container;
use crate::harness::{CLIENTS, DOMAIN, PACE, PATIENCE, SLOW, Swarm, now, until_within};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// A service with one task on each node, one with a virtual address, one that runs on every node.
const SHOP: &str = r#"
version: "3.8"
services:
  web:
    image: client:1
    networks: { clients: { aliases: [www] } }
    deploy:
      replicas: 3
      endpoint_mode: dnsrr
      placement: { max_replicas_per_node: 1 }
      labels:
        hivedns.port.http: "8080/tcp"
        hivedns.txt.version: "7"
        hivedns.alias: "storefront"
        hivedns.mx: "10 mail.example."
  pay:
    image: client:1
    networks: [clients]
    deploy: { replicas: 1, endpoint_mode: vip, labels: { hivedns.vip: "true" } }
  agent:
    image: client:1
    networks: [clients]
    deploy: { mode: global, endpoint_mode: dnsrr }
networks:
  clients: { external: true, name: hivedns }
"#;

/// What is expected of a question: the rcode, and the answers in any order.
pub type Expected = (u16, BTreeSet<String>);

pub fn some<S: ToString>(answers: impl IntoIterator<Item = S>) -> Expected {
    (NOERROR, answers.into_iter().map(|answer| answer.to_string()).collect())
}

pub fn nothing(rcode: u16) -> Expected {
    (rcode, BTreeSet::new())
}

/// `labels` below the domain.
pub fn named(labels: &str) -> String {
    if labels.is_empty() { DOMAIN.to_owned() } else { format!("{labels}.{DOMAIN}") }
}

/// Waits until a container is told that.
#[track_caller]
pub fn is_told(asker: &Container, server: SocketAddr, by: By, labels: &str, rtype: u16, expected: &Expected) {
    let (name, mut told) = (named(labels), None);
    let is_so = |told: &Told| (told.rcode, told.set()) == *expected;
    let what = format!("{} at {server} by {by:?}: {name} {rtype}", asker.name);
    let began = now();
    let found = until_within(PATIENCE, PACE, || {
        told = ask(asker.pid, server, by, &name, rtype);
        told.as_ref().is_some_and(is_so)
    });
    if began.elapsed() > SLOW {
        println!("  {what}: after {:.1} s", began.elapsed().as_secs_f64());
    }
    assert!(found, "{what}\nexpected {expected:?}\ntold {told:?}");
}

/// See the module.
pub fn every_form(swarm: &mut Swarm, _: bool) {
    swarm.stack("shop", SHOP);
    let words = ["run", "--detach", "--name", "solo", "--network", CLIENTS, "--network-alias", "lone"];
    swarm.engine(2).docker(&[&words[..], &["client:1"]].concat());
    let web = swarm.wait_tasks("shop_web", 3);
    let agents = swarm.wait_tasks("shop_agent", 3);
    swarm.wait_tasks("shop_pay", 1);
    let inspected = swarm.manager().docker(&["service", "inspect", "shop_pay"]);
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let vip = inspected[0]["Endpoint"]["VirtualIPs"][0]["Addr"].as_str().expect("an address");
    let vip = vip.split('/').next().unwrap_or_default();
    let at = |container: &Container| container.address(CLIENTS).to_string();
    let addresses: Vec<String> = web.iter().map(at).collect();
    let slot = |task: &Container| task.name.split('.').nth(1).expect("a slot").to_owned();
    let solo = swarm.engine(2).containers("solo").pop().expect("it runs");

    let mut table: Vec<(String, u16, Expected)> = Vec::new();
    let forms = [
        "web",
        "tasks.web",
        "web.shop",
        "shop_web",
        "tasks.web.shop",
        "all.web",
        "nearest.web",
        "storefront",
    ];
    for name in [&forms[..], &["www", "tasks.www"]].concat() {
        table.push((name.into(), A, some(&addresses)));
        table.push((name.into(), AAAA, nothing(NOERROR)));
    }
    for task in &web {
        table.push((format!("{}.web", slot(task)), A, some([at(task)])));
        table.push((format!("{}.m.web", task.node), A, some([at(task)])));
    }
    for agent in &agents {
        table.push((format!("{}.m.agent", agent.node), A, some([at(agent)])));
    }
    let targets: Vec<String> =
        web.iter().map(|task| format!("0 1 8080 {}", named(&format!("{}.web.shop", slot(task))))).collect();
    table.push(("_http._tcp.web".into(), SRV, some(&targets)));
    table.push(("_8080._tcp.web".into(), SRV, some(&targets)));
    table.push(("web".into(), TXT, some(["\"version=7\""])));
    table.push(("web".into(), MX, some(["10 mail.example."])));
    table.push(("pay".into(), A, some([vip])));
    for name in ["solo", "solo.hivedns", "lone"] {
        table.push((name.into(), A, some([at(&solo)])));
    }
    let nodes = swarm.numbers().map(|number| named(&format!("n{number}.node")));
    table.push(("_services._dns-sd._udp".into(), PTR, some([named("_http._tcp")])));
    table.push((String::new(), NS, some(nodes)));
    for name in ["absent", "9.web", "web.absent", "n9.m.web"] {
        table.push((name.into(), A, nothing(NXDOMAIN)));
    }
    for asker in &web {
        let own = at(asker);
        let near = [
            ("local.web", some([own.clone()])),
            ("local.agent", some(agents.iter().filter(|agent| agent.node == asker.node).map(at))),
        ];
        for server in swarm.numbers().map(|number| swarm.listener(number)) {
            for by in [By::Udp, By::Tcp] {
                for (labels, rtype, expected) in &table {
                    is_told(asker, server, by, labels, *rtype, expected);
                }
                for (labels, expected) in &near {
                    is_told(asker, server, by, labels, A, expected);
                }
                for labels in ["nearest.web", "web"] {
                    let told = ask(asker.pid, server, by, &named(labels), A).expect("an answer");
                    assert_eq!(told.answers.first(), Some(&own), "{labels}: its own node's task comes first");
                }
                for (labels, rtype) in [("web", AAAA), ("absent", A)] {
                    let told = ask(asker.pid, server, by, &named(labels), rtype).expect("an answer");
                    let has_soa = told.others.iter().any(|record| record.contains(" SOA "));
                    assert!(has_soa, "{labels} {rtype}: {told:?}");
                }
            }
        }
    }
}
