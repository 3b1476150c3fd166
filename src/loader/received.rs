//! Zones that were transferred: making a zone of what came, and keeping it on disk.
//!
//! ```text
//! whole ───────────────────────────┐
//! steps ─► applied to the old zone ┴─► records ─► draft ─► sealed ─► its history ─► disk
//! ```

use crate::disk::zones::{Lost, Zones};
use crate::loader::Loaded;
use crate::wire::key::HashSeed;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::Zone;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::{Faults, place_in};
use crate::zone::history::{self, Difference};
use crate::zone::plain;
use crate::zone::rdata::canonicalize;
use crate::zone::seal::seal;
use crate::zone::sink::{Record, RecordSink};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What a transfer brought.
#[derive(Debug, Clone)]
pub enum Received {
    /// The whole zone as plain records.
    Whole(Vec<u8>),
    /// Steps from the version at hand.
    Steps(Vec<Arc<Difference>>),
}

/// A transferred zone to put in place.
#[derive(Debug)]
pub struct Arrival {
    /// Its apex.
    pub origin: Name,
    /// The version at hand.
    pub old: Option<Arc<Zone>>,
    /// What came.
    pub received: Received,
    /// When.
    pub at: SystemTime,
    /// It is to be there after a restart.
    pub is_kept: bool,
}

/// Makes the zone, and keeps it.
pub fn put(arrival: Arrival, seed: HashSeed, zones: Option<&Zones>) -> Loaded {
    let Arrival { origin, old, received, at, is_kept } = arrival;
    let steps = match &received {
        Received::Whole(_) => None,
        Received::Steps(steps) => Some(steps.clone()),
    };
    let run = match (received, &old) {
        (Received::Whole(run), _) => Ok(run),
        (Received::Steps(steps), Some(old)) => apply(old, &steps),
        (Received::Steps(_), None) => Err("there is no version to apply changes to".to_owned()),
    };
    let run = match run {
        Ok(run) => run,
        Err(why) => return refused(origin, why),
    };
    let mut loaded = read(&origin, &run, seed);
    let Some(zone) = loaded.zone.take() else { return loaded };
    let zone = match (&old, steps) {
        (Some(old), Some(steps)) => {
            let history = old.history().then(steps, zone.octets());
            zone.with_history(history)
        }
        (Some(old), None) => history::succeed(old, zone),
        (None, _) => zone,
    };
    loaded.zone = Some(zone);
    if let Some(zones) = zones.filter(|_| is_kept)
        && let Err(error) = zones.write(&origin.to_string(), &run, at)
    {
        let path = zones.path(&origin.to_string());
        tracing::error!(zone = %origin, "not kept for the next start: {}: {error}", path.display());
    }
    loaded
}

/// Reads what was kept of a zone.
pub fn restore(origin: &Name, zones: Option<&Zones>, seed: HashSeed) -> Loaded {
    let name = origin.to_string();
    let Some(zones) = zones else { return refused(origin.clone(), NOTHING_YET.to_owned()) };
    match zones.read(&name) {
        Ok(kept) => {
            let mut loaded = read(origin, &kept.body, seed);
            loaded.checked = Some(kept.checked);
            if loaded.zone.is_none() {
                let aside = zones.set_aside(&name).unwrap_or_default();
                tracing::error!(zone = %origin, "the kept zone is faulty, set aside as {}", aside.display());
            }
            loaded
        }
        Err(Lost::Absent) => refused(origin.clone(), NOTHING_YET.to_owned()),
        Err(Lost::Unreadable(error)) => {
            refused(origin.clone(), format!("{}: {error}", zones.path(&name).display()))
        }
        Err(Lost::Broken { why, aside }) => {
            let aside = aside.unwrap_or_default();
            let path = zones.path(&name);
            refused(origin.clone(), format!("{}: {why}: set aside as {}", path.display(), aside.display()))
        }
    }
}

const NOTHING_YET: &str = "the zone has not been transferred yet";

fn refused(origin: Name, why: String) -> Loaded {
    let mut faults = Faults::default();
    faults.error(place_in(PathBuf::from(origin.to_string()), 1, 1), why);
    Loaded { origin, zone: None, faults, checked: None }
}

/// Seals plain records.
fn read(origin: &Name, run: &[u8], seed: HashSeed) -> Loaded {
    let mut draft = ZoneDraft::new(origin, seed);
    let (mut rest, mut number) = (run, 0);
    let place = |number| place_in(PathBuf::from(format!("{origin} (transferred)")), number, 1);
    let whole = place(0);
    draft.set_file(&whole.file);
    while let Some((record, len)) = plain::first(rest) {
        number += 1;
        draft.record(record, &crate::zone::fault::Place { line: number, ..whole.clone() });
        rest = rest.get(len..).unwrap_or_default();
    }
    let (zone, mut faults) = seal(draft);
    if !rest.is_empty() {
        faults.error(place(number), "the records end within one");
    }
    let zone = zone.filter(|_| faults.errors() == 0);
    Loaded { origin: origin.clone(), zone, faults, checked: None }
}

/// A record as it is told from others: TTLs are no part of it.
type Identity = (Vec<u8>, RecordType, Vec<u8>);

fn identity(record: &Record<'_>) -> Identity {
    let mut rdata = record.rdata.to_vec();
    canonicalize(record.rtype, &mut rdata);
    (record.owner.to_ascii_lowercase(), record.rtype, rdata)
}

/// What the steps make of one record.
struct Fate {
    /// It has to be there at first; or it must not.
    was_there: bool,
    /// What it is at last, as a plain record.
    is: Option<Vec<u8>>,
}

