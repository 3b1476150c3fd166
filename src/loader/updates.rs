//! Updates of zones that change in part: what is asked of the loader, and what became of it.

use crate::wire::name::Name;
use crate::zone::Zone;
use crate::zone::amend::{Amendment, Misfit};
use crate::zone::history::Difference;
use std::fmt;
use std::sync::Arc;

/// Says what is to change, given the version at hand with all updates before this one; `None`: nothing. Whether that was
/// refused is between whoever made it and whoever waits.
pub type Propose = Box<dyn FnOnce(&mut Amendment<'_>) -> Option<Difference> + Send>;
/// Told once the change is on disk and served, or is not made. It must not wait for anything.
pub type Acknowledge = Box<dyn FnOnce(Result<(), Unmade>) + Send>;

/// An update of one zone.
pub struct Update {
    /// The zone's apex.
    pub origin: Name,
    /// What changes; called on the loader's thread.
    pub propose: Propose,
    /// What became of it. Without a change it is told after those before it.
    pub done: Acknowledge,
}

/// What a group of updates has led to.
pub struct Updated {
    /// The zone's apex.
    pub origin: Name,
    /// The next version, which is on disk; `None`: nothing changed.
    pub zone: Option<Arc<Zone>>,
    /// Who is told once that is served.
    pub made: Vec<Acknowledge>,
}

/// Why an update was not made. The zone is what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmade {
    /// There is no such zone that updates change, or it is not served.
    NotServed,
    /// What was proposed does not fit the version at hand.
    Misfit(Misfit),
    /// What was proposed, with others of its group, makes no zone.
    Unsealed(String),
    /// The disk does not take it.
    Unkept(String),
}

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmade::NotServed => f.write_str("there is no such zone"),
            Unmade::Misfit(misfit) => misfit.fmt(f),
            Unmade::Unsealed(why) => write!(f, "it makes no zone: {why}"),
            Unmade::Unkept(why) => write!(f, "it cannot be kept: {why}"),
        }
    }
}

impl std::error::Error for Unmade {}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Update({})", self.origin)
    }
}

impl fmt::Debug for Updated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Updated({}, {:?}, {} made)", self.origin, self.zone, self.made.len())
    }
}
