//! When a container gets no more work, and when it does again.

use super::play::{LEASE, Play, terms};
use crate::discovery::engine::answer::{Actor, Attachment, Container, Event, HealthState};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const ID: &str = "c0ffee";
/// When the container was started, and nanoseconds of it.
pub(super) const STARTED: &str = "2026-01-01T00:00:00Z";
const STARTED_NANOS: i64 = 1_767_225_600_000_000_000;

pub(super) fn container(id: &str) -> Container {
    let mut container = Container { id: id.into(), name: format!("/{id}"), ..Container::default() };
    container.state.running = true;
    container.state.started_at = STARTED.into();
    let network =
        Attachment { network_id: "net".into(), ipv4: "10.0.0.2".parse().ok(), ..Attachment::default() };
    container.network_settings.networks.insert("net".into(), network);
    container
}

pub(super) fn event(id: &str, action: &str, attributes: &[(&str, &str)]) -> Event {
    let attributes =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Event {
        kind: "container".into(),
        action: action.into(),
        actor: Actor { id: id.into(), attributes },
        nanos: STARTED_NANOS + 1,
    }
}

fn running(change: impl FnOnce(&mut Container)) -> Play {
    let mut container = container(ID);
    change(&mut container);
    let play = Play::with(terms(), &BTreeMap::from([(ID.to_owned(), container)]));
    assert_eq!(play.said.len(), 1);
    play
}

#[test]
fn the_stop_signal_withdraws_before_the_engine_is_asked_anything() {
    let mut play = running(|_| {});
    play.event(&event(ID, "kill", &[("signal", "15")]));
    assert_eq!((play.told(), play.asked.len()), (vec!["c0ffee None Stopping".to_owned()], 0));
    play.event(&event(ID, "die", &[]));
    assert_eq!(play.told(), [""; 0], "before the engine was asked");
    play.engine.clear();
    play.answer_all();
    assert_eq!(play.told(), [""; 0]);
}

#[test]
fn another_signal_says_nothing_and_the_one_that_was_chosen_does() {
    let mut play = running(|container| container.config.stop_signal = "SIGINT".into());
    for signal in ["1", "15", "SIGUSR1", "nonsense"] {
        play.event(&event(ID, "kill", &[("signal", signal)]));
        assert_eq!(play.told(), ["c0ffee None"], "{signal}");
    }
    play.event(&event(ID, "kill", &[("signal", "2")]));
    assert_eq!(play.told(), ["c0ffee None Stopping"]);
    let mut play = running(|container| container.config.stop_signal = "SIGINT".into());
    play.event(&event(ID, "kill", &[("signal", "9")]));
    assert_eq!(play.told(), ["c0ffee None Stopping"], "nobody survives it");
}

