//! The table of names as scenarios, and as properties: the order of what is said changes nothing, nor whether names are
//! made one change after another or from nothing.

mod addresses;
mod properties;
mod stacks;
mod table;
mod world;
