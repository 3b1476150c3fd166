//! An engine that lives by lot, whose events get lost, are doubled and come late: after a list the machine says what
//! there is, and without losses nothing stays wrong for longer than the events themselves.

use super::play::{Play, terms};
use super::withdrawing::{container, event};
use crate::discovery::engine::answer::{Container, Event, HealthState};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const CONTAINERS: usize = 6;

/// What happens next.
#[derive(Debug, Clone)]
enum Deed {
    /// To the container of that number.
    Start(usize),
    Signal(usize),
    Die(usize),
    Destroy(usize),
    Pause(usize, bool),
    Health(usize, u8),
    /// An event that is on its way arrives, of those the one at that place.
    Deliver(usize),
    Lose(usize),
    Double(usize),
    /// A question is answered, of those the one at that place.
    Answer(usize),
    Pass(u64),
    Disconnect,
    Connect,
}

fn deed() -> impl Strategy<Value = Deed> {
    let which = 0..CONTAINERS;
    prop_oneof![
        2 => which.clone().prop_map(Deed::Start),
        1 => which.clone().prop_map(Deed::Signal),
        1 => which.clone().prop_map(Deed::Die),
        1 => which.clone().prop_map(Deed::Destroy),
        1 => (which.clone(), any::<bool>()).prop_map(|(which, is)| Deed::Pause(which, is)),
        1 => (which, 0u8..3).prop_map(|(which, health)| Deed::Health(which, health)),
        5 => (0usize..8).prop_map(Deed::Deliver),
        1 => (0usize..8).prop_map(Deed::Lose),
        1 => (0usize..8).prop_map(Deed::Double),
        8 => (0usize..8).prop_map(Deed::Answer),
        1 => (0u64..4_000).prop_map(Deed::Pass),
        1 => Just(Deed::Disconnect),
        1 => Just(Deed::Connect),
    ]
}

/// The engine, its clock, and its events that have not arrived.
struct Engine {
    play: Play,
    seconds: u64,
    on_the_way: Vec<Event>,
    is_connected: bool,
}

impl Engine {
    fn tell(&mut self, id: &str, action: &str, attributes: &[(&str, &str)]) {
        self.seconds += 1;
        let mut event = event(id, action, attributes);
        event.nanos += self.seconds as i64 * 1_000_000_000;
        if self.is_connected {
            self.on_the_way.push(event);
        }
    }

    /// Does something to a container in the table, if it is there and runs.
    fn to(&mut self, which: usize, action: &str, change: impl FnOnce(&mut Container)) {
        let id = format!("{which}");
        if let Some(known) = self.play.engine.get_mut(&id).filter(|known| known.state.running) {
            change(known);
            self.tell(&id, action, &[]);
        }
    }

    fn arrive(&mut self, at: usize, times: usize) {
        if self.on_the_way.is_empty() {
            return;
        }
        let event = self.on_the_way.remove(at % self.on_the_way.len());
        (0..times).for_each(|_| self.play.event(&event));
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Start(which) => {
                let id = format!("{which}");
                if self.play.engine.get(&id).is_some_and(|known| known.state.running) {
                    return;
                }
                self.seconds += 1;
                let mut new = container(&id);
                let (minute, second) = (self.seconds / 60 % 60, self.seconds % 60);
                new.state.started_at =
                    format!("2026-01-01T{:02}:{minute:02}:{second:02}Z", self.seconds / 3_600);
                self.play.engine.insert(id.clone(), new);
                self.tell(&id, "start", &[]);
            }
            Deed::Signal(which) => {
                let id = format!("{which}");
                if self.play.engine.get(&id).is_some_and(|known| known.state.running) {
                    self.tell(&id, "kill", &[("signal", "15")]);
                }
            }
            Deed::Die(which) => self.to(which, "die", |known| known.state.running = false),
            Deed::Destroy(which) => {
                let id = format!("{which}");
                if self.play.engine.remove(&id).is_some_and(|known| known.state.running) {
                    self.tell(&id, "die", &[]);
                }
                self.tell(&id, "destroy", &[]);
            }
            Deed::Pause(which, is) => {
                self.to(which, if is { "pause" } else { "unpause" }, |known| known.state.paused = is);
            }
            Deed::Health(which, health) => {
                let word = ["starting", "healthy", "unhealthy"][usize::from(health)];
                let action = format!("health_status: {word}");
                self.to(which, &action, |known| {
                    known.state.health = Some(HealthState { status: word.into() })
                });
            }
            Deed::Deliver(at) => self.arrive(at, 1),
            Deed::Lose(at) => self.arrive(at, 0),
            Deed::Double(at) => self.arrive(at, 2),
            Deed::Answer(at) => {
                if !self.play.asked.is_empty() {
                    self.play.answer(at % self.play.asked.len());
                }
            }
            Deed::Pass(milliseconds) => {
                self.play.now += Duration::from_millis(milliseconds);
                self.play.machine.handle_timeout(self.play.now);
                self.play.drain();
            }
            Deed::Disconnect => {
                self.is_connected = false;
                self.on_the_way.clear();
                self.play.lose();
            }
            Deed::Connect if !self.is_connected => {
                self.is_connected = true;
                self.play.connect();
            }
            Deed::Connect => {}
        }
    }
}

/// What there is, told from scratch.
fn there_is(engine: &BTreeMap<String, Container>) -> Vec<String> {
    Play::with(terms(), engine).told()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn after_a_list_the_machine_says_what_the_engine_has(deeds in proptest::collection::vec(deed(), 1..200)) {
        let play = Play::new(terms());
        let mut engine = Engine { play, seconds: 1, on_the_way: Vec::new(), is_connected: false };
        engine.act(Deed::Connect);
        deeds.into_iter().for_each(|deed| engine.act(deed));
        engine.act(Deed::Connect);
        // Whatever is on its way is lost. A list comes within a minute; who got a signal and goes on running is
        // believed after its stop timeout, unless its check has not passed.
        engine.play.answer_all();
        engine.play.pass(Duration::from_secs(61));
        let stopping = |told: &String| told.ends_with("Stopping") && !told.contains(" None");
        let told: Vec<String> = engine.play.told().into_iter().filter(|told| !stopping(told)).collect();
        let ill: Vec<String> = engine.play.told().into_iter().filter(stopping).collect();
        let mut expected = there_is(&engine.play.engine);
        for told in &ill {
            prop_assert!(told.contains("Starting") || told.contains("Unhealthy"), "{}", told);
            let name = told.split(' ').next().unwrap_or_default().to_owned() + " ";
            expected.retain(|known| !known.starts_with(&name));
        }
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn without_losses_no_list_is_needed(deeds in proptest::collection::vec(deed(), 1..150)) {
        let play = Play::new(terms());
        let mut engine = Engine { play, seconds: 1, on_the_way: Vec::new(), is_connected: false };
        engine.act(Deed::Connect);
        engine.play.answer_all();
        let listed = engine.play.listed;
        for deed in deeds {
            match deed {
                Deed::Lose(at) => engine.act(Deed::Deliver(at)),
                Deed::Disconnect | Deed::Connect | Deed::Pass(_) | Deed::Signal(_) => {}
                deed => engine.act(deed),
            }
        }
        while !engine.on_the_way.is_empty() {
            engine.act(Deed::Deliver(0));
        }
        engine.play.answer_all();
        prop_assert_eq!(engine.play.told(), there_is(&engine.play.engine));
        prop_assert_eq!(engine.play.listed, listed);
    }
}
