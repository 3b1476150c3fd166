//! What is made of an engine that was recorded.

use super::play::{Play, terms};
use crate::discovery::endpoint::{Endpoint, Health, Protocol, Reach};
use crate::discovery::engine::answer::{Container, Event, Info, Network, Service, Task};
use crate::discovery::engine::{Inquiry, Managing, Said, Speaker, Step, Terms};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

const PLAIN: [&str; 3] = [
    include_str!("recorded/plain-one.txt"),
    include_str!("recorded/plain-two.txt"),
    include_str!("recorded/plain-three.txt"),
];
pub(super) const SWARM: [&str; 3] = [
    include_str!("recorded/swarm-one.txt"),
    include_str!("recorded/swarm-two.txt"),
    include_str!("recorded/swarm-three.txt"),
];
const PLAIN_EVENTS: &str = include_str!("recorded/plain-events.txt");
const SWARM_EVENTS: &str = include_str!("recorded/swarm-events.txt");
const SWARM_INFO: &str = include_str!("recorded/swarm-info.txt");

/// The answer at that path.
pub(super) fn answer<T: DeserializeOwned>(recorded: &str, path: &str) -> T {
    let found = recorded.lines().filter_map(|line| line.split_once(' ')).find(|(known, _)| *known == path);
    serde_json::from_str(found.expect("a path that was recorded").1).expect("an answer")
}

fn containers(recorded: &str) -> BTreeMap<String, Container> {
    let all = recorded.lines().filter_map(|line| line.split_once(' '));
    all.filter(|(path, _)| path.starts_with("/containers/") && *path != "/containers/json")
        .map(|(_, text)| serde_json::from_str::<Container>(text).expect("a container"))
        .map(|container| (container.id.clone(), container))
        .collect()
}

