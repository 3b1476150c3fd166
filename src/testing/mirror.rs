//! What the replicas hold, as their events told it: the witness against which the machines' own word is held.
//!
//! A thousand nodes hold a thousand owners' records each, nearly all of them the same. So each content that occurs is
//! kept once, as a view, and a node has a small number per owner. Which view a change leads to is computed once and
//! remembered:
//!
//! ```text
//!   cells[node][owner] ─► view 7 {rec 0: change 12, rec 1: change 40}
//!                              └── "rec 1 is now change 51" ─► view 9 {rec 0: change 12, rec 1: change 51}
//! ```

use super::hash::{Mix, NumberMap};
use super::machine::{Change, Held};
use super::record::{Key, Ledger, Ordinal, Seen};
use super::seat::Seat;
use crate::gossip::identity::NodeId;
use std::collections::BTreeMap;

/// Cells of the table at most: 64 MB. In a larger world only the first nodes, and those that join, are mirrored.
pub const CELLS_MAX: usize = 8 << 20;
/// The view of a node that was told nothing.
const NOTHING: u32 = 0;

#[derive(Debug, Clone, Copy)]
struct Cell {
    view: u32,
    held: Held,
}

const EMPTY: Cell = Cell { view: NOTHING, held: Held::Full };

/// A record in a view: the change that made it so, and whether that deleted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    change: Ordinal,
    gone: bool,
}

#[derive(Debug, Default)]
struct View {
    lines: BTreeMap<Key, Line>,
    holders: u32,
    next: Vec<(u64, u32)>,
    /// True if the way to here brought back what was deleted, or something older than there was.
    backwards: Option<Key>,
}

/// A difference between a replica and what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whose replica.
    pub at: Seat,
    /// Of whose records.
    pub of: Option<Seat>,
    /// What differs.
    pub what: String,
}

/// The table.
#[derive(Debug)]
pub struct Mirror {
    /// Per seat, its row in `cells`.
    rows: Vec<Option<usize>>,
    cells: Vec<Vec<Cell>>,
    columns: NumberMap<u64, usize>,
    owners: Vec<NodeId>,
    views: NumberMap<u32, View>,
    last_view: u32,
    /// Per row, the cluster's records.
    cluster: Vec<BTreeMap<Key, Ordinal>>,
}

impl Mirror {
    /// For so many seats, of which the first `mirrored` have a row.
    pub fn new(seats: usize, mirrored: usize) -> Mirror {
        let rows = (0..seats).map(|seat| (seat < mirrored).then_some(seat)).collect();
        let views = [(NOTHING, View { holders: u32::MAX, ..View::default() })].into_iter().collect();
        Mirror {
            rows,
            cells: vec![Vec::new(); mirrored],
            columns: NumberMap::default(),
            owners: Vec::new(),
            views,
            last_view: NOTHING,
            cluster: vec![BTreeMap::new(); mirrored],
        }
    }

    /// Gives a seat a row if it has none, and empties it: a process that knows nothing starts there.
    pub fn begins(&mut self, seat: Seat) {
        match self.rows.get(seat.index()).copied().flatten() {
            Some(row) => {
                for column in 0..self.cells[row].len() {
                    self.set(row, column, EMPTY);
                }
                self.cluster[row].clear();
            }
            None => {
                if let Some(row) = self.rows.get_mut(seat.index()) {
                    *row = Some(self.cells.len());
                    self.cells.push(Vec::new());
                    self.cluster.push(BTreeMap::new());
                }
            }
        }
    }

    /// True if the seat has a row.
    pub fn mirrors(&self, seat: Seat) -> bool {
        self.row(seat).is_some()
    }

    fn row(&self, seat: Seat) -> Option<usize> {
        self.rows.get(seat.index()).copied().flatten()
    }

    fn column(&mut self, owner: NodeId) -> usize {
        let next = self.owners.len();
        let column = *self.columns.entry(owner.0).or_insert(next);
        if column == next {
            self.owners.push(owner);
        }
        column
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        self.cells[row].get(column).copied().unwrap_or(EMPTY)
    }

    fn set(&mut self, row: usize, column: usize, cell: Cell) {
        let cells = &mut self.cells[row];
        if cells.len() <= column {
            cells.resize(column + 1, EMPTY);
        }
        let before = std::mem::replace(&mut cells[column], cell).view;
        if let Some(view) = self.views.get_mut(&cell.view) {
            view.holders = view.holders.saturating_add(1);
        }
        if before != NOTHING
            && let Some(view) = self.views.get_mut(&before)
        {
            view.holders -= 1;
            if view.holders == 0 {
                self.views.remove(&before);
            }
        }
    }

