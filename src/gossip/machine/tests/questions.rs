//! Asking members what this node does not know.

use super::*;
use crate::gossip::frame::write;

fn met(seed: u64, nodes: usize) -> Net {
    let mut net = Net::new(seed, nodes, true);
    net.until_equal(Duration::from_secs(60));
    net
}

/// What a node was asked since it was looked at last.
fn asked(net: &mut Net, n: usize) -> Vec<(NodeId, u64, Bytes)> {
    let of = |event: &Event| match event {
        Event::Asked { by, number, question } => Some((*by, *number, question.clone())),
        _ => None,
    };
    let asked = net.seats[n].events.iter().filter_map(of).collect();
    net.seats[n].events.retain(|event| !matches!(event, Event::Asked { .. }));
    asked
}

/// What became of a node's questions.
fn known(net: &Net, n: usize) -> Vec<(u64, Option<Bytes>)> {
    let of = |event: &Event| match event {
        Event::Known { number, answer } => Some((*number, answer.clone())),
        _ => None,
    };
    net.seats[n].events.iter().filter_map(of).collect()
}

/// Lets time pass; these nodes answer at once, by their number. Who was asked, and when first.
fn run(net: &mut Net, span: Duration, knowing: &[usize]) -> BTreeMap<usize, Moment> {
    let (end, mut heard) = (net.now + span, BTreeMap::new());
    while net.now < end {
        net.run(ms(1));
        for n in 0..net.seats.len() {
            for (by, number, question) in asked(net, n) {
                heard.entry(n).or_insert(net.now);
                let answer = if knowing.contains(&n) { [&question[..], &[n as u8]].concat() } else { vec![] };
                net.with(n, |gossip, now| gossip.answer_member(now, by, number, &answer));
            }
        }
    }
    heard
}

