//! What befalls a node from outside: work, faults, commands of an operator. Planned for a moment; done by the world.

use super::seat::Seat;
use std::time::Duration;

/// With which disk a process starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFate {
    /// Its own, as it was written.
    Kept,
    /// An empty one.
    Lost,
    /// A copy of another node's, as a virtual machine that was cloned has.
    CloneOf(Seat),
}

/// One thing that happens to one node. What makes no sense when its moment comes (a crash of the dead) is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The process dies; its host refuses connections.
    Crash,
    /// The host dies, and answers nothing.
    PowerOff,
    /// The process stands still; what comes waits.
    Pause(Duration),
    /// A process starts: the first, or one after the last has ended.
    Start(DiskFate),
    /// The process says that it stops and comes back, then ends.
    Stop,
    /// The process leaves for good, then ends.
    Leave,
    /// Withdraws the node's records.
    Drain,
    /// An operator declares that another node has left.
    ForceLeave(Seat),
    /// One of the node's records changes, is added or removed; the lot says which.
    Change(u32),
    /// A record of the cluster changes; the lot says which and how.
    ChangeCluster(u32),
    /// The process is at its end (after `Stop` and `Leave`).
    End,
}
