//! The verbs about records, answered by the control thread; long listings are made in [`crate::control::listing`].

use crate::base::time::Moment;
use crate::catalog::lease::{Lease, Source};
use crate::catalog::records::RecordView;
use crate::control::Control;
use crate::control::document::{
    RecordDocument, RecordsDocument, RemovedDocument, SetDocument, UnsetDocument,
};
use crate::control::listing::{self, Cursor, Wanted};
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::discovery::cluster::{self, Removal, Rrset};
use crate::discovery::node;
use crate::gossip::identity::{Generation, NodeId, Version};
use crate::gossip::machine::ClusterWrite;
use crate::os::clock;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::live::choice::Standing;
use crate::zone::view::Tag;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Owners with a metric of their own: a time series each, kept by whoever reads them.
const OWNERS_TOLD: usize = 256;
/// What no node can be called stands for the cluster as a whole ...
const CLUSTER_LABEL: &str = "(cluster)";
/// ... and for all owners beyond [`OWNERS_TOLD`].
const OTHERS_LABEL: &str = "(others)";

impl Control {
    /// Puts a set of records in place of what the cluster had.
    pub(super) fn set(&mut self, set: Result<Rrset, Refused>) -> Result<Reply, Refused> {
        let set = set?;
        self.is_known()?;
        let key = set.key();
        let beside = self.types_at(set.name()).into_iter().filter(|rtype| *rtype != set.rtype());
        set.stands_beside(beside).map_err(|error| Refused::new(RefusedKind::Conflict, error.to_string()))?;
        let replaced = self.cluster.rrset(&key).is_some();
        let now = clock::moment(clock::now());
        if self.cluster.gossip.write_cluster(now, &key, Some(&set.value())) == ClusterWrite::Full {
            let error = "there is no room for another cluster-wide record: unset some first".to_owned();
            return Err(Refused::new(RefusedKind::Failed, error));
        }
        Ok(Reply::Set(SetDocument {
            name: set.name().to_string(),
            rtype: set.rtype().to_string(),
            ttl: set.ttl(),
            rdata: set.texts(),
            replaced,
        }))
    }

    /// A node that does not know the cluster's records yet would write behind what stands there: at the next
    /// comparison its writes would be lost.
    fn is_known(&self) -> Result<(), Refused> {
        if self.cluster.is_synced() {
            return Ok(());
        }
        let error = "this node does not know the cluster's records yet, and could lose what it is told: try again \
                     when `status` says synced";
        Err(Refused::new(RefusedKind::Unavailable, error))
    }

    /// Types that the cluster has at a name.
    pub(super) fn types_at(&self, name: &Name) -> Vec<RecordType> {
        let start = name.to_lowercase().as_wire().to_vec();
        let writes = self.cluster.gossip.replication().cluster().iter();
        let here = writes.filter(|write| write.value.is_some() && write.key.starts_with(&start));
        let types = here.filter_map(|write| cluster::decode_key(write.key).ok());
        types.filter(|(other, _)| other == name).map(|(_, rtype)| rtype).collect()
    }

    /// Removes cluster-wide records.
    pub(super) fn unset(&mut self, removal: Result<Removal, Refused>) -> Result<Reply, Refused> {
        let Removal { name, rtype, rdatas } = removal?;
        self.is_known()?;
        let types = match rtype {
            Some(rtype) => vec![rtype],
            None => self.types_at(&name),
        };
        let now = clock::moment(clock::now());
        let mut removed = Vec::new();
        for rtype in types {
            let key = cluster::key(&name, rtype);
            let (left, gone) = match (self.cluster.rrset(&key), rdatas.is_empty()) {
                (Some(set), true) => (None, set.rdatas().to_vec()),
                (Some(set), false) => set.without(&rdatas),
                // What another node wrote and nobody understands can be removed as a whole.
                (None, true) => (None, self.cluster.value(&key).into_iter().collect()),
                (None, false) => continue,
            };
            if gone.is_empty() {
                continue;
            }
            let value = left.map(|left| left.value());
            self.cluster.gossip.write_cluster(now, &key, value.as_deref());
            removed.extend(gone.iter().map(|rdata| RemovedDocument {
                rtype: rtype.to_string(),
                rdata: cluster::text(rtype, rdata),
            }));
        }
        if removed.is_empty() {
            let error = format!("the cluster has no such record at {name}: `records` shows what there is");
            return Err(Refused::new(RefusedKind::NotFound, error));
        }
        Ok(Reply::Unset(UnsetDocument { name: name.to_string(), removed }))
    }

