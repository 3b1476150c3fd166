//! The table of names, row by row.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{Health, Withdrawn};
use crate::discovery::names::tests::world::{With, World, composed, owner, plain, spec, task, terms};
use crate::discovery::names::{Row, Terms};
use crate::discovery::node::Entry;

/// A task of another stack that sees `net`, to ask from.
const ASKER: &str = "10.0.0.99";

fn asker() -> crate::discovery::endpoint::Endpoint {
    task("n9", "ask/er.1", "net=10.0.0.99 net=fd00::99")
}

fn web() -> [crate::discovery::endpoint::Endpoint; 3] {
    [
        task("n1", "st/web.1", "net=10.0.0.1 net=fd00::1"),
        task("n1", "st/web.2", "net=10.0.0.2"),
        task("n2", "st/web.3", "net=10.0.0.3"),
    ]
}

#[test]
fn a_service_and_its_tasks_have_every_name() {
    let mut world = World::of(&web());
    world.put(asker());
    world.settle();
    for name in ["web", "tasks.web", "web.st", "st_web", "tasks.web.st", "all.web", "nearest.web"] {
        assert_eq!(world.ask(ASKER, name, "A"), "10.0.0.1 10.0.0.2 10.0.0.3", "{name}");
        assert_eq!(world.ask(ASKER, name, "AAAA"), "fd00::1", "{name}");
    }
    assert_eq!(world.ask(ASKER, "2.web", "A"), "10.0.0.2");
    assert_eq!(world.ask(ASKER, "3.web.st", "A"), "10.0.0.3");
    assert_eq!(world.ask(ASKER, "n1.m.web", "A"), "10.0.0.1 10.0.0.2");
    assert_eq!(world.ask(ASKER, "local.web", "A"), "");
    assert_eq!(world.ask("10.0.0.3", "local.web", "A"), "10.0.0.3");
    assert_eq!(world.ask("10.0.0.3", "nearest.web", "A"), "10.0.0.3 | 10.0.0.1 10.0.0.2");
    assert_eq!(world.ask("10.0.0.1", "web", "A"), "10.0.0.1 10.0.0.2 | 10.0.0.3");
    assert_eq!(world.ask(ASKER, "web", "TXT"), "");
    let names = world.all();
    for absent in ["4.web", "m.web", "st", "web.net", "n9.m.web", "tasks", "web.ask"] {
        assert!(!names.contains(absent), "{absent}");
    }
}

#[test]
fn a_global_service_has_its_tasks_by_node() {
    let world =
        World::of(&[task("n1", "agent", "net=10.0.0.1"), task("n2", "agent", "net=10.0.0.2"), asker()]);
    assert_eq!(world.ask(ASKER, "agent", "A"), "10.0.0.1 10.0.0.2");
    assert_eq!(world.ask(ASKER, "n2.m.agent", "A"), "10.0.0.2");
    assert_eq!(world.ptr("10.0.0.2").unwrap(), "n2.m.agent.hive.internal.");
    assert!(!world.all().contains("1.agent"));
}

#[test]
fn each_task_has_one_address_on_the_first_network_that_it_shares_with_the_asker() {
    let world = World::of(&[
        task("n1", "web.1", "beta=10.2.0.1 alpha=10.1.0.1"),
        task("n1", "web.2", "beta=10.2.0.2"),
        plain("n1", "both", "alpha=10.1.0.9 beta=10.2.0.9"),
        plain("n1", "one", "beta=10.2.0.8"),
        plain("n1", "none", "gamma=10.3.0.7"),
        plain("n1", "disabled", "beta=10.2.0.6").with("enable=false"),
    ]);
    assert_eq!(world.ask("10.2.0.9", "web", "A"), "10.1.0.1 10.2.0.2");
    assert_eq!(world.ask("10.2.0.8", "web", "A"), "10.2.0.1 10.2.0.2");
    assert_eq!(world.ask("10.3.0.7", "web", "A"), "");
    // Who has no name himself has a view all the same.
    assert_eq!(world.ask("10.2.0.6", "web", "A"), "10.2.0.1 10.2.0.2");
    assert_eq!((world.ask("10.2.0.8", "disabled", "A"), world.ptr("10.2.0.6")), (String::new(), None));
}

