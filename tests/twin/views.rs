//! Answers about services against a naive twin: who gets which addresses of which tasks, worked out from the tasks
//! themselves, over random stacks, networks, askers, health and lost nodes. Knows nothing of tags, groups and marks.

use super::support::desk::seed;
use crate::oracle::{message, names};
use hivedns::answer::{self, Bounds, Scratch, Verdict};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::catalog::lease::{Lease, OwnerId};
use hivedns::catalog::services::Terms as ServiceTerms;
use hivedns::catalog::snapshot::{Snapshot, ZoneNumber};
use hivedns::catalog::state::State;
use hivedns::discovery::endpoint::{Attachment, Endpoint, Health, Reach, ServiceRef, TaskRef, Withdrawn};
use hivedns::discovery::labels::Order;
use hivedns::discovery::names::{Names, Terms};
use hivedns::wire::key::NameKey;
use hivedns::wire::name::Name;
use hivedns::wire::query::{Accepted, accept};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const A: u16 = 1;
const AAAA: u16 = 28;
const LEASE: Duration = Duration::from_secs(60);
const TTL: u32 = 5;
/// The node that answers.
const ME: u64 = 1;
/// The network of those whom nobody knows.
const EXTERNAL: &str = "x";

/// How a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Ready,
    Failing,
    Stopping,
    Died,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Living,
    Lost,
    Restarting,
    Over,
}

#[derive(Debug, Clone)]
struct Task {
    stack: &'static str,
    service: &'static str,
    slot: u8,
    node: u64,
    fit: Fit,
    /// Its addresses in each network.
    networks: BTreeMap<&'static str, Vec<IpAddr>>,
}

/// What is so.
#[derive(Debug, Clone)]
struct World {
    tasks: Vec<Task>,
    nodes: BTreeMap<u64, Node>,
    fail_open: bool,
}

/// One way in which a name is made of a service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bare,
    Tasks,
    All,
    Nearest,
    Local,
    Exact(&'static str),
    Slot(u8),
    Node(u64),
}

impl Task {
    fn has(&self, network: &str, qtype: u16) -> Option<IpAddr> {
        let is_it = |address: &&IpAddr| address.is_ipv4() == (qtype == A);
        self.networks.get(network)?.iter().find(is_it).copied()
    }

    fn endpoint(&self, number: usize) -> Endpoint {
        let attachment = |(network, addresses): (&&str, &Vec<IpAddr>)| {
            let mut attachment = Attachment {
                id: format!("id-{network}"),
                name: (*network).into(),
                reach: Reach::Swarm,
                ..Attachment::default()
            };
            for address in addresses {
                match address {
                    IpAddr::V4(address) => attachment.ipv4 = Some(*address),
                    IpAddr::V6(address) => attachment.ipv6 = Some(*address),
                }
            }
            attachment
        };
        let name = match self.stack {
            "" => self.service.to_owned(),
            stack => format!("{stack}_{}", self.service),
        };
        let id = format!("{name}.{number}");
        let stack = Some(self.stack.to_owned()).filter(|stack| !stack.is_empty());
        Endpoint {
            id: id.clone(),
            name: id.clone(),
            node: format!("n{}", self.node),
            service: Some(ServiceRef { id: name.clone(), name, stack }),
            task: Some(TaskRef { id, slot: Some(self.slot.into()) }),
            networks: self.networks.iter().map(attachment).collect(),
            health: if self.fit == Fit::Failing { Health::Unhealthy } else { Health::Healthy },
            withdrawn: match self.fit {
                Fit::Ready | Fit::Failing => None,
                Fit::Stopping => Some(Withdrawn::Stopping),
                Fit::Died => Some(Withdrawn::Died),
            },
            ..Endpoint::default()
        }
        .normalized()
    }
}

/// Who asks: stack, node and networks.
type Asker = (&'static str, u64, BTreeSet<&'static str>);

