//! Floor 3: from what is replicated to records, and back. Pure: octets or text in, names and RDATA out.
//!
//! ```text
//! `hivedns set` ─► cluster::Rrset ─► key, value ──(replicated, opaque)──► cluster::Rrset ─► records
//! addresses ─────► node::Entry ────► value ───────(replicated, opaque)──► node::Entry ───► NODE.node.DOMAIN
//! containers ────► endpoint::Endpoint ► value ────(replicated, opaque)──► endpoint::Endpoint ─┐
//! managers ──────► service::ServiceSpec ► value ──(replicated, opaque)──► service::ServiceSpec ┴► names::Names ► records
//! a sequencer ───► cut::entry ──────► values ─────(replicated, opaque)──► cut::replica ──► a zone for other servers
//! publishers ────► share ───────────► values ─────(replicated, opaque)──► share ─► whom all are secondaries of
//! ```
//!
//! **What others send is held against the same rules as what a user types:** whatever their program made of it, an
//! entry that breaks them is an error here and never a record.

pub mod cluster;
#[cfg(test)]
mod cluster_tests;
pub mod cut;
pub mod endpoint;
pub mod engine;
pub mod entry;
pub mod fields;
pub mod label;
pub mod labels;
pub mod names;
pub mod node;
pub mod question;
pub mod service;
pub mod share;
