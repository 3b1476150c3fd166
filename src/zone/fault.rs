//! What is wrong with a zone and where: the one shape in which every reader and checker of zones complains.

use crate::base::limits::FAULTS_KEPT_MAX;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place in a master file. Lines and columns count from 1; columns count octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named on the command line or in `$INCLUDE`.
    pub file: Arc<Path>,
    /// 1 for the first line.
    pub line: u32,
    /// 1 for the first octet of the line.
    pub column: u32,
}

/// Whether a fault keeps the zone from being served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The zone is served; what the message says was ignored or is unwise.
    Warning,
    /// The zone is not served: it answers SERVFAIL.
    Error,
}

/// One thing wrong with a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// How bad.
    pub severity: Severity,
    /// What, in one line, without a final dot.
    pub message: String,
}

impl fmt::Display for Fault {
    /// `file:line:column: message`, the form that editors and compilers share.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        let warning = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}:{line}:{column}: {warning}{}", file.display(), self.message)
    }
}

/// The faults of one zone, in the order found; beyond [`FAULTS_KEPT_MAX`] only counted.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    kept: Vec<Fault>,
    errors: usize,
    warnings: usize,
}

impl Faults {
    /// Adds an error.
    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors += 1;
        self.keep(Fault { place, severity: Severity::Error, message: message.into() });
    }

    /// Adds a warning.
    pub fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.warnings += 1;
        self.keep(Fault { place, severity: Severity::Warning, message: message.into() });
    }

    /// Adds another's faults and orders all by file, line and column; files stay in the order they came.
    pub fn absorb(&mut self, other: Faults) {
        self.errors += other.errors;
        self.warnings += other.warnings;
        self.kept.extend(other.kept);
        let mut files: Vec<Arc<Path>> = Vec::new();
        for fault in &self.kept {
            if !files.contains(&fault.place.file) {
                files.push(Arc::clone(&fault.place.file));
            }
        }
        self.kept.sort_by_key(|fault| {
            let Place { file, line, column } = &fault.place;
            (files.iter().position(|known| known == file), *line, *column)
        });
        self.kept.truncate(FAULTS_KEPT_MAX);
    }

    /// The faults kept, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.kept.iter()
    }

    /// How many errors there were, kept or not.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there were, kept or not.
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// How many faults were counted but not kept.
    pub fn dropped(&self) -> usize {
        self.errors + self.warnings - self.kept.len()
    }

    fn keep(&mut self, fault: Fault) {
        if self.kept.len() < FAULTS_KEPT_MAX {
            self.kept.push(fault);
        }
    }
}

/// A file that is not on disk (a built-in zone, a test) still has a name to complain under.
pub fn place_in(file: impl Into<PathBuf>, line: u32, column: u32) -> Place {
    Place { file: Arc::from(file.into()), line, column }
}
