//! What users say of a container or a service by labels that begin with `hivedns.`, as they stand on `deploy.labels` of a
//! service and on any other container.

pub mod codec;

use crate::base::limits::TTL_SECONDS_MAX;
use crate::discovery::endpoint::{PORTS_MAX, Port, Protocol, TEXT_OCTETS_MAX, rising};
use crate::wire::name::Name;
use std::fmt;

/// Aliases, MX records, TXT records or networks that labels may give: more than anybody types, and answers hold them.
pub const LIST_MAX: usize = 32;
/// Octets of one TXT record's text: one character-string (RFC 1035 §3.3).
const TXT_OCTETS_MAX: usize = 255;

/// All labels that are known; `None` and empty: not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// `enable`: whether it has names at all.
    pub enable: Option<bool>,
    /// `name`: what it is called instead of its own name.
    pub name: Option<String>,
    /// `alias`: what it is called, too. Rising.
    pub aliases: Vec<String>,
    /// `vip`: whether a service's own name leads to its virtual address.
    pub vip: Option<bool>,
    /// `ttl`, in seconds.
    pub ttl: Option<u32>,
    /// `weight` of its SRV records.
    pub weight: Option<u16>,
    /// `port.NAME`, rising; each has a name.
    pub ports: Vec<Port>,
    /// `txt.KEY` and what it is, by rising key.
    pub txt: Vec<(String, String)>,
    /// `cname`: the name that its own is an alias for.
    pub cname: Option<Name>,
    /// `mx`: preference and host. Rising.
    pub mx: Vec<(u16, Name)>,
    /// `network`: of which networks its addresses are told, by name; empty: of all. Rising.
    pub networks: Vec<String>,
    /// `publish-not-ready`: whether its tasks are told before they are ready.
    pub publish_not_ready: Option<bool>,
    /// `order` of its addresses.
    pub order: Option<Order>,
}

/// In which order addresses are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Those of the asker's node first, each group rotating.
    Nearest,
    /// By lot.
    Random,
    /// Rotating, wherever they are.
    Rotate,
    /// As they are.
    Fixed,
}

impl Order {
    /// All words.
    pub const ALL: [Order; 4] = [Order::Nearest, Order::Random, Order::Rotate, Order::Fixed];

    /// As users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Nearest => "nearest",
            Order::Random => "random",
            Order::Rotate => "rotate",
            Order::Fixed => "fixed",
        }
    }
}

/// A label that cannot be obeyed; all others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Its whole name.
    pub label: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label {}: {}", self.label, self.why)
    }
}

impl std::error::Error for Unfit {}

/// Names of labels behind the prefix, as complaints tell them.
const KNOWN: &str = "enable, name, alias, vip, ttl, weight, port.NAME, txt.KEY, cname, mx, network, \
                     publish-not-ready and order";

impl Labels {
    /// Reads those that begin with `prefix`; all others are somebody else's. What cannot be obeyed is told and left out.
    pub fn read<'l>(
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        prefix: &str,
    ) -> (Labels, Vec<Unfit>) {
        let (mut read, mut unfit) = (Labels::default(), Vec::new());
        for (label, value) in labels {
            let Some(key) = label.strip_prefix(prefix) else { continue };
            if let Err(why) = read.put(key, value.trim()) {
                unfit.push(Unfit { label: label.to_owned(), why });
            }
        }
        unfit.sort_by(|a, b| a.label.cmp(&b.label));
        (read.normalized(), unfit)
    }

    /// One label.
    fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "enable" => self.enable = Some(flag(value)?),
            "name" => self.name = Some(text(value)?),
            "alias" => self.aliases = list(value, text)?,
            "vip" => self.vip = Some(flag(value)?),
            "ttl" => self.ttl = Some(seconds(value)?),
            "weight" => self.weight = Some(number(value, "a weight from 0 to 65535")?),
            "cname" => self.cname = Some(name(value)?),
            "mx" => self.mx = list(value, mx)?,
            "network" => self.networks = list(value, text)?,
            "publish-not-ready" => self.publish_not_ready = Some(flag(value)?),
            "order" => self.order = Some(order(value)?),
            _ => match key.split_once('.') {
                Some(("port", name)) => self.ports.push(port(name, value)?),
                Some(("txt", name)) => self.txt.push(txt(name, value)?),
                _ => return Err(format!("no such label; known are {KNOWN}")),
            },
        }
        Ok(())
    }

    /// Where this says nothing, what `below` says: what a service's labels leave open its containers' may tell.
    pub fn over(&self, below: &Labels) -> Labels {
        fn list<T: Clone>(own: &[T], below: &[T]) -> Vec<T> {
            if own.is_empty() { below.to_vec() } else { own.to_vec() }
        }
        Labels {
            enable: self.enable.or(below.enable),
            name: self.name.clone().or_else(|| below.name.clone()),
            aliases: list(&self.aliases, &below.aliases),
            vip: self.vip.or(below.vip),
            ttl: self.ttl.or(below.ttl),
            weight: self.weight.or(below.weight),
            ports: list(&self.ports, &below.ports),
            txt: list(&self.txt, &below.txt),
            cname: self.cname.clone().or_else(|| below.cname.clone()),
            mx: list(&self.mx, &below.mx),
            networks: list(&self.networks, &below.networks),
            publish_not_ready: self.publish_not_ready.or(below.publish_not_ready),
            order: self.order.or(below.order),
        }
    }

    /// In the one form that all agree on.
    pub(super) fn normalized(mut self) -> Labels {
        self.ports.retain(|port| port.number != 0 && port.name.is_some());
        rising(&mut self.aliases, LIST_MAX);
        rising(&mut self.ports, PORTS_MAX);
        rising(&mut self.txt, LIST_MAX);
        rising(&mut self.mx, LIST_MAX);
        rising(&mut self.networks, LIST_MAX);
        self
    }
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("expected true or false, found {other:?}")),
    }
}