    /// Tells records: those of one name at once, all others from a thread of its own.
    pub(super) fn tell_records(
        &mut self,
        (name, rtype, owner, after): (Option<String>, Option<String>, Option<String>, Option<String>),
        answer: Answer,
    ) {
        let (name, wanted) = match self.wanted(name, rtype, owner, after) {
            Ok(wanted) => wanted,
            Err(refused) => return answer.give(Err(refused)),
        };
        let Some(services) = self.state.services() else {
            return answer.give(Ok(Reply::Records(RecordsDocument { records: Vec::new(), next: None })));
        };
        let records = services.records();
        let (lease, now) = (services.terms().lease, clock::moment(clock::now()));
        let networks = self.cluster.derived().networks();
        if let Some(name) = name {
            let page = listing::page_of(&records, &name, &wanted);
            let known = |record: &RecordView| self.known(record, now);
            let called = Called { nodes: &|id| self.name_of(id), networks: &networks, known: &known };
            let document = page.document(&called, lease, now);
            return answer.give(Ok(Reply::Records(document)));
        }
        let membership = self.cluster.gossip.membership();
        let all = membership.tellings().chain(std::iter::once(membership.own()));
        let names: BTreeMap<u64, Box<str>> = all.map(|told| (told.id().0, told.info.name.clone())).collect();
        self.clerk.hand(vec![answer], move || {
            let page = listing::page(&records, &wanted);
            drop(records);
            let name_of = |id: u64| names.get(&id).map(|name| name.to_string());
            let called = Called { nodes: &name_of, networks: &networks, known: &|_| Known::default() };
            Reply::Records(page.document(&called, lease, now))
        });
    }

    /// How many records each owner says, as `records` tells them, those of the cluster and of the owners with few as one
    /// each.
    pub(super) fn records_by_owner(&self) -> BTreeMap<String, usize> {
        let Some(services) = self.state.services() else { return BTreeMap::new() };
        let owners = services.owners();
        let mut sizes: Vec<(usize, u64)> =
            owners.iter().filter_map(|owner| Some((owner.told, owner.id?.0))).collect();
        // The SOA stands among the cluster's records, but nobody set it.
        let set = owners.cluster_records().saturating_sub(usize::from(services.latest().is_some()));
        let mut counts = BTreeMap::from([(CLUSTER_LABEL.to_owned(), set)]);
        if sizes.len() > OWNERS_TOLD {
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let others = sizes.split_off(OWNERS_TOLD);
            counts.insert(OTHERS_LABEL.to_owned(), others.iter().map(|(records, _)| records).sum());
        }
        for (records, id) in sizes {
            // Names may be given twice: then both count as one.
            let name = self.name_of(id).unwrap_or_else(|| format!("{id:016x}"));
            *counts.entry(name).or_default() += records;
        }
        counts
    }

    /// The name asked for, if it is one, and what else was said.
    fn wanted(
        &self,
        name: Option<String>,
        rtype: Option<String>,
        owner: Option<String>,
        after: Option<String>,
    ) -> Result<(Option<Name>, Wanted), Refused> {
        let malformed = |error: String| Refused::new(RefusedKind::Malformed, error);
        let name = name.map(|name| Name::parse(&name).map_err(|error| malformed(format!("{name}: {error}"))));
        let rtype = rtype.map(|text| cluster::read_type(&text).map_err(|error| malformed(error.to_string())));
        let after = after
            .map(|text| Cursor::parse(&text).ok_or_else(|| malformed(format!("{text:?}: no such place"))));
        let owner = owner.map(|owner| self.node(&owner).map(|(id, _)| id.0));
        let wanted =
            Wanted { rtype: rtype.transpose()?, owner: owner.transpose()?, after: after.transpose()? };
        Ok((name.transpose()?, wanted))
    }
}

/// What nodes and networks are called.
pub(super) struct Called<'c> {
    /// Nodes, by id.
    pub(super) nodes: &'c dyn Fn(u64) -> Option<String>,
    /// Networks, by number.
    pub(super) networks: &'c BTreeMap<u32, Arc<str>>,
    /// In which change it was said, and since when that is known.
    pub(super) known: &'c dyn Fn(&RecordView) -> Known,
}

