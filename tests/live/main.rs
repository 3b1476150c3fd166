//! The program itself, started on loopback: signals, reloads, sockets, slow and rude clients.
//!
//! `cargo test --test live`. Nothing here sleeps: conditions are waited for, with a bound.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../oracle/mod.rs"]
mod oracle;
mod process;
mod reload;
#[path = "../support/site.rs"]
mod site;
mod tcp;
