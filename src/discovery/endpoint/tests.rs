//! What is replicated of containers, services and tasks, as octets.

use crate::discovery::endpoint::{
    Attachment, ComposeRef, Endpoint, Health, NAMES_MAX, Port, Protocol, Reach, ServiceRef, TaskRef,
    Withdrawn,
};
use crate::discovery::entry::Poison;
use crate::discovery::fields::{TooLarge, VALUE_OCTETS_MAX};
use crate::discovery::labels::{Labels, Order};
use crate::discovery::service::{ServiceNetwork, ServiceSpec, TaskState};
use crate::wire::name::Name;
use proptest::prelude::*;
use std::net::IpAddr;

fn web() -> Endpoint {
    Endpoint {
        id: "0123".into(),
        name: "st_web.1.t1".into(),
        hostname: "h".into(),
        node: "n1".into(),
        service: Some(ServiceRef { id: "s1".into(), name: "st_web".into(), stack: Some("st".into()) }),
        task: Some(TaskRef { id: "t1".into(), slot: Some(1) }),
        networks: vec![Attachment {
            id: "net1".into(),
            name: "st_back".into(),
            reach: Reach::Swarm,
            ipv4: Some("10.0.1.2".parse().unwrap()),
            ..Attachment::default()
        }],
        ports: vec![Port { number: 80, protocol: Protocol::Tcp, name: None }],
        health: Health::Healthy,
        ..Endpoint::default()
    }
}

#[test]
fn the_layout_stays_as_it_is() {
    let value = web().value().unwrap();
    let parts: [&[u8]; 8] = [
        &[1],
        b"\x01\x00\x0bst_web.1.t1",
        b"\x02\x00\x01h",
        b"\x03\x00\x02n1",
        b"\x04\x00\x13\x01\x00\x02s1\x02\x00\x06st_web\x03\x00\x02st",
        b"\x05\x00\x0c\x01\x00\x02t1\x04\x00\x04\x00\x00\x00\x01",
        b"\x07\x00\x1c\x01\x00\x04net1\x02\x00\x07st_back\x05\x00\x01\x01\x06\x00\x04\x0a\x00\x01\x02",
        b"\x08\x00\x03\x00\x50\x06\x09\x00\x01\x02",
    ];
    assert_eq!(value, parts.concat());
    assert_eq!(web().key().unwrap(), b"e0123");
    assert_eq!(Endpoint::decode(b"e0123", &value), Ok(web()));

    let spec = ServiceSpec { id: "s1".into(), version: 7, name: "web".into(), ..ServiceSpec::default() };
    let value = spec.value().unwrap();
    assert_eq!(value, b"\x01\x01\x00\x08\0\0\0\0\0\0\0\x07\x02\x00\x03web");
    assert_eq!(ServiceSpec::decode(&spec.key().unwrap(), &value), Ok(spec));

    let task = TaskState { id: "t1".into(), withdrawn: true };
    assert_eq!((task.key().unwrap(), task.value()), (b"tt1".to_vec(), b"\x01\x01\x00\x01\x01".to_vec()));
    assert_eq!(TaskState::decode(b"tt1", &task.value()), Ok(task));
}

#[test]
fn what_a_later_program_adds_is_skipped() {
    let (key, later) = (web().key().unwrap(), b"\xf0\x00\x03new");
    let mut value = web().value().unwrap();
    value.extend_from_slice(later);
    assert_eq!(Endpoint::decode(&key, &value), Ok(web()));
    // Within a part as well.
    let inner = b"\x01\x05\x00\x0b\x01\x00\x02t1\xf0\x00\x03new";
    let task = Some(TaskRef { id: "t1".into(), slot: None });
    assert_eq!(Endpoint::decode(b"e1", inner).unwrap().task, task);
}

