//! Any octets as the files of the state directory: it opens or says why not, keeps only what a file says whole, and
//! what it kept is there again when it is opened a second time.
#![no_main]

use hivedns::disk::fault::DiskError;
use hivedns::disk::{Entry, StateDir};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::PathBuf;

/// A place in memory, where one is to be had: nothing here outlives the run.
fn base() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// The files, and whether each has the envelope that its content should have, or is one by itself.
const FILES: [&str; 5] = ["identity", "peers", "ring", "records", "journal"];

/// As the envelope says it: magic, kind, version, length, body, checksum.
fn envelope(kind: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = b"hivedns\0".to_vec();
    octets.extend(format!("{kind:<8}").as_bytes());
    octets.extend(version.to_le_bytes());
    octets.extend((body.len() as u64).to_le_bytes());
    octets.extend(body);
    let sum = crc32fast::hash(&octets);
    octets.extend(sum.to_le_bytes());
    octets
}

/// A journal's file of that epoch: each of these as a frame.
fn journal(epoch: u64, frames: &[&[u8]]) -> Vec<u8> {
    let mut octets = envelope("journal", 1, &epoch.to_le_bytes());
    for entries in frames {
        let (at, len) = (octets.len() as u64, entries.len() as u32);
        let hashed = [&epoch.to_le_bytes()[..], &at.to_le_bytes(), &len.to_le_bytes(), entries].concat();
        octets.extend(len.to_le_bytes());
        octets.extend(crc32fast::hash(&hashed).to_le_bytes());
        octets.extend(*entries);
    }
    octets
}

/// Takes off so many octets as two say.
fn piece<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, behind)) = rest.split_at_checked(2) else { return std::mem::take(rest) };
    let length = usize::from(u16::from_le_bytes([length[0], length[1]])).min(behind.len());
    let (piece, behind) = behind.split_at(length);
    *rest = behind;
    piece
}

fuzz_target!(|input: &[u8]| {
    let dir = base().join(format!("hivedns-fuzz-disk-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).expect("a directory");
    let mut rest = input;
    while let Some((what, behind)) = rest.split_first() {
        rest = behind;
        let file = FILES[usize::from(what & 7) % FILES.len()];
        let octets = match (what >> 3 & 3, file) {
            // As it is; sound outside; sound down to its frames; of another version.
            (0, _) => piece(&mut rest).to_vec(),
            (3, _) => envelope(file, u32::from(what >> 5), piece(&mut rest)),
            (_, "journal") => {
                let frames: Vec<&[u8]> = (0..=what >> 5).map(|_| piece(&mut rest)).collect();
                journal(u64::from(what >> 6), &frames)
            }
            (_, _) => envelope(file, 1, piece(&mut rest)),
        };
        fs::write(dir.join(file), octets).expect("a file");
    }
    match StateDir::open(&dir) {
        Ok((mut state, restored)) => {
            let mut cluster = restored.cluster;
            let (key, value) = (b"fuzz's own".as_slice(), b"value".as_slice());
            let entry = Entry { key: key.into(), value: Some(value.into()) };
            state.append(&[entry]).and_then(|()| state.sync()).expect("there is room");
            cluster.retain(|(kept, _)| kept != key);
            cluster.push((key.into(), value.into()));
            cluster.sort();
            drop(state);
            let (_state, again) = StateDir::open(&dir).expect("what was mended opens");
            assert_eq!(again.cluster, cluster, "records that were there are not any more");
            assert_eq!((again.id, again.generation), (restored.id, restored.generation));
            assert_eq!((again.peers, again.ring), (restored.peers, restored.ring));
            assert!(again.notices.is_empty(), "told twice: {:?}", again.notices);
        }
        // A newer server's, or more than anybody looked after: left as it is.
        Err(DiskError::Newer { .. } | DiskError::Crowded { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let _ = fs::remove_dir_all(&dir);
});
