//! Keys and signatures by another program, ldns.

use crate::apart::run;
use std::path::{Path, PathBuf};

/// A signing key of a zone, made in `dir`: the path of its files without their ending.
pub fn key(dir: &Path, zone: &str) -> PathBuf {
    // It writes to where it stands.
    let here = dir.display().to_string();
    let made = run("env", &["-C", &here, "ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone]);
    dir.join(made.trim())
}

/// One of the files of a key.
pub fn ending(key: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", key.display()))
}

/// Signs the zone in `file`; where the result stands.
pub fn sign(zone: &str, file: &Path, key: &Path, options: &[&str]) -> PathBuf {
    let signed = file.with_extension("signed");
    let paths = [&signed, file, key].map(|path: &Path| path.display().to_string());
    let words = [options, &["-o", zone, "-f"], &paths.each_ref().map(String::as_str)].concat();
    run("ldns-signzone", &words);
    signed
}
