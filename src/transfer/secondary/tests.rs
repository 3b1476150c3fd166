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

/// The zone, all of whose primaries are its source.
fn spec(primaries: Vec<SocketAddr>) -> Spec {
    Spec { origin: name(), sources: primaries.len(), primaries, key: None }
}

/// The zone, which one has and another one has a copy of.
fn beside(source: u8, copy: u8) -> Spec {
    let at = |host: u8| SocketAddr::from(([192, 0, 2, host], 53));
    Spec { sources: 1, ..spec(vec![at(source), at(copy)]) }
}

/// One zone with primaries, and the clock.
struct Life {
    machine: Secondaries,
    now: Moment,
}

impl Life {
    fn new(primaries: usize) -> Life {
        let mut machine = Secondaries::default();
        let primaries: Vec<SocketAddr> =
            (1..=primaries).map(|number| format!("192.0.2.{number}:53").parse().unwrap()).collect();
        machine.set(Moment::START, vec![spec(primaries)]);
        Life { machine, now: Moment::START }
    }

    /// With version 5 in place, just transferred from the first of two; the second one has a copy.
    fn beside_a_copy() -> Life {
        let mut life = Life::with_version();
        life.machine.set(life.now, vec![beside(1, 2)]);
        assert_eq!(life.acts(), [""; 0], "that there is a copy is no news");
        life
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
fn news_that_come_while_a_round_fails_are_asked_for_without_a_pause() {
    let mut life = Life::new(2);
    life.machine.served(life.now, &name(), terms(5), Duration::ZERO);
    life.at(1);
    life.machine.notified(life.now, &name(), Some(Serial(6)));
    let errand = life.errand("soa 1");
    life.machine.notified(life.now, &name(), Some(Serial(6)));
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    // Once: then there is a pause.
    life.done(&errand, Outcome::Failed);
    assert_eq!((life.acts(), life.wake()), (vec![], 1 + RETRY));
    // The same where what came makes no zone.
    let errand = life.at(1 + RETRY).errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 2");
    let errand = life.done(&errand, Outcome::NoSteps).errand("all 2");
    life.done(&errand, Outcome::Arrived);
    life.machine.notified(life.now, &name(), Some(Serial(7)));
    life.machine.failed(life.now, &name());
    life.errand("soa 1");
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
fn all_of_it_comes_once_for_one_wish_whatever_news_come_meanwhile() {
    for age in [0, 1].map(Duration::from_secs) {
        let mut life = Life::with_version();
        life.at(9);
        life.machine.refresh(life.now, &name(), true);
        let errand = life.errand("all 1");
        life.machine.notified(life.now, &name(), Some(Serial(6)));
        life.done(&errand, Outcome::Arrived);
        life.machine.notified(life.now, &name(), None);
        life.machine.served(life.now, &name(), terms(6), age);
        let errand = life.errand("soa 1");
        life.done(&errand, Outcome::Serial(Serial(7))).errand("since 6 1");
    }
    // A wish that comes while changes do is not met by them.
    let mut life = Life::with_version();
    let errand = life.at(REFRESH).errand("soa 1");
    let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 1");
    life.machine.refresh(life.now, &name(), true);
    life.done(&errand, Outcome::Arrived);
    life.machine.served(life.now, &name(), terms(6), Duration::ZERO);
    life.errand("all 1");
}

#[test]
fn what_comes_of_an_errand_that_was_given_up_does_not_count() {
    let mut life = Life::with_version();
    let errand = life.at(REFRESH).errand("soa 1");
    let other = spec(vec!["192.0.2.9:53".parse().unwrap()]);
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

#[test]
fn what_a_copy_has_is_taken_but_only_the_source_says_that_it_is_the_newest() {
    let mut life = Life::beside_a_copy();
    let errand = life.at(REFRESH).errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    // Nothing later there: nobody has said that this is the newest.
    life.done(&errand, Outcome::Serial(Serial(5)));
    assert_eq!((life.acts(), life.wake()), (vec![], REFRESH + RETRY));
    let errand = life.at(REFRESH + RETRY).errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    let errand = life.done(&errand, Outcome::Serial(Serial(6))).errand("since 5 2");
    life.done(&errand, Outcome::Arrived);
    // It was the source's newest fifty seconds ago, when the source was seen last.
    life.machine.served(life.now, &name(), terms(6), Duration::from_secs(50));
    let errand = life.errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    life.done(&errand, Outcome::Serial(Serial(6)));
    let mut at = life.wake();
    let expiry = REFRESH + RETRY - 50 + EXPIRE;
    while at < expiry {
        let errand = life.at(at).errand("soa 1");
        let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
        life.done(&errand, Outcome::Serial(Serial(6)));
        assert_eq!(life.acts(), [""; 0]);
        at = life.wake();
    }
    let told = life.at(expiry).acts();
    assert_eq!((at, told.first().map(String::as_str)), (expiry, Some("expired")));
}

#[test]
fn copies_come_and_go_without_another_question() {
    let mut life = Life::beside_a_copy();
    let errand = life.at(REFRESH).errand("soa 1");
    let errand = life.done(&errand, Outcome::Failed).errand("soa 2");
    // Whom it asks has gone meanwhile.
    life.machine.set(life.now, vec![Spec { sources: 1, ..spec(vec!["192.0.2.1:53".parse().unwrap()]) }]);
    assert_eq!(life.acts(), [""; 0]);
    life.done(&errand, Outcome::Failed);
    assert_eq!((life.acts(), life.wake()), (vec![], REFRESH + RETRY));
    // Another source is news.
    life.machine.set(life.now, vec![beside(3, 2)]);
    life.at(REFRESH);
    life.errand("soa 3");
}

#[test]
fn a_zone_that_nobody_can_be_asked_for_is_served_until_it_expires() {
    let mut life = Life::with_version();
    life.machine.set(life.now, vec![spec(Vec::new())]);
    let mut at = 0;
    while at < EXPIRE {
        assert_eq!(life.at(at).acts(), [""; 0]);
        at = life.wake();
    }
    assert_eq!((at, life.at(EXPIRE).acts()), (EXPIRE, vec!["expired".to_owned()]));
    life.machine.set(life.now, vec![beside(1, 2)]);
    life.at(EXPIRE);
    life.errand("soa 1");
}
