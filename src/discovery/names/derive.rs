//! The table of names: what a service, a container and a node are called.

use crate::catalog::lease::OwnerId;
use crate::discovery::endpoint::{Endpoint, Withdrawn};
use crate::discovery::labels::{Labels, Order};
use crate::discovery::names::askers::Claim;
use crate::discovery::names::claims::{node_claims, own_claims, virtual_claims};
use crate::discovery::names::contribution::{Contribution, Form, Record};
use crate::discovery::names::ports::{browse, ports};
use crate::discovery::names::shape::{
    Shape, addresses, by, marked, marks, record, virtual_addresses, within,
};
use crate::discovery::names::unit::UnitKey;
use crate::discovery::names::{Key, Row, Terms, labels};
use crate::discovery::node;
use crate::discovery::service::ServiceSpec;
use crate::zone::view::{flags, number};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The network by which a swarm's published ports are reached: every service with one is in it, and nobody reaches
/// another through it.
pub(super) const INGRESS: &str = "ingress";

/// One container of a unit.
#[derive(Clone, Copy)]
pub(super) struct Member<'m> {
    pub(super) owner: OwnerId,
    pub(super) endpoint: &'m Endpoint,
    /// By its node, or because its swarm wants it to end.
    pub(super) is_withdrawn: bool,
    /// What its node says of it is not served any more.
    pub(super) is_gone: bool,
}

/// What a unit gives.
#[derive(Debug, Default)]
pub(super) struct Derived {
    pub(super) names: BTreeMap<Key, Vec<Contribution>>,
    /// Rising, none twice.
    pub(super) claims: Vec<(IpAddr, Claim)>,
}

pub(super) type Label = Box<[u8]>;

/// Names and claims in the making.
pub(super) struct Builder<'t> {
    pub(super) terms: &'t Terms,
    pub(super) stack: Arc<str>,
    ttl: u32,
    pub(super) order: u8,
    pub(super) derived: Derived,
}