fn events(recorded: &str) -> Vec<Event> {
    recorded.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

#[test]
fn containers_are_told_with_all_that_names_are_made_of() {
    let play = Play::with(terms(), &containers(PLAIN[0]));
    // `hd-none` is in no network and `hd-off` wants no names.
    assert_eq!(
        play.told(),
        [
            "hd-check Unhealthy",
            "hd-compose None",
            "hd-ill Healthy",
            "hd-plain None",
            "hd-stubborn None",
            "hd-web None"
        ]
    );
    let named = |name: &str| play.said.values().find(|endpoint| endpoint.name == name).expect("it is told");
    let web = named("hd-web");
    let networks: Vec<&str> = web.networks.iter().map(|network| network.name.as_str()).collect();
    assert_eq!(networks, ["hd-back", "hd-front"]);
    let [back, front] = &web.networks[..] else { panic!("{web:?}") };
    assert_eq!((back.ipv4, back.ipv6), ("10.231.2.2".parse().ok(), "fd00:231::2".parse().ok()));
    assert_eq!((front.ipv4, front.ipv6), ("10.231.1.2".parse().ok(), None));
    assert_eq!((&back.names, &front.names), (&vec!["db-alias".to_owned()], &vec!["www".to_owned()]));
    assert_eq!((back.reach, back.id.len()), (Reach::Local, 64));
    assert_eq!(web.labels.aliases, ["shop"]);
    assert_eq!(web.labels.ports.len(), 1);
    assert_eq!(web.labels.txt, [("image".to_owned(), "yes".to_owned())], "an image has labels, too");
    let ports: Vec<_> = web.ports.iter().map(|port| (port.number, port.protocol)).collect();
    assert_eq!(ports, [(53, Protocol::Udp), (8080, Protocol::Tcp)]);
    assert_eq!((web.id.len(), web.node.as_str()), (64, "n1"));
    assert!(web.id.starts_with(&web.hostname) && web.hostname.len() == 12);
    assert!(web.service.is_none() && web.task.is_none() && web.compose.is_none());
    let cart = named("hd-compose").compose.clone().expect("a place in a project");
    assert_eq!((cart.project.as_str(), cart.service.as_str(), cart.number), ("shop", "cart", Some(2)));
    assert_eq!(play.listed, 1);
}

#[test]
fn a_task_is_told_with_its_service_stack_and_slot() {
    let play = Play::with(terms(), &containers(SWARM[0]));
    assert_eq!(play.said.len(), 4);
    let of = |service: &str| {
        let tasks = play.said.values().filter(|e| e.service.as_ref().is_some_and(|s| s.name == service));
        tasks.collect::<Vec<_>>()
    };
    let mut slots: Vec<_> = of("hd_api").iter().map(|e| e.task.as_ref().and_then(|task| task.slot)).collect();
    slots.sort();
    assert_eq!(slots, [Some(1), Some(2)]);
    for endpoint in of("hd_api") {
        let service = endpoint.service.as_ref().expect("a service");
        assert_eq!((service.stack.as_deref(), service.id.len()), (Some("hd"), 25));
        assert_eq!(endpoint.networks.len(), 1);
        assert_eq!(
            (endpoint.networks[0].reach, endpoint.networks[0].name.as_str()),
            (Reach::Swarm, "hd_app")
        );
    }
    let global = of("hd-global");
    assert_eq!(global.len(), 1);
    assert_eq!(global[0].task.as_ref().map(|task| (task.id.len(), task.slot)), Some((25, None)));
    assert_eq!(global[0].service.as_ref().map(|service| service.stack.clone()), Some(None));
}

#[test]
fn only_the_networks_of_the_configuration_count() {
    let terms = Terms { networks: vec!["hd-back".into()], ..terms() };
    let play = Play::with(terms, &containers(PLAIN[0]));
    assert_eq!(play.told(), ["hd-web None"]);
    let web = play.said.values().next().expect("one");
    assert_eq!(web.networks.len(), 1);
}

#[test]
fn labels_that_cannot_be_obeyed_are_told_once() {
    let mut engine = containers(PLAIN[0]);
    let web = engine.values_mut().find(|container| container.name == "/hd-web").expect("it is there");
    web.config.labels.insert("hivedns.ttl".into(), "soon".into());
    let id = web.id.clone();
    let mut play = Play::with(terms(), &engine);
    play.pass(Duration::from_secs(200));
    assert_eq!(play.listed, 4);
    let [(name, why)] = &play.unfit[..] else { panic!("{:?}", play.unfit) };
    assert_eq!(name, "hd-web");
    assert!(why[0].starts_with("label hivedns.ttl: "), "{why:?}");
    assert_eq!(play.said[&id].labels.aliases, ["shop"], "the others count");
}

/// What is said, but for whether those that are ill were told to stop: who got a signal, runs on and is not well stays
/// withdrawn, and the recorded signals reach containers here that go on.
fn said(play: &Play) -> BTreeMap<String, Endpoint> {
    let mut said = play.said.clone();
    for endpoint in said.values_mut().filter(|endpoint| endpoint.health == Health::Unhealthy) {
        endpoint.withdrawn = None;
    }
    said
}

#[test]
fn events_in_order_lead_from_one_state_to_the_next() {
    let (engine, all) = (containers(PLAIN[0]), events(PLAIN_EVENTS));
    let mut play = Play::with(terms(), &engine);
    let before = play.told();
    // The engine is at the third state all the while: whatever an event says, that is what there is.
    play.engine = containers(PLAIN[2]);
    all.iter().for_each(|event| {
        play.event(event);
        play.answer_all();
    });
    let after = Play::with(terms(), &containers(PLAIN[2]));
    assert_ne!(before, play.told());
    // The last events are of the end of all of them; those that the engine goes on having are found again.
    play.pass(Duration::from_secs(200));
    assert_eq!(said(&play), said(&after));
}

/// What the machine says for its swarm, and what it asks.
fn answer_managing(machine: &mut Managing, now: crate::base::time::Moment, recorded: &str) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(step) = machine.poll() {
        match step {
            Step::Ask(Inquiry::Networks) => machine.networks(&answer::<Vec<Network>>(recorded, "/networks")),
            Step::Ask(Inquiry::Services) => machine.services(answer::<Vec<Service>>(recorded, "/services")),
            Step::Ask(Inquiry::Tasks) => machine.tasks(now, answer::<Vec<Task>>(recorded, "/tasks")),
            Step::Say(Said::Service(spec)) => {
                let networks: Vec<String> = spec
                    .networks
                    .iter()
                    .map(|network| format!("{} {:?} {:?}", network.name, network.aliases, network.vips))
                    .collect();
                told.push(format!("{} {:?} {}", spec.name, spec.stack, networks.join(", ")));
            }
            Step::Say(Said::NoService(_)) => told.push("no service".into()),
            Step::Say(Said::Task(state)) => {
                assert!(state.withdrawn);
                told.push("task".into());
            }
            Step::Say(Said::NoTask(_)) => told.push("no task".into()),
            Step::Say(Said::Whole(is_whole)) => {
                told.push(if is_whole { "whole" } else { "not whole" }.into())
            }
            Step::Unfit(name, why) => told.push(format!("{name}: {why:?}")),
        }
    }
    told.sort();
    told
}