fn text(value: &str) -> Result<String, String> {
    match value.len() {
        0 => Err("expected a name, found nothing".to_owned()),
        1..=TEXT_OCTETS_MAX => Ok(value.to_owned()),
        len => Err(format!("expected a name of at most {TEXT_OCTETS_MAX} octets, found {len}")),
    }
}

fn list<T>(value: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items: Vec<T> = value.split(',').map(|text| item(text.trim())).collect::<Result<_, _>>()?;
    if items.len() > LIST_MAX {
        return Err(format!("expected at most {LIST_MAX}, found {}", items.len()));
    }
    Ok(items)
}

fn number<T: std::str::FromStr>(value: &str, expected: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("expected {expected}, found {value:?}"))
}

/// `30` or `30s`, `5m`, `1h`, `1d`.
fn seconds(value: &str) -> Result<u32, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400), ("", 1)];
    let wrong =
        || format!("expected a time of at most {TTL_SECONDS_MAX} s, such as 30s, 5m or 1h, found {value:?}");
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let (_, scale) = units.into_iter().find(|(word, _)| *word == unit).ok_or_else(wrong)?;
    let ttl: u32 = number.parse().ok().and_then(|number: u32| number.checked_mul(scale)).ok_or_else(wrong)?;
    if ttl <= TTL_SECONDS_MAX { Ok(ttl) } else { Err(wrong()) }
}

fn name(value: &str) -> Result<Name, String> {
    if value.is_empty() {
        return Err("expected an absolute name, found nothing".to_owned());
    }
    Name::parse(value).map(|name| name.to_lowercase()).map_err(|error| format!("{error}: {value:?}"))
}

/// `10 mail.example.`
fn mx(value: &str) -> Result<(u16, Name), String> {
    let (preference, host) = value.split_once(char::is_whitespace).ok_or_else(|| {
        format!("expected a preference and a host, such as 10 mail.example., found {value:?}")
    })?;
    Ok((number(preference, "a preference from 0 to 65535")?, name(host.trim())?))
}

fn order(value: &str) -> Result<Order, String> {
    let known = Order::ALL.into_iter().find(|order| order.as_str() == value);
    known.ok_or_else(|| format!("expected nearest, random, rotate or fixed, found {value:?}"))
}

