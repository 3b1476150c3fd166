//! What an answer says: along which aliases it goes, and what it denies at their end.

use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::resolve::validate::set::Set;
use crate::resolve::validate::verdict::{self, Cause};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;

/// The way from the question to the end of the answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trail {
    /// Places in the answer of aliases that a DNAME makes; those have no signature of their own (RFC 6672 §5.3.1).
    pub synthesised: Vec<usize>,
    /// The name at which there is nothing of the type asked for; `None` if there is.
    pub denied: Option<Name>,
    /// It ends at a DNAME that makes a name too long.
    pub is_too_long: bool,
}

/// The trail of the answer to `name` and `rtype`.
pub(super) fn follow(name: &Name, rtype: RecordType, answer: &[Set]) -> Result<Trail, Cause> {
    let mut trail = Trail { synthesised: Vec::new(), denied: None, is_too_long: false };
    let mut name = name.clone();
    for _ in 0..=CHAIN_STEPS_MAX {
        let alias = answer.iter().position(|set| set.rtype == RecordType::CNAME && set.name == name);
        let above = answer
            .iter()
            .find(|set| set.rtype == RecordType::DNAME && set.name != name && name.is_at_or_below(&set.name));
        // Also where the alias itself was asked for: it is told, and not signed.
        if let Some(dname) = above {
            let Some(target) = target(dname).and_then(|target| substitute(&name, &dname.name, &target))
            else {
                // Too long: YXDOMAIN, and the DNAME says it all (RFC 6672 §2.2).
                trail.is_too_long = true;
                return Ok(trail);
            };
            if let Some(at) = alias {
                if answer.get(at).and_then(self::target) != Some(target.clone()) {
                    return Err(verdict::BAD_ALIAS);
                }
                trail.synthesised.push(at);
            }
            if rtype == RecordType::CNAME || rtype == RecordType::ANY {
                return Ok(trail);
            }
            name = target;
        } else if answer
            .iter()
            .any(|set| set.name == name && (set.rtype == rtype || rtype == RecordType::ANY))
        {
            return Ok(trail);
        } else if let Some(target) = alias.and_then(|at| answer.get(at)).and_then(target) {
            name = target;
        } else {
            trail.denied = Some(name);
            return Ok(trail);
        }
    }
    Err(verdict::TOO_MUCH_WORK)
}

/// Where the only alias of a set leads.
fn target(alias: &Set) -> Option<Name> {
    let [rdata] = &alias.rdatas[..] else { return None };
    Name::from_wire(rdata).ok()
}

/// `name` with `owner` at its end replaced by `target`; `None` if it becomes too long.
fn substitute(name: &Name, owner: &Name, target: &Name) -> Option<Name> {
    let kept = name.as_wire().len().checked_sub(owner.as_wire().len())?;
    let wire = [name.as_wire().get(..kept)?, target.as_wire()].concat();
    if wire.len() > NAME_OCTETS_MAX { None } else { Name::from_wire(&wire).ok() }
}