#[test]
fn foul_entries_are_refused() {
    let key = b"e1";
    let long = [&[1, 1, 1, 0][..], &[b'x'; 256]].concat();
    for (value, poison) in [
        (&[][..], Poison::Layout),
        (&[2], Poison::Version(2)),
        (&[1, 1], Poison::Layout),
        (&[1, 1, 0, 9, b'x'], Poison::Layout),
        (&[1, 2, 0, 1, b'x', 1, 0, 1, b'x'], Poison::NotCanonical),
        (&[1, 1, 0, 1, 0xff], Poison::Layout),
        (&[1, 9, 0, 1, 9], Poison::Layout),
        (&[1, 10, 0, 2, 1, 1], Poison::Layout),
        (&[1, 8, 0, 3, 0, 0, 6], Poison::NotCanonical),
        (&[1, 8, 0, 3, 0, 80, 6, 8, 0, 3, 0, 80, 6], Poison::NotCanonical),
        (&[1, 8, 0, 3, 0, 80, 7], Poison::Layout),
        (&long, Poison::NotCanonical),
    ] {
        assert_eq!(Endpoint::decode(key, value), Err(poison), "{value:?}");
    }
    for key in [&b""[..], b"e", b"s1", b"e\xff", &[b'e'; 257]] {
        assert_eq!(Endpoint::decode(key, &[1]), Err(Poison::Key), "{key:?}");
    }
}

#[test]
fn an_entry_that_is_too_large_is_told_with_its_size() {
    let mut endpoint = web();
    let long = |i: usize| format!("{}{i:03}", "x".repeat(250));
    endpoint.networks = (0..3)
        .map(|i| Attachment {
            id: long(i),
            names: (0..NAMES_MAX).map(long).collect(),
            ..Attachment::default()
        })
        .collect();
    let endpoint = endpoint.normalized();
    let Err(TooLarge { octets }) = endpoint.value() else { panic!("it is not too large") };
    assert!(octets > VALUE_OCTETS_MAX);
    let told = format!("it takes {octets} octets of at most 16384: use fewer labels or aliases");
    assert_eq!(TooLarge { octets }.to_string(), told);
}

#[test]
fn what_engines_say_in_any_order_and_length_has_one_form() {
    let network = |name: &str, names: &[&str]| Attachment {
        name: name.into(),
        names: names.iter().map(|name| (*name).into()).collect(),
        ..Attachment::default()
    };
    let port = |number| Port { number, protocol: Protocol::Tcp, name: None };
    let endpoint = Endpoint {
        name: "ä".repeat(200),
        networks: vec![network("b", &["y", "x", "", "y"]), network("a", &[]), network("b", &[])],
        ports: vec![port(80), port(0), port(443), port(80)],
        ..Endpoint::default()
    };
    let one = endpoint.normalized();
    assert_eq!(one.name, "ä".repeat(127));
    assert_eq!(one.networks, [network("a", &[]), network("b", &["x", "y"])]);
    assert_eq!(one.ports, [port(80), port(443)]);
    assert_eq!(one.clone().normalized(), one);
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._-]{0,12}"
}

