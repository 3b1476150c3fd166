//! What is known of zones and cuts, for as long as their owners allow, in bounded memory.

use crate::base::time::Moment;
use crate::resolve::validate::check::{Digest, Keys};
use crate::resolve::validate::limits::{
    REMEMBERED_FOR_MAX, REMEMBERED_FOR_MIN, REMEMBERED_MAX, REMEMBERED_OCTETS_MAX,
};
use crate::resolve::validate::verdict::Cause;
use crate::wire::name::Name;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What is known of a name as a place where a zone may begin.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// A zone with these keys.
    Secure(Arc<Keys>),
    /// A zone with these DS records; its keys are not known yet.
    Delegated(Arc<Vec<Digest>>),
    /// The zone above proves that nothing below is signed, or signed in a way that is known here.
    Insecure(Option<Cause>),
    /// It should be secure and is not.
    Bogus(Cause),
    /// No zone begins here.
    NoCut,
    /// The name does not exist, nor does any below it (RFC 8020).
    Absent,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    place: (Moment, u64),
    octets: usize,
}

/// Octets of an entry with that name.
fn octets_of(name: &Name, known: &Known) -> usize {
    let own = match known {
        Known::Secure(keys) => keys.octets(),
        Known::Delegated(digests) => digests.iter().map(Digest::octets).sum(),
        Known::Insecure(_) | Known::Bogus(_) | Known::NoCut | Known::Absent => 0,
    };
    // The name stands in both maps.
    own + size_of::<Entry>() + 2 * (size_of::<Name>() + name.as_wire().len())
}

/// Each entry stands once in `order`, under its `place`; there are at most [`REMEMBERED_MAX`], whose octets are `octets`
/// and at most [`REMEMBERED_OCTETS_MAX`].
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: HashMap<Name, Entry>,
    /// By when they end; the second number tells those apart that end together.
    order: BTreeMap<(Moment, u64), Name>,
    remembered: u64,
    octets: usize,
}

impl Memory {
    pub(super) fn get(&self, now: Moment, name: &Name) -> Option<&Known> {
        let entry = self.entries.get(name)?;
        (entry.place.0 > now).then_some(&entry.known)
    }

    /// Remembers `known` for `ttl` seconds, within bounds.
    pub(super) fn keep(&mut self, now: Moment, name: &Name, known: Known, ttl: u32) {
        let span = Duration::from_secs(u64::from(ttl)).clamp(REMEMBERED_FOR_MIN, REMEMBERED_FOR_MAX);
        self.forget(name);
        let octets = octets_of(name, &known);
        while self.entries.len() >= REMEMBERED_MAX || self.octets + octets > REMEMBERED_OCTETS_MAX {
            let Some((_, first)) = self.order.pop_first() else { break };
            self.forget(&first);
        }
        self.octets += octets;
        self.remembered += 1;
        let place = (now + span, self.remembered);
        self.order.insert(place, name.clone());
        self.entries.insert(name.clone(), Entry { known, place, octets });
    }

    fn forget(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.order.remove(&entry.place);
            self.octets -= entry.octets;
        }
    }

    /// Forgets all at `name` and below it.
    pub(super) fn flush(&mut self, name: &Name) {
        self.entries.retain(|known, _| !known.is_at_or_below(name));
        self.order.retain(|_, known| !known.is_at_or_below(name));
        self.octets = self.entries.values().map(|entry| entry.octets).sum();
    }

    /// How many names.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::validate::check::Key;

    #[test]
    fn what_ends_soonest_makes_room() {
        let mut memory = Memory::default();
        let name = |i: usize| Name::parse(&format!("n{i}.example.")).unwrap();
        for i in 0..=REMEMBERED_MAX {
            memory.keep(Moment::START, &name(i), Known::NoCut, 100 + u32::from(i != 7));
            memory.keep(Moment::START, &name(i), Known::NoCut, 100 + u32::from(i != 7));
        }
        assert_eq!((memory.len(), memory.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(memory.get(Moment::START, &name(7)).is_none());
        assert!(memory.get(Moment::START, &name(8)).is_some());
        assert!(memory.get(Moment::START + Duration::from_secs(101), &name(8)).is_none());
        memory.flush(&Name::parse("example.").unwrap());
        assert_eq!((memory.len(), memory.order.len(), memory.octets), (0, 0, 0));
    }

    #[test]
    fn large_sets_of_keys_make_room_for_each_other_by_their_octets() {
        let mut memory = Memory::default();
        let name = |i: usize| Name::parse(&format!("n{i}.example.")).unwrap();
        // As large as a message holds, of protocol 3 and algorithm 13.
        let rdata = [&[1, 0, 3, 13][..], &[7; 65_000]].concat();
        let keys = vec![Key::read(&rdata).unwrap()];
        let keys = Known::Secure(Arc::new(Keys { zone: Name::ROOT, keys }));
        let fit = REMEMBERED_OCTETS_MAX / octets_of(&name(1_000), &keys);
        memory.keep(Moment::START, &name(0), Known::NoCut, 300);
        for i in 1_000..1_000 + 2 * fit {
            memory.keep(Moment::START, &name(i), keys.clone(), 100);
            assert!(memory.octets <= REMEMBERED_OCTETS_MAX);
        }
        // What ends later stays.
        assert!(memory.get(Moment::START, &name(0)).is_some());
        assert!((fit..=fit + 1).contains(&memory.len()), "{} of {fit}", memory.len());
        let sum: usize = memory.entries.iter().map(|(name, entry)| octets_of(name, &entry.known)).sum();
        assert_eq!((memory.octets, memory.order.len()), (sum, memory.len()));
    }
}
