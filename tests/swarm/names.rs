//! Every form of name of the README's table, and names of addresses, asked from containers on every node, over UDP and TCP.

use crate::harness::ask::{A, AAAA, By, MX, NOERROR, NS, NXDOMAIN, PTR, SRV, TXT, Told, ask};
use crate::harness::engine::Container;
use crate::harness::{CLIENTS, DOMAIN, GOSSIP, PACE, PATIENCE, SLOW, Swarm, now, until_within};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

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

/// How long after its containers run a service may be told whole everywhere: the engines are busy with others', and nothing
/// waits for a comparison.
const PROMPT: Duration = Duration::from_secs(10);

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

/// The name under which an address has its name.
pub fn reversed(address: IpAddr) -> String {
    let labels = |octets: &[u8]| octets.iter().rev().map(|octet| format!("{octet}.")).collect::<String>();
    match address {
        IpAddr::V4(address) => labels(&address.octets()) + "in-addr.arpa.",
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa."
        }
    }
}

/// Waits until a container is told that of a name below the domain.
#[track_caller]
pub fn is_told(asker: &Container, server: SocketAddr, by: By, labels: &str, rtype: u16, expected: &Expected) {
    is_answered(asker, server, by, &named(labels), rtype, expected);
}

/// The same, of any name.
#[track_caller]
pub fn is_answered(
    asker: &Container,
    server: SocketAddr,
    by: By,
    name: &str,
    rtype: u16,
    expected: &Expected,
) {
    let mut told = None;
    let is_so = |told: &Told| (told.rcode, told.set()) == *expected;
    let what = format!("{} at {server} by {by:?}: {name} {rtype}", asker.name);
    let began = now();
    let found = until_within(PATIENCE, PACE, || {
        told = ask(asker.pid, server, by, name, rtype);
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
    let all: Vec<String> = web.iter().map(at).collect();
    let began = now();
    for server in swarm.numbers().map(|number| swarm.listener(number)) {
        is_told(&web[0], server, By::Udp, "web", A, &some(&all));
    }
    assert!(began.elapsed() < PROMPT, "{:?} until the service was told whole", began.elapsed());
    let slot = |task: &Container| task.name.split('.').nth(1).expect("a slot").to_owned();
    let solo = swarm.engine(2).containers("solo").pop().expect("it runs");
    let own: Vec<Container> = swarm.numbers().map(|number| swarm.hivedns(number).expect("it runs")).collect();

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
        table.push((name.into(), A, some(&all)));
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
    for hivedns in &own {
        table.push((format!("{}.node", hivedns.node), A, some([hivedns.address(GOSSIP)])));
        table.push((format!("{}.node", hivedns.node), AAAA, nothing(NOERROR)));
    }
    let nodes = swarm.numbers().map(|number| named(&format!("n{number}.node")));
    table.push(("_services._dns-sd._udp".into(), PTR, some([named("_http._tcp")])));
    table.push(("_http._tcp".into(), PTR, some([named("shop_web._http._tcp")])));
    table.push(("shop_web._http._tcp".into(), SRV, some(&targets)));
    table.push(("shop_web._http._tcp".into(), TXT, some(["\"version=7\""])));
    table.push((String::new(), NS, some(nodes)));
    for name in ["absent", "9.web", "web.absent", "n9.m.web"] {
        table.push((name.into(), A, nothing(NXDOMAIN)));
    }
    let addresses = addresses_named(&web, &agents, &own, &solo, vip);
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
                for (address, name) in &addresses {
                    is_answered(asker, server, by, &reversed(*address), PTR, &some([named(name)]));
                }
                let nobody = reversed([10, 99, 99, 99].into());
                is_answered(asker, server, by, &nobody, PTR, &nothing(NXDOMAIN));
                let told = ask(asker.pid, server, by, &named("_http._tcp.web"), SRV).expect("an answer");
                let is_beside =
                    |address: &String| told.others.iter().any(|other| other.ends_with(&**address));
                assert!(all.iter().all(is_beside), "addresses come with SRV: {told:?}");
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

/// What the addresses of all these are called: of tasks with slots, of those of a service that runs everywhere, of a lone
/// container, of a virtual address. A node's address is that of its hivedns, which is a task, too.
fn addresses_named(
    web: &[Container],
    agents: &[Container],
    own: &[Container],
    solo: &Container,
    vip: &str,
) -> Vec<(IpAddr, String)> {
    let mut all: Vec<(IpAddr, String)> = Vec::new();
    for task in web {
        let slot = task.name.split('.').nth(1).expect("a slot");
        all.push((task.address(CLIENTS).into(), format!("{slot}.web.shop")));
    }
    for agent in agents {
        all.push((agent.address(CLIENTS).into(), format!("{}.m.agent.shop", agent.node)));
    }
    for hivedns in own {
        let name = format!("{}.m.hivedns.hivedns", hivedns.node);
        all.extend([CLIENTS, GOSSIP].map(|network| (hivedns.address(network).into(), name.clone())));
    }
    all.push((solo.address(CLIENTS).into(), "solo".into()));
    all.push((vip.parse().expect("an address"), "pay.shop".into()));
    all
}
