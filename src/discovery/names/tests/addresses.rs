//! Whose an address is, and what counts of those that are gone.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{Endpoint, Health, Withdrawn};
use crate::discovery::names::Terms;
use crate::discovery::names::tests::world::{With, World, owner, spec, task, terms};
use crate::discovery::node::Entry;
use crate::discovery::service::ServiceSpec;
use crate::zone::view::number;

/// A task of another stack that sees `net`, to ask from.
const ASKER: &str = "10.0.0.99";

fn asker() -> Endpoint {
    task("n9", "ask/er.1", "net=10.0.0.99 net=fd00::99")
}

#[test]
fn an_address_that_two_have_is_the_one_s_that_still_takes_work() {
    let mut leaving = task("n1", "old.1", "net=10.0.0.1");
    leaving.withdrawn = Some(Withdrawn::Stopping);
    let mut world = World::of(&[leaving, task("n2", "zz/new.1", "net=10.0.0.1")]);
    assert_eq!(world.ptr("10.0.0.1").unwrap(), "1.new.zz.hive.internal.");
    world.names.forget(owner("n2"));
    world.settle();
    assert_eq!(world.ptr("10.0.0.1").unwrap(), "1.old.hive.internal.");
    world.names.forget(owner("n1"));
    world.settle();
    assert_eq!((world.ptr("10.0.0.1"), world.askers.len()), (None, 0));
}

#[test]
fn an_address_that_engines_gave_twice_has_one_name_everywhere_and_is_on_each_node_its_own_one_s() {
    for me in 1..=3 {
        let mut world = World::new(Terms { me: OwnerId(me), ..terms() });
        for node in 2..=3 {
            world.put(task(&format!("n{node}"), &format!("st{node}/web.{node}"), "net=fd00::7"));
        }
        world.settle();
        assert_eq!(world.ptr("fd00::7").unwrap(), "2.web.st2.hive.internal.");
        let asker = world.askers[&"fd00::7".parse().unwrap()].0.as_ref().unwrap();
        let stack = if me == 3 { "st3" } else { "st2" };
        assert_eq!(asker.stack, number(stack.as_bytes()), "{me}");
    }
}

#[test]
fn a_node_s_addresses_have_its_name_unless_a_container_has_them() {
    let mut world = World::of(&[task("n2", "hivedns.1", "net=10.0.0.53")]);
    let node = Entry::new(["10.0.0.53".parse().unwrap(), "192.0.2.7".parse().unwrap()]);
    // Two say so: the same one counts wherever it is asked.
    for teller in ["n7", "n1"] {
        world.names.put_node(owner(teller), Some((teller, &node)));
    }
    world.settle();
    assert_eq!(world.ptr("192.0.2.7").unwrap(), "n1.node.hive.internal.");
    assert_eq!(world.ptr("10.0.0.53").unwrap(), "1.hivedns.hive.internal.");
    // Nobody asks from a node's address as a container does.
    assert_eq!(world.askers[&"192.0.2.7".parse().unwrap()].0, None);
    assert!(world.askers[&"10.0.0.53".parse().unwrap()].0.is_some());
    world.names.forget(owner("n2"));
    world.names.forget(owner("n1"));
    world.settle();
    assert_eq!(world.ptr("10.0.0.53").unwrap(), "n7.node.hive.internal.");
    world.names.forget(owner("n7"));
    world.settle();
    assert_eq!(world.askers.len(), 0);
}

#[test]
fn tasks_of_a_node_whose_lease_is_over_are_not_among_the_ready() {
    let failing = task("n1", "st/web.1", "net=10.0.0.1").health(Health::Unhealthy);
    let lost = task("n2", "st/web.2", "net=10.0.0.2");
    let other = task("n1", "ask/er.2", "net=10.0.0.98");
    let mut world = World::of(&[failing, lost, asker(), other]);
    let node = Entry::new(["192.0.2.2".parse().unwrap()]);
    world.names.put_node(owner("n2"), Some(("n2", &node)));
    world.names.put_task(owner("n2"), "task-ask_er-Some(1)-n9", true);
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.2");
    assert_eq!(world.ask(ASKER, "er", "A"), "10.0.0.98");
    // What is over is not told for the failing one to be left out; nor does its word about tasks count.
    world.names.set_gone(owner("n2"), Some(60));
    world.settle();
    for name in ["web", "tasks.web", "n1.m.web"] {
        assert_eq!(world.ask(ASKER, name, "A"), "10.0.0.1", "{name}");
    }
    assert_eq!(world.ask(ASKER, "er", "A"), "10.0.0.99 | 10.0.0.98");
    assert_eq!((world.ptr("10.0.0.2"), world.ptr("192.0.2.2")), (None, None));
    // Who asks from there is known all the same: it is there if it asks.
    assert_eq!(world.ask("10.0.0.2", "web", "A"), "10.0.0.1");
    world.names.set_gone(owner("n2"), None);
    world.settle();
    assert_eq!(
        (world.ask(ASKER, "web", "A"), world.ptr("10.0.0.2").unwrap()),
        ("10.0.0.2".into(), "2.web.st.hive.internal.".into())
    );
    // A longer TTL is served for longer than the lease.
    world.put(task("n2", "st/web.2", "net=10.0.0.2").with("ttl=90"));
    world.put(task("n1", "st/web.1", "net=10.0.0.1").health(Health::Unhealthy).with("ttl=90"));
    world.names.set_gone(owner("n2"), Some(60));
    world.settle();
    assert_eq!((world.names.longest_ttl(owner("n2")), world.ask(ASKER, "web", "A")), (90, "10.0.0.2".into()));
    world.names.set_gone(owner("n2"), Some(u32::MAX));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1");
}

#[test]
fn what_a_manager_that_is_gone_says_counts_only_if_no_other_speaks() {
    let mut world = World::of(&[task("n1", "st/web.1", "net=10.0.0.1"), asker()]);
    world.names.put_service(
        owner("n8"),
        ServiceSpec { version: 9, ..spec("st/web", "net=10.0.0.200", &[], "alias=old") },
    );
    world.names.put_service(owner("n7"), spec("st/web", "net=10.0.0.200", &[], "alias=new"));
    world.settle();
    assert_eq!((world.ask(ASKER, "old", "A"), world.ask(ASKER, "new", "A")), ("10.0.0.1".into(), "".into()));
    world.names.set_gone(owner("n8"), Some(u32::MAX));
    world.settle();
    assert_eq!((world.ask(ASKER, "old", "A"), world.ask(ASKER, "new", "A")), ("".into(), "10.0.0.1".into()));
    world.names.forget(owner("n7"));
    world.settle();
    assert_eq!(world.ask(ASKER, "old", "A"), "10.0.0.1");
}
