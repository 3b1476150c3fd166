//! Two nodes and a network that loses, repeats, delays and reorders: whatever it does, nothing is heard that
//! was not said, and nothing twice.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What happens next.
#[derive(Debug, Clone)]
enum Turn {
    /// A node says something new to the other.
    Say(bool),
    /// One datagram of all that were ever sent arrives, again or for the first time.
    Arrive(prop::sample::Index),
    /// The one that was sent last arrives.
    ArriveLast,
    /// Time passes, in milliseconds.
    Wait(u64),
    /// A node forgets the other.
    Forget(bool),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => any::<bool>().prop_map(Turn::Say),
        4 => any::<prop::sample::Index>().prop_map(Turn::Arrive),
        8 => Just(Turn::ArriveLast),
        1 => (0u64..4_000).prop_map(Turn::Wait),
    ];
    prop::collection::vec(turn, 1..150)
}

/// Recordings may be heard once more by a node that forgot, but only of the last moments.
fn turns_with_forgetting() -> impl Strategy<Value = Vec<Turn>> {
    (turns(), prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..5)).prop_map(
        |(mut turns, forgotten)| {
            for (at, whom) in forgotten {
                turns.insert(at.index(turns.len()), Turn::Forget(whom));
            }
            turns
        },
    )
}

struct World {
    nodes: [Secrecy; 2],
    now: Moment,
    /// To whom, and what.
    sent: Vec<(usize, Bytes)>,
    said: Vec<(usize, Moment)>,
    heard: Vec<(usize, usize)>,
}

impl World {
    fn run(turns: Vec<Turn>) -> World {
        let mut world = World {
            nodes: [node(0), node(1)],
            now: NOW,
            sent: Vec::new(),
            said: Vec::new(),
            heard: Vec::new(),
        };
        for turn in turns {
            match turn {
                Turn::Say(who) => world.say(usize::from(who)),
                Turn::Arrive(which) if !world.sent.is_empty() => world.arrive(which.index(world.sent.len())),
                Turn::ArriveLast if !world.sent.is_empty() => world.arrive(world.sent.len() - 1),
                Turn::Arrive(_) | Turn::ArriveLast => {}
                Turn::Wait(millis) => world.now += Duration::from_millis(millis),
                Turn::Forget(who) => world.nodes[usize::from(who)].forget(NodeId(u64::from(!who))),
            }
        }
        world
    }

    fn say(&mut self, who: usize) {
        let plain = (self.said.len() as u32).to_be_bytes();
        let octets = self.nodes[who].seal(self.now, &plain);
        self.said.push((who, self.now));
        self.sent.push((1 - who, octets));
    }

    fn arrive(&mut self, at: usize) {
        let (to, octets) = self.sent[at].clone();
        let sender = peer(1 - to as u64);
        match hand(&mut self.nodes[to], self.now, sender.id.0, &octets) {
            Ok(Taken::Said(from, plain)) => self.hear(to, from == sender, &plain),
            Ok(Taken::Stranger(octets)) => self.sent.push((1 - to, octets)),
            Ok(Taken::Doubted(from, octets)) => {
                assert_eq!(from, sender);
                self.sent.push((1 - to, octets));
            }
            Ok(Taken::Met(from, said)) => said.iter().for_each(|plain| self.hear(to, from == sender, plain)),
            Err(_) => {}
        }
    }

    fn hear(&mut self, to: usize, from_sender: bool, plain: &[u8]) {
        let what = u32::from_be_bytes(plain.try_into().expect("four octets")) as usize;
        assert!(from_sender && self.said[what].0 != to, "heard what was not said");
        self.heard.push((to, what));
    }
}

proptest! {
    #[test]
    fn nothing_is_heard_twice(turns in turns()) {
        let world = World::run(turns);
        let heard: BTreeSet<_> = world.heard.iter().collect();
        prop_assert_eq!(heard.len(), world.heard.len());
    }

    #[test]
    fn who_forgets_hears_nothing_old(turns in turns_with_forgetting(), wait in 0u64..40_000) {
        let mut world = World::run(turns);
        world.nodes[0].forget(NodeId(1));
        world.now += Duration::from_millis(wait);
        let before = world.heard.len();
        // They meet again.
        world.say(1);
        (0..3).for_each(|_| world.arrive(world.sent.len() - 1));
        prop_assert_eq!(world.heard.last(), Some(&(0, world.said.len() - 1)));
        // All recordings, and whatever comes of them.
        let mut at = 0;
        while at < world.sent.len() && at < 1_000 {
            world.arrive(at);
            at += 1;
        }
        for (to, what) in world.heard.iter().skip(before).filter(|(to, _)| *to == 0) {
            let age = world.now - world.said[*what].1;
            prop_assert!(age < CHALLENGE_TIME * 4, "node {} heard what was {:?} old", to, age);
        }
    }

    #[test]
    fn any_octets_at_all_are_a_refusal(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(hand(&mut node(1), NOW, 2, &octets).is_err());
        if octets.len() >= 5 && octets[1..5] != header::cluster_mark("hive") {
            prop_assert!(hand(&mut in_clear(1), NOW, 2, &octets).is_err());
        }
    }
}
