//! Who may: a list of networks and keys, of which any entry suffices.

use crate::base::config::Access;
use crate::base::network::Network;
use crate::wire::name::Name;
use std::net::IpAddr;

/// An access list, ready to be asked for each message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    network: Option<Network>,
    /// Lower-cased.
    key: Option<Name>,
}

impl AccessList {
    /// Of the configuration. An entry whose key's name is none, which the configuration does not let through, permits
    /// nobody.
    pub fn new(entries: &[Access]) -> AccessList {
        let ready = |entry: &Access| {
            let key = match &entry.key {
                Some(name) => Some(Name::parse(name.as_str()).ok()?.to_lowercase()),
                None => None,
            };
            Some(Entry { network: entry.network, key })
        };
        AccessList(entries.iter().filter_map(ready).collect())
    }

    /// These addresses, signing with the key of that name if there is one.
    pub fn of(addresses: &[IpAddr], key: Option<&Name>) -> AccessList {
        let entry = |address: &IpAddr| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let network = Network::new(*address, bits).ok()?;
            Some(Entry { network: Some(network), key: key.map(Name::to_lowercase) })
        };
        AccessList(addresses.iter().filter_map(entry).collect())
    }

    /// Whoever signs with one of the keys of these names.
    pub fn signed<'n>(keys: impl IntoIterator<Item = &'n Name>) -> AccessList {
        AccessList(
            keys.into_iter().map(|key| Entry { network: None, key: Some(key.to_lowercase()) }).collect(),
        )
    }

    /// The entries of both.
    pub fn and(mut self, other: AccessList) -> AccessList {
        self.0.extend(other.0);
        self
    }

    /// True if a message from that address, signed with the key of that name, is permitted.
    pub fn permits(&self, from: IpAddr, key: Option<&Name>) -> bool {
        self.0.iter().any(|entry| {
            entry.network.is_none_or(|network| network.contains(from))
                && entry.key.as_ref().is_none_or(|wanted| key == Some(wanted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::{Config, ConfigFile, Inputs};

    /// The list as the configuration reads it.
    fn list(entries: &str) -> AccessList {
        let path =
            std::env::temp_dir().join(format!("hivedns-access-{}-{}", std::process::id(), entries.len()));
        let keys = "[[key]]\nname='a.'\nsecret_file='a'\n[[key]]\nname='b.'\nsecret_file='b'\n";
        let text = format!("[[zone]]\norigin='z.'\nfile='z'\ntransfer={entries}\n{keys}");
        std::fs::write(&path, text).unwrap();
        let inputs = Inputs { file: ConfigFile::Required(path.clone()), ..Inputs::default() };
        let config = Config::load(&inputs).unwrap();
        std::fs::remove_file(path).unwrap();
        AccessList::new(&config.zones[0].transfer)
    }

    #[test]
    fn any_entry_suffices_and_each_demands_all_that_it_names() {
        let list = list("['192.0.2.0/24', 'key:A.', '198.51.100.0/24+key:b.']");
        let (a, b) = (Name::parse("a.").unwrap(), Name::parse("B.").unwrap());
        for (from, key, permitted) in [
            ("192.0.2.1", None, true),
            ("192.0.2.1", Some(&b), true),
            ("203.0.113.1", None, false),
            ("203.0.113.1", Some(&a), true),
            ("203.0.113.1", Some(&b), false),
            ("198.51.100.1", None, false),
            ("198.51.100.1", Some(&b), true),
            ("::ffff:192.0.2.1", None, true),
        ] {
            assert_eq!(list.permits(from.parse().unwrap(), key), permitted, "{from} {key:?}");
        }
        assert!(!AccessList::default().permits("127.0.0.1".parse().unwrap(), Some(&a)));
    }
}
