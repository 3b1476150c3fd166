//! Random networks, zones and addresses: what the cluster knows is told, and all else is as it is without the cluster.

use super::{Others, PTR, ZONE, name, put_zone, resolve, server_of, shown};
use crate::oracle::names;
use hivedns::base::network::{Network, NetworkError};
use hivedns::base::time::Moment;
use hivedns::catalog::delta::Delta;
use hivedns::wire::reverse::{name_of, zones_of};
use proptest::prelude::*;
use std::net::IpAddr;

/// Few addresses, so that many meet.
fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u8..3, 0u8..3, 0u8..3).prop_map(|(a, b, c)| IpAddr::from([10, a, b, c])),
        (0u16..3, 0u16..3).prop_map(|(a, b)| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, a, b])),
        (0u8..3).prop_map(|a| IpAddr::from([8, 8, 8, a])),
    ]
}

fn any_network() -> impl Strategy<Value = Network> {
    (any_address(), 0u8..4).prop_map(|(address, cut)| {
        let bits = if address.is_ipv4() { [32, 25, 16, 7] } else { [128, 127, 64, 9] }[usize::from(cut)];
        match Network::new(address, bits) {
            Ok(network) | Err(NetworkError::HostBits { network }) => network,
            Err(error) => panic!("{error}"),
        }
    })
}

proptest! {
    #[test]
    fn what_the_cluster_knows_is_told_and_all_else_is_as_without_it(
        known in prop::collection::btree_set(any_address(), 0..8),
        networks in prop::collection::vec(any_network(), 0..4),
        zones in prop::collection::btree_set(prop::sample::select(vec![
            "10.in-addr.arpa.", "1.10.in-addr.arpa.", "1.1.10.in-addr.arpa.", "in-addr.arpa.", "ip6.arpa.",
        ]), 0..3),
        ceded in prop::collection::btree_set(prop::sample::select(vec!["0.10.in-addr.arpa.", "2.0.10.in-addr.arpa."]), 0..2),
        synced in any::<bool>(),
        asked in prop::collection::vec((any_address(), 0usize..8), 1..12),
    ) {
        let mut with = server_of("", |origin| ["10.in-addr.arpa.", "d.f.ip6.arpa."].contains(&origin));
        for zone in &zones {
            put_zone(&mut with, zone, ZONE);
        }
        with.apply(Delta::Cede { suffixes: ceded.iter().map(|suffix| name(suffix)).collect() });
        with.apply(Delta::Synced(synced));
        let without = with.snapshot(Moment::START);
        with.apply(Delta::Reverse { networks: networks.clone() });
        for address in &known {
            let name = Some(name("known.hive.internal."));
            with.apply(Delta::PutAddress { address: *address, asker: None, name });
        }
        let with = with.snapshot(Moment::START);
        for (address, skip) in asked {
            // The name of an address, or one above it.
            let mut owner = name_of(address);
            let depth = skip.min(owner.label_count() - 3);
            (0..depth).for_each(|_| owner = owner.parent().unwrap());
            let is_covered = networks.iter().any(|network| {
                zones_of(network).iter().any(|zone| owner.is_at_or_below(zone))
            });
            let asked = owner.to_string();
            let got = resolve(&with, &asked, PTR, Others("", ""));
            let before = resolve(&without, &asked, PTR, Others("", ""));
            if is_covered && depth == 0 && known.contains(&address) {
                prop_assert_eq!(shown(&got), format!("aa NOERROR: {asked} 5 IN PTR known.hive.internal."));
                continue;
            }
            let has_any = known.iter().any(|known| networks.iter().any(|network| network.contains(*known)));
            if !is_covered || (synced && !has_any) || !before.sections[0].is_empty() {
                prop_assert_eq!(shown(&got), shown(&before), "{}", asked);
                continue;
            }
            match (before.rcode(), depth) {
                (0 | 3, 0) if !synced => prop_assert_eq!(shown(&got), "SERVFAIL:"),
                (0 | 3, 0) => {
                    prop_assert_eq!(got.rcode(), before.rcode());
                    prop_assert!(got.sections[1].iter().all(|record| record.ttl <= 2));
                }
                (3, _) => {
                    prop_assert_eq!((got.rcode(), got.sections[0].len()), (0, 0));
                    let soa = &got.sections[1][0];
                    prop_assert!(soa.rtype == 6 && names::is_within(owner.as_wire(), &soa.owner));
                }
                _ => prop_assert_eq!(shown(&got), shown(&before), "{}", asked),
            }
        }
    }
}
