//! Tells the program which compiler makes it, for the metric `hivedns_build_info`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    // "rustc 1.95.0 (59807616e 2026-04-14)"
    let said = String::from_utf8_lossy(&said);
    println!("cargo::rustc-env=HIVEDNS_RUSTC={}", said.split_whitespace().nth(1).unwrap_or("unknown"));
}
