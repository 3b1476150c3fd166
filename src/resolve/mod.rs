//! Floor 3: what the server does not own it finds elsewhere. Questions for others, their answers, and remembering
//! those; machines without sockets, clocks or randomness of their own.

pub mod body;
pub mod cache;
pub mod errand;
pub mod exchange;
pub mod forward;
pub mod harvest;
pub mod hints;
pub mod iterate;
pub mod loops;
pub mod lots;
pub mod pending;
pub mod policy;
pub mod question;
pub mod said;
#[cfg(test)]
pub(crate) mod script_tests;
pub mod validate;
pub mod writer;
