//! Any octets as a master file: read and sealed, or refused with a fault, and what is sealed is there when it is asked for.
#![no_main]

mod oracle;
#[path = "../../tests/support/mod.rs"]
mod support;

use hivedns::wire::name::Name;
use hivedns::zone::draft::ZoneDraft;
use hivedns::zone::fault::Faults;
use hivedns::zone::master::{Files, Options, read};
use hivedns::zone::seal::seal;
use libfuzzer_sys::fuzz_target;
use oracle::message;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use support::desk::{Desk, seed, snapshot};

/// Names asked of one zone: all of a small one, and no more than a run has time for.
const ASKED_MAX: usize = 64;
const CNAME: u16 = 5;
const DNAME: u16 = 39;

/// Nothing can be included.
struct NoFiles;

impl Files for NoFiles {
    fn open(&self, _path: &Path) -> io::Result<Box<dyn Read>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fuzz_target!(|text: &[u8]| {
    let origin = Name::parse("z.").expect("a name");
    let (mut draft, mut faults) = (ZoneDraft::new(&origin, seed()), Faults::default());
    let file: Arc<Path> = Arc::from(Path::new("fuzz"));
    read(Box::new(text), file, Options { origin: &origin, ttl: Some(60) }, &NoFiles, &mut draft, &mut faults);
    let (zone, sealing) = seal(draft);
    assert_eq!(zone.is_none(), sealing.errors() > 0, "a zone, or the reason why there is none");
    faults.absorb(sealing);
    let Some(zone) = zone else { return };
    let mut queries = Vec::new();
    for node in zone.nodes().take(ASKED_MAX) {
        let name = [node.key(), b"\x01z\0"].concat();
        assert!(Name::from_wire(&name).is_ok(), "a name of the zone is none: {name:?}");
        let types = node.rrsets().map(|rrset| rrset.rtype().0).chain([1, 255]);
        queries.extend(types.map(|rtype| (rtype, message::query(1, 0, &name, rtype, 1, None))));
    }
    let mut desk = Desk::new(snapshot("fuzz", [zone]));
    for (rtype, query) in queries {
        let reply = desk.answer(&query).expect("a query gets an answer");
        let reply = message::decode(reply).unwrap_or_else(|why| panic!("{why}: {reply:?}"));
        let has = |rtypes: &[u16]| reply.sections[0].iter().any(|record| rtypes.contains(&record.rtype));
        match reply.rcode() {
            0 => {}
            // The name is there, so only what it leads to can be absent, or too long.
            3 => assert!(has(&[CNAME, DNAME]), "{query:?}: a name of the zone does not exist: {reply:?}"),
            6 => assert!(has(&[DNAME]), "{query:?}: too long without a DNAME: {reply:?}"),
            rcode => assert!(rtype == 0 || (128..=255).contains(&rtype), "{query:?}: rcode {rcode}"),
        }
    }
});
