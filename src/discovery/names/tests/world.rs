//! A cluster in words: tasks and services are said, names are asked for. [`World::ask`] is the simple twin of what
//! answers on the packet path.

use crate::catalog::delta::Delta;
use crate::catalog::lease::{OwnerId, Source};
use crate::discovery::cluster;
use crate::discovery::cut::content::Content;
use crate::discovery::endpoint::{
    Attachment, ComposeRef, Endpoint, Health, Port, Protocol, Reach, ServiceRef, TaskRef,
};
use crate::discovery::labels::{Labels, Order};
use crate::discovery::names::{Names, Terms};
use crate::discovery::service::{ServiceNetwork, ServiceSpec};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::view::{Asker, MARK, Tag, flags, marks};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The node at which names are made.
pub(super) const ME: OwnerId = OwnerId(1);

pub(super) fn terms() -> Terms {
    Terms {
        domain: Name::parse("hive.internal.").unwrap(),
        ttl: 5,
        fail_open: true,
        order: Order::Nearest,
        me: ME,
        external: String::new(),
    }
}

/// `net=10.0.0.2`; several addresses of one network stand behind each other. A network whose name begins with `br` is
/// its engine's alone, and its id has the node in it.
pub(super) fn attachments(node: &str, text: &str) -> Vec<Attachment> {
    let mut networks: Vec<Attachment> = Vec::new();
    for part in text.split_whitespace() {
        let (name, address) = part.split_once('=').unwrap();
        let is_local = name.starts_with("br");
        let id = if is_local { format!("{name}-on-{node}") } else { format!("id-of-{name}") };
        if !networks.iter().any(|network| network.id == id) {
            let reach = if is_local { Reach::Local } else { Reach::Swarm };
            networks.push(Attachment { id: id.clone(), name: name.into(), reach, ..Attachment::default() });
        }
        let network = networks.iter_mut().find(|network| network.id == id).unwrap();
        match address.parse().unwrap() {
            IpAddr::V4(address) => network.ipv4 = Some(address),
            IpAddr::V6(address) => network.ipv6 = Some(address),
        }
    }
    networks
}

/// `name=web mx=10~mail.example`: a tilde stands for a space.
pub(super) fn labels(text: &str) -> Labels {
    let pairs: Vec<(String, String)> = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (format!("hivedns.{key}"), value.replace('~', " ")))
        .collect();
    let (labels, unfit) =
        Labels::read(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())), "hivedns.");
    assert!(unfit.is_empty(), "{unfit:?}");
    labels
}

/// A task: `st/web.1` is slot 1 of `st_web`, `web` a task of a global service without a stack.
pub(super) fn task(node: &str, called: &str, networks: &str) -> Endpoint {
    let (stack, rest) = match called.split_once('/') {
        Some((stack, rest)) => (Some(stack.to_owned()), rest),
        None => (None, called),
    };
    let (short, slot) = match rest.split_once('.') {
        Some((short, slot)) => (short, Some(slot.parse().unwrap())),
        None => (rest, None),
    };
    let name = match &stack {
        Some(stack) => format!("{stack}_{short}"),
        None => short.to_owned(),
    };
    let id = format!("task-{name}-{slot:?}-{node}");
    let service = ServiceRef { id: format!("id-of-{name}"), name, stack };
    let networks = attachments(node, networks);
    Endpoint {
        id: id.clone(),
        name: format!("{}.x", service.name),
        node: node.into(),
        service: Some(service),
        task: Some(TaskRef { id, slot }),
        networks,
        health: Health::Healthy,
        ..Endpoint::default()
    }
    .normalized()
}

/// A container of no service.
pub(super) fn plain(node: &str, name: &str, networks: &str) -> Endpoint {
    let networks = attachments(node, networks);
    Endpoint {
        id: format!("{name}-{node}"),
        name: name.into(),
        node: node.into(),
        networks,
        ..Endpoint::default()
    }
    .normalized()
}

/// A container of a Compose project: `proj/web.2`.
pub(super) fn composed(node: &str, called: &str, networks: &str) -> Endpoint {
    let (project, rest) = called.split_once('/').unwrap();
    let (service, number) = rest.split_once('.').unwrap();
    let compose =
        ComposeRef { project: project.into(), service: service.into(), number: number.parse().ok() };
    let name = format!("{project}-{service}-{number}");
    Endpoint { compose: Some(compose), ..plain(node, &name, networks) }
}

