//! Who is followed, and who is asked, as nodes come and go: without a network, and without time.

use super::*;
use crate::gossip::identity::Generation;

const ME: u64 = 10;

/// What one node knows of the others.
struct World {
    shares: Shares,
    members: BTreeMap<NodeId, (Arc<NodeInfo>, Health)>,
    logs: BTreeMap<NodeId, Log>,
}

fn info(id: u64) -> Arc<NodeInfo> {
    let address = SocketAddr::from(([192, 0, 2, id as u8], 7953));
    Arc::new(NodeInfo { id: NodeId(id), boot: 1, name: format!("n{id}").into(), address })
}

fn zone() -> Name {
    Name::parse("z.").unwrap()
}

impl World {
    fn new(kept: Option<&[u8]>) -> World {
        let shares = Shares::new(NodeId(ME), &[], kept);
        let mut world = World { shares, members: BTreeMap::new(), logs: BTreeMap::new() };
        world.health(ME, Health::Alive);
        world
    }

    fn health(&mut self, id: u64, health: Health) {
        self.members.insert(NodeId(id), (info(id), health));
        assert!(self.shares.hear(&Event::Member { info: info(id), health }).is_empty());
    }

    fn forget(&mut self, id: u64) {
        self.members.remove(&NodeId(id));
        assert!(self.shares.hear(&Event::Forgotten { id: NodeId(id) }).is_empty());
    }

    /// A node says this from now on, in this life.
    fn say(&mut self, id: u64, key: &[u8], value: Option<&[u8]>) -> Vec<String> {
        let log = self.logs.entry(NodeId(id)).or_insert_with(|| Log::new(Generation(1)));
        let before = log.head();
        match value {
            Some(value) => _ = log.put(key, value),
            None => _ = log.remove(key),
        }
        let since = (before > Version(0)).then_some(before);
        self.shares.hear(&Event::Records { owner: NodeId(id), log: Arc::new(log.clone()), since })
    }

    /// A node answers, and shares the zone or not.
    fn node(&mut self, id: u64, serial: Option<u32>) {
        self.health(id, Health::Alive);
        let at = Listeners(vec![SocketAddr::from(([192, 0, 2, id as u8], 53))]);
        assert!(self.say(id, LISTENERS_KEY, Some(&at.value())).is_empty());
        if let Some(serial) = serial {
            self.version(id, Some(serial));
        }
    }

    fn version(&mut self, id: u64, serial: Option<u32>) {
        assert!(self.say(id, &share::key(&zone()), Some(&share::value(serial.map(Serial)))).is_empty());
    }

    /// A node begins a new life, in which it says nothing but this.
    fn restart(&mut self, id: u64, says: &[(Vec<u8>, Vec<u8>)]) {
        let generation = self.logs.get(&NodeId(id)).map_or(0, |log| log.generation().0);
        let mut log = Log::new(Generation(generation + 1));
        says.iter().for_each(|(key, value)| _ = log.put(key, value));
        self.logs.insert(NodeId(id), log.clone());
        let event = Event::Records { owner: NodeId(id), log: Arc::new(log), since: None };
        assert!(self.shares.hear(&event).is_empty());
    }

    /// `NAME SERIAL: HOSTS | HOSTS` of publisher and copies, `-` if nobody shares it.
    fn told(&self) -> String {
        let all = self.shares.followed(|id| self.members.get(&id).cloned());
        let Some(Followed { from, serial, is_member, .. }) = all.get(&zone()) else { return "-".to_owned() };
        let host = |at: &SocketAddr| at.to_string().replace("192.0.2.", "").replace(":53", "");
        let hosts = |at: &[SocketAddr]| at.iter().map(host).collect::<Vec<_>>().join(" ");
        let serial = serial.map_or("?".to_owned(), |serial| serial.0.to_string());
        let away = if *is_member { "" } else { " (no member)" };
        let (own, copies) = from.primaries.split_at(from.own);
        format!("{} {serial}{away}: {} | {}", from.by, hosts(own), hosts(copies))
    }
}

#[test]
fn the_publisher_is_asked_first_then_others_that_live_and_have_no_zone_of_their_own() {
    let mut world = World::new(None);
    assert!(!world.shares.is_news);
    world.node(5, None);
    world.node(20, Some(7));
    assert!(std::mem::take(&mut world.shares.is_news));
    assert_eq!(world.told(), "n20 7: 20 | 5");
    world.node(11, None);
    assert_eq!(world.told(), "n20 7: 20 | 11 5");
    world.node(6, Some(3));
    assert_eq!(world.told(), "n20 7: 20 | 11 5");
    world.health(11, Health::Down);
    world.node(ME, None);
    assert_eq!(world.told(), "n20 7: 20 | 5");
    world.health(11, Health::Suspect);
    assert_eq!(world.told(), "n20 7: 20 | 11 5");
}

