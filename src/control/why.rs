//! How an answer comes about: asked of the workers' own path, and told step by step from what that path reads.
//!
//! The answer is the real one, of the snapshot that the workers have. What is said of records that are *not* in it
//! comes from the state behind it, which may be some milliseconds newer.

mod address;
mod elsewhere;
mod view;

use crate::answer::{self, Bounds, Elsewhere, Route, Scratch, Verdict};
use crate::base::octets::put_u16;
use crate::base::time::Moment;
use crate::catalog::delta::ZoneContent;
use crate::catalog::lease::{Lease, Source};
use crate::catalog::records::RecordView;
use crate::catalog::snapshot::{Snapshot, ZoneNumber};
use crate::control::Control;
use crate::control::document::{RecordDocument, StepDocument, WhyDocument};
use crate::control::records::{Called, Known, row};
use crate::control::request::{Answer, Refused, RefusedKind, Reply};
use crate::control::resolving::Wish;
use crate::control::why::elsewhere::Search;
use crate::discovery::cluster;
use crate::gossip::identity::NodeId;
use crate::os::clock;
use crate::wire::key::NameKey;
use crate::wire::message::{RD, Rcode};
use crate::wire::name::Name;
use crate::wire::query::{Accepted, Query, accept};
use crate::wire::reply::{Owner, Reply as Sheet};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::{self, Record};
use crate::zone::store::{Node, node_flags};
use crate::zone::view::MARK;
use crate::zone::{Place, Zone};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Records told of one name: people read them.
const RECORDS_TOLD: usize = 32;
/// Octets of the longest reply: any that TCP carries.
const REPLY_OCTETS: usize = 65_535;

/// Who asks, if nobody is named.
const THIS_MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What the workers would send.
struct Given {
    /// None if others have to be asked first.
    rcode: Option<Rcode>,
    answer: Vec<Record>,
    /// The zone that was asked.
    zone: Option<ZoneNumber>,
    /// The name with which the question leaves our zones, if it does.
    outside: Outside,
    /// True if the asker may have it resolved.
    is_client: bool,
}

/// The name that would be looked for elsewhere, with its hash.
#[derive(Default)]
struct Outside {
    name: Option<(Vec<u8>, u64)>,
    /// A member would be asked.
    asks_member: bool,
}

impl Elsewhere for Outside {
    /// Notes the name, and adds nothing.
    fn find(&mut self, key: &NameKey, _: &Query<'_>, _: Owner, _: &mut Sheet<'_>) -> Option<Rcode> {
        self.name = Some((key.as_wire().to_vec(), key.full_hash()));
        Some(Rcode::NoError)
    }

    /// The same.
    fn find_at_member(&mut self, _: &NameKey, _: &Query<'_>, _: Owner, _: &mut Sheet<'_>) -> Option<Rcode> {
        self.asks_member = true;
        Some(Rcode::ServFail)
    }

    /// What others say is not read here.
    fn way(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn resolves(&self, _: &[u8]) -> bool {
        false
    }

    fn is_past_members(&self) -> bool {
        false
    }
}

impl Control {
    /// Tells how the answer comes about. Costs one answer and a look-up or two, however many records there are; a name
    /// that is looked for from the root is told once it is found, unless `only_known`.
    pub(super) fn why(
        &self,
        (name, rtype, from): (&str, Option<&str>, Option<IpAddr>),
        only_known: bool,
        answer: Answer,
    ) {
        match self.tale(name, rtype, from) {
            Ok(Told::Search(search)) if !only_known => {
                let (cache, policy) = (Arc::clone(&self.resolving.cache), Arc::clone(&self.resolving.policy));
                let explain = search.explain(cache, policy, answer);
                (self.resolving.wish)(Wish::Explain(Box::new(explain)));
            }
            Ok(Told::All(document) | Told::Search(Search { document, .. })) => {
                answer.give(Ok(Reply::Why(document)));
            }
            Err(refused) => answer.give(Err(refused)),
        }
    }

