//! What a report must say about where it was made.

use crate::clock;
use crate::peers::Peer;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine, the versions and the command, as pairs of what and which.
pub(super) fn head(repository: &Path, peers: &[Peer]) -> Vec<(String, String)> {
    let mut head = vec![
        ("CPU".to_owned(), cpu()),
        ("Memory".to_owned(), memory()),
        ("Kernel".to_owned(), read("/proc/sys/kernel/osrelease")),
        ("System".to_owned(), system()),
        ("Date".to_owned(), clock::today()),
        ("Commit".to_owned(), commit(repository)),
    ];
    head.extend(
        peers
            .iter()
            .filter(|&&peer| peer != Peer::Echo)
            .map(|peer| (peer.title().to_owned(), peer.version(repository))),
    );
    head
}

/// Which dnsperf there is, if there is one.
pub(super) fn dnsperf() -> Option<(String, String)> {
    Some(("dnsperf".to_owned(), first_line_with(Command::new("dnsperf").arg("-h"), "Version")?))
}

fn cpu() -> String {
    let info = read("/proc/cpuinfo");
    let values = |key: &'static str| {
        info.lines().filter_map(move |line| line.strip_prefix(key)?.trim_start().strip_prefix(": "))
    };
    let cores = values("processor").count();
    let numbers: Vec<&str> = ["cpu family", "model\t"].iter().filter_map(|key| values(key).next()).collect();
    format!(
        "{} (family and model {}), {cores} cores",
        values("model name").next().unwrap_or("unknown"),
        numbers.join(", ")
    )
}

fn memory() -> String {
    let info = read("/proc/meminfo");
    let kib: f64 = info.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    format!("{:.1} GiB", kib / f64::from(1 << 20))
}

fn system() -> String {
    let release = read("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("unknown").trim_matches('"').to_owned()
}

fn commit(repository: &Path) -> String {
    let mut git = Command::new("git");
    git.current_dir(repository).args(["describe", "--always", "--dirty", "--exclude", "*"]);
    first_line_with(&mut git, "").unwrap_or_else(|| "unknown".to_owned())
}

/// The first line of what a command prints that holds the word.
fn first_line_with(command: &mut Command, word: &str) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find(|line| line.contains(word)).map(|line| line.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}
