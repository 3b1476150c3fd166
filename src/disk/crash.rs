//! For tests: acts that fail, and acts that a crash cuts short, with everything that a disk may show afterwards.

use super::hand::Act;
use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

/// What is left of the act that was struck.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left {
    /// It was never begun.
    Nothing,
    /// That many octets, counted around the number that were to be written.
    Part(usize),
    /// All octets were made room for, but behind that many they are zero.
    Holes(usize),
    /// All of it, but nobody was told.
    All,
}

/// Which act is struck, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
    /// Acts that go well before it.
    pub(super) after: usize,
    pub(super) left: Left,
    /// True if the process ends with it: no act comes after.
    pub(super) deadly: bool,
}

/// The hand's luck.
#[derive(Default)]
pub(super) struct Faults {
    strike: Cell<Option<Strike>>,
    dead: Cell<bool>,
}

impl Faults {
    pub(super) fn plan(&self, strike: Option<Strike>) {
        self.strike.set(strike);
    }

    /// What the caller is told instead of acting; `None`: act.
    pub(super) fn strike(&self, act: &Act<'_>) -> Option<io::Result<()>> {
        if self.dead.get() {
            return Some(Err(io::ErrorKind::StorageFull.into()));
        }
        let strike = self.strike.get()?;
        if let Some(after) = strike.after.checked_sub(1) {
            self.strike.set(Some(Strike { after, ..strike }));
            return None;
        }
        self.strike.set(None);
        self.dead.set(strike.deadly);
        leave(act, strike.left);
        Some(Err(io::ErrorKind::StorageFull.into()))
    }
}

fn leave(act: &Act<'_>, left: Left) {
    match (act, left) {
        (_, Left::Nothing) | (Act::Rename { .. } | Act::Remove { .. }, Left::Part(_)) => {}
        (Act::Rename { from, to }, Left::Holes(_) | Left::All) => fs::rename(from, to).unwrap(),
        (Act::Remove { path }, Left::Holes(_) | Left::All) => drop(fs::remove_file(path)),
        (Act::Put { path, at, octets }, left) => {
            let whole = octets.len();
            let (written, len) = match left {
                Left::Nothing => return,
                Left::Part(count) => (count % (whole + 1), count % (whole + 1)),
                Left::Holes(count) => (count % (whole + 1), whole),
                Left::All => (whole, whole),
            };
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
            file.set_len(*at).unwrap();
            file.write_all_at(&octets[..written], *at).unwrap();
            file.set_len(*at + len as u64).unwrap();
        }
    }
}
