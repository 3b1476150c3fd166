//! `[forward]`, `--forward` and `--recurse`: which suffix is asked of whom.
//!
//! The keys of this section are the user's: each is a suffix. Of the environment's variable everything behind
//! `HIVEDNS_FORWARD__` is the suffix, dots and all: compose files and env(1) can write that, a shell's `export` only
//! for a suffix of one label.

use super::error::{ConfigError, Said, Source};
use super::origin::Origin;
use super::value::{Form, Raw, Value};
use crate::base::limits::{FORWARD_SUFFIXES_MAX, UPSTREAMS_MAX};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The name of the section.
pub(super) const SECTION: &str = "forward";
/// Both set the root's suffix; `--recurse` has the text `root`.
pub(super) const FLAGS: [&str; 2] = ["--forward", "--recurse"];
/// What is said of each suffix where keys are shown.
pub(super) const DOC: &str = "Whom names below this suffix are asked of: addresses, resolv.conf, root or refuse; the longest suffix wins.";
/// The port of the DNS (RFC 1035 §4.2).
const PORT: u16 = 53;

/// `[forward]`: suffixes, none twice; the root is always among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward(Vec<Suffix>);

/// What is asked for names at or below one suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix {
    /// The suffix, in the case it was written.
    pub name: Origin,
    /// What is done with names there.
    pub to: To,
}

/// What is done with a name that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// One of these is asked; never empty.
    Upstreams(Vec<Upstream>),
    /// It is looked for from the root.
    Root,
    /// Nobody is asked, and the answer is REFUSED.
    Refuse,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// The server at this address.
    At(SocketAddr),
    /// Those that the system's `resolv.conf` names.
    ResolvConf,
}

impl Default for Forward {
    fn default() -> Forward {
        let name = Origin::of(".");
        Forward(vec![Suffix { name, to: To::Upstreams(vec![Upstream::ResolvConf]) }])
    }
}

impl Forward {
    /// The suffixes, in the order they were first said.
    pub fn suffixes(&self) -> &[Suffix] {
        &self.0
    }

    /// True if the operator wants anybody asked for any name; the system may name nobody yet.
    pub fn asks(&self) -> bool {
        self.0.iter().any(|suffix| suffix.to != To::Refuse)
    }
}

impl Suffix {
    /// The key as complaints name it and as [`Said`] knows it: `forward."corp.example."`, lower-cased.
    pub fn key(&self) -> String {
        key(&self.name)
    }
}

fn key(name: &Origin) -> String {
    format!("{SECTION}.\"{}\"", name.as_str().to_ascii_lowercase())
}

/// One source's suffixes on their way into a [`Forward`]: what a source says takes the place of what those below it
/// say, and no source says the same suffix twice.
#[derive(Default)]
pub(super) struct Layer(Vec<(Suffix, Source)>);

impl Layer {
    /// Reads the value of one key; `at` is where the key itself stands.
    pub(super) fn put(&mut self, name: &str, at: &Source, raw: &Raw, errors: &mut Vec<ConfigError>) {
        let said =
            Raw { key: format!("{SECTION}.{name:?}"), at: at.clone(), form: Form::Text(name.to_owned()) };
        let name = match Origin::read(&said) {
            Ok(name) => name,
            Err(more) => return errors.extend(more),
        };
        if let Some((_, first)) = self.0.iter().find(|(known, _)| known.key() == key(&name)) {
            let message = format!("given twice, first at {first}");
            return errors.push(ConfigError::about(at.clone(), &key(&name), message));
        }
        match To::read(&Raw { key: key(&name), ..raw.clone() }) {
            Ok(to) => self.0.push((Suffix { name, to }, raw.at.clone())),
            Err(more) => errors.extend(more),
        }
    }

    /// Puts all of it over what is there.
    pub(super) fn finish(self, forward: &mut Forward, said: &mut Said, errors: &mut Vec<ConfigError>) {
        for (suffix, at) in self.0 {
            let key = suffix.key();
            match forward.0.iter().position(|known| known.key() == key) {
                Some(known) => forward.0[known] = suffix,
                None if forward.0.len() == FORWARD_SUFFIXES_MAX => {
                    let message = format!("expected at most {FORWARD_SUFFIXES_MAX} suffixes");
                    return errors.push(ConfigError::about(at, SECTION, message));
                }
                None => forward.0.push(suffix),
            }
            said.note(&key, at);
        }
    }
}

