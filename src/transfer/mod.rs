//! Floor 3: zones on their way between name servers. Pure: octets, values and moments in; octets, values and moments
//! out.
//!
//! ```text
//! others ask:    desk ─► policy, tsig::server ─► outgoing: AXFR, IXFR, message by message
//! others tell:   desk ─► NOTIFY ─► secondary
//! we ask:        secondary: when, and whom ─► incoming: what comes, record by record
//! we tell:       announce: NOTIFY, again until somebody hears it
//! others change: desk ─► update: UPDATE, prerequisites and all
//! ```
//!
//! Knows no socket, no clock, no file, and not which thread it runs on.

pub mod access;
pub mod announce;
pub mod desk;
pub mod incoming;
pub mod message;
pub mod order;
pub mod outgoing;
pub mod policy;
pub mod secondary;
pub mod tsig;
pub mod update;