    fn tale(&self, name: &str, rtype: Option<&str>, from: Option<IpAddr>) -> Result<Told, Refused> {
        let malformed = |error: String| Refused::new(RefusedKind::Malformed, error);
        let name = Name::parse(name).map_err(|error| malformed(format!("{name}: {error}")))?;
        let rtype = rtype.map_or(Ok(RecordType::A), cluster::read_type);
        let rtype = rtype.map_err(|error| malformed(error.to_string()))?;
        let now = clock::moment(clock::now());
        let snapshot = self.publisher.published().load();
        let policy = self.resolving.policy.load_full();
        let asker = from.unwrap_or(THIS_MACHINE);
        let mut given = ask(&snapshot, (&name, rtype), (from, policy.clients.contains(asker)), now);
        let mut tale = Tale { control: self, snapshot: &snapshot, now, steps: Vec::new() };
        let is_known = tale.of_address(&name);
        tale.of_zone(&given, is_known);
        if given.outside.asks_member {
            tale.of_member(&mut given, asker);
        }
        tale.of_name(&given, &name, rtype);
        tale.of_aliases(&given, rtype);
        tale.of_view(&name, from);
        let (own, mut sought) = (given.answer.len(), None);
        if let Some((name, hash)) = given.outside.name.take() {
            tale.of_asker(asker, given.is_client);
            if given.is_client && tale.of_elsewhere(&policy, (&name, hash, rtype), &mut given) {
                sought = Some((name, hash));
            }
        }
        let document = WhyDocument {
            name: name.to_string(),
            rtype: rtype.to_string(),
            from: from.map(|from| from.to_string()),
            rcode: given.rcode.map_or(UNKNOWN.to_owned(), |rcode| rcode.to_string()),
            answer: given.answer.iter().map(line).collect(),
            steps: tale.steps,
        };
        Ok(match sought {
            Some((name, hash)) => Told::Search(Search { name, hash, rtype, document, own, policy }),
            None => Told::All(document),
        })
    }

    /// The name of a node, if it is known.
    pub(super) fn name_of(&self, id: u64) -> Option<String> {
        let (gossip, id) = (&self.cluster.gossip, NodeId(id));
        if gossip.me().id == id {
            return Some(gossip.me().name.to_string());
        }
        gossip.membership().get(id).map(|member| member.told.info.name.to_string())
    }
}

/// What can be told at once.
enum Told {
    /// All there is to tell.
    All(WhyDocument),
    /// All but what has to be looked for from the root.
    Search(Search),
}

/// The word for a code that nobody here knows yet.
const UNKNOWN: &str = "unknown";

/// Asks as a client over TCP does that wants recursion, and may have it or not.
fn ask(
    snapshot: &Snapshot,
    (name, rtype): (&Name, RecordType),
    (from, is_client): (Option<IpAddr>, bool),
    now: Moment,
) -> Given {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    put_u16(&mut message, 2, RD);
    message.extend_from_slice(name.as_wire());
    message.extend_from_slice(&rtype.0.to_be_bytes());
    message.extend_from_slice(&Class::IN.0.to_be_bytes());
    let (mut key, mut scratch) = (Box::<NameKey>::default(), Box::<Scratch>::default());
    let mut buffer = vec![0; REPLY_OCTETS];
    let bounds = Bounds { limit: REPLY_OCTETS, udp_payload_max: 0, now, from };
    let (mut zone, mut outside) = (None, Outside::default());
    let outcome = match accept(&message, &mut key) {
        Accepted::Query(shape) => {
            key.hash(snapshot.seed());
            let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
            if let Route::Zone(number) = route
                && snapshot.entry(number).is_some_and(|entry| !entry.is_ceded())
            {
                zone = Some(number);
            }
            let way = (route, route.hint(snapshot, &key));
            let (query, scratch, buffer) = (shape.of(&message), &mut scratch, &mut buffer);
            // Where it would lead is of interest for others, too.
            let resolved =
                answer::resolve(snapshot, way, (&query, &key), scratch, buffer, bounds, &mut outside);
            match is_client {
                true => resolved,
                false => answer::answer(snapshot, way, &query, &key, scratch, buffer, bounds),
            }
        }
        // A question without records is never special.
        Accepted::Special(shape) => {
            answer::refuse(snapshot, &shape.of(&message), Rcode::NotImp, &mut buffer, bounds)
        }
        Accepted::Refuse(shape, rcode) => {
            answer::refuse(snapshot, &shape.of(&message), rcode, &mut buffer, bounds)
        }
        // Only what is itself a reply is ignored.
        Accepted::Ignore => {
            let (rcode, answer) = (Some(Rcode::FormErr), Vec::new());
            return Given { rcode, answer, zone, outside, is_client };
        }
    };
    let reply = match outcome.verdict {
        Verdict::Reply(len) => buffer.get(..len).unwrap_or_default(),
        Verdict::Drop | Verdict::Forward | Verdict::Transfer => &[],
    };
    let answer = section::answers(reply).unwrap_or_default();
    Given { rcode: Some(outcome.rcode), answer, zone, outside, is_client }
}

/// A record as in a master file.
fn line(record: &Record) -> String {
    let rdata = cluster::text(record.rtype, &record.rdata);
    format!("{} {} {} {} {rdata}", record.name, record.ttl, record.class, record.rtype)
}

/// The steps as they are told.
struct Tale<'c> {
    control: &'c Control,
    snapshot: &'c Snapshot,
    now: Moment,
    steps: Vec<StepDocument>,
}

