//! A node beside the container engine of this machine. Without one each test says that it was skipped. What a test makes
//! is in a network of its own, and the node looks at that network alone.
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod engine;
#[path = "../oracle/mod.rs"]
mod oracle;
mod relay;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/verb.rs"]
mod verb;

use engine::Engine;
use hivedns::wire::reverse::name_of;
use oracle::names::to_text;
use relay::Relay;
use serde_json::Value;
use site::{Plan, Site, until};
use verb::{document, verb};

/// A node that learns of the test's own network alone, whatever else runs on this machine.
fn node(engine: &Engine, socket: &str, relist: &str, lease: &str) -> Site {
    let more = format!(
        "[docker]\nsocket = \"{socket}\"\nnetworks = [\"{}\"]\nrelist = \"{relist}\"\n[services]\nlease = \"{lease}\"\n",
        engine.network()
    );
    Site::start(&Plan { server: "node = \"one\"", more: &more, docker: true, ..Plan::default() })
}

const SOCKET: &str = "unix:///var/run/docker.sock";

fn status(site: &Site) -> Value {
    document(&site.control(), &["status"])
}

/// How many containers the node publishes.
fn containers(site: &Site) -> Option<u64> {
    status(site)["docker"]["containers"].as_u64()
}

/// How many entries of its own the node has: its address, and one for each container.
fn entries(site: &Site) -> Option<u64> {
    document(&site.control(), &["members"])["members"][0]["records"].as_u64()
}

fn expect(site: &Site, count: u64) {
    let found = until(|| containers(site) == Some(count) && entries(site) == Some(count + 1));
    assert!(found, "{count} containers: {:#}\n{}", status(site)["docker"], site.log());
}

#[test]
fn containers_come_and_go_with_what_the_engine_has() {
    let Some(engine) = Engine::prepare("come-and-go") else { return };
    engine.start("before", &[], &[]);
    let site = node(&engine, SOCKET, "60s", "60s");
    assert!(until(|| status(&site)["ready"] == true), "{}", site.log());
    // Ready means that its own containers are known.
    assert_eq!(containers(&site), Some(1), "{}", site.log());
    engine.start("after", &["--network-alias", "www"], &[]);
    expect(&site, 2);
    engine.start("elsewhere", &["--label", "hivedns.enable=false"], &[]);
    engine.docker(&["kill", &engine.name("before")]);
    expect(&site, 1);
    engine.docker(&["start", &engine.name("before")]);
    expect(&site, 2);
    engine.docker(&["network", "disconnect", &engine.network(), &engine.name("before")]);
    expect(&site, 1);
    engine.docker(&["network", "connect", &engine.network(), &engine.name("before")]);
    expect(&site, 2);
    engine.docker(&["rm", "-f", &engine.name("before"), &engine.name("after")]);
    expect(&site, 0);
    let metrics = site.metrics();
    assert!(metrics.contains("\nhivedns_docker_connected 1\n"), "{metrics}");
    let synced =
        metrics.lines().find_map(|line| line.strip_prefix("hivedns_docker_last_sync_timestamp_seconds "));
    assert!(synced.is_some_and(|at| at.parse::<f64>().is_ok_and(|at| at > 1e9)), "{metrics}");
}

#[test]
fn a_container_s_address_has_its_name_and_its_records_say_where_it_is() {
    const PTR: u16 = 12;
    const NXDOMAIN: u16 = 3;
    let Some(engine) = Engine::prepare("addresses") else { return };
    engine.start("one", &[], &[]);
    let site = node(&engine, SOCKET, "60s", "60s");
    expect(&site, 1);
    let format = format!("{{{{(index .NetworkSettings.Networks {:?}).IPAddress}}}}", engine.network());
    let address = engine.docker(&["inspect", "-f", &format, &engine.name("one")]);
    let name = format!("{}.hive.internal.", engine.name("one"));
    let reverse = name_of(address.parse().expect("an address")).to_string();
    assert!(until(|| site.ask(&reverse, PTR).sections[0].len() == 1), "{reverse}\n{}", site.log());
    let told = site.ask(&reverse, PTR);
    assert_eq!(to_text(&told.sections[0][0].rdata), name);
    let why = document(&site.control(), &["why", &reverse, "PTR"]);
    assert!(
        why["steps"][0]["found"].as_str().is_some_and(|found| found.contains("on node one has in")),
        "{why}"
    );
    let records = document(&site.control(), &["records", &name, "--type", "A"]);
    let record = &records["records"][0];
    let said = ["owner", "network", "state", "rdata"].map(|key| record[key].as_str().unwrap_or_default());
    assert_eq!(said, ["one", &engine.network(), "served", &address], "{records}");
    engine.docker(&["kill", &engine.name("one")]);
    assert!(until(|| site.rcode(&reverse, PTR) == Some(NXDOMAIN)), "{}", site.log());
    assert!(site.ask(&reverse, PTR).sections[1].iter().all(|soa| soa.ttl <= 2));
}

