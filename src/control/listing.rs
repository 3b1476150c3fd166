//! Listing records, page by page: the control thread hands over what there is, the clerk's looks through it.
//!
//! A page holds the records with the smallest keys behind a cursor: no more of them are ever in memory, however many
//! there are. A cursor is a key, not a count, so that what comes and goes between two pages moves nothing else.
//!
//! ```text
//! key | labels from the right: octets (0 as 0 1), 0 0 | 0 0 | type (2) | source (9) | RDATA's beginning, its hash |
//! ```

use crate::base::time::Moment;
use crate::catalog::lease::Source;
use crate::catalog::records::{RecordView, Records};
use crate::control::document::RecordsDocument;
use crate::control::records::{Called, row};
use crate::control::request::RECORDS_MAX;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::view::MARK;
use data_encoding::BASE64URL_NOPAD;
use std::cell::RefCell;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// Octets of RDATA that a key has: behind them records are told apart by a hash, in no order that means anything.
const RDATA_OCTETS: usize = 32;
/// Octets of a cursor: the longest name, each octet a zero, and what stands behind it.
const CURSOR_OCTETS_MAX: usize = 1_024;

/// Which records are asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Of this type.
    pub(super) rtype: Option<RecordType>,
    /// By the owner's id.
    pub(super) owner: Option<u64>,
    /// Only those behind.
    pub(super) after: Option<Cursor>,
}

/// The key of the last record of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor(Vec<u8>);

impl Cursor {
    /// As [`RecordsDocument::next`] has it.
    pub(super) fn parse(text: &str) -> Option<Cursor> {
        let key = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        (key.len() <= CURSOR_OCTETS_MAX).then_some(Cursor(key))
    }

