//! Files of root hints and of trust anchors, `resolve.root_hints` and `resolve.trust_anchor`: read as master files,
//! each fault told with its place. Read at the start and on a reload, never while a packet waits.

use crate::base::config::Resolve;
use crate::base::limits::{ROOT_SERVER_ADDRESSES_MAX, ROOT_SERVERS_MAX, TRUST_ANCHORS_MAX};
use crate::resolve::hints::{self, RootServer};
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use crate::zone::fault::{Faults, Place, place_in};
use crate::zone::master::{self, Options};
use crate::zone::sink::{self, RecordSink};
use std::path::Path;

/// The TTL of records that state none: IANA's file states this one. Nothing depends on it.
const TTL: u32 = 3_600_000;
/// Records kept of a file, those that are of use and some that are not: more is another kind of file.
const RECORDS_MAX: usize = 2 * ROOT_SERVERS_MAX * (1 + ROOT_SERVER_ADDRESSES_MAX);

const _: () = assert!(RECORDS_MAX > TRUST_ANCHORS_MAX);

/// Where a walk from the root begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The root's name servers; never empty.
    pub servers: Vec<RootServer>,
    /// DS and DNSKEY records that are trusted; none: nothing can be validated.
    pub anchors: Vec<Record>,
}

/// Reads what the configuration names, or takes what IANA publishes; with root hints of one's own and no anchor there
/// is none. `None` if a fault is an error; the faults are told in any case.
pub fn roots(resolve: &Resolve) -> (Option<Roots>, Faults) {
    let mut faults = Faults::default();
    let servers = match &resolve.root_hints[..] {
        "" => hints::root_servers(),
        path => servers(Path::new(path), &mut faults),
    };
    let anchors = match (&resolve.trust_anchor[..], &resolve.root_hints[..]) {
        ("", "") => hints::root_anchors(),
        ("", _) => Vec::new(),
        (path, _) => anchors(Path::new(path), &mut faults),
    };
    // The reader's own and what follows from the whole file, in the order of lines.
    faults.absorb(Faults::default());
    let roots = (faults.errors() == 0).then_some(Roots { servers, anchors });
    (roots, faults)
}

/// The root's name servers that a file names: NS of the root, A and AAAA of their hosts.
fn servers(path: &Path, faults: &mut Faults) -> Vec<RootServer> {
    let records = records(path, faults);
    let hosts: Vec<Name> = records
        .iter()
        .filter(|(record, _)| record.rtype == RecordType::NS && record.name.is_root())
        .filter_map(|(record, _)| Name::from_wire(&record.rdata).ok())
        .collect();
    for (Record { name, rtype, .. }, place) in &records {
        match *rtype {
            RecordType::NS if name.is_root() => {}
            RecordType::NS => {
                faults.error(
                    place.clone(),
                    format!("expected name servers of the root, found those of {name}"),
                );
            }
            RecordType::A | RecordType::AAAA if hosts.contains(name) => {}
            RecordType::A | RecordType::AAAA => {
                faults
                    .warning(place.clone(), format!("{name} is no name server of the root, and is ignored"));
            }
            _ => {
                faults.warning(place.clone(), format!("a record of type {rtype} is no hint, and is ignored"))
            }
        }
    }
    let (records, places): (Vec<Record>, Vec<Place>) = records.into_iter().unzip();
    let servers = hints::servers_of(&records);
    for (record, place) in records.iter().zip(places) {
        let host = Name::from_wire(&record.rdata).ok().filter(|_| record.rtype == RecordType::NS);
        let Some(host) = host.filter(|_| record.name.is_root()) else { continue };
        if !servers.iter().any(|server| server.name == host) {
            let why = if servers.len() == ROOT_SERVERS_MAX { "one too many" } else { "without an address" };
            faults.warning(place, format!("the name server {host} is {why}, and is ignored"));
        }
    }
    if servers.is_empty() && faults.errors() == 0 {
        faults.error(place_in(path, 1, 1), "expected a name server of the root with its address, found none");
    }
    servers
}

