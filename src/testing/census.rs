//! Who holds whom for alive, suspect or lost: one small mark for each pair of nodes, and what follows from all of
//! them: how fast a loss was noticed, who was lost that lived, whether everybody knows everybody.

use super::seat::Seat;
use crate::base::time::Moment;
use crate::gossip::output::Health;

/// What one node holds another for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unknown = 0,
    Alive = 1,
    Suspect = 2,
    /// Down, left, restarting or forgotten.
    Lost = 3,
}

/// Bits of a mark, and marks in an octet.
const BITS: usize = 2;
const PER_OCTET: usize = 8 / BITS;

/// A node that died, and when that was noticed.
#[derive(Debug, Clone, Copy)]
pub struct Incident {
    /// Who.
    pub seat: Seat,
    /// When.
    pub at: Moment,
    /// When somebody first suspected it.
    pub suspected: Option<Moment>,
    /// When every node that lives held it for lost.
    pub everywhere: Option<Moment>,
    /// False once the node is back.
    open: bool,
}

/// What a saying changed that is worth a line of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// The first suspicion of a dead node.
    Suspected,
    /// The last living node holds a dead one for lost.
    Everywhere,
    /// The first to declare a living node down.
    DownThoughAlive,
}

/// The marks.
#[derive(Debug)]
pub struct Census {
    seats: usize,
    marks: Vec<u8>,
    /// Per subject: how many living observers hold it for alive.
    alive_by: Vec<u32>,
    /// Per subject: how many living observers hold it for lost.
    lost_by: Vec<u32>,
    living: Vec<bool>,
    count: u32,
    incidents: Vec<Incident>,
    /// Per subject: since when somebody has held it for lost without a break.
    lost_since: Vec<Option<Moment>>,
    /// Since when everybody who lives has held everybody for alive.
    whole_since: Option<Moment>,
    /// Healthy nodes declared down, each counted once until nobody holds it for lost any more.
    pub false_downs: u64,
}

impl Census {
    /// For so many seats at most; nobody lives yet.
    pub fn new(seats: usize) -> Census {
        Census {
            seats,
            marks: vec![0; (seats * seats).div_ceil(PER_OCTET)],
            alive_by: vec![0; seats],
            lost_by: vec![0; seats],
            living: vec![false; seats],
            count: 0,
            incidents: Vec::new(),
            lost_since: vec![None; seats],
            whole_since: None,
            false_downs: 0,
        }
    }

    /// Which seats live.
    pub fn living(&self) -> &[bool] {
        &self.living
    }

    /// True if that node lives.
    pub fn lives(&self, seat: Seat) -> bool {
        self.living.get(seat.index()).copied().unwrap_or(false)
    }

    /// How many nodes live.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Since when some living node has held that one for lost.
    pub fn lost_since(&self, subject: Seat) -> Option<Moment> {
        self.lost_since.get(subject.index()).copied().flatten()
    }

    /// Since when everybody who lives has held everybody for alive; `None` while somebody does not.
    pub fn whole_since(&self) -> Option<Moment> {
        self.whole_since
    }

    /// True if the one that lives holds the other for alive.
    pub fn holds_alive(&self, observer: Seat, subject: Seat) -> bool {
        self.get(observer.index(), subject.index()) == Mark::Alive
    }

    /// The deaths so far.
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    fn get(&self, observer: usize, subject: usize) -> Mark {
        let place = observer * self.seats + subject;
        match self.marks[place / PER_OCTET] >> (place % PER_OCTET * BITS) & 3 {
            0 => Mark::Unknown,
            1 => Mark::Alive,
            2 => Mark::Suspect,
            _ => Mark::Lost,
        }
    }

    /// Sets a mark; what stood there before.
    fn set(&mut self, observer: usize, subject: usize, mark: Mark) -> Mark {
        let before = self.get(observer, subject);
        let place = observer * self.seats + subject;
        let shift = place % PER_OCTET * BITS;
        let octet = &mut self.marks[place / PER_OCTET];
        *octet = *octet & !(3 << shift) | (mark as u8) << shift;
        self.alive_by[subject] += u32::from(mark == Mark::Alive);
        self.alive_by[subject] -= u32::from(before == Mark::Alive);
        self.lost_by[subject] += u32::from(mark == Mark::Lost);
        self.lost_by[subject] -= u32::from(before == Mark::Lost);
        if self.lost_by[subject] == 0 {
            self.lost_since[subject] = None;
        }
        before
    }

    /// A process starts, knowing nobody.
    pub fn begins(&mut self, seat: Seat) {
        if !self.lives(seat) {
            self.living[seat.index()] = true;
            self.count += 1;
            self.whole_since = None;
        }
        self.incidents.iter_mut().filter(|incident| incident.seat == seat).for_each(|i| i.open = false);
    }

    /// Everybody who lives knows everybody.
    pub fn all_know_all(&mut self) {
        self.whole_since = Some(Moment::START);
        for observer in 0..self.seats {
            for subject in 0..self.seats {
                if observer != subject && self.living[observer] && self.living[subject] {
                    self.set(observer, subject, Mark::Alive);
                }
            }
        }
    }

    /// A process ends. If it is `missed`, the others are timed.
    pub fn ends(&mut self, now: Moment, seat: Seat, missed: bool) {
        if !self.lives(seat) {
            return;
        }
        self.living[seat.index()] = false;
        self.count -= 1;
        for subject in 0..self.seats {
            self.set(seat.index(), subject, Mark::Unknown);
        }
        if missed {
            self.incidents.push(Incident { seat, at: now, suspected: None, everywhere: None, open: true });
        }
        // The dead need not know of the dead.
        self.close_incidents(now);
        self.look_whether_whole(now);
    }

