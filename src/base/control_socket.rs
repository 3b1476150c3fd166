//! Where the control socket is, if nobody says: the server and the verbs must look in the same places.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's own, for a server that runs as a service.
pub const SYSTEM: &str = "/run/hivedns/hivedns.sock";

/// The usual places, the first one first: the system's, then that of the user (`$XDG_RUNTIME_DIR`, if it is an
/// absolute path, as the XDG Base Directory Specification demands).
pub fn usual(environment: &BTreeMap<String, OsString>) -> Vec<PathBuf> {
    let user = environment.get("XDG_RUNTIME_DIR").map(Path::new).filter(|directory| directory.is_absolute());
    std::iter::once(PathBuf::from(SYSTEM))
        .chain(user.map(|directory| directory.join("hivedns.sock")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_s_place_comes_after_the_system_s() {
        let places = |runtime: Option<&str>| {
            let variable = runtime.map(|path| ("XDG_RUNTIME_DIR".to_owned(), path.into()));
            usual(&variable.into_iter().collect())
        };
        assert_eq!(places(None), [PathBuf::from(SYSTEM)]);
        assert_eq!(places(Some("relative")), [PathBuf::from(SYSTEM)]);
        let user = PathBuf::from("/run/user/7/hivedns.sock");
        assert_eq!(places(Some("/run/user/7")), [PathBuf::from(SYSTEM), user]);
    }
}
