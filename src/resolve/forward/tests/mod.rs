//! The machine in virtual time.

mod load;
mod random;
mod scenarios;
mod script;

use crate::resolve::harvest::Caps;
use crate::resolve::lots::{LOTS_OCTETS, Lots};
use std::net::SocketAddr;

const CAPS: Caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };

/// Lots of a test: the same for the same seed.
pub(super) fn lots(seed: u64) -> Lots {
    let mut rng = fastrand::Rng::with_seed(seed);
    Lots::new(move || {
        let mut octets = [0; LOTS_OCTETS];
        rng.fill(&mut octets);
        Some(octets)
    })
}

/// The address of the upstream with that number.
fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 53))
}