impl World {
    fn is_over(&self, task: &Task) -> bool {
        self.nodes[&task.node] == Node::Over
    }

    fn asker(&self, from: usize) -> Asker {
        match self.tasks.get(from).filter(|task| task.fit != Fit::Died && !task.networks.is_empty()) {
            Some(task) => (task.stack, task.node, task.networks.keys().copied().collect()),
            None => ("", ME, BTreeSet::from([EXTERNAL])),
        }
    }

    /// Those of some tasks that get work.
    fn pick<'w>(&self, tasks: &[&'w Task]) -> Vec<&'w Task> {
        let open = |task: &&&Task| matches!(task.fit, Fit::Ready | Fit::Failing) && !self.is_over(task);
        let open: Vec<&Task> = tasks.iter().filter(open).copied().collect();
        let ready: Vec<&Task> = open.iter().filter(|task| task.fit == Fit::Ready).copied().collect();
        if ready.is_empty() && self.fail_open { open } else { ready }
    }

    /// The tasks of one stack's service that a name leads to, wherever they are reached.
    fn told(&self, stack: &str, service: &str, form: Form) -> Vec<&Task> {
        let all: Vec<&Task> = self
            .tasks
            .iter()
            .filter(|task| task.stack == stack && task.service == service && task.fit != Fit::Died)
            .collect();
        match form {
            Form::All => all.into_iter().filter(|task| !self.is_over(task)).collect(),
            Form::Slot(slot) => {
                self.pick(&all.into_iter().filter(|task| task.slot == slot).collect::<Vec<_>>())
            }
            Form::Node(node) => {
                self.pick(&all.into_iter().filter(|task| task.node == node).collect::<Vec<_>>())
            }
            Form::Exact(only) if only != stack => Vec::new(),
            _ => self.pick(&all),
        }
    }

    /// The code, and the addresses: near, far, lost.
    fn answer(
        &self,
        (service, form, qtype): (&str, Form, u16),
        asker: &Asker,
    ) -> (u16, [BTreeSet<IpAddr>; 3]) {
        let (own, node, networks) = asker;
        let stacks: BTreeSet<&str> = match form {
            Form::Exact(stack) => BTreeSet::from([stack]),
            _ => self.tasks.iter().map(|task| task.stack).collect(),
        };
        // Slots and nodes have no name of a service whose tasks are elsewhere.
        let is_marked = !matches!(form, Form::Slot(_) | Form::Node(_));
        let is_there = |stack: &str, seen: &dyn Fn(&Task) -> bool| {
            is_marked
                && self.tasks.iter().any(|task| {
                    let is_it = task.stack == stack && task.service == service;
                    is_it && task.fit != Fit::Died && !self.is_over(task) && seen(task)
                })
        };
        let is_here = |task: &Task| form != Form::Local || task.node == *node;
        let shared = |task: &Task| networks.iter().any(|network| task.networks.contains_key(network));
        let has = |task: &Task| networks.iter().any(|network| task.has(network, qtype).is_some());
        let sees = |stack: &str| {
            let told = self.told(stack, service, form);
            // What a marked name has to tell counts of whatever kind it is.
            told.iter().any(|task| if is_marked { shared(task) } else { has(task) && is_here(task) })
        };
        let is_own = stacks.contains(own) && (is_there(own, &shared) || sees(own));
        let stack = if is_own { Some(*own) } else { stacks.iter().find(|stack| sees(stack)).copied() };
        let mut told = [const { BTreeSet::new() }; 3];
        for task in stack.into_iter().flat_map(|stack| self.told(stack, service, form)) {
            let address = networks.iter().find_map(|network| task.has(network, qtype));
            let Some(address) = address.filter(|_| is_here(task)) else { continue };
            let place = match (self.nodes[&task.node], task.node == *node) {
                (Node::Lost, _) => 2,
                (_, true) => 0,
                (_, false) => 1,
            };
            told[place].insert(address);
        }
        let exists = stacks.iter().any(|stack| {
            let told = self.told(stack, service, form);
            is_there(stack, &|task| !task.networks.is_empty())
                || told.iter().any(|task| !task.networks.is_empty())
        });
        (if exists { 0 } else { 3 }, told)
    }

    /// The same, as nodes say it.
    fn state(&self) -> (State, Moment) {
        let domain = Name::parse("hive.internal.").expect("a name");
        let now = Moment::from_micros(1_000_000_000);
        let mut names = Names::new(Terms {
            domain: domain.clone(),
            ttl: TTL,
            fail_open: self.fail_open,
            order: Order::Nearest,
            me: OwnerId(ME),
            external: EXTERNAL.into(),
        });
        let mut state = State::new(seed(), 4);
        let (ttl, negative_ttl) = (Duration::from_secs(TTL.into()), Duration::from_secs(2));
        let terms = ServiceTerms { primary: domain.clone(), origin: domain, ttl, negative_ttl, lease: LEASE };
        state.apply(Delta::OpenServices(Box::new(terms)));
        state.apply(Delta::Synced(true));
        for (number, task) in self.tasks.iter().enumerate() {
            names.put_endpoint(OwnerId(task.node), task.endpoint(number));
        }
        for (node, how) in &self.nodes {
            let counting = |seconds: u64, restarting| Lease::Counting {
                spent: Duration::from_secs(seconds),
                at: now,
                restarting,
            };
            let lease = match how {
                Node::Living => Lease::Full,
                Node::Lost => counting(57, false),
                Node::Restarting => counting(10, true),
                Node::Over => counting(60, false),
            };
            if *how == Node::Over {
                names.set_gone(OwnerId(*node), Some(60));
            }
            state.apply(Delta::Lease { owner: OwnerId(*node), lease });
        }
        names.changes().into_iter().for_each(|delta| state.apply(delta));
        (state, now)
    }
}

