//! Many questions: bounds of tables, and how ports and ids are spread.

use super::script::respond;
use super::{CAPS, address, lots};
use crate::base::time::Moment;
use crate::resolve::forward::{Forward, Full, Output, QUESTION_LIFE, QUESTIONS_MAX};
use crate::resolve::loops::Loops;
use crate::resolve::pending::QUESTIONS_OF_CLIENT_MAX;
use crate::resolve::question::{Question, Wants};
use crate::wire::rtype::RecordType;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const NAME: &[u8] = b"\x03www\x07example\0";

fn question() -> Question<'static> {
    Question::new(NAME, 0, RecordType::A, Wants::default())
}

/// From which slot, to whom, what.
type Sent = (u16, SocketAddr, Vec<u8>);

/// What it sends until it waits, and how many questions ended well and badly.
fn drain(forward: &mut Forward) -> (Vec<Sent>, [usize; 2]) {
    let (mut sent, mut ended) = (Vec::new(), [0, 0]);
    loop {
        match forward.poll() {
            Output::Send { port, to, octets, .. } => sent.push((port, to, octets.to_vec())),
            Output::Answered { .. } => ended[0] += 1,
            Output::Failed { .. } => ended[1] += 1,
            Output::Renew { .. } | Output::Stream { .. } => {}
            Output::Wake(_) | Output::Idle => return (sent, ended),
        }
    }
}

#[test]
fn upstreams_that_lead_back_are_not_asked_for_names_of_their_suffix() {
    let (both, one) = (vec![address(1), address(2)], vec![address(1)]);
    let groups = [both.clone(), one.clone()];
    let loops = Arc::new(Loops::new([(&b"\0"[..], 0, &both[..]), (b"\x07example\0", 1, &one)]));
    let mut forward = Forward::new(&groups, 64, CAPS, lots(5));
    forward.set_loops(Arc::clone(&loops));
    let mut asked = |loops_of_lines: &[usize], group: usize| {
        (0..3).for_each(|line| loops.mark_line(line, loops_of_lines.contains(&line)));
        forward.ask(Moment::from_micros(1), 9, group, &question()).unwrap();
        let (sent, [_, failed]) = drain(&mut forward);
        forward.cancel(9);
        (sent.into_iter().map(|(_, to, _)| to).collect::<Vec<_>>(), failed == 1)
    };
    assert_eq!(asked(&[0], 0), (vec![address(2)], false));
    assert_eq!(asked(&[1], 0), (vec![address(1)], false));
    // For one suffix it leads back, for the other not.
    assert_eq!(asked(&[0, 1], 1), (vec![address(1)], false));
    // Nobody is left: that is known at once.
    assert_eq!(asked(&[0, 1], 0), (vec![], true));
    assert_eq!(asked(&[2], 1), (vec![], true));
    assert_eq!(asked(&[], 1), (vec![address(1)], false));
}

