//! Tests of the machine as a whole: single sayings, and clusters in a small world of virtual time.

mod cluster;
mod sayings;
mod world;
