//! A zone that changes by lot, version by version.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Names of the zone at first.
const NAMES: u64 = 300;

/// The zone as it is to be.
pub(crate) struct World {
    serial: u32,
    /// By name, its records: each `TYPE RDATA`.
    names: BTreeMap<String, Vec<String>>,
    state: u64,
    changes: usize,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let mut world = World { serial: 0, names: BTreeMap::new(), state: seed, changes: 0 };
        (0..NAMES).for_each(|_| world.change());
        world.changes = 0;
        world.serial = 1;
        world
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % bound
    }

    fn change(&mut self) {
        let name = match self.below(8) {
            0 => format!("a{}.b{}.c", self.below(20), self.below(5)),
            1 => format!("*.w{}", self.below(20)),
            _ => format!("n{}", self.below(NAMES)),
        };
        self.changes += 1;
        let octet = self.below(250) + 1;
        match self.below(7) {
            0 => _ = self.names.remove(&name),
            1 => self.add(name, format!("AAAA 2001:db8::{octet:x}")),
            2 => self.add(name, format!("TXT \"text {octet}\" \"{}\"", "x".repeat(octet as usize))),
            3 => self.add(name, format!("MX {octet} n{octet}")),
            4 => self.add(name, format!("SRV 1 2 {octet} n{octet}.elsewhere.test.")),
            _ => self.add(name, format!("A 192.0.2.{octet}")),
        }
    }

    fn add(&mut self, name: String, record: String) {
        let records = self.names.entry(name).or_default();
        if !records.contains(&record) {
            records.push(record);
        }
    }

    /// So many changes, and a new serial.
    pub(crate) fn advance(&mut self, changes: usize) -> u32 {
        (0..changes).for_each(|_| self.change());
        self.serial += 1;
        self.serial
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    /// Changes since the first version.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// Writes it as a master file, whole.
    pub(crate) fn write(&self, file: &Path) {
        let mut text =
            format!("$TTL 300\n@ SOA ns admin {} 3600 5 86400 60\n@ NS ns\nns A 192.0.2.1\n", self.serial);
        for (name, records) in &self.names {
            records.iter().for_each(|record| _ = writeln!(text, "{name} {record}"));
        }
        let new = file.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, file)).expect("a file");
        // Some daemons look at seconds only: each version is to look newer than the one before.
        let time =
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + u64::from(self.serial));
        fs::File::options().write(true).open(file).and_then(|file| file.set_modified(time)).expect("a time");
    }
}
