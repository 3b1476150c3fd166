//! Whole worlds of the production machine. Each bound is what `tools perf replication` holds it to, at the size that a
//! test has time for.

use super::gossip::Citizen;
use super::scenario::{Asked, Scenario};
use super::simulate::simulate;
use super::summary::{Convergence, Summary};

fn asked(nodes: usize, duration: &str) -> Scenario {
    let asked = Asked {
        nodes: Some(nodes.to_string()),
        duration: Some(duration.to_owned()),
        changes: Some("0".to_owned()),
        ..Asked::default()
    };
    asked.read(7).expect("it is sound")
}

#[track_caller]
fn run(scenario: &Scenario) -> Summary {
    let run = simulate::<Citizen>(scenario, None, |_| ());
    assert_eq!(run.broken, [], "{:#?}", run.story);
    run
}

fn calm(run: &Summary) -> Convergence {
    run.calm.expect("there were changes")
}

#[test]
fn a_thousand_changes_at_once_do_not_wait_for_the_next_comparison() {
    let run = run(&Scenario { burst: 1_000, ..asked(200, "4s") });
    assert_eq!(calm(&run).changes, 1_000);
    assert!(calm(&run).all.worst_ms < 2_000.0, "{:?}", run.calm);
}

#[test]
fn a_change_reaches_a_thousand_nodes_at_once() {
    let run = run(&Scenario { burst: 1, records: 100, ..asked(1_000, "4s") });
    assert_eq!((calm(&run).changes, run.false_downs), (1, 0));
    let Convergence { most, all, .. } = calm(&run);
    assert!(most.worst_ms < 70.0 && all.worst_ms < 300.0, "{:?}", run.calm);
}

#[test]
fn a_new_node_gets_everything_over_one_sealed_stream() {
    let run = run(&Scenario { join: 1, records: 100, ..asked(200, "5s") });
    assert!(run.machine.ends_with("sealed"), "{}", run.machine);
    assert!(run.joins_s.iter().all(|took| *took < Some(1.5) && took.is_some()), "{:?}", run.joins_s);
}

#[test]
fn an_idle_node_sends_little_and_finds_a_crash() {
    let quiet = run(&asked(200, "10s"));
    assert!(quiet.octets_per_node_s < 250.0, "{}", quiet.octets_per_node_s);
    let crash = run(&Scenario { crash: 1, ..asked(200, "12s") });
    let death = &crash.deaths[0];
    assert!(death.everywhere_s.is_some_and(|everywhere| everywhere < 9.0), "{death:?}");
    assert_eq!(crash.false_downs, 0);
}

#[test]
fn a_cut_under_changes_heals_within_seconds() {
    let cut = Asked { partition: Some("half:20s".into()), ..Asked::default() }.read(7).expect("it is sound");
    let run = run(&Scenario { changes: 5.0, partition: cut.partition, ..asked(60, "45s") });
    assert!(
        run.cut.is_some() && run.healed_s.is_some() && run.healed_records_s < Some(5.0),
        "{:?}",
        run.healed_records_s
    );
}

#[test]
fn a_fifth_of_all_packets_lost_only_delays() {
    let run = run(&Scenario { burst: 1, loss: 0.2, ..asked(100, "5s") });
    assert_eq!(run.false_downs, 0);
    assert!(calm(&run).all.worst_ms < 900.0, "{:?}", run.calm);
}

#[test]
fn more_nodes_than_speak_sealed_are_counted_as_if_they_did() {
    use super::machine::Machine;
    let (sealed, clear) = (Citizen::house(1_000), Citizen::house(1_100));
    assert_eq!(Citizen::uncounted_octets(&sealed), 0);
    assert!((7..=10).contains(&Citizen::uncounted_octets(&clear)));
    assert_ne!(Citizen::about(&sealed), Citizen::about(&clear));
}
