//! From what the cluster replicates to records in the catalog.
//!
//! An owner's entry gives the addresses of `NODE.node.DOMAIN`; its name comes with its membership. Cluster-wide
//! records are RRsets as they are. What cannot be understood is left out and counted: whoever published it, all
//! others' names go on being served.

mod gone;

use crate::base::config::{AddressOrder, Config, NoneHealthy};
use crate::base::time::Moment;
use crate::catalog::delta::Delta;
use crate::catalog::lease::{Lease as CatalogLease, OwnerId, Source};
use crate::discovery::cluster::{self, Rrset};
use crate::discovery::entry::Poison;
use crate::discovery::labels::Order;
use crate::discovery::names::{self as derived, Terms};
use crate::discovery::node::{self, Entry};
use crate::gossip::identity::{NodeId, Version};
use crate::gossip::machine::Gossip;
use crate::gossip::output::{Health, Lease, NodeInfo};
use crate::gossip::replication::log::{Entry as LogEntry, Log};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use gone::Gone;
use std::collections::BTreeSet;
use std::time::Duration;

/// Members named as the domain's name servers: more help nobody, and an answer must hold them.
const SERVERS_MAX: usize = 8;
/// Foul records remembered, so that each is told once.
const FOUL_MAX: usize = 1_024;

pub(super) struct Names {
    domain: Name,
    ttl: u32,
    servers: Vec<Name>,
    /// What is made of what owners say.
    derived: derived::Names,
    /// Who is lost, and until when what it said is served.
    gone: Gone,
    foul: BTreeSet<Vec<u8>>,
    poison: u64,
}

/// The lease of an owner; of one that is no member, hidden: nobody has vouched that it lives.
fn current_lease(gossip: &Gossip, owner: NodeId) -> Lease {
    let known = owner == gossip.me().id || gossip.membership().get(owner).is_some();
    if known { gossip.replication().leases().get(owner) } else { Lease::Hidden }
}

/// The members that are named as the domain's name servers, by rising id.
pub(super) fn servers(gossip: &Gossip) -> Vec<Box<str>> {
    let me = gossip.me();
    let mut alive: Vec<(NodeId, Box<str>)> = gossip
        .membership()
        .tellings()
        .filter(|told| matches!(told.health(), Health::Alive | Health::Suspect))
        .take(SERVERS_MAX)
        .map(|told| (told.id(), told.info.name.clone()))
        .collect();
    alive.push((me.id, me.name.clone()));
    alive.sort();
    alive.truncate(SERVERS_MAX);
    alive.into_iter().map(|(_, name)| name).collect()
}

/// What the names of the domain are made by.
pub(super) fn terms(domain: Name, config: &Config, me: NodeId) -> Terms {
    Terms {
        domain,
        ttl: seconds(config.services.ttl),
        fail_open: config.services.none_healthy == NoneHealthy::FailOpen,
        order: match config.services.order {
            AddressOrder::Nearest => Order::Nearest,
            AddressOrder::Random => Order::Random,
            AddressOrder::Rotate => Order::Rotate,
            AddressOrder::Fixed => Order::Fixed,
        },
        me: OwnerId(me.0),
        external: config.docker.external.clone(),
    }
}

/// As a TTL.
pub(super) fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

impl Names {
    pub(super) fn new(domain: Name, config: &Config, me: NodeId) -> Names {
        let ttl = seconds(config.services.ttl);
        let terms = terms(domain.clone(), config, me);
        let derived = derived::Names::new(terms);
        let gone = Gone::new(config.services.lease);
        Names { domain, ttl, servers: Vec::new(), derived, gone, foul: BTreeSet::new(), poison: 0 }
    }

    /// What becomes of an owner's records.
    pub(super) fn lease(&mut self, owner: NodeId, lease: Lease, deltas: &mut Vec<Delta>) {
        let owner = OwnerId(owner.0);
        self.gone.hear(owner, lease, self.derived.longest_ttl(owner));
        // Whatever is over will be so at the next turn.
        self.derived.set_gone(owner, None);
        let lease = match lease {
            Lease::Full => CatalogLease::Full,
            Lease::Counting { since, restarting } => {
                CatalogLease::Counting { spent: Duration::ZERO, at: since, restarting }
            }
            Lease::Frozen { spent } => CatalogLease::Frozen { spent },
            Lease::Hidden => CatalogLease::Hidden,
        };
        deltas.push(Delta::Lease { owner, lease });
    }

