//! The writer in the smallest slices: between any two of them the blocks fit together, and when a batch is made they hold
//! what was said.

use super::*;
use crate::zone::live::ledger;
use std::collections::{BTreeMap, BTreeSet};

const ORIGIN: &str = "z.";
const SOURCES: u32 = 4;
const NAMES: u32 = 3_000;
const PARENTS: u32 = 40;

/// Who is hidden, and how many records each says by the writer's count.
#[derive(Default)]
struct Crowd {
    hidden: [bool; SOURCES as usize + 1],
    counted: [usize; SOURCES as usize + 1],
}

impl Sources for Crowd {
    fn standing(&mut self, source: SourceNumber, _: u32) -> Standing {
        if self.hidden[source.0 as usize] { Standing::Unserved } else { Standing::FULL }
    }

    fn counted(&mut self, source: SourceNumber, _: RecordType, gone: usize, come: usize) {
        let counted = &mut self.counted[source.0 as usize];
        *counted = *counted + come - gone;
    }
}

/// Numbers as if by chance (an LCG, Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % end
    }
}

/// What lies in the blocks under one key.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    is_visible: bool,
    children: u32,
    /// Source, content, served.
    records: BTreeSet<(u32, u8, bool)>,
}

fn writer() -> LiveWriter {
    LiveWriter::new(&Name::parse(ORIGIN).unwrap(), HashSeed::new([9; 16]))
}

fn name(number: u32) -> Name {
    Name::parse(&format!("n{number}.p{}.{ORIGIN}", number % PARENTS)).unwrap()
}

fn key(name: &Name) -> Vec<u8> {
    name.as_wire()[..name.as_wire().len() - 3].to_vec()
}

fn put(writer: &mut LiveWriter, source: u32, number: u32, content: Option<u8>) {
    let rdatas = content.map(|content| Box::from([10, source as u8, 0, content]));
    writer.put(SourceNumber(source), &name(number), RecordType::A, 5, rdatas.into_iter().collect());
}

fn found(writer: &LiveWriter) -> BTreeMap<Vec<u8>, Found> {
    let mut all = BTreeMap::new();
    for lying in writer.directory().blocks().flat_map(|block| block.lying(3)) {
        let owner = [lying.node.key(), b"\x01z\0"].concat();
        let mut records = BTreeSet::new();
        let children = ledger::read(&lying.node, lying.ledger, &owner, |said, is_served| {
            records.insert((said.source.0, said.rdata[3], is_served));
        });
        let hash = writer.seed.name(&owner);
        let block = writer.directory().block(hash).unwrap();
        assert!(block.find(hash, lying.node.key(), 3).is_some(), "a node stands where nobody looks for it");
        let found = Found { is_visible: !lying.is_ghost, children, records };
        assert!(all.insert(lying.node.key().to_vec(), found).is_none(), "a node stands twice");
    }
    all
}

/// Parents exist because of what is below them.
fn check_parents(all: &BTreeMap<Vec<u8>, Found>) {
    let mut children: BTreeMap<&[u8], u32> = BTreeMap::new();
    for (key, found) in all {
        let parent = &key[1 + usize::from(key[0])..];
        if found.is_visible && !parent.is_empty() {
            assert!(
                all.get(parent).is_some_and(|parent| parent.is_visible),
                "{key:?} stands without its parent"
            );
            *children.entry(parent).or_default() += 1;
        }
    }
    for (key, found) in all {
        assert_eq!(found.children, children.get(&key[..]).copied().unwrap_or(0), "below {key:?}");
    }
}

#[test]
fn slices_of_any_size_leave_what_was_said() {
    let (mut writer, mut crowd, mut chance) = (writer(), Crowd::default(), Chance(1));
    let mut said: BTreeMap<(u32, u32), u8> = BTreeMap::new();
    let mut splits = 0;
    for round in 0..36u32 {
        // It grows, shrinks to almost nothing, and grows again: blocks are split and joined.
        let is_shrinking = round % 12 >= 8;
        let changes: Vec<(u32, u32, Option<u8>)> = match is_shrinking {
            true => {
                let all: Vec<(u32, u32)> = said.keys().copied().collect();
                all.into_iter()
                    .filter(|_| chance.below(4) > 0)
                    .map(|(number, source)| (number, source, None))
                    .collect()
            }
            false => (0..600)
                .map(|_| {
                    let content = (chance.below(8) > 0).then(|| chance.below(200) as u8);
                    (chance.below(NAMES), 1 + chance.below(SOURCES), content)
                })
                .collect(),
        };
        for (number, source, content) in changes {
            put(&mut writer, source, number, content);
            match content {
                Some(content) => said.insert((number, source), content),
                None => said.remove(&(number, source)),
            };
        }
        if round % 3 == 1 {
            let source = 1 + chance.below(SOURCES);
            crowd.hidden[source as usize] ^= true;
            writer.sweep(SourceNumber(source));
        }
        let mut slices = 0;
        loop {
            slices += 1;
            let progress = writer.step(&mut crowd, 1 + chance.below(8) as usize);
            if progress != Progress::Within && (slices % 64 == 0 || progress == Progress::Idle) {
                check_parents(&found(&writer));
            }
            if progress == Progress::Idle {
                break;
            }
        }
        let all = found(&writer);
        splits = splits.max(writer.directory().blocks().count());
        let mut names = 0;
        let mut served = 0;
        for number in 0..NAMES {
            let records: BTreeSet<(u32, u8, bool)> = said
                .range((number, 0)..(number + 1, 0))
                .map(|((_, source), content)| (*source, *content, !crowd.hidden[*source as usize]))
                .collect();
            let here = all.get(&key(&name(number)));
            assert_eq!(here.map(|found| &found.records), Some(&records).filter(|set| !set.is_empty()));
            let is_visible = records.iter().any(|(_, _, is_served)| *is_served);
            assert_eq!(here.is_some_and(|found| found.is_visible), is_visible, "name {number}");
            served += records.iter().filter(|(_, _, is_served)| *is_served).count();
            names += usize::from(here.is_some());
        }
        assert_eq!(writer.records(), served);
        let parents = all.values().filter(|found| found.children > 0).count();
        assert_eq!((all.len(), writer.sum.nodes), (names + parents, names + parents));
        for source in 1..=SOURCES {
            let count = said.keys().filter(|(_, by)| *by == source).count();
            assert_eq!(crowd.counted[source as usize], count, "records of source {source}");
        }
    }
    assert!(splits > 8, "at most {splits} blocks");
    assert_eq!(writer.refused(), 0);
}

#[test]
fn what_has_no_room_in_a_block_has_not_happened() {
    let (mut writer, mut crowd) = (writer(), Crowd::default());
    (0..5).for_each(|number| put(&mut writer, 1, number, Some(1)));
    while writer.step(&mut crowd, 64) != Progress::Idle {}
    let before = (found(&writer), writer.sum, crowd.counted);
    writer.patcher.builder.octets_max = 16;
    put(&mut writer, 2, 77, Some(7));
    put(&mut writer, 2, 3, Some(7));
    while writer.step(&mut crowd, 64) != Progress::Idle {}
    assert_eq!((found(&writer), writer.sum, crowd.counted), before);
    assert!(writer.refused() >= 2);
    writer.patcher.builder.octets_max = usize::MAX;
    put(&mut writer, 2, 77, Some(7));
    while writer.step(&mut crowd, 64) != Progress::Idle {}
    check_parents(&found(&writer));
    assert_eq!((writer.records(), crowd.counted[2]), (6, 1));
}
