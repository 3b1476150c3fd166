//! The state directory as its user sees it: crashes, damage, full disks, other processes.

mod crashes;

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory for one test, gone with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hivedns-disk-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    fn open(&self) -> (StateDir, Restored) {
        StateDir::open(&self.state()).unwrap()
    }

    fn error(&self) -> String {
        StateDir::open(&self.state()).map(|_| ()).unwrap_err().to_string()
    }

    /// The names in the directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn put(key: &str, value: &str) -> Entry {
    Entry {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn forget(key: &str) -> Entry {
    Entry { key: Bytes::copy_from_slice(key.as_bytes()), value: None }
}

fn told(restored: &Restored) -> Vec<String> {
    restored.notices.iter().map(ToString::to_string).collect()
}

fn cluster(pairs: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
    let octets = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    pairs.iter().map(|(key, value)| (octets(key), octets(value))).collect()
}

const PEERS: [&str; 2] = ["192.0.2.1:7953", "[fe80::1%3]:7953"];

/// A directory that holds something of everything, the records in snapshot and journal.
fn filled() -> Place {
    let place = Place::new();
    let (mut dir, restored) = place.open();
    assert_eq!(restored, Restored::default());
    dir.write_identity(7, 3).unwrap();
    dir.write_peers(&PEERS.map(|peer| peer.parse().unwrap())).unwrap();
    dir.write_ring(b"keys").unwrap();
    dir.write_shared(b"zones").unwrap();
    dir.append(&[put("a", "1"), put("b", "2")]).unwrap();
    dir.sync().unwrap();
    dir.append(&[put("c", "3"), forget("a")]).unwrap();
    dir.sync().unwrap();
    place
}

fn whole() -> Restored {
    Restored {
        id: Some(7),
        generation: 3,
        cluster: cluster(&[("b", "2"), ("c", "3")]),
        peers: PEERS.map(|peer| peer.parse().unwrap()).to_vec(),
        ring: Some(b"keys".to_vec()),
        shared: Some(b"zones".to_vec()),
        notices: Vec::new(),
    }
}

#[test]
fn what_was_written_is_there_at_the_next_start() {
    let place = filled();
    for _ in 0..2 {
        assert_eq!(place.open().1, whole());
    }
    assert_eq!(place.names(), ["identity", "journal", "lock", "peers", "records", "ring", "shared"]);
}

#[test]
fn files_are_for_nobody_else() {
    let place = filled();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.state()), 0o700);
    for name in place.names() {
        assert_eq!(mode(place.file(&name)), 0o600, "{name}");
    }
}

#[test]
fn one_process_at_a_time() {
    let place = Place::new();
    let first = place.open();
    let error = place.error();
    assert!(error.starts_with(&place.state().display().to_string()), "{error}");
    assert!(error.contains("another hivedns uses this directory"), "{error}");
    drop(first);
    place.open();
}

#[test]
fn a_place_that_cannot_be_used_is_told_in_one_line_with_advice() {
    let place = Place::new();
    fs::write(place.state(), "a file").unwrap();
    let state = place.state();
    assert_eq!(
        place.error(),
        format!(
            "{}: cannot use it as a directory: not a directory; move that file away, or name another directory \
             with --state-dir",
            state.display()
        )
    );
    let below = StateDir::open(&state.join("x")).map(|_| ()).unwrap_err().to_string();
    assert!(below.contains("cannot create the directory: Not a directory"), "{below}");
    let far = StateDir::open(&place.0.join("x/y")).map(|_| ()).unwrap_err().to_string();
    assert!(far.ends_with("create the directory above it, or name another with --state-dir"), "{far}");
    assert!(!place.0.join("x").exists());
    // Root may write everywhere; there is nothing to see then.
    let sealed = place.0.join("sealed");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o500)).unwrap();
    if let Err(error) = fs::write(sealed.join("probe"), "") {
        let told = StateDir::open(&sealed).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(&error.to_string()) && told.contains("chown"), "{told}");
    }
}

#[test]
fn a_faulty_file_is_set_aside_and_everything_else_is_kept() {
    for (name, means, remains) in [
        ("identity", "THIS NODE GETS A NEW ID", Restored { id: None, generation: 0, ..whole() }),
        ("peers", "gossip.join alone", Restored { peers: Vec::new(), ..whole() }),
        ("ring", "gossip.keys_file", Restored { ring: None, ..whole() }),
        ("shared", "once a member has said so", Restored { shared: None, ..whole() }),
        ("records", "from the other members", whole()),
    ] {
        let place = filled();
        let path = place.file(name);
        let mut octets = fs::read(&path).unwrap();
        octets.truncate(octets.len() - 1);
        fs::write(&path, &octets).unwrap();
        let (dir, restored) = place.open();
        let said = told(&restored);
        let [only] = &said[..] else { panic!("{name}: {said:?}") };
        assert!(only.starts_with(&format!("{}: at octet ", path.display())), "{only}");
        assert!(only.contains("expected 4 octets for the checksum, found 3 until the file ends"), "{only}");
        assert!(only.contains(&format!("set aside as {name}.broken-1: ")) && only.contains(means), "{only}");
        assert!(restored.notices[0].is_loss());
        assert_eq!(Restored { notices: Vec::new(), ..restored }, remains, "{name}");
        assert_eq!(fs::read(place.file(&format!("{name}.broken-1"))).unwrap(), octets);
        drop(dir);
        // The next start has nothing to tell, the next fault another name.
        assert_eq!(told(&place.open().1), Vec::<String>::new());
        fs::write(&path, "x").unwrap();
        assert!(told(&place.open().1)[0].contains(&format!("{name}.broken-2")));
    }
}

