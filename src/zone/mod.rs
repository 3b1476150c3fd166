//! Floor 2: one zone. Master files in, a sealed zone out, look-up within it.
//!
//! Knows names, RRsets and their wire form; knows nothing of queries, sockets, threads or other zones.

pub mod addresses;
pub mod amend;
pub mod builtin;
pub mod canonical;
pub mod draft;
pub mod examples;
pub mod fault;
pub mod history;
pub mod live;
pub mod master;
mod node;
pub mod nsec3;
pub mod plain;
pub mod rdata;
pub mod scan;
pub mod seal;
mod set;
pub mod signed;
mod signing;
pub mod sink;
mod slots;
pub mod store;
pub mod view;
#[allow(clippy::module_inception)]
pub mod zone;

pub use zone::{Place, Serial, Zone};
