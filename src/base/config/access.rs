//! Access lists of zones, and other name servers: who may, and who is asked or told.

use super::error::ConfigError;
use super::origin::Origin;
use super::value::{Form, Raw, Value, words};
use crate::base::network::Network;
use std::net::{IpAddr, SocketAddr};

/// The port of the DNS (RFC 1035 §4.2).
const PORT: u16 = 53;
/// What stands before the name of a key.
const KEY: &str = "key:";

words! {
    /// How messages are signed (RFC 8945 §6).
    Hmac {
        /// HMAC with SHA-256.
        Sha256 = "hmac-sha256",
        /// HMAC with SHA-384.
        Sha384 = "hmac-sha384",
        /// HMAC with SHA-512.
        Sha512 = "hmac-sha512",
    }
}

impl std::fmt::Display for Hmac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of an access list: all that it names is demanded. In a list any entry suffices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whose address lies here; `None`: anybody's.
    pub network: Option<Network>,
    /// Who signs with this key; `None`: signed or not.
    pub key: Option<Origin>,
}

impl Access {
    /// The default of `zone.transfer`: this machine.
    pub(super) fn loopback() -> Vec<Access> {
        let networks = ["127.0.0.0/8", "::1/128"].into_iter().filter_map(|text| Network::parse(text).ok());
        networks.map(|network| Access { network: Some(network), key: None }).collect()
    }
}

impl Value for Access {
    fn expected() -> String {
        "a network such as \"192.0.2.0/24\", a key such as \"key:xfr.\", or both: \"192.0.2.0/24+key:xfr.\""
            .to_owned()
    }

    fn parse(text: &str) -> Option<Access> {
        let (network, key) = match text.split_once('+') {
            Some((network, key)) => (Some(network), Some(key)),
            None if text.starts_with(KEY) => (None, Some(text)),
            None => (Some(text), None),
        };
        let network = match network {
            Some(text) => Some(Network::parse(text).ok()?),
            None => None,
        };
        let key = match key {
            Some(text) => Some(Origin::parse(text.strip_prefix(KEY)?)?),
            None => None,
        };
        Some(Access { network, key })
    }

    fn emit(&self) -> toml_edit::Value {
        let network = self.network.map(|network| network.to_string());
        let key = self.key.as_ref().map(|key| format!("{KEY}{key}"));
        network.into_iter().chain(key).collect::<Vec<_>>().join("+").into()
    }

    /// Says why a network is none, as [`Network::read`] does.
    fn read(raw: &Raw) -> Result<Access, Vec<ConfigError>> {
        match &raw.form {
            Form::Text(text) if !text.contains(KEY) => {
                let network = Network::parse(text).map_err(|_| match text.contains('/') {
                    true => Network::read(raw).err().unwrap_or_default(),
                    false => raw.wrong(Access::expected()),
                })?;
                Ok(Access { network: Some(network), key: None })
            }
            Form::Text(text) => Access::parse(text).ok_or_else(|| raw.wrong(Access::expected())),
            _ => Err(raw.wrong(Access::expected())),
        }
    }
}

/// Another name server: an address, with its port or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peering(pub SocketAddr);

impl Value for Peering {
    fn expected() -> String {
        "an address such as \"192.0.2.1\", \"192.0.2.1:5353\" or \"[2001:db8::1]:5353\"".to_owned()
    }

    fn parse(text: &str) -> Option<Peering> {
        let at = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
        at.or_else(|_| text.parse()).ok().filter(|at| at.port() != 0).map(Peering)
    }

    fn emit(&self) -> toml_edit::Value {
        self.0.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_networks_keys_or_both() {
        for (text, network, key) in [
            ("192.0.2.0/24", Some("192.0.2.0/24"), None),
            ("2001:db8::1", Some("2001:db8::1/128"), None),
            ("key:Xfr.", None, Some("Xfr.")),
            ("key:xfr", None, Some("xfr.")),
            ("192.0.2.0/24+key:xfr.", Some("192.0.2.0/24"), Some("xfr.")),
        ] {
            let entry = Access::parse(text).unwrap();
            assert_eq!(entry.network.map(|network| network.to_string()).as_deref(), network, "{text}");
            assert_eq!(entry.key.as_ref().map(Origin::as_str), key, "{text}");
            let emitted = entry.emit();
            assert_eq!(Access::parse(emitted.as_str().unwrap()), Some(entry), "{text}");
        }
        for text in ["", "xfr.", "key:", "key:xfr.+192.0.2.1", "192.0.2.1+", "192.0.2.1+xfr.", "192.0.2.1/24"]
        {
            assert_eq!(Access::parse(text), None, "{text}");
        }
        assert_eq!(Access::loopback().len(), 2);
    }

    #[test]
    fn a_server_without_a_port_is_asked_at_that_of_the_dns() {
        for (text, at) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(Peering::parse(text).map(|peer| peer.0.to_string()).as_deref(), Some(at));
        }
        for text in ["", "ns.example.", "192.0.2.1:0", "192.0.2.1:99999"] {
            assert_eq!(Peering::parse(text), None, "{text}");
        }
    }
}
