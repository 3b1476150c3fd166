//! A node's own clock: it began at another moment than the world's, and it is a little fast or slow.
//!
//! A machine that compared a moment of its own with one of another node would be found out by this.

use crate::base::time::{LOOK_BACK, Moment};

/// How far a quartz clock drifts at worst: parts of a million.
pub const DRIFT_PPM_MAX: i64 = 100;
/// Microseconds by which a clock's start may lie before the world's: a machine that was up for a month.
const OFFSET_MICROS_MAX: u64 = 30 * DAY_MICROS;
/// And at least: what the process's own clock begins with.
const OFFSET_MICROS_MIN: u64 = LOOK_BACK.as_micros() as u64;
const DAY_MICROS: u64 = 86_400 * 1_000_000;

/// How a node's moments follow from the world's.
#[derive(Debug, Clone, Copy)]
pub struct NodeClock {
    offset_micros: u64,
    drift_ppm: i64,
}

impl NodeClock {
    /// A clock by lot.
    pub fn draw(rng: &mut fastrand::Rng) -> NodeClock {
        NodeClock {
            offset_micros: rng.u64(OFFSET_MICROS_MIN..OFFSET_MICROS_MAX),
            drift_ppm: rng.i64(-DRIFT_PPM_MAX..=DRIFT_PPM_MAX),
        }
    }

    /// What the node's clock shows at a moment of the world.
    pub fn local(&self, world: Moment) -> Moment {
        let world = world.as_micros();
        // Split so that no product leaves its range, however late it is.
        let drift = (world / 1_000_000) as i64 * self.drift_ppm
            + (world % 1_000_000) as i64 * self.drift_ppm / 1_000_000;
        Moment::from_micros((self.offset_micros + world).saturating_add_signed(drift))
    }

    /// The first moment of the world at which the node's clock shows `local` or more.
    pub fn world(&self, local: Moment) -> Moment {
        if local == Moment::NEVER {
            return Moment::NEVER;
        }
        let shown = local.as_micros().saturating_sub(self.offset_micros);
        let rate = (1_000_000 + self.drift_ppm) as u64;
        let guess = (shown / rate) * 1_000_000 + (shown % rate) * 1_000_000 / rate;
        // Rounding leaves it a few microseconds off at most.
        let mut world = Moment::from_micros(guess.saturating_sub(3));
        while self.local(world) < local {
            world = Moment::from_micros(world.as_micros() + 1);
        }
        world
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_clock_never_goes_back_and_its_inverse_is_the_first_moment(
            seed in any::<u64>(), world in 0u64..100_000_000_000
        ) {
            let clock = NodeClock::draw(&mut fastrand::Rng::with_seed(seed));
            let world = Moment::from_micros(world);
            let next = Moment::from_micros(world.as_micros() + 1);
            prop_assert!(clock.local(world) <= clock.local(next));
            let back = clock.world(clock.local(world));
            prop_assert!(back <= world);
            prop_assert!(clock.local(back) == clock.local(world));
            prop_assert!(back == Moment::START
                || clock.local(Moment::from_micros(back.as_micros() - 1)) < clock.local(world));
        }
    }

    #[test]
    fn never_stays_never() {
        let clock = NodeClock::draw(&mut fastrand::Rng::with_seed(1));
        assert_eq!(clock.world(Moment::NEVER), Moment::NEVER);
        assert_eq!(clock.world(Moment::START), Moment::START);
    }
}