#[test]
fn a_lost_publisher_is_followed_until_it_says_otherwise_or_has_left() {
    let mut world = World::new(None);
    world.node(1, Some(7));
    world.health(1, Health::Down);
    assert_eq!(world.told(), "n1 7: 1 | ");
    world.forget(1);
    assert_eq!(world.told(), "n1 7 (no member): 1 | ");
    // Whoever is a member comes before it.
    world.node(2, Some(3));
    assert_eq!(world.told(), "n2 3: 2 | ");
    world.health(2, Health::Left);
    assert_eq!(world.told(), "n1 7 (no member): 1 | ");
    world.forget(2);
    assert_eq!(world.told(), "n1 7 (no member): 1 | ");
    // It is there again, and shares nothing any more.
    world.health(1, Health::Alive);
    world.restart(1, &[]);
    assert_eq!(world.told(), "-");
}

#[test]
fn who_leaves_shares_nothing_and_who_comes_back_does() {
    let mut world = World::new(None);
    world.health(1, Health::Left);
    world.node(2, None);
    // Somebody tells of it who does not know yet.
    world.say(1, &share::key(&zone()), Some(&share::value(Some(Serial(7)))));
    assert_eq!(world.told(), "-");
    world.health(1, Health::Alive);
    assert_eq!(world.told(), "n1 7:  | 2");
    world.health(1, Health::Left);
    world.forget(1);
    assert_eq!(world.told(), "-");
}

#[test]
fn a_publisher_that_restarts_has_what_it_had_until_it_has_read_its_zone() {
    let mut world = World::new(None);
    world.node(1, Some(7));
    world.node(2, Some(5));
    let key = share::key(&zone());
    world.restart(1, &[(key.clone(), share::value(None))]);
    assert_eq!(world.told(), "n1 7:  | ");
    world.version(1, Some(8));
    assert_eq!(world.told(), "n1 8:  | ");
    assert!(world.say(1, &key, None).is_empty());
    assert_eq!(world.told(), "n2 5: 2 | ");
    assert!(world.say(2, &key, None).is_empty());
    assert_eq!(world.told(), "-");
}

#[test]
fn what_is_remembered_counts_until_the_publisher_is_heard() {
    let kept = kept::write([Kept {
        origin: zone(),
        publisher: 1,
        by: "was".into(),
        at: vec!["192.0.2.1:53".parse().unwrap()],
    }]);
    let mut world = World::new(Some(&kept));
    assert!(world.shares.is_news);
    assert_eq!(world.told(), "was ? (no member): 1 | ");
    // Known as a member, but not what it says.
    world.health(1, Health::Down);
    world.node(2, None);
    assert_eq!(world.told(), "n1 ?: 1 | 2");
    world.node(1, Some(7));
    assert_eq!(world.told(), "n1 7: 1 | 2");
    let mut other = World::new(Some(&kept));
    other.node(1, None);
    assert_eq!(other.told(), "-");
    assert_eq!(World::new(Some(b"nonsense")).told(), "-");
}

#[test]
fn what_cannot_be_understood_is_told_and_touches_nothing_else() {
    let mut world = World::new(None);
    world.node(1, Some(7));
    let told = world.say(2, &share::key(&zone()), Some(&[9]));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("z.: version 9 of its layout is unknown"), "{told:?}");
    assert_eq!(world.say(2, b"z\x01Z\x00", Some(&[1, 0])).len(), 1);
    assert_eq!(world.say(2, LISTENERS_KEY, Some(&[1, 1])).len(), 1);
    assert_eq!(world.told(), "n1 7: 1 | ");
    // Keys that begin alike are others' affair.
    assert!(world.say(2, b"z", Some(&[9])).is_empty());
    assert!(world.say(2, b"dx", Some(&[9])).is_empty());
}

#[test]
fn a_node_that_goes_on_under_another_id_leaves_the_old_one_to_the_other_process() {
    let mut world = World::new(None);
    world.node(ME, Some(7));
    assert_eq!(world.told(), "n10 7: 10 | ");
    world.shares.hear(&Event::Identity { id: NodeId(99), generation: Generation(1) });
    assert_eq!(world.told(), "-");
    // Another life of the same id is the same node.
    world.node(99, Some(7));
    world.shares.hear(&Event::Identity { id: NodeId(99), generation: Generation(2) });
    assert_eq!(world.told(), "n99 7: 99 | ");
}

#[test]
fn who_shares_more_than_anybody_has_to_is_heard_up_to_there() {
    let mut log = Log::new(Generation(1));
    // By rising key, each is appended to the log.
    for number in 0..=ZONES_MAX {
        let origin = Name::parse(&format!("{number:06}.")).unwrap();
        log.put(&share::key(&origin), &share::value(None));
    }
    let mut world = World::new(None);
    world.health(1, Health::Alive);
    let told = world.shares.hear(&Event::Records { owner: NodeId(1), log: Arc::new(log), since: None });
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("016384.: it shares more than 16384 zones"), "{told:?}");
    let all = world.shares.followed(|id| world.members.get(&id).cloned());
    assert_eq!(all.len(), ZONES_MAX);
}
