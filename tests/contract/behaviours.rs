//! What a cluster does, whatever carries it.

use crate::Cluster;

pub fn who_joins_knows_all_and_is_known_to_all<C: Cluster>() {
    let mut cluster = C::of(4, 5);
    cluster.start(4);
    cluster.until("the new one serves all, and all serve it", |cluster| {
        cluster.is_synced(4) && (0..5).all(|node| cluster.serves(4, node) && cluster.serves(node, 4))
    });
    for node in 0..5 {
        cluster.until("each sees four others alive", |cluster| {
            let members = cluster.members(node);
            members.len() == 4 && members.iter().all(|(_, health)| *health == "alive")
        });
    }
}

pub fn what_one_sets_all_serve_and_the_last_write_holds<C: Cluster>() {
    let mut cluster = C::of(5, 5);
    let all = |value: &'static str| {
        move |cluster: &mut C| (0..5).all(|node| cluster.value(node, "a").as_deref() == Some(value))
    };
    cluster.set(1, "a", Some("first"));
    cluster.until("all serve what was set", all("first"));
    cluster.set(3, "a", Some("second"));
    cluster.until("all serve what was set later, elsewhere", all("second"));
}

pub fn what_one_removes_nobody_serves<C: Cluster>() {
    let mut cluster = C::of(5, 5);
    for name in ["a", "b"] {
        cluster.set(0, name, Some("here"));
        cluster.until("all serve it", |cluster| (0..5).all(|node| cluster.value(node, name).is_some()));
    }
    cluster.set(4, "a", None);
    cluster.until("nobody serves it", |cluster| (0..5).all(|node| cluster.value(node, "a").is_none()));
    assert!((0..5).all(|node| cluster.value(node, "b").is_some()), "another record is gone, too");
}

pub fn an_owner_that_restarts_is_served_all_the_while<C: Cluster>() {
    let mut cluster = C::of(4, 4);
    cluster.set(2, "a", Some("kept"));
    cluster.until("all serve it", |cluster| (0..4).all(|node| cluster.value(node, "a").is_some()));
    cluster.stop(2);
    let others = |cluster: &mut C| {
        [0, 1, 3].into_iter().all(|node| cluster.serves(node, 2) && cluster.value(node, "a").is_some())
    };
    cluster.until("the others know that it restarts", |cluster| {
        assert!(others(cluster), "while it stops");
        [0, 1, 3].into_iter().all(|node| cluster.health(node, 2) == Some("restarting"))
    });
    cluster.during(C::LEASE / 3, "it is served while it is down", others);
    cluster.start(2);
    cluster.until("it is back and has what the cluster has", |cluster| {
        assert!(others(cluster), "while it starts");
        cluster.is_synced(2)
            && cluster.value(2, "a").as_deref() == Some("kept")
            && [0, 1, 3]
                .into_iter()
                .all(|node| cluster.health(node, 2) == Some("alive") && cluster.serves(2, node))
    });
    // Its lease counted from when it stopped; it is over now, and nobody may think of it.
    cluster.during(C::LEASE + C::LEASE / 3, "it is served after its old lease", others);
}

pub fn an_owner_that_leaves_is_served_no_more<C: Cluster>() {
    let mut cluster = C::of(4, 4);
    let began = cluster.now();
    cluster.leave(2);
    cluster.until("nobody serves who left", |cluster| {
        [0, 1, 3].into_iter().all(|node| !cluster.serves(node, 2))
    });
    assert!(cluster.since(began) < C::LEASE, "that was its lease: {:?}", cluster.since(began));
    assert_eq!(cluster.health(0, 2), Some("left"));
    assert!([0, 1, 3].into_iter().all(|node| cluster.serves(0, node)), "others are gone, too");
}

pub fn an_owner_that_crashes_is_served_until_its_lease_is_over<C: Cluster>() {
    let mut cluster = C::of(5, 5);
    cluster.crash(3);
    let others = [0, 1, 2, 4];
    // However it is noticed, the lease counts from then on.
    cluster.during(C::LEASE, "it is served for its lease", |cluster| {
        others.into_iter().all(|node| cluster.serves(node, 3))
    });
    cluster.until("nobody serves it", |cluster| others.into_iter().all(|node| !cluster.serves(node, 3)));
    assert_eq!(cluster.health(0, 3), Some("down"));
    cluster.start(3);
    cluster.until("it is served again", |cluster| others.into_iter().all(|node| cluster.serves(node, 3)));
    cluster.until("it is alive again", |cluster| cluster.health(0, 3) == Some("alive"));
}

pub fn who_joins_late_gets_a_state_that_only_a_stream_carries<C: Cluster>() {
    let mut cluster = C::of(2, 3);
    let name = |number: usize| format!("big{number}");
    let value = |number: usize| format!("{number}-").repeat(8_000);
    // One and a half megabytes, in records of which none fits into a datagram.
    for number in 0..60 {
        cluster.set(0, &name(number), Some(&value(number)));
    }
    cluster.start(2);
    cluster.until("the new one has all of it", |cluster| {
        cluster.is_synced(2) && (0..60).all(|number| cluster.value(2, &name(number)) == Some(value(number)))
    });
    assert!(cluster.serves(2, 0) && cluster.serves(2, 1));
}

pub fn who_has_not_the_key_neither_hears_nor_is_heard<C: Cluster>() {
    let mut cluster = C::of(3, 4);
    cluster.start_stranger(3);
    cluster.set(0, "a", Some("secret"));
    cluster.until("all serve it", |cluster| (0..3).all(|node| cluster.value(node, "a").is_some()));
    cluster.during(C::LEASE, "each side is alone", |cluster| {
        cluster.value(3, "a").is_none()
            && cluster.members(3).is_empty()
            && (0..3).all(|node| {
                cluster.members(node).len() == 2 && !cluster.serves(node, 3) && !cluster.serves(3, node)
            })
    });
}
