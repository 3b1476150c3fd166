//! Clients that others have written, through `hivedns serve --forward`: dig and dnsperf, and the stub resolvers of the C
//! libraries. What is not installed and cannot be is skipped, and said.
//!
//! Reading order: [`forwarder`] (the server under test), [`load`] (dig and dnsperf), [`stub`] (glibc and musl in a
//! network of their own), [`image`] (musl in a container).
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../support/apart.rs"]
mod apart;
mod forwarder;
mod image;
mod load;
#[path = "../oracle/mod.rs"]
mod oracle;
mod stub;
#[path = "../support/upstream.rs"]
mod upstream;

use std::path::{Path, PathBuf};
use upstream::{Said, Upstream};

const A: u16 = 1;
const AAAA: u16 = 28;

/// Builds the program that looks a name up, with that compiler.
fn build_lookup(dir: &Path, compiler: &str, options: &[&str]) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/lookup.c");
    let program = dir.join(format!("lookup-{compiler}"));
    let path = program.display().to_string();
    apart::run(compiler, &[options, &["-Wall", "-Werror", "-o", &path, source]].concat());
    program
}

/// An upstream that knows `www.example.` by both families, and `www.far.example.` by the older.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    upstream.say_address("www.example.", 300, 1);
    let address = [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[1]].concat();
    upstream.say("www.example.", AAAA, Said::Records(vec![("www.example.".to_owned(), AAAA, 300, address)]));
    upstream.say_address("www.far.example.", 300, 2);
    upstream.say("www.far.example.", AAAA, Said::Nothing(0, 300));
    upstream
}
