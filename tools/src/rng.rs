//! Seeded pseudo-random numbers: xoshiro256++ (Blackman, Vigna), its state filled by splitmix64.
//!
//! The same seed gives the same zone and the same questions on every machine and in every version, which is
//! why this is written out here and does not follow the releases of a library.

/// A generator of pseudo-random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng {
    state: [u64; 4],
}

/// One step of splitmix64: a good 64-bit mix of `x`.
pub(crate) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Rng {
        let step = 0x9e37_79b9_7f4a_7c15u64;
        Rng { state: [0, 1, 2, 3].map(|i: u64| mix(seed.wrapping_add(step.wrapping_mul(i)))) }
    }

    /// The generator of a seed for one purpose, so that one purpose's draws do not shift another's.
    pub(crate) fn for_purpose(seed: u64, purpose: &str) -> Rng {
        Rng::new(purpose.bytes().fold(seed, |hash, octet| mix(hash ^ u64::from(octet))))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`, which is not 0 (Lemire's product; its bias of bound / 2^64 does not matter here).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        debug_assert!(bound > 0);
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: f64) -> bool {
        ((self.bits() >> 11) as f64) < percent / 100.0 * (1u64 << 53) as f64
    }

    /// One of the items, each as likely; `None` if there is none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..4).map(|_| rng.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        // Written down, so that a change of the algorithm cannot pass as a change of the zone.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn the_reference_sequence_of_xoshiro_comes_out() {
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let drawn: Vec<u64> = (0..4).map(|_| rng.bits()).collect();
        assert_eq!(drawn, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut rng = Rng::new(1);
        let mut counts = [0u32; 10];
        (0..100_000).for_each(|_| counts[rng.below(10)] += 1);
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }

    #[test]
    fn percents_hold() {
        let mut rng = Rng::new(2);
        let hits = (0..100_000).filter(|_| rng.percent(12.5)).count();
        assert!((12_000..13_000).contains(&hits), "{hits}");
        assert!(!rng.percent(0.0) && rng.percent(100.0));
    }
}