#[test]
fn who_outlives_its_stop_timeout_by_five_seconds_is_announced_again_if_it_is_well() {
    for (timeout, seconds) in [(None, 15), (Some(2), 7)] {
        let mut play = running(|container| container.config.stop_timeout = timeout);
        play.event(&event(ID, "kill", &[("signal", "15")]));
        play.pass(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert_eq!(play.told(), ["c0ffee None Stopping"]);
        play.pass(Duration::from_millis(1));
        assert_eq!(play.told(), ["c0ffee None"]);
    }
    // One that is ill then has to get well first.
    let mut play = running(|_| {});
    play.event(&event(ID, "kill", &[("signal", "15")]));
    let ill = Some(HealthState { status: "unhealthy".into() });
    play.engine.get_mut(ID).expect("it").state.health = ill;
    play.pass(Duration::from_secs(16));
    assert_eq!(play.told(), ["c0ffee Unhealthy Stopping"]);
    play.engine.get_mut(ID).expect("it").state.health = Some(HealthState { status: "healthy".into() });
    play.event(&event(ID, "health_status: healthy", &[]));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee Healthy"]);
    // And one that is waited for for ever never is.
    let mut play = running(|container| container.config.stop_timeout = Some(-1));
    play.event(&event(ID, "kill", &[("signal", "15")]));
    play.pass(Duration::from_secs(1_000));
    assert_eq!(play.told(), ["c0ffee None Stopping"]);
}

#[test]
fn a_signal_of_before_the_last_start_is_another_process_s() {
    let mut play = running(|_| {});
    let mut late = event(ID, "kill", &[("signal", "15")]);
    late.nanos = STARTED_NANOS - 1;
    play.event(&late);
    play.event(&event(ID, "start", &[]));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee None"]);
    let mut late = event(ID, "die", &[]);
    late.nanos = STARTED_NANOS - 1;
    play.event(&late);
    assert_eq!(play.told(), ["c0ffee None"], "not for a moment");
}

#[test]
fn a_failed_check_counts_at_once_and_a_passed_one_when_the_engine_says_so() {
    let mut play = running(|container| {
        container.state.health = Some(HealthState { status: "starting".into() });
    });
    assert_eq!(play.told(), ["c0ffee Starting"]);
    play.engine.get_mut(ID).expect("it").state.health = Some(HealthState { status: "healthy".into() });
    play.event(&event(ID, "health_status: healthy", &[]));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee Healthy"]);
    play.event(&event(ID, "health_status: unhealthy", &[]));
    assert_eq!(play.told(), ["c0ffee Unhealthy"]);
}

#[test]
fn a_paused_container_gets_no_work() {
    let mut play = running(|_| {});
    play.engine.get_mut(ID).expect("it").state.paused = true;
    play.event(&event(ID, "pause", &[]));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee None Paused"]);
}

#[test]
fn a_container_between_two_starts_does_not_run() {
    let mut play = running(|_| {});
    play.engine.get_mut(ID).expect("it").state.restarting = true;
    play.event(&event(ID, "die", &[]));
    play.answer_all();
    assert_eq!(play.told(), [""; 0]);
    play.engine.get_mut(ID).expect("it").state.restarting = false;
    play.event(&event(ID, "start", &[]));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee None"]);
}

#[test]
fn an_answer_that_an_event_overtook_is_asked_again() {
    let mut play = running(|_| {});
    play.event(&event(ID, "update", &[]));
    play.event(&event(ID, "die", &[]));
    // Asked before its end, answered after it: what it says of a running container is old.
    let old = play.engine.get(ID).cloned();
    play.asked.clear();
    play.machine.inspected(play.now, ID, old);
    play.drain();
    assert_eq!((play.told(), play.asked.len()), (vec![], 1));
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee None"], "the engine says that it runs");
}

#[test]
fn while_the_engine_is_away_everything_stays_for_a_lease() {
    let mut play = running(|_| {});
    play.lose();
    play.pass(LEASE - Duration::from_millis(1));
    assert_eq!((play.told().len(), play.expired), (1, 0));
    play.connect();
    play.engine.clear();
    assert_eq!(play.told().len(), 1, "until it has been listed");
    play.answer_all();
    assert_eq!((play.told().len(), play.listed), (0, 2));
    let mut play = running(|_| {});
    play.lose();
    play.pass(LEASE);
    assert_eq!((play.told().len(), play.expired), (0, 1));
    play.connect();
    play.answer_all();
    assert_eq!(play.told(), ["c0ffee None"]);
}

#[test]
fn a_node_whose_engine_never_comes_waits_for_a_lease() {
    let mut play = Play::new(terms());
    play.pass(LEASE - Duration::from_millis(1));
    assert_eq!(play.expired, 0);
    play.pass(Duration::from_millis(1));
    assert_eq!(play.expired, 1);
}

#[test]
fn what_failed_is_asked_again_in_a_second() {
    let mut play = running(|_| {});
    play.event(&event(ID, "rename", &[]));
    let ask = play.asked.remove(0);
    play.machine.failed(play.now, &ask);
    play.drain();
    assert!(play.asked.is_empty());
    play.engine.get_mut(ID).expect("it").name = "/other".into();
    play.pass(Duration::from_secs(1));
    assert_eq!(play.told(), ["other None"]);
}

#[test]
fn a_thousand_containers_are_asked_a_few_at_a_time() {
    let engine: BTreeMap<String, Container> =
        (0..1_000).map(|n| format!("{n:064x}")).map(|id| (id.clone(), container(&id))).collect();
    let mut play = Play::new(terms());
    play.engine = engine;
    play.connect();
    let mut most = 0;
    while !play.asked.is_empty() {
        most = most.max(play.asked.len());
        play.answer(play.asked.len() - 1);
    }
    assert_eq!((play.said.len(), play.listed, most), (1_000, 1, 8));
}
