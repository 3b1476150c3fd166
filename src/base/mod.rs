//! Floor 0: what every other module may lean on and what leans on nothing here.
//!
//! Bounds with their reasons ([`limits`]), reading integers out of octets ([`octets`]), what the operator
//! asked for ([`config`]), where server and verbs meet ([`control_socket`]), what a worker counts ([`metrics`]),
//! networks of addresses ([`network`]), whom the system asks ([`resolv_conf`]), time as a value ([`time`]), what the
//! program was built from ([`build`]).
//! Nothing in this floor knows of DNS messages, zones, sockets or threads.

pub mod build;
pub mod config;
pub mod control_socket;
pub mod limits;
pub mod metrics;
pub mod network;
pub mod octets;
pub mod resolv_conf;
pub mod time;
