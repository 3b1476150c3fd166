//! A secondary's life in virtual time.

use super::*;

const REFRESH: u64 = 100;
const RETRY: u64 = 10;
const EXPIRE: u64 = 1_000;

fn name() -> Name {
    Name::parse("z.").unwrap()
}

fn terms(serial: u32) -> Terms {
    let seconds = Duration::from_secs;
    Terms {
        serial: Serial(serial),
        refresh: seconds(REFRESH),
        retry: seconds(RETRY),
        expire: seconds(EXPIRE),
    }
}

/// One zone with primaries, and the clock.
struct Life {
    machine: Secondaries,
    now: Moment,
}

impl Life {
    fn new(primaries: usize) -> Life {
        let mut machine = Secondaries::default();
        let primaries =
            (1..=primaries).map(|number| format!("192.0.2.{number}:53").parse().unwrap()).collect();
        machine.set(Moment::START, vec![Spec { origin: name(), primaries, key: None }]);
        Life { machine, now: Moment::START }
    }

    /// With version 5 in place, just transferred.
    fn with_version() -> Life {
        let mut life = Life::new(1);
        life.machine.served(life.now, &name(), terms(5), Duration::ZERO);
        assert_eq!(life.acts(), [""; 0]);
        life
    }

    fn at(&mut self, seconds: u64) -> &mut Life {
        self.now = Moment::START + Duration::from_secs(seconds);
        self.machine.turn(self.now);
        self
    }

    fn acts(&mut self) -> Vec<String> {
        self.told().into_iter().map(|(told, _)| told).collect()
    }

    fn told(&mut self) -> Vec<(String, Option<Errand>)> {
        let host = |errand: &Errand| errand.primary.to_string().replace("192.0.2.", "").replace(":53", "");
        std::iter::from_fn(|| self.machine.poll())
            .map(|act| match act {
                Act::AskSoa(errand) => (format!("soa {}", host(&errand)), Some(errand)),
                Act::Transfer { errand, have } => {
                    let have = have.map_or("all".to_owned(), |serial| format!("since {}", serial.0));
                    (format!("{have} {}", host(&errand)), Some(errand))
                }
                Act::Checked(_) => ("checked".to_owned(), None),
                Act::Expired(_) => ("expired".to_owned(), None),
                Act::Revived(_) => ("revived".to_owned(), None),
            })
            .collect()
    }

    /// The one thing that is to be done.
    fn errand(&mut self, expected: &str) -> Errand {
        let mut told = self.told();
        assert_eq!(told.len(), 1, "{told:?}, expected {expected}");
        let (what, errand) = told.remove(0);
        assert_eq!(what, expected);
        errand.unwrap()
    }

    fn done(&mut self, errand: &Errand, outcome: Outcome) -> &mut Life {
        self.machine.done(self.now, errand, outcome);
        self
    }

    fn wake(&self) -> u64 {
        self.machine.next_wake().since(Moment::START).as_secs()
    }
}

#[test]
fn without_a_copy_all_of_it_is_asked_for_at_once() {
    let mut life = Life::new(1);
    assert_eq!(life.at(0).acts(), [""; 0], "it is not known yet whether there is a copy");
    life.machine.absent(life.now, &name());
    let errand = life.errand("all 1");
    life.done(&errand, Outcome::Arrived);
    life.machine.served(life.now, &name(), terms(5), Duration::ZERO);
    assert_eq!((life.acts(), life.wake()), (vec![], REFRESH));
}

#[test]
fn after_refresh_the_serial_is_asked_for_and_only_a_later_one_transferred() {
    let mut life = Life::with_version();
    assert_eq!(life.at(REFRESH - 1).acts(), [""; 0]);
    let errand = life.at(REFRESH).errand("soa 1");
    life.done(&errand, Outcome::Serial(Serial(5)));
    assert_eq!((life.acts(), life.wake()), (vec!["checked".to_owned()], 2 * REFRESH));
    let errand = life.at(2 * REFRESH).errand("soa 1");
    let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 1");
    life.done(&errand, Outcome::Arrived);
    life.machine.served(life.now, &name(), terms(6), Duration::ZERO);
    assert_eq!((life.acts(), life.wake()), (vec![], 3 * REFRESH));
}

#[test]
fn steps_that_do_not_fit_are_followed_by_all_of_it() {
    for is_made in [false, true] {
        let mut life = Life::with_version();
        let errand = life.at(REFRESH).errand("soa 1");
        let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 1");
        match is_made {
            false => _ = life.done(&errand, Outcome::NoSteps),
            true => {
                life.done(&errand, Outcome::Arrived);
                life.machine.failed(life.now, &name());
            }
        }
        let errand = life.errand("all 1");
        life.done(&errand, Outcome::Arrived);
        // If that is no zone either, the old one stays until there is something else.
        life.machine.failed(life.now, &name());
        assert_eq!((life.acts(), life.wake()), (vec![], REFRESH + RETRY));
    }
}

