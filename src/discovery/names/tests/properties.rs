//! Whatever is said in whatever order: names are the same, and the same as made from nothing.

use crate::catalog::lease::OwnerId;
use crate::discovery::cluster;
use crate::discovery::cut::content::Changes;
use crate::discovery::endpoint::{Endpoint, Health, Withdrawn};
use crate::discovery::names::Terms;
use crate::discovery::names::tests::world::{With, World, composed, owner, plain, spec, task, terms};
use crate::discovery::node::Entry;
use crate::discovery::service::ServiceSpec;
use crate::wire::name::Name;
use crate::zone::plain;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that is said.
#[derive(Debug, Clone)]
enum Word {
    Put(Box<Endpoint>),
    Drop(OwnerId, String),
    Service(OwnerId, Box<ServiceSpec>),
    NoService(OwnerId, String),
    Task(OwnerId, String, bool),
    Node(OwnerId, String, u8),
    Forget(OwnerId),
    Gone(OwnerId, Option<u32>),
}

/// Names of few letters, so that many meet.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    let called = (
        prop::sample::select(vec!["", "a/", "b/", "web/"]),
        prop::sample::select(vec!["web", "all", "a", "1", "node", "Tasks"]),
        prop::option::of(1u8..4),
    );
    let networks =
        prop::collection::vec((prop::sample::select(vec!["x", "y", "br0", "ingress"]), 1u8..9), 0..3);
    let labels = prop::sample::select(vec![
        "",
        "",
        "enable=false",
        "name=web",
        "alias=web,b",
        "cname=a.example",
        "network=x",
        "txt.a=b order=fixed",
        "port.http=80",
        "publish-not-ready=true ttl=9",
    ]);
    let healths = [Health::None, Health::Starting, Health::Healthy, Health::Unhealthy];
    let reasons = [None, None, None, Some(Withdrawn::Stopping), Some(Withdrawn::Died)];
    let state = (prop::sample::select(healths.to_vec()), prop::sample::select(reasons.to_vec()), 0u8..4);
    ((1u64..4), called, networks, labels, state).prop_map(|(node, called, networks, labels, state)| {
        let (stack, short, slot) = called;
        let (node, (health, withdrawn, kind)) = (format!("n{node}"), state);
        let networks: Vec<String> =
            networks.iter().map(|(network, host)| format!("{network}=10.0.0.{host}")).collect();
        let (networks, slot) = (networks.join(" "), slot.map_or(String::new(), |slot| format!(".{slot}")));
        let endpoint = match kind {
            0 => plain(&node, short, &networks),
            1 => {
                let project = if stack.is_empty() { "p/" } else { stack };
                composed(
                    &node,
                    &format!("{project}{short}{}", if slot.is_empty() { ".1" } else { &slot }),
                    &networks,
                )
            }
            _ => task(&node, &format!("{stack}{short}{slot}"), &networks),
        };
        Endpoint { withdrawn, ..endpoint.with(labels).health(health).port(81) }
    })
}

fn word() -> impl Strategy<Value = Word> {
    let service = (1u64..4, prop::sample::select(vec!["a/web", "web", "b/all"]), 1u64..3, any::<bool>());
    let spec = service.prop_map(|(owner, called, version, vip)| {
        let text = if vip { "vip=true alias=a" } else { "txt.x=y" };
        let spec = spec(called, "x=10.0.0.200", &["b"], text);
        (OwnerId(owner), ServiceSpec { version, ..spec })
    });
    prop_oneof![
        8 => endpoint().prop_map(|endpoint| Word::Put(Box::new(endpoint))),
        2 => endpoint().prop_map(|endpoint| Word::Drop(owner(&endpoint.node), endpoint.id)),
        3 => spec.clone().prop_map(|(owner, spec)| Word::Service(owner, Box::new(spec))),
        1 => spec.prop_map(|(owner, spec)| Word::NoService(owner, spec.id)),
        2 => (1u64..4, endpoint(), any::<bool>()).prop_map(|(owner, endpoint, withdrawn)| {
            Word::Task(OwnerId(owner), endpoint.task.map_or("t".into(), |task| task.id), withdrawn)
        }),
        1 => (1u64..4, prop::sample::select(vec!["web", "n1", "N.2"]), 0u8..3)
            .prop_map(|(owner, name, host)| Word::Node(OwnerId(owner), name.into(), host)),
        1 => (1u64..4).prop_map(|owner| Word::Forget(OwnerId(owner))),
        2 => (1u64..4, prop::sample::select(vec![None, Some(5), Some(u32::MAX)]))
            .prop_map(|(owner, ttl_max)| Word::Gone(OwnerId(owner), ttl_max)),
    ]
}

