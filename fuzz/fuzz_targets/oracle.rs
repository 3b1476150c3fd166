//! The decoder of the tests, which shares no code with the server.
#![allow(dead_code, unreachable_pub)]

#[path = "../../tests/oracle/message.rs"]
pub mod message;
#[path = "../../tests/oracle/names.rs"]
pub mod names;
#[path = "../../tests/oracle/render.rs"]
pub mod render;
