//! What is left after a crash, wherever it comes.

use super::*;
use crate::disk::crash::{Left, Strike};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn replacing_is_all_or_nothing_wherever_it_is_struck() {
    for after in 0..3 {
        for left in [Left::Nothing, Left::Part(5), Left::Holes(5), Left::All] {
            for deadly in [false, true] {
                let place = filled();
                let (mut dir, _) = place.open();
                dir.hand.faults.plan(Some(Strike { after, left, deadly }));
                let outcome = dir.write_identity(7, 4);
                assert_eq!(outcome.is_ok(), after >= 2, "{after} {left:?}");
                if let Err(error) = &outcome {
                    assert!(error.to_string().contains("identity: cannot write: "), "{error}");
                }
                let retried = outcome.is_err() && !deadly && dir.write_identity(7, 4).is_ok();
                drop(dir);
                let restored = place.open().1;
                assert!(restored.notices.is_empty() && restored.id == Some(7));
                let allowed: &[u32] = if outcome.is_ok() || retried { &[4] } else { &[3, 4] };
                assert!(allowed.contains(&restored.generation), "{after} {left:?} {}", restored.generation);
                assert!(!place.names().iter().any(|name| name.ends_with(".tmp")));
            }
        }
    }
}

/// What is done to the directory, in order.
#[derive(Debug, Clone)]
enum Step {
    /// Keys, each with a value or none.
    Append(Vec<(u8, Option<u16>)>),
    Sync,
    /// A sync that is struck; if that is deadly, the next start follows.
    Struck(Strike),
    /// A start that is struck, and then one that is not.
    Restart(Option<Strike>),
}

fn strikes() -> impl Strategy<Value = Strike> {
    let left = prop_oneof![
        Just(Left::Nothing),
        (0..2_000usize).prop_map(Left::Part),
        (0..2_000usize).prop_map(Left::Holes),
        Just(Left::All)
    ];
    (0..6usize, left, any::<bool>()).prop_map(|(after, left, deadly)| Strike { after, left, deadly })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let entry = (0..12u8, proptest::option::weighted(0.8, 0..20_000u16));
    let step = prop_oneof![
        4 => proptest::collection::vec(entry, 1..5).prop_map(Step::Append),
        3 => Just(Step::Sync),
        3 => strikes().prop_map(Step::Struck),
        2 => proptest::option::of(strikes()).prop_map(Step::Restart),
    ];
    proptest::collection::vec(step, 1..40)
}

/// The twin: the map after every append, and which of these the disk must have at least.
struct Twin {
    states: Vec<BTreeMap<Bytes, Bytes>>,
    acknowledged: usize,
}

impl Twin {
    fn append(&mut self, entries: &[Entry]) {
        let mut next = self.states.last().unwrap().clone();
        for Entry { key, value } in entries {
            match value {
                Some(value) => drop(next.insert(key.clone(), value.clone())),
                None => drop(next.remove(key)),
            }
        }
        self.states.push(next);
    }

    fn acknowledge(&mut self) {
        self.acknowledged = self.states.len() - 1;
    }

    fn restore(&mut self, restored: &Restored) {
        assert!(restored.notices.iter().all(|notice| !notice.is_loss()), "{:?}", told(restored));
        let found: BTreeMap<Bytes, Bytes> = restored.cluster.iter().cloned().collect();
        assert!(self.states[self.acknowledged..].contains(&found), "{found:?}\n{:?}", self.states);
        *self = Twin { states: vec![found], acknowledged: 0 };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn after_any_crash_the_records_are_those_of_some_append_since_the_last_acknowledged(steps in steps()) {
        let place = Place::new();
        let mut dir = place.open().0;
        let mut twin = Twin { states: vec![BTreeMap::new()], acknowledged: 0 };
        for step in steps {
            let mut restart = None;
            match step {
                Step::Append(pairs) => {
                    let entry = |(key, octets): (u8, Option<u16>)| Entry {
                        key: vec![key].into(),
                        value: octets.map(|octets| vec![key ^ octets as u8; octets.into()].into()),
                    };
                    let entries: Vec<Entry> = pairs.into_iter().map(entry).collect();
                    dir.append(&entries).unwrap();
                    twin.append(&entries);
                }
                Step::Sync => {
                    dir.sync().unwrap();
                    twin.acknowledge();
                }
                Step::Struck(strike) => {
                    dir.hand.faults.plan(Some(strike));
                    match dir.sync() {
                        Ok(()) => twin.acknowledge(),
                        Err(_) if strike.deadly => restart = Some(None),
                        Err(_) => {}
                    }
                    dir.hand.faults.plan(None);
                }
                Step::Restart(strike) => restart = Some(strike),
            }
            if let Some(strike) = restart {
                drop(dir);
                let hand = Hand::open(&place.state()).unwrap();
                hand.faults.plan(strike);
                if let Ok((_, restored)) = StateDir::read(hand) {
                    twin.restore(&restored);
                }
                let (again, restored) = place.open();
                twin.restore(&restored);
                dir = again;
            }
        }
    }
}
