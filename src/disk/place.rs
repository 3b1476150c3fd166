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

    #[test]
    fn the_system_comes_before_the_user_and_absolute_paths_alone_count() {
        let cases: &[(bool, &[(&str, &str)], Option<&str>)] = &[
            (true, &[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], Some("/var/lib/hivedns")),
            (false, &[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], Some("/x/hivedns")),
            (false, &[("XDG_STATE_HOME", ""), ("HOME", "/h")], Some("/h/.local/state/hivedns")),
            (false, &[("XDG_STATE_HOME", "x"), ("HOME", "/h")], Some("/h/.local/state/hivedns")),
            (false, &[("HOME", "/h")], Some("/h/.local/state/hivedns")),
            (false, &[("HOME", "h")], None),
            (false, &[], None),
        ];
        for (writable, environment, expected) in cases {
            let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.into()));
            let found = default_dir(*writable, &environment.collect());
            assert_eq!(found.as_deref(), expected.map(Path::new));
        }
    }
}