impl Tale<'_> {
    fn step(&mut self, about: &str, found: impl Into<String>) {
        self.steps.push(StepDocument { about: about.to_owned(), found: found.into() });
    }

    /// The nearest zone, and what stands in the way of an answer from it.
    fn of_zone(&mut self, given: &Given, is_known: bool) {
        let Some(entry) = given.zone.and_then(|number| self.snapshot.entry(number)) else {
            let is_elsewhere = given.is_client && given.outside.name.is_some();
            let code = match (given.rcode, is_elsewhere || is_known) {
                (Some(rcode), false) => format!(": {rcode}"),
                (Some(_) | None, _) => String::new(),
            };
            return self.step("zone", format!("no zone of this server has the name{code}"));
        };
        let origin = match entry.content() {
            Some(zone) => zone.origin_key().clone(),
            None => Name::from_wire(entry.origin_key()).unwrap_or(Name::ROOT),
        };
        if self.is_services(&origin) {
            self.step("zone", format!("{origin}, the cluster's records"));
            if let Some(outward) = self.control.at_hand(&origin) {
                let serial = outward.serial().0;
                self.step("zone", format!("other servers get a version of it with serial {serial}"));
            }
            self.step(
                "cluster",
                match self.control.cluster.is_synced() {
                    true => "its records are known here",
                    false => "not all of its records are known here yet: what is known is told, and a member asked for what is not",
                },
            );
            return;
        }
        let found = self.control.state.zones().find(|(other, _)| **other == origin);
        let found = match found.map(|(_, zone)| &zone.content) {
            Some(ZoneContent::Sealed(zone)) => {
                let since = self.control.exchange.since.get(&origin);
                let placed = since.map_or(String::new(), |since| {
                    format!(", in place for {:.0} s", self.now.since(*since).as_secs_f64())
                });
                format!("{origin}, serial {}{placed}", zone.serial().0)
            }
            Some(ZoneContent::Pending) => format!("{origin}, which is being loaded: SERVFAIL"),
            Some(ZoneContent::Expired(_)) => format!("{origin}, which has expired: SERVFAIL"),
            Some(ZoneContent::Faulty(_)) => {
                format!(
                    "{origin}, which is faulty: SERVFAIL; `hivedns zones` tells its state, the log its faults"
                )
            }
            None => format!("{origin}, which has just been taken away"),
        };
        self.step("zone", found);
    }

    fn is_services(&self, origin: &Name) -> bool {
        self.control.state.services().is_some_and(|services| services.terms().origin == *origin)
    }

    /// What the zone has at the name, and who says it.
    fn of_name(&mut self, given: &Given, name: &Name, rtype: RecordType) {
        let Some(entry) = given.zone.and_then(|number| self.snapshot.entry(number)) else { return };
        if let Some(zone) = entry.content().map(|zone| &**zone).or(entry.part()) {
            let mut key = Box::<NameKey>::default();
            if let Some(place) = zone.locate_name(name.as_wire(), &mut key) {
                let found = self.place(zone, place, rtype, given.is_client);
                self.step("name", found);
            }
        }
        self.of_records(name, rtype);
    }

    fn place(&self, zone: &Zone, place: Place<'_>, rtype: RecordType, is_client: bool) -> String {
        let then = match is_client {
            true => "it is looked for elsewhere",
            false => "a referral to its name servers",
        };
        let name = |node: &Node<'_>| {
            let wire = [node.cased_key(), zone.origin().as_wire()].concat();
            Name::from_wire(&wire).unwrap_or(Name::ROOT)
        };
        match place {
            // The DS of a cut is the upper zone's to answer (RFC 4035 §3.1.4.1).
            Place::Node(node) if node.has(node_flags::CUT) && rtype != RecordType::DS => {
                format!("a zone cut at {}: {then}", name(&node))
            }
            Place::Node(node) => format!("exists; {}", sets(&node, rtype)),
            Place::BelowCut(node) => {
                format!("lies below the zone cut at {}: {then}", name(&node))
            }
            Place::BelowDname(node) => {
                format!("lies below {}, whose DNAME puts another name in its place", name(&node))
            }
            Place::Wildcard(node) => {
                format!("does not exist; {} stands in for it; {}", name(&node), sets(&node, rtype))
            }
            Place::Absent => "does not exist".to_owned(),
        }
    }

    /// Every record that anybody says of a name of the services' domain.
    fn of_records(&mut self, name: &Name, rtype: RecordType) {
        let Some(services) = self.control.state.services() else { return };
        // The SOA is made, not said.
        let mut said = services.records().of(name);
        said.retain(|record| ![RecordType::SOA, MARK.viewed()].contains(&record.rtype));
        // Those asked for come first.
        said.sort_by_key(|record| {
            (record.rtype.told() != rtype, record.rtype.0, !record.is_served, record.source)
        });
        for record in said.iter().take(RECORDS_TOLD) {
            let found = self.record(record, &said, services.terms().lease);
            self.step("record", found);
        }
        if let Some(more @ 1..) = said.len().checked_sub(RECORDS_TOLD) {
            self.step("record", format!("and {more} more: `hivedns records {name}` shows them"));
        }
    }

    fn record(&self, record: &RecordView, beside: &[RecordView], lease: Duration) -> String {
        let networks = self.control.cluster.derived().networks();
        let known = self.control.known(record, self.now);
        let called = Called { nodes: &|id| self.control.name_of(id), networks: &networks, known: &|_| known };
        let told = row(record, &called, lease, self.now);
        let network = told.network.as_ref().map_or(String::new(), |network| format!(" in {network}"));
        let fate = match record.is_served {
            true => "served".to_owned(),
            false => format!("not served: {}", self.hindrance(record, beside, lease)),
        };
        let source = self.source(record, &told, known);
        format!("{} {}{network}, TTL {}, {source}: {fate}", told.rtype, told.rdata, told.ttl)
    }

    /// Who says it, in which change, since when that is known, and how long it lasts.
    fn source(&self, record: &RecordView, told: &RecordDocument, known: Known) -> String {
        let gossip = &self.control.cluster.gossip;
        let Source::Owner(owner) = record.source else {
            let key = cluster::key(&record.name, record.rtype);
            let Some(stamp) = gossip.replication().cluster().stamp(&key) else {
                return "set for the cluster".to_owned();
            };
            let writer = self.control.name_of(stamp.writer.0).unwrap_or_else(|| stamp.writer.to_string());
            return format!("set for the cluster on {writer} by write {}{}", stamp.lamport, aged(known.age));
        };
        let who = told.owner.clone().unwrap_or_else(|| NodeId(owner.0).to_string());
        let version = match known.change {
            Some((Some(start), version)) => {
                format!(" in change {version} of its start {}{}", start.0, aged(known.age))
            }
            Some((None, _)) | None => String::new(),
        };
        let left = Duration::from_secs_f64(told.lease_left_seconds.unwrap_or_default()).as_secs_f64();
        let lease = match record.lease {
            Lease::Full => "which holds its lease".to_owned(),
            Lease::Counting { restarting: true, .. } => format!("which restarts, {left:.0} s are left"),
            Lease::Counting { restarting: false, .. } => format!("which is lost, {left:.0} s are left"),
            Lease::Frozen { .. } => format!("which is lost with many others, {left:.0} s are left and wait"),
            Lease::Hidden => "whose records are hidden".to_owned(),
        };
        format!("published by {who}{version}, {lease}")
    }

    /// Why it is not served: the rules of [`crate::zone::live::choice`], in their order.
    fn hindrance(&self, record: &RecordView, beside: &[RecordView], lease: Duration) -> String {
        use crate::zone::live::choice::Standing;
        let of_cluster = |other: &&RecordView| other.source == Source::Cluster;
        match record.lease.standing(record.ttl, lease, self.now) {
            Standing::Unserved if record.lease == Lease::Hidden => {
                return "its node has left, or nobody vouches that it lives".to_owned();
            }
            Standing::Unserved | Standing::Forgotten => return "its lease is over".to_owned(),
            Standing::Served { .. } => {}
        }
        let is_apex =
            self.control.state.services().is_some_and(|services| services.terms().origin == record.name);
        if record.rtype == RecordType::CNAME && is_apex {
            return "an alias cannot stand at the apex".to_owned();
        }
        let mut set = beside.iter().filter(of_cluster);
        if record.source != Source::Cluster && set.any(|other| other.rtype == record.rtype) {
            return format!("the {} records set for the cluster overrule it", record.rtype);
        }
        let text = cluster::text(record.rtype, &record.rdata);
        let is_twin = |other: &&RecordView| {
            other.is_served
                && other.rtype == record.rtype
                && cluster::text(other.rtype, &other.rdata).eq_ignore_ascii_case(&text)
        };
        if beside.iter().any(|other| is_twin(&other)) {
            return "another node says the same, once is enough".to_owned();
        }
        let served_alias = beside.iter().find(|other| other.is_served && other.rtype == RecordType::CNAME);
        match (served_alias, record.rtype) {
            (Some(_), RecordType::CNAME) => "a name has one alias, and another comes first".to_owned(),
            (Some(_), _) => "an alias set for the cluster hides all else".to_owned(),
            (None, RecordType::CNAME) => "an alias yields to other records".to_owned(),
            (None, _) => "other records of this type come first".to_owned(),
        }
    }

    /// The aliases that were followed; and what is said of the first one's target.
    fn of_aliases(&mut self, given: &Given, rtype: RecordType) {
        let aliases = given.answer.iter().filter(|record| record.rtype == RecordType::CNAME);
        let mut aliases = aliases.filter(|_| rtype != RecordType::CNAME).enumerate();
        for (at, alias) in &mut aliases {
            let Ok(target) = Name::from_wire(&alias.rdata) else { continue };
            self.step("alias", format!("{} leads to {target}", alias.name));
            if at == 0 {
                self.of_records(&target, rtype);
            }
        }
    }
}

/// For how long a change has been known here, if that is remembered.
fn aged(age: Option<Duration>) -> String {
    age.map_or(String::new(), |age| format!(", known here for {:.0} s", age.as_secs_f64()))
}

/// Which types a node has, and whether that helps.
fn sets(node: &Node<'_>, rtype: RecordType) -> String {
    if node.is_empty() {
        return "without records, only because of names below it".to_owned();
    }
    let types = node.rrsets().map(|set| set.rtype().told()).filter(|rtype| *rtype != MARK);
    let types: Vec<String> = types.map(|rtype| rtype.to_string()).collect();
    if types.is_empty() {
        return "has nothing to tell: no task of the service is ready".to_owned();
    }
    let has = |rtype| node.rrset(rtype).is_some();
    let helps = has(rtype) || has(rtype.viewed()) || node.has(node_flags::CNAME);
    format!("has {}{}", types.join(", "), if helps { String::new() } else { format!(", no {rtype}") })
}
