//! The services' domain as a zone that other servers can have from any node: at moments that all nodes agree on.
//!
//! What nodes hold differs for moments, so a serial of each node's own would lie. One node, the **sequencer**, says now and
//! then: this serial is what these owners had said at these heads ([`entry`]). That is a **cut**. A node that goes to
//! others with the domain keeps a second copy of it ([`replica`]), which lags behind: it is fed each owner's log up to the
//! head of a cut ([`prefix`]), and of what is said there it makes the zone as nobody in particular sees it ([`content`]).
//!
//! ```text
//! logs of owners ─► prefixes ─┐ up to the heads of a cut
//! cluster-wide sets ─► sets ──┴─► names::Names ─► content ─► the zone of that serial, and what changed
//! a sequencer's log ─► sequence: serial, heads
//! ```
//!
//! So whoever has a serial has the same zone, octet by octet, or none of that serial: the cut tells a hash of it.

pub mod content;
pub mod entry;
pub mod prefix;
pub mod replica;
pub mod sequence;
pub mod sets;
