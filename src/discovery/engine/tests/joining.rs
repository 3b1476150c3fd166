//! Whom a node on a manager joins before names lead anywhere, by what engines answered.

use super::play::LEASE;
use super::recorded::{SWARM, answer};
use crate::base::config::Peer;
use crate::base::time::Moment;
use crate::discovery::engine::answer::PlacedTask;
use crate::discovery::engine::{Kin, Search, Speaker};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const NOW: Moment = Moment::from_micros(1_000_000_000);
/// Of the recorded service `hd_api`, and its tasks.
const API: &str = "guqc7ewqrugtcc0d3tph83env";
const TASKS: [&str; 2] = ["10.0.1.3:7953", "10.0.1.4:7953"];

fn peer(host: &str) -> Peer {
    Peer { host: host.into(), port: 7953 }
}

fn kin(hosts: &[&str]) -> Kin {
    let mut kin = Kin::new(hosts.iter().map(|host| peer(host)).collect());
    kin.connected(NOW, true);
    kin
}

fn tasks() -> Vec<PlacedTask> {
    answer(SWARM[0], "/tasks")
}

fn first(address: IpAddr) -> bool {
    address == IpAddr::from([10, 0, 1, 3])
}

fn join(addresses: &[&str], is_whole: bool) -> Option<Search> {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Some(Search::Join { addresses, is_whole, is_alone: false })
}

#[test]
fn an_alias_leads_to_the_tasks_of_this_node_s_own_service() {
    for host in ["tasks.api", "api", "tasks.backend.", "tasks.API"] {
        let mut kin = kin(&[host]);
        assert_eq!(kin.poll(), Some(Search::Ask(Vec::new())));
        kin.listed(NOW, &tasks(), first);
        assert_eq!(kin.poll(), join(&TASKS, true), "{host}");
        // From now on only the service's tasks are listed, and not before the last answer has come.
        kin.handle_timeout(kin.next_wake());
        kin.handle_timeout(kin.next_wake());
        assert_eq!(kin.poll(), Some(Search::Ask(vec![API.into()])));
        assert_eq!(kin.poll(), None);
    }
}

#[test]
fn what_is_not_this_node_s_own_service_leads_nowhere() {
    for (host, own) in
        [("tasks.absent", first as fn(IpAddr) -> bool), ("tasks.api", |_| false), ("hd-net", first)]
    {
        let mut kin = kin(&[host]);
        kin.poll();
        kin.listed(NOW, &tasks(), own);
        assert_eq!(kin.poll(), None, "{host}");
        assert_eq!(kin.next_wake() - NOW, Duration::from_millis(500));
    }
}

#[test]
fn a_name_that_leads_nowhere_is_missing_beside_others() {
    let mut kin = kin(&["192.0.2.1", "tasks.api", "elsewhere.example"]);
    kin.poll();
    kin.listed(NOW, &tasks(), first);
    assert_eq!(kin.poll(), join(&[TASKS[0], TASKS[1], "192.0.2.1:7953"], false));
}

#[test]
fn a_task_is_joined_from_when_it_is_started_on_whether_or_not_it_is_well() {
    let mut kin = kin(&["tasks.api"]);
    kin.poll();
    let (mut all, states) = (tasks(), ["pending", "preparing", "ready", "starting", "running", "failed"]);
    let expected = [&TASKS[..1], &TASKS[..1], &TASKS[..1], &TASKS, &TASKS, &TASKS[..1]];
    for (state, expected) in states.into_iter().zip(expected) {
        let second = all.iter_mut().rfind(|task| task.service_id == API).unwrap();
        second.status.state = state.into();
        kin.listed(NOW, &all, first);
        assert_eq!(kin.poll(), join(expected, true), "{state}");
    }
}

#[test]
fn who_is_the_only_task_and_has_no_other_address_to_join_is_alone() {
    let is_alone = |hosts: &[&str], tasks: &[PlacedTask]| {
        let mut kin = kin(hosts);
        kin.poll();
        kin.listed(NOW, tasks, first);
        match kin.poll() {
            Some(Search::Join { is_alone, .. }) => is_alone,
            search => panic!("{search:?}"),
        }
    };
    let mut all = tasks();
    assert!(!is_alone(&["tasks.api"], &all));
    // One that has been planned and has no place yet.
    let second = all.iter_mut().rfind(|task| task.service_id == API).unwrap();
    second.status.state = "new".into();
    second.networks_attachments.clear();
    assert!(!is_alone(&["tasks.api"], &all));
    let at = all.iter().rposition(|task| task.service_id == API).unwrap();
    all.remove(at);
    assert!(is_alone(&["tasks.api"], &all));
    assert!(is_alone(&["tasks.api", "10.0.1.3"], &all));
    assert!(!is_alone(&["tasks.api", "192.0.2.1"], &all));
    assert!(!is_alone(&["tasks.api", "elsewhere.example"], &all));
}

#[test]
fn of_two_networks_in_which_a_name_leads_somewhere_the_first_by_name_that_is_our_own_counts() {
    let mut all = tasks();
    for task in all.iter_mut().filter(|task| task.service_id == API) {
        for (id, name, octet) in [("x", "aaa", 5), ("y", "zzz", 6)] {
            let (mut asked, mut at) = (task.spec.networks[0].clone(), task.networks_attachments[0].clone());
            asked.target = id.into();
            (at.network.id, at.network.spec.name) = (id.into(), name.into());
            at.addresses = vec![at.addresses[0].replace("10.0.1.", &format!("10.0.{octet}."))];
            task.spec.networks.push(asked);
            task.networks_attachments.push(at);
        }
    }
    let mut kin = kin(&["tasks.api"]);
    kin.poll();
    kin.listed(NOW, &all, |address| first(address) || address == IpAddr::from([10, 0, 6, 3]));
    assert_eq!(kin.poll(), join(&TASKS, true));
}

#[test]
fn nobody_is_looked_for_without_need() {
    // Not a manager, nobody to join, or the records are known.
    let mut worker = Kin::new(vec![peer("tasks.api")]);
    worker.connected(NOW, false);
    let alone = kin(&[]);
    let mut synced = kin(&["tasks.api"]);
    synced.poll();
    synced.speaker(NOW, Speaker::Other);
    synced.listed(NOW, &tasks(), first);
    for mut kin in [worker, alone, synced] {
        assert_eq!((kin.poll(), kin.next_wake()), (None, Moment::NEVER));
    }
}

#[test]
fn an_engine_that_fails_is_asked_again_and_one_that_is_back_anew() {
    let mut kin = kin(&["tasks.api"]);
    kin.poll();
    kin.failed(NOW);
    kin.handle_timeout(NOW + Duration::from_secs(1));
    assert_eq!(kin.poll(), Some(Search::Ask(Vec::new())));
    kin.lost();
    kin.handle_timeout(NOW + LEASE);
    assert_eq!(kin.poll(), None);
    kin.connected(NOW + LEASE, true);
    assert_eq!(kin.poll(), Some(Search::Ask(Vec::new())));
}
