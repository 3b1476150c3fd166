//! When a secondary asks its primaries for what (RFC 1034 §4.3.5, RFC 1996 §4): one small machine for each zone, in
//! virtual time.
//!
//! ```text
//!            ┌─ refresh, NOTIFY ─► SOA? ─ later ─► transfer ─► put in place ─┐
//! resting ◄──┤                      └─ not later: checked ───────────────────┴─► resting until refresh
//!            └─ all primaries failed: resting until retry; after expire: the zone is not served any more
//! ```
//!
//! **The law of use: after every call, [`Secondaries::poll`] until it yields `None`, and call again at
//! [`Secondaries::next_wake`].**

use crate::base::time::Moment;
use crate::wire::name::Name;
use crate::zone::Serial;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Intervals of an SOA are held within these: shorter ones are a storm, longer ones a mistake.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(14 * 86_400);
/// How long a zone of which there is no copy waits after the first failure; twice as long after each further one.
const EMPTY_RETRY_MIN: Duration = Duration::from_secs(1);
const EMPTY_RETRY_MAX: Duration = Duration::from_secs(120);

/// What an SOA says of how it is kept (RFC 1035 §3.3.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The version.
    pub serial: Serial,
    /// How often it is asked for.
    pub refresh: Duration,
    /// How soon it is asked for again.
    pub retry: Duration,
    /// How long it is good without an answer.
    pub expire: Duration,
}

/// A zone that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its apex.
    pub origin: Name,
    /// Who is asked, the first first. Without anybody a zone waits, and expires in the end.
    pub primaries: Vec<SocketAddr>,
    /// How many of them, from the first on, are the zone's source. The others have copies: what is later there is taken, but
    /// that the version at hand is the newest only a source can say. Else copies that ask each other would never expire.
    pub sources: usize,
    /// The name of the key that signs.
    pub key: Option<Name>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ask for the SOA.
    AskSoa(Errand),
    /// Transfer: what changed since the version at hand, else all.
    Transfer {
        /// Whom.
        errand: Errand,
        /// The version at hand; `None`: all of it is asked for.
        have: Option<Serial>,
    },
    /// The version at hand is the newest.
    Checked(Name),
    /// Nobody has said for too long that the version at hand is the newest: it is not to be served.
    Expired(Name),
    /// It is to be served again.
    Revived(Name),
}

/// An act that has an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Of which zone.
    pub origin: Name,
    /// Of whom.
    pub primary: SocketAddr,
    /// The name of the key that signs.
    pub key: Option<Name>,
    /// Tells it from all others of the zone.
    pub ticket: u64,
}

/// What came of an errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The primary has this version.
    Serial(Serial),
    /// What was transferred is being made a zone; its end comes as [`Secondaries::served`] or [`Secondaries::failed`].
    Arrived,
    /// The primary does not know what changed, or what it said does not lead anywhere: all is to be asked for.
    NoSteps,
    /// Nothing of use.
    Failed,
}

/// How a zone stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When the version at hand was last known to be the newest; `None`: there is none.
    pub checked: Option<Moment>,
    /// When it is asked for next; `None`: now.
    pub next: Option<Moment>,
    /// It is not served any more.
    pub expired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Resting {
        until: Moment,
    },
    Asking,
    Transferring {
        whole: bool,
    },
    /// What came is being made a zone.
    Making {
        whole: bool,
    },
}

struct Zone {
    spec: Spec,
    /// Of the version at hand.
    terms: Option<Terms>,
    checked: Moment,
    expired: bool,
    doing: Doing,
    /// The primary that is asked, among those of the spec.
    turn: usize,
    /// How many of them failed in this round.
    failed: usize,
    /// Rounds that failed since there is no copy.
    barren: u32,
    ticket: u64,
    /// News came meanwhile.
    again: bool,
    /// All of it is wanted, whatever the serial.
    whole: bool,
}

/// All zones that come from elsewhere.
#[derive(Default)]
pub struct Secondaries {
    zones: BTreeMap<Name, Zone>,
    acts: VecDeque<Act>,
    tickets: u64,
}

impl Secondaries {
    /// These zones and no others. Those that stay as they are go on; others begin when [`Secondaries::served`] or
    /// [`Secondaries::absent`] tells what is at hand.
    pub fn set(&mut self, now: Moment, specs: Vec<Spec>) {
        self.zones.retain(|origin, _| specs.iter().any(|spec| spec.origin == *origin));
        for spec in specs {
            match self.zones.get_mut(&spec.origin) {
                Some(zone) if zone.spec == spec => {}
                // Members that have copies come and go: that is no news of the zone.
                Some(zone) if zone.spec.is_from_where(&spec) => {
                    zone.turn = zone.turn.min(spec.primaries.len().saturating_sub(1));
                    zone.spec = spec;
                }
                Some(zone) => {
                    zone.spec = spec;
                    zone.rest(now);
                }
                None => {
                    let zone = Zone {
                        terms: None,
                        checked: now,
                        expired: false,
                        doing: Doing::Resting { until: Moment::NEVER },
                        turn: 0,
                        failed: 0,
                        barren: 0,
                        ticket: 0,
                        again: false,
                        whole: false,
                        spec: spec.clone(),
                    };
                    self.zones.insert(spec.origin, zone);
                }
            }
        }
    }

