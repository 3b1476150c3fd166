//! What the state directory has to say: why it cannot be used, what was wrong in a file, and what became of that.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why something was not done. One line, with what to do about it.
#[derive(Debug)]
pub enum DiskError {
    /// Another process uses the directory. Nothing was changed.
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused. If it was a write, the file holds what it held before or what was to be written, whole.
    Refused {
        /// What was tried, as a verb: `write`.
        step: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A whole file, but of a version that this program does not know. It was left as it is.
    Newer {
        /// The file.
        file: PathBuf,
        /// The version it has.
        version: u32,
        /// The version that this program knows.
        known: u32,
    },
    /// A faulty file, and no name left to keep it under. It was left as it is.
    Crowded {
        /// What is wrong with it.
        fault: Fault,
        /// How many stand aside.
        kept: u32,
    },
    /// More than a file may hold. Nothing was changed.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its octets.
        octets: u64,
        /// Octets that it may have.
        octets_max: u64,
    },
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::Locked { dir } => write!(
                f,
                "{}: another hivedns uses this directory: stop it, or name another with --state-dir",
                dir.display()
            ),
            DiskError::Refused { step, path, error } => {
                write!(f, "{}: cannot {step}: {error}", path.display())?;
                f.write_str(advice(error.kind()))
            }
            DiskError::Newer { file, version, known } => write!(
                f,
                "{}: format {version} is not format {known}, the one that this hivedns knows: start the \
                 hivedns that wrote it, or move the file away",
                file.display()
            ),
            DiskError::Crowded { fault, kept } => {
                write!(f, "{fault}; it cannot be set aside because {kept} such files are: move those away")
            }
            DiskError::TooLarge { what, octets, octets_max } => {
                write!(f, "{what} has {octets} octets; the state directory keeps at most {octets_max}")
            }
        }
    }
}

impl std::error::Error for DiskError {}

/// What an operator can do about it.
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "; make the directory the server's own with chown, or name another with --state-dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable, or name another with --state-dir",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on its file system",
        io::ErrorKind::NotFound => "; create the directory above it, or name another with --state-dir",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; move that file away, or name another directory with --state-dir"
        }
        _ => "",
    }
}

/// Where a file is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, under the name that it had.
    pub file: PathBuf,
    /// The octet, counted from 0, from which on it is wrong.
    pub offset: u64,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, offset, expected, found } = self;
        write!(f, "{}: at octet {offset}: expected {expected}, found {found}", file.display())
    }
}

/// What was wrong with the directory when it was opened, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The last write was cut short, as by a crash. It was not acknowledged; everything before it was kept.
    Torn {
        /// Where the good part ends.
        fault: Fault,
        /// Where the rest lies now; `None`: too many such rests are kept already.
        aside: Option<PathBuf>,
    },
    /// Something that was acknowledged is unreadable.
    Broken {
        /// Where.
        fault: Fault,
        /// Where it lies now.
        aside: PathBuf,
        /// What that means.
        so: &'static str,
    },
    /// A file is gone that this server does not remove.
    Missing {
        /// The file.
        file: PathBuf,
        /// What that means.
        so: &'static str,
    },
}

impl Notice {
    /// True if something acknowledged is lost to this node: an error in the log, not a warning.
    pub fn is_loss(&self) -> bool {
        match self {
            Notice::Torn { .. } => false,
            Notice::Broken { .. } | Notice::Missing { .. } => true,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Torn { fault, aside } => {
                write!(f, "{fault}: a write was cut short; all before it was kept, ")?;
                match aside {
                    Some(aside) => write!(f, "the rest is set aside as {}", name(aside)),
                    None => f.write_str("the rest is dropped, because too many are set aside already"),
                }
            }
            Notice::Broken { fault, aside, so } => {
                write!(f, "{fault}; it is set aside as {}: {so}", name(aside))
            }
            Notice::Missing { file, so } => write!(f, "{}: the file is missing: {so}", file.display()),
        }
    }
}

fn name(path: &Path) -> std::path::Display<'_> {
    path.file_name().map_or(path, Path::new).display()
}
