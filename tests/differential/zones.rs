//! What is served: the example zones, the built-in ones, those written by hand under `zones/`, those
//! made by chance; as a stage of its own, a root zone, beside which no name is outside; and many of them once more,
//! signed in one way or another.

use crate::generate::family;
use crate::oracle::names::{Wire, from_text};
use crate::rng::Rng;
use crate::signers::{BY_HASHES, BY_NAMES, Way, sign};
use hivedns::zone::{builtin::BUILTIN, examples::EXAMPLES};
use std::fs;
use std::path::{Path, PathBuf};

/// Families of generated zones per run.
const FAMILIES: u64 = 16;
/// The same in each of the stages that are signed.
const SIGNED_FAMILIES: u64 = 5;

/// Zones that are served together.
pub struct Stage {
    pub name: &'static str,
    /// Configured in every server.
    pub zones: Vec<(Wire, PathBuf)>,
    /// Configured in the peers only: hivedns has them without being told.
    pub built_in: Vec<(Wire, PathBuf)>,
    /// Its zones are signed: most questions want to see that.
    pub signed: bool,
}

macro_rules! by_hand {
    ($($origin:literal)*) => {
        &[$(($origin, include_str!(concat!("zones/", $origin, ".zone")))),*]
    };
}

const BY_HAND: &[(&str, &str)] = by_hand! {
    "wildcards.test" "apex-wildcard.test" "aliases.test" "cuts.test" "shapes.test" "nested.test"
    "child.nested.test" "grand.child.nested.test" "no-cut.deep.nested.test" "ordinary.test" "low-soa.test"
};

const ROOT: &str = include_str!("zones/root.zone");

/// All stages of a run, their files written below `dir`.
pub fn stages(dir: &Path, seed: u64) -> Vec<Stage> {
    let mut rng = Rng::new(seed);
    let mut all = Stage { name: "all zones", ..Stage::new(false) };
    for (origin, file, text) in EXAMPLES {
        all.zones.push(written(dir, file, origin, text));
    }
    for (origin, text) in BY_HAND {
        all.zones.push(written(dir, &format!("{origin}.zone"), origin, text));
    }
    for number in 0..FAMILIES {
        for (member, zone) in family(rng.next(), &format!("f{number}.chance.test.")).iter().enumerate() {
            all.zones.push(written(dir, &format!("f{number}-{member}.zone"), &zone.origin, &zone.text));
        }
    }
    for (number, (origin, _, text)) in BUILTIN.iter().enumerate() {
        all.built_in.push(written(dir, &format!("built-in-{number}.zone"), origin, text));
    }
    let mut root = Stage { name: "root zone", built_in: all.built_in.clone(), ..Stage::new(false) };
    root.zones.push(written(dir, "root.zone", ".", ROOT));
    for (member, zone) in family(rng.next(), "chance.").iter().enumerate() {
        root.zones.push(written(dir, &format!("root-{member}.zone"), &zone.origin, &zone.text));
    }
    let by_names = signed("signed, NSEC", &BY_NAMES, dir, &mut rng);
    let by_hashes = signed("signed, NSEC3", &BY_HASHES, dir, &mut rng);
    vec![all, root, by_names, by_hashes]
}

impl Stage {
    fn new(signed: bool) -> Stage {
        Stage { name: "", zones: Vec::new(), built_in: Vec::new(), signed }
    }
}

/// Zones that NSD cannot read as the signers write them: names of octets that are no text.
const NOT_SIGNED: [&str; 1] = ["shapes.test"];

/// Zones by hand and by chance, signed in these ways by turns.
fn signed(name: &'static str, ways: &[Way], dir: &Path, rng: &mut Rng) -> Stage {
    let dir = dir.join(name.replace([' ', ','], "-"));
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut stage = Stage { name, ..Stage::new(true) };
    let mut plain: Vec<_> = BY_HAND
        .iter()
        .filter(|(origin, _)| !NOT_SIGNED.contains(origin))
        .map(|(origin, text)| (format!("{origin}."), written(&dir, &format!("{origin}.zone"), origin, text)))
        .collect();
    for number in 0..SIGNED_FAMILIES {
        for (member, zone) in family(rng.next(), &format!("s{number}.chance.test.")).iter().enumerate() {
            let file = format!("s{number}-{member}.zone");
            plain.push((zone.origin.clone(), written(&dir, &file, &zone.origin, &zone.text)));
        }
    }
    for (number, (zone, (origin, file))) in plain.into_iter().enumerate() {
        // BIND's cannot sign a zone with the longest names.
        let ways = ways.iter().cycle().skip(number).take(ways.len());
        let mut refused = Vec::new();
        let signed = ways
            .map(|way| sign(&dir, &zone, &file, way))
            .find_map(|signed| signed.map_err(|why| refused.push(why)).ok());
        let signed = signed.unwrap_or_else(|| panic!("{zone}: {refused:?}"));
        stage.zones.push((origin, signed.file));
    }
    stage
}

fn written(dir: &Path, file: &str, origin: &str, text: &str) -> (Wire, PathBuf) {
    let path = dir.join(file);
    fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (from_text(origin).unwrap_or_else(|| panic!("{origin} is no name")), path)
}
