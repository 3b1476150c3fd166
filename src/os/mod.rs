//! Side room: everything that needs the operating system or the processor by hand, and the only `unsafe`.
//!
//! Each file opens one door and makes it safe: nothing here knows a DNS message from any other datagram.

pub mod affinity;
pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod entropy;
pub mod listen;
pub mod memory;
pub mod privileges;
pub mod udp;
pub mod unix;