    fn emit(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

/// A record with its key, by which alone it is compared.
#[derive(Debug)]
struct Found {
    key: Vec<u8>,
    record: RecordView,
}

impl PartialEq for Found {
    fn eq(&self, other: &Found) -> bool {
        self.key == other.key
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Found) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The records with the smallest keys: those of one page, and one more if there is one.
#[derive(Debug, Default)]
pub(super) struct Page {
    smallest: BinaryHeap<Found>,
    /// The key of the name at hand.
    name: Vec<u8>,
}

impl Page {
    /// Goes on to the name of these labels in front of the domain; false if none of its records can be in the page.
    fn turn_to(&mut self, labels: &[u8], wanted: &Wanted) -> bool {
        self.name.clear();
        name_key(labels, &mut self.name);
        let name = &self.name[..];
        let begins = |key: &[u8]| name.cmp(&key[..key.len().min(name.len())]);
        let is_before = wanted.after.as_ref().is_some_and(|after| begins(&after.0).is_lt());
        let is_behind =
            self.is_full() && self.smallest.peek().is_some_and(|largest| begins(&largest.key).is_gt());
        !is_before && !is_behind
    }

    /// Takes a record of the name at hand.
    fn take(&mut self, record: RecordView, wanted: &Wanted) {
        let owner = match record.source {
            Source::Cluster => None,
            Source::Owner(id) => Some(id.0),
        };
        // Marks are no records of the DNS.
        if record.rtype == MARK.viewed()
            || wanted.rtype.is_some_and(|rtype| rtype != record.rtype.told())
            || (wanted.owner.is_some() && wanted.owner != owner)
        {
            return;
        }
        let mut key = self.name.clone();
        key.extend(record.rtype.0.to_be_bytes());
        key.push(u8::from(owner.is_some()));
        key.extend(owner.unwrap_or(0).to_be_bytes());
        key.extend(&record.rdata[..record.rdata.len().min(RDATA_OCTETS)]);
        let mut hash = DefaultHasher::new();
        hash.write(&record.rdata);
        key.extend(hash.finish().to_be_bytes());
        if wanted.after.as_ref().is_some_and(|after| key <= after.0) {
            return;
        }
        if self.is_full() {
            match self.smallest.peek_mut() {
                Some(mut largest) if key < largest.key => *largest = Found { key, record },
                _ => {}
            }
        } else {
            self.smallest.push(Found { key, record });
        }
    }

    fn is_full(&self) -> bool {
        self.smallest.len() > RECORDS_MAX
    }

    /// The page as it is told.
    pub(super) fn document(self, called: &Called<'_>, lease: Duration, now: Moment) -> RecordsDocument {
        let has_more = self.is_full();
        let mut found = self.smallest.into_sorted_vec();
        found.truncate(RECORDS_MAX);
        let next = found.last().filter(|_| has_more).map(|last| Cursor(last.key.clone()).emit());
        let records = found.iter().map(|found| row(&found.record, called, lease, now)).collect();
        RecordsDocument { records, next }
    }
}

/// The page of all names.
pub(super) fn page(records: &Records, wanted: &Wanted) -> Page {
    let page = RefCell::new(Page::default());
    records.for_each_at(
        |labels| page.borrow_mut().turn_to(labels, wanted),
        |record| page.borrow_mut().take(record, wanted),
    );
    page.into_inner()
}

/// The page of one name: a look-up, however many others there are.
pub(super) fn page_of(records: &Records, name: &Name, wanted: &Wanted) -> Page {
    let mut page = Page::default();
    // Of one name no part of the key but its end tells records apart.
    if page.turn_to(&[], wanted) {
        records.of(name).into_iter().for_each(|record| page.take(record, wanted));
    }
    page
}

/// Labels in wire form as octets that stand in the order of RFC 4034 §6.1, and of which none begins another.
fn name_key(labels: &[u8], key: &mut Vec<u8>) {
    let mut starts = [0u8; crate::base::limits::LABELS_MAX + 1];
    let (mut count, mut at) = (0, 0);
    while let (Some(len), Some(start)) = (labels.get(at), starts.get_mut(count)) {
        // A name has at most 255 octets.
        *start = at as u8;
        count += 1;
        at += 1 + usize::from(*len);
    }
    for start in starts[..count].iter().rev().map(|start| usize::from(*start)) {
        let len = usize::from(labels[start]);
        for octet in labels.get(start + 1..start + 1 + len).unwrap_or_default() {
            match octet {
                0 => key.extend([0, 1]),
                octet => key.push(*octet),
            }
        }
        key.extend([0, 0]);
    }
    key.extend([0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::delta::Delta;
    use crate::catalog::lease::{Lease, OwnerId};
    use crate::catalog::services::Terms;
    use crate::catalog::state::State;
    use crate::control::records::Known;
    use crate::wire::key::HashSeed;

    const ORIGIN: &str = "hive.internal.";

    fn state() -> State {
        let mut state = State::new(HashSeed::new([7; 16]), 16);
        let origin = Name::parse(ORIGIN).unwrap();
        let (ttl, lease) = (Duration::from_secs(5), Duration::from_secs(60));
        let terms = Terms { primary: origin.clone(), origin, ttl, negative_ttl: ttl, lease };
        state.apply(Delta::OpenServices(Box::new(terms)));
        state.apply(Delta::Lease { owner: OwnerId(7), lease: Lease::Full });
        state
    }

    fn put(state: &mut State, source: Source, name: &str, rdatas: &[[u8; 4]]) {
        let rdatas = rdatas.iter().map(|rdata| Box::from(*rdata)).collect();
        let name = Name::parse(name).unwrap();
        state.apply(Delta::PutRecords { source, name, rtype: RecordType::A, ttl: 5, rdatas });
    }

    fn told(page: Page) -> RecordsDocument {
        let called = Called { nodes: &|_| None, networks: &Default::default(), known: &|_| Known::default() };
        page.document(&called, Duration::from_secs(60), Moment::START)
    }

    /// All pages.
    fn list(state: &mut State, mut between: impl FnMut(&mut State)) -> Vec<(String, String)> {
        let (mut all, mut wanted) = (Vec::new(), Wanted::default());
        loop {
            state.snapshot(Moment::START);
            let RecordsDocument { records, next } = told(page(&state.services().unwrap().records(), &wanted));
            all.extend(records.into_iter().map(|record| (record.name, record.rdata)));
            let Some(next) = next else { return all };
            wanted.after = Some(Cursor::parse(&next).unwrap());
            between(state);
        }
    }

    #[test]
    fn keys_of_names_stand_in_canonical_order_and_none_begins_another() {
        // RFC 4034 §6.1's own names, and what their escapes could confuse.
        let names = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
            "\\000.example.",
            "a\\000.example.",
            "a\\000\\000.example.",
            "a\\000\\001.example.",
            "a\\001.example.",
            "\\000\\000.a.example.",
        ];
        let names: Vec<Name> = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        let keys: Vec<Vec<u8>> = names
            .iter()
            .map(|name| {
                let mut key = Vec::new();
                name_key(name.as_wire().strip_suffix(b"\x07example\0").unwrap(), &mut key);
                key
            })
            .collect();
        for (a, left) in names.iter().zip(&keys) {
            for (b, right) in names.iter().zip(&keys) {
                assert_eq!(a.cmp(b), left.cmp(right), "{a} {b}");
                assert!(a == b || !left.starts_with(right), "{a} {b}");
            }
        }
    }

    #[test]
    fn pages_tell_every_record_once_in_order_whatever_comes_and_goes_between() {
        let mut state = state();
        let names = RECORDS_MAX * 2 + 500;
        for i in 0..names {
            put(&mut state, Source::Owner(OwnerId(7)), &format!("n{i:05}.{ORIGIN}"), &[[192, 0, 2, 1]]);
        }
        let mut turn = 0;
        let all = list(&mut state, |state| {
            // Before the cursor: it moves nothing. Behind it: it is told.
            put(state, Source::Cluster, &format!("a{turn}.{ORIGIN}"), &[[192, 0, 2, 2]]);
            put(state, Source::Cluster, &format!("z{turn}.{ORIGIN}"), &[[192, 0, 2, 3]]);
            put(state, Source::Owner(OwnerId(7)), &format!("n{turn:05}.{ORIGIN}"), &[]);
            turn += 1;
        });
        let listed: Vec<&str> =
            all.iter().map(|(name, _)| &name[..]).filter(|name| name.starts_with('n')).collect();
        let expected: Vec<String> = (0..names).map(|i| format!("n{i:05}.{ORIGIN}")).collect();
        assert_eq!(listed, expected);
        let late: Vec<&str> = all.iter().map(|(name, _)| &name[..]).skip(names + 1).collect();
        assert_eq!(late, ["z0.hive.internal.", "z1.hive.internal."]);
    }

    #[test]
    fn one_name_with_more_records_than_a_page_is_told_to_its_end() {
        let mut state = state();
        let count = RECORDS_MAX as u32 + 10;
        let rdatas: Vec<[u8; 4]> = (0..count).map(u32::to_be_bytes).collect();
        let name = Name::parse("many.hive.internal.").unwrap();
        put(&mut state, Source::Cluster, &name.to_string(), &rdatas);
        state.snapshot(Moment::START);
        let records = state.services().unwrap().records();
        let first = told(page_of(&records, &name, &Wanted::default()));
        let after = first.next.as_deref().and_then(Cursor::parse);
        assert!(after.is_some());
        let rest = told(page_of(&records, &name, &Wanted { after, ..Wanted::default() }));
        assert_eq!((first.records.len(), rest.records.len(), rest.next), (RECORDS_MAX, 10, None));
        assert!(first.records.last().unwrap().rdata != rest.records[0].rdata);
    }

    #[test]
    fn an_owner_s_count_is_that_of_the_records_that_are_listed() {
        let mut state = state();
        let owner = Source::Owner(OwnerId(7));
        let marks = |state: &mut State, name: &str, count: u8| {
            let rdatas = (0..count).map(|n| Box::from([n])).collect();
            let (name, rtype) = (Name::parse(name).unwrap(), MARK.viewed());
            state.apply(Delta::PutRecords { source: owner, name, rtype, ttl: 5, rdatas });
        };
        let check = |state: &mut State, expected: usize| {
            state.snapshot(Moment::START);
            let services = state.services().unwrap();
            let wanted = Wanted { owner: Some(7), ..Wanted::default() };
            let listed = told(page(&services.records(), &wanted)).records.len();
            let counted: usize = services.owners().iter().map(|owner| owner.told).sum();
            assert_eq!((listed, counted), (expected, expected));
        };
        put(&mut state, owner, "web.hive.internal.", &[[192, 0, 2, 1], [192, 0, 2, 2]]);
        marks(&mut state, "web.hive.internal.", 3);
        marks(&mut state, "api.hive.internal.", 1);
        check(&mut state, 2);
        marks(&mut state, "web.hive.internal.", 1);
        put(&mut state, owner, "web.hive.internal.", &[[192, 0, 2, 2]]);
        check(&mut state, 1);
        // A new life says nothing of what the old one said.
        state.apply(Delta::RenewOwner { owner: OwnerId(7) });
        marks(&mut state, "web.hive.internal.", 2);
        put(&mut state, owner, "api.hive.internal.", &[[192, 0, 2, 3]]);
        check(&mut state, 1);
    }

    #[test]
    fn a_page_of_many_records_holds_no_more_than_a_page_and_keeps_nobody_waiting() {
        let mut state = state();
        for i in 0..200_000u32 {
            put(&mut state, Source::Owner(OwnerId(7)), &format!("n{i}.{ORIGIN}"), &[i.to_be_bytes()]);
        }
        state.snapshot(Moment::START);
        let records = state.services().unwrap().records();
        let (mut most, mut read) = (0, 0);
        let filled = RefCell::new(Page::default());
        let wanted = Wanted::default();
        records.for_each_at(
            |labels| filled.borrow_mut().turn_to(labels, &wanted),
            |record| {
                filled.borrow_mut().take(record, &wanted);
                read += 1;
                most = most.max(filled.borrow().smallest.len());
            },
        );
        assert_eq!(most, RECORDS_MAX + 1);
        // Each record is read with the chance that it is among the smallest so far: 1001 times a harmonic sum.
        assert!(read < 20_000, "{read} records were read for one page");
        let names: Vec<String> =
            told(filled.into_inner()).records.into_iter().map(|record| record.name).collect();
        assert!(names.is_sorted() && names.len() == RECORDS_MAX);
    }

    #[test]
    fn a_cursor_is_its_text_and_other_texts_are_none() {
        let cursor = Cursor(vec![0, 1, 255]);
        assert_eq!(Cursor::parse(&cursor.emit()), Some(cursor));
        assert_eq!(Cursor::parse("no such place"), None);
        assert_eq!(Cursor::parse(&"A".repeat(4 * CURSOR_OCTETS_MAX)), None);
    }
}