    /// Every mirrored node knows all records of these owners.
    pub fn all_know(&mut self, owners: &[(NodeId, Seat)], ledger: &Ledger) {
        for &(owner, seat) in owners {
            let lines =
                ledger.records(seat).map(|(key, change)| (key, Line { change, gone: false })).collect();
            let view = self.keep(View { lines, ..View::default() });
            let column = self.column(owner);
            for row in 0..self.cells.len() {
                self.set(row, column, Cell { view, held: Held::Full });
            }
        }
    }

    fn keep(&mut self, view: View) -> u32 {
        self.last_view += 1;
        self.views.insert(self.last_view, view);
        self.last_view
    }

    /// A node told of an owner's records. The key of a record that went back in time, if one did.
    pub fn records(
        &mut self,
        seat: Seat,
        owner: NodeId,
        replace: bool,
        changes: &[Seen],
        ledger: &Ledger,
    ) -> Option<Key> {
        let row = self.row(seat)?;
        let column = self.column(owner);
        let cell = self.cell(row, column);
        let step = step_hash(replace, changes);
        let known =
            self.views.get(&cell.view)?.next.iter().find(|(hash, _)| *hash == step).map(|(_, view)| *view);
        let view = match known.filter(|view| self.views.contains_key(view)) {
            Some(view) => view,
            None => {
                let view = self.views[&cell.view].changed(replace, changes, ledger);
                let view = self.keep(view);
                let next = &mut self.views.get_mut(&cell.view)?.next;
                next.retain(|(hash, _)| *hash != step);
                next.push((step, view));
                view
            }
        };
        self.set(row, column, Cell { view, ..cell });
        self.views.get(&view)?.backwards
    }

    /// A node told how it serves an owner's records.
    pub fn lease(&mut self, seat: Seat, owner: NodeId, held: Held) {
        let Some(row) = self.row(seat) else { return };
        let column = self.column(owner);
        let cell = self.cell(row, column);
        self.set(row, column, Cell { held, ..cell });
    }

    /// A node has forgotten an owner.
    pub fn forgotten(&mut self, seat: Seat, owner: NodeId) {
        if let Some(row) = self.row(seat) {
            let column = self.column(owner);
            self.set(row, column, EMPTY);
        }
    }

    /// A node told of a record of the cluster.
    pub fn cluster(&mut self, seat: Seat, change: &Change) {
        let Some(row) = self.row(seat) else { return };
        let Some(key) = Key::read(&change.key) else { return };
        match change.value.as_deref().and_then(Ordinal::read) {
            Some(ordinal) => self.cluster[row].insert(key, ordinal),
            None => self.cluster[row].remove(&key),
        };
    }

    /// True if the node holds at least the records that were true when `known` was taken, or newer ones.
    pub fn covers(&self, seat: Seat, owner: NodeId, known: &[(Key, Ordinal)], ledger: &Ledger) -> bool {
        let Some(row) = self.row(seat) else { return true };
        let Some(&column) = self.columns.get(&owner.0) else { return known.is_empty() };
        let Some(view) = self.views.get(&self.cell(row, column).view) else { return known.is_empty() };
        known.iter().all(|(key, change)| match view.lines.get(key) {
            Some(line) => line.change >= *change,
            None => ledger.deletion_after(*key, *change).is_some(),
        })
    }

    /// The first difference between the mirrored nodes that live and what is true. `owners` are the nodes that live
    /// with their ids; `dead` are ids nobody has any more whose leases must be over.
    pub fn difference(
        &self,
        owners: &[(NodeId, Seat)],
        dead: &[NodeId],
        ledger: &Ledger,
    ) -> Option<Difference> {
        for &(owner, of) in owners {
            let truth: BTreeMap<Key, Ordinal> = ledger.records(of).collect();
            let mut checked = None;
            for &(_, at) in owners.iter().filter(|(_, at)| *at != of) {
                let Some(row) = self.row(at) else { continue };
                let cell = self.columns.get(&owner.0).map_or(EMPTY, |&column| self.cell(row, column));
                let differs = |what: String| Some(Difference { at, of: Some(of), what });
                if cell.held != Held::Full {
                    return differs(format!("its records are {:?} though it lives", cell.held));
                }
                if checked != Some(cell.view) {
                    if let Some(what) = self.views.get(&cell.view).and_then(|view| view.differs(&truth)) {
                        return differs(what);
                    }
                    checked = Some(cell.view);
                }
            }
        }
        for owner in dead {
            let Some(&column) = self.columns.get(&owner.0) else { continue };
            for &(_, at) in owners {
                let Some(row) = self.row(at) else { continue };
                let cell = self.cell(row, column);
                let served =
                    self.views.get(&cell.view).is_some_and(|view| view.lines.values().any(|line| !line.gone));
                if served && matches!(cell.held, Held::Full | Held::Counting) {
                    let what = format!("records of {owner}, long gone, are still {:?}", cell.held);
                    return Some(Difference { at, of: None, what });
                }
            }
        }
        None
    }