fn node_entry(host: u8) -> Option<Entry> {
    (host > 0).then(|| Entry::new([[192, 0, 2, host].into()]))
}

fn say(world: &mut World, word: &Word) {
    let names = &mut world.names;
    match word.clone() {
        Word::Put(endpoint) => names.put_endpoint(owner(&endpoint.node), *endpoint),
        Word::Drop(owner, id) => names.drop_endpoint(owner, &id),
        Word::Service(owner, spec) => names.put_service(owner, *spec),
        Word::NoService(owner, id) => names.drop_service(owner, &id),
        Word::Task(owner, id, withdrawn) => names.put_task(owner, &id, withdrawn),
        Word::Node(owner, name, host) => {
            let entry = node_entry(host);
            names.put_node(owner, entry.as_ref().map(|entry| (name.as_str(), entry)));
        }
        Word::Forget(owner) => {
            names.forget(owner);
            world.told.retain(|(.., teller), _| *teller != owner);
            world.content.forget(owner.0);
        }
        Word::Gone(owner, ttl_max) => names.set_gone(owner, ttl_max),
    }
}

/// What is still said after all these words: the last of each thing, of owners that were not forgotten since.
fn lasting(words: &[Word]) -> Vec<Word> {
    let mut last: BTreeMap<(u64, u8, String), Word> = BTreeMap::new();
    for word in words {
        let (owner, kind, id) = match word {
            Word::Put(endpoint) => (owner(&endpoint.node), 0, endpoint.id.clone()),
            Word::Drop(owner, id) => (*owner, 0, id.clone()),
            Word::Service(owner, spec) => (*owner, 1, spec.id.clone()),
            Word::NoService(owner, id) => (*owner, 1, id.clone()),
            Word::Task(owner, id, _) => (*owner, 2, id.clone()),
            Word::Node(owner, ..) => (*owner, 3, String::new()),
            Word::Gone(owner, _) => (*owner, 4, String::new()),
            Word::Forget(owner) => {
                last.retain(|(teller, ..), _| *teller != owner.0);
                continue;
            }
        };
        last.insert((owner.0, kind, id), word.clone());
    }
    let is_said = |word: &Word| match word {
        Word::Put(_) | Word::Service(..) => true,
        Word::Gone(_, ttl_max) => ttl_max.is_some(),
        Word::Task(.., withdrawn) => *withdrawn,
        Word::Node(.., host) => *host > 0,
        Word::Drop(..) | Word::NoService(..) | Word::Forget(_) => false,
    };
    last.into_values().filter(is_said).collect()
}

fn made_of(terms: &Terms, words: &[Word]) -> World {
    let mut world = World::new(terms.clone());
    words.iter().for_each(|word| say(&mut world, word));
    world.settle();
    world
}

fn lines(run: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    plain::records(run).map(|record| {
        let mut line = Vec::new();
        plain::write(&mut line, &record);
        line
    })
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (any::<bool>(), prop::sample::select(vec!["", "x"])).prop_map(|(fail_open, external)| Terms {
        fail_open,
        external: external.into(),
        ..terms()
    })
}

