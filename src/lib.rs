//! hivedns: the distributed DNS for container swarms.

pub mod base;
pub mod cli;
pub mod wire;
pub mod zone;
