//! Floor 3: how nodes become one cluster. Two machines, without sockets, clocks or randomness of their own, that
//! know octets under keys and nothing of the DNS.
//!
//! ```text
//!             datagrams, streams, the time                   what the node itself says
//!                        │                                            │
//!                  ┌─────▼──────── machine ────────────────────────────▼─────┐
//!                  │ secrecy ─► frames ─┬─► membership (SWIM, Lifeguard)      │
//!                  │                    └─► replication: a log for each owner │
//!                  └─────┬──────────────────────────────────────┬────────────┘
//!                  Output: Datagram, Open, Write, Close, Wake   Output: Event
//! ```
//!
//! **The law of use: after every call that hands something in, [`machine::Gossip::poll`] is drained until it says
//! [`output::Output::Wake`]; [`machine::Gossip::handle_timeout`] is called at that moment, unless something else
//! comes before.**
//!
//! # Reading order
//!
//! 1. [`identity`]: the numbers by which sayings are ordered. [`codec`] and [`frame`]: what travels.
//! 2. [`membership`]: who is there, and how its loss is noticed.
//! 3. [`secrecy`]: who may speak, and that nobody else listens.
//! 4. [`output`], [`machine`]: the door to all of it.

pub mod codec;
pub mod frame;
pub mod hash;
pub mod identity;
pub mod machine;
pub mod membership;
pub mod output;
pub mod replication;
pub mod secrecy;
