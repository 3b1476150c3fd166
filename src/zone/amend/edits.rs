//! The names that are taken out, found by their hash: the zone's own, which nobody outside can foresee.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::wire::name::is_at_or_below;
use crate::zone::Zone;
use crate::zone::amend::edit::{Edit, Kept};
use crate::zone::plain::Unsealer;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A name of a zone, made ready to be found.
pub(super) struct Spelled {
    /// Lower-cased, in wire form.
    name: [u8; NAME_OCTETS_MAX],
    key_len: usize,
    hash: u64,
}

impl Spelled {
    /// A name in wire form; `None` outside of the zone.
    pub(super) fn of(zone: &Zone, owner: &[u8]) -> Option<Spelled> {
        let origin = zone.origin_key().as_wire();
        let mut name = [0; NAME_OCTETS_MAX];
        let place = name.get_mut(..owner.len()).filter(|_| is_at_or_below(owner, origin))?;
        place.copy_from_slice(owner);
        place.make_ascii_lowercase();
        let hash = zone.seed().name(place);
        Some(Spelled { name, key_len: owner.len() - origin.len(), hash })
    }

    /// Lower-cased, relative to the apex.
    pub(super) fn key(&self) -> &[u8] {
        self.name.get(..self.key_len).unwrap_or_default()
    }
}

/// All of them, in the order in which they were asked for.
pub(super) struct Edits<'z> {
    pub(super) old: &'z Zone,
    all: Vec<Edit<'z>>,
    /// Where they are, by hash; of several with the same one the next stands under the next number.
    places: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    unsealer: Unsealer,
}

impl<'z> Edits<'z> {
    /// None, of that version.
    pub(super) fn new(old: &'z Zone) -> Edits<'z> {
        Edits { old, all: Vec::new(), places: HashMap::default(), unsealer: Unsealer::default() }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Each with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Edit<'z>)> {
        self.all.iter().enumerate()
    }

    /// The one of that number.
    pub(super) fn at(&self, number: usize) -> Option<&Edit<'z>> {
        self.all.get(number)
    }

    /// The one of that number, to be changed.
    pub(super) fn at_mut(&mut self, number: usize) -> Option<&mut Edit<'z>> {
        self.all.get_mut(number)
    }

    /// The one of that key, if it was asked for.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Edit<'z>> {
        self.at(self.find(self.old.hash_of(key), key).ok()?)
    }

    /// The number of the one with that key, or where it would stand in the table.
    fn find(&self, hash: u64, key: &[u8]) -> Result<usize, u64> {
        let mut place = hash;
        while let Some(&number) = self.places.get(&place) {
            if self.all.get(number).is_some_and(|edit| *edit.key == *key) {
                return Ok(number);
            }
            place = place.wrapping_add(1);
        }
        Err(place)
    }

    fn enter(&mut self, hash: u64, key: &[u8], cased: &[u8]) -> usize {
        match self.find(hash, key) {
            Ok(number) => number,
            Err(place) => {
                let edit = Edit::load(self.old, hash, key, cased.get(..key.len()).unwrap_or(key));
                self.places.insert(place, self.all.len());
                self.all.push(edit);
                self.all.len() - 1
            }
        }
    }

    /// The number of a name's; one that is new is written as in `cased`, which begins with the key.
    pub(super) fn number(&mut self, spelled: &Spelled, cased: &[u8]) -> usize {
        self.enter(spelled.hash, spelled.key(), cased)
    }

    /// The same, given the key alone.
    pub(super) fn number_of(&mut self, key: &[u8], cased: &[u8]) -> usize {
        self.enter(self.old.hash_of(key), key, cased)
    }

    /// The records of the one of that number, by rising type.
    pub(super) fn records(&mut self, number: usize) -> Option<&mut Vec<Kept>> {
        let Edits { old, all, unsealer, .. } = self;
        Some(all.get_mut(number)?.records(old, unsealer))
    }
}

/// A hash that is one already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0.rotate_left(8) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