impl To {
    fn read(raw: &Raw) -> Result<To, Vec<ConfigError>> {
        if let Form::Other("table" | "inline table") = raw.form {
            let message = "expected a list; a suffix with dots stands in quotes: \"corp.example\" = [...]";
            return Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)]);
        }
        let entries = Vec::<Entry>::read(raw)?;
        let wrong = |message: String| Err(vec![ConfigError::about(raw.at.clone(), &raw.key, message)]);
        match entries[..] {
            [] => {
                return wrong("expected at least one address, or a word; \"refuse\" asks nobody".to_owned());
            }
            [Entry::Root] => return Ok(To::Root),
            [Entry::Refuse] => return Ok(To::Refuse),
            _ => {}
        }
        if entries.len() > UPSTREAMS_MAX {
            return wrong(format!("expected at most {UPSTREAMS_MAX} upstreams, found {}", entries.len()));
        }
        let upstreams = entries.iter().map(|entry| match entry {
            Entry::Ask(upstream) => Ok(*upstream),
            Entry::Root => Err("root"),
            Entry::Refuse => Err("refuse"),
        });
        match upstreams.collect() {
            Ok(upstreams) => Ok(To::Upstreams(upstreams)),
            Err(word) => wrong(format!("\"{word}\" stands alone in its list")),
        }
    }

    /// The value as TOML.
    pub(super) fn emit(&self) -> toml_edit::Value {
        let entries = match self {
            To::Upstreams(upstreams) => upstreams.iter().map(|upstream| Entry::Ask(*upstream)).collect(),
            To::Root => vec![Entry::Root],
            To::Refuse => vec![Entry::Refuse],
        };
        entries.emit()
    }
}

/// An item of a suffix's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Ask(Upstream),
    Root,
    Refuse,
}

impl Value for Entry {
    fn expected() -> String {
        format!(
            "the address of a name server with or without a port (without it {PORT}), such as \"192.0.2.1\" or \
             \"[2001:db8::1]:5353\", or one of resolv.conf, root, refuse"
        )
    }

    fn parse(text: &str) -> Option<Entry> {
        match text {
            "resolv.conf" => return Some(Entry::Ask(Upstream::ResolvConf)),
            "root" => return Some(Entry::Root),
            "refuse" => return Some(Entry::Refuse),
            _ => {}
        }
        let bare =
            text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).filter(|ip| ip.contains(':'));
        let address = match bare.unwrap_or(text).parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, PORT),
            Err(_) => text.parse().ok()?,
        };
        let address = match address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
            // As it is, for it may have a scope.
            IpAddr::V6(_) => address,
        };
        let ip = address.ip();
        let nobody = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        (!nobody && address.port() != 0).then_some(Entry::Ask(Upstream::At(address)))
    }

    fn emit(&self) -> toml_edit::Value {
        match self {
            // One with a scope is shown whole.
            Entry::Ask(Upstream::At(SocketAddr::V6(address)))
                if address.scope_id() == 0 && address.port() == PORT =>
            {
                address.ip().to_string().into()
            }
            Entry::Ask(Upstream::At(SocketAddr::V4(address))) if address.port() == PORT => {
                address.ip().to_string().into()
            }
            Entry::Ask(Upstream::At(address)) => address.to_string().into(),
            Entry::Ask(Upstream::ResolvConf) => "resolv.conf".into(),
            Entry::Root => "root".into(),
            Entry::Refuse => "refuse".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_an_address_with_or_without_its_port() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:53", "192.0.2.1"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:53", "2001:db8::1"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
            ("[::ffff:192.0.2.1]:54", "192.0.2.1:54"),
            ("[fe80::1%2]:53", "[fe80::1%2]:53"),
            ("resolv.conf", "resolv.conf"),
            ("root", "root"),
            ("refuse", "refuse"),
        ] {
            let entry = Entry::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(entry.emit().as_str(), Some(shown));
            assert_eq!(Entry::parse(shown), Some(entry));
        }
        for text in [
            "",
            "Root",
            "dns.example",
            "192.0.2.1:",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]53",
            "0.0.0.0",
            "[::]:53",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert_eq!(Entry::parse(text), None, "{text}");
        }
    }
}
