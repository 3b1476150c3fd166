//! What a service is called, which of its tasks are told, and the records that lead to them.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{Attachment, Endpoint};
use crate::discovery::labels::Labels;
use crate::discovery::names::contribution::Record;
use crate::discovery::names::derive::{Builder, INGRESS, Label, Member};
use crate::discovery::names::unit::UnitKey;
use crate::discovery::names::{Row, Terms, labels};
use crate::discovery::service::ServiceSpec;
use crate::wire::rtype::RecordType;
use crate::zone::view::{self, number, number64};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Owners that say what all of a service's nodes could say alike, as its TXT records: more would only make its sets
/// larger, and one could be lost.
const TELLERS_MAX: usize = 3;

/// What a service is called, and how it wants to be told.
pub(super) struct Shape<'s> {
    pub(super) stack: String,
    /// `SVC`.
    pub(super) own: Label,
    /// `STACK_SVC`, if it is in a stack.
    pub(super) joined: Option<Label>,
    /// The name that is nobody else's: `SVC.STACK`.
    pub(super) exact: Vec<Label>,
    /// The service's own; those of its containers may say what they leave open.
    pub(super) labels: Labels,
    pub(super) spec: Option<(OwnerId, &'s ServiceSpec)>,
    /// A container without a service.
    pub(super) is_lone: bool,
}

impl<'s> Shape<'s> {
    pub(super) fn of(
        key: &UnitKey,
        members: &[Member<'_>],
        spec: Option<(OwnerId, &'s ServiceSpec)>,
    ) -> Option<Shape<'s>> {
        let first = members.first().map(|member| member.endpoint);
        let (stack, short) = match key {
            UnitKey::Compose(project, service) => (Some(project.to_string()), service.to_string()),
            _ => {
                let told = first.and_then(|endpoint| endpoint.service.as_ref());
                let known = spec.map(|(_, spec)| (&spec.name, &spec.stack));
                let (name, stack) = known.or(told.map(|service| (&service.name, &service.stack)))?;
                let short = stack.as_ref().and_then(|stack| name.strip_prefix(stack)?.strip_prefix('_'));
                (stack.clone(), short.filter(|short| !short.is_empty()).unwrap_or(name).to_owned())
            }
        };
        let stack = stack.filter(|stack| !stack.is_empty());
        let below = first.map(|endpoint| endpoint.labels.clone()).unwrap_or_default();
        let labels = match spec {
            Some((_, spec)) => spec.labels.over(&below),
            None => below,
        };
        let called = labels.name.as_deref().unwrap_or(&short);
        let own = labels::of(called)?;
        let joined = stack.as_ref().and_then(|stack| labels::of(&format!("{stack}_{called}")));
        let of_stack = stack.as_deref().and_then(labels::of);
        // What begins with a number and goes on is a slot's.
        let exact = match (of_stack, &joined) {
            (Some(stack), _) if !labels::is_number(&own) => vec![own.clone(), stack],
            (Some(_), Some(joined)) => vec![joined.clone()],
            _ => vec![own.clone()],
        };
        let stack = stack.unwrap_or_default();
        Some(Shape { stack, own, joined, exact, labels, spec, is_lone: false })
    }

    /// Of a container without a service.
    pub(super) fn lone(endpoint: &Endpoint, own: Label) -> Shape<'s> {
        Shape {
            stack: String::new(),
            exact: vec![own.clone()],
            own,
            joined: None,
            labels: endpoint.labels.clone(),
            spec: None,
            is_lone: true,
        }
    }

    /// All that it is called, each with its row.
    pub(super) fn bases(&self) -> Vec<(Vec<Label>, Row)> {
        let mut bases = vec![(vec![self.own.clone()], Row::Service)];
        if self.exact.len() > 1 {
            bases.push((self.exact.clone(), Row::Stack));
        }
        bases.extend(self.joined.iter().map(|joined| (vec![joined.clone()], Row::Stack)));
        bases
    }

    /// The labels that hold for one of its containers.
    pub(super) fn labels_of(&self, member: &Member<'_>) -> Labels {
        match self.spec {
            Some((_, spec)) => spec.labels.over(&member.endpoint.labels),
            None => member.endpoint.labels.clone(),
        }
    }

    pub(super) fn slot(&self, member: &Member<'_>) -> Option<u32> {
        let task = member.endpoint.task.as_ref();
        let compose = member.endpoint.compose.as_ref().filter(|_| member.endpoint.service.is_none());
        task.and_then(|task| task.slot).or(compose.and_then(|compose| compose.number))
    }