#[test]
fn unknown_askers_get_the_external_network_s_addresses() {
    let endpoints = [
        task("n1", "web.1", "net=10.0.0.1 public=10.9.0.1"),
        task("n2", "web.2", "net=10.0.0.2"),
        plain("n1", "hivedns", "net=10.0.0.53 br0=172.17.0.53"),
        plain("n1", "old", "br0=172.17.0.2"),
        plain("n2", "old", "br0=172.17.0.2"),
    ];
    let mut world = World::new(Terms { external: "public".into(), ..terms() });
    endpoints.iter().for_each(|endpoint| world.put(endpoint.clone()));
    world.settle();
    assert_eq!(world.ask("192.0.2.1", "web", "A"), "10.9.0.1");
    // Without it: the networks of the container that this node itself runs in ...
    let mut world = World::of(&endpoints);
    world.names.set_home(["10.0.0.53".parse().unwrap()]);
    world.settle();
    assert_eq!(world.ask("192.0.2.1", "web", "A"), "10.0.0.1 | 10.0.0.2");
    assert_eq!(world.ask("192.0.2.1", "local.web", "A"), "10.0.0.1");
    // ... and if it runs in none, what its engine alone reaches.
    world.names.set_home([]);
    world.settle();
    assert_eq!(
        (world.ask("192.0.2.1", "web", "A"), world.ask("192.0.2.1", "old", "A")),
        ("".into(), "172.17.0.2".into())
    );
}

#[test]
fn an_address_of_a_local_network_is_known_on_its_own_node_alone() {
    let world = World::of(&[
        plain("n1", "here", "br0=172.17.0.2"),
        plain("n2", "there", "br0=172.17.0.2"),
        plain("n2", "other", "br0=172.17.0.3"),
    ]);
    assert_eq!(world.ptr("172.17.0.2").unwrap(), "here.hive.internal.");
    assert_eq!(world.ptr("172.17.0.3"), None);
    assert_eq!(
        (world.ask("172.17.0.2", "here", "A"), world.ask("172.17.0.2", "there", "A")),
        ("172.17.0.2".into(), "".into())
    );
}

#[test]
fn only_ready_tasks_are_told_and_all_of_them_if_none_is() {
    let [one, two, three] = web();
    let mut world = World::of(&[one.clone(), two.clone().health(Health::Starting), three.clone(), asker()]);
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.3");
    assert_eq!(world.ask(ASKER, "all.web", "A"), "10.0.0.1 10.0.0.2 10.0.0.3");
    let mut stopping = three.clone();
    stopping.withdrawn = Some(Withdrawn::Stopping);
    world.put(stopping);
    world.put(one.clone().health(Health::Unhealthy));
    world.settle();
    // What stops is not told even where all else fails.
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.2");
    assert_eq!(world.ask(ASKER, "all.web", "A"), "10.0.0.1 10.0.0.2 10.0.0.3");
    assert_eq!(world.ask(ASKER, "3.web", "A"), "");

    let mut world = World::new(Terms { fail_open: false, ..terms() });
    let unready = [one.clone().health(Health::Unhealthy), two.health(Health::Starting), asker()];
    unready.into_iter().for_each(|endpoint| world.put(endpoint));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "");
    assert_eq!(world.ask(ASKER, "all.web", "A"), "10.0.0.1 10.0.0.2");
    world.names.put_service(OwnerId(3), spec("st/web", "", &[], "publish-not-ready=true"));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.2");
}

