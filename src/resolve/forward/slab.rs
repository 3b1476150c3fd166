//! A table of fixed size whose places are used again, and keys that know when their place was.

/// No place.
pub(super) const NONE: u16 = u16::MAX;

/// What was put into a place at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    index: u16,
    generation: u32,
}

impl Key {
    /// The place.
    pub(super) fn index(self) -> u16 {
        self.index
    }
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

/// The table: a key finds what was put in with it, or nothing.
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u16>,
    capacity: usize,
}

impl<T> Slab<T> {
    /// Room for that many, fewer than [`NONE`]; nothing is allocated later.
    pub(super) fn new(capacity: u16) -> Slab<T> {
        let capacity = usize::from(capacity.min(NONE - 1));
        Slab { places: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Takes the value in, if there is room.
    pub(super) fn insert(&mut self, value: T) -> Option<Key> {
        if let Some(index) = self.free.pop() {
            let place = self.places.get_mut(usize::from(index))?;
            place.generation = place.generation.wrapping_add(1);
            place.value = Some(value);
            return Some(Key { index, generation: place.generation });
        }
        if self.places.len() >= self.capacity {
            return None;
        }
        self.places.push(Place { generation: 0, value: Some(value) });
        Some(Key { index: (self.places.len() - 1) as u16, generation: 0 })
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let place =
            self.places.get_mut(usize::from(key.index)).filter(|place| place.generation == key.generation)?;
        let value = place.value.take()?;
        self.free.push(key.index);
        Some(value)
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let place =
            self.places.get(usize::from(key.index)).filter(|place| place.generation == key.generation);
        place.and_then(|place| place.value.as_ref())
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(usize::from(key.index));
        place.filter(|place| place.generation == key.generation).and_then(|place| place.value.as_mut())
    }

    /// The key of what is at that place.
    pub(super) fn key(&self, index: u16) -> Option<Key> {
        let place = self.places.get(usize::from(index)).filter(|place| place.value.is_some())?;
        Some(Key { index, generation: place.generation })
    }

    /// What is at that place now.
    pub(super) fn at(&self, index: u16) -> Option<&T> {
        self.places.get(usize::from(index)).and_then(|place| place.value.as_ref())
    }

    pub(super) fn at_mut(&mut self, index: u16) -> Option<&mut T> {
        self.places.get_mut(usize::from(index)).and_then(|place| place.value.as_mut())
    }

    /// All keys with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let key = Key { index: index as u16, generation: place.generation };
            place.value.as_ref().map(|value| (key, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_find_what_came_later_to_its_place() {
        let mut slab = Slab::new(2);
        let (a, b) = (slab.insert('a').unwrap(), slab.insert('b').unwrap());
        assert!(slab.is_full() && slab.insert('c').is_none());
        assert_eq!(slab.remove(a), Some('a'));
        let c = slab.insert('c').unwrap();
        assert_eq!((slab.get(a), slab.get(b), slab.get(c)), (None, Some(&'b'), Some(&'c')));
        assert_eq!((slab.remove(a), c.index(), slab.key(0)), (None, a.index(), Some(c)));
    }
}