fn port() -> impl Strategy<Value = Port> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    (1u16..99, protocol, prop::option::of("[a-z]{1,5}")).prop_map(|(number, protocol, name)| Port {
        number,
        protocol,
        name,
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    let name = || "[a-z]{1,9}";
    let flags = (any::<Option<bool>>(), any::<Option<bool>>(), any::<Option<bool>>());
    let named = (port(), name()).prop_map(|(port, name)| Port { name: Some(name), ..port });
    let lists = (
        prop::collection::vec(name(), 0..4),
        prop::collection::vec(named, 0..4),
        prop::collection::vec((name(), text()), 0..4),
        prop::collection::vec((any::<u16>(), name()), 0..3),
        prop::collection::vec(name(), 0..3),
    );
    let order = prop::option::of(prop::sample::select(Order::ALL.to_vec()));
    let others = (prop::option::of(name()), prop::option::of(0u32..99), any::<Option<u16>>(), order);
    (flags, lists, others, prop::option::of(name())).prop_map(|(flags, lists, others, cname)| {
        let host = |name: String| Name::parse(&format!("{name}.example.")).unwrap();
        let (enable, vip, publish_not_ready) = flags;
        let (aliases, ports, txt, mx, networks) = lists;
        let (name, ttl, weight, order) = others;
        let mx = mx.into_iter().map(|(preference, name)| (preference, host(name))).collect();
        let cname = cname.map(host);
        let labels = Labels {
            enable,
            name,
            aliases,
            vip,
            ttl,
            weight,
            ports,
            txt,
            cname,
            mx,
            networks,
            publish_not_ready,
            order,
        };
        labels.normalized()
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let reach = prop_oneof![Just(Reach::Local), Just(Reach::Swarm)];
    let network = (text(), text(), reach, any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>());
    let network = (network, prop::collection::vec(text(), 0..4)).prop_map(|(network, names)| {
        let (id, name, reach, ipv4, ipv6) = network;
        Attachment { id, name, reach, ipv4: ipv4.map(Into::into), ipv6: ipv6.map(Into::into), names }
    });
    let service = (text(), text(), prop::option::of(text())).prop_map(|(id, name, stack)| ServiceRef {
        id,
        name,
        stack,
    });
    let task = (text(), any::<Option<u32>>()).prop_map(|(id, slot)| TaskRef { id, slot });
    let compose = (text(), text(), any::<Option<u32>>()).prop_map(|(project, service, number)| ComposeRef {
        project,
        service,
        number,
    });
    let healths = [Health::None, Health::Starting, Health::Healthy, Health::Unhealthy];
    let reasons = [Withdrawn::Stopping, Withdrawn::Died, Withdrawn::Paused, Withdrawn::Drained];
    let states =
        (prop::sample::select(healths.to_vec()), prop::option::of(prop::sample::select(reasons.to_vec())));
    let refs = (prop::option::of(service), prop::option::of(task), prop::option::of(compose));
    let lists = (prop::collection::vec(network, 0..4), prop::collection::vec(port(), 0..4));
    let texts = ("[a-f0-9]{1,12}", text(), text(), text());
    (texts, refs, lists, states, labels()).prop_map(|(texts, refs, lists, states, labels)| {
        let ((id, name, hostname, node), (service, task, compose)) = (texts, refs);
        let ((networks, ports), (health, withdrawn)) = (lists, states);
        let endpoint = Endpoint {
            id,
            name,
            hostname,
            node,
            service,
            task,
            compose,
            networks,
            ports,
            health,
            withdrawn,
            labels,
        };
        endpoint.normalized()
    })
}

fn spec() -> impl Strategy<Value = ServiceSpec> {
    let network =
        (text(), text(), prop::collection::vec(text(), 0..3), prop::collection::vec(any::<IpAddr>(), 0..3))
            .prop_map(|(id, name, aliases, vips)| ServiceNetwork { id, name, aliases, vips });
    let lists = (prop::collection::vec(network, 0..3), prop::collection::vec(port(), 0..3));
    (("[a-z0-9]{1,9}", any::<u64>(), text(), prop::option::of(text())), lists, labels()).prop_map(
        |((id, version, name, stack), (networks, ports), labels)| {
            ServiceSpec { id, version, name, stack, labels, networks, ports }.normalized()
        },
    )
}

proptest! {
    #[test]
    fn an_endpoint_that_was_encoded_is_decoded(endpoint in endpoint()) {
        let (key, value) = (endpoint.key().unwrap(), endpoint.value().unwrap());
        prop_assert_eq!(Endpoint::decode(&key, &value), Ok(endpoint));
    }

    #[test]
    fn a_service_that_was_encoded_is_decoded(spec in spec()) {
        let (key, value) = (spec.key().unwrap(), spec.value().unwrap());
        prop_assert_eq!(ServiceSpec::decode(&key, &value), Ok(spec));
    }

    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(0u8..14, 0..60)) {
        let value = [&[1], &octets[..]].concat();
        if let Ok(endpoint) = Endpoint::decode(b"e1", &value) {
            prop_assert_eq!(endpoint.clone().normalized(), endpoint);
        }
        let _ = ServiceSpec::decode(b"s1", &value);
        let _ = TaskState::decode(b"t1", &value);
    }

    #[test]
    fn a_changed_octet_makes_nothing_panic(endpoint in endpoint(), at in any::<prop::sample::Index>(), octet: u8) {
        let (key, mut value) = (endpoint.key().unwrap(), endpoint.value().unwrap());
        let at = at.index(value.len());
        value[at] = octet;
        if let Ok(endpoint) = Endpoint::decode(&key, &value) {
            prop_assert_eq!(endpoint.clone().normalized(), endpoint);
        }
    }
}