/// The trust anchors of a file: DS or DNSKEY, of the root or of other zones.
fn anchors(path: &Path, faults: &mut Faults) -> Vec<Record> {
    let errors_before = faults.errors();
    let records = records(path, faults);
    let mut anchors = Vec::new();
    for (record, place) in records {
        match (record.rtype, &record.rdata[..]) {
            (RecordType::DS, _) => anchors.push((record, place)),
            (RecordType::DNSKEY, &[high, low, protocol, ..]) => {
                let flags = u16::from_be_bytes([high, low]);
                match key_fault(flags, protocol) {
                    None => anchors.push((record, place)),
                    Some(fault) => faults.error(place, fault),
                }
            }
            (rtype, _) => {
                faults.error(place, format!("expected a DS or a DNSKEY record, found one of type {rtype}"));
            }
        }
    }
    if let Some((_, place)) = anchors.get(TRUST_ANCHORS_MAX) {
        faults.error(place.clone(), format!("expected at most {TRUST_ANCHORS_MAX} trust anchors"));
    }
    if anchors.is_empty() && faults.errors() == errors_before {
        faults.error(place_in(path, 1, 1), "expected a DS or a DNSKEY record, found none");
    }
    anchors.into_iter().map(|(record, _)| record).collect()
}

/// Why a key of these flags can vouch for nothing (RFC 4034 §2.1, RFC 5011 §2.1).
fn key_fault(flags: u16, protocol: u8) -> Option<&'static str> {
    const ZONE_KEY: u16 = 0x0100;
    const REVOKED: u16 = 0x0080;
    if flags & ZONE_KEY == 0 {
        Some("expected a key that signs a zone, found one without the flag 256")
    } else if flags & REVOKED != 0 {
        Some("expected a key in force, found one that is revoked (flag 128)")
    } else if protocol != 3 {
        Some("expected the protocol 3")
    } else {
        None
    }
}

/// The records of a file, each with its place; names are relative to the root.
fn records(path: &Path, faults: &mut Faults) -> Vec<(Record, Place)> {
    let mut kept = Kept(Vec::new(), None);
    let options = Options { origin: &Name::ROOT, ttl: Some(TTL) };
    if let Err(unreadable) = master::read_file(path, options, &mut kept, faults) {
        faults.error(place_in(path, 1, 1), unreadable.error.to_string());
    }
    if let Some(place) = kept.1 {
        faults.error(place, format!("expected at most {RECORDS_MAX} records: this is another kind of file"));
    }
    kept.0
}

/// Keeps records, and where the first was that it did not keep.
struct Kept(Vec<(Record, Place)>, Option<Place>);

