//! The `hivedns` command.

fn main() {}
