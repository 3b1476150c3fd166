//! One list of what a cluster does, held against two transports: the simulator's network in virtual time, and real
//! servers over the sockets of loopback. What the simulator promises is worth as much as these agree.
//!
//! Reading order: [`Cluster`] (what is asked of a transport), [`behaviours`] (the list), then [`simulated`] and [`real`].
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod behaviours;
#[path = "../oracle/mod.rs"]
mod oracle;
mod real;
mod simulated;

use std::time::Duration;

/// A node, by its number. It is called `n` and that.
type Number = usize;

/// Nodes over some transport. All begin by the first that runs, with one key; each says one record of its own.
trait Cluster: Sized {
    /// How long a lost node's record is served.
    const LEASE: Duration;

    /// Room for so many nodes, none of which runs.
    fn with_room(nodes: usize) -> Self;
    /// Starts a node that never ran, or did and remembers it.
    fn start(&mut self, node: Number);
    /// Starts a node that has not the cluster's key.
    fn start_stranger(&mut self, node: Number);
    /// Sets or removes (`None`) a record of the cluster at a node.
    fn set(&mut self, node: Number, name: &str, value: Option<&str>);
    /// Ends a node that says that it will be back.
    fn stop(&mut self, node: Number);
    /// Ends a node that says that it leaves.
    fn leave(&mut self, node: Number);
    /// Ends a node that says nothing.
    fn crash(&mut self, node: Number);

    /// What a node serves of a record of the cluster.
    fn value(&mut self, node: Number, name: &str) -> Option<String>;
    /// Whether a node serves another's own record.
    fn serves(&mut self, node: Number, other: Number) -> bool;
    /// How a node sees others, as the verb `members` words it: by their names, itself left out.
    fn members(&mut self, node: Number) -> Vec<(String, &'static str)>;
    /// Whether a node knows what the cluster has.
    fn is_synced(&mut self, node: Number) -> bool;

    /// Lets a moment pass. False once there was time enough for anything.
    fn pass(&mut self, since: Self::Instant) -> bool;
    /// A moment of this transport's time.
    type Instant: Copy;
    /// Now.
    fn now(&self) -> Self::Instant;
    /// How long ago that was.
    fn since(&self, moment: Self::Instant) -> Duration;
    /// What the nodes said, for the report of a failure.
    fn story(&self) -> String;

    /// Waits until it is so.
    #[track_caller]
    fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let began = self.now();
        while !condition(self) {
            assert!(self.pass(began), "never: {what}\n{}", self.story());
        }
    }

    /// It is so for the whole span.
    #[track_caller]
    fn during(&mut self, span: Duration, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let began = self.now();
        while self.since(began) < span {
            assert!(condition(self), "not any more: {what}\n{}", self.story());
            self.pass(began);
        }
    }

    /// The health by which a node knows another.
    fn health(&mut self, node: Number, other: Number) -> Option<&'static str> {
        let name = format!("n{other}");
        self.members(node).into_iter().find(|(found, _)| *found == name).map(|(_, health)| health)
    }

    /// So many nodes of one cluster, each of which serves all others' records.
    #[track_caller]
    fn of(nodes: usize, room: usize) -> Self {
        let mut cluster = Self::with_room(room);
        (0..nodes).for_each(|node| cluster.start(node));
        let all = |cluster: &mut Self| {
            (0..nodes)
                .all(|node| cluster.is_synced(node) && (0..nodes).all(|other| cluster.serves(node, other)))
        };
        cluster.until("all know all", all);
        cluster
    }
}

/// Each behaviour as a test of each transport.
macro_rules! contract {
    ($($behaviour:ident)*) => {
        mod over_the_simulated_network {
            $(#[test] fn $behaviour() { super::behaviours::$behaviour::<super::simulated::Simulated>(); })*
        }
        mod over_real_sockets {
            $(#[test] fn $behaviour() { super::behaviours::$behaviour::<super::real::Real>(); })*
        }
    };
}

contract! {
    who_joins_knows_all_and_is_known_to_all
    what_one_sets_all_serve_and_the_last_write_holds
    what_one_removes_nobody_serves
    an_owner_that_restarts_is_served_all_the_while
    an_owner_that_leaves_is_served_no_more
    an_owner_that_crashes_is_served_until_its_lease_is_over
    who_joins_late_gets_a_state_that_only_a_stream_carries
    who_has_not_the_key_neither_hears_nor_is_heard
}