    /// The first mirrored node whose records of the cluster are not those of the first one, or not `truth`.
    pub fn cluster_difference(
        &self,
        living: &[Seat],
        truth: Option<&BTreeMap<Key, Ordinal>>,
    ) -> Option<Difference> {
        let mut rows = living.iter().filter_map(|seat| Some((*seat, &self.cluster[self.row(*seat)?])));
        let (first, first_records) = rows.next()?;
        let expected = truth.unwrap_or(first_records);
        std::iter::once((first, first_records)).chain(rows).find(|(_, records)| *records != expected).map(
            |(at, records)| {
                let keys = records.keys().chain(expected.keys());
                let key = keys.filter(|key| records.get(key) != expected.get(key)).min();
                let what = format!(
                    "record {key:?} of the cluster is {:?} instead of {:?}",
                    key.and_then(|key| records.get(key)),
                    key.and_then(|key| expected.get(key))
                );
                Difference { at, of: None, what }
            },
        )
    }
}

impl View {
    fn changed(&self, replace: bool, changes: &[Seen], ledger: &Ledger) -> View {
        // A deletion does not say which one it is: the first after what was there.
        let deleted = |key: Key, before: Option<&Line>| {
            let last = before.map_or(Ordinal(0), |line| line.change);
            Line { change: ledger.deletion_after(key, last).unwrap_or(last), gone: true }
        };
        let mut lines = self.lines.clone();
        if replace {
            // What a whole log does not say is gone; that is remembered, so that it is seen if it returns.
            for (key, line) in lines.iter_mut().filter(|(_, line)| !line.gone) {
                *line = deleted(*key, Some(&*line));
            }
        }
        let mut backwards = None;
        for &Seen { key, change } in changes {
            let before = self.lines.get(&key);
            let line = match change {
                Some(change) => Line { change, gone: false },
                None => deleted(key, before),
            };
            if before.is_some_and(|before| line.change < before.change) {
                backwards = Some(key);
            }
            lines.insert(key, line);
        }
        View { lines, backwards, ..View::default() }
    }

    fn differs(&self, truth: &BTreeMap<Key, Ordinal>) -> Option<String> {
        let have = |key: &Key| self.lines.get(key).filter(|line| !line.gone).map(|line| line.change);
        let keys = self.lines.keys().chain(truth.keys());
        let key = keys.filter(|key| have(key) != truth.get(key).copied()).min()?;
        Some(match (have(key), truth.get(key)) {
            (Some(have), Some(true_)) => {
                format!("record {} is as change {} made it, not as change {}", key.0, have.0, true_.0)
            }
            (None, Some(true_)) => format!("record {} of change {} is missing", key.0, true_.0),
            (Some(have), None) => format!("record {} of change {} was removed and is there", key.0, have.0),
            (None, None) => return None,
        })
    }
}

