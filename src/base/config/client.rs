//! Networks in the configuration: plain ones, and whom `limits.clients` lets in, which has a word for several.

use super::error::ConfigError;
use super::value::{Form, Raw, Value};
use crate::base::network::{Network, NetworkError, Networks};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Value for Network {
    fn expected() -> String {
        "a network, such as \"192.0.2.0/24\" or \"2001:db8::/32\", or one address".to_owned()
    }

    fn parse(text: &str) -> Option<Network> {
        Network::parse(text).ok()
    }

    fn emit(&self) -> toml_edit::Value {
        self.to_string().into()
    }

    /// Says why: a prefix that does not fit its address is a mistake that is not seen at a glance.
    fn read(raw: &Raw) -> Result<Network, Vec<ConfigError>> {
        match &raw.form {
            Form::Text(text) => match Network::parse(text) {
                Ok(network) => Ok(network),
                Err(NetworkError::NoAddress) => Err(raw.wrong(Network::expected())),
                Err(why) => {
                    let message = format!("expected {}, found {text:?}: {why}", Network::expected());
                    Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)])
                }
            },
            _ => Err(raw.wrong(Network::expected())),
        }
    }
}

/// An entry of `limits.clients`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The networks of [`PRIVATE`].
    Private,
    /// The clients of this network.
    Of(Network),
}

/// What `private` stands for: addresses that no one outside of a site has. RFC 1918 §3, RFC 6598 §7, RFC 3927 §2.1;
/// RFC 4193 §3.1, RFC 4291 §2.5.6.
const PRIVATE: [(IpAddr, u8); 7] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
];

impl Client {
    /// All of whom the entries let in.
    pub fn networks(entries: &[Client]) -> Networks {
        let private = PRIVATE.iter().filter_map(|(address, prefix)| Network::new(*address, *prefix).ok());
        Networks::new(entries.iter().flat_map(|entry| match entry {
            Client::Private => private.clone().collect(),
            Client::Of(network) => vec![*network],
        }))
    }

    /// The default of `limits.clients`: this machine, and private addresses.
    pub(super) fn nearby() -> Vec<Client> {
        let own = networks(&["127.0.0.0/8", "::1/128"]).into_iter().map(Client::Of);
        own.chain([Client::Private]).collect()
    }
}

impl Value for Client {
    fn expected() -> String {
        format!("{}, or \"private\"", Network::expected())
    }

    fn parse(text: &str) -> Option<Client> {
        if text == "private" { Some(Client::Private) } else { Network::parse(text).ok().map(Client::Of) }
    }

    fn emit(&self) -> toml_edit::Value {
        match self {
            Client::Private => "private".into(),
            Client::Of(network) => network.emit(),
        }
    }

    fn read(raw: &Raw) -> Result<Client, Vec<ConfigError>> {
        match &raw.form {
            Form::Text(text) if text.contains('/') => Network::read(raw).map(Client::Of),
            Form::Text(text) => Client::parse(text).ok_or_else(|| raw.wrong(Client::expected())),
            _ => Err(raw.wrong(Client::expected())),
        }
    }
}

/// The default of `resolve.deny`: addresses that mean this machine or this link, wherever they are said.
pub(super) fn near_at_hand() -> Vec<Network> {
    networks(&["127.0.0.0/8", "::1/128", "0.0.0.0/8", "169.254.0.0/16", "fe80::/10"])
}

/// The default of `services.reverse`: addresses that engines and routers give out (RFC 1918 §3, RFC 4193 §3.1).
pub(super) fn behind_routers() -> Vec<Network> {
    networks(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"])
}

/// Networks of a default; a test counts them.
fn networks(texts: &[&'static str]) -> Vec<Network> {
    texts.iter().filter_map(|text| Network::parse(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_every_address_that_no_one_outside_of_a_site_has() {
        let private = Client::networks(&[Client::Private]);
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.1.1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(private.contains(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "::1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1"]
        {
            assert!(!private.contains(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn entries_add_up_and_none_lets_nobody_in() {
        let clients = |texts: &[&str]| {
            let entries: Vec<Client> = texts.iter().map(|text| Client::parse(text).unwrap()).collect();
            Client::networks(&entries)
        };
        let some = clients(&["private", "203.0.113.0/24", "2001:db8::1"]);
        for text in ["10.1.2.3", "203.0.113.9", "2001:db8::1"] {
            assert!(some.contains(text.parse().unwrap()), "{text}");
        }
        assert!(!some.contains("2001:db8::2".parse().unwrap()) && clients(&[]).is_empty());
        assert_eq!(Client::nearby().len() + near_at_hand().len(), 8);
    }
}
