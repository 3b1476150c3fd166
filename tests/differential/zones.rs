//! What is served: the example zones, the built-in ones, those written by hand under `zones/`, those
//! made by chance; and, as a stage of its own, a root zone, beside which no name is outside.

use crate::generate::family;
use crate::oracle::names::{Wire, from_text};
use crate::rng::Rng;
use hivedns::zone::{builtin::BUILTIN, examples::EXAMPLES};
use std::fs;
use std::path::{Path, PathBuf};

/// Families of generated zones per run.
const FAMILIES: u64 = 16;

/// Zones that are served together.
pub struct Stage {
    pub name: &'static str,
    /// Configured in every server.
    pub zones: Vec<(Wire, PathBuf)>,
    /// Configured in the peers only: hivedns has them without being told.
    pub built_in: Vec<(Wire, PathBuf)>,
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
    let mut all = Stage { name: "all zones", zones: Vec::new(), built_in: Vec::new() };
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
    let mut root = Stage { name: "root zone", zones: Vec::new(), built_in: all.built_in.clone() };
    root.zones.push(written(dir, "root.zone", ".", ROOT));
    for (member, zone) in family(rng.next(), "chance.").iter().enumerate() {
        root.zones.push(written(dir, &format!("root-{member}.zone"), &zone.origin, &zone.text));
    }
    vec![all, root]
}

fn written(dir: &Path, file: &str, origin: &str, text: &str) -> (Wire, PathBuf) {
    let path = dir.join(file);
    fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (from_text(origin).unwrap_or_else(|| panic!("{origin} is no name")), path)
}
