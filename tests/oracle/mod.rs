//! What the tests hold answers against: a decoder, a client and processes that share no code with the
//! server, so that a mistake in the server's own wire code cannot excuse itself.
//!
//! Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs)]

mod clock;
pub mod library;
pub mod message;
pub mod names;
pub mod process;
pub mod render;
pub mod transport;

pub use clock::{now, until_within};
