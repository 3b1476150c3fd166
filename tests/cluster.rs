//! Real servers on loopback that are one cluster: what one is told all answer, what is lost is kept for its lease,
//! and what comes back is there at once.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "cluster/asking.rs"]
mod asking;
#[path = "cluster/node.rs"]
mod node;
#[path = "oracle/mod.rs"]
mod oracle;
#[path = "cluster/sharing.rs"]
mod sharing;
#[path = "support/site.rs"]
mod site;
#[path = "support/verb.rs"]
mod verb;

use hivedns::base::time::Moment;
use hivedns::discovery::cluster::Rrset;
use hivedns::disk::{Entry, StateDir};
use hivedns::gossip::identity::{Generation, NodeId};
use hivedns::gossip::machine::{Gossip, Settings, Start};
use hivedns::gossip::output::{Event, NodeInfo, Output};
use hivedns::gossip::replication::leases::FreezeRule;
use hivedns::gossip::secrecy::keyring::Ring;
use hivedns::wire::name::Name;
use node::{Node, cluster, dir};
use oracle::now;
use oracle::process::free_port;
use site::until;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// Who measures how long something takes must not run beside fifty processes.
static QUIET: Mutex<()> = Mutex::new(());

fn quiet() -> MutexGuard<'static, ()> {
    // A test that failed leaves nothing behind that would matter to the next.
    QUIET.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn what_one_is_told_all_five_answer_within_200_milliseconds() {
    let _quiet = quiet();
    let dir = dir();
    let nodes = cluster(dir.path(), 5, |_| {});
    let set = now();
    let (code, said) = nodes[1].verb(&["set", "www.hive.internal.", "60", "A", "192.0.2.1", "192.0.2.2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NOERROR, 2)))));
    let took = now().duration_since(set);
    assert!(took < Duration::from_millis(200), "{took:?}");
    let (code, _) = nodes[3].verb(&["unset", "www.hive.internal.", "A", "192.0.2.1"]);
    assert_eq!(code, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NOERROR, 1)))));
    let (code, _) = nodes[0].verb(&["unset", "www.hive.internal."]);
    assert_eq!(code, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("www.hive.internal.") == Some((NXDOMAIN, 0)))));
    let (code, said) = nodes[0].verb(&["unset", "www.hive.internal."]);
    assert_eq!(code, Some(1), "{said}");
}

/// What an update of the domain is told: instructions of (owner, class, type, RDATA), behind a prerequisite.
fn update(
    node: &Node,
    prerequisite: Option<(&str, u16, u16)>,
    instructions: &[(&str, u16, u16, &[u8])],
) -> u16 {
    let wire = |name: &str| oracle::names::from_text(name).expect("a name");
    let mut message = oracle::message::query(9, 5 << 11, &wire("hive.internal."), 6, 1, None);
    (message[7], message[9]) = (prerequisite.iter().len() as u8, instructions.len() as u8);
    let prerequisites = prerequisite.iter().map(|(owner, class, rtype)| (*owner, *class, *rtype, &[][..]));
    for (owner, class, rtype, rdata) in prerequisites.chain(instructions.iter().copied()) {
        message.extend(wire(owner));
        [rtype, class].iter().for_each(|field| message.extend(field.to_be_bytes()));
        message.extend(if class == 1 && !rdata.is_empty() { 60u32 } else { 0 }.to_be_bytes());
        message.extend((rdata.len() as u16).to_be_bytes());
        message.extend(rdata);
    }
    let reply = oracle::transport::tcp(node.dns, &[message]).pop().flatten().expect("an answer");
    oracle::message::decode(&reply).expect("a message").rcode()
}