#[test]
fn three_members_are_asked_and_the_first_that_knows_is_heard() {
    let mut net = met(61, 9);
    let number = net.with(4, |gossip, now| gossip.ask_members(now, b"where")).unwrap();
    let heard = run(&mut net, ms(50), &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert!(!heard.contains_key(&4));
    let known = known(&net, 4);
    assert_eq!(known.len(), 1);
    let (told, answer) = (known[0].0, known[0].1.as_deref().unwrap());
    assert_eq!((told, &answer[..5]), (number, &b"where"[..]));
    assert!(heard.contains_key(&usize::from(answer[5])));
    assert_eq!(net.gossip(4).questions.next(), Moment::NEVER);
}

#[test]
fn others_are_asked_after_200_milliseconds_and_nobody_any_more_after_a_second() {
    let mut net = met(62, 10);
    let began = net.now;
    let number = net.with(0, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    let heard = run(&mut net, ms(990), &[]);
    assert_eq!(known(&net, 0), []);
    // Three times three are all the others.
    let rounds = |from, to| heard.values().filter(|at| (ms(from)..ms(to)).contains(&(**at - began))).count();
    assert_eq!((rounds(0, 10), rounds(200, 210), rounds(400, 410)), (3, 3, 3), "{heard:?}");
    run(&mut net, ms(20), &[]);
    assert_eq!(known(&net, 0), [(number, None)]);
    assert_eq!(net.gossip(0).questions.next(), Moment::NEVER);
    // Somebody knows in the end.
    net.with(0, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    run(&mut net, ms(700), &[8]);
    assert_eq!(known(&net, 0).last().unwrap().1.as_deref(), Some(&b"?\x08"[..]));
}

#[test]
fn a_lost_datagram_costs_200_milliseconds() {
    let mut net = met(63, 2);
    net.side[1] = 1;
    net.with(1, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    run(&mut net, ms(100), &[0]);
    net.side[1] = 0;
    assert_eq!(known(&net, 1), []);
    run(&mut net, ms(110), &[0]);
    assert_eq!(known(&net, 1)[0].1.as_deref(), Some(&b"?\0"[..]));
}

#[test]
fn only_who_was_asked_can_answer_and_only_by_the_number() {
    let mut net = met(64, 20);
    let number = net.with(0, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    net.run(ms(10));
    let (were, others): (Vec<usize>, Vec<usize>) = (1..20).partition(|n| !asked(&mut net, *n).is_empty());
    let me = net.gossip(0).me().id;
    for n in others {
        net.with(n, |gossip, now| gossip.answer_member(now, me, number, b"forged"));
    }
    net.with(were[0], |gossip, now| gossip.answer_member(now, me, number.wrapping_add(1), b"forged"));
    net.run(ms(10));
    assert_eq!(known(&net, 0), []);
    for n in &were {
        net.with(*n, |gossip, now| gossip.answer_member(now, me, number, b"true"));
    }
    net.run(ms(10));
    assert_eq!(known(&net, 0), [(number, Some(Bytes::from_static(b"true")))]);
}

#[test]
fn questions_are_bounded_and_need_somebody_to_be_asked() {
    let mut net = met(65, 2);
    let long = [7; QUESTION_OCTETS_MAX + 1];
    net.with(0, |gossip, now| {
        assert_eq!((gossip.ask_members(now, b""), gossip.ask_members(now, &long)), (None, None));
        for _ in 0..QUESTIONS_MAX {
            assert!(gossip.ask_members(now, &long[1..]).is_some());
        }
        assert_eq!(gossip.ask_members(now, b"?"), None);
    });
    run(&mut net, Duration::from_secs(2), &[1]);
    let known = known(&net, 0);
    assert!(known.len() == QUESTIONS_MAX && known.iter().all(|(_, answer)| answer.is_some()));
    net.kill(1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.with(0, |gossip, now| gossip.ask_members(now, b"?")), None);
}

#[test]
fn who_asks_too_much_keeps_nobody_else_from_asking() {
    let mut net = met(66, 4);
    let (flooding, honest) = (net.gossip(1).me().id, net.gossip(2).me().id);
    let body = |number: u64| [&number.to_le_bytes()[..], b"?"].concat();
    let now = net.now;
    net.with(0, |gossip, _| {
        for number in 0..10_000 {
            gossip.hear_question(now, flooding, &body(number)).unwrap();
        }
        gossip.hear_question(now, honest, &body(1)).unwrap();
    });
    let heard = asked(&mut net, 0);
    assert_eq!(heard.iter().filter(|(by, ..)| *by == flooding).count(), 128);
    assert_eq!(heard.iter().filter(|(by, ..)| *by == honest).count(), 1);
    net.with(0, |gossip, _| {
        for number in 0..10_000 {
            gossip.hear_question(now + ms(10), NodeId(number % 64), &body(number)).unwrap();
        }
    });
    assert_eq!(asked(&mut net, 0).len(), 256);
}

#[test]
fn an_answer_is_as_long_as_a_datagram_and_no_longer() {
    let mut net = met(67, 2);
    for _ in 0..2 {
        let number = net.with(0, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
        net.run(ms(10));
        let me = net.gossip(0).me().id;
        // The network of these tests holds datagrams against their bound.
        let answer = vec![9; net.gossip(1).answer_octets_max()];
        let longer = [&answer[..], &[9]].concat();
        net.with(1, |gossip, now| gossip.answer_member(now, me, number, &longer));
        net.run(ms(10));
        assert!(known(&net, 0).iter().all(|(told, _)| *told != number));
        net.with(1, |gossip, now| gossip.answer_member(now, me, number, &answer));
        net.run(ms(10));
        assert_eq!(known(&net, 0).last().unwrap(), &(number, Some(answer.into())));
        net.with(1, |gossip, _| gossip.shrink_datagrams());
    }
}

#[test]
fn what_is_no_question_and_no_answer_changes_nothing() {
    let mut net = met(68, 2);
    let from = net.gossip(1).me().id;
    let long = [0; 8 + QUESTION_OCTETS_MAX + 1];
    net.with(0, |gossip, now| {
        for body in [&[][..], &[1; 7], &[1; 8], &long] {
            assert!(gossip.hear_question(now, from, body).is_err(), "{body:?}");
        }
        for body in [&[][..], &[1; 7]] {
            assert!(gossip.hear_known(from, body).is_err(), "{body:?}");
        }
    });
    assert!(asked(&mut net, 0).is_empty());
}

/// As a version that has no such frames sees them.
#[test]
fn an_older_member_passes_a_question_over_and_hears_what_stands_behind() {
    let mut net = met(69, 3);
    let (from, address) = (net.gossip(1).me().id, net.gossip(1).me().address);
    let mut frames = Vec::new();
    write(&mut frames, Kind::Question, &[&5u64.to_le_bytes()[..], b"?"].concat());
    // The next kinds, of a version to come.
    let unknown = [16 + Kind::ALL.len() as u8, 17 + Kind::ALL.len() as u8];
    let mut later = frames.clone();
    later[0] = unknown[0];
    frames.extend([unknown[1], 3, 1, 2, 3]);
    let peer = Peer { id: from, boot: net.gossip(1).me().boot };
    let strange = |net: &Net| net.gossip(0).traffic().strange;
    let before = strange(&net);
    net.with(0, |gossip, now| gossip.hear(now, peer, address, &[&later[..], &frames[..]].concat()));
    assert_eq!(strange(&net) - before, 2);
    assert_eq!(asked(&mut net, 0), [(from, 5, Bytes::from_static(b"?"))]);
}

#[test]
fn who_has_just_started_keeps_questions_for_the_first_that_it_meets() {
    let mut net = met(70, 3);
    net.kill(1);
    net.run(Duration::from_secs(2));
    net.boot(1, 2);
    assert_eq!(net.gossip(1).membership().alive(), 0);
    net.with(1, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    let heard = run(&mut net, ms(100), &[0, 2]);
    assert!(!heard.is_empty());
    assert_eq!(known(&net, 1).len(), 1);
    assert_eq!(known(&net, 1)[0].1.as_deref().map(|answer| answer[0]), Some(b'?'));
}

#[test]
fn who_meets_nobody_says_so_a_second_later_and_from_then_on_at_once() {
    let mut net = met(71, 2);
    net.kill(0);
    net.kill(1);
    net.boot(1, 2);
    let number = net.with(1, |gossip, now| gossip.ask_members(now, b"?")).unwrap();
    run(&mut net, ms(990), &[]);
    assert_eq!(known(&net, 1), []);
    run(&mut net, ms(20), &[]);
    assert_eq!(known(&net, 1), [(number, None)]);
    assert_eq!(net.with(1, |gossip, now| gossip.ask_members(now, b"?")), None);
}
