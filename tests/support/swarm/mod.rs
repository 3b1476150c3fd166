//! A swarm of real engines on one machine, with hivedns deployed in it: what the test of the swarm and `tools perf swarm`
//! both stand on.
//!
//! ```text
//!  this process, process 1 of a namespace of its own (stage): whatever becomes of it, all below goes with it
//!   │ bridge 10.90.0.254 ── outside (a name server: no registry, www.outside)        sockets of containers (seat)
//!   ├── veth ── node n1: namespaces of network, mounts, host name ── dockerd ── containers
//!   ├── veth ── node n2                                                  │
//!   └── veth ── node n3                                                  └ hivedns, web, ...
//! ```
//! What must work panics if it does not: the outer process cleans up and tells.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]

pub mod ask;
#[path = "../../oracle/clock.rs"]
mod clock;
pub mod engine;
pub mod load;
#[path = "../../oracle/message.rs"]
mod message;
#[path = "../../oracle/names.rs"]
mod names;
pub mod node;
mod outside;
pub mod raised;
#[path = "../../oracle/render.rs"]
mod render;
mod say;
pub mod seat;
pub mod stage;

pub use clock::{now, until_within};
pub use raised::{CLIENTS, DOMAIN, GOSSIP, Swarm};

use std::time::Duration;

/// The longest that anything may take: engines start, tasks are placed anew, leases end; on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// How often a condition of another process is looked at.
pub const PACE: Duration = Duration::from_millis(50);

/// What takes longer is worth a line.
pub const SLOW: Duration = Duration::from_secs(5);

/// Waits until `condition` holds; panics if it does not, with what `told` says then.
#[track_caller]
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    let began = now();
    assert!(until_within(PATIENCE, PACE, condition), "in vain: {what}");
    if began.elapsed() > SLOW {
        println!("  {what}: after {:.1} s", began.elapsed().as_secs_f64());
    }
}
