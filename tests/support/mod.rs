//! What several test programs need to get an answer out of the library.
//!
//! Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod desk;