fn ask(
    snapshot: &Snapshot,
    now: Moment,
    from: Option<IpAddr>,
    (owner, qtype, id): (&str, u16, u16),
) -> message::Message {
    let query = message::query(id, 0, &names::from_text(owner).expect("a name"), qtype, 1, None);
    let (mut key, mut scratch, mut buffer) = (NameKey::default(), Box::<Scratch>::default(), vec![0; 65_535]);
    let Accepted::Query(shape) = accept(&query, &mut key) else { panic!("a query") };
    key.hash(snapshot.seed());
    let route = answer::route(snapshot, &shape, &key, ZoneNumber::default());
    let way = (route, route.hint(snapshot, &key));
    let bounds = Bounds { limit: 65_535, udp_payload_max: 1232, now, from };
    let outcome = answer::answer(snapshot, way, &shape.of(&query), &key, &mut scratch, &mut buffer, bounds);
    let Verdict::Reply(len) = outcome.verdict else { panic!("a reply") };
    message::decode(&buffer[..len]).expect("a message")
}

fn address_of(rdata: &[u8]) -> IpAddr {
    match <[u8; 4]>::try_from(rdata) {
        Ok(octets) => octets.into(),
        Err(_) => <[u8; 16]>::try_from(rdata).expect("an address").into(),
    }
}

const SERVICES: [&str; 2] = ["web", "db"];
const NODES: u64 = 4;

