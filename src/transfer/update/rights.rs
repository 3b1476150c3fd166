//! What updates may touch that are signed with a key: names and types, in any zone that the key may update.

use super::Update;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::sync::Arc;

/// The rights of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// These and what lies below them; none: all.
    names: Vec<Name>,
    /// None: all.
    types: Arc<[RecordType]>,
}

impl Rights {
    /// Of names and types; where there are none, all of them.
    pub fn new(names: Vec<Name>, types: Vec<RecordType>) -> Rights {
        Rights { names, types: types.into() }
    }

    /// The update, if it touches nothing else (RFC 2136 §3.3); prerequisites touch nothing. Whether a name has other
    /// types as well, all of which are to go, is seen when it is carried out.
    pub(crate) fn permit(&self, update: Update) -> Option<Update> {
        let may =
            |name: &Name| self.names.is_empty() || self.names.iter().any(|own| name.is_at_or_below(own));
        let is_permitted = update.instructions.iter().all(|instruction| {
            may(instruction.name())
                && instruction
                    .rtype()
                    .is_none_or(|rtype| self.types.is_empty() || self.types.contains(&rtype))
        });
        is_permitted.then(|| Update { types: Arc::clone(&self.types), ..update })
    }
}
