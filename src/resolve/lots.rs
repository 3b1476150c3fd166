//! What nobody outside may foresee: ids, ports, the case of letters, and whom to probe when. The octets come from the
//! system's generator by way of whoever owns the machine, many at once, so that a query costs no system call.

use crate::resolve::exchange::Lot;

/// Octets drawn from the system at once: some fifty queries' worth.
pub const LOTS_OCTETS: usize = 1_024;

/// A supply of octets that were drawn from the system; each is handed out once.
pub struct Lots {
    source: Box<dyn FnMut() -> Option<[u8; LOTS_OCTETS]> + Send>,
    octets: [u8; LOTS_OCTETS],
    used: usize,
}

impl Lots {
    /// `source` asks the system's cryptographic generator, and has nothing where that fails.
    pub fn new(source: impl FnMut() -> Option<[u8; LOTS_OCTETS]> + Send + 'static) -> Lots {
        Lots { source: Box::new(source), octets: [0; LOTS_OCTETS], used: LOTS_OCTETS }
    }

    /// Fills `place`; false, and nothing to be used, if the system had nothing.
    #[must_use]
    fn fill(&mut self, place: &mut [u8]) -> bool {
        if self.used + place.len() > LOTS_OCTETS {
            let Some(octets) = (self.source)() else { return false };
            (self.octets, self.used) = (octets, 0);
        }
        let Some(drawn) = self.octets.get_mut(self.used..self.used + place.len()) else { return false };
        place.copy_from_slice(drawn);
        // What was handed out is in no later core dump.
        drawn.fill(0);
        self.used += place.len();
        true
    }

    /// A number below `bound`, each equally likely but for one part in 2^16; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u16) -> Option<u16> {
        let mut octets = [0; 4];
        let drawn = self.fill(&mut octets);
        let spread = u64::from(u32::from_le_bytes(octets)) * u64::from(bound);
        drawn.then_some((spread >> 32) as u16)
    }

    /// So many bits that nobody guesses them.
    pub fn token(&mut self) -> Option<[u64; 2]> {
        let (mut first, mut second) = ([0; 8], [0; 8]);
        let drawn = self.fill(&mut first) && self.fill(&mut second);
        drawn.then(|| [first, second].map(u64::from_le_bytes))
    }

    /// An id, and the case for a name of that many octets.
    pub fn lot(&mut self, name_octets: usize) -> Option<Lot> {
        let (mut id, mut case) = ([0; 2], [0; 32]);
        let bits = case.get_mut(..name_octets.div_ceil(8))?;
        (self.fill(&mut id) && self.fill(bits)).then(|| Lot { id: u16::from_le_bytes(id), case })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_octet_is_handed_out_twice_and_none_is_made_up() {
        let mut draws = 0u8;
        let mut lots = Lots::new(move || {
            draws += 1;
            (draws <= 2).then_some([draws; LOTS_OCTETS])
        });
        let mut place = [0; 1_000];
        assert!(lots.fill(&mut place) && place == [1; 1_000]);
        // What is left of the first draw is too little.
        assert!(lots.fill(&mut place) && place == [2; 1_000]);
        assert!(!lots.fill(&mut place));
        let lot = lots.lot(16).unwrap();
        assert_eq!((lot.id, lot.case[..3].to_vec()), (0x0202, vec![2, 2, 0]));
        assert!(lots.below(7).is_some_and(|number| number < 7));
        assert!(lots.lot(255).is_none());
    }
}
