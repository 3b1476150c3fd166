//! Tests that run in a network of their own, in which they may do what they like. What is made there is gone when the
//! test's process is, however that ended.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::env;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Says to a copy of this program that it runs apart.
const APART: &str = "HIVEDNS_NAMESPACES_APART";
/// What Linux calls the place of the names of network namespaces.
const NAMES: &str = "/run/netns";

/// Runs the body of the test of that name, its modules' before it, in a copy of this process that has a network and a mount namespace of its
/// own, with the programs of a set of `tests/install-peers`; where that cannot be had, says so and does nothing.
pub fn apart(test: &str, set: &str, body: impl FnOnce()) {
    if env::var_os(APART).is_some() {
        // The names of namespaces, too, are seen by nobody else, and end with this process.
        run("mkdir", &["-p", NAMES]);
        run("mount", &["-t", "tmpfs", "hivedns-names", NAMES]);
        return body();
    }
    if let Err(why) = ensure(set) {
        return skip(test, &why);
    }
    let program = env::current_exe().expect("this program");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--"]).arg(program).args([test, "--exact", "--nocapture"]);
    let output = said(command.env(APART, "yes"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    // With `--nocapture` what it measured is seen.
    print!("{text}");
    // A name that is none runs nothing, and that succeeds.
    assert!(text.contains("1 passed"), "{test} is not the whole name: {text}");
}

/// Runs the body of a test with the programs of a set of `tests/install-peers`; where they cannot be had, says so and
/// does nothing.
pub fn installed_for(test: &str, set: &str, body: impl FnOnce()) {
    match installed(set) {
        Ok(()) => body(),
        Err(why) => skip(test, &why),
    }
}

/// Says that a test was left out: past the test harness, which shows nothing of a test that passes.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("a place to say it");
}

/// Whether the programs of a set are there; with `CI=true` they have to be.
fn installed(set: &str) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install-peers");
    let installed = said(Command::new(script).arg(set));
    if !installed.status.success() {
        let why = String::from_utf8_lossy(&installed.stderr);
        assert!(env::var("CI").as_deref() != Ok("true"), "in CI the set {set} has to be there: {why}");
        return Err(why.lines().last().unwrap_or("something is missing").to_owned());
    }
    Ok(())
}

/// What stands in the way of a network of one's own, if anything does. With `CI=true` only what cannot be helped may.
fn ensure(set: &str) -> Result<(), String> {
    if said(Command::new("id").arg("-u")).stdout != b"0\n" {
        return Err("only root can make network namespaces".to_owned());
    }
    installed(set)?;
    let tried =
        said(Command::new("unshare").args(["--net", "--mount", "--", "ip", "link", "set", "lo", "up"]));
    match tried.status.success() {
        true => Ok(()),
        false => {
            Err(format!("root may not make them here: {}", String::from_utf8_lossy(&tried.stderr).trim()))
        }
    }
}

/// What a command says, however it ends.
pub fn said(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a program says that has to succeed.
pub fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    let mut command = Command::new(program);
    let output = said(command.args(arguments));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// `ip WORDS`.
pub fn ip(words: &str) {
    run("ip", &words.split_whitespace().collect::<Vec<_>>());
}