#[test]
fn an_update_of_the_domain_is_answered_by_every_node_and_touches_cluster_wide_records_only() {
    let (a, cname, ns, soa, any, none) = (1, 5, 2, 6, 255, 254);
    let _quiet = quiet();
    let dir = dir();
    let config = dir.path().join("config.toml");
    let zones = "[[zone]]\norigin = \"hive.internal.\"\nupdate = [\"127.0.0.1\"]\n";
    fs::write(&config, zones).expect("a file");
    let nodes = cluster(dir.path(), 3, |node| node.config = Some(config.clone()));
    let name = "www.hive.internal.";
    let tell = |code, records| until(|| nodes.iter().all(|node| node.told(name) == Some((code, records))));
    let (one, two): (&[u8], &[u8]) = (&[192, 0, 2, 1], &[192, 0, 2, 2]);
    assert_eq!(update(&nodes[1], Some((name, none, any)), &[(name, 1, a, one)]), 0, "{}", nodes[1].log());
    // Who was told so finds it at once, there.
    assert_eq!(nodes[1].told(name), Some((NOERROR, 1)));
    assert!(tell(NOERROR, 1));
    assert_eq!(update(&nodes[2], Some((name, none, any)), &[(name, 1, a, two)]), 6, "YXDOMAIN");
    assert_eq!(update(&nodes[2], Some((name, any, a)), &[(name, 1, a, two)]), 0, "{}", nodes[2].log());
    assert!(tell(NOERROR, 2));
    let (code, said) = nodes[0].verb(&["records", name]);
    assert!(code == Some(0) && said.contains("192.0.2.2") && said.contains("cluster"), "{said}");
    // An alias has no room beside it; what nodes say of themselves is not the cluster's to take.
    let target = oracle::names::from_text("n0.node.hive.internal.").expect("a name");
    assert_eq!(update(&nodes[0], None, &[(name, 1, cname, &target)]), 0);
    assert_eq!(update(&nodes[0], Some(("n0.node.hive.internal.", any, any)), &[]), 3, "NXDOMAIN");
    assert_eq!(update(&nodes[0], None, &[("n0.node.hive.internal.", any, any, &[])]), 0);
    assert_eq!(nodes[0].told("n0.node.hive.internal."), Some((NOERROR, 1)));
    // The apex is the cluster's own, and with what is refused nothing of the message counts.
    assert_eq!(update(&nodes[0], None, &[(name, any, any, &[]), ("hive.internal.", 1, ns, &target)]), 5);
    assert_eq!(update(&nodes[0], None, &[("hive.internal.", any, soa, &[])]), 0);
    assert_eq!(update(&nodes[0], None, &[("www.elsewhere.", any, any, &[])]), 10);
    assert!(tell(NOERROR, 2));
    assert_eq!(update(&nodes[0], None, &[(name, none, a, one)]), 0);
    assert!(tell(NOERROR, 1));
    assert_eq!(update(&nodes[2], None, &[(name, any, any, &[])]), 0);
    assert!(tell(NXDOMAIN, 0));
}

#[test]
fn a_killed_node_is_answered_for_until_its_lease_is_over_and_is_back_at_once() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes = cluster(dir.path(), 5, |node| node.lease = "6s");
    let lost = "n3.node.hive.internal.";
    let named = Some((NOERROR, Some(lost.to_owned())));
    assert!(until(|| nodes.iter().all(|node| node.name_of(&nodes[3]) == named)), "{}", nodes[0].log());
    nodes[3].kill();
    let killed = now();
    let others = |nodes: &[Node]| -> Vec<Option<(u8, usize)>> {
        [0, 1, 2, 4].iter().map(|n| nodes[*n].told(lost)).collect()
    };
    // Whatever the detection takes, the lease counts from then on: nobody may stop answering before it is over.
    while now().duration_since(killed) < Duration::from_secs(6) {
        assert!(others(&nodes).iter().all(|told| *told == Some((NOERROR, 1))), "{}", nodes[0].log());
    }
    assert!(until(|| others(&nodes).iter().all(|told| *told == Some((NXDOMAIN, 0)))), "{}", nodes[0].log());
    let nobody = Some((NXDOMAIN, None));
    assert!(
        until(|| [0, 1, 2, 4].iter().all(|n| nodes[*n].name_of(&nodes[3]) == nobody)),
        "{}",
        nodes[0].log()
    );
    let first = [nodes[0].gossip];
    nodes[3].start(&first);
    let started = now();
    assert!(until(|| others(&nodes).iter().all(|told| *told == Some((NOERROR, 1)))), "{}", nodes[3].log());
    let took = now().duration_since(started);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(
        until(|| [0, 1, 2, 4].iter().all(|n| nodes[*n].name_of(&nodes[3]) == named)),
        "{}",
        nodes[0].log()
    );
}