fn step_hash(replace: bool, changes: &[Seen]) -> u64 {
    let mut mix = Mix::default();
    mix.add(u64::from(replace));
    for Seen { key, change } in changes {
        // Changes are counted from 1 on.
        mix.add(u64::from(key.0) << 32 | change.map_or(0, |change| u64::from(change.0)));
    }
    mix.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(100);
    const B: NodeId = NodeId(200);

    fn put(key: Key, change: Ordinal) -> Seen {
        Seen { key, change: Some(change) }
    }

    fn gone(key: Key) -> Seen {
        Seen { key, change: None }
    }

    fn world() -> (Mirror, Ledger, Key, Ordinal) {
        let mut ledger = Ledger::default();
        let key = Key::of(Seat(0), 0);
        let change = ledger.put(Seat(0), key);
        let mut mirror = Mirror::new(3, 3);
        mirror.all_know(&[(A, Seat(0)), (B, Seat(1))], &ledger);
        (mirror, ledger, key, change)
    }

    #[test]
    fn a_replica_that_missed_a_change_differs() {
        let (mut mirror, mut ledger, key, _) = world();
        let owners = [(A, Seat(0)), (B, Seat(1)), (NodeId(300), Seat(2))];
        assert_eq!(mirror.difference(&owners, &[], &ledger), None);
        let second = ledger.put(Seat(0), key);
        mirror.records(Seat(1), A, false, &[put(key, second)], &ledger);
        let difference = mirror.difference(&owners, &[], &ledger).unwrap();
        assert_eq!((difference.at, difference.of), (Seat(2), Some(Seat(0))));
        assert_eq!(difference.what, "record 0 is as change 1 made it, not as change 2");
        mirror.records(Seat(2), A, false, &[put(key, second)], &ledger);
        assert_eq!(mirror.difference(&owners, &[], &ledger), None);
        // Both hold one view; that of before is left with the owner, who is not told of its own records.
        assert_eq!(mirror.views.len(), 4);
    }

    #[test]
    fn what_was_deleted_and_comes_back_goes_backwards() {
        let (mut mirror, mut ledger, key, first) = world();
        ledger.remove(Seat(0), key);
        assert_eq!(mirror.records(Seat(1), A, false, &[gone(key)], &ledger), None);
        assert_eq!(mirror.records(Seat(1), A, false, &[put(key, first)], &ledger), Some(key));
        let what = mirror.difference(&[(A, Seat(0)), (B, Seat(1))], &[], &ledger).unwrap().what;
        assert_eq!(what, "record 0 of change 1 was removed and is there");
    }

    #[test]
    fn what_a_whole_log_left_out_and_comes_back_goes_backwards() {
        let (mut mirror, mut ledger, key, first) = world();
        let other = Key::of(Seat(0), 1);
        let second = ledger.put(Seat(0), other);
        ledger.remove(Seat(0), key);
        assert_eq!(mirror.records(Seat(1), A, true, &[put(other, second)], &ledger), None);
        assert_eq!(mirror.records(Seat(1), A, false, &[put(key, first)], &ledger), Some(key));
        // What its owner says anew is no return.
        let again = ledger.put(Seat(0), key);
        assert_eq!(mirror.records(Seat(1), A, true, &[put(key, again)], &ledger), None);
    }

    #[test]
    fn the_records_of_the_dead_must_be_hidden_or_forgotten() {
        let (mut mirror, ledger, ..) = world();
        let owners = [(B, Seat(1))];
        assert!(mirror.difference(&owners, &[A], &ledger).is_some());
        mirror.lease(Seat(1), A, Held::Hidden);
        assert_eq!(mirror.difference(&owners, &[A], &ledger), None);
        mirror.lease(Seat(1), A, Held::Full);
        mirror.forgotten(Seat(1), A);
        assert_eq!(mirror.difference(&owners, &[A], &ledger), None);
    }

    #[test]
    fn a_living_owner_s_records_must_be_served_in_full() {
        let (mut mirror, ledger, ..) = world();
        mirror.lease(Seat(1), A, Held::Hidden);
        let difference = mirror.difference(&[(A, Seat(0)), (B, Seat(1))], &[], &ledger).unwrap();
        assert_eq!(difference.what, "its records are Hidden though it lives");
    }

    #[test]
    fn a_newcomer_has_everything_when_it_covers_what_was_true() {
        let (mut mirror, mut ledger, key, first) = world();
        mirror.begins(Seat(2));
        let known = [(key, first)];
        assert!(!mirror.covers(Seat(2), A, &known, &ledger));
        let newer = ledger.put(Seat(0), key);
        mirror.records(Seat(2), A, true, &[put(key, newer)], &ledger);
        assert!(mirror.covers(Seat(2), A, &known, &ledger));
    }

    #[test]
    fn replicas_of_the_cluster_are_compared_with_each_other_and_with_the_truth() {
        let (mut mirror, mut ledger, ..) = world();
        let key = Key(5);
        let change = ledger.cluster_put(key);
        let living = [Seat(0), Seat(1)];
        assert!(mirror.cluster_difference(&living, Some(ledger.cluster())).is_some());
        assert_eq!(mirror.cluster_difference(&living, None), None);
        let told = Change { key: key.cluster_octets(), value: Some(change.value()) };
        mirror.cluster(Seat(0), &told);
        assert_eq!(mirror.cluster_difference(&living, None).unwrap().at, Seat(1));
        mirror.cluster(Seat(1), &told);
        assert_eq!(mirror.cluster_difference(&living, Some(ledger.cluster())), None);
    }
}