pub(super) trait With: Sized {
    fn with(self, text: &str) -> Self;
    fn health(self, health: Health) -> Self;
    fn port(self, number: u16) -> Self;
}

impl With for Endpoint {
    fn with(self, text: &str) -> Endpoint {
        Endpoint { labels: labels(text), ..self }
    }

    fn health(self, health: Health) -> Endpoint {
        Endpoint { health, ..self }
    }

    fn port(mut self, number: u16) -> Endpoint {
        self.ports.push(Port { number, protocol: Protocol::Tcp, name: None });
        self
    }
}

/// What managers say of `st/web` or `web`, with its networks as `net=VIP` and, of the first, aliases.
pub(super) fn spec(called: &str, networks: &str, aliases: &[&str], text: &str) -> ServiceSpec {
    let (stack, short) = match called.split_once('/') {
        Some((stack, short)) => (Some(stack.to_owned()), short),
        None => (None, called),
    };
    let name = stack.as_ref().map_or(short.to_owned(), |stack| format!("{stack}_{short}"));
    let mut known: Vec<ServiceNetwork> = attachments("", networks)
        .into_iter()
        .map(|network| ServiceNetwork {
            id: network.id,
            name: network.name,
            aliases: Vec::new(),
            vips: network.ipv4.map(IpAddr::from).into_iter().chain(network.ipv6.map(IpAddr::from)).collect(),
        })
        .collect();
    if let Some(first) = known.first_mut() {
        first.aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    }
    let id = format!("id-of-{name}");
    ServiceSpec { id, version: 1, name, stack, labels: labels(text), networks: known, ports: Vec::new() }
        .normalized()
}

/// What one owner says at a name of a type: TTL and RDATA.
pub(super) type Told = BTreeMap<(Name, RecordType, OwnerId), (u32, BTreeSet<Box<[u8]>>)>;

/// Names, and what has been told of them.
pub(super) struct World {
    pub(super) names: Names,
    pub(super) told: Told,
    pub(super) askers: BTreeMap<IpAddr, (Option<Asker>, Option<Name>)>,
    outsiders: Asker,
    /// The zone that other servers get.
    pub(super) content: Content,
    /// Names of which something was told the last time.
    pub(super) touched: BTreeSet<String>,
}

impl World {
    pub(super) fn new(terms: Terms) -> World {
        World {
            content: Content::new(&terms.domain),
            names: Names::new(terms),
            told: Told::new(),
            askers: BTreeMap::new(),
            outsiders: Asker::default(),
            touched: BTreeSet::new(),
        }
    }

    /// All of these endpoints, each said by the node in its name: `n1` is owner 1.
    pub(super) fn of(endpoints: &[Endpoint]) -> World {
        let mut world = World::new(terms());
        endpoints.iter().for_each(|endpoint| world.put(endpoint.clone()));
        world.settle();
        world
    }

    pub(super) fn put(&mut self, endpoint: Endpoint) {
        self.names.put_endpoint(owner(&endpoint.node), endpoint);
    }

