//! Which state directory is opened at the start, and what follows if that fails.
//!
//! A directory that somebody named has to work. Without one, the server starts all the same: several on one machine
//! are a normal thing to try, and so is one without any rights. It then remembers nothing, and says so.

use crate::disk::fault::DiskError;
use crate::disk::place::default_dir;
use crate::disk::{Restored, StateDir};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What came of it.
pub enum Opening {
    /// State is kept.
    Open(Box<Opened>),
    /// Nobody named a directory, and the usual ones cannot be used: nothing is kept, for this reason.
    Without(String),
}

/// A state directory in use.
pub struct Opened {
    /// Where.
    pub path: PathBuf,
    /// The directory, locked.
    pub dir: StateDir,
    /// What it held.
    pub restored: Restored,
}

/// Opens the directory that was named; if that is empty, the usual one.
pub fn open(named: &str, environment: &BTreeMap<String, OsString>) -> Result<Opening, DiskError> {
    if named.is_empty() {
        return Ok(open_first(default_dir(true, environment), default_dir(false, environment)));
    }
    open_at(Path::new(named))
}

/// Opens the system's directory; the user's, if this process has no right to that.
fn open_first(system: Option<PathBuf>, user: Option<PathBuf>) -> Opening {
    let without = |error: DiskError| Opening::Without(error.to_string());
    let refusal = match system.as_deref().map(open_at) {
        Some(Ok(opening)) => return opening,
        Some(Err(error)) if !is_for_others(&error) => return without(error),
        Some(Err(error)) => Some(error),
        None => None,
    };
    match (user, refusal) {
        (Some(user), _) => {
            // The one place whose upper directories are made: the XDG Base Directory Specification asks for it.
            // If it fails, opening tells why.
            let above = user.parent().unwrap_or(&user);
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(above);
            open_at(&user).unwrap_or_else(without)
        }
        (None, Some(error)) => without(error),
        (None, None) => Opening::Without("there is no directory for it".to_owned()),
    }
}

fn open_at(path: &Path) -> Result<Opening, DiskError> {
    let (dir, restored) = StateDir::open(path)?;
    Ok(Opening::Open(Box::new(Opened { path: path.to_owned(), dir, restored })))
}

/// True if the directory is not this process's to use; false if it is, but something is wrong with it.
fn is_for_others(error: &DiskError) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    match error {
        DiskError::Refused { error, .. } => {
            matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | NotFound)
        }
        DiskError::Locked { .. }
        | DiskError::Newer { .. }
        | DiskError::Crowded { .. }
        | DiskError::TooLarge { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// `open PATH` or `without REASON`; the directory is closed again.
    fn told(opening: &Opening) -> String {
        match opening {
            Opening::Open(opened) => format!("open {}", opened.path.display()),
            Opening::Without(reason) => format!("without {reason}"),
        }
    }

    #[test]
    fn a_named_directory_has_to_work_a_usual_one_need_not() {
        let top = std::env::temp_dir().join(format!("hivedns-opening-{}", std::process::id()));
        fs::create_dir_all(&top).unwrap();
        let path = |name: &str| top.join(name);
        let none = BTreeMap::new();
        let named = |name: &str| open(path(name).to_str().unwrap(), &none).map(|opening| told(&opening));

        assert!(named("no/such").is_err());
        assert_eq!(named("s").unwrap(), format!("open {}", path("s").display()));

        let missing = Some(path("missing/s"));
        let user = Some(path("home/.local/state/hivedns"));
        let first = open_first(missing.clone(), user.clone());
        assert_eq!(told(&first), format!("open {}", path("home/.local/state/hivedns").display()));
        assert!(told(&open_first(missing.clone(), user)).contains("another hivedns uses this directory"));
        assert!(told(&open_first(missing, None)).starts_with("without "));
        assert!(told(&open_first(None, None)).starts_with("without "));

        // Another server has the system's: the user's is not taken instead, it is another node's identity.
        let system = open_first(Some(path("system")), None);
        assert!(named("system").is_err());
        let second = told(&open_first(Some(path("system")), Some(path("other/s"))));
        assert!(second.contains("another hivedns"), "{second}");
        assert!(!path("other").exists());
        drop((system, first));
        fs::remove_dir_all(top).unwrap();
    }
}
