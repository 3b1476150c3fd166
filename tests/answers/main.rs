//! Behaviour as text: each file under `tests/cases/` holds zones, questions, and the answers to expect.
//!
//! ```text
//! # A comment.
//! zone example.                          the lines below it, less their indent, with $TTL 300 before them
//!     @       SOA  ns host 1 3600 600 86400 60
//!     @       NS   ns
//!     sub     NS   ns.sub
//!     ns.sub  A    192.0.2.1
//!
//! ? www.sub.example. A +bufsize=1232     a question; see below
//! NOERROR                                rcode, flags that are set (aa tc rd ra ad cd), then `edns` if OPT is there
//! authority                              a section: exactly these records, in any order; sections not named are empty
//!     sub.example. 300 NS ns.sub.example.
//! additional
//!     ns.sub.example. 300 A 192.0.2.1
//! ```
//!
//! Options of a question: `+tcp`, `+bufsize=N`, `+do`, `+nsid`, `+edns=VERSION`, `+rd`, `+ad`, `+cd`, `+ch`,
//! `+class=N`, `+opcode=NAME`. `! HEX` is a message in hexadecimal, `<question>` in it stands for the
//! question that opened the file's last `?`. `silence` instead of an rcode: no answer. A line `...` in a
//! section: there may be more records; `<version>` is the server's. `nsid NAME`: the NSID option says so. The zone `faulty NAME` is one
//! that does not load.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "../oracle/mod.rs"]
mod oracle;
mod script;
mod stranger;

use oracle::library::{Library, ZoneText};
use oracle::message::{self, Message};
use oracle::render;
use script::{Case, Expected, Script};
use std::fmt::Write;
use std::path::Path;

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name), include_str!(concat!("../cases/", stringify!($name), ".txt"))); })*

        #[test]
        fn every_file_of_cases_is_run() {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");
            let mut files: Vec<_> = std::fs::read_dir(dir).expect("tests/cases")
                .map(|file| file.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
            files.sort();
            let mut run = vec![$(concat!(stringify!($name), ".txt")),*];
            run.sort_unstable();
            assert_eq!(files, run);
        }
    };
}

cases! {
    additional any case chaos closest_encloser cname_chain dname edns ent faulty_zone glue malformed
    names nested_zones nodata nxdomain opcodes referral refused truncation wildcard
}

/// Runs every case of one file and tells all that fail.
fn run(name: &str, text: &str) {
    let text = text.replace("<version>", env!("CARGO_PKG_VERSION"));
    let script = Script::parse(&text).unwrap_or_else(|why| panic!("tests/cases/{name}.txt:{why}"));
    let zones = script.zones.iter().map(|zone| ZoneText {
        origin: &zone.origin,
        file: Path::new(&zone.origin),
        text: &zone.text,
    });
    let (mut library, faults) = Library::new(&zones.collect::<Vec<_>>(), "case-server");
    let faulty = script.zones.iter().any(|zone| zone.faulty);
    assert!(faulty || faults.is_empty(), "tests/cases/{name}.txt: {faults:#?}");
    let failed: Vec<String> = script.cases.iter().filter_map(|case| check(&mut library, case)).collect();
    assert!(
        failed.is_empty(),
        "\n{}",
        failed.iter().fold(String::new(), |all, one| { all + &format!("tests/cases/{name}.txt:{one}\n") })
    );
}

/// The only place that touches the server: asks, and tells what differs from the expectation, if anything.
fn check(library: &mut Library, case: &Case) -> Option<String> {
    let reply = library.ask(&case.message, case.tcp);
    let (got, message) = match &reply {
        None => ("silence\n".to_owned(), None),
        Some(octets) => match message::decode(octets) {
            Err(why) => (format!("a malformed reply: {why}\n"), None),
            Ok(message) => (told(&message), Some(message)),
        },
    };
    let mut complaints = String::new();
    if !case.expected.matches(&got) {
        let _ = writeln!(complaints, "expected\n{}", case.expected.text());
        let _ = writeln!(complaints, "got\n{}", got.trim_end());
    }
    if let (Some(octets), Some(message)) = (&reply, &message)
        && let Err(why) = stranger::reads_the_same(octets, message)
    {
        let _ = writeln!(complaints, "hickory reads it otherwise: {why}");
    }
    if let Some(message) = message {
        if message.octets > case.limit {
            let _ = writeln!(complaints, "{} octets where {} are allowed", message.octets, case.limit);
        }
        if let (Some(asked), true) = (&case.question, message.question.is_some())
            && message.question.as_ref() != Some(asked)
        {
            let _ = writeln!(complaints, "the question came back changed");
        }
    }
    (!complaints.is_empty()).then(|| format!("{}: {}\n{complaints}", case.line, case.asked))
}

/// A message in the form of the case files.
fn told(message: &Message) -> String {
    let flags = render::flags(message.flags & 0x7fff);
    let edns = if message.opt.is_some() { " edns" } else { "" };
    let mut text = format!("{} {flags}", render::rcode(message.rcode())).trim_end().to_owned() + edns + "\n";
    if let Some(nsid) = message.opt.as_ref().and_then(|opt| opt.options.strip_prefix(&[0, 3])) {
        let _ = writeln!(text, "nsid {}", String::from_utf8_lossy(nsid.get(2..).unwrap_or_default()));
    }
    for (records, title) in message.sections.iter().zip(["answer", "authority", "additional"]) {
        let mut lines: Vec<_> = records.iter().map(|r| render::record(r).replacen(" IN ", " ", 1)).collect();
        lines.sort();
        if !lines.is_empty() {
            let _ = writeln!(text, "{title}");
        }
        lines.iter().for_each(|line| {
            let _ = writeln!(text, "    {line}");
        });
    }
    text
}

impl Expected {
    /// Compares with a reply as [`told`].
    fn matches(&self, got: &str) -> bool {
        let got = Expected::parse(got.lines());
        let fits = |(title, lines): (&String, &Vec<String>)| {
            let found = got.sections.get(title).cloned().unwrap_or_default();
            if lines.iter().any(|line| line == "...") {
                return lines.iter().all(|line| line == "..." || found.contains(line));
            }
            found == *lines
        };
        self.head == got.head
            && self.sections.iter().all(fits)
            && got.sections.keys().all(|title| self.sections.contains_key(title))
    }
}