impl<'t> Builder<'t> {
    fn new(terms: &'t Terms, stack: &str, labels: &Labels) -> Builder<'t> {
        let order = match labels.order.unwrap_or(terms.order) {
            Order::Nearest => 0,
            Order::Random => flags::ORDER_RANDOM,
            Order::Rotate => flags::ORDER_ROTATE,
            Order::Fixed => flags::ORDER_FIXED,
        };
        let ttl = labels.ttl.unwrap_or(terms.ttl);
        Builder { terms, stack: stack.into(), ttl, order, derived: Derived::default() }
    }

    /// The name of `labels` then `base` gets these records, in this form.
    pub(super) fn add_in(
        &mut self,
        row: Row,
        labels: &[&[u8]],
        base: &[Label],
        form: Form,
        records: &Arc<[Record]>,
    ) {
        if records.is_empty() {
            return;
        }
        let all = labels.iter().copied().chain(base.iter().map(|label| &**label));
        if let Some(key) = labels::key(all, &self.terms.domain) {
            let contribution = Contribution { row, form, ttl: self.ttl, records: records.clone() };
            let contributions = self.derived.names.entry(key).or_default();
            if !contributions.contains(&contribution) {
                contributions.push(contribution);
            }
        }
    }

    /// The same for those who see the stack, in its order.
    pub(super) fn add(&mut self, row: Row, labels: &[&[u8]], base: &[Label], records: &Arc<[Record]>) {
        let form = Form::Viewed { stack: self.stack.clone(), flags: self.order };
        self.add_in(row, labels, base, form, records);
    }

    /// An absolute name in wire form.
    pub(super) fn absolute(&self, labels: &[&[u8]], base: &[Label]) -> Option<Box<[u8]>> {
        let all = labels.iter().copied().chain(base.iter().map(|label| &**label));
        let key = labels::key(all, &self.terms.domain)?;
        Some(labels::absolute(&key, &self.terms.domain))
    }

    fn end(mut self) -> Derived {
        self.derived.claims.sort();
        self.derived.claims.dedup();
        self.derived
    }
}

/// The names of a service and of its tasks.
pub(super) fn service(
    key: &UnitKey,
    members: &[Member<'_>],
    spec: Option<(OwnerId, &ServiceSpec)>,
    terms: &Terms,
) -> Derived {
    let Some(shape) = Shape::of(key, members, spec) else { return Derived::default() };
    let mut builder = Builder::new(terms, &shape.stack, &shape.labels);
    let enabled: Vec<Member<'_>> = members
        .iter()
        .filter(|member| shape.labels_of(member).enable != Some(false))
        .filter(|member| member.endpoint.withdrawn != Some(Withdrawn::Died))
        .copied()
        .collect();
    let told = shape.pick(&enabled, terms);
    let ready = addresses(&shape, &told);
    let all = addresses(&shape, &enabled);
    let own = match shape.labels.vip {
        Some(true) => Some(virtual_addresses(&shape)).filter(|vips| !vips.is_empty()),
        Some(false) | None => None,
    };
    let own = own.unwrap_or_else(|| ready.clone());
    let alias = shape.alias(&told);
    let texts = shape.texts(&told);
    // An alias would yield to marks.
    let own = if shape.labels.cname.is_some() { own } else { marked(&shape, &enabled, &own) };
    let all = marked(&shape, &enabled, &all);
    let (near, ready) = (ready.clone(), marked(&shape, &enabled, &ready));
    let mark = marks(&shape, &enabled, &near);

    for (base, row) in shape.bases() {
        match &alias {
            Some(alias) => {
                let form = Form::Alias { stack: builder.stack.clone() };
                builder.add_in(row, &[], &base, form, alias);
            }
            None => {
                builder.add(row, &[], &base, &own);
                builder.add(row, &[], &base, &texts);
            }
        }
        builder.add(Row::Service, &[b"tasks"], &base, &ready);
        builder.add(Row::All, &[b"all"], &base, &all);
        let nearest = Form::Viewed { stack: builder.stack.clone(), flags: 0 };
        builder.add_in(Row::Near, &[b"nearest"], &base, nearest, &ready);
        let local = Form::Viewed { stack: builder.stack.clone(), flags: builder.order | flags::LOCAL };
        builder.add_in(Row::Near, &[b"local"], &base, local, &near);
        // Whose own service has no task here gets nobody else's that is here.
        builder.add(Row::Near, &[b"local"], &base, &mark);
        for (slot, members) in by(&enabled, |member| shape.slot(member)) {
            let records = addresses(&shape, &shape.pick(&members, terms));
            builder.add(Row::Task, &[slot.to_string().as_bytes()], &base, &records);
        }
        for (node, members) in by(&enabled, |member| labels::of(&member.endpoint.node)) {
            let records = addresses(&shape, &shape.pick(&members, terms));
            builder.add(Row::Task, &[&node, b"m"], &base, &records);
        }
        for (labels, records) in ports(&builder, &shape, &told) {
            builder.add(Row::Port, &[&labels.0, &labels.1], &base, &records);
        }
    }
    browse(&mut builder, &shape, &told);
    aliases(&mut builder, &shape, alias.as_ref(), &own, &ready);
    if matches!(key, UnitKey::Compose(..)) {
        for (name, members) in by(&enabled, |member| labels::of(&member.endpoint.name)) {
            container_names(&mut builder, &name, &members, &shape.pick(&members, terms), &shape);
        }
    }
    for member in members {
        let name = shape.task_name(&builder, member);
        own_claims(&mut builder, member, name, shape.labels_of(member).enable != Some(false));
    }
    virtual_claims(&mut builder, &shape);
    builder.end()
}

/// The names of a container that belongs to no service.
pub(super) fn container(members: &[Member<'_>], terms: &Terms) -> Derived {
    let Some(member) = members.first() else { return Derived::default() };
    let endpoint = member.endpoint;
    let own = endpoint.labels.name.as_deref().unwrap_or(&endpoint.name);
    let Some(name) = labels::of(own) else { return Derived::default() };
    let shape = Shape::lone(endpoint, name.clone());
    let mut builder = Builder::new(terms, "", &endpoint.labels);
    let is_enabled = endpoint.labels.enable != Some(false);
    if is_enabled && endpoint.withdrawn != Some(Withdrawn::Died) {
        let told = shape.pick(members, terms);
        container_names(&mut builder, &name, members, &told, &shape);
        for (labels, records) in ports(&builder, &shape, &told) {
            builder.add(Row::Port, &[&labels.0, &labels.1], &shape.exact, &records);
        }
        browse(&mut builder, &shape, &told);
        let own = addresses(&shape, &told);
        aliases(&mut builder, &shape, shape.alias(&told).as_ref(), &own, &own);
    }
    let name = builder.absolute(&[], &shape.exact);
    own_claims(&mut builder, member, name, is_enabled);
    builder.end()
}

/// `CONTAINER`, `CONTAINER.NETWORK`, and what it is called in single networks.
fn container_names(
    builder: &mut Builder<'_>,
    name: &Label,
    members: &[Member<'_>],
    told: &[Member<'_>],
    shape: &Shape<'_>,
) {
    let records = addresses(shape, told);
    let base = [name.clone()];
    match shape.alias(told).filter(|_| shape.is_lone) {
        Some(alias) => {
            let form = Form::Alias { stack: builder.stack.clone() };
            builder.add_in(Row::Container, &[], &base, form, &alias);
        }
        None => {
            builder.add(Row::Container, &[], &base, &records);
            if shape.is_lone {
                builder.add(Row::Container, &[], &base, &shape.texts(told));
            }
        }
    }
    let networks: BTreeSet<(&str, &str)> = members
        .iter()
        .flat_map(|member| &member.endpoint.networks)
        .map(|network| (network.name.as_str(), network.id.as_str()))
        .collect();
    for (network, id) in networks {
        let here = within(&records, number(id.as_bytes()));
        if let Some(label) = labels::of(network).filter(|_| !labels::is_number(name)) {
            builder.add(Row::Container, &[name], &[label], &here);
        }
        for member in told {
            let attached = member.endpoint.networks.iter().filter(|network| network.id == id);
            for alias in attached.flat_map(|network| &network.names).filter_map(|alias| labels::of(alias)) {
                let own = addresses(shape, &[*member]);
                builder.add(Row::Alias, &[&alias], &[], &within(&own, number(id.as_bytes())));
            }
        }
    }
}

/// `NODE.node`: a node's own addresses, the same for everybody.
pub(super) fn node_names(
    owner: OwnerId,
    node: Option<&(Box<str>, node::Entry)>,
    terms: &Terms,
    is_gone: bool,
) -> Derived {
    let mut derived = Derived::default();
    let Some((name, entry)) = node else { return derived };
    let Some(label) = labels::of(name) else { return derived };
    let records = entry.addresses().iter().map(|address| record(owner, *address, 0, 0)).collect();
    if let Some(key) = labels::key([&*label, b"node"], &terms.domain) {
        let absolute = labels::absolute(&key, &terms.domain);
        if !is_gone {
            node_claims(owner, (name, entry.addresses()), &absolute, &mut derived.claims);
        }
        derived.claims.sort();
        let contribution = Contribution { row: Row::Node, form: Form::Plain, ttl: terms.ttl, records };
        derived.names.insert(key, vec![contribution]);
    }
    derived
}

/// Aliases: by label everywhere, by the service's definition in one network each.
fn aliases(
    builder: &mut Builder<'_>,
    shape: &Shape<'_>,
    alias: Option<&Arc<[Record]>>,
    own: &Arc<[Record]>,
    ready: &Arc<[Record]>,
) {
    for label in shape.labels.aliases.iter().filter_map(|alias| labels::of(alias)) {
        let base = [label];
        match alias {
            Some(alias) => {
                let form = Form::Alias { stack: builder.stack.clone() };
                builder.add_in(Row::Alias, &[], &base, form, alias);
            }
            None => builder.add(Row::Alias, &[], &base, own),
        }
        builder.add(Row::Alias, &[b"tasks"], &base, ready);
    }
    let Some((_, spec)) = shape.spec else { return };
    for network in &spec.networks {
        let number = number(network.id.as_bytes());
        for label in network.aliases.iter().filter_map(|alias| labels::of(alias)) {
            let base = [label];
            builder.add(Row::Alias, &[], &base, &within(own, number));
            builder.add(Row::Alias, &[b"tasks"], &base, &within(ready, number));
        }
    }
}