#[test]
fn one_primary_after_another_is_asked_then_there_is_a_pause() {
    let mut life = Life::new(3);
    life.machine.served(life.now, &name(), terms(5), Duration::ZERO);
    life.acts();
    for round in 0..3 {
        let start = REFRESH + round * RETRY;
        for primary in 1..=3 {
            let errand = life.at(start).errand(&format!("soa {primary}"));
            life.done(&errand, Outcome::Failed);
        }
        assert_eq!((life.acts(), life.wake()), (vec![], start + RETRY));
    }
}

#[test]
fn a_version_that_nobody_confirms_expires_and_comes_back_when_somebody_does() {
    let mut life = Life::with_version();
    let mut at = REFRESH;
    while at < EXPIRE {
        let errand = life.at(at).errand("soa 1");
        life.done(&errand, Outcome::Failed);
        at = life.wake();
    }
    assert_eq!(at, EXPIRE);
    let told = life.at(EXPIRE).told();
    assert_eq!(told[0].0, "expired");
    assert!(life.machine.standing(&name()).unwrap().expired);
    let errand = told[1].1.clone().unwrap();
    life.done(&errand, Outcome::Serial(Serial(5)));
    assert_eq!(life.acts(), ["revived", "checked"]);
    assert!(!life.machine.standing(&name()).unwrap().expired);
}

#[test]
fn a_copy_of_an_earlier_life_is_checked_at_once_and_expires_as_if_there_had_been_no_restart() {
    let mut life = Life::new(1);
    // The clock of a process shows days when it starts.
    life.now = Moment::START + Duration::from_secs(5_000);
    life.machine.served(life.now, &name(), terms(5), Duration::from_secs(EXPIRE - 1));
    let errand = life.errand("soa 1");
    life.done(&errand, Outcome::Failed);
    assert_eq!(life.machine.next_wake(), life.now + Duration::from_secs(1));
    assert_eq!(life.at(5_001).acts(), ["expired"]);
    let mut late = Life::new(1);
    late.now = life.now;
    late.machine.served(late.now, &name(), terms(5), Duration::from_secs(EXPIRE + 1));
    assert_eq!(late.acts(), ["expired", "soa 1"]);
}

#[test]
fn news_is_asked_for_at_once_and_once_more_if_it_comes_meanwhile() {
    let mut life = Life::with_version();
    life.at(1);
    for serial in [Some(Serial(5)), Some(Serial(4))] {
        life.machine.notified(life.now, &name(), serial);
        assert_eq!(life.acts(), [""; 0]);
    }
    life.machine.notified(life.now, &name(), Some(Serial(6)));
    let errand = life.errand("soa 1");
    life.machine.notified(life.now, &name(), None);
    assert_eq!(life.acts(), [""; 0]);
    let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 1");
    life.done(&errand, Outcome::Arrived);
    life.machine.served(life.now, &name(), terms(6), Duration::ZERO);
    let errand = life.errand("soa 1");
    life.done(&errand, Outcome::Serial(Serial(6)));
    assert_eq!((life.acts(), life.wake()), (vec!["checked".to_owned()], 1 + REFRESH));
    // Of another zone there is none.
    life.machine.notified(life.now, &Name::parse("y.").unwrap(), None);
    assert_eq!(life.acts(), [""; 0]);
}

#[test]
fn a_user_may_have_it_checked_or_transferred_whatever_the_serial() {
    let mut life = Life::with_version();
    assert!(!life.machine.refresh(life.now, &Name::parse("y.").unwrap(), false));
    assert!(life.machine.refresh(life.now, &name(), false));
    let errand = life.errand("soa 1");
    life.done(&errand, Outcome::Serial(Serial(5)));
    assert_eq!(life.acts(), ["checked"]);
    assert!(life.machine.refresh(life.now, &name(), true));
    let errand = life.errand("all 1");
    life.done(&errand, Outcome::Arrived);
    life.machine.served(life.now, &name(), terms(5), Duration::ZERO);
    assert_eq!((life.acts(), life.wake()), (vec![], REFRESH));
}

#[test]
fn what_comes_of_an_errand_that_was_given_up_does_not_count() {
    let mut life = Life::with_version();
    let errand = life.at(REFRESH).errand("soa 1");
    let other = Spec { origin: name(), primaries: vec!["192.0.2.9:53".parse().unwrap()], key: None };
    life.machine.set(life.now, vec![other]);
    life.machine.turn(life.now);
    let second = life.errand("soa 9");
    life.done(&errand, Outcome::Serial(Serial(9)));
    assert_eq!(life.acts(), [""; 0]);
    life.done(&second, Outcome::Serial(Serial(6))).errand("since 5 9");
    life.machine.set(life.now, Vec::new());
    assert_eq!(life.machine.next_wake(), Moment::NEVER);
}

#[test]
fn a_zone_without_a_copy_is_asked_for_less_and_less_often() {
    let mut life = Life::new(1);
    life.machine.absent(life.now, &name());
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let errand = life.errand("all 1");
        life.done(&errand, Outcome::Failed);
        let (before, next) = (life.now.since(Moment::START).as_secs(), life.wake());
        pauses.push(next - before);
        life.at(next);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120, 120]);
}
