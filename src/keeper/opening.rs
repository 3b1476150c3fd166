//! Which state directory is opened at the start, and what follows if that fails.
//!
//! A directory that somebody named has to work. Without one, the server starts all the same: several on one machine
//! are a normal thing to try, and so is one without any rights. It then remembers nothing, and says so.

use crate::disk::fault::DiskError;
use crate::disk::place::{SYSTEM_DIR, default_dir};
use crate::disk::{Restored, StateDir};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

/// The superuser's number.
const ROOT: u32 = 0;

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

/// Before a server that was started as root becomes another user: makes the directory that it will open, and gives
/// it to that user with all that root left in it. A directory that others than root had in their hands is left as it
/// is: what they put there is not to become that user's by root's doing. The directory, if it was handed over.
pub fn hand_over(named: &str, (uid, gid): (u32, u32)) -> io::Result<Option<PathBuf>> {
    let path = PathBuf::from(if named.is_empty() { SYSTEM_DIR } else { named });
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(&path)?;
    let is_roots_alone = found.is_dir() && found.uid() == ROOT && found.mode() & 0o022 == 0;
    if uid == ROOT || !is_roots_alone {
        return Ok(None);
    }
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            lchown(entry.path(), Some(uid), Some(gid))?;
        }
    }
    // Last: from here on it is in another's hands.
    lchown(&path, Some(uid), Some(gid))?;
    Ok(Some(path))
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
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

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

    #[test]
    fn what_root_left_is_handed_over_and_what_others_could_touch_is_not() {
        let top = std::env::temp_dir().join(format!("hivedns-handed-{}", std::process::id()));
        let (state, open) = (top.join("state"), top.join("open"));
        let (dir, named) = (
            |path: &Path| fs::create_dir_all(path).unwrap(),
            |path: &Path| path.to_str().unwrap().to_owned(),
        );
        [&top, &state, &open].into_iter().for_each(|path| dir(path));
        let nobody = (65_534, 65_534);
        if fs::metadata(&top).unwrap().uid() != ROOT {
            // There is nothing to give away.
            assert_eq!(hand_over(&named(&state), nobody).unwrap(), None);
            return fs::remove_dir_all(top).unwrap();
        }
        fs::write(top.join("secret"), "").unwrap();
        fs::write(state.join("identity"), "").unwrap();
        symlink(top.join("secret"), state.join("link")).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        fs::write(open.join("identity"), "").unwrap();
        let owner = |path: PathBuf| fs::symlink_metadata(path).unwrap().uid();
        assert_eq!(hand_over(&named(&state), nobody).unwrap(), Some(state.clone()));
        assert_eq!((owner(state.join("identity")), owner(state.clone())), (nobody.0, nobody.0));
        assert_eq!((owner(top.join("secret")), owner(state.join("link"))), (ROOT, ROOT));
        // Done once; and never where somebody else had a hand.
        assert_eq!(hand_over(&named(&state), nobody).unwrap(), None);
        assert_eq!(hand_over(&named(&open), nobody).unwrap(), None);
        assert_eq!(owner(open.join("identity")), ROOT);
        let fresh = top.join("fresh");
        assert_eq!(hand_over(&named(&fresh), nobody).unwrap(), Some(fresh.clone()));
        assert_eq!(fs::metadata(&fresh).unwrap().mode() & 0o777, 0o700);
        fs::remove_dir_all(top).unwrap();
    }
}