/// The records of the version to which the steps lead; or what they say that cannot be (RFC 1995 §4: then the whole
/// zone is asked for).
fn apply(old: &Zone, steps: &[Arc<Difference>]) -> Result<Vec<u8>, String> {
    let mut fates: HashMap<Identity, Fate> = HashMap::new();
    for step in steps {
        let mut soas = 0;
        for record in plain::records(step.records()) {
            soas += usize::from(record.rtype == RecordType::SOA);
            one_change(&mut fates, &record, soas > 1)?;
        }
        if soas != 2 {
            return Err(format!("a step has {soas} SOAs, expected 2"));
        }
    }
    let mut run = Vec::with_capacity(old.octets());
    let mut unsealer = plain::Unsealer::default();
    let mut wrong = None;
    unsealer.all(old, |record| match fates.get_mut(&identity(record)) {
        None => plain::write(&mut run, record),
        Some(fate) if fate.was_there => fate.was_there = false,
        Some(_) => wrong = wrong.take().or(Some("comes, but is there already")),
    });
    let missing = fates.values().any(|fate| fate.was_there).then_some("goes, but is not there");
    if let Some(what) = wrong.or(missing) {
        return Err(format!("a record {what}"));
    }
    fates.into_values().filter_map(|fate| fate.is).for_each(|record| run.extend(record));
    Ok(run)
}

fn one_change(fates: &mut HashMap<Identity, Fate>, record: &Record<'_>, comes: bool) -> Result<(), String> {
    let is = comes.then(|| {
        let mut octets = Vec::new();
        plain::write(&mut octets, record);
        octets
    });
    match fates.entry(identity(record)) {
        Entry::Vacant(vacant) => {
            vacant.insert(Fate { was_there: !comes, is });
        }
        Entry::Occupied(mut fate) if fate.get().is.is_some() != comes => fate.get_mut().is = is,
        Entry::Occupied(_) => {
            let owner = Name::from_wire(record.owner).unwrap_or(Name::ROOT);
            let what = if comes { "comes" } else { "goes" };
            return Err(format!("{owner} {} {what} twice", record.rtype));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::{Source, ZoneSpec, load};

    fn zone(serial: u32, records: &str) -> Zone {
        let text = format!("$TTL 60\n@ SOA ns admin {serial} 2 3 4 5\n@ NS ns\n{records}");
        let source = Source::Text { name: "z", text: Box::leak(text.into_boxed_str()) };
        let spec = ZoneSpec { origin: Name::parse("z.").unwrap(), source };
        load(&spec, HashSeed::new([7; 16]), None, None).zone.unwrap()
    }

    fn steps(versions: &[Zone]) -> Vec<Arc<Difference>> {
        let pairs = versions.windows(2).map(|pair| {
            let newer = read(pair[1].origin(), &plain::of_zone(&pair[1]), HashSeed::new([7; 16]));
            let newer = history::succeed(&pair[0], newer.zone.unwrap());
            Arc::clone(newer.history().since(pair[0].serial()).unwrap().last().unwrap())
        });
        pairs.collect()
    }

    fn sorted(run: &[u8]) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = plain::records(run)
            .map(|record| {
                let (owner, rtype, rdata) = identity(&record);
                [&owner[..], &rtype.0.to_be_bytes(), &record.ttl.to_be_bytes(), &rdata].concat()
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn steps_one_after_another_lead_to_the_last_version() {
        let versions = [
            zone(1, "a A 192.0.2.1\nb A 192.0.2.2\n"),
            zone(2, "a A 192.0.2.3\nb A 192.0.2.2\nc TXT x\n"),
            zone(3, "a A 192.0.2.1\nb 5 A 192.0.2.2\nd.e TXT x\n"),
        ];
        let run = apply(&versions[0], &steps(&versions)).unwrap();
        assert_eq!(sorted(&run), sorted(&plain::of_zone(&versions[2])));
        // From elsewhere they do not lead anywhere.
        assert!(apply(&versions[1], &steps(&versions)).is_err());
        assert!(apply(&versions[0], &steps(&versions[1..])).is_err());
        let twice = [steps(&versions[..2]), steps(&versions[..2])].concat();
        assert!(apply(&versions[0], &twice).is_err());
    }

    #[test]
    fn what_arrives_is_there_after_a_restart_and_a_torn_file_is_not() {
        let dir = std::env::temp_dir().join(format!("hivedns-received-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (zones, seed) = (Zones::new(&dir), HashSeed::new([7; 16]));
        let versions = [zone(1, "a A 192.0.2.1\n"), zone(2, "b A 192.0.2.1\n")];
        let origin = versions[0].origin().clone();
        let arrival = |received, old| Arrival {
            origin: Name::parse("z.").unwrap(),
            old,
            received,
            at: SystemTime::UNIX_EPOCH,
            is_kept: true,
        };
        assert!(restore(&origin, Some(&zones), seed).zone.is_none());
        let first = put(arrival(Received::Whole(plain::of_zone(&versions[0])), None), seed, Some(&zones));
        let first = Arc::new(first.zone.unwrap());
        let changes = steps(&versions);
        let second = put(arrival(Received::Steps(changes), Some(first)), seed, Some(&zones)).zone.unwrap();
        assert_eq!((second.serial().0, second.history().steps()), (2, 1));
        let restored = restore(&origin, Some(&zones), seed);
        assert_eq!(restored.zone.map(|zone| zone.serial()), Some(second.serial()));
        assert_eq!(restored.checked, Some(SystemTime::UNIX_EPOCH));
        let whole = std::fs::read(zones.path("z.")).unwrap();
        std::fs::write(zones.path("z."), &whole[..whole.len() - 1]).unwrap();
        let torn = restore(&origin, Some(&zones), seed);
        assert!(torn.zone.is_none() && torn.faults.errors() == 1);
        assert!(!zones.path("z.").exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
