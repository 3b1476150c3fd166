//! Catalog zones (RFC 9432): zones that list zones. Read from a zone that came, written for zones of our own.
//!
//! ```text
//! version TXT "2"
//! UNIQUE.zones PTR member.example.
//! coo.UNIQUE.zones PTR other-catalog.example.     the member goes to that catalog, once it is listed there
//! group.UNIQUE.zones TXT "..."                    what a consumer may configure by; read, and means nothing here
//! ```

use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::plain::{self, Unsealer};
use crate::zone::sink::Record;
use crate::zone::store::Node;
use crate::zone::view::number64;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Members that are taken of one catalog: each is a zone of its own, with a policy, a timer and a place on disk.
pub const MEMBERS_MAX: usize = 65_536;
/// The one schema that there is (RFC 9432 §4.2.1).
const VERSION: &[u8] = b"\x012";
const VERSION_LABEL: &[u8] = b"\x07version";
const ZONES_LABEL: &[u8] = b"\x05zones";
const COO_LABEL: &[u8] = b"\x03coo";
const GROUP_LABEL: &[u8] = b"\x05group";
/// TTL of records nobody looks up (RFC 9432 §4.1).
const TTL: u32 = 0;
/// The SOA's timers, in seconds: refresh, retry, expire, negative TTL; those of RFC 9432's own example but expire, which is
/// RFC 1912's two weeks.
const SOA_TIMERS: [u32; 4] = [3_600, 600, 1_209_600, 3_600];

/// What a catalog says of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// The label under which it stands: another one for the same zone means that all that is kept of it goes.
    pub unique: Box<[u8]>,
    /// The catalog that may take it over.
    pub owner_to_be: Option<Name>,
    /// How it is to be configured.
    pub groups: Vec<Box<[u8]>>,
}

/// The members by their apexes, in lower case.
pub type Members = BTreeMap<Name, Member>;

/// Why a zone is no catalog: it is not obeyed, and what was said by the version before it holds on (RFC 9432 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// There is not one TXT "2" at `version`.
    Version,
    /// This label has more than one PTR.
    SeveralNames(String),
    /// This zone stands under two labels.
    Twice(Box<Name>),
    /// There are more than [`MEMBERS_MAX`].
    TooMany,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Version => f.write_str("expected exactly one TXT \"2\" at `version`"),
            Broken::SeveralNames(unique) => write!(f, "{unique}.zones has more than one PTR"),
            Broken::Twice(member) => write!(f, "{member} is listed twice"),
            Broken::TooMany => write!(f, "it lists more than {MEMBERS_MAX} zones"),
        }
    }
}

impl std::error::Error for Broken {}

/// Reads the members of a catalog.
pub fn read(zone: &Zone) -> Result<Members, Broken> {
    let mut unsealer = Unsealer::default();
    let mut rdatas = |node: &Node<'_>, rtype: RecordType| {
        let mut all: Vec<Box<[u8]>> = Vec::new();
        if let Some(set) = node.rrset(rtype) {
            unsealer.each(zone, node, &set, |record| all.push(record.rdata.into()));
        }
        all
    };
    let version = zone.find(zone.hash_of(VERSION_LABEL), VERSION_LABEL);
    if version.map(|node| rdatas(&node, RecordType::TXT)).unwrap_or_default() != [Box::from(VERSION)] {
        return Err(Broken::Version);
    }
    let mut names = Vec::new();
    let mut owners: BTreeMap<Box<[u8]>, Option<Name>> = BTreeMap::new();
    let mut groups: BTreeMap<Box<[u8]>, Vec<Box<[u8]>>> = BTreeMap::new();
    for node in zone.nodes() {
        let Some(labels) = node.key().strip_suffix(ZONES_LABEL).and_then(labels_of) else { continue };
        match labels[..] {
            [unique] => {
                let mut pointers = rdatas(&node, RecordType::PTR);
                match (pointers.pop(), pointers.is_empty()) {
                    (Some(name), true) => names.push((Box::from(unique), name)),
                    (Some(_), false) => return Err(Broken::SeveralNames(shown(unique))),
                    (None, _) => {}
                }
            }
            // RFC 9432 §4.3.1: several say nothing.
            [COO_LABEL, unique] => {
                if let [owner] = &rdatas(&node, RecordType::PTR)[..] {
                    owners.insert(Box::from(unique), Name::from_wire(owner).ok());
                }
            }
            [GROUP_LABEL, unique] => drop(groups.insert(Box::from(unique), rdatas(&node, RecordType::TXT))),
            // Properties that are not known mean nothing (RFC 9432 §4.3).
            _ => {}
        }
    }
    if names.len() > MEMBERS_MAX {
        return Err(Broken::TooMany);
    }
    let mut members = Members::new();
    for (unique, name) in names {
        let Ok(name) = Name::from_wire(&name) else { continue };
        let member = Member {
            owner_to_be: owners.remove(&unique).flatten(),
            groups: groups.remove(&unique).unwrap_or_default(),
            unique,
        };
        if members.insert(name.to_lowercase(), member).is_some() {
            return Err(Broken::Twice(Box::new(name)));
        }
    }
    Ok(members)
}