#[test]
fn how_it_stands_with_each_container_of_a_name_is_told_and_those_that_are_well_come_last() {
    let [one, two, three] = web();
    let mut stopping = task("n4", "st/web.4", "net=10.0.0.4");
    stopping.withdrawn = Some(Withdrawn::Stopping);
    let lost = task("n5", "st/web.5", "net=10.0.0.5");
    let id = three.task.clone().unwrap().id;
    let (one, two) = (one.health(Health::None), two.health(Health::Unhealthy));
    let mut world = World::of(&[one, two, three, stopping, lost]);
    world.names.put_task(OwnerId(7), &id, true);
    world.names.set_gone(owner("n5"), Some(u32::MAX));
    world.settle();
    let told = |name: &str| {
        let standings = world.names.standings(&crate::wire::name::Name::parse(name).unwrap());
        let told = standings.into_iter().map(|one| (one.is_well, one.node, one.state));
        told.collect::<Vec<_>>()
    };
    let expected = [
        (false, "n1".to_owned(), "unhealthy"),
        (false, "n2".to_owned(), "its swarm wants it to end"),
        (false, "n4".to_owned(), "it was sent its stop signal"),
        (false, "n5".to_owned(), "what its node said of it is over"),
        (true, "n1".to_owned(), "it runs, and has no health check"),
    ];
    assert_eq!(told("Web.hive.internal."), expected);
    assert_eq!(told("none.hive.internal."), []);
    assert_eq!(told("web.example."), []);
}

#[test]
fn a_task_that_its_swarm_wants_to_end_is_withdrawn_until_nobody_says_so() {
    let mut world = World::of(&web());
    world.put(asker());
    let id = web()[1].task.clone().unwrap().id;
    world.names.put_task(OwnerId(5), &id, true);
    world.names.put_task(OwnerId(6), &id, true);
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.3");
    world.names.put_task(OwnerId(5), &id, false);
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.3");
    // The writer's word ends with the writer.
    world.names.forget(OwnerId(6));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.2 10.0.0.3");
    // Said before the task is known, it counts from the first moment.
    world.names.put_task(OwnerId(5), &task("n2", "st/web.7", "").task.unwrap().id, true);
    world.put(task("n2", "st/web.7", "net=10.0.0.7"));
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.2 10.0.0.3");
}

#[test]
fn where_the_swarm_wants_all_tasks_to_end_those_are_told_that_live() {
    let [one, two, _] = web();
    let id = |task: &crate::discovery::endpoint::Endpoint| task.task.clone().unwrap().id;
    for fail_open in [true, false] {
        let mut world = World::new(Terms { fail_open, ..terms() });
        [one.clone(), two.clone(), asker()].into_iter().for_each(|endpoint| world.put(endpoint));
        world.names.put_task(OwnerId(5), &id(&two), true);
        world.settle();
        let told = |all| if fail_open { all } else { "" };
        // The swarm has lost the node of one task, and others are there.
        assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1");
        assert_eq!(world.ask(ASKER, "2.web", "A"), told("10.0.0.2"));
        // Of all.
        world.names.put_task(OwnerId(5), &id(&one), true);
        world.settle();
        assert_eq!(world.ask(ASKER, "web", "A"), told("10.0.0.1 10.0.0.2"));
        // Its own node knows better.
        let mut stopping = one.clone();
        stopping.withdrawn = Some(Withdrawn::Stopping);
        world.put(stopping);
        world.settle();
        assert_eq!(world.ask(ASKER, "web", "A"), told("10.0.0.2"));
        assert_eq!(world.ask(ASKER, "1.web", "A"), "");
    }
}

#[test]
fn a_virtual_address_stands_for_its_tasks_where_a_label_says_so() {
    let mut world = World::of(&web());
    world.put(asker());
    world.names.put_service(OwnerId(3), spec("st/web", "net=10.0.0.200", &["www"], "vip=true alias=shop"));
    world.settle();
    for name in ["web", "web.st", "st_web", "www", "shop"] {
        assert_eq!(world.ask(ASKER, name, "A"), "10.0.0.200", "{name}");
    }
    for name in ["tasks.web", "tasks.www", "tasks.shop", "all.web"] {
        assert_eq!(world.ask(ASKER, name, "A"), "10.0.0.1 10.0.0.2 10.0.0.3", "{name}");
    }
    assert_eq!(world.ptr("10.0.0.200").unwrap(), "web.st.hive.internal.");
    // Of two who speak the newer one counts.
    let newer = spec("st/web", "net=10.0.0.200", &[], "");
    world.names.put_service(OwnerId(4), crate::discovery::service::ServiceSpec { version: 2, ..newer });
    world.settle();
    assert_eq!(world.ask(ASKER, "web", "A"), "10.0.0.1 10.0.0.2 10.0.0.3");
    assert!(!world.all().contains("www"));
}