    /// Takes over what has changed.
    pub(super) fn settle(&mut self) {
        self.touched.clear();
        for delta in self.names.changes() {
            match delta {
                Delta::PutRecords { source: Source::Owner(owner), name, rtype, ttl, rdatas } => {
                    self.touched.insert(name.to_string());
                    self.content.put(Some(owner.0), &name, rtype, ttl, rdatas.clone());
                    self.told.insert((name, rtype, owner), (ttl, rdatas.into_iter().collect()));
                }
                Delta::DropRecords { source: Source::Owner(owner), name, rtype } => {
                    self.touched.insert(name.to_string());
                    self.content.put(Some(owner.0), &name, rtype, 0, Vec::new());
                    assert!(self.told.remove(&(name, rtype, owner)).is_some(), "nothing is dropped twice");
                }
                Delta::PutAddress { address, asker, name } => {
                    match (&asker, &name) {
                        (None, None) => self.askers.remove(&address),
                        _ => self.askers.insert(address, (asker, name)),
                    };
                }
                Delta::Outsiders { asker } => {
                    self.content.set_networks(&asker.networks);
                    self.outsiders = asker;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Who asks from there.
    fn asker(&self, from: &str) -> &Asker {
        let known = from.parse().ok().and_then(|address: IpAddr| self.askers.get(&address));
        known.and_then(|(asker, _)| asker.as_ref()).unwrap_or(&self.outsiders)
    }

    /// What an asker from that address is told: one record a word of a line, as in a master file.
    pub(super) fn ask(&self, from: &str, name: &str, rtype: &str) -> String {
        let asker = self.asker(from);
        let absolute =
            Name::parse(&format!("{name}{}hive.internal.", if name.is_empty() { "" } else { "." }));
        let (name, rtype) = (absolute.unwrap(), cluster::read_type(rtype).unwrap());
        let at = |wanted: RecordType| {
            let here = self.told.iter().filter(|((at, rtype, _), _)| *at == name && *rtype == wanted);
            here.flat_map(|(_, (_, rdatas))| rdatas).collect::<Vec<_>>()
        };
        let plain: Vec<String> = at(rtype)
            .into_iter()
            .map(|rdata| cluster::text(rtype, rdata))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let viewed = at(rtype.viewed());
        let viewed: Vec<(Tag, &[u8])> = viewed.into_iter().filter_map(|rdata| Tag::open(rdata)).collect();
        let marked = at(MARK.viewed());
        let marked: Vec<(Tag, &[u8])> = marked.into_iter().filter_map(|rdata| Tag::open(rdata)).collect();
        let seen = see(&viewed, &marked, asker);
        let near = seen.iter().filter(|(tag, _)| tag.owner == asker.owner);
        let far = seen.iter().filter(|(tag, _)| tag.owner != asker.owner);
        let text = |(_, rdata): &(Tag, &[u8])| cluster::text(rtype, rdata);
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        let mut all = plain;
        match seen.first().map(|(tag, _)| tag.flags & flags::ORDER) {
            // The near ones are told first, and the far ones behind a bar.
            Some(0) if near.clone().count() > 0 && far.clone().count() > 0 => {
                all.extend(sorted(near.map(text).collect()));
                all.push("|".into());
                all.extend(sorted(far.map(text).collect()));
            }
            _ => all.extend(sorted(seen.iter().map(text).collect())),
        }
        all.join(" ")
    }

    /// The names that something is told of to somebody, without the domain.
    pub(super) fn all(&self) -> BTreeSet<String> {
        let short = |name: &Name| {
            name.to_string().trim_end_matches("hive.internal.").trim_end_matches('.').to_owned()
        };
        let told = self.told.keys().filter(|(_, rtype, _)| *rtype != MARK.viewed());
        told.map(|(name, ..)| short(name)).collect()
    }

    /// The PTR of an address.
    pub(super) fn ptr(&self, address: &str) -> Option<String> {
        let (_, name) = self.askers.get(&address.parse().unwrap())?;
        name.as_ref().map(Name::to_string)
    }
}

/// The records of the one group that an asker gets, one of each item.
fn see<'r>(records: &[(Tag, &'r [u8])], marked: &[(Tag, &[u8])], asker: &Asker) -> Vec<(Tag, &'r [u8])> {
    let is_seen = |(tag, _): &&(Tag, &[u8])| {
        asker.networks.contains(&tag.network) && (tag.flags & flags::LOCAL == 0 || tag.owner == asker.owner)
    };
    let seen: Vec<&(Tag, &[u8])> = records.iter().filter(is_seen).collect();
    let marks: Vec<&(Tag, &[u8])> = marked.iter().filter(is_seen).collect();
    let all = || seen.iter().chain(&marks);
    let own = all().find(|(tag, _)| tag.stack == asker.stack).map(|(tag, _)| tag.group);
    let full = seen.iter().chain(marks.iter().filter(|(_, rdata)| *rdata == marks::FULL));
    let Some(group) = own.or_else(|| full.map(|(tag, _)| tag.group).min()) else { return Vec::new() };
    let mut items: BTreeMap<u64, (usize, Tag, &[u8])> = BTreeMap::new();
    for (tag, rdata) in seen.into_iter().filter(|(tag, _)| tag.group == group) {
        let place = asker.networks.iter().position(|network| *network == tag.network).unwrap();
        let best = items.entry(tag.item).or_insert((place, *tag, rdata));
        if place < best.0 {
            *best = (place, *tag, rdata);
        }
    }
    items.into_values().map(|(_, tag, rdata)| (tag, rdata)).collect()
}

pub(super) fn owner(node: &str) -> OwnerId {
    OwnerId(node.trim_start_matches('n').parse().unwrap())
}