    /// Those of some members that are told: the ready ones; if none is and the terms say so, all that are not withdrawn; if
    /// all are, those whose own nodes have not withdrawn them. A swarm that has lost a node says of its tasks that they are
    /// to end, while they live on.
    pub(super) fn pick<'m>(&self, members: &[Member<'m>], terms: &Terms) -> Vec<Member<'m>> {
        let mut open: Vec<Member<'m>> =
            members.iter().filter(|member| !member.is_withdrawn && !member.is_gone).copied().collect();
        if open.is_empty() && terms.fail_open {
            let lives = |member: &&Member<'_>| member.endpoint.withdrawn.is_none() && !member.is_gone;
            open.extend(members.iter().filter(lives).copied());
        }
        let is_ready = |member: &&Member<'_>| {
            member.endpoint.is_ready() || self.labels_of(member).publish_not_ready == Some(true)
        };
        let ready: Vec<Member<'m>> = open.iter().filter(is_ready).copied().collect();
        if ready.is_empty() && terms.fail_open { open } else { ready }
    }

    /// The attachments of a member whose addresses are told.
    pub(super) fn attachments<'m>(
        &self,
        member: &Member<'m>,
    ) -> impl Iterator<Item = &'m Attachment> + use<'m> {
        let wanted = self.labels_of(member).networks;
        let stack = self.stack.clone();
        shared(member.endpoint).filter(move |network| {
            let is_it = |wanted: &String| {
                let short = network.name.strip_prefix(stack.as_str()).and_then(|rest| rest.strip_prefix('_'));
                network.name == *wanted || (!stack.is_empty() && short == Some(wanted))
            };
            wanted.is_empty() || wanted.iter().any(is_it)
        })
    }

    /// The name that leads to one container alone, in wire form.
    pub(super) fn task_name(&self, builder: &Builder<'_>, member: &Member<'_>) -> Option<Box<[u8]>> {
        if self.is_lone {
            return builder.absolute(&[], &self.exact);
        }
        if let Some(slot) = self.slot(member) {
            return builder.absolute(&[slot.to_string().as_bytes()], &self.exact);
        }
        let node = labels::of(&member.endpoint.node)?;
        builder.absolute(&[&node, b"m"], &self.exact)
    }

    /// Records that each of some owners says in each network of theirs.
    pub(super) fn say_alike(&self, told: &[Member<'_>], what: &[(RecordType, Box<[u8]>)]) -> Arc<[Record]> {
        let mut records = BTreeSet::new();
        let owners: BTreeSet<OwnerId> = told.iter().map(|member| member.owner).collect();
        let tellers: BTreeSet<OwnerId> = owners.into_iter().take(TELLERS_MAX).collect();
        for member in told.iter().filter(|member| tellers.contains(&member.owner)) {
            for network in self.attachments(member) {
                for (rtype, rdata) in what {
                    records.insert(Record {
                        owner: member.owner,
                        rtype: *rtype,
                        item: number64(rdata),
                        network: number(network.id.as_bytes()),
                        rdata: rdata.clone(),
                    });
                }
            }
        }
        records.into_iter().collect()
    }

    /// The alias that stands instead of its addresses.
    pub(super) fn alias(&self, told: &[Member<'_>]) -> Option<Arc<[Record]>> {
        let target = self.labels.cname.as_ref()?;
        let owners: BTreeSet<OwnerId> = told.iter().map(|member| member.owner).collect();
        let records = owners.into_iter().take(TELLERS_MAX).map(|owner| Record {
            owner,
            rtype: RecordType::CNAME,
            item: 0,
            network: 0,
            rdata: target.as_wire().into(),
        });
        Some(records.collect())
    }

    /// TXT and MX.
    pub(super) fn texts(&self, told: &[Member<'_>]) -> Arc<[Record]> {
        let txt = self.labels.txt.iter().map(|text| (RecordType::TXT, character_string(text)));
        let mx = self.labels.mx.iter().map(|(preference, host)| {
            (RecordType::MX, [&preference.to_be_bytes(), host.as_wire()].concat().into())
        });
        self.say_alike(told, &txt.chain(mx).collect::<Vec<_>>())
    }
}

/// `KEY=value` as one character-string (RFC 1035 §3.3); labels bound it.
pub(super) fn character_string((key, value): &(String, String)) -> Box<[u8]> {
    let text = format!("{key}={value}");
    let text = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
    [&[text.len() as u8], text].concat().into()
}

/// Attachments through which others can reach a container.
pub(super) fn shared(endpoint: &Endpoint) -> impl Iterator<Item = &Attachment> {
    let is_shared =
        |network: &&Attachment| network.name != INGRESS && (network.ipv4.is_some() || network.ipv6.is_some());
    endpoint.networks.iter().filter(is_shared)
}

pub(super) fn addresses_of(network: &Attachment) -> impl Iterator<Item = IpAddr> {
    let v6 = network.ipv6.map(IpAddr::from);
    network.ipv4.map(IpAddr::from).into_iter().chain(v6)
}

pub(super) fn record(owner: OwnerId, address: IpAddr, item: u64, network: u32) -> Record {
    let (rtype, rdata): (RecordType, Box<[u8]>) = match address {
        IpAddr::V4(address) => (RecordType::A, address.octets().into()),
        IpAddr::V6(address) => (RecordType::AAAA, address.octets().into()),
    };
    Record { owner, rtype, item, network, rdata }
}

/// The addresses of some members, in all networks that are told.
pub(super) fn addresses(shape: &Shape<'_>, members: &[Member<'_>]) -> Arc<[Record]> {
    let mut records = BTreeSet::new();
    for member in members {
        let item = number64(member.endpoint.id.as_bytes());
        for network in shape.attachments(member) {
            let number = number(network.id.as_bytes());
            records.extend(addresses_of(network).map(|address| record(member.owner, address, item, number)));
        }
    }
    records.into_iter().collect()
}

/// Marks of a service in each network that it is in: full where `told` has a record, which some of those who say so say.
pub(super) fn marks(shape: &Shape<'_>, members: &[Member<'_>], told: &[Record]) -> Arc<[Record]> {
    let mut networks: BTreeMap<u32, BTreeSet<OwnerId>> = BTreeMap::new();
    for member in members.iter().filter(|member| !member.is_gone) {
        for network in shape.attachments(member) {
            networks.entry(number(network.id.as_bytes())).or_default().insert(member.owner);
        }
    }
    let spec = shape.spec.filter(|_| shape.labels.enable != Some(false));
    if let Some((owner, spec)) = spec {
        for network in spec.networks.iter().filter(|network| network.name != INGRESS) {
            networks.entry(number(network.id.as_bytes())).or_default().insert(owner);
        }
    }
    // What these say is not served, and their marks are not either.
    let gone: BTreeSet<OwnerId> =
        members.iter().filter(|member| member.is_gone).map(|member| member.owner).collect();
    let mut records = BTreeSet::new();
    for (network, owners) in networks {
        let here = told.iter().filter(|record| record.network == network && !gone.contains(&record.owner));
        let tellers: BTreeSet<OwnerId> = here.map(|record| record.owner).collect();
        let (tellers, rdata) = match tellers.is_empty() {
            true => (owners, view::marks::EMPTY),
            false => (tellers, view::marks::FULL),
        };
        records.extend(tellers.into_iter().take(TELLERS_MAX).map(|owner| Record {
            owner,
            rtype: view::MARK,
            item: 0,
            network,
            rdata: rdata.into(),
        }));
    }
    records.into_iter().collect()
}