#[test]
fn an_engine_that_is_cut_off_keeps_its_names_for_the_lease_and_is_found_again() {
    let Some(engine) = Engine::prepare("cut-off") else { return };
    let relay = Relay::start();
    engine.start("one", &[], &[]);
    engine.start("two", &[], &[]);
    let site = node(&engine, &format!("tcp://{}", relay.address), "60s", "1s");
    expect(&site, 2);
    relay.cut(true);
    assert!(until(|| status(&site)["docker"]["connected"] == false), "{}", site.log());
    // What happens meanwhile nobody tells.
    engine.docker(&["kill", &engine.name("two")]);
    expect(&site, 0);
    assert!(site.metrics().contains("\nhivedns_docker_connected 0\n"));
    relay.cut(false);
    expect(&site, 1);
    assert_eq!(status(&site)["docker"]["connected"], true);
}

#[test]
fn a_node_denies_nothing_until_its_containers_are_known() {
    let Some(engine) = Engine::prepare("not-known") else { return };
    let relay = Relay::start();
    relay.cut(true);
    engine.start("one", &[], &[]);
    let site = node(&engine, &format!("tcp://{}", relay.address), "60s", "60s");
    assert!(until(|| status(&site)["docker"]["error"].is_string()), "{}", site.log());
    let reason = "the containers of this node are not known yet";
    assert!(until(|| status(&site)["reason"] == reason), "{:#}", status(&site));
    const A: u16 = 1;
    const SERVFAIL: u16 = 2;
    const NXDOMAIN: u16 = 3;
    assert_eq!(site.rcode("absent.hive.internal.", A), Some(SERVFAIL));
    relay.cut(false);
    expect(&site, 1);
    assert!(until(|| site.rcode("absent.hive.internal.", A) == Some(NXDOMAIN)), "{}", site.log());
}

#[test]
fn a_node_that_is_drained_says_nothing_of_its_containers_any_more() {
    let Some(engine) = Engine::prepare("drained") else { return };
    engine.start("one", &[], &[]);
    let site = node(&engine, SOCKET, "1s", "60s");
    expect(&site, 1);
    assert_eq!(verb(&site.control(), &["drain"]).code, Some(0));
    assert!(until(|| entries(&site) == Some(0)), "{}", site.log());
    let synced = |site: &Site| status(site)["docker"]["last_sync_timestamp_seconds"].as_f64();
    engine.start("two", &[], &[]);
    let before = synced(&site);
    // Everything was looked at again, and nothing said.
    assert!(until(|| synced(&site) > before), "{}", site.log());
    assert_eq!(entries(&site), Some(0));
}

/// How many records `other` has of the node called `one`.
fn entries_of_one(other: &Site) -> Option<u64> {
    let members = document(&other.control(), &["members"]);
    members["members"].as_array()?.iter().find(|member| member["name"] == "one")?["records"].as_u64()
}

#[test]
fn who_restarts_is_known_by_what_it_said_until_it_has_listed_its_containers_again() {
    let Some(engine) = Engine::prepare("restarts") else { return };
    let relay = Relay::start();
    let state = oracle::process::TempDir::new("state", false).expect("a directory");
    engine.start("one", &[], &[]);
    engine.start("two", &[], &[]);
    let [a, b] = [(); 2].map(|()| oracle::process::free_port().expect("a port"));
    let docker =
        format!("[docker]\nsocket = \"tcp://{}\"\nnetworks = [\"{}\"]\n", relay.address, engine.network());
    let (gossip_a, gossip_b) = (format!("bind = \"{a}\"\njoin = [\"{b}\"]"), format!("bind = \"{b}\""));
    let one = Plan {
        server: "node = \"one\"",
        gossip: Some(&gossip_a),
        state: Some(state.path()),
        more: &docker,
        docker: true,
        ..Plan::default()
    };
    let two = Site::start(&Plan { server: "node = \"two\"", gossip: Some(&gossip_b), ..Plan::default() });
    let mut first = Site::start(&one);
    assert!(until(|| entries_of_one(&two) == Some(3)), "{}\n{}", first.log(), two.log());
    first.signal("TERM");
    assert!(first.end().is_some_and(|status| status.success()));
    relay.cut(true);
    engine.docker(&["kill", &engine.name("two")]);
    let again = Site::start(&one);
    // It is back and says so, and knows nothing of its containers.
    let is_back = || {
        let members = document(&two.control(), &["members"]);
        let one =
            members["members"].as_array().and_then(|all| all.iter().find(|member| member["name"] == "one"));
        one.is_some_and(|one| one["health"] == "alive")
    };
    assert!(until(is_back), "{}\n{}", again.log(), two.log());
    assert!(until(|| status(&again)["docker"]["error"].is_string()), "{}", again.log());
    assert_eq!((entries_of_one(&two), containers(&again)), (Some(3), Some(0)));
    relay.cut(false);
    assert!(until(|| entries_of_one(&two) == Some(2)), "{}\n{}", again.log(), two.log());
}
