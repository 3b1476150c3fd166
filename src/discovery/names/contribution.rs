//! What one unit gives to one name, and what all of them together come to.

use crate::catalog::lease::OwnerId;
use crate::discovery::names::Row;
use crate::wire::rtype::RecordType;
use crate::zone::view::{Tag, number, owner_number};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A record before it is known where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// Who says it.
    pub(super) owner: OwnerId,
    /// Of which type.
    pub(super) rtype: RecordType,
    /// See [`Tag::item`].
    pub(super) item: u64,
    /// See [`Tag::network`].
    pub(super) network: u32,
    pub(super) rdata: Box<[u8]>,
}

/// For whom the records of a contribution are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// Those who see this stack, or no other before it. With [flags](crate::zone::view::flags).
    Viewed { stack: Arc<str>, flags: u8 },
    /// Instead of all else in its row, an alias: told if nothing but aliases is there.
    Alias { stack: Arc<str> },
    /// Everybody.
    Plain,
}

/// What one unit gives to one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contribution {
    pub(super) row: Row,
    pub(super) form: Form,
    /// In seconds.
    pub(super) ttl: u32,
    pub(super) records: Arc<[Record]>,
}

/// What one owner says of one name and type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) ttl: u32,
    pub(super) rdatas: BTreeSet<Box<[u8]>>,
}

impl Said {
    /// Equal for what is the same; kept instead of it.
    pub(super) fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.ttl, &self.rdatas).hash(&mut hasher);
        hasher.finish()
    }
}

/// What comes of all contributions to a name: those of the earliest row count.
pub(super) fn unite<'c>(
    contributions: impl Iterator<Item = &'c Contribution> + Clone,
) -> BTreeMap<(OwnerId, RecordType), Said> {
    let Some(row) = contributions.clone().map(|one| one.row).min() else { return BTreeMap::new() };
    let of_row = contributions.filter(|one| one.row == row);
    let is_alias = |one: &Contribution| matches!(one.form, Form::Alias { .. });
    let mut said = BTreeMap::new();
    if of_row.clone().all(is_alias) {
        // Of several the first by stack, then by where it leads.
        if let Some(first) = of_row.min_by(|a, b| (&a.form, &a.records).cmp(&(&b.form, &b.records))) {
            first.records.iter().for_each(|record| say(&mut said, record, first.ttl, record.rdata.clone()));
        }
        return said;
    }
    let mut stacks: Vec<&Arc<str>> = of_row
        .clone()
        .filter_map(|one| match &one.form {
            Form::Viewed { stack, .. } => Some(stack),
            Form::Alias { .. } | Form::Plain => None,
        })
        .collect();
    stacks.sort_unstable();
    stacks.dedup();
    for one in of_row {
        match &one.form {
            Form::Alias { .. } => {}
            Form::Plain => {
                one.records.iter().for_each(|record| say(&mut said, record, one.ttl, record.rdata.clone()));
            }
            Form::Viewed { stack, flags } => {
                let group = stacks.partition_point(|other| *other < stack);
                let mut tag = Tag {
                    // No name has so many stacks that the last of them matters.
                    group: u16::try_from(group).unwrap_or(u16::MAX),
                    stack: number(stack.as_bytes()),
                    item: 0,
                    network: 0,
                    owner: 0,
                    flags: *flags,
                };
                for record in one.records.iter() {
                    tag.item = record.item & ITEM;
                    (tag.network, tag.owner) = (record.network, owner_number(record.owner.0));
                    let viewed = Record { rtype: record.rtype.viewed(), ..record.clone() };
                    say(&mut said, &viewed, one.ttl, tag.seal(&record.rdata));
                }
            }
        }
    }
    said
}

/// The bits of an item that a tag keeps.
const ITEM: u64 = (1 << 48) - 1;

fn say(said: &mut BTreeMap<(OwnerId, RecordType), Said>, record: &Record, ttl: u32, rdata: Box<[u8]>) {
    let set = said
        .entry((record.owner, record.rtype))
        .or_insert_with(|| Said { ttl: u32::MAX, rdatas: BTreeSet::new() });
    set.ttl = set.ttl.min(ttl);
    set.rdatas.insert(rdata);
}
