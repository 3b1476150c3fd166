//! Behaviour of the machines, against an engine that is made up of values: one that was recorded, and one that lives by
//! lot.
//!
//! `tests/recorded/` holds answers and events of an engine 20.10.24 (API 1.41) as they came, one answer a line behind
//! its path: a few containers in all states (`plain`), and a swarm of one node whose services are scaled down (`swarm`).

mod joining;
mod play;
mod random;
mod recorded;
mod withdrawing;
