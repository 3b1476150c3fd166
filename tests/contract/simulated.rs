//! The production machine in the simulator's network, in virtual time.

use crate::{Cluster, Number};
use bytes::Bytes;
use hivedns::base::time::Moment;
use hivedns::gossip::identity::NodeId;
use hivedns::gossip::output::{Health, StreamId};
use hivedns::testing::action::{Action, DiskFate};
use hivedns::testing::gossip::{Citizen, House, SEALED_NODES_MAX};
use hivedns::testing::machine::{Change, Held, LEASE, Machine, News, Start, Warm, Wish};
use hivedns::testing::network::Network;
use hivedns::testing::seat::Seat;
use hivedns::testing::world::World;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// More of them, and the simulator's machines speak in clear: so a stranger to the cluster's key is made.
const NODES_OF_CLEAR: usize = SEALED_NODES_MAX + 1;
/// The key of the record that each node says of itself.
const NAME: &[u8] = b"name";
/// How often a node looks whether its user wants something, and how far time passes between two looks of a test.
const PACE: Duration = Duration::from_millis(10);
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a user wants of a node: a record of the cluster set or removed.
type Order = (Bytes, Option<Bytes>);

/// What the nodes of one world share: two houses, one with the key, and letter boxes.
pub struct Street {
    with_key: House,
    without: House,
    strangers: Rc<RefCell<BTreeSet<Box<str>>>>,
    orders: Rc<RefCell<BTreeMap<Box<str>, VecDeque<Order>>>>,
}

/// A machine, its user, and what it said so far.
pub struct Resident {
    citizen: Citizen,
    name: Box<str>,
    orders: Rc<RefCell<BTreeMap<Box<str>, VecDeque<Order>>>>,
    /// Of each owner, the name that it says.
    names: BTreeMap<NodeId, Bytes>,
    hidden: BTreeSet<NodeId>,
    cluster: BTreeMap<Bytes, Bytes>,
    members: BTreeMap<SocketAddr, Health>,
    synced: bool,
}

impl Resident {
    fn hear(&mut self, news: &News) {
        match news {
            News::Records { owner, replace, changes } => {
                if *replace {
                    self.names.remove(owner);
                }
                changes.each(|key, value| {
                    match value {
                        _ if key != NAME => None,
                        Some(value) => self.names.insert(*owner, Bytes::copy_from_slice(value)),
                        None => self.names.remove(owner),
                    };
                });
            }
            News::Lease { owner, held } => {
                match held {
                    Held::Hidden => self.hidden.insert(*owner),
                    Held::Full | Held::Counting | Held::Frozen => self.hidden.remove(owner),
                };
            }
            News::Cluster { change: Change { key, value }, .. } => {
                match value {
                    Some(value) => self.cluster.insert(key.clone(), value.clone()),
                    None => self.cluster.remove(key),
                };
            }
            News::Member { address, health, .. } => _ = self.members.insert(*address, *health),
            News::Synced(_) => self.synced = true,
            News::Forgotten(_) | News::Identity(..) | News::Drained(_) | News::ExpiryFrozen(_) => {}
        }
    }
}

impl Machine for Resident {
    const NAME: &'static str = "resident";
    type House = Street;

    fn house(nodes: usize) -> Street {
        Street {
            with_key: Citizen::house(nodes),
            without: Citizen::house(NODES_OF_CLEAR),
            strangers: Rc::default(),
            orders: Rc::default(),
        }
    }

    fn start(street: &Street, start: Start, now: Moment) -> Resident {
        let name = start.name.clone();
        let stranger = street.strangers.borrow().contains(&name);
        let house = if stranger { &street.without } else { &street.with_key };
        let cluster: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        Resident {
            citizen: Citizen::start(house, start, now),
            name,
            orders: Rc::clone(&street.orders),
            names: BTreeMap::new(),
            hidden: BTreeSet::new(),
            cluster,
            members: BTreeMap::new(),
            synced: false,
        }
    }

    fn warm(street: &Street, nodes: Vec<Warm>) -> Vec<Resident> {
        nodes.into_iter().map(|Warm { start, now, .. }| Resident::start(street, start, now)).collect()
    }

    fn handle_datagram(&mut self, now: Moment, from: SocketAddr, octets: &mut [u8]) {
        self.citizen.handle_datagram(now, from, octets);
    }

    /// One order at a time: what each makes the machine want is taken before the next.
    fn handle_timeout(&mut self, now: Moment) {
        let order = self.orders.borrow_mut().get_mut(&self.name).and_then(VecDeque::pop_front);
        match order {
            Some((key, Some(value))) => self.citizen.cluster_put(now, key, value),
            Some((key, None)) => self.citizen.cluster_remove(now, key),
            None => self.citizen.handle_timeout(now),
        }
    }

    fn accept(&mut self, now: Moment, from: SocketAddr) -> Option<StreamId> {
        self.citizen.accept(now, from)
    }

    fn stream_opened(&mut self, now: Moment, stream: StreamId) {
        self.citizen.stream_opened(now, stream);
    }

    fn stream_received(&mut self, now: Moment, stream: StreamId, octets: &[u8]) {
        self.citizen.stream_received(now, stream, octets);
    }

    fn stream_writable(&mut self, now: Moment, stream: StreamId, room: usize) {
        self.citizen.stream_writable(now, stream, room);
    }

    fn stream_closed(&mut self, now: Moment, stream: StreamId) {
        self.citizen.stream_closed(now, stream);
    }

