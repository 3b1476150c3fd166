//! Draws by lot that nobody outside can foresee: ids, the case of names, and which server is tried for once.

use crate::resolve::exchange::Lot;

/// Octets taken from the source at once: some thirty exchanges.
const POOL_OCTETS: usize = 1_024;

/// Fills what it is given with octets that nobody can foresee: the system's generator, or in tests a seeded one.
pub type Source = Box<dyn FnMut(&mut [u8]) + Send>;

pub(super) struct Draw {
    source: Source,
    pool: [u8; POOL_OCTETS],
    used: usize,
}

impl Draw {
    pub(super) fn new(source: Source) -> Draw {
        Draw { source, pool: [0; POOL_OCTETS], used: POOL_OCTETS }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > POOL_OCTETS {
            (self.source)(&mut self.pool);
            self.used = 0;
        }
        let drawn = self.pool.get(self.used..).and_then(|rest| rest.first_chunk::<N>()).copied();
        self.used += N;
        drawn.unwrap_or([0; N])
    }

    /// What an exchange needs; the case stays low for servers that do not repeat it.
    pub(super) fn lot(&mut self, mixes_case: bool) -> Lot {
        let id = u16::from_be_bytes(self.take());
        Lot { id, case: if mixes_case { self.take() } else { [0; 32] } }
    }

    /// A number below `end`, nearly evenly; 0 if that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let drawn = usize::from(u16::from_be_bytes(self.take()));
        drawn.checked_rem(end).unwrap_or_default()
    }
}
