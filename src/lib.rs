//! hivedns: the distributed DNS for container swarms.

pub mod answer;
pub mod base;
pub mod catalog;
pub mod os;
pub mod cli;
pub mod wire;
pub mod worker;
pub mod zone;
