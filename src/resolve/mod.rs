//! Floor 3: what the server does not own it finds elsewhere. Questions for others, their answers, and remembering
//! those; machines without sockets, clocks or randomness of their own.

pub mod body;
pub mod question;
pub mod validate;