#[test]
fn a_question_that_nobody_may_be_asked_takes_nothing_from_one_on_its_way() {
    let groups = [vec![address(1)], vec![address(2)]];
    let loops = Arc::new(Loops::new([(&b"\0"[..], 0, &groups[0][..]), (b"\x07example\0", 1, &groups[1])]));
    let mut forward = Forward::new(&groups, 64, CAPS, lots(6));
    forward.set_loops(Arc::clone(&loops));
    loops.mark_line(1, true);
    let begun = Moment::from_micros(1);
    forward.ask(begun, 1, 0, &question()).unwrap();
    assert_eq!(drain(&mut forward).0.len(), 1);
    forward.ask(begun, 2, 1, &question()).unwrap();
    assert_eq!(drain(&mut forward), (vec![], [0, 1]));
    // Its packet was lost: it is asked again, and fails in its time.
    let (mut packets, mut failed) = (0, None);
    while failed.is_none() {
        match forward.poll() {
            Output::Send { octets, .. } => packets += usize::from(octets[12] != 0),
            Output::Failed { ticket, .. } => failed = Some(ticket),
            Output::Wake(wake) => {
                assert!(wake <= begun + QUESTION_LIFE, "{wake:?}");
                forward.handle_timeout(wake);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((packets, failed), (2, Some(1)));
}

#[test]
fn of_300_queries_all_ports_and_nearly_all_ids_are_distinct_and_in_no_order() {
    let mut forward = Forward::new(&[vec![address(1)]], 640, CAPS, lots(1));
    let mut drawn: Vec<(u16, u16)> = Vec::new();
    let mut renewals = 0;
    for ticket in 0..6_000 {
        let now = Moment::from_micros(u64::from(ticket) * 1_000);
        forward.ask(now, ticket, 0, &question()).unwrap();
        let (sent, _) = drain(&mut forward);
        let (port, to, octets) = &sent[0];
        drawn.push((*port, u16::from_be_bytes([octets[0], octets[1]])));
        forward.handle_datagram(now, *port, *to, &respond(octets, 0, &["www.example. 60 A 192.0.2.1"], &[]));
        loop {
            match forward.poll() {
                Output::Renew { port: renewed } => {
                    assert_eq!(renewed, *port);
                    renewals += 1;
                }
                Output::Wake(_) | Output::Idle => break,
                _ => {}
            }
        }
    }
    assert!(renewals < 6_000 / 32, "{renewals}");
    for window in drawn.windows(300).step_by(50) {
        let ports: HashSet<u16> = window.iter().map(|(port, _)| *port).collect();
        let ids: HashSet<u16> = window.iter().map(|(_, id)| *id).collect();
        assert!(ports.len() == 300 && ids.len() >= 294, "{} {}", ports.len(), ids.len());
    }
    // Each step up or down is about as likely, and neighbours are rare.
    let rising = drawn.windows(2).filter(|pair| pair[0].0 < pair[1].0).count();
    let neighbours = drawn.windows(2).filter(|pair| pair[0].0.abs_diff(pair[1].0) == 1).count();
    assert!((2_800..3_200).contains(&rising) && neighbours < 60, "{rising} {neighbours}");
}

#[test]
fn without_lots_nothing_is_sent_and_the_question_fails_in_its_time() {
    let lots = crate::resolve::lots::Lots::new(|| None);
    let mut forward = Forward::new(&[vec![address(1)]], 4, CAPS, lots);
    let mut now = Moment::START;
    forward.ask(now, 1, 0, &question()).unwrap();
    loop {
        match forward.poll() {
            Output::Wake(wake) => {
                now = wake;
                forward.handle_timeout(now);
            }
            Output::Failed { ticket, .. } => {
                break assert_eq!((ticket, now), (1, Moment::START + QUESTION_LIFE));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_group_without_upstreams_fails_at_once() {
    let mut forward = Forward::new(&[vec![]], 4, CAPS, lots(1));
    for group in [0, 1] {
        forward.ask(Moment::START, 1, group, &question()).unwrap();
        assert!(matches!(forward.poll(), Output::Failed { ticket: 1, error: Some(_), .. }));
        assert!(matches!(forward.poll(), Output::Idle));
    }
}

#[test]
fn questions_to_a_dead_group_keep_no_other_group_waiting() {
    let groups = [vec![address(1), address(2)], vec![address(3)]];
    let mut forward = Forward::new(&groups, 64, CAPS, lots(2));
    let mut now = Moment::START;
    let (mut ticket, mut failed, mut asked) = (0, 0, 0);
    // As many as one client may have, again and again, and every 10 ms one for who lives.
    for _ in 0..700 {
        now += Duration::from_millis(10);
        for _ in 0..20 {
            if asked - failed < QUESTIONS_OF_CLIENT_MAX {
                ticket += 1;
                asked += 1;
                forward.ask(now, ticket, 0, &question()).unwrap();
            }
        }
        forward.handle_timeout(now);
        failed += drain(&mut forward).1[1];
        ticket += 1;
        forward.ask(now, ticket, 1, &question()).unwrap();
        let (sent, _) = drain(&mut forward);
        let (port, to, octets) =
            sent.iter().find(|(_, to, _)| *to == address(3)).expect("it is sent at once");
        let answer = respond(octets, 0, &["www.example. 60 A 192.0.2.1"], &[]);
        forward.handle_datagram(now + Duration::from_millis(1), *port, *to, &answer);
        assert_eq!(drain(&mut forward).1, [1, 0]);
    }
    now += QUESTION_LIFE;
    forward.handle_timeout(now);
    failed += drain(&mut forward).1[1];
    assert_eq!(failed, asked);
}

#[test]
fn beyond_the_bound_no_question_is_taken_until_one_ends() {
    let mut forward = Forward::new(&[vec![address(1)]], 64, CAPS, lots(3));
    let mut taken = 0;
    while forward.ask(Moment::START, taken, 0, &question()).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, u32::from(QUESTIONS_MAX));
    assert_eq!(drain(&mut forward).0.len(), usize::from(QUESTIONS_MAX));
    forward.cancel(17);
    assert_eq!(forward.ask(Moment::START, 9_999, 0, &question()), Ok(()));
    assert_eq!(forward.ask(Moment::START, 9_999, 0, &question()), Err(Full));
}

/// Does what is due until `end`; what was sent.
fn pass(forward: &mut Forward, end: Moment) -> Vec<Sent> {
    let mut sent = Vec::new();
    loop {
        match forward.poll() {
            Output::Send { port, to, octets, .. } => sent.push((port, to, octets.to_vec())),
            Output::Wake(wake) if wake <= end => forward.handle_timeout(wake),
            Output::Wake(_) | Output::Idle => return sent,
            _ => {}
        }
    }
}

#[test]
fn if_all_are_dead_two_are_asked_nevertheless_and_an_answer_brings_its_sender_back() {
    let mut forward = Forward::new(&[vec![address(1), address(2), address(3)]], 64, CAPS, lots(4));
    forward.ask(Moment::START, 1, 0, &question()).unwrap();
    let mut now = Moment::START + Duration::from_secs(20);
    let sent = pass(&mut forward, now);
    assert!(forward.counters().all(|counters| counters.dead.get() == 1 && counters.deaths.get() == 1));
    // Probed about once a second each, from the first moment on.
    let probes = sent.iter().filter(|(.., octets)| octets[12] == 0).count();
    assert!((45..70).contains(&probes), "{probes}");
    forward.ask(now, 2, 0, &question()).unwrap();
    let asked: Vec<Sent> = pass(&mut forward, now + Duration::from_secs(2))
        .into_iter()
        .filter(|(.., octets)| octets[12] != 0)
        .collect();
    let distinct: HashSet<SocketAddr> = asked.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(distinct.len(), 2);
    let (port, to, octets) = &asked[0];
    now += Duration::from_secs(2);
    forward.handle_datagram(now, *port, *to, &respond(octets, 0, &["www.example. 60 A 192.0.2.1"], &[]));
    assert_eq!(drain(&mut forward).1, [1, 0]);
    let dead = forward.counters().filter(|counters| counters.dead.get() == 1).count();
    assert_eq!(dead, 2);
}

#[test]
fn a_dead_upstream_that_comes_back_with_a_reload_is_probed_at_once() {
    let groups = [vec![address(1)]];
    let mut forward = Forward::new(&groups, 64, CAPS, lots(7));
    forward.ask(Moment::START, 1, 0, &question()).unwrap();
    let mut now = Moment::START + Duration::from_secs(20);
    pass(&mut forward, now);
    assert!(forward.counters().all(|counters| counters.dead.get() == 1));
    forward.set_groups(now, &[vec![address(2)]]);
    now += Duration::from_secs(1);
    assert_eq!(pass(&mut forward, now), []);
    forward.set_groups(now, &groups);
    let probes = pass(&mut forward, now);
    let [(port, to, octets)] = &probes[..] else { panic!("{probes:?}") };
    assert_eq!((*to, octets[12]), (address(1), 0));
    forward.handle_datagram(now, *port, *to, &respond(octets, 0, &[], &[]));
    assert!(forward.counters().all(|counters| counters.dead.get() == 0));
}

#[test]
fn no_two_queries_with_one_id_are_on_their_way_from_one_port_to_one_address() {
    // Whatever is drawn is the same: one port, one id.
    let lots = crate::resolve::lots::Lots::new(|| Some([0; crate::resolve::lots::LOTS_OCTETS]));
    let mut forward = Forward::new(&[vec![address(1)], vec![address(2)]], 1, CAPS, lots);
    let mut sends = |group| {
        forward.ask(Moment::START, 1, group, &question()).unwrap();
        drain(&mut forward).0.len()
    };
    assert_eq!([sends(0), sends(0), sends(1)], [1, 0, 1]);
}
