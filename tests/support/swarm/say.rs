//! Commands of the system, and what they say.

use std::process::{Command, Output, Stdio};

/// What a command says, however it ends.
pub fn said(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a command says on its standard output, or on the other one why it failed.
pub fn tried(command: &mut Command) -> Result<String, String> {
    let output = said(command);
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
    }
}

/// What a command says that has to succeed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    tried(command).unwrap_or_else(|why| panic!("{command:?}: {why}"))
}

/// `ip WORDS`.
#[track_caller]
pub fn ip(words: &str) {
    run(Command::new("ip").args(words.split_whitespace()));
}