    /// When [`Names::expire`] has something to do.
    pub(super) fn next_wake(&self) -> Moment {
        self.gone.next()
    }

    /// Tasks of lost owners whose records are over are not ready any more.
    pub(super) fn expire(&mut self, now: Moment, deltas: &mut Vec<Delta>) {
        for (owner, ttl_max) in self.gone.take(now) {
            self.derived.set_gone(owner, Some(ttl_max));
        }
        deltas.extend(self.derived.changes());
    }

    /// What is made of what owners say: for those who ask why.
    pub(super) fn derived(&self) -> &derived::Names {
        &self.derived
    }

    /// This node is reached at that address.
    pub(super) fn set_home(&mut self, address: std::net::IpAddr) {
        self.derived.set_home([address]);
    }

    pub(super) fn poison(&self) -> u64 {
        self.poison
    }

    /// An owner's records changed.
    pub(super) fn records(
        &mut self,
        gossip: &Gossip,
        owner: NodeId,
        log: &Log,
        since: Option<Version>,
        deltas: &mut Vec<Delta>,
    ) {
        if since.is_none() {
            deltas.push(Delta::RenewOwner { owner: OwnerId(owner.0) });
            self.lease(owner, current_lease(gossip, owner), deltas);
            self.derived.renew(OwnerId(owner.0));
            self.derived
                .keep(OwnerId(owner.0), |kind, id| log.get(&[&[kind], id.as_bytes()].concat()).is_some());
            if owner == gossip.me().id {
                // They were said by that owner, too.
                self.servers.clear();
            }
        }
        match since {
            None => log.records().for_each(|entry| self.entry(owner, &entry)),
            Some(since) => log.since(since).iter().for_each(|entry| self.entry(owner, entry)),
        }
        self.node(gossip, owner, log);
        deltas.extend(self.derived.changes());
        if owner == gossip.me().id {
            self.name_servers(gossip, deltas);
        }
    }

    /// An owner says this under a key, or nothing any more.
    fn entry(&mut self, owner: NodeId, entry: &LogEntry<'_>) {
        if let Err(poison) = self.derived.hear(OwnerId(owner.0), entry.key, entry.value) {
            let id = String::from_utf8_lossy(entry.key.get(1..).unwrap_or_default());
            let key = [&owner.0.to_be_bytes(), entry.key].concat();
            self.foul(&key, &format!("an entry of node {owner} about {id} is left out: {poison}"));
        }
    }

    /// What an owner says of itself, and what it is called.
    fn node(&mut self, gossip: &Gossip, owner: NodeId, log: &Log) {
        let name = match owner == gossip.me().id {
            true => Some(gossip.me().name.clone()),
            false => gossip.membership().get(owner).map(|member| member.told.info.name.clone()),
        };
        // Without membership there is no name yet; it comes with it.
        let Some(name) = name else { return };
        let entry: Option<Result<Entry, Poison>> = log.get(node::KEY).map(Entry::decode);
        let entry = match entry {
            Some(Ok(entry)) => Some(entry),
            Some(Err(poison)) => {
                self.foul(
                    &owner.0.to_be_bytes(),
                    &format!("the entry of node {owner} is left out: {poison}"),
                );
                None
            }
            None => None,
        };
        self.derived.put_node(OwnerId(owner.0), entry.as_ref().map(|entry| (&*name, entry)));
    }

    /// A cluster-wide set changed.
    pub(super) fn cluster(&mut self, key: &[u8], value: Option<&[u8]>, deltas: &mut Vec<Delta>) {
        let Ok((name, rtype)) = cluster::decode_key(key) else {
            return self.foul(key, "a cluster-wide record has a key that is none");
        };
        let set = value.map(|value| {
            let set = Rrset::decode(key, value).map_err(|poison| poison.to_string())?;
            set.stands_in(&self.domain).map_err(|unfit| unfit.to_string())?;
            Ok::<Rrset, String>(set)
        });
        deltas.push(match set {
            Some(Ok(set)) => Delta::PutRecords {
                source: Source::Cluster,
                name,
                rtype,
                ttl: set.ttl(),
                rdatas: set.rdatas().iter().map(|rdata| rdata.clone().into()).collect(),
            },
            Some(Err(why)) => {
                self.foul(key, &format!("the cluster-wide record {name} {rtype} is not served: {why}"));
                Delta::DropRecords { source: Source::Cluster, name, rtype }
            }
            None => Delta::DropRecords { source: Source::Cluster, name, rtype },
        });
    }

