//! The rows of the table of service names: where a name can be read two ways the earlier row wins.

use std::fmt;

/// A row, from the one that always wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// `SVC` and `tasks.SVC`.
    Service,
    /// `SVC.STACK` and `STACK_SVC`.
    Stack,
    /// `all.SVC`.
    All,
    /// `local.SVC` and `nearest.SVC`.
    Near,
    /// `SLOT.SVC` and `NODE.m.SVC`. No earlier row has names that begin with a number and go on.
    Task,
    /// `_PORT._PROTO.SVC` and what DNS-SD browses.
    Port,
    /// `CONTAINER` and `CONTAINER.NETWORK`.
    Container,
    /// Aliases.
    Alias,
    /// `NODE.node`.
    Node,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Row::Service => "SVC",
            Row::Stack => "SVC.STACK",
            Row::All => "all.SVC",
            Row::Near => "local.SVC or nearest.SVC",
            Row::Task => "SLOT.SVC or NODE.m.SVC",
            Row::Port => "_PORT._PROTO.SVC",
            Row::Container => "CONTAINER",
            Row::Alias => "alias",
            Row::Node => "NODE.node",
        })
    }
}
