//! Which of the instances on managers of a swarm speaks for it: the lowest that lives. A pure function of what every
//! node knows anyway; who is lost is followed by the next as soon as its loss is noticed, without a word between them.
//!
//! For a moment two may both think so, one that does not know yet and one that does. Both say what the same swarm told
//! them, each as its own records, and readers take the later version of each; so nothing is wrong meanwhile, only said
//! twice. Nobody falls silent before the elected one has said, in its present life, that it has told everything: so there
//! is no moment in which nobody says what only managers know.
//!
//! ```text
//! key: m      value: 1 | the swarm's id       its engine manages the swarm
//! key: w      value: 1 | the swarm's id       and all that it told is said
//! ```

use crate::discovery::entry::{Octets, Poison};

/// The key under which an instance tells that its engine is a manager.
pub const MANAGER_KEY: &[u8] = b"m";
/// The key under which it tells that all that its swarm told it is said.
pub const WHOLE_KEY: &[u8] = b"w";
const LAYOUT: u8 = 1;
/// Octets of a swarm's id: 25 characters today.
const SWARM_OCTETS_MAX: usize = 64;

/// That the engine of an instance manages a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Which.
    pub swarm: String,
}

impl Manager {
    /// The value that is replicated under [`MANAGER_KEY`], and under [`WHOLE_KEY`].
    pub fn value(&self) -> Vec<u8> {
        [&[LAYOUT], self.swarm.as_bytes()].concat()
    }

    /// Reads what a node, perhaps a foul one, published.
    pub fn decode(value: &[u8]) -> Result<Manager, Poison> {
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let id = octets.0;
        if !(1..=SWARM_OCTETS_MAX).contains(&id.len()) || !id.iter().all(u8::is_ascii_alphanumeric) {
            return Err(Poison::Rule);
        }
        // It is ASCII.
        Ok(Manager { swarm: String::from_utf8_lossy(id).into_owned() })
    }
}

/// An instance that could speak for its swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'s> {
    /// The node's id.
    pub id: u64,
    /// It answers.
    pub is_alive: bool,
    /// The swarm that its engine manages.
    pub swarm: &'s str,
}

/// Who speaks for a swarm; none, if nobody who manages it lives.
pub fn elected<'s>(swarm: &str, candidates: impl IntoIterator<Item = Candidate<'s>>) -> Option<u64> {
    let able = candidates.into_iter().filter(|candidate| candidate.is_alive && candidate.swarm == swarm);
    able.map(|candidate| candidate.id).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_living_manager_of_a_swarm_speaks_for_it() {
        let of = |id, is_alive, swarm| Candidate { id, is_alive, swarm };
        let all = [of(5, true, "s"), of(3, true, "s"), of(1, true, "other"), of(2, false, "s")];
        assert_eq!(elected("s", all), Some(3));
        assert_eq!(elected("other", all), Some(1));
        // The loss of one is the next one's turn, and its return the end of that.
        let lost = [of(5, true, "s"), of(3, false, "s"), of(2, false, "s")];
        assert_eq!(elected("s", lost), Some(5));
        assert_eq!(elected("s", [of(2, false, "s")]), None);
    }

    #[test]
    fn what_a_manager_says_of_itself_is_read_back_and_nothing_else_is() {
        let manager = Manager { swarm: "abc123".into() };
        assert_eq!(manager.value(), b"\x01abc123");
        assert_eq!(Manager::decode(&manager.value()), Ok(manager));
        assert_eq!(Manager::decode(b""), Err(Poison::Layout));
        assert_eq!(Manager::decode(b"\x02a"), Err(Poison::Version(2)));
        assert_eq!(Manager::decode(b"\x01"), Err(Poison::Rule));
        assert_eq!(Manager::decode(b"\x01a b"), Err(Poison::Rule));
        assert_eq!(Manager::decode(&[&[1][..], &[b'a'; 65]].concat()), Err(Poison::Rule));
    }
}