    /// A member appeared or changed.
    pub(super) fn member(&mut self, gossip: &Gossip, info: &NodeInfo, deltas: &mut Vec<Delta>) {
        if let Some(log) = gossip.replication().owners().get(info.id).and_then(|owner| owner.shown()) {
            self.lease(info.id, current_lease(gossip, info.id), deltas);
            self.node(gossip, info.id, log);
            deltas.extend(self.derived.changes());
        }
        self.name_servers(gossip, deltas);
    }

    pub(super) fn forgotten(&mut self, gossip: &Gossip, id: NodeId, deltas: &mut Vec<Delta>) {
        deltas.push(Delta::DropOwner { owner: OwnerId(id.0) });
        self.gone.forget(OwnerId(id.0));
        self.derived.forget(OwnerId(id.0));
        deltas.extend(self.derived.changes());
        self.name_servers(gossip, deltas);
    }

    /// This node goes on under another id: what it said under the old one is the other process's to say.
    pub(super) fn renamed(&mut self, gossip: &Gossip, deltas: &mut Vec<Delta>) {
        self.servers.clear();
        self.lease(gossip.me().id, current_lease(gossip, gossip.me().id), deltas);
        self.name_servers(gossip, deltas);
    }

    /// The NS of the domain: some living members, the same on every node that sees the same members.
    fn name_servers(&mut self, gossip: &Gossip, deltas: &mut Vec<Delta>) {
        let me = gossip.me();
        let alive = servers(gossip);
        let names = alive.iter().filter_map(|name| node::name_of(name, &self.domain).ok());
        let servers: Vec<Name> = names.collect();
        if servers == self.servers || servers.is_empty() {
            return;
        }
        deltas.push(Delta::PutRecords {
            source: Source::Owner(OwnerId(me.id.0)),
            name: self.domain.clone(),
            rtype: RecordType::NS,
            ttl: self.ttl,
            rdatas: servers.iter().map(|name| name.as_wire().into()).collect(),
        });
        self.servers = servers;
    }

