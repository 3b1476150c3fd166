//! What a member is asked that knows all names of the services' domain, by one that does not know them yet: a name and a
//! type, and who wants to know, because answers differ by that.
//!
//! ```text
//! | type 16 | stack 32 | how many 8 | network 32 ... | 4 | a b c d  or  6 | sixteen octets | name, in wire form | ...
//! ```
//!
//! Stack and networks are what the asking node knows of the address; see [`crate::zone::view`] for the numbers. What
//! stands behind the name is a later version's, and passed over. The answer is a DNS message.

use crate::catalog::lease::OwnerId;
use crate::discovery::entry::{Octets, Poison, put_address};
use crate::discovery::names::Claim;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::view::{Asker, owner_number};
use std::net::IpAddr;

/// Networks of an asker that are told: no container is in more. Further ones come last by name, and count for least.
pub const NETWORKS_MAX: usize = 64;

/// See the module's own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// Who wants to know.
    pub client: IpAddr,
    /// The number of its stack.
    pub stack: u32,
    /// Those of its networks, at most [`NETWORKS_MAX`].
    pub networks: Vec<u32>,
}

impl Question {
    /// Of somebody whom the asking node takes for `asker`.
    pub fn new(name: Name, rtype: RecordType, client: IpAddr, asker: &Asker) -> Question {
        let networks = asker.networks.iter().take(NETWORKS_MAX).copied().collect();
        Question { name, rtype, client, stack: asker.stack, networks }
    }

    /// As it travels.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = self.rtype.0.to_be_bytes().to_vec();
        octets.extend(self.stack.to_be_bytes());
        octets.push(self.networks.len() as u8);
        self.networks.iter().for_each(|network| octets.extend(network.to_be_bytes()));
        put_address(&mut octets, self.client);
        octets.extend_from_slice(self.name.as_wire());
        octets
    }

    /// As it came.
    pub fn read(octets: &[u8]) -> Result<Question, Poison> {
        let mut octets = Octets(octets);
        let (rtype, stack) = (RecordType(octets.u16()?), octets.u32()?);
        let count = usize::from(octets.u8()?);
        if count > NETWORKS_MAX {
            return Err(Poison::Layout);
        }
        let networks = (0..count).map(|_| octets.u32()).collect::<Result<_, Poison>>()?;
        let client = octets.address()?;
        let len = name_len(octets.0).ok_or(Poison::Key)?;
        let name = Name::from_wire(octets.take(len)?).map_err(|_| Poison::Key)?;
        Ok(Question { name, rtype, client, stack, networks })
    }

    /// For whom the answer is, on a node that knows `claim` of the client's address and takes those for `outsiders` whom
    /// nobody knows; `from` is the asking node. `None`: for whom this node takes the address.
    ///
    /// What is known of the address all over the cluster counts most. An address that only one engine has means another
    /// container at each node, and nobody is on the node that answers: so else it is for whom the asking node takes it.
    /// Which networks strangers get that one may not know yet either; then they get those that they get here.
    pub fn asker(&self, from: OwnerId, claim: Option<&Claim>, outsiders: &Asker) -> Option<Asker> {
        if claim.is_some_and(|claim| !claim.is_local && claim.networks.is_some()) {
            return None;
        }
        let networks = match self.networks.is_empty() {
            true => outsiders.networks.clone(),
            false => self.networks.as_slice().into(),
        };
        Some(Asker { stack: self.stack, owner: owner_number(from.0), networks })
    }
}

/// Octets of the name that begins there.
fn name_len(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match octets.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(*len),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::view::number;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn question() -> Question {
        let asker = Asker { stack: 7, owner: 8, networks: [9, 10].into() };
        let name = Name::parse("web.st.hive.internal.").unwrap();
        Question::new(name, RecordType::A, "10.0.0.1".parse().unwrap(), &asker)
    }

    #[test]
    fn it_is_read_as_it_was_written_and_what_a_later_version_adds_is_passed_over() {
        for client in ["10.0.0.1", "fd00::1"] {
            let question = Question { client: client.parse().unwrap(), ..question() };
            let octets = question.to_octets();
            assert_eq!(Question::read(&octets), Ok(question.clone()));
            assert_eq!(Question::read(&[&octets[..], b"more"].concat()), Ok(question));
            for len in 0..octets.len() {
                assert!(Question::read(&octets[..len]).is_err(), "{len} octets");
            }
        }
    }

    #[test]
    fn the_longest_fits_what_members_are_asked() {
        let label = "a".repeat(63);
        let name = Name::parse(&format!("{label}.{label}.{label}.{}.", &label[2..])).unwrap();
        assert_eq!(name.as_wire().len(), 255);
        let asker = Asker { networks: vec![u32::MAX; 1_000].into(), ..Asker::default() };
        let question = Question::new(name, RecordType::A, "fd00::1".parse().unwrap(), &asker);
        assert_eq!((question.networks.len(), question.to_octets().len()), (NETWORKS_MAX, 535));
        assert_eq!(Question::read(&question.to_octets()), Ok(question));
    }

    #[test]
    fn an_address_that_the_cluster_knows_is_the_one_it_knows_and_any_other_is_the_asking_node_s() {
        let claim = |is_local: bool, asks: bool| Claim {
            is_withdrawn: false,
            is_elsewhere: false,
            is_node: false,
            network: ("bridge".into(), "id".into()),
            is_local,
            owner: OwnerId(1),
            id: "c".into(),
            networks: asks.then(|| Arc::from([(Arc::from("bridge"), 3)])),
            stack: "".into(),
            name: None,
        };
        let outsiders = Asker { stack: number(b""), owner: owner_number(1), networks: [5].into() };
        let asker =
            |question: &Question, claim: Option<&Claim>| question.asker(OwnerId(2), claim, &outsiders);
        assert_eq!(asker(&question(), Some(&claim(false, true))), None);
        // A bridge's address is some container here and another one there; a service's own never asks.
        let told = Asker { stack: 7, owner: owner_number(2), networks: [9, 10].into() };
        for claim in [None, Some(claim(true, true)), Some(claim(false, false))] {
            assert_eq!(asker(&question(), claim.as_ref()), Some(told.clone()));
        }
        let unknown = Question { networks: Vec::new(), ..question() };
        assert_eq!(asker(&unknown, None), Some(Asker { networks: [5].into(), ..told }));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(question) = Question::read(&octets) {
                prop_assert_eq!(Question::read(&question.to_octets()), Ok(question));
            }
        }
    }
}