    fn look_whether_whole(&mut self, now: Moment) {
        if self.whole_since.is_none() && self.all_hold_all_alive() {
            self.whole_since = Some(now);
        }
    }

    /// A living node says how it holds another; `healthy` tells whether the other is well and within its reach.
    pub fn says(
        &mut self,
        now: Moment,
        observer: Seat,
        subject: Seat,
        health: Option<Health>,
        healthy: impl FnOnce() -> bool,
    ) -> Option<Noticed> {
        if subject.index() >= self.seats || !self.lives(observer) || observer == subject {
            return None;
        }
        let mark = match health {
            Some(Health::Alive) => Mark::Alive,
            Some(Health::Suspect) => Mark::Suspect,
            Some(Health::Restarting | Health::Down | Health::Left) | None => Mark::Lost,
        };
        let lost_before = self.lost_by[subject.index()];
        let before = self.set(observer.index(), subject.index(), mark);
        if mark == Mark::Lost {
            self.lost_since[subject.index()].get_or_insert(now);
        }
        if self.lives(subject) && mark != before {
            if mark != Mark::Alive {
                self.whole_since = None;
            } else if self.alive_by[subject.index()] + 1 >= self.count {
                self.look_whether_whole(now);
            }
        }
        if self.lives(subject) {
            let first = health == Some(Health::Down) && lost_before == 0 && healthy();
            self.false_downs += u64::from(first);
            return first.then_some(Noticed::DownThoughAlive);
        }
        let incident =
            self.incidents.iter_mut().rev().find(|incident| incident.seat == subject && incident.open)?;
        let first = incident.suspected.is_none() && matches!(health, Some(Health::Suspect | Health::Down));
        if first {
            incident.suspected = Some(now);
        }
        let closed = self.close_incidents(now);
        if closed { Some(Noticed::Everywhere) } else { first.then_some(Noticed::Suspected) }
    }

    fn close_incidents(&mut self, now: Moment) -> bool {
        let mut closed = false;
        for incident in self.incidents.iter_mut().filter(|incident| incident.open) {
            if self.lost_by[incident.seat.index()] >= self.count {
                incident.everywhere = Some(now);
                incident.open = false;
                closed = true;
            }
        }
        closed
    }

    /// True if every living node holds every other one for alive.
    pub fn all_hold_all_alive(&self) -> bool {
        self.first_doubt_subject().is_none()
    }

    fn first_doubt_subject(&self) -> Option<usize> {
        let everybody_else = self.count.saturating_sub(1);
        (0..self.seats).find(|&subject| self.living[subject] && self.alive_by[subject] < everybody_else)
    }

    /// The first pair that lives and of which one does not hold the other for alive: observer, subject, and as what.
    pub fn first_doubt(&self) -> Option<(Seat, Seat, &'static str)> {
        let subject = self.first_doubt_subject()?;
        let doubts = |observer: &usize| {
            *observer != subject && self.living[*observer] && self.get(*observer, subject) != Mark::Alive
        };
        let observer = (0..self.seats).find(doubts)?;
        let what = match self.get(observer, subject) {
            Mark::Unknown => "unknown",
            Mark::Alive => "alive",
            Mark::Suspect => "suspect",
            Mark::Lost => "lost",
        };
        Some((Seat(observer as u32), Seat(subject as u32), what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(count: u32) -> Census {
        let mut census = Census::new(count as usize);
        (0..count).for_each(|seat| census.begins(Seat(seat)));
        census.all_know_all();
        census
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_death_is_everywhere_once_the_last_living_node_has_noticed() {
        let mut census = census(4);
        assert!(census.all_hold_all_alive());
        census.ends(at(10), Seat(3), true);
        let mut says = |second, observer, health| {
            census.says(at(second), Seat(observer), Seat(3), Some(health), || true)
        };
        assert_eq!(says(12, 0, Health::Suspect), Some(Noticed::Suspected));
        assert_eq!(says(13, 1, Health::Suspect), None);
        assert_eq!(says(14, 0, Health::Down), None);
        assert_eq!(says(15, 1, Health::Down), None);
        assert_eq!(says(16, 2, Health::Down), Some(Noticed::Everywhere));
        let [incident] = census.incidents() else { panic!("not one") };
        assert_eq!((incident.suspected, incident.everywhere), (Some(at(12)), Some(at(16))));
        assert_eq!(census.false_downs, 0);
        assert!(census.all_hold_all_alive());
    }

    #[test]
    fn a_healthy_node_that_several_declare_down_is_one_mistake() {
        let mut census = census(4);
        for observer in [1, 2] {
            census.says(at(1), Seat(observer), Seat(0), Some(Health::Down), || true);
        }
        assert_eq!(census.false_downs, 1);
        assert_eq!(census.first_doubt(), Some((Seat(1), Seat(0), "lost")));
        assert_eq!((census.lost_since(Seat(0)), census.whole_since()), (Some(at(1)), None));
        for observer in [1, 2] {
            census.says(at(2), Seat(observer), Seat(0), Some(Health::Alive), || true);
        }
        assert!(census.all_hold_all_alive());
        assert_eq!((census.lost_since(Seat(0)), census.whole_since()), (None, Some(at(2))));
        census.says(at(3), Seat(2), Seat(0), Some(Health::Down), || false);
        assert_eq!(census.false_downs, 1);
        census.says(at(4), Seat(3), Seat(1), Some(Health::Down), || true);
        assert_eq!(census.false_downs, 2);
    }

    #[test]
    fn who_starts_anew_has_to_learn_everybody_again() {
        let mut census = census(3);
        census.ends(at(1), Seat(0), true);
        census.begins(Seat(0));
        assert_eq!(census.first_doubt(), Some((Seat(0), Seat(1), "unknown")));
    }
}