#[test]
fn a_restart_changes_no_answer() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes = cluster(dir.path(), 4, |_| {});
    assert_eq!(nodes[0].verb(&["set", "www.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    let names = ["www.hive.internal.", "n2.node.hive.internal."];
    let same = |nodes: &[Node]| {
        for n in [0, 1, 3] {
            for name in names {
                assert_eq!(nodes[n].told(name), Some((NOERROR, 1)), "{name} at n{n}:\n{}", nodes[n].log());
            }
        }
    };
    assert!(until(|| nodes[3].told(names[0]) == Some((NOERROR, 1))));
    nodes[2].stop();
    let stopped = now();
    while now().duration_since(stopped) < Duration::from_secs(4) {
        same(&nodes);
    }
    let (_, members) = nodes[0].verb(&["members"]);
    assert!(members.contains("restarting"), "{members}");
    let first = [nodes[0].gossip];
    nodes[2].start(&first);
    assert!(until(|| {
        same(&nodes);
        nodes[2].is_ready() && nodes[2].told(names[0]) == Some((NOERROR, 1))
    }));
    assert!(until(|| !nodes[0].verb(&["members"]).1.contains("restarting")));
}

#[test]
fn who_has_met_nobody_yet_serves_what_it_kept_and_denies_nothing() {
    let dir = dir();
    let mut nodes = cluster(dir.path(), 2, |_| {});
    assert_eq!(nodes[0].verb(&["set", "kept.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(until(|| nodes[1].told("kept.hive.internal.") == Some((NOERROR, 1))));
    nodes[1].stop();
    nodes[0].kill();
    let first = [nodes[0].gossip];
    nodes[1].start(&first);
    assert!(until(|| nodes[1].told("kept.hive.internal.") == Some((NOERROR, 1))), "{}", nodes[1].log());
    assert_eq!(nodes[1].told("other.hive.internal."), Some((SERVFAIL, 0)));
    assert!(!nodes[1].is_ready());
    nodes[0].start(&[]);
    assert!(until(|| nodes[1].told("other.hive.internal.") == Some((NXDOMAIN, 0))), "{}", nodes[1].log());
    assert_eq!(nodes[0].told("kept.hive.internal."), Some((NOERROR, 1)));
}

#[test]
fn who_has_not_the_key_is_not_heard_and_a_key_can_be_changed_while_all_run() {
    let dir = dir();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let key = |octet: &str| format!("{}\n", octet.repeat(32));
    let (right, wrong) = (write("right", &key("a1")), write("wrong", &key("b2")));
    let nodes = cluster(dir.path(), 3, |node| node.keys = Some(right.clone()));
    let mut stranger = Node::new(dir.path(), 9);
    stranger.keys = Some(wrong);
    stranger.start(&[nodes[0].gossip]);
    assert!(until(|| stranger.told("n0.node.hive.internal.") == Some((SERVFAIL, 0))), "{}", stranger.log());
    let (code, said) = nodes[1].verb(&["key", "add", &"c3".repeat(32)]);
    assert_eq!(code, Some(0), "{said}");
    let ids = Node::key_ids;
    assert!(until(|| nodes.iter().all(|node| ids(node).len() == 2)), "{:?}", ids(&nodes[2]));
    let (old, new) = (ids(&nodes[0])[0].clone(), ids(&nodes[0])[1].clone());
    assert_eq!(nodes[2].verb(&["key", "use", &new]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| ids(node).first() == Some(&new))));
    assert_eq!(nodes[0].verb(&["key", "remove", &old]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| ids(node) == [new.clone()])));
    assert_eq!(nodes[0].verb(&["set", "k.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(until(|| nodes.iter().all(|node| node.told("k.hive.internal.") == Some((NOERROR, 1)))));
    let (_, members) = nodes[0].verb(&["members"]);
    assert!(!members.contains("n9"), "{members}");
}

#[test]
fn a_rotated_key_outlives_a_restart_until_the_file_changes() {
    let dir = dir();
    let file = dir.path().join("keys");
    let write = |octet: &str| fs::write(&file, format!("# ours\n{}\n", octet.repeat(32))).expect("a file");
    write("a1");
    let mut nodes = cluster(dir.path(), 1, |node| node.keys = Some(file.clone()));
    let node = &mut nodes[0];
    let restarted = |node: &mut Node| {
        node.stop();
        node.start(&[]);
        assert!(until(|| node.is_ready()), "{}", node.log());
        node.key_ids()
    };
    let old = node.key_ids();
    assert_eq!(node.verb(&["key", "add", &"c3".repeat(32)]).0, Some(0));
    let new = node.key_ids().pop().expect("a key");
    assert_eq!(node.verb(&["key", "use", &new]).0, Some(0));
    assert_eq!(node.verb(&["key", "remove", &old[0]]).0, Some(0));
    assert_eq!(restarted(node), std::slice::from_ref(&new));
    assert_eq!(restarted(node), std::slice::from_ref(&new));
    write("d4");
    let changed = restarted(node);
    assert!(changed.len() == 1 && changed != old && changed != [new], "{changed:?}");
    assert_eq!(restarted(node), changed);
    write("a1");
    assert_eq!(restarted(node), old);
}

/// A state directory with so many cluster-wide records, as a node leaves it.
fn fill(state: &Path, count: u32) {
    let now = Moment::from_micros(1_000_000_000_000);
    let freeze = FreezeRule { share: 0.34, max: Duration::from_secs(1) };
    let settings =
        Settings { cluster: "default".into(), membership: Default::default(), freeze, measures: false };
    let address = SocketAddr::from(([127, 0, 0, 1], 7953));
    let info = NodeInfo { id: NodeId(7), boot: 1, name: "n0".into(), address };
    let (ring, generation) = (Ring::default(), Generation(1));
    let mut gossip = Gossip::new(now, &settings, Start { info, generation, ring, secret: [0; 32], seed: 1 });
    let domain = Name::parse("hive.internal.").expect("a name");
    for number in 0..count {
        let name = format!("r{number}.hive.internal.");
        let set = Rrset::read(&name, 60, "A", &["192.0.2.1".to_owned()], &domain).expect("a set");
        let _ = gossip.write_cluster(now, &set.key(), Some(&set.value()));
    }
    let mut entries = Vec::new();
    loop {
        match gossip.poll(now) {
            Output::Event(Event::Cluster { key, stored, .. }) => {
                entries.push(Entry { key, value: stored });
            }
            Output::Wake(_) => break,
            _ => {}
        }
    }
    assert_eq!(entries.len(), count as usize);
    let (mut dir, _) = StateDir::open(state).expect("a directory");
    dir.append(&entries).and_then(|()| dir.sync()).expect("a disk");
}

#[test]
fn what_was_kept_is_served_and_not_written_again_at_the_next_start() {
    let dir = dir();
    let mut node = Node::new(dir.path(), 0);
    let state = node.dir.join("state");
    fill(&state, 5_001);
    let files = || ["records", "journal"].map(|name| fs::read(state.join(name)).expect("a file"));
    let octets = |files: &[Vec<u8>; 2]| files.iter().map(Vec::len).sum::<usize>();
    let filled = octets(&files());
    let mut before = None;
    for _ in 0..3 {
        node.start(&[]);
        assert!(until(|| node.told("r5000.hive.internal.") == Some((NOERROR, 1))), "{}", node.log());
        assert_eq!(node.told("r0.hive.internal."), Some((NOERROR, 1)));
        node.stop();
        let now = files();
        // The first start writes how large the cluster is, and no start anything else.
        assert!(octets(&now) - filled < 200, "{} octets", octets(&now) - filled);
        assert!(before.is_none_or(|before| before == now));
        before = Some(now);
    }
    let before = before.expect("it ran");
    node.start(&[]);
    assert!(until(|| node.is_ready()));
    assert_eq!(node.verb(&["unset", "r7.hive.internal."]).0, Some(0));
    // The verb returned, so the disk has it, whatever comes.
    node.kill();
    assert!(files()[1] != before[1]);
    node.start(&[]);
    assert!(until(|| node.is_ready()));
    assert_eq!(node.told("r7.hive.internal."), Some((NXDOMAIN, 0)));
}

#[test]
fn who_leaves_is_gone_at_once_and_who_is_lost_can_be_sent_away() {
    let dir = dir();
    let mut nodes = cluster(dir.path(), 3, |_| {});
    let (code, said) = nodes[2].verb(&["leave"]);
    assert_eq!(code, Some(0), "{said}");
    let status = nodes[2].child.take().expect("it runs").wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", nodes[2].log());
    let gone = "n2.node.hive.internal.";
    assert!(until(|| nodes[..2].iter().all(|node| node.told(gone) == Some((NXDOMAIN, 0)))));
    assert!(until(|| nodes[0].verb(&["members"]).1.contains(" left ")), "{}", nodes[0].verb(&["members"]).1);
    nodes[1].kill();
    assert!(until(|| nodes[0].verb(&["members"]).1.contains(" down ")), "{}", nodes[0].log());
    let lost = "n1.node.hive.internal.";
    assert_eq!(nodes[0].told(lost), Some((NOERROR, 1)));
    let (code, said) = nodes[0].verb(&["force-leave", "n1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(until(|| nodes[0].told(lost) == Some((NXDOMAIN, 0))), "{}", nodes[0].log());
}

#[test]
fn who_joins_nobody_any_more_meets_whom_it_knew() {
    let dir = dir();
    let mut nodes = cluster(dir.path(), 2, |_| {});
    nodes[1].stop();
    nodes[0].stop();
    nodes[0].start(&[]);
    nodes[1].start(&[]);
    let meet = |nodes: &[Node]| {
        nodes[0].told("n1.node.hive.internal.") == Some((NOERROR, 1))
            && nodes[1].told("n0.node.hive.internal.") == Some((NOERROR, 1))
    };
    assert!(until(|| meet(&nodes)), "{}", nodes[1].log());
}

#[test]
fn a_node_on_all_addresses_tells_the_one_that_leads_to_who_it_joins() {
    let dir = dir();
    let mut nodes = [Node::new(dir.path(), 0), Node::new(dir.path(), 1)];
    let ports = [0, 1].map(|_| free_port().expect("a port").port());
    nodes[0].gossip = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    nodes[0].start(&[]);
    nodes[1].gossip = SocketAddr::from(([0, 0, 0, 0], ports[1]));
    nodes[1].join = Some(format!("localhost:{}", ports[0]));
    nodes[1].start(&[]);
    let address = |node: &Node| {
        let message = node.ask("n1.node.hive.internal.")?;
        message.sections[0].first().map(|record| record.rdata.clone())
    };
    for node in &nodes {
        assert!(until(|| address(node).as_deref() == Some(&[127, 0, 0, 1])), "{}", nodes[1].log());
    }
    let (_, members) = nodes[0].verb(&["members"]);
    assert!(members.contains(&format!("127.0.0.1:{} ", ports[1])), "{members}");
}

#[test]
fn a_drained_node_is_answered_for_no_more_when_the_verb_returns() {
    let _quiet = quiet();
    let dir = dir();
    let nodes = cluster(dir.path(), 4, |_| {});
    let (code, said) = nodes[2].verb(&["drain", "--timeout", "5s"]);
    assert_eq!(code, Some(0), "{said}");
    // Acknowledged is taken; it is published at the next tick, and asked of four nodes.
    let drained = now();
    assert!(until(|| nodes.iter().all(|node| node.told("n2.node.hive.internal.") == Some((NXDOMAIN, 0)))));
    let took = now().duration_since(drained);
    assert!(took < Duration::from_millis(200), "{took:?}");
}

/// Fifty processes on a machine with two cores: what is shown is that they find each other and agree, not how fast.
#[test]
fn fifty_nodes_become_one_cluster() {
    let _quiet = quiet();
    let dir = dir();
    let mut nodes: Vec<Node> = (0..50).map(|number| Node::new(dir.path(), number)).collect();
    // Each joins by two others, so that the order in which they start means nothing.
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.gossip).collect();
    for (number, node) in nodes.iter_mut().enumerate() {
        node.start(&[addresses[(number + 1) % 50], addresses[(number + 17) % 50]]);
    }
    let all = |name: &str, expected| {
        let reached = |node: &Node| until(|| node.told(name) == Some(expected));
        nodes.iter().all(reached)
    };
    for number in [0, 13, 49] {
        let name = format!("n{number}.node.hive.internal.");
        assert!(
            all(&name, (NOERROR, 1)),
            "{name} is not known to {:?}",
            nodes
                .iter()
                .filter(|node| node.told(&name) != Some((NOERROR, 1)))
                .map(Node::log)
                .collect::<Vec<_>>()
        );
    }
    assert!(until(|| nodes[20].verb(&["members"]).1.matches(" alive ").count() == 50));
    assert!(until(|| nodes[33].is_ready()), "{}", nodes[33].log());
    assert_eq!(nodes[33].verb(&["set", "all.hive.internal.", "60", "A", "192.0.2.1"]).0, Some(0));
    assert!(all("all.hive.internal.", (NOERROR, 1)));
}
