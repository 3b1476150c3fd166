//! The keeper as its user sees it, over a disk that works, fails, hangs.

use super::*;
use crate::disk::{RING_OCTETS_MAX, Restored};
use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use std::fs;
use std::path::{Path, PathBuf};

const PATIENCE: Duration = Duration::from_secs(60);

fn place(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("hivedns-keeper-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn start(path: &Path) -> (Keeper, Receiver<Told>) {
    let (tell, told) = unbounded();
    let dir = StateDir::open(path).unwrap().0;
    (Keeper::start(dir, move |news| drop(tell.send(news))).unwrap(), told)
}

/// A keeper that stands still in its first attempt, which fails, until something comes over the channel.
fn stuck(path: &Path) -> (Keeper, Sender<()>) {
    let (go, gate) = bounded::<()>(0);
    let (tell, told) = bounded(1);
    let dir = StateDir::open(path).unwrap().0;
    let keeper = Keeper::start(dir, move |_| {
        let _ = tell.try_send(());
        let _ = gate.recv();
    });
    fs::remove_dir_all(path).unwrap();
    let keeper = keeper.unwrap();
    keeper.keep(Write::Identity { id: 1, generation: 1 });
    told.recv_timeout(PATIENCE).unwrap();
    fs::create_dir(path).unwrap();
    (keeper, go)
}

fn finish(keeper: Keeper) {
    assert!(keeper.finish(clock::now() + PATIENCE));
}

fn restored(path: &Path) -> Restored {
    let restored = StateDir::open(path).unwrap().1;
    fs::remove_dir_all(path).unwrap();
    restored
}

fn write(key: u32, value: &str) -> Write {
    let key = key.to_be_bytes().to_vec();
    Write::Record(Entry { key: key.into(), value: Some(value.to_owned().into()) })
}

/// Where it will be told what became of all that was asked for so far.
fn outcome(keeper: &Keeper, until: Moment) -> Receiver<Result<(), Unkept>> {
    let (tell, told) = bounded(1);
    keeper.when_kept(until, move |outcome| drop(tell.send(outcome)));
    told
}

fn await_kept(keeper: &Keeper) -> Result<(), Unkept> {
    outcome(keeper, Moment::NEVER).recv_timeout(PATIENCE).unwrap()
}

#[test]
fn what_is_told_as_kept_is_there() {
    let path = place("kept");
    let (keeper, told) = start(&path);
    assert_eq!(await_kept(&keeper), Ok(()));
    keeper.keep(Write::Identity { id: 5, generation: 6 });
    keeper.keep(Write::Peers(vec!["192.0.2.1:1".parse().unwrap()]));
    keeper.keep(Write::Ring(b"keys".to_vec()));
    keeper.keep(Write::Shared(b"zones".to_vec()));
    (0..3_000).for_each(|key| keeper.keep(write(key, "v")));
    assert_eq!(await_kept(&keeper), Ok(()));
    assert_eq!(await_kept(&keeper), Ok(()));
    let copy = place("kept-copy");
    fs::create_dir(&copy).unwrap();
    for file in fs::read_dir(&path).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    // As after a crash at this moment: nothing was said of an end.
    let restored = restored(&copy);
    assert_eq!((restored.id, restored.generation, restored.cluster.len()), (Some(5), 6, 3_000));
    assert_eq!((restored.peers.len(), restored.ring), (1, Some(b"keys".to_vec())));
    assert_eq!(restored.shared, Some(b"zones".to_vec()));
    finish(keeper);
    assert!(told.try_iter().next().is_none());
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn what_waits_when_it_ends_is_written() {
    let path = place("end");
    let (keeper, _) = start(&path);
    (0..100).for_each(|key| keeper.keep(write(key, "v")));
    let told = outcome(&keeper, Moment::NEVER);
    finish(keeper);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Ok(())));
    assert_eq!(restored(&path).cluster.len(), 100);
}

#[test]
fn however_much_is_asked_for_while_the_disk_hangs_the_newest_value_is_the_last_on_disk() {
    let path = place("newest");
    let (keeper, go) = stuck(&path);
    for round in 0..10_000 {
        keeper.keep(write(1, if round % 2 == 0 { "even" } else { "odd" }));
        keeper.keep(write(round % 3 + 2, "other"));
    }
    let key = 1u32.to_be_bytes().to_vec();
    keeper.keep(Write::Record(Entry { key: key.into(), value: None }));
    assert_eq!(keeper.shared.pending().records.len(), 4);
    drop(go);
    // The first attempt finds that the files are gone, and makes new ones in the next.
    while await_kept(&keeper).is_err() {}
    finish(keeper);
    let keys: Vec<u8> = restored(&path).cluster.iter().map(|(key, _)| key[3]).collect();
    assert_eq!(keys, [2, 3, 4]);
}

