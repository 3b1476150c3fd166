//! Queries that wait more than once, because what they waited for leads on.

use super::*;
use crate::catalog::delta::{Delta, ZoneContent};
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::place_in;
use crate::zone::seal::seal;
use crate::zone::sink::{self, RecordSink};

/// `own.`, in which `one` is an alias for `a.test.` and `two` for `b.test.`
fn own_zone() -> State {
    let (mut state, own) = (State::new(seed(), 4), name("own."));
    let mut draft = ZoneDraft::new(&own, seed());
    let (soa, a, b) = ([own.as_wire(), own.as_wire(), &[0; 20]].concat(), name("a.test."), name("b.test."));
    for (owner, rtype, rdata) in [
        ("own.", RecordType::SOA, &soa[..]),
        ("own.", RecordType::NS, own.as_wire()),
        ("own.", RecordType::A, &[192, 0, 2, 3]),
        ("one.own.", RecordType::CNAME, a.as_wire()),
        ("two.own.", RecordType::CNAME, b.as_wire()),
    ] {
        let owner = name(owner);
        draft.record(sink::Record { owner: owner.as_wire(), rtype, ttl: 5, rdata }, &place_in("test", 1, 1));
    }
    let content = ZoneContent::Sealed(Arc::new(seal(draft).0.unwrap()));
    state.apply(Delta::PutZone { origin: own, content });
    state
}

#[test]
fn an_answer_of_two_hops_of_which_nothing_is_kept_costs_one_question_each() {
    let (upstream, client) = (socket(1), socket(1));
    for (keeps, ttl) in [(true, 0), (false, 60)] {
        let way = Way::Forward(vec![upstream.local_addr().unwrap()]);
        let mut policy = policy(way, CAPS);
        policy.keeps = keeps;
        let mut stage = Stage::with(policy, own_zone());
        stage.ask(&client, &name("one.own."), 0);
        let (a, b, two) = (name("a.test."), name("b.test."), name("two.own."));
        for (expected, rtype, rdata) in
            [(&a, RecordType::CNAME, two.as_wire()), (&b, RecordType::A, &[192, 0, 2, 1][..])]
        {
            let asked = asked(&mut stage, &upstream);
            let [(name, query, from)] = &asked[..] else { panic!("{expected}: {asked:?}") };
            assert_eq!(name, expected, "{keeps}");
            reply(&upstream, (query, *from), (rtype, ttl, rdata));
            stage.hear();
        }
        let answers = told(&client);
        assert_eq!(
            answers.iter().map(|(code, _, records)| (*code, records.len())).collect::<Vec<_>>(),
            [(0, 4)]
        );
        assert_eq!(asked(&mut stage, &upstream), []);
    }
}

#[test]
fn a_query_that_leads_from_one_slow_name_to_the_next_ends_in_the_time_of_one() {
    let (upstream, clients) = (socket(1), [socket(1), socket(1)]);
    let way = Way::Forward(vec![upstream.local_addr().unwrap()]);
    let mut stage = Stage::with(policy(way, CAPS), own_zone());
    stage.ask(&clients[0], &name("one.own."), 0);
    let first = asked(&mut stage, &upstream);
    (0..29).for_each(|_| stage.advance(100));
    asked(&mut stage, &upstream);
    reply(&upstream, (&first[0].1, first[0].2), (RecordType::CNAME, 60, name("two.own.").as_wire()));
    stage.hear();
    let second = asked(&mut stage, &upstream);
    assert_eq!(second[0].0, name("b.test."));
    // Who comes later has a time of its own.
    stage.advance(500);
    stage.ask(&clients[1], &name("one.own."), 0);
    stage.advance(40);
    assert!(told(&clients[0]).is_empty());
    stage.advance(60);
    let codes = |client: &UdpSocket| told(client).into_iter().map(|(code, ..)| code).collect::<Vec<_>>();
    assert_eq!((codes(&clients[0]), codes(&clients[1])), (vec![Rcode::ServFail as u8], vec![]));
    reply(&upstream, (&second[0].1, second[0].2), (RecordType::A, 60, &[192, 0, 2, 1]));
    stage.hear();
    assert_eq!((codes(&clients[0]), codes(&clients[1])), (vec![], vec![0]));
}
