//! Clients that others have written, through `hivedns serve --forward`: dig and dnsperf. What is not installed
//! and cannot be is skipped, and said.
//!
//! Reading order: [`forwarder`] (the server under test), [`load`] (dig and dnsperf).
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../support/apart.rs"]
mod apart;
mod forwarder;
mod load;
#[path = "../oracle/mod.rs"]
mod oracle;
