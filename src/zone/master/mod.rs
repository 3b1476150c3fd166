//! The reader of master files (RFC 1035 §5): text in, records and faults out.
//!
//! `$ORIGIN`, `$INCLUDE`, `$TTL` (RFC 2308 §4) and BIND's `$GENERATE` are obeyed here; what a record means
//! for its zone (outside it, twice, beside a CNAME) is the sink's affair. A faulty entry costs its own
//! record only: reading goes on behind it, so that all faults of a file are told at once. What the
//! standards leave open, and what we chose, is in docs/master-files.md.

mod directive;
mod entry;
mod files;
mod generate;
#[cfg(test)]
mod tests;

pub use files::{Disk, Files, Unreadable};

use crate::base::limits::RDATA_OCTETS_MAX;
use crate::wire::name::Name;
use crate::zone::fault::{Faults, Place};
use crate::zone::scan::{Complaint, NameBuffer, Scanner, Spot};
use crate::zone::sink::RecordSink;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// What holds before the first line of a file.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The origin: of a zone's file, its apex.
    pub origin: &'a Name,
    /// The TTL of records for which the file tells none, not even by its SOA; without it, they are faults.
    pub ttl: Option<u32>,
}

/// Reads the file at `path` and all that it includes. What is wrong within goes to `faults`; the error is
/// for a file that cannot be opened at all.
pub fn read_file(
    path: &Path,
    options: Options<'_>,
    sink: &mut dyn RecordSink,
    faults: &mut Faults,
) -> Result<(), Unreadable> {
    let source = Disk.open(path).map_err(|error| Unreadable { path: path.to_owned(), error })?;
    read(source, Arc::from(path), options, &Disk, sink, faults);
    Ok(())
}

/// Reads text that is called `file`; what it includes is opened by `files`, relative to `file`.
pub fn read(
    source: Box<dyn Read + '_>,
    file: Arc<Path>,
    options: Options<'_>,
    files: &dyn Files,
    sink: &mut dyn RecordSink,
    faults: &mut Faults,
) {
    let mut reader = Reader {
        files,
        sink,
        faults,
        ttl: Ttl { fallback: options.ttl, ..Ttl::default() },
        names: NameBuffer::default(),
        rdata: Vec::with_capacity(RDATA_OCTETS_MAX),
        open: Vec::new(),
    };
    reader.file(source, &mut Context::new(file, options.origin.clone()));
}

/// What lasts from one file to those it includes and back.
struct Reader<'a> {
    files: &'a dyn Files,
    sink: &'a mut dyn RecordSink,
    faults: &'a mut Faults,
    ttl: Ttl,
    /// Scratch space for names in RDATA.
    names: NameBuffer,
    /// The RDATA of the record being read.
    rdata: Vec<u8>,
    /// The files being read, each included by the one before it.
    open: Vec<Arc<Path>>,
}

/// Where a TTL comes from that a record leaves out: the first that is there (RFC 2308 §4, RFC 1035 §5.1).
#[derive(Default)]
struct Ttl {
    /// The last `$TTL`.
    directive: Option<u32>,
    /// The last TTL that stood in a record.
    stated: Option<u32>,
    /// The SOA's minimum.
    soa_minimum: Option<u32>,
    /// From the options, or 0 after the lack of one has been told once.
    fallback: Option<u32>,
}

impl Ttl {
    fn implied(&self) -> Option<u32> {
        self.directive.or(self.stated).or(self.soa_minimum).or(self.fallback)
    }
}

/// What belongs to one file and ends with it.
struct Context {
    origin: Name,
    owner: NameBuffer,
    owned: Owned,
    /// The file, and the place of the record being read.
    place: Place,
}

/// Whether an entry may leave out its owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owned {
    /// No record stood before it in this file.
    NotYet,
    /// `Context::owner` is the owner of the record before.
    Known,
    /// The owner of the record before was faulty: those that share it are read, but not handed on.
    Lost,
}

impl Context {
    fn new(file: Arc<Path>, origin: Name) -> Context {
        let place = Place { file, line: 1, column: 1 };
        Context { origin, owner: NameBuffer::default(), owned: Owned::NotYet, place }
    }

    fn place_at(&self, spot: Spot) -> Place {
        Place { file: self.place.file.clone(), line: spot.line, column: spot.column }
    }
}

impl Reader<'_> {
    /// Reads one file to its end.
    fn file(&mut self, source: Box<dyn Read + '_>, context: &mut Context) {
        self.open.push(context.place.file.clone());
        self.lines(source, context);
        self.open.pop();
    }

    fn lines(&mut self, source: Box<dyn Read + '_>, context: &mut Context) {
        let mut scanner = Scanner::new(source);
        let mut more = scanner.begin();
        if matches!(more, Ok(true)) && scanner.take_byte_order_mark() {
            let place = context.place_at(scanner.spot());
            self.faults.warning(place, "a byte order mark stands at the start of the file and is ignored");
        }
        loop {
            match more {
                Ok(true) => self.line(&mut scanner, context),
                Ok(false) => return,
                Err(error) => return self.unreadable(&scanner, context, &error),
            }
            more = scanner.next_line();
        }
    }

    /// Reads the entry that begins on this line, if one does.
    #[inline]
    fn line(&mut self, scanner: &mut Scanner<'_>, context: &mut Context) {
        let Some(start) = scanner.start() else { return };
        if let Err(complaint) = self.entry(scanner, context, start) {
            self.complain(context, *complaint);
            if let Err(complaint) = scanner.recover() {
                self.complain(context, *complaint);
            }
        }
    }

    #[cold]
    fn complain(&mut self, context: &Context, complaint: Complaint) {
        self.faults.error(context.place_at(complaint.spot), complaint.message);
    }

    #[cold]
    fn unreadable(&mut self, scanner: &Scanner<'_>, context: &Context, error: &io::Error) {
        self.faults.error(context.place_at(scanner.spot()), format!("expected to read on, but: {error}"));
    }
}
