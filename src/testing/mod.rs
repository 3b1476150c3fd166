//! The cluster in a made-up world: production machines, virtual time, a network that fails as told, and witnesses.
//! It ships as `hivedns simulate`, and it is the main test of replication.
//!
//! Nothing here reads a clock or opens a socket. One seed decides everything, and is the first thing that is printed:
//! a run that failed is run again with it and fails again.
//!
//! # Reading order
//!
//! 1. [`machine`]: what lives here; [`gossip`] is the production one, and tests have a plainer one, `flood`. [`seat`], [`clock`], [`record`]: where, when, what.
//! 2. [`queue`], [`network`], [`stream`], [`node`]: what carries events to machines. [`world`]: the loop. [`action`],
//!    `deed`, `chaos`: what befalls nodes.
//! 3. [`watch`], [`census`], [`mirror`]: three witnesses, of time, of members, of records; [`newcomer`]: who has yet to
//!    learn it all. [`observer`]: all of them.
//! 4. [`scenario`], [`simulate`]: what is asked for, and a run of it. [`oracle`]: what must be true at its end.
//!    [`summary`], [`report`], [`picture`]: what is said of it.

pub mod action;
pub mod census;
mod chaos;
pub mod clock;
mod deed;
mod delivery;
#[cfg(test)]
pub mod flood;
pub mod gossip;
pub mod hash;
pub mod machine;
pub mod mirror;
pub mod network;
pub mod newcomer;
mod node;
pub mod observer;
pub mod oracle;
pub mod picture;
pub mod queue;
pub mod record;
pub mod report;
pub mod scenario;
pub mod seat;
pub mod simulate;
mod step;
mod stream;
pub mod summary;
pub mod watch;
pub mod world;

#[cfg(test)]
mod chaos_tests;
#[cfg(test)]
mod gossip_tests;
#[cfg(test)]
mod tests;