proptest! {
    #[test]
    fn names_are_the_same_in_whatever_order_they_are_said(
        terms in any_terms(),
        (words, shuffled) in prop::collection::vec(word(), 0..24)
            .prop_map(|words| lasting(&words))
            .prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle())),
    ) {
        let (a, b) = (made_of(&terms, &words), made_of(&terms, &shuffled));
        prop_assert_eq!(a.told, b.told);
        prop_assert_eq!(a.askers, b.askers);
    }

    #[test]
    fn names_that_follow_changes_are_those_made_from_nothing(
        terms in any_terms(),
        words in prop::collection::vec((word(), any::<bool>()), 0..40),
    ) {
        let mut world = World::new(terms.clone());
        let mut said = Vec::new();
        for (word, settles) in words {
            say(&mut world, &word);
            said.push(word);
            if settles {
                world.settle();
                let whole = made_of(&terms, &lasting(&said));
                prop_assert_eq!(&world.told, &whole.told);
                prop_assert_eq!(&world.askers, &whole.askers);
            }
        }
    }

    #[test]
    fn the_zone_for_other_servers_has_what_those_get_whom_nobody_knows(
        terms in any_terms(),
        words in prop::collection::vec((word(), any::<bool>()), 0..40),
    ) {
        let mut world = World::new(terms.clone());
        let (mut said, mut zone) = (Vec::new(), BTreeSet::new());
        for (word, settles) in words {
            say(&mut world, &word);
            said.push(word);
            if !settles {
                continue;
            }
            world.settle();
            let Changes { gone, come } = world.content.settle();
            for line in lines(&gone) {
                prop_assert!(zone.remove(&line));
            }
            for line in lines(&come) {
                prop_assert!(zone.insert(line));
            }
            let mut whole = Vec::new();
            world.content.write(&mut whole);
            prop_assert_eq!(&lines(&whole).collect::<BTreeSet<_>>(), &zone);
        }
        world.settle();
        world.content.settle();
        let mut other = made_of(&terms, &lasting(&said));
        other.content.settle();
        prop_assert_eq!(other.content.hash(), world.content.hash());
        let mut whole = Vec::new();
        world.content.write(&mut whole);
        let mut sets: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for record in plain::records(&whole) {
            let place = (Name::from_wire(record.owner).unwrap().to_string(), record.rtype.to_string());
            sets.entry(place).or_default().push(cluster::text(record.rtype, record.rdata));
        }
        // What is for those on one node alone has no place in it.
        for name in world.all().iter().filter(|name| !name.starts_with("local.")) {
            for rtype in ["A", "AAAA", "CNAME", "SRV", "PTR", "TXT", "MX"] {
                let told = world.ask("203.0.113.7", name, rtype);
                let told: BTreeSet<&str> = told.split(' ').filter(|word| !matches!(*word, "" | "|")).collect();
                let absolute = format!("{name}{}hive.internal.", if name.is_empty() { "" } else { "." });
                let has = sets.get(&(absolute, rtype.to_owned())).into_iter().flatten();
                let has: BTreeSet<&str> = has.flat_map(|text| text.split(' ')).collect();
                prop_assert_eq!(has, told, "{} {}", name, rtype);
            }
        }
    }

    #[test]
    fn an_asker_never_gets_an_address_of_a_network_that_it_is_not_in(
        words in prop::collection::vec(word(), 0..24),
    ) {
        let world = made_of(&terms(), &words);
        let networks = |network: &str| -> Vec<String> {
            let said = lasting(&words);
            let endpoints = said.iter().filter_map(|word| match word {
                Word::Put(endpoint) => Some(endpoint),
                _ => None,
            });
            let attached = endpoints.flat_map(|endpoint| &endpoint.networks);
            let here = attached.filter(|attached| attached.name == network);
            here.filter_map(|attached| attached.ipv4).map(|address| address.to_string()).collect()
        };
        let mut probe = plain("n1", "probe", "y=10.77.0.1");
        probe.labels.enable = Some(false);
        let mut world = world;
        world.put(probe);
        world.settle();
        let reachable = networks("y");
        for name in world.all() {
            for address in world.ask("10.77.0.1", &name, "A").split_whitespace().filter(|word| *word != "|") {
                prop_assert!(
                    reachable.iter().any(|known| known == address) || address.starts_with("192.0.2."),
                    "{name}: {address}"
                );
            }
        }
    }
}