#[test]
fn a_service_s_alias_is_one_network_s() {
    let mut world = World::of(&[task("n1", "web.1", "net=10.0.0.1 side=10.5.0.1"), asker()]);
    world.put(plain("n1", "sider", "side=10.5.0.9"));
    world.names.put_service(OwnerId(3), spec("web", "net=10.0.0.200 side=10.5.0.200", &["www"], ""));
    world.settle();
    assert_eq!(
        (world.ask(ASKER, "www", "A"), world.ask("10.5.0.9", "www", "A")),
        ("10.0.0.1".into(), "".into())
    );
}

#[test]
fn ports_have_srv_records_by_name_and_number() {
    let mut world = World::of(&[
        task("n1", "st/web.1", "net=10.0.0.1").port(80),
        task("n2", "st/web.2", "net=10.0.0.2").port(80).with("weight=7"),
        asker(),
    ]);
    world.names.put_service(OwnerId(3), spec("st/web", "", &[], "port.http=8080/tcp txt.path=/x txt.v=1"));
    world.settle();
    for name in ["_http._tcp.web", "_8080._tcp.web.st"] {
        assert_eq!(
            world.ask(ASKER, name, "SRV"),
            "0 1 8080 1.web.st.hive.internal. 0 7 8080 2.web.st.hive.internal.",
            "{name}"
        );
    }
    let by_number = world.ask(ASKER, "_80._tcp.web", "SRV");
    assert_eq!(by_number, "0 1 80 1.web.st.hive.internal. 0 7 80 2.web.st.hive.internal.");
    assert_eq!(world.ask("192.0.2.1", "_http._tcp.web", "SRV"), "");
    // DNS-SD.
    assert_eq!(world.ask(ASKER, "_services._dns-sd._udp", "PTR"), "_http._tcp.hive.internal.");
    assert_eq!(world.ask(ASKER, "_http._tcp", "PTR"), "st_web._http._tcp.hive.internal.");
    let instance = "st_web._http._tcp";
    assert_eq!(world.ask(ASKER, instance, "SRV"), world.ask(ASKER, "_http._tcp.web", "SRV"));
    assert_eq!(world.ask(ASKER, instance, "TXT"), "\"path=/x\" \"v=1\"");
    assert_eq!(world.ask(ASKER, "web", "TXT"), "\"path=/x\" \"v=1\"");
    assert!(!world.all().contains("_80._tcp"));
}

#[test]
fn what_all_nodes_could_say_alike_three_say() {
    let tasks: Vec<_> = (1..9).map(|n| task(&format!("n{n}"), "web", &format!("net=10.0.0.{n}"))).collect();
    let mut world = World::of(&tasks);
    let owners = |world: &World| -> Vec<u64> {
        let texts = world.told.keys().filter(|(name, rtype, _)| {
            name.to_string() == "web.hive.internal." && rtype.told() == crate::wire::rtype::RecordType::TXT
        });
        texts.map(|(.., owner)| owner.0).collect()
    };
    world.names.put_service(OwnerId(3), spec("web", "", &[], "txt.a=b"));
    world.settle();
    assert_eq!(owners(&world), [1, 2, 3]);
    world.names.forget(OwnerId(2));
    world.told.retain(|(.., owner), _| owner.0 != 2);
    world.settle();
    assert_eq!(owners(&world), [1, 3, 4]);
}