/// What is known of the saying of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its writer's life, of what a node publishes; and the place of the change in the writer's order.
    pub(super) change: Option<(Option<Generation>, u64)>,
    /// For how long it has been known here.
    pub(super) age: Option<Duration>,
}

impl Control {
    /// What is known of the saying of a record: of cluster-wide ones, and of those that follow from a node's own entry.
    pub(super) fn known(&self, record: &RecordView, now: Moment) -> Known {
        let (gossip, since) = (&self.cluster.gossip, &self.cluster.since);
        match record.source {
            Source::Cluster => {
                let key = cluster::key(&record.name, record.rtype);
                let stamp = gossip.replication().cluster().stamp(&key);
                let age = stamp.and_then(|_| since.age_of_set(now, &key));
                Known { change: stamp.map(|stamp| (None, stamp.lamport)), age }
            }
            Source::Owner(owner) => {
                let Some((generation, version)) = self.version(NodeId(owner.0), record) else {
                    return Known::default();
                };
                let age = since.age_of_change(now, NodeId(owner.0), (generation, version));
                Known { change: Some((Some(generation), version.0)), age }
            }
        }
    }

    /// The owner's life and the change in it that made a record: known of what its entry stands for.
    fn version(&self, owner: NodeId, record: &RecordView) -> Option<(Generation, Version)> {
        let services = self.state.services()?;
        let of_entry = node::name_of(&self.name_of(owner.0)?, &services.terms().origin).ok()?;
        if record.name != of_entry {
            return None;
        }
        let log = self.cluster.gossip.replication().owners().get(owner)?.shown()?;
        let entry = log.records().find(|entry| entry.key == node::KEY)?;
        Some((log.generation(), entry.version))
    }
}

/// The RDATA as an asker gets it, and apart from it what says which askers do.
fn open(record: &RecordView) -> (Option<Tag>, &[u8]) {
    match Tag::open(&record.rdata) {
        Some((tag, rdata)) if record.rtype.is_viewed() => (Some(tag), rdata),
        _ => (None, &record.rdata),
    }
}

/// What becomes of a record.
fn state(record: &RecordView, lease: Duration, now: Moment) -> &'static str {
    match (record.is_served, record.lease.standing(record.ttl, lease, now)) {
        (true, Standing::Served { lost: true, .. }) => "lost",
        (true, _) => "served",
        (false, Standing::Served { .. }) => "overruled",
        (false, Standing::Unserved | Standing::Forgotten) => "hidden",
    }
}

/// A record as it is told.
pub(super) fn row(record: &RecordView, called: &Called<'_>, lease: Duration, now: Moment) -> RecordDocument {
    let (tag, rdata) = open(record);
    let span = lease.max(Duration::from_secs(record.ttl.into()));
    let (word, left) = match (record.source, record.lease) {
        (Source::Cluster, _) => ("none", None),
        (Source::Owner(_), Lease::Full) => ("full", None),
        (Source::Owner(_), Lease::Counting { spent, at, .. }) => {
            ("counting", Some(span.saturating_sub(spent + now.since(at))))
        }
        (Source::Owner(_), Lease::Frozen { spent }) => ("frozen", Some(span.saturating_sub(spent))),
        (Source::Owner(_), Lease::Hidden) => ("hidden", None),
    };
    let owner = match record.source {
        Source::Cluster => None,
        Source::Owner(id) => Some(id.0),
    };
    let known = (called.known)(record);
    let ttl =
        left.map_or(record.ttl, |left| record.ttl.min(u32::try_from(left.as_secs()).unwrap_or(u32::MAX)));
    RecordDocument {
        name: record.name.to_string(),
        rtype: record.rtype.told().to_string(),
        ttl,
        rdata: cluster::text(record.rtype.told(), rdata),
        source: if owner.is_some() { "node" } else { "cluster" }.to_owned(),
        owner: owner.and_then(called.nodes),
        owner_id: owner.map(|id| format!("{id:016x}")),
        version: known.change.map(|(_, version)| version),
        age_seconds: known.age.map(|age| age.as_secs_f64()),
        network: tag.map(|tag| match called.networks.get(&tag.network) {
            Some(name) => name.to_string(),
            None => format!("{:08x}", tag.network),
        }),
        state: state(record, lease, now).to_owned(),
        lease: word.to_owned(),
        lease_left_seconds: left.map(|left| left.as_secs_f64()),
    }
}