#[test]
fn a_disk_that_fails_for_a_while_loses_nothing() {
    let path = place("fails");
    let (keeper, told) = start(&path);
    keeper.keep(write(0, "v"));
    assert_eq!(await_kept(&keeper), Ok(()));
    fs::remove_dir_all(&path).unwrap();
    keeper.keep(write(1, "v"));
    keeper.keep(Write::Identity { id: 1, generation: 1 });
    let Err(Unkept::Failed(why)) = await_kept(&keeper) else { panic!("it went well") };
    assert!(why.contains("cannot write: "), "{why}");
    let Told::Failing { error, .. } = told.recv_timeout(PATIENCE).unwrap() else { panic!("it went well") };
    assert!(error.to_string().contains("cannot write: "), "{error}");
    keeper.keep(write(2, "v"));
    fs::create_dir(&path).unwrap();
    while await_kept(&keeper).is_err() {}
    finish(keeper);
    let restored = restored(&path);
    assert_eq!((restored.id, restored.cluster.len(), restored.notices), (Some(1), 3, Vec::new()));
}

#[test]
fn what_can_never_be_kept_is_refused_and_holds_nothing_up() {
    let path = place("refused");
    let (keeper, told) = start(&path);
    keeper.keep(Write::Ring(vec![0; RING_OCTETS_MAX + 1]));
    assert!(matches!(await_kept(&keeper), Err(Unkept::Failed(why)) if why.contains("the key ring has")));
    assert!(matches!(told.recv_timeout(PATIENCE), Ok(Told::Refused { .. })));
    keeper.keep(write(0, "v"));
    assert_eq!(await_kept(&keeper), Ok(()));
    finish(keeper);
    let restored = restored(&path);
    assert_eq!((restored.ring, restored.cluster.len()), (None, 1));
}

#[test]
fn an_end_without_a_disk_is_told() {
    let path = place("lost");
    let (keeper, told) = start(&path);
    fs::remove_dir_all(&path).unwrap();
    keeper.keep(write(0, "v"));
    finish(keeper);
    assert!(matches!(told.try_iter().last(), Some(Told::Lost { .. })));
}

#[test]
fn nobody_waits_for_ever_for_a_disk_that_hangs() {
    let path = place("hangs");
    let (keeper, go) = stuck(&path);
    keeper.keep(write(1, "v"));
    let until = Moment::START + Duration::from_secs(5);
    let told = outcome(&keeper, until);
    assert_eq!(keeper.next_wake(), until);
    keeper.give_up(until.before(Duration::from_secs(1)));
    assert!(told.is_empty());
    keeper.give_up(until);
    assert_eq!(told.try_recv(), Ok(Err(Unkept::Late)));
    assert_eq!(keeper.next_wake(), Moment::NEVER);
    assert!(!keeper.finish(clock::now() + Duration::from_millis(20)));
    drop(go);
    // The thread that nobody waited for still writes; the directory is locked until it ends.
    let deadline = clock::now() + PATIENCE;
    while StateDir::open(&path).is_err() {
        assert!(clock::now() < deadline);
        std::thread::yield_now();
    }
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_keeper_that_died_is_told_once_and_gathers_nothing() {
    let path = place("died");
    let (tell, told) = unbounded();
    let dir = StateDir::open(&path).unwrap().0;
    let keeper = Keeper::start(dir, move |news| {
        let is_refusal = matches!(news, Told::Refused { .. });
        let _ = tell.send(news);
        assert!(!is_refusal, "a keeper that is to die");
    });
    let keeper = keeper.unwrap();
    keeper.keep(Write::Ring(vec![0; RING_OCTETS_MAX + 1]));
    assert!(matches!(told.recv_timeout(PATIENCE), Ok(Told::Refused { .. })));
    assert!(matches!(told.recv_timeout(PATIENCE), Ok(Told::Died)));
    (0..10).for_each(|key| keeper.keep(write(key, "v")));
    assert!(keeper.shared.pending().records.is_empty());
    assert!(outcome(&keeper, Moment::NEVER).recv_timeout(PATIENCE).is_err());
    finish(keeper);
    assert!(told.try_iter().next().is_none());
    fs::remove_dir_all(path).unwrap();
}