    /// Something that cannot be understood: counted, and told once.
    pub(super) fn foul(&mut self, key: &[u8], what: &str) {
        self.poison += 1;
        if self.foul.len() < FOUL_MAX && self.foul.insert(key.to_vec()) {
            tracing::error!("{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::endpoint::{Attachment, Endpoint, Reach};
    use crate::discovery::service::ServiceSpec;
    use crate::gossip::identity::Generation;
    use crate::gossip::machine::{Settings, Start};
    use crate::gossip::output::{Event, Output};
    use crate::gossip::replication::leases::FreezeRule;
    use crate::gossip::secrecy::keyring::Ring;
    use std::sync::Arc;

    const NOW: Moment = Moment::from_micros(1_000_000_000_000);

    /// A node that has said its address, and what it said.
    fn node(name: &str) -> (Gossip, Arc<Log>) {
        let freeze = FreezeRule { share: 0.34, max: Duration::from_secs(1) };
        let settings =
            Settings { cluster: "c".into(), membership: Default::default(), freeze, measures: false };
        let address = "192.0.2.1:7953".parse().unwrap();
        let info = NodeInfo { id: NodeId(7), boot: 1, name: name.into(), address };
        let (ring, generation) = (Ring::default(), Generation(1));
        let mut gossip =
            Gossip::new(NOW, &settings, Start { info, generation, ring, secret: [0; 32], seed: 1 });
        gossip.put(NOW, node::KEY, &Entry::new([address.ip()]).value());
        gossip.ready(NOW);
        loop {
            match gossip.poll(NOW) {
                Output::Event(Event::Records { log, .. }) => return (gossip, log),
                Output::Wake(_) => panic!("it has nothing to say"),
                _ => {}
            }
        }
    }

    fn names() -> Names {
        Names::new(Name::parse("hive.internal.").unwrap(), &Config::default(), NodeId(7))
    }

    /// `+NAME TYPE` of what is put, `-NAME TYPE` of what is dropped.
    fn told(deltas: &[Delta]) -> Vec<String> {
        let told = deltas.iter().filter_map(|delta| match delta {
            Delta::PutRecords { name, rtype, .. } => Some(format!("+{name} {rtype}")),
            Delta::DropRecords { name, rtype, .. } => Some(format!("-{name} {rtype}")),
            _ => None,
        });
        told.collect()
    }

    #[test]
    fn the_domain_has_its_name_servers_after_a_new_life_too() {
        let ((gossip, log), mut names) = (node("n1"), names());
        for _ in 0..2 {
            let mut deltas = Vec::new();
            names.records(&gossip, NodeId(7), &log, None, &mut deltas);
            assert!(told(&deltas).contains(&"+hive.internal. NS".to_owned()), "{deltas:?}");
        }
        let mut deltas = Vec::new();
        names.records(&gossip, NodeId(7), &log, Some(Version(1)), &mut deltas);
        assert!(!told(&deltas).contains(&"+hive.internal. NS".to_owned()), "{deltas:?}");
    }

    #[test]
    fn a_node_that_is_called_otherwise_has_its_old_name_no_more() {
        let ((before, log), (after, _), mut names) = (node("old"), node("new"), names());
        names.records(&before, NodeId(7), &log, None, &mut Vec::new());
        let mut deltas = Vec::new();
        names.records(&after, NodeId(7), &log, Some(Version(1)), &mut deltas);
        let told = told(&deltas);
        assert!(told.contains(&"-old.node.hive.internal. A".to_owned()), "{told:?}");
        assert!(told.contains(&"+new.node.hive.internal. A".to_owned()), "{told:?}");
    }

    #[test]
    fn what_an_owner_says_of_containers_becomes_names_until_it_says_so_no_more() {
        let ((mut gossip, _), mut names) = (node("n1"), names());
        let attachment = Attachment {
            id: "net".into(),
            name: "net".into(),
            reach: Reach::Swarm,
            ipv4: Some([10, 0, 0, 1].into()),
            ..Attachment::default()
        };
        let container = |name: &str| Endpoint {
            id: name.into(),
            name: name.into(),
            networks: vec![attachment.clone()],
            ..Endpoint::default()
        };
        let spec = ServiceSpec { id: "s1".into(), name: "web".into(), ..ServiceSpec::default() };
        let mut hear = |gossip: &mut Gossip, since| {
            while !matches!(gossip.poll(NOW), Output::Wake(_)) {}
            let log = gossip.replication().owners().get(NodeId(7)).and_then(|owner| owner.shown()).unwrap();
            let mut deltas = Vec::new();
            names.records(gossip, NodeId(7), log, since, &mut deltas);
            told(&deltas).into_iter().filter(|told| told.contains("box")).collect::<Vec<_>>()
        };
        let all = ["+box.hive.internal. TYPE61441", "+box.net.hive.internal. TYPE61441"];
        gossip.put(NOW, &container("box").key().unwrap(), &container("box").value().unwrap());
        gossip.put(NOW, &spec.key().unwrap(), &spec.value().unwrap());
        // What a later program says is nobody's fault.
        gossip.put(NOW, b"zlater", &[9]);
        assert_eq!(hear(&mut gossip, None), all);
        let head =
            gossip.replication().owners().get(NodeId(7)).and_then(|owner| owner.shown()).unwrap().head();
        assert_eq!(hear(&mut gossip, Some(head)), [""; 0]);
        // A new life forgets what was said; what is still said is told again.
        assert_eq!(hear(&mut gossip, None), all);
        gossip.remove(NOW, &container("box").key().unwrap());
        let gone = ["-box.hive.internal. TYPE61441", "-box.net.hive.internal. TYPE61441"];
        assert_eq!(hear(&mut gossip, Some(head)), gone);
        gossip.put(NOW, &container("box").key().unwrap(), &container("box").value().unwrap());
        assert_eq!(hear(&mut gossip, Some(head)), all);
        // An entry that nobody understands takes the names away and no others.
        gossip.put(NOW, &container("box").key().unwrap(), &[9]);
        assert_eq!(hear(&mut gossip, Some(head)), gone);
        assert_eq!((names.poison(), names.derived().legend().networks.len()), (1, 0));
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_told_once_and_counted() {
        let ((mut gossip, _), mut names) = (node("n1"), names());
        gossip.put(NOW, node::KEY, &[9]);
        while !matches!(gossip.poll(NOW), Output::Wake(_)) {}
        let log = gossip.replication().owners().get(NodeId(7)).and_then(|owner| owner.shown()).unwrap();
        for _ in 0..2 {
            let mut deltas = Vec::new();
            names.records(&gossip, NodeId(7), log, Some(Version(1)), &mut deltas);
            assert!(!told(&deltas).iter().any(|told| told.contains("n1.node")), "{deltas:?}");
        }
        assert_eq!((names.poison(), names.foul.len()), (2, 1));
    }
}