/// The labels of a run, each with its length in front.
fn labels_of(mut run: &[u8]) -> Option<Vec<&[u8]>> {
    let mut labels = Vec::new();
    while let Some(&len) = run.first() {
        let (label, rest) = run.split_at_checked(1 + usize::from(len))?;
        labels.push(label);
        run = rest;
    }
    Some(labels)
}

fn shown(label: &[u8]) -> String {
    String::from_utf8_lossy(label.get(1..).unwrap_or_default()).into_owned()
}

/// A catalog of these zones as plain records, the SOA first.
pub fn write(origin: &Name, serial: u32, members: &BTreeSet<Name>) -> Vec<u8> {
    let mut out = Vec::new();
    let origin = origin.to_lowercase();
    let mut put = |labels: &[&[u8]], rtype: RecordType, rdata: &[u8]| {
        let owner = [&labels.concat(), origin.as_wire()].concat();
        plain::write(&mut out, &Record { owner: &owner, rtype, ttl: TTL, rdata });
    };
    // RFC 9432 §4.1: no name server is needed, but an NS record is.
    let invalid = b"\x07invalid\0";
    let mut soa = [&invalid[..], invalid].concat();
    for number in [serial].into_iter().chain(SOA_TIMERS) {
        soa.extend_from_slice(&number.to_be_bytes());
    }
    put(&[], RecordType::SOA, &soa);
    put(&[], RecordType::NS, invalid);
    put(&[VERSION_LABEL], RecordType::TXT, VERSION);
    for member in members {
        let unique = unique(member);
        put(&[&unique, ZONES_LABEL], RecordType::PTR, member.as_wire());
    }
    out
}

/// The label of a member: the same as long as it is one.
fn unique(member: &Name) -> Vec<u8> {
    let name = member.to_lowercase();
    // Two hashes, so that no two of a million zones share a label.
    let (one, other) = (number64(name.as_wire()), number64(&[name.as_wire(), b"catalog"].concat()));
    let text = format!("{one:016x}{other:016x}");
    [&[text.len() as u8], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::key::HashSeed;
    use crate::zone::draft::ZoneDraft;
    use crate::zone::master::{self, Disk, Options};
    use crate::zone::seal::seal;
    use std::path::Path;
    use std::sync::Arc;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn zone(records: &str) -> Zone {
        let text = format!("$TTL 0\n@ SOA invalid. invalid. 1 2 3 4 5\n@ NS invalid.\n{records}");
        let origin = name("cat.example.");
        let mut draft = ZoneDraft::new(&origin, HashSeed::new([7; 16]));
        let mut faults = crate::zone::fault::Faults::default();
        let file: Arc<Path> = Arc::from(Path::new("cat"));
        let options = Options { origin: &origin, ttl: None };
        let input = Box::new(std::io::Cursor::new(text.into_bytes()));
        master::read(input, file, options, &Disk, &mut draft, &mut faults);
        assert_eq!(faults.errors(), 0);
        seal(draft).0.unwrap()
    }

    const MEMBERS: &str = "version TXT \"2\"\nA.zones PTR One.example.\nb.zones PTR two.example.\n";

    #[test]
    fn members_are_read_with_their_properties() {
        let more = "coo.b.zones PTR cat2.example.\ngroup.b.zones TXT x\ngroup.b.zones TXT y\nzone.ext TXT z\n\
                    other.b.zones TXT q\ncoo.a.zones PTR c1.\ncoo.a.zones PTR c2.\nzones TXT w\n";
        let members = read(&zone(&format!("{MEMBERS}{more}"))).unwrap();
        let names: Vec<String> = members.keys().map(Name::to_string).collect();
        assert_eq!(names, ["one.example.", "two.example."]);
        let (one, two) = (&members[&name("one.example.")], &members[&name("two.example.")]);
        assert_eq!((&*one.unique, &one.owner_to_be, one.groups.len()), (&b"\x01a"[..], &None, 0));
        assert_eq!((&two.owner_to_be, two.groups.len()), (&Some(name("cat2.example.")), 2));
        assert_eq!(read(&zone("version TXT \"2\"\n")), Ok(Members::new()));
    }

    #[test]
    fn a_broken_catalog_says_nothing() {
        for (records, why) in [
            ("a.zones PTR one.example.\n", Broken::Version),
            ("version TXT \"1\"\n", Broken::Version),
            ("version TXT \"2\"\nversion TXT \"3\"\n", Broken::Version),
            ("version TXT \"2\"\na.zones PTR a.\na.zones PTR b.\n", Broken::SeveralNames("a".into())),
            ("version TXT \"2\"\na.zones PTR a.\nb.zones PTR A.\n", Broken::Twice(Box::new(name("a.")))),
        ] {
            assert_eq!(read(&zone(records)), Err(why), "{records}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let members: BTreeSet<Name> = ["one.example.", "two.example.", "three."].map(name).into();
        let run = write(&name("cat.example."), 7, &members);
        let mut draft = ZoneDraft::new(&name("cat.example."), HashSeed::new([7; 16]));
        let place = crate::zone::fault::place_in("cat", 1, 1);
        for record in plain::records(&run) {
            crate::zone::sink::RecordSink::record(&mut draft, record, &place);
        }
        let zone = seal(draft).0.unwrap();
        assert_eq!(zone.serial().0, 7);
        let read = read(&zone).unwrap();
        assert_eq!(read.into_keys().collect::<BTreeSet<_>>(), members);
    }
}
