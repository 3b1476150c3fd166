//! Floor 1: the wire format of the DNS. Names, record types, messages.
//!
//! Knows octets and the RFCs that order them; knows nothing of zones, snapshots, sockets or threads.

pub mod key;
pub mod message;
pub mod name;
pub mod page;
pub mod query;
pub mod reply;
pub mod response;
pub mod reverse;
pub mod rtype;
pub mod sealed;
pub mod section;
pub(crate) mod shift;
pub mod short;
mod spelled;
