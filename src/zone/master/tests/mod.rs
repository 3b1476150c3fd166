//! Master files as text, against the records or the faults that they make: what the tests share.

mod directives;
mod entries;
mod sources;

use super::*;
use crate::zone::rdata;
use crate::zone::sink::Record;
use std::collections::HashMap;
use std::path::PathBuf;

/// Writes down what it gets: `line:column owner ttl TYPE rdata`, the file in front if it is an included one.
#[derive(Default)]
struct Scribe {
    lines: Vec<String>,
}

impl RecordSink for Scribe {
    fn record(&mut self, record: Record<'_>, place: &Place) {
        let mut text = String::new();
        rdata::print(record.rtype, record.rdata, &mut text).unwrap();
        let owner = Name::from_wire(record.owner).unwrap();
        self.lines.push(format!("{}{owner} {} {} {text}", at(place), record.ttl, record.rtype));
    }
}

fn at(place: &Place) -> String {
    let file = if place.file.as_ref() == Path::new("main") {
        String::new()
    } else {
        format!("{}:", place.file.display())
    };
    format!("{file}{}:{} ", place.line, place.column)
}

/// Files in memory.
struct Memory(HashMap<PathBuf, String>);

impl Files for Memory {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        match self.0.get(path) {
            Some(text) => Ok(Box::new(io::Cursor::new(text.clone().into_bytes()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Gives a few octets at a time.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(self.0.len()).min(buffer.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

fn read_from(
    source: Box<dyn Read + '_>,
    files: &[(&str, &str)],
    ttl: Option<u32>,
) -> (Vec<String>, Vec<String>) {
    let files = Memory(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect());
    let (mut sink, mut faults) = (Scribe::default(), Faults::default());
    let origin = Name::parse("example.").unwrap();
    read(
        source,
        Arc::from(Path::new("main")),
        Options { origin: &origin, ttl },
        &files,
        &mut sink,
        &mut faults,
    );
    let faults = faults
        .iter()
        .map(|fault| {
            let severity =
                if fault.severity == crate::zone::fault::Severity::Warning { "warning: " } else { "" };
            format!("{}{severity}{}", at(&fault.place), fault.message)
        })
        .collect();
    (sink.lines, faults)
}

/// Text against its records and then its faults, one to a line.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_with(text, &[], None, expected);
}

#[track_caller]
fn check_with(text: &str, files: &[(&str, &str)], ttl: Option<u32>, expected: &str) {
    let (mut found, faults) = read_from(Box::new(text.as_bytes()), files, ttl);
    found.extend(faults);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expected, "\n{text}");
}