#[test]
fn the_elected_manager_tells_services_and_tasks_that_are_to_end() {
    let info: Info = answer(SWARM_INFO, "/info");
    assert_eq!(info.managed().map(str::len), Some(25));
    assert_eq!(info.since().as_deref(), Some("1795934943.562614172"));
    let mut now = crate::base::time::Moment::from_micros(1_000_000_000);
    let (relist, lease) = (Duration::from_secs(60), Duration::from_secs(60));
    let mut machine = Managing::new(terms(), relist, lease);
    machine.connected(now, true);
    assert!(machine.poll().is_none(), "who was not elected asks nothing");
    machine.speaker(now, Speaker::Me);
    assert_eq!(
        answer_managing(&mut machine, now, SWARM[0]),
        [
            "hd-dnsrr None hd-net [] []",
            "hd-global None hd-net [] [10.232.1.3]",
            "hd_api Some(\"hd\") hd_app [\"api\", \"backend\"] [10.0.1.2]",
            "whole",
        ]
    );
    // While something may move tasks are looked at four times a second.
    assert_eq!(machine.next_wake() - now, Duration::from_millis(250));
    for event in events(SWARM_EVENTS).iter().filter(|event| event.kind == "service") {
        machine.event(now, event);
    }
    let told = answer_managing(&mut machine, now, SWARM[1]);
    // Scaled down, the services are of a later version each.
    assert_eq!(told.iter().filter(|told| *told == "task").count(), 2, "{told:?}");
    now += Duration::from_millis(250);
    machine.handle_timeout(now);
    assert_eq!(answer_managing(&mut machine, now, SWARM[2]), ["no task"]);
    // What no longer moves is looked at when something happens, or everything else is.
    for _ in 0..40 {
        now += Duration::from_millis(250);
        machine.handle_timeout(now);
        answer_managing(&mut machine, now, SWARM[2]);
    }
    assert!(machine.next_wake() - now > Duration::from_secs(40));
    machine.speaker(now, Speaker::Other);
    let told = answer_managing(&mut machine, now, SWARM[2]);
    assert_eq!(told, ["no service", "no service", "no service", "no task", "not whole"]);
}

#[test]
fn a_manager_whose_engine_is_lost_says_what_it_said_for_a_lease_or_until_another_speaks() {
    let mut now = crate::base::time::Moment::from_micros(1_000_000_000);
    let mut machine = Managing::new(terms(), Duration::from_secs(60), Duration::from_secs(60));
    machine.connected(now, true);
    machine.speaker(now, Speaker::Me);
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]).len(), 4);
    machine.lost(now);
    machine.speaker(now, Speaker::Nobody);
    now += Duration::from_secs(59);
    machine.handle_timeout(now);
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]), [""; 0]);
    // It is back in time.
    machine.connected(now, true);
    machine.speaker(now, Speaker::Me);
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]), [""; 0], "nothing changed");
    machine.lost(now);
    now += Duration::from_secs(60);
    machine.handle_timeout(now);
    let told = answer_managing(&mut machine, now, SWARM[0]);
    assert_eq!(told, ["no service", "no service", "no service", "not whole"]);
}

#[test]
fn a_manager_that_is_demoted_says_what_it_said_until_another_speaks() {
    let now = crate::base::time::Moment::from_micros(1_000_000_000);
    let speaking = || {
        let mut machine = Managing::new(terms(), Duration::from_secs(60), Duration::from_secs(60));
        machine.connected(now, true);
        machine.speaker(now, Speaker::Me);
        assert_eq!(answer_managing(&mut machine, now, SWARM[0]).len(), 4);
        machine.connected(now, false);
        machine.speaker(now, Speaker::Nobody);
        assert_eq!(answer_managing(&mut machine, now, SWARM[0]), [""; 0]);
        machine
    };
    let taken_back = ["no service", "no service", "no service", "not whole"];
    let mut machine = speaking();
    machine.speaker(now, Speaker::Other);
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]), taken_back);
    // Or for a lease.
    let mut machine = speaking();
    machine.handle_timeout(now + Duration::from_secs(59));
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]), [""; 0]);
    machine.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(answer_managing(&mut machine, now, SWARM[0]), taken_back);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lost, doubled, in any order, answered late: after the next list it is what the engine has.
    #[test]
    fn after_a_list_the_state_is_the_engine_s_whatever_became_of_events(
        picks in proptest::collection::vec((0usize..200, any::<bool>(), 0usize..3), 0..120)
    ) {
        let all = events(PLAIN_EVENTS);
        let mut play = Play::with(terms(), &containers(PLAIN[0]));
        for (pick, answers, state) in picks {
            play.engine = containers(PLAIN[state]);
            play.event(&all[pick % all.len()]);
            if answers && !play.asked.is_empty() {
                play.answer(pick % play.asked.len());
            }
        }
        play.engine = containers(PLAIN[2]);
        play.answer_all();
        // A list, and the longest stop timeout with what is waited beyond it.
        play.pass(Duration::from_secs(61));
        let expected = Play::with(terms(), &containers(PLAIN[2]));
        prop_assert_eq!(said(&play), said(&expected));
        prop_assert!(play.said.values().any(|endpoint| endpoint.health == Health::Unhealthy));
    }
}