    /// A version is in place. `age`: for how long it has not been checked; of one that was just transferred, none.
    pub fn served(&mut self, now: Moment, origin: &Name, terms: Terms, age: Duration) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        let was_there = zone.terms.is_some();
        let is_ours = matches!(zone.doing, Doing::Making { .. });
        // All of it is here: what comes next is asked for by its serial again.
        zone.whole &= zone.doing != Doing::Making { whole: true };
        zone.terms = Some(terms);
        (zone.failed, zone.barren) = (0, 0);
        match age {
            Duration::ZERO => {
                zone.checked = now;
                zone.expired = false;
                let until = if std::mem::take(&mut zone.again) { now } else { now + zone.refresh() };
                zone.doing = Doing::Resting { until };
            }
            age if !was_there || is_ours => {
                // A copy of an earlier life, or another server's: asked for at once (RFC 1034 §4.3.5), served until it
                // expires.
                zone.checked = now.before(age);
                zone.expired = false;
                zone.doing = Doing::Resting { until: now };
            }
            _ => {}
        }
        self.turn(now);
    }

    /// There is no version at hand.
    pub fn absent(&mut self, now: Moment, origin: &Name) {
        if let Some(zone) = self.zones.get_mut(origin).filter(|zone| zone.terms.is_none()) {
            if matches!(zone.doing, Doing::Resting { .. }) {
                zone.rest(now);
            }
            self.turn(now);
        }
    }

    /// What was transferred could not be put in place.
    pub fn failed(&mut self, now: Moment, origin: &Name) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        match zone.doing {
            // Changes that do not fit: then all of it.
            Doing::Making { whole: false } => self.transfer(origin, true),
            Doing::Making { whole: true } => self.next_primary(now, origin),
            Doing::Resting { .. } | Doing::Asking | Doing::Transferring { .. } => {}
        }
        self.turn(now);
    }

    /// A primary says that it has news (RFC 1996 §4.3); `serial`: of which version, if it says.
    pub fn notified(&mut self, now: Moment, origin: &Name, serial: Option<Serial>) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        let known = |terms: Terms| serial.is_some_and(|serial| !terms.serial.is_before(serial));
        if zone.terms.is_some_and(known) && !zone.expired {
            return;
        }
        zone.hurry(now);
        self.turn(now);
    }

    /// A user wants it asked for now; `whole`: all of it, whatever the serial. False if there is no such zone.
    pub fn refresh(&mut self, now: Moment, origin: &Name, whole: bool) -> bool {
        let Some(zone) = self.zones.get_mut(origin) else { return false };
        zone.whole |= whole;
        zone.hurry(now);
        self.turn(now);
        true
    }

    /// What came of an errand; one that was given up counts no more.
    pub fn done(&mut self, now: Moment, errand: &Errand, outcome: Outcome) {
        let Some(zone) = self.zones.get_mut(&errand.origin) else { return };
        if zone.ticket != errand.ticket || matches!(zone.doing, Doing::Resting { .. } | Doing::Making { .. })
        {
            return;
        }
        match (zone.doing, outcome) {
            (_, Outcome::Failed) => self.next_primary(now, &errand.origin),
            (Doing::Transferring { whole: false }, Outcome::NoSteps) => self.transfer(&errand.origin, true),
            (Doing::Transferring { whole }, Outcome::Arrived) => zone.doing = Doing::Making { whole },
            (Doing::Asking | Doing::Transferring { .. }, Outcome::Serial(serial)) => {
                let is_later = zone.terms.is_none_or(|terms| terms.serial.is_before(serial));
                match is_later && zone.doing == Doing::Asking {
                    true => self.transfer(&errand.origin, false),
                    false if zone.turn < zone.spec.sources => self.current(now, &errand.origin),
                    false => self.next_primary(now, &errand.origin),
                }
            }
            (_, Outcome::NoSteps | Outcome::Arrived) => self.next_primary(now, &errand.origin),
            (Doing::Resting { .. } | Doing::Making { .. }, _) => {}
        }
        self.turn(now);
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Moment) {
        let due: Vec<Name> = self
            .zones
            .iter()
            .filter(|(_, zone)| zone.is_due(now))
            .map(|(origin, _)| origin.clone())
            .collect();
        for origin in due {
            let Some(zone) = self.zones.get_mut(&origin) else { continue };
            if !zone.expired && zone.terms.is_some() && zone.expiry() <= now {
                zone.expired = true;
                self.acts.push_back(Act::Expired(origin.clone()));
            }
            if matches!(zone.doing, Doing::Resting { until } if until <= now) {
                (zone.turn, zone.failed) = (0, 0);
                self.begin(now, &origin);
            }
        }
    }

    /// When [`Secondaries::turn`] has something to do.
    pub fn next_wake(&self) -> Moment {
        self.zones.values().map(Zone::wake).min().unwrap_or(Moment::NEVER)
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// How all zones stand.
    pub fn standings(&self) -> BTreeMap<Name, Standing> {
        let all = self.zones.keys().filter_map(|origin| Some((origin.clone(), self.standing(origin)?)));
        all.collect()
    }

    /// How a zone stands.
    pub fn standing(&self, origin: &Name) -> Option<Standing> {
        let zone = self.zones.get(origin)?;
        Some(Standing {
            checked: zone.terms.map(|_| zone.checked),
            next: match zone.doing {
                Doing::Resting { until } => Some(until),
                Doing::Asking | Doing::Transferring { .. } | Doing::Making { .. } => None,
            },
            expired: zone.expired,
        })
    }

    /// Asks the primary whose turn it is.
    fn begin(&mut self, now: Moment, origin: &Name) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        if zone.spec.primaries.is_empty() {
            zone.pause(now);
            return;
        }
        if zone.terms.is_none() || zone.whole {
            return self.transfer(origin, true);
        }
        zone.doing = Doing::Asking;
        if let Some(errand) = self.errand(origin) {
            self.acts.push_back(Act::AskSoa(errand));
        }
    }

    fn transfer(&mut self, origin: &Name, whole: bool) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        let have = zone.terms.map(|terms| terms.serial).filter(|_| !whole);
        zone.doing = Doing::Transferring { whole: have.is_none() };
        if let Some(errand) = self.errand(origin) {
            self.acts.push_back(Act::Transfer { errand, have });
        }
    }

    fn errand(&mut self, origin: &Name) -> Option<Errand> {
        self.tickets += 1;
        let zone = self.zones.get_mut(origin)?;
        zone.ticket = self.tickets;
        let primary = *zone.spec.primaries.get(zone.turn)?;
        Some(Errand { origin: origin.clone(), primary, key: zone.spec.key.clone(), ticket: zone.ticket })
    }

    /// The version at hand is the newest.
    fn current(&mut self, now: Moment, origin: &Name) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        zone.checked = now;
        zone.failed = 0;
        let again = std::mem::take(&mut zone.again);
        zone.doing = Doing::Resting { until: if again { now } else { now + zone.refresh() } };
        if std::mem::take(&mut zone.expired) {
            self.acts.push_back(Act::Revived(origin.clone()));
        }
        self.acts.push_back(Act::Checked(origin.clone()));
    }

    /// The one at hand failed: the next is asked, or there is a pause.
    fn next_primary(&mut self, now: Moment, origin: &Name) {
        let Some(zone) = self.zones.get_mut(origin) else { return };
        zone.failed += 1;
        if zone.failed < zone.spec.primaries.len() {
            zone.turn = (zone.turn + 1) % zone.spec.primaries.len();
            return self.begin(now, origin);
        }
        // News that came meanwhile are worth a round of their own.
        match std::mem::take(&mut zone.again) {
            true => zone.rest(now),
            false => zone.pause(now),
        }
    }
}

