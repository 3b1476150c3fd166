//! hivedns: the distributed DNS for container swarms.

pub mod answer;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod loader;
pub mod log;
pub mod os;
pub mod serve;
pub mod wire;
pub mod worker;
pub mod zone;