/// `8080/tcp`, or `8080`: TCP.
fn port(name: &str, value: &str) -> Result<Port, String> {
    let wrong = || format!("expected a port such as 8080/tcp, found {value:?}");
    let (digits, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    let number: u16 = digits.parse().ok().filter(|number| *number != 0).ok_or_else(wrong)?;
    let protocol = Protocol::parse(protocol).ok_or_else(wrong)?;
    Ok(Port { number, protocol, name: Some(text(name)?) })
}

/// RFC 1464 §2, RFC 6763 §6.4: the key is what stands before the first `=`.
fn txt(key: &str, value: &str) -> Result<(String, String), String> {
    if key.is_empty() || key.contains('=') || !key.bytes().all(|octet| (0x20..0x7f).contains(&octet)) {
        return Err("expected a key of printable ASCII without `=` behind txt.".to_owned());
    }
    match key.len() + 1 + value.len() {
        ..=TXT_OCTETS_MAX => Ok((key.to_owned(), value.to_owned())),
        len => Err(format!("expected at most {TXT_OCTETS_MAX} octets of KEY=value, found {len}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[(&str, &str)]) -> (Labels, Vec<String>) {
        let (labels, unfit) = Labels::read(labels.iter().copied(), "hivedns.");
        (labels, unfit.iter().map(Unfit::to_string).collect())
    }

    #[test]
    fn every_label_is_read() {
        let (labels, unfit) = read(&[
            ("hivedns.enable", "true"),
            ("hivedns.name", "shop"),
            ("hivedns.alias", "www, store"),
            ("hivedns.vip", "false"),
            ("hivedns.ttl", "2m"),
            ("hivedns.weight", "7"),
            ("hivedns.port.http", "8080"),
            ("hivedns.port.dns", "53/udp"),
            ("hivedns.txt.path", "/a=b"),
            ("hivedns.cname", "Shop.example.org"),
            ("hivedns.mx", "20 b.example., 10 a.example."),
            ("hivedns.network", "back"),
            ("hivedns.publish-not-ready", "true"),
            ("hivedns.order", "fixed"),
            ("com.example.else", "x"),
        ]);
        assert_eq!(unfit, [""; 0]);
        let name = |text: &str| Name::parse(text).unwrap();
        let port = |name: &str, number, protocol| Port { number, protocol, name: Some(name.into()) };
        assert_eq!(
            labels,
            Labels {
                enable: Some(true),
                name: Some("shop".into()),
                aliases: vec!["store".into(), "www".into()],
                vip: Some(false),
                ttl: Some(120),
                weight: Some(7),
                ports: vec![port("dns", 53, Protocol::Udp), port("http", 8080, Protocol::Tcp)],
                txt: vec![("path".into(), "/a=b".into())],
                cname: Some(name("shop.example.org.")),
                mx: vec![(10, name("a.example.")), (20, name("b.example."))],
                networks: vec!["back".into()],
                publish_not_ready: Some(true),
                order: Some(Order::Fixed),
            }
        );
    }

    #[test]
    fn what_is_wrong_with_a_label_is_told_and_the_others_count() {
        let long = "x".repeat(300);
        for (label, value, complaint) in [
            ("enable", "yes", "label hivedns.enable: expected true or false, found \"yes\""),
            ("name", "", "label hivedns.name: expected a name, found nothing"),
            (
                "ttl",
                "5w",
                "label hivedns.ttl: expected a time of at most 2147483647 s, such as 30s, 5m or 1h, found \"5w\"",
            ),
            ("weight", "-1", "label hivedns.weight: expected a weight from 0 to 65535, found \"-1\""),
            (
                "port.http",
                "0/tcp",
                "label hivedns.port.http: expected a port such as 8080/tcp, found \"0/tcp\"",
            ),
            (
                "port.http",
                "80/xxx",
                "label hivedns.port.http: expected a port such as 8080/tcp, found \"80/xxx\"",
            ),
            (
                "mx",
                "mail.example.",
                "label hivedns.mx: expected a preference and a host, such as 10 mail.example., found \"mail.example.\"",
            ),
            (
                "order",
                "best",
                "label hivedns.order: expected nearest, random, rotate or fixed, found \"best\"",
            ),
            (
                "txt.a=b",
                "c",
                "label hivedns.txt.a=b: expected a key of printable ASCII without `=` behind txt.",
            ),
            ("txt.a", &long, "label hivedns.txt.a: expected at most 255 octets of KEY=value, found 302"),
        ] {
            let label = format!("hivedns.{label}");
            let (labels, unfit) = read(&[(&label, value), ("hivedns.vip", "true")]);
            assert_eq!(unfit, [complaint]);
            assert_eq!(labels, Labels { vip: Some(true), ..Labels::default() });
        }
        let (_, unfit) = read(&[("hivedns.nme", "x")]);
        assert!(unfit[0].starts_with("label hivedns.nme: no such label; known are enable"), "{unfit:?}");
    }

    #[test]
    fn what_a_service_says_goes_before_what_its_containers_say() {
        let (service, _) = read(&[("hivedns.ttl", "1"), ("hivedns.alias", "a")]);
        let (container, _) = read(&[("hivedns.ttl", "2"), ("hivedns.alias", "b"), ("hivedns.name", "c")]);
        let all = service.over(&container);
        assert_eq!((all.ttl, all.aliases, all.name), (Some(1), vec!["a".into()], Some("c".into())));
    }
}
