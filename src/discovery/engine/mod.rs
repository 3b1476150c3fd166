//! Learning from a container engine, as machines without sockets and clocks: what the engine answered goes in, what is
//! to be asked of it and what this node has to say come out.
//!
//! ```text
//! connected ─► list ─► inspect each ─┐
//! events ─► inspect again            ├─► containers::Containers ─► Put, Remove: this node's Endpoints
//! time ─► list again ────────────────┘
//! services, tasks (on the elected manager) ─► managing::Managing ─► Put, Remove: ServiceSpecs, TaskStates
//! tasks (on each manager, at the start) ─► kin::Kin ─► addresses to join
//! ```
//!
//! **The engine's state is the truth, an event only says where to look.** What becomes of a container follows from an
//! inspection that was asked for after the last event about it; so events that are lost, doubled or late cost time and
//! never the right answer. Only withdrawals do not wait for an inspection: the signal to stop, the failed check, the end.

pub mod answer;
mod containers;
mod election;
mod kin;
mod managing;
pub mod shadow;
mod signal;
mod stamp;
mod translate;

#[cfg(test)]
mod tests;

pub use containers::{Ask, Containers, Output};
pub use election::{Candidate, MANAGER_KEY, Manager, WHOLE_KEY, elected};
pub use kin::{Kin, Search};
pub use managing::{Inquiry, Managing, Said, Speaker, Step};
pub use translate::Terms;