#[test]
fn no_file_cut_or_changed_anywhere_gives_a_mixture() {
    let place = filled();
    let kept: Vec<(String, Vec<u8>)> =
        place.names().into_iter().map(|name| (name.clone(), fs::read(place.file(&name)).unwrap())).collect();
    for (name, octets) in kept.iter().filter(|(name, _)| name != "lock") {
        let cut = (0..octets.len()).map(|len| octets[..len].to_vec());
        let changed = (0..octets.len()).map(|at| {
            let mut octets = octets.clone();
            octets[at] ^= 1 << (at % 8);
            octets
        });
        for bad in cut.chain(changed) {
            for name in place.names() {
                fs::remove_file(place.file(&name)).unwrap();
            }
            kept.iter().for_each(|(name, octets)| fs::write(place.file(name), octets).unwrap());
            fs::write(place.file(name), &bad).unwrap();
            let restored = place.open().1;
            let expected = match &name[..] {
                "identity" => Restored { id: None, generation: 0, ..whole() },
                "peers" => Restored { peers: Vec::new(), ..whole() },
                "ring" => Restored { ring: None, ..whole() },
                "shared" => Restored { shared: None, ..whole() },
                _ => whole(),
            };
            let (found, notices) =
                (Restored { notices: Vec::new(), ..restored.clone() }, restored.notices.clone());
            if name == "journal" {
                let states = [whole().cluster, cluster(&[("a", "1"), ("b", "2")]), cluster(&[])];
                assert!(states[1..].contains(&found.cluster) || notices.is_empty(), "{restored:?}");
                assert_eq!(Restored { cluster: whole().cluster, ..found }, expected);
            } else {
                assert_eq!(found, expected);
                assert_eq!(notices.len(), 1);
            }
            // A journal that ends with a whole frame is a good one; of anything else the octets are kept.
            for notice in &notices {
                let aside = fs::read(place.file(&format!("{name}.broken-1"))).unwrap();
                assert!(bad.ends_with(&aside) && !aside.is_empty() | bad.is_empty(), "{notice}");
            }
            assert!(notices.len() <= 1);
        }
    }
}

#[test]
fn a_torn_end_of_the_journal_is_a_warning_and_costs_nothing_acknowledged() {
    let place = filled();
    let journal = place.file("journal");
    let good = fs::read(&journal).unwrap();
    for round in 1..=hand::ASIDE_MAX + 2 {
        fs::write(&journal, [&good[..], b"torn"].concat()).unwrap();
        let (_, restored) = place.open();
        let said = told(&restored);
        assert_eq!(said.len(), 1);
        assert!(!restored.notices[0].is_loss());
        let end = match round {
            ..=hand::ASIDE_MAX => format!("the rest is set aside as journal.broken-{round}"),
            _ => "the rest is dropped, because too many are set aside already".to_owned(),
        };
        let start = format!(
            "{}: at octet {}: expected 4 octets for the checksum of a frame, found 0 until the file ends: a write \
             was cut short; all before it was kept, {end}",
            journal.display(),
            good.len() + 4
        );
        assert_eq!(said[0], start);
        assert_eq!(restored.cluster, whole().cluster);
        assert_eq!(fs::read(&journal).unwrap(), good);
    }
}

#[test]
fn a_file_of_a_newer_version_stops_the_start_and_stays() {
    let place = filled();
    let path = place.file("identity");
    let mut octets = fs::read(&path).unwrap();
    octets.truncate(octets.len() - 4);
    octets[16] = 9;
    octets.extend_from_slice(&crc32fast::hash(&octets).to_le_bytes());
    fs::write(&path, &octets).unwrap();
    assert!(place.error().contains("format 9 is not format 1"), "{}", place.error());
    assert_eq!(fs::read(&path).unwrap(), octets);
}