    fn poll(&mut self, now: Moment) -> Wish {
        match self.citizen.poll(now) {
            Wish::News(news) => {
                self.hear(&news);
                Wish::News(news)
            }
            Wish::Wake(at) => Wish::Wake(at.min(now + PACE)),
            wish => wish,
        }
    }

    fn join(&mut self, now: Moment, addresses: &[SocketAddr], all_resolved: bool) {
        // Who is not of the cluster is given its addresses all the same.
        self.citizen.join(now, addresses, all_resolved);
    }

    fn put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.citizen.put(now, key, value);
    }

    fn remove(&mut self, now: Moment, key: Bytes) {
        self.citizen.remove(now, key);
    }

    fn ready(&mut self, now: Moment) {
        self.citizen.put(now, NAME.into(), Bytes::copy_from_slice(self.name.as_bytes()));
        self.citizen.ready(now);
    }

    fn cluster_put(&mut self, now: Moment, key: Bytes, value: Bytes) {
        self.citizen.cluster_put(now, key, value);
    }

    fn cluster_remove(&mut self, now: Moment, key: Bytes) {
        self.citizen.cluster_remove(now, key);
    }

    fn drain(&mut self, now: Moment) {
        self.citizen.drain(now);
    }

    fn leave(&mut self, now: Moment) {
        self.citizen.leave(now);
    }

    fn restarting(&mut self, now: Moment) {
        self.citizen.restarting(now);
    }

    fn force_leave(&mut self, now: Moment, id: NodeId) {
        self.citizen.force_leave(now, id);
    }

    fn counters(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        self.citizen.counters(tell);
    }

    fn queued_octets(&self) -> usize {
        self.citizen.queued_octets()
    }

    fn dump(&self, lines: &mut String) {
        self.citizen.dump(lines);
    }
}

/// The world.
pub struct Simulated {
    world: World<Resident>,
}

fn seat(node: Number) -> Seat {
    Seat(node as u32)
}

fn name(node: Number) -> Box<str> {
    seat(node).to_string().into()
}

impl Simulated {
    fn plan(&mut self, node: Number, action: Action) {
        let now = self.world.now();
        self.world.plan(now, seat(node), action);
        self.world.run_until(now);
    }

    /// A node that runs.
    fn resident(&self, node: Number) -> Option<&Resident> {
        self.world.machines().find(|(found, _)| *found == seat(node)).map(|(_, resident)| resident)
    }
}

impl Cluster for Simulated {
    const LEASE: Duration = LEASE;
    type Instant = Moment;

    fn with_room(nodes: usize) -> Simulated {
        Simulated { world: World::new(1035, nodes, Network::near()) }
    }

    fn start(&mut self, node: Number) {
        self.plan(node, Action::Start(DiskFate::Kept));
    }

    fn start_stranger(&mut self, node: Number) {
        self.world.house().strangers.borrow_mut().insert(name(node));
        self.start(node);
    }

    fn set(&mut self, node: Number, key: &str, value: Option<&str>) {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let mut orders = self.world.house().orders.borrow_mut();
        orders.entry(name(node)).or_default().push_back((bytes(key), value.map(bytes)));
        drop(orders);
        self.until("the order is taken", |simulated| {
            simulated.world.house().orders.borrow().get(&name(node)).is_none_or(VecDeque::is_empty)
        });
    }

    fn stop(&mut self, node: Number) {
        self.plan(node, Action::Stop);
    }

    fn leave(&mut self, node: Number) {
        self.plan(node, Action::Leave);
    }

    fn crash(&mut self, node: Number) {
        self.plan(node, Action::Crash);
    }

    fn value(&mut self, node: Number, name: &str) -> Option<String> {
        let value = self.resident(node)?.cluster.get(name.as_bytes())?;
        String::from_utf8(value.to_vec()).ok()
    }

    fn serves(&mut self, node: Number, other: Number) -> bool {
        let Some(resident) = self.resident(node) else { return false };
        let owners = resident.names.iter().filter(|(_, said)| **said == name(other).as_bytes());
        node == other || owners.into_iter().any(|(id, _)| !resident.hidden.contains(id))
    }

    fn members(&mut self, node: Number) -> Vec<(String, &'static str)> {
        let Some(resident) = self.resident(node) else { return Vec::new() };
        let known = resident.members.iter().filter_map(|(address, health)| {
            let member = Seat::at(*address)?;
            let health = match health {
                Health::Alive => "alive",
                Health::Suspect => "suspect",
                Health::Restarting => "restarting",
                Health::Down => "down",
                Health::Left => "left",
            };
            (member != seat(node)).then(|| (format!("n{}", member.0), health))
        });
        known.collect()
    }

    fn is_synced(&mut self, node: Number) -> bool {
        self.resident(node).is_some_and(|resident| resident.synced)
    }

    fn pass(&mut self, since: Moment) -> bool {
        let until = self.world.now() + PACE;
        self.world.run_until(until);
        self.since(since) < PATIENCE
    }

    fn now(&self) -> Moment {
        self.world.now()
    }

    fn since(&self, moment: Moment) -> Duration {
        self.world.now() - moment
    }

    fn story(&self) -> String {
        let mut text = String::new();
        for (seat, resident) in self.world.machines() {
            let Resident { names, hidden, members, synced, .. } = resident;
            text += &format!("{seat}: {names:?}, hidden {hidden:?}, {members:?}, synced {synced}\n");
        }
        text
    }
}