impl RecordSink for Kept {
    fn record(&mut self, record: sink::Record<'_>, place: &Place) {
        if self.0.len() == RECORDS_MAX {
            self.1.get_or_insert_with(|| place.clone());
            return;
        }
        // The reader hands on names only that are well-formed.
        let Ok(name) = Name::from_wire(record.owner) else { return };
        let (rtype, ttl, rdata) = (record.rtype, record.ttl, record.rdata.to_vec());
        self.0.push((Record { name, rtype, class: Class::IN, ttl, rdata }, place.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads both files; an empty text is a file that nobody names. Faults without the directory.
    fn read(test: &str, root_hints: &str, trust_anchor: &str) -> (Option<Roots>, Vec<String>) {
        let directory = std::env::temp_dir().join(format!("hivedns-hints-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            if text.is_empty() { String::new() } else { path.to_string_lossy().into_owned() }
        };
        let resolve = Resolve {
            root_hints: file("hints", root_hints),
            trust_anchor: file("anchor", trust_anchor),
            ..Resolve::default()
        };
        let (roots, faults) = roots(&resolve);
        std::fs::remove_dir_all(&directory).unwrap();
        let within = format!("{}/", directory.display());
        (roots, faults.iter().map(|fault| fault.to_string().replace(&within, "")).collect())
    }

    const HINTS: &str =
        "; a root of one's own\n. NS ns1.root.\nns1.root. A 192.0.2.1\nns1.root. AAAA 2001:db8::1\n";
    const ANCHOR: &str =
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n";

    #[test]
    fn without_files_the_root_is_ianas() {
        let (roots, faults) = read("none", "", "");
        let roots = roots.unwrap();
        assert_eq!((roots.servers.len(), roots.anchors.len(), faults.len()), (13, 2, 0));
    }

    #[test]
    fn with_root_hints_of_ones_own_and_no_anchor_nothing_is_trusted() {
        let roots = read("own", HINTS, "").0.unwrap();
        assert_eq!((roots.servers.len(), roots.servers[0].addresses.len()), (1, 2));
        assert!(roots.anchors.is_empty());
        assert_eq!(read("both", HINTS, ANCHOR).0.unwrap().anchors.len(), 1);
    }

    #[test]
    fn the_anchors_built_in_are_those_that_their_text_means() {
        let text = format!(
            "{ANCHOR}. 172800 IN DS 38696 8 2 (\n 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C48 3AF444A4C0FB2B16 )\n"
        );
        let roots = read("iana", "", &text).0.unwrap();
        let rdata = |records: &[Record]| records.iter().map(|ds| ds.rdata.clone()).collect::<Vec<_>>();
        assert_eq!(rdata(&roots.anchors), rdata(&hints::root_anchors()));
        assert_eq!(roots.servers.len(), 13);
    }

    #[test]
    fn an_anchor_is_a_key_or_its_digest_of_any_zone() {
        let digest = "AB".repeat(32);
        let text = format!("example. DNSKEY 257 3 13 (\n AAAA )\nDS.example DS 1 13 2 {digest}\n");
        let (roots, faults) = read("zones", "", &text);
        assert_eq!(faults, [""; 0]);
        let anchors = roots.unwrap().anchors;
        let told: Vec<String> =
            anchors.iter().map(|record| format!("{} {}", record.name, record.rtype)).collect();
        assert_eq!(told, ["example. DNSKEY", "DS.example. DS"]);
    }

    #[test]
    fn every_fault_of_hints_is_told_with_its_place() {
        for (text, expected) in [
            ("x. NS a.", "hints:1:1: expected name servers of the root, found those of x."),
            ("\n", "hints:1:1: expected a name server of the root with its address, found none"),
            (
                ". NS a.",
                "hints:1:1: warning: the name server a. is without an address, and is ignored\
                    |hints:1:1: expected a name server of the root with its address, found none",
            ),
            (
                ". NS a.\na. A 1.2.3.4\nb. A 1.2.3.5\n  TXT x\n",
                "hints:3:1: warning: b. is no name server of the root, and is ignored\
                    |hints:4:3: warning: a record of type TXT is no hint, and is ignored",
            ),
            (
                ". NS a.\na. A 1.2.3\n  AAAA ::g",
                "hints:1:1: warning: the name server a. is without an address, and is ignored|hints:2:6: |hints:3:8: ",
            ),
        ] {
            let (roots, faults) = read("faults", text, "");
            let expected: Vec<&str> = expected.split('|').collect();
            let fits = faults.iter().zip(&expected).all(|(fault, expected)| {
                fault == expected || expected.ends_with(' ') && fault.starts_with(expected)
            });
            assert!(fits && faults.len() >= expected.len(), "{text}: {faults:#?}");
            assert_eq!(roots.is_some(), faults.iter().all(|fault| fault.contains("warning")), "{text}");
        }
    }

    #[test]
    fn every_fault_of_anchors_is_told_with_its_place() {
        for (text, expected) in [
            ("\n", "anchor:1:1: expected a DS or a DNSKEY record, found none"),
            (". NS a.", "anchor:1:1: expected a DS or a DNSKEY record, found one of type NS"),
            (". DS 1 8 2 x", "anchor:1:12: "),
            (
                ". DNSKEY 1 3 8 AAAA",
                "anchor:1:1: expected a key that signs a zone, found one without the flag 256",
            ),
            (
                ". DNSKEY 385 3 8 AAAA",
                "anchor:1:1: expected a key in force, found one that is revoked (flag 128)",
            ),
        ] {
            let (roots, faults) = read("anchors", "", text);
            assert!(faults[0].starts_with(expected) && roots.is_none(), "{text}: {faults:#?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_or_is_of_another_kind_is_an_error() {
        let missing = Resolve { root_hints: "/no/such/hints".to_owned(), ..Resolve::default() };
        let (roots, faults) = roots(&missing);
        assert!(roots.is_none());
        assert!(faults.iter().next().unwrap().to_string().starts_with("/no/such/hints:1:1: No such file"));
        let zone: String = (0..RECORDS_MAX + 2).map(|i| format!("h{i}. A 192.0.2.1\n")).collect();
        let (roots, faults) = read("zone", &zone, "");
        assert!(roots.is_none());
        assert!(faults.iter().any(|fault| fault.contains("this is another kind of file")), "{}", faults[0]);
    }
}
