//! How the zones that come from elsewhere stand, for people.

use crate::transfer::secondary::{Secondaries, Standing};
use crate::wire::name::Name;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Told anew whenever something changed.
#[derive(Clone, Default)]
pub struct Standings(Arc<ArcSwap<BTreeMap<Name, Standing>>>);

impl Standings {
    pub(super) fn publish(&self, secondaries: &Secondaries) {
        let all = secondaries.standings();
        if **self.0.load() != all {
            self.0.store(Arc::new(all));
        }
    }

    /// How a zone stands; `None` if it does not come from elsewhere.
    pub fn of(&self, origin: &Name) -> Option<Standing> {
        self.0.load().get(origin).cloned()
    }
}