#[test]
fn labels_name_alias_hide_and_filter() {
    let world = World::of(&[
        task("n1", "st/web.1", "st_back=10.0.0.1 st_front=10.1.0.1")
            .with("name=Shop.Front alias=store,shop network=back ttl=1m"),
        plain("n1", "box", "st_back=10.0.0.2").with("name=crate mx=10~mail.example"),
        plain("n1", "asker", "st_back=10.0.0.9 st_front=10.1.0.9"),
    ]);
    for name in ["shop-front", "shop-front.st", "st_shop-front", "store", "shop"] {
        assert_eq!(world.ask("10.0.0.9", name, "A"), "10.0.0.1", "{name}");
    }
    assert_eq!(world.ask("10.0.0.9", "crate", "A"), "10.0.0.2");
    assert_eq!(world.ask("10.0.0.9", "crate", "MX"), "10 mail.example.");
    assert!(!world.all().iter().any(|name| name == "web" || name == "box"), "{:?}", world.all());
    let ttls: std::collections::BTreeSet<u32> = world
        .told
        .iter()
        .filter(|((name, ..), _)| name.to_string() == "store.hive.internal.")
        .map(|(_, (ttl, _))| *ttl)
        .collect();
    assert_eq!(ttls.into_iter().collect::<Vec<_>>(), [60]);
}

#[test]
fn an_alias_by_label_stands_instead_of_the_addresses() {
    let mut world = World::of(&[task("n1", "st/web.1", "net=10.0.0.1"), asker()]);
    world.names.put_service(OwnerId(3), spec("st/web", "", &["www"], "cname=shop.example.org alias=store"));
    world.settle();
    for name in ["web", "web.st", "st_web", "store"] {
        assert_eq!(world.ask(ASKER, name, "CNAME"), "shop.example.org.", "{name}");
        assert_eq!(world.ask(ASKER, name, "A"), "", "{name}");
    }
    assert_eq!(world.ask(ASKER, "tasks.web", "A"), "10.0.0.1");
    // Where another service of that name has addresses there is no alias.
    world.put(task("n1", "zz/web.1", "net=10.0.0.5"));
    world.settle();
    assert_eq!(
        (world.ask(ASKER, "web", "CNAME"), world.ask(ASKER, "web", "A")),
        ("".into(), "10.0.0.5".into())
    );
    assert_eq!(world.ask(ASKER, "web.st", "CNAME"), "shop.example.org.");
}

#[test]
fn plain_containers_and_compose_projects_have_names() {
    let mut lone = plain("n1", "Old.Box", "net=10.0.0.1 side=10.5.0.1");
    lone.networks[1].names = vec!["db".into()];
    let world = World::of(&[
        lone,
        composed("n1", "shop/web.1", "net=10.0.0.2"),
        composed("n2", "shop/web.2", "net=10.0.0.3").port(80),
        asker(),
        plain("n1", "sider", "side=10.5.0.9"),
    ]);
    assert_eq!(world.ask(ASKER, "old-box", "A"), "10.0.0.1");
    assert_eq!(world.ask("10.5.0.9", "old-box.side", "A"), "10.5.0.1");
    assert_eq!(
        (world.ask("10.5.0.9", "db", "A"), world.ask(ASKER, "db", "A")),
        ("10.5.0.1".into(), "".into())
    );
    assert_eq!(world.ptr("10.0.0.1").unwrap(), "old-box.hive.internal.");
    for name in ["web", "web.shop", "shop_web"] {
        assert_eq!(world.ask(ASKER, name, "A"), "10.0.0.2 10.0.0.3", "{name}");
    }
    assert_eq!(world.ask(ASKER, "2.web", "A"), "10.0.0.3");
    assert_eq!(world.ask(ASKER, "shop-web-2", "A"), "10.0.0.3");
    assert_eq!(world.ask(ASKER, "_80._tcp.web", "SRV"), "0 1 80 2.web.shop.hive.internal.");
    assert_eq!(world.ptr("10.0.0.3").unwrap(), "2.web.shop.hive.internal.");
}