#[test]
fn a_missing_file_of_records_is_told_and_an_old_one_is_no_base() {
    let place = filled();
    let old = fs::read(place.file("records")).unwrap();
    fs::remove_file(place.file("records")).unwrap();
    let (dir, restored) = place.open();
    assert!(told(&restored)[0].contains("records: the file is missing: "));
    assert_eq!(restored.cluster, whole().cluster);
    drop(dir);
    fs::write(place.file("records"), old).unwrap();
    let (dir, restored) = place.open();
    assert!(told(&restored)[0].contains("expected epoch 2, the journal's, found epoch 1"), "{restored:?}");
    // The journal of epoch 2 is empty: everything stood in the snapshot that somebody replaced.
    assert_eq!(restored.cluster, []);
    drop(dir);
    let (mut dir, _) = place.open();
    dir.append(&[put("x", "y")]).unwrap();
    dir.sync().unwrap();
    fs::remove_file(place.file("journal")).unwrap();
    // While it runs, the records are all in memory.
    dir.append(&[put("z", "y")]).unwrap();
    dir.sync().unwrap_err();
    dir.sync().unwrap();
    drop(dir);
    let (dir, restored) = place.open();
    assert_eq!((restored.cluster.len(), restored.notices.len()), (2, 0));
    drop(dir);
    fs::remove_file(place.file("journal")).unwrap();
    assert!(told(&place.open().1)[0].contains("journal: the file is missing: "));
}

#[test]
fn the_journal_becomes_a_snapshot_when_it_has_outgrown_it() {
    let place = Place::new();
    let (mut dir, _) = place.open();
    let value = "v".repeat(1_000);
    let (mut largest, mut snapshots) = (0, std::collections::BTreeSet::new());
    for round in 0..3_000 {
        dir.append(&[put(&format!("{}", round % 500), &format!("{round:04}{value}"))]).unwrap();
        dir.sync().unwrap();
        largest = largest.max(fs::metadata(place.file("journal")).unwrap().len());
        snapshots.insert(fs::read(place.file("records")).unwrap()[28]);
    }
    drop(dir);
    assert_eq!(place.open().1.cluster.len(), 500);
    assert!(largest < 600_000, "{largest}");
    assert!((5..20).contains(&snapshots.len()), "{snapshots:?}");
}

#[test]
fn what_is_too_large_is_refused_and_nothing_of_it_taken() {
    let place = Place::new();
    let (mut dir, _) = place.open();
    let huge = Entry { key: "k".into(), value: Some(vec![0; VALUE_OCTETS_MAX + 1].into()) };
    let error = dir.append(&[put("a", "1"), huge]).unwrap_err().to_string();
    assert_eq!(error, "a record has 1048577 octets; the state directory keeps at most 1048576");
    assert!(!dir.is_dirty());
    dir.write_ring(&vec![0; RING_OCTETS_MAX + 1]).unwrap_err();
    // Much at once is no frame, but a snapshot.
    let large = |n: u8| Entry { key: vec![n].into(), value: Some(vec![n; VALUE_OCTETS_MAX].into()) };
    dir.append(&(0..6).map(large).collect::<Vec<_>>()).unwrap();
    dir.sync().unwrap();
    drop(dir);
    assert_eq!(place.open().1.cluster.len(), 6);
}

/// As much as the directory keeps, but for one record of the largest size.
fn nearly_full(dir: &mut StateDir) {
    let value = Bytes::from(vec![7; VALUE_OCTETS_MAX]);
    for number in 0..(CLUSTER_OCTETS_MAX / (VALUE_OCTETS_MAX as u64 + 64)) as u32 {
        let key = Bytes::copy_from_slice(&number.to_be_bytes());
        dir.append(&[Entry { key, value: Some(value.clone()) }]).unwrap();
    }
}

#[test]
fn what_takes_no_more_room_is_taken_however_full_it_is() {
    let place = Place::new();
    let (mut dir, _) = place.open();
    nearly_full(&mut dir);
    let key = Bytes::copy_from_slice(&0u32.to_be_bytes());
    let large = |octet: u8| Some(vec![octet; VALUE_OCTETS_MAX].into());
    let new = Entry { key: "new".into(), value: large(1) };
    dir.append(std::slice::from_ref(&new)).unwrap_err();
    // Another value of the same size, a small one, none; and in the room of that something new.
    dir.append(&[Entry { key: key.clone(), value: large(2) }]).unwrap();
    dir.append(&[put("small", "1"), Entry { key: key.clone(), value: Some("gone".into()) }]).unwrap();
    dir.append(&[Entry { key, value: None }, new.clone(), new]).unwrap();
}

#[test]
fn what_is_so_already_is_not_written_again() {
    let place = filled();
    let (mut dir, restored) = place.open();
    let entry = |(key, value): (Bytes, Bytes)| Entry { key, value: Some(value) };
    let all: Vec<Entry> = restored.cluster.into_iter().map(entry).collect();
    dir.append(&all).unwrap();
    dir.append(&[forget("never")]).unwrap();
    assert!(!dir.is_dirty());
    dir.append(&[put("b", "other"), all[0].clone()]).unwrap();
    dir.sync().unwrap();
    drop(dir);
    assert_eq!(place.open().1, whole());
}

#[test]
fn a_foul_address_is_told_with_its_own_place() {
    let place = filled();
    let body = "192.0.2.1:7953\nnowhere\n";
    fs::write(place.file("peers"), seal(Kind::Peers, body.as_bytes())).unwrap();
    let said = told(&place.open().1);
    assert!(
        said[0].contains("at octet 43: expected an address with its port, found \"nowhere\""),
        "{said:?}"
    );
}
