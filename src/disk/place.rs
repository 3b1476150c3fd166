//! Which directory holds the state where the configuration names none: the system's, else the user's own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's directory: for a server that is started by it, and in the image.
pub const SYSTEM_DIR: &str = "/var/lib/hivedns";

/// The directory's name below that of the user's state.
const USER_NAME: &str = "hivedns";

/// The directory for a process that may or may not write to the system's ([`SYSTEM_DIR`], or the one above it if
/// that is not there yet). `None`: the environment knows no other, so there is no place for state.
///
/// XDG Base Directory Specification: `$XDG_STATE_HOME`, or `$HOME/.local/state` where that is unset or empty; a
/// relative path there is invalid and ignored.
pub fn default_dir(system_is_writable: bool, environment: &BTreeMap<String, OsString>) -> Option<PathBuf> {
    if system_is_writable {
        return Some(PathBuf::from(SYSTEM_DIR));
    }
    let named = |variable: &str| environment.get(variable).map(Path::new).filter(|path| path.is_absolute());
    let home = match named("XDG_STATE_HOME") {
        Some(path) => path.to_owned(),
        None => named("HOME")?.join(".local/state"),
    };
    Some(home.join(USER_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directory, or nothing; the environment as `NAME=value` words.
    fn found(system_is_writable: bool, environment: &str) -> String {
        let pairs = environment.split(' ').filter_map(|pair| pair.split_once('='));
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
        default_dir(system_is_writable, &environment).unwrap_or_default().display().to_string()
    }

    #[test]
    fn the_system_comes_before_the_user_and_absolute_paths_alone_count() {
        assert_eq!(found(true, "XDG_STATE_HOME=/x HOME=/h"), "/var/lib/hivedns");
        assert_eq!(found(false, "XDG_STATE_HOME=/x HOME=/h"), "/x/hivedns");
        assert_eq!(found(false, "XDG_STATE_HOME= HOME=/h"), "/h/.local/state/hivedns");
        assert_eq!(found(false, "XDG_STATE_HOME=x HOME=/h"), "/h/.local/state/hivedns");
        assert_eq!(found(false, "HOME=/h"), "/h/.local/state/hivedns");
        assert_eq!(found(false, "HOME=h"), "");
        assert_eq!(found(false, ""), "");
    }
}
