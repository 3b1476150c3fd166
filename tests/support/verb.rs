//! Verbs as a user types them.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a verb said and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |octets| String::from_utf8(octets).expect("text");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

pub fn hivedns() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// `hivedns ARGUMENTS --control SOCKET`.
pub fn verb(socket: &Path, arguments: &[&str]) -> Said {
    hivedns().args(arguments).arg("--control").arg(socket).output().expect("the program").into()
}

pub fn document(socket: &Path, arguments: &[&str]) -> Value {
    let said = verb(socket, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {} {}", said.out, said.err))
}