/// Some records of a service, with its marks.
pub(super) fn marked(shape: &Shape<'_>, members: &[Member<'_>], told: &Arc<[Record]>) -> Arc<[Record]> {
    told.iter().cloned().chain(marks(shape, members, told).iter().cloned()).collect()
}

/// A service's virtual addresses.
pub(super) fn virtual_addresses(shape: &Shape<'_>) -> Arc<[Record]> {
    let Some((owner, spec)) = shape.spec else { return Arc::default() };
    let networks = spec.networks.iter().filter(|network| network.name != INGRESS);
    let records: BTreeSet<Record> = networks
        .flat_map(|network| {
            let number = number(network.id.as_bytes());
            let item = number64(spec.id.as_bytes());
            network.vips.iter().map(move |address| record(owner, *address, item, number))
        })
        .collect();
    records.into_iter().collect()
}

/// Those of some records that lead somewhere in this network.
pub(super) fn within(records: &Arc<[Record]>, network: u32) -> Arc<[Record]> {
    records.iter().filter(|record| record.network == network).cloned().collect()
}

/// Members by something that they have.
pub(super) fn by<'m, K: Ord>(
    members: &[Member<'m>],
    key: impl Fn(&Member<'_>) -> Option<K>,
) -> BTreeMap<K, Vec<Member<'m>>> {
    let mut groups: BTreeMap<K, Vec<Member<'m>>> = BTreeMap::new();
    for member in members {
        if let Some(key) = key(member) {
            groups.entry(key).or_default().push(*member);
        }
    }
    groups
}
