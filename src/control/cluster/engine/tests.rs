//! Who speaks for a swarm, and when what was said before is let go of.

use super::*;
use crate::base::config::Config;
use crate::control::cluster::{Lots, Remembered};
use crate::gossip::identity::Incarnation;
use crate::gossip::membership::{Class, Told};
use crate::gossip::output::NodeInfo;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

const NOW: Moment = Moment::from_micros(1_000_000_000);
const SWARM: &str = "abcdefghijklmnopqrstuvwxy";
const OTHER: NodeId = NodeId(1);

/// A member of a cluster of its own, and what it says of who speaks.
struct Seat {
    cluster: Cluster,
    spoken: Arc<Mutex<Vec<Speaker>>>,
    _poll: mio::Poll,
}

impl Seat {
    fn new(generation: u32) -> Seat {
        let spoken = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&spoken);
        let speak: Speak = Box::new(move |speaker| heard.lock().unwrap().push(speaker));
        let remembered = Remembered {
            id: 9,
            generation,
            cluster: Vec::new(),
            peers: Vec::new(),
            ring: None,
            shared: None,
            keeper: None,
        };
        let lots = Lots { boot: 9, secret: [9; 32], seed: 9 };
        let (poll, ways) = (mio::Poll::new().unwrap(), (None, Engine::watched(false, true, speak)));
        let config = Config::default();
        let started =
            Cluster::start(NOW, &config, remembered, &lots, (None, None, &[]), poll.registry(), ways);
        Seat { cluster: started.unwrap().0, spoken, _poll: poll }
    }

    fn hear(&mut self, tales: Vec<Tale>) {
        self.cluster.hear_engine(NOW, UNIX_EPOCH, tales);
    }

    fn manages(&mut self) {
        self.hear(vec![Tale::Connected { version: "1".into() }, Tale::Manages(Some(SWARM.into()))]);
    }

    /// The other member lives in that life, and in `said` says these.
    fn other(&mut self, life: u32, said: u32, keys: &[&[u8]]) {
        let info = NodeInfo { id: OTHER, boot: 1, name: "n1".into(), address: ([127, 0, 0, 2], 7953).into() };
        let incarnation = Incarnation::first(Generation(life));
        let told = Arc::new(Told { info: Arc::new(info), incarnation, class: Class::Alive });
        let mut log = Log::new(Generation(said));
        for key in keys {
            log.put(key, &Manager { swarm: SWARM.into() }.value());
        }
        self.cluster.gossip.restore(NOW, [told], []);
        self.cluster.engine.records(OTHER, &log);
        self.cluster.elect();
    }

    fn speaker(&self) -> Speaker {
        self.spoken.lock().unwrap().last().copied().unwrap_or_default()
    }

    fn has_said(&self, key: &[u8]) -> bool {
        let owners = self.cluster.gossip.replication().owners();
        owners.get(NodeId(9)).and_then(|own| own.shown()).is_some_and(|log| log.get(key).is_some())
    }
}

#[test]
fn who_speaks_goes_on_until_the_elected_one_has_said_all_in_its_present_life() {
    let mut seat = Seat::new(1);
    seat.manages();
    assert_eq!(seat.speaker(), Speaker::Me);
    // One of a lower id comes, and has nothing to say yet; then it is what it said in its last life; then all is said.
    seat.other(1, 1, &[MANAGER_KEY]);
    assert_eq!(seat.speaker(), Speaker::Me);
    seat.other(2, 1, &[MANAGER_KEY, WHOLE_KEY]);
    assert_eq!(seat.speaker(), Speaker::Me);
    seat.other(2, 2, &[MANAGER_KEY, WHOLE_KEY]);
    assert_eq!(seat.speaker(), Speaker::Other);
    // It manages no longer.
    seat.other(2, 2, &[]);
    assert_eq!(seat.speaker(), Speaker::Me);
}

#[test]
fn what_a_lost_engine_told_stays_until_another_has_said_all() {
    let mut seat = Seat::new(1);
    seat.manages();
    seat.hear(vec![Tale::Lost { error: "gone".into() }]);
    assert_eq!(seat.speaker(), Speaker::Nobody);
    seat.other(1, 1, &[MANAGER_KEY]);
    assert_eq!(seat.speaker(), Speaker::Nobody);
    seat.other(1, 1, &[MANAGER_KEY, WHOLE_KEY]);
    assert_eq!(seat.speaker(), Speaker::Other);
}

#[test]
fn who_spoke_in_its_last_life_replaces_that_when_all_is_said_anew() {
    let mut seat = Seat::new(2);
    seat.manages();
    seat.hear(vec![Tale::Listed]);
    assert!(seat.cluster.awaits_engine() && !seat.has_said(MANAGER_KEY));
    seat.hear(vec![Tale::Say(Said::Whole(true))]);
    assert!(!seat.cluster.awaits_engine() && seat.has_said(MANAGER_KEY) && seat.has_said(WHOLE_KEY));
    seat.hear(vec![Tale::Say(Said::Whole(false))]);
    assert!(!seat.has_said(WHOLE_KEY));
}

#[test]
fn nobody_waits_for_what_there_is_no_need_to_say_or_what_cannot_be_said() {
    // A first life replaces nothing; another speaks; the engine does not tell.
    let mut first = Seat::new(1);
    first.manages();
    first.hear(vec![Tale::Listed]);
    assert!(!first.cluster.awaits_engine());
    let mut second = Seat::new(2);
    second.other(1, 1, &[MANAGER_KEY, WHOLE_KEY]);
    second.manages();
    second.hear(vec![Tale::Listed]);
    assert!(!second.cluster.awaits_engine() && second.speaker() == Speaker::Other);
    let mut mute = Seat::new(2);
    mute.manages();
    mute.hear(vec![Tale::Mute, Tale::Listed]);
    assert!(!mute.cluster.awaits_engine());
    let mut worker = Seat::new(2);
    worker.hear(vec![Tale::Connected { version: "1".into() }, Tale::Manages(None), Tale::Listed]);
    assert!(!worker.cluster.awaits_engine());
}