impl Spec {
    /// True if the other one differs in who has copies alone.
    fn is_from_where(&self, other: &Spec) -> bool {
        let sources = |spec: &Spec| spec.primaries.get(..spec.sources).map(<[SocketAddr]>::to_vec);
        self.key == other.key
            && sources(self) == sources(other)
            && self.primaries.is_empty() == other.primaries.is_empty()
    }
}

fn within(interval: Duration) -> Duration {
    interval.clamp(INTERVAL_MIN, INTERVAL_MAX)
}

impl Zone {
    fn rest(&mut self, until: Moment) {
        self.doing = Doing::Resting { until };
    }

    /// Nobody had anything of use.
    fn pause(&mut self, now: Moment) {
        self.again = false;
        self.barren = self.barren.saturating_add(1);
        let pause = match self.terms {
            Some(terms) => within(terms.retry),
            None => (EMPTY_RETRY_MIN * 2u32.pow(self.barren.min(10) - 1)).min(EMPTY_RETRY_MAX),
        };
        self.rest(now + pause);
    }

    /// It is to be asked for now, or once more when what goes on is over.
    fn hurry(&mut self, now: Moment) {
        match self.doing {
            Doing::Resting { .. } => self.rest(now),
            Doing::Asking | Doing::Transferring { .. } | Doing::Making { .. } => self.again = true,
        }
    }

    fn refresh(&mut self) -> Duration {
        self.whole = false;
        self.terms.map_or(INTERVAL_MIN, |terms| within(terms.refresh))
    }

    fn expiry(&self) -> Moment {
        self.terms.map_or(Moment::NEVER, |terms| self.checked + terms.expire)
    }

    fn wake(&self) -> Moment {
        let due = match self.doing {
            Doing::Resting { until } => until,
            Doing::Asking | Doing::Transferring { .. } | Doing::Making { .. } => Moment::NEVER,
        };
        if self.expired { due } else { due.min(self.expiry()) }
    }

    fn is_due(&self, now: Moment) -> bool {
        self.wake() <= now
    }
}

#[cfg(test)]
mod tests;
