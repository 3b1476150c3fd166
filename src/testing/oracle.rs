//! What must be true when all is quiet. Asked again and again until it is, or until patience ends; then the first
//! thing that is not true is the failure.

use super::machine::Machine;
use super::seat::Seat;
use super::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

/// After the end of a lease its records may be served for so long: noticing a loss takes a while, on 10,000 nodes
/// with loss too.
const LEASE_SLACK: Duration = Duration::from_secs(60);
/// Machines whose dumps are compared; more would say the same for a lot of time.
const DUMPS_MAX: usize = 64;

/// A rule that is not kept, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwell {
    /// The rule.
    pub rule: &'static str,
    /// Nodes and the first difference.
    pub what: String,
}

/// The first rule that is not kept now; cheap rules first.
pub fn unwell<M: Machine>(world: &World<M>, lease: Duration, cluster_has_truth: bool) -> Option<Unwell> {
    let observer = world.observer();
    let broken = |rule, what| Some(Unwell { rule, what });
    if let Some((change, missing, made)) = observer.watches.oldest() {
        let lacks =
            observer.watches.lacks(change).map_or(String::new(), |seat| format!(", {seat} among them"));
        let seconds = made.as_micros() as f64 / 1e6;
        let what = format!("{missing} nodes lack change {} of {seconds:.3} s{lacks}", change.0);
        return broken("every change reaches every node", what);
    }
    if let Some((observer, subject, held)) = observer.census.first_doubt() {
        return broken(
            "every living node holds every other for alive",
            format!("{observer} has {subject} as {held}"),
        );
    }
    // The rule of a mass loss needs three; with fewer lost there is nothing to wait for.
    if let Some(seat) = observer.first_frozen().filter(|_| observer.dead() < 3) {
        return broken("what held expiry ends", format!("{seat} lets no lease end though all are back"));
    }
    let living = observer.living();
    let mut seats = BTreeMap::new();
    for (id, seat) in &living {
        if let Some(other) = seats.insert(id.0, *seat) {
            return broken("nobody shares an identity", format!("{other} and {seat} are both {id}"));
        }
    }
    let dead = observer.dead_before(world.now().before(lease + LEASE_SLACK));
    if let Some(difference) = observer.mirror.difference(&living, &dead, &observer.ledger) {
        let of = difference.of.map_or(String::new(), |of| format!("of {of}: "));
        return broken(
            "every replica is as its owner",
            format!("at {}, {of}{}", difference.at, difference.what),
        );
    }
    let here: Vec<Seat> = living.iter().map(|(_, seat)| *seat).collect();
    let truth = cluster_has_truth.then(|| observer.ledger.cluster());
    if let Some(difference) = observer.mirror.cluster_difference(&here, truth) {
        let what = format!("at {}: {}", difference.at, difference.what);
        return broken("the cluster's records are the same everywhere", what);
    }
    dumps(world)
}

/// Equal states give equal dumps, to the octet.
fn dumps<M: Machine>(world: &World<M>) -> Option<Unwell> {
    let mut first: Option<(Seat, String)> = None;
    for (seat, machine) in world.machines().take(DUMPS_MAX) {
        let mut dump = String::new();
        machine.dump(&mut dump);
        let Some((other, expected)) = &first else {
            first = Some((seat, dump));
            continue;
        };
        if dump != *expected {
            let mut lines = expected.lines().zip(dump.lines());
            let pair = lines.find(|(expected, found)| expected != found);
            let (expected, found) = pair.unwrap_or(("the end", "more"));
            let what = format!("{other} says {expected:?}, {seat} says {found:?}");
            return Some(Unwell { rule: "equal states give equal dumps", what });
        }
    }
    None
}
