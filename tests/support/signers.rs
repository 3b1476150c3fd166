//! Zones signed by other programs: ldns' signer and BIND's.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a zone is signed.
#[derive(Debug)]
pub struct Way {
    pub name: &'static str,
    signer: Signer,
    /// Whose name both programs know; bits of its keys, where they have to be told.
    algorithm: (&'static str, Option<&'static str>),
    options: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
enum Signer {
    Ldns,
    Bind,
}

const P256: (&str, Option<&str>) = ("ECDSAP256SHA256", None);
const P384: (&str, Option<&str>) = ("ECDSAP384SHA384", None);
const ED25519: (&str, Option<&str>) = ("ED25519", None);
const RSA: (&str, Option<&str>) = ("RSASHA256", Some("2048"));

const fn way(
    name: &'static str,
    signer: Signer,
    algorithm: (&'static str, Option<&'static str>),
    options: &'static [&'static str],
) -> Way {
    Way { name, signer, algorithm, options }
}

/// Those that prove what does not exist by names.
pub const BY_NAMES: [Way; 2] =
    [way("NSEC by ldns", Signer::Ldns, P256, &[]), way("NSEC by BIND", Signer::Bind, ED25519, &[])];

/// Those that prove it by hashes.
pub const BY_HASHES: [Way; 5] = [
    way("NSEC3 by ldns", Signer::Ldns, ED25519, &["-n", "-t", "0"]),
    way("NSEC3 by BIND", Signer::Bind, P384, &["-3", "-"]),
    way("opt-out by BIND", Signer::Bind, P256, &["-3", "-", "-A"]),
    way("opt-out by ldns", Signer::Ldns, RSA, &["-n", "-p", "-t", "7", "-s", "C0FFEE"]),
    way("salted by BIND", Signer::Bind, RSA, &["-3", "ABCD", "-H", "5"]),
];

/// A zone that was signed.
pub struct Signed {
    pub file: PathBuf,
    /// Its DNSKEY record, as text.
    pub key: String,
}

/// Signs the zone in `file` with a new key; all files stand in `dir`. What a signer has to say against it is the error.
pub fn sign(dir: &Path, zone: &str, file: &Path, way: &Way) -> Result<Signed, String> {
    let signed = PathBuf::from(format!("{}.signed", file.display()));
    let (algorithm, bits) = way.algorithm;
    let bits: Vec<&str> = bits.map_or(vec![], |bits| vec!["-b", bits]);
    let paths =
        |key: &str| [dir.join(key), signed.clone(), file.to_owned()].map(|path| path.display().to_string());
    let key = match way.signer {
        Signer::Ldns => {
            let key = run(dir, "ldns-keygen", &[&["-a", algorithm, "-k"], &bits[..], &[zone]].concat())?;
            let [key_path, signed, file] = paths(key.trim());
            let options = [way.options, &["-o", zone, "-f", &signed, &file, &key_path]].concat();
            run(dir, "ldns-signzone", &options)?;
            key
        }
        Signer::Bind => {
            let words = [&["-q", "-a", algorithm, "-f", "KSK"], &bits[..], &[zone]].concat();
            let key = run(dir, "dnssec-keygen", &words)?;
            let [key_path, signed, file] = paths(key.trim());
            let more = ["-q", "-P", "-z", "-S", "-x", "-o", zone, "-f", &signed, &file, &key_path];
            run(dir, "dnssec-signzone", &[way.options, &more].concat())?;
            key
        }
    };
    let key = dir.join(format!("{}.key", key.trim()));
    let key = std::fs::read_to_string(&key).map_err(|error| format!("{}: {error}", key.display()))?;
    Ok(Signed { file: signed, key })
}

fn run(dir: &Path, program: &str, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(words).current_dir(dir).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?}: {errors}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
