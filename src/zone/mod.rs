//! Floor 2: one zone. Master files in, a sealed zone out, look-up within it.
//!
//! Knows names, RRsets and their wire form; knows nothing of queries, sockets, threads or other zones.

pub mod fault;
pub mod master;
pub mod rdata;
pub mod scan;
pub mod sink;
