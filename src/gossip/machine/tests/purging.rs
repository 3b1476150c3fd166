//! Tombstones of cluster-wide records: purged once all have acknowledged them, and what was removed stays so.

use super::*;
use crate::gossip::replication::cluster::Cluster;

fn cluster(net: &Net, n: usize) -> &Cluster {
    net.gossip(n).replication().cluster()
}

fn write(net: &mut Net, n: usize, key: &[u8], value: Option<&[u8]>) {
    net.with(n, |gossip, now| assert_eq!(gossip.write_cluster(now, key, value), ClusterWrite::Written));
}

/// What a node kept, by key.
fn disk(net: &Net, n: usize) -> BTreeMap<Bytes, Bytes> {
    let mut disk = BTreeMap::new();
    for event in &net.seats[n].events {
        match event {
            Event::Cluster { key, stored: Some(stored), .. } => disk.insert(key.clone(), stored.clone()),
            Event::Cluster { key, stored: None, .. } => disk.remove(key),
            _ => None,
        };
    }
    disk
}

#[test]
fn tombstones_go_when_all_have_acknowledged_and_not_while_one_is_lost() {
    let mut net = Net::new(21, 6, true);
    net.until_equal(Duration::from_secs(10));
    for n in 0..6u8 {
        write(&mut net, usize::from(n), &[n], Some(b"v"));
    }
    net.until_equal(Duration::from_secs(10));
    net.kill(3);
    net.run(Duration::from_secs(20));
    (0..4).for_each(|n| write(&mut net, 1, &[n], None));
    net.run(Duration::from_secs(1_300));
    assert!((0..6).filter(|n| *n != 3).all(|n| cluster(&net, n).tombstones() == 4));
    net.boot(3, 2);
    net.loss = 0.05;
    net.run(Duration::from_secs(700));
    for n in 0..6 {
        assert_eq!((cluster(&net, n).tombstones(), cluster(&net, n).len()), (0, 2), "node {n}");
        assert_eq!(cluster(&net, n).mark(), cluster(&net, 0).mark());
        assert_eq!(cluster(&net, n).hash(), cluster(&net, 0).hash());
        // The two that are left, and the mark.
        assert_eq!(disk(&net, n).len(), 3, "node {n}");
    }
}

#[test]
fn who_was_away_for_longer_brings_nothing_back_and_loses_nothing_of_its_own() {
    for restarts in [true, false] {
        let mut net = Net::new(22, 6, true);
        net.until_equal(Duration::from_secs(10));
        write(&mut net, 4, b"gone", Some(b"1"));
        write(&mut net, 2, b"kept", Some(b"1"));
        net.until_equal(Duration::from_secs(10));
        net.run(Duration::from_secs(30));
        net.side[4] = 1;
        write(&mut net, 4, b"unseen", Some(b"2"));
        net.run(Duration::from_secs(20));
        let kept = disk(&net, 4);
        let id = net.gossip(4).me().id;
        if restarts {
            net.kill(4);
        }
        net.with(0, |gossip, now| assert!(gossip.force_leave(now, id)));
        write(&mut net, 1, b"gone", None);
        (0..20).for_each(|n| write(&mut net, 1, b"kept", Some(&[n])));
        net.run(Duration::from_secs(1_300));
        assert_eq!((cluster(&net, 0).tombstones(), cluster(&net, 0).len()), (0, 1));
        net.side[4] = 0;
        if restarts {
            net.seats[4].events.clear();
            net.boot(4, 2);
            net.with(4, |gossip, now| {
                kept.values().for_each(|stored| assert!(gossip.restore_cluster(now, stored)));
            });
        }
        net.run(Duration::from_secs(120));
        net.until_equal(Duration::from_secs(60));
        for n in 0..6 {
            assert_eq!(cluster(&net, n).get(b"gone"), None, "node {n}, restarts {restarts}");
            assert_eq!(cluster(&net, n).get(b"unseen").map(Bytes::as_ref), Some(&b"2"[..]));
            assert_eq!(cluster(&net, n).get(b"kept").map(Bytes::as_ref), Some(&[19][..]));
        }
        let replaced = |event: &Event| matches!(event, Event::ClusterReplaced { again: 1, dropped: 1 });
        assert!(net.seats[4].events.iter().any(replaced), "restarts {restarts}");
        assert!(!disk(&net, 4).contains_key(&b"gone"[..]));
    }
}

#[test]
fn a_large_table_of_cluster_wide_records_becomes_equal_by_what_differs() {
    let mut net = Net::new(23, 2, false);
    net.until_equal(Duration::from_secs(10));
    for n in 0..20_000u32 {
        write(&mut net, 0, &n.to_be_bytes(), Some(&[7; 40]));
    }
    net.until_equal(Duration::from_secs(60));
    net.run(Duration::from_secs(5));
    let streamed = net.gossip(1).traffic().streamed;
    let received = net.gossip(1).traffic().received;
    // Everything said meanwhile is lost.
    net.loss = 1.0;
    write(&mut net, 0, b"missed", Some(b"1"));
    net.run(Duration::from_secs(1));
    net.loss = 0.0;
    net.until_equal(Duration::from_secs(30));
    // One probe over a stream, because nothing was heard.
    let streamed = net.gossip(1).traffic().streamed - streamed;
    assert!(streamed < 1024, "{streamed} octets");
    let took = net.gossip(1).traffic().received - received;
    assert!(took < 32 * 1024, "{took} octets");
    // More than one comparison sends, and still no reason to fetch the whole table.
    let streamed = net.gossip(1).traffic().streamed;
    net.loss = 1.0;
    for n in (0..20_000u32).step_by(40) {
        write(&mut net, 0, &n.to_be_bytes(), Some(&[8; 40]));
    }
    net.run(Duration::from_secs(1));
    net.loss = 0.0;
    net.until_equal(Duration::from_secs(30));
    let streamed = net.gossip(1).traffic().streamed - streamed;
    assert!(streamed < 1024, "{streamed} octets");
}