#[test]
fn the_earlier_row_wins_where_a_name_can_be_read_two_ways() {
    let mut world = World::of(&[
        task("n1", "web.1", "net=10.0.0.1"),
        // SVC.STACK that looks like tasks.SVC, all.SVC, a slot, a node.
        task("n1", "web/tasks.1", "net=10.0.0.2"),
        task("n1", "web/all.1", "net=10.0.0.3"),
        task("n1", "web/1.1", "net=10.0.0.4"),
        task("n1", "node/n7.1", "net=10.0.0.5"),
        plain("n1", "web", "net=10.0.0.6"),
        asker(),
    ]);
    let node = Entry::new(["192.0.2.7".parse().unwrap()]);
    world.names.put_node(owner("n7"), Some(("n7", &node)));
    world.names.put_node(owner("n8"), Some(("N8", &node)));
    world.settle();
    for (name, address) in [
        ("tasks.web", "10.0.0.1"),
        ("all.web", "10.0.0.3"),
        ("1.web", "10.0.0.1"),
        ("web_1", "10.0.0.4"),
        ("1.web_1", "10.0.0.4"),
        ("n7.node", "10.0.0.5"),
        ("n8.node", "192.0.2.7"),
        ("web", "10.0.0.1"),
    ] {
        assert_eq!(world.ask(ASKER, name, "A"), address, "{name}");
    }
    let name = crate::wire::name::Name::parse("N7.node.hive.internal.").unwrap();
    let readings = world.names.readings(&name);
    let told: Vec<(Row, &str, bool)> =
        readings.iter().map(|reading| (reading.row, reading.what.as_str(), reading.is_taken)).collect();
    assert_eq!(told, [(Row::Stack, "service node_n7", true), (Row::Node, "node n7", false)]);
    // When the earlier one goes the later one is there.
    world.names.drop_endpoint(owner("n1"), &task("n1", "node/n7.1", "").id);
    world.settle();
    assert_eq!(world.ask(ASKER, "n7.node", "A"), "192.0.2.7");
}

#[test]
fn labels_are_lower_case_without_dots_and_no_longer_than_they_may_be() {
    let long = "X".repeat(80);
    let world = World::of(&[plain("n1", &long, "net=10.0.0.1"), plain("n1", "A.b", "net=10.0.0.2"), asker()]);
    let names = world.all();
    assert!(names.contains("a-b"), "{names:?}");
    let cut = names.iter().find(|name| name.starts_with("xxx") && !name.contains('.')).unwrap();
    assert_eq!(cut.len(), 63);
}

#[test]
fn nobody_reaches_another_through_the_ingress_network() {
    let world = World::of(&[
        task("n1", "web.1", "ingress=10.255.0.1 net=10.0.0.1"),
        task("n1", "db.1", "ingress=10.255.0.2"),
    ]);
    assert_eq!((world.ask("10.0.0.1", "db", "A"), world.ptr("10.255.0.2")), ("".into(), None));
}

#[test]
fn a_change_of_one_task_touches_only_names_that_it_is_in() {
    let tasks: Vec<_> =
        (1..6).map(|n| task("n1", &format!("st/web.{n}"), &format!("net=10.0.0.{n}")).port(80)).collect();
    let mut world = World::of(&tasks);
    world.put(task("n2", "other.1", "net=10.0.0.77"));
    world.settle();
    assert!(world.touched.iter().all(|name| name.contains("other")), "{:?}", world.touched);
    world.put(tasks[2].clone().health(Health::Unhealthy));
    world.settle();
    let others = ["1.web", "2.web", "4.web", "3.web.st", "all.web", "other"];
    for other in others {
        assert!(!world.touched.iter().any(|name| name.starts_with(other)), "{other}: {:?}", world.touched);
    }
    assert!(world.touched.contains("web.hive.internal."));
    world.put(tasks[2].clone().health(Health::Unhealthy));
    world.settle();
    assert!(world.touched.is_empty());
}