fn any_world() -> impl Strategy<Value = World> {
    let fits = [Fit::Ready, Fit::Ready, Fit::Ready, Fit::Failing, Fit::Failing, Fit::Stopping, Fit::Died];
    let task = (
        select(vec!["", "a", "b"]),
        select(SERVICES.to_vec()),
        1u8..4,
        1..=NODES,
        select(fits.to_vec()),
        prop::collection::btree_map(select(vec!["w", EXTERNAL, "y"]), 1u8..4, 0..3),
    );
    let node = select(vec![Node::Living, Node::Living, Node::Lost, Node::Restarting, Node::Over]);
    let nodes = prop::collection::vec(node, NODES as usize);
    (prop::collection::vec(task, 0..9), nodes, any::<bool>()).prop_map(|(tasks, nodes, fail_open)| {
        let tasks = tasks.into_iter().enumerate().map(|(number, task)| {
            let (stack, service, slot, node, fit, networks) = task;
            let networks = networks.into_iter().map(|(network, kinds)| {
                let (third, last) = (network.as_bytes()[0], number as u8 + 1);
                let v4 = (kinds & 1 != 0).then(|| IpAddr::from([10, 0, third, last]));
                let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, third.into(), u16::from(last)]);
                (network, v4.into_iter().chain((kinds & 2 != 0).then_some(v6)).collect())
            });
            Task { stack, service, slot, node, fit, networks: networks.collect() }
        });
        let nodes = (1..=NODES).zip(nodes).collect();
        World { tasks: tasks.collect(), nodes, fail_open }
    })
}

fn any_question() -> impl Strategy<Value = (&'static str, Form, u16, usize, u16)> {
    let form = prop_oneof![
        4 => Just(Form::Bare),
        1 => Just(Form::Tasks),
        1 => Just(Form::All),
        1 => Just(Form::Nearest),
        2 => Just(Form::Local),
        1 => select(vec!["a", "b"]).prop_map(Form::Exact),
        1 => (1u8..4).prop_map(Form::Slot),
        1 => (1..=NODES).prop_map(Form::Node),
    ];
    (select(SERVICES.to_vec()), form, select(vec![A, A, AAAA]), 0usize..10, any::<u16>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::config().cases / 4, ..super::config() })]

    #[test]
    fn every_asker_gets_the_tasks_that_the_naive_twin_says(
        world in any_world(),
        questions in prop::collection::vec(any_question(), 1..24),
    ) {
        let (mut state, now) = world.state();
        let snapshot = state.snapshot(now);
        for (service, form, qtype, from, id) in questions {
            let name = match form {
                Form::Bare => service.to_owned(),
                Form::Tasks => format!("tasks.{service}"),
                Form::All => format!("all.{service}"),
                Form::Nearest => format!("nearest.{service}"),
                Form::Local => format!("local.{service}"),
                Form::Exact(stack) => format!("{service}.{stack}"),
                Form::Slot(slot) => format!("{slot}.{service}"),
                Form::Node(node) => format!("n{node}.m.{service}"),
            };
            let address = world.tasks.get(from).and_then(|task| task.networks.values().flatten().next());
            let asker = world.asker(from);
            let (rcode, expected) = world.answer((service, form, qtype), &asker);
            let told = ask(&snapshot, now, address.copied(), (&format!("{name}.hive.internal."), qtype, id));
            let got: Vec<IpAddr> =
                told.sections[0].iter().map(|record| address_of(&record.rdata)).collect();
            let place = format!("{name} {qtype} from {asker:?}: {got:?}, expected {rcode} {expected:?}");
            prop_assert_eq!(told.rcode(), rcode, "{}", place);
            // Class by class, and none twice.
            let mut rest = &got[..];
            for class in &expected {
                let (here, behind) = rest.split_at_checked(class.len()).unwrap_or((rest, &[]));
                rest = behind;
                prop_assert_eq!(&here.iter().copied().collect::<BTreeSet<_>>(), class, "{}", place);
            }
            prop_assert!(rest.is_empty(), "{}", place);
            // Absence comes with the SOA (RFC 2308); nobody's lease is outlived.
            prop_assert_eq!(told.sections[1].len(), usize::from(got.is_empty()), "{}", place);
            let ttl_max = if expected[2].is_empty() { TTL } else { 3 };
            prop_assert!(told.sections[0].iter().all(|record| record.ttl <= ttl_max), "{}", place);
        }
    }
}
