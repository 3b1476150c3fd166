//! The rules of the repository that a machine can check; CONTRIBUTING.md says what they are for.

mod house;

use house::{Source, expect_none, files, root, sources};
use std::fs;

/// Lines of a source file: a longer one usually hides a second noun.
const LINES_MAX: usize = 500;
/// Source files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];
/// Octets of any file: larger ones belong to generators, not to the repository.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// Where a packet must never end the process: what reads a question and answers it, and what the cluster's traffic
/// reaches.
const PACKET_PATH: &[&str] = &[
    "src/wire/",
    "src/answer/",
    "src/worker/",
    "src/resolve/",
    "src/gossip/",
    "src/control/cluster/",
    "src/catalog/snapshot.rs",
    "src/os/udp.rs",
    "src/zone/live/",
    "src/zone/node.rs",
    "src/zone/store.rs",
];
/// Calls there that no packet reaches: file, call, how many, and why.
const UNREACHED: &[(&str, &str, usize, &str)] = &[
    ("src/gossip/codec.rs", ".expect(", 1, "appending to a vector does not fail"),
    ("src/gossip/secrecy/derive.rs", ".expect(", 3, "lengths that are constants of the ciphers"),
    ("src/os/udp.rs", "unreachable!", 1, "made at the start, of as many slots as it asks for"),
];

fn rust() -> Vec<Source> {
    sources(&["src/", "tests/", "tools/", "benches/", "fuzz/"])
}

/// Lines of `source` where `texts` stand one after another as tokens.
fn lines_with(tokens: &[house::Token], texts: &[&str]) -> Vec<usize> {
    let windows = tokens.windows(texts.len());
    windows
        .filter(|w| w.iter().zip(texts).all(|(token, text)| token.text == *text))
        .map(|w| w[0].line)
        .collect()
}

#[test]
fn source_files_are_short() {
    let mut wrong = Vec::new();
    for source in rust() {
        let lines = source.text.lines().count();
        if lines > LINES_MAX && !LONG.iter().any(|(path, _)| *path == source.path) {
            wrong.push(format!("{}: {lines} lines", source.path));
        }
    }
    expect_none("a file over 500 lines usually hides a second one:", &wrong);
}

#[test]
fn every_source_file_says_what_it_is() {
    let opens = |source: &Source| source.text.trim_start_matches("#!").starts_with("//!");
    let silent = rust().into_iter().filter(|source| !opens(source)).map(|source| source.path);
    expect_none("a file opens with what it is, in `//!`:", &silent.collect::<Vec<_>>());
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    let mut wrong = Vec::new();
    for source in rust() {
        for texts in [&["todo", "!"][..], &["unimplemented", "!"], &["#", "[", "ignore"]] {
            for line in lines_with(&source.tokens, texts) {
                wrong.push(format!("{}:{line}: {}", source.path, texts.concat()));
            }
        }
        // In comments, too; written apart here, so that this file does not find itself.
        for (number, line) in source.text.lines().enumerate() {
            for mark in [concat!("FIX", "ME"), concat!("XX", "X")] {
                if line.split(|c: char| !c.is_alphanumeric()).any(|word| word == mark) {
                    wrong.push(format!("{}:{}: {mark}", source.path, number + 1));
                }
            }
        }
    }
    expect_none("what is unfinished is not committed, and no test is switched off:", &wrong);
}

#[test]
fn nothing_sleeps() {
    let mut wrong = Vec::new();
    for source in sources(&["src/", "tests/", "benches/"]) {
        for line in lines_with(&source.tokens, &["thread", "::", "sleep"]) {
            wrong.push(format!("{}:{line}: thread::sleep", source.path));
        }
    }
    expect_none("wait for a condition:", &wrong);
}

#[test]
fn the_packet_path_has_no_call_that_panics() {
    let calls: &[&[&str]] =
        &[&[".", "unwrap", "("], &[".", "expect", "("], &["panic", "!"], &["unreachable", "!"]];
    let (mut wrong, mut excused) = (Vec::new(), Vec::new());
    for source in sources(PACKET_PATH) {
        let tokens = source.shipped();
        for texts in calls {
            let (lines, call) = (lines_with(&tokens, texts), texts.concat());
            let excuse =
                UNREACHED.iter().find(|(path, excused, ..)| *path == source.path && *excused == call);
            if excuse.is_some_and(|(_, _, count, _)| *count == lines.len()) {
                excused.extend(excuse);
                continue;
            }
            wrong.extend(lines.iter().map(|line| format!("{}:{line}: {call}", source.path)));
        }
    }
    // An excuse that nothing needs any more would cover the next mistake.
    let idle = UNREACHED.iter().filter(|excuse| !excused.contains(excuse));
    wrong.extend(idle.map(|(path, call, count, _)| format!("{path}: no longer {count} {call}")));
    expect_none("a packet gives an error, never a panic:", &wrong);
}

#[test]
fn no_file_is_large() {
    let octets = |path: &String| fs::metadata(root().join(path)).map_or(0, |file| file.len());
    let large = files().into_iter().filter(|path| octets(path) > FILE_OCTETS_MAX);
    expect_none("files over 1 MiB:", &large.collect::<Vec<_>>());
}

#[test]
fn documents_name_what_exists() {
    let mut wrong = Vec::new();
    for document in files().into_iter().filter(|path| path.ends_with(".md")) {
        let text = fs::read_to_string(root().join(&document)).expect("documents are text");
        let here = root().join(&document);
        let here = here.parent().unwrap_or(root());
        for (number, line) in text.lines().enumerate() {
            for link in links(line) {
                let target = link.split('#').next().unwrap_or_default();
                if !target.is_empty() && !here.join(target).exists() {
                    wrong.push(format!("{document}:{}: the link leads nowhere: {link}", number + 1));
                }
            }
            for path in line.split('`').skip(1).step_by(2).filter(|code| is_path(code)) {
                if !root().join(path).exists() {
                    wrong.push(format!("{document}:{}: there is no {path}", number + 1));
                }
            }
        }
    }
    expect_none("documents speak of what is there:", &wrong);
}

/// The targets of `[text](target)` within the repository.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// True for a piece of code that is a path from the repository's root, without placeholders. What runs produce
/// is not there before.
fn is_path(code: &str) -> bool {
    let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let tops = ["src/", "docs/", "tests/", "tools/", "perf/", "benches/", "examples/", "fuzz/", ".ci/"];
    plain && tops.iter().any(|top| code.starts_with(top)) && !code.starts_with("perf/out")
}
