//! What this program was built from.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the compiler.
pub const RUSTC: &str = env!("HIVEDNS_RUSTC");

/// The revision of the source: whatever `HIVEDNS_REVISION` was in the environment of the build. The tree is not
/// asked, because an image is built without its history.
pub fn revision() -> Option<&'static str> {
    option_env!("HIVEDNS_REVISION").filter(|revision| !revision.is_empty())
}
