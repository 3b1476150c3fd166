//! A zone that lives: its sets of records change singly, thousands of times a second, and each change costs the
//! few blocks that it touches.
//!
//! ```text
//! Change ─► queue ─► load: the names it touches, as edits ─► settle: what is served, ancestors after descendants
//!                                                                │
//!           Zone ◄── blocks shared with the Zone before ◄── build: each touched block once
//! ```
//!
//! Sources say records; [`choice`] says which of them are served. Both lie in the same octets: behind the sealed
//! sets of a node stands a [`ledger`] that tells who said each of their records and holds the records that are
//! not served. So there is no second copy of a record, and a block that readers answer from is also all that the
//! writer knows.
//!
//! A name exists exactly while it has served records or a name below it does. A name of which everything is
//! unserved is a *ghost*: its node stands in its block, but no slot leads there.
//!
//! Knows numbers of sources and what [`choice::Standing`] they have; knows no owner, no lease, no clock.

pub mod block;
pub mod choice;
pub mod directory;
pub mod edit;
pub mod ledger;
pub mod patch;
mod sweep;
pub mod writer;
