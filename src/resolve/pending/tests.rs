//! Who waits for what, within which bounds.

use super::*;

fn client(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn question(name: &[u8], hash: u64) -> Question<'_> {
    Question { name, rtype: RecordType::A, wants: Wants::default(), hash }
}

fn asked(joined: Joined<u32>) -> Ticket {
    let Joined::Asked(ticket) = joined else { panic!("{joined:?}") };
    ticket
}

#[test]
fn equal_questions_are_asked_once_and_all_who_wait_are_told() {
    let mut pending = Pending::default();
    let now = Moment::START;
    let first = asked(pending.join(&question(b"\x01a\0", 1), client(1), 1, now));
    assert_eq!(pending.join(&question(b"\x01a\0", 1), client(2), 2, now), Joined::Waits(first));
    let other = asked(pending.join(&question(b"\x01b\0", 2), client(1), 3, now));
    assert_eq!(pending.begin(&question(b"\x01b\0", 2), now), None);
    let mut waiters = Vec::new();
    let taken = pending.take(first, &mut waiters).unwrap();
    assert_eq!((taken.question(), &waiters[..]), (question(b"\x01a\0", 1), &[1, 2][..]));
    pending.give_back(taken);
    assert!(pending.take(first, &mut waiters).is_none());
    // Its place is given away, and the old ticket is not that of the new question.
    let again = asked(pending.join(&question(b"\x01c\0", 3), client(1), 4, now));
    assert_eq!(again.place(), first.place());
    assert_eq!((pending.question(first), pending.question(other).unwrap().name), (None, &b"\x01b\0"[..]));
    let refreshed = pending.begin(&question(b"\x01d\0", 4), now).unwrap();
    assert_eq!([first, again, refreshed].map(|ticket| pending.client(ticket)), [NOBODY, client(1), NOBODY]);
}

#[test]
fn one_client_leaves_room_for_others() {
    let mut pending = Pending::default();
    let names: Vec<[u8; 5]> =
        (0..QUESTIONS_MAX as u16).map(|n| [3, b'x', (n >> 8) as u8, n as u8, 0]).collect();
    let mut join =
        |n: usize, last| pending.join(&question(&names[n], n as u64), client(last), 0, Moment::START);
    const SHARE: usize = QUESTIONS_OF_CLIENT_MAX;
    assert!(SHARE * 2 <= usize::from(forward::QUESTIONS_MAX) && SHARE * 2 <= QUESTIONS_MAX);
    assert!((0..SHARE).all(|n| matches!(join(n, 1), Joined::Asked(_))));
    assert_eq!(join(SHARE, 1), Joined::Full(0));
    // What others ask already costs it nothing.
    assert!(matches!((join(SHARE, 2), join(SHARE, 1)), (Joined::Asked(_), Joined::Waits(_))));
    let mut others = SHARE + 1..QUESTIONS_MAX;
    assert!(others.all(|n| matches!(join(n, 2 + (n / SHARE) as u8), Joined::Asked(_))));
    // All places are taken, but who asks what is asked already may wait.
    assert_eq!(pending.begin(&question(b"\0", u64::MAX), Moment::START), None);
    assert!(matches!(pending.join(&question(&names[0], 0), client(3), 0, Moment::START), Joined::Waits(_)));
    assert_eq!(pending.len(), QUESTIONS_MAX);
}

#[test]
fn a_question_stays_its_clients_own_when_nobody_waits_for_it_and_those_of_nobody_are_bounded() {
    let mut pending = Pending::default();
    let names: Vec<[u8; 5]> =
        (0..QUESTIONS_OF_CLIENT_MAX as u16).map(|n| [3, b'x', (n >> 8) as u8, n as u8, 0]).collect();
    let mut waiters = Vec::new();
    let mut tickets = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let ticket = asked(pending.join(&question(name, n as u64), client(1), 0, Moment::START));
        pending.take_waiters(ticket, &mut waiters);
        tickets.push(ticket);
    }
    let other = question(b"\x01a\0", u64::MAX);
    assert_eq!(pending.join(&other, client(1), 7, Moment::START), Joined::Full(7));
    pending.take(tickets[5], &mut waiters).unwrap();
    asked(pending.join(&other, client(1), 7, Moment::START));
    for (n, name) in names.iter().enumerate() {
        assert!(pending.begin(&question(name, 10_000 + n as u64), Moment::START).is_some());
    }
    assert_eq!(pending.begin(&question(b"\x01b\0", u64::MAX - 1), Moment::START), None);
}

#[test]
fn a_question_passes_from_client_to_client_and_to_none_that_has_its_share() {
    let mut pending = Pending::default();
    let (name, now) = (question(b"\x01a\0", 1), Moment::START);
    let ticket = asked(pending.join(&name, client(1), 10, now));
    for (last, waiter) in [(2, 20), (1, 11), (3, 30)] {
        assert_eq!(pending.join(&name, client(last), waiter, now), Joined::Waits(ticket));
    }
    let names: Vec<[u8; 5]> =
        (0..QUESTIONS_OF_CLIENT_MAX as u16).map(|n| [3, b'x', (n >> 8) as u8, n as u8, 0]).collect();
    let own: Vec<Ticket> = (names.iter().zip(100..))
        .map(|(name, hash)| asked(pending.join(&question(name, hash), client(2), 0, now)))
        .collect();
    let mut waiters = Vec::new();
    assert!(pending.pass_on(ticket, &mut waiters));
    assert_eq!((pending.client(ticket), &waiters[..]), (client(3), &[10, 11][..]));
    waiters.clear();
    assert!(!pending.pass_on(ticket, &mut waiters));
    assert_eq!((pending.client(ticket), &waiters[..]), (client(3), &[30][..]));
    own.iter().for_each(|own| drop(pending.take(*own, &mut Vec::new())));
    assert!(pending.pass_on(ticket, &mut waiters));
    assert_eq!((pending.client(ticket), &waiters[..]), (client(2), &[30][..]));
    waiters.clear();
    assert!(pending.take(ticket, &mut waiters).is_some() && waiters == [20]);
    assert!(!pending.pass_on(ticket, &mut waiters));
    assert!(pending.is_empty() && pending.clients.is_empty() && pending.waiters == 0);
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let parse = |text: &str| network_of(text.parse().unwrap());
    assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
    assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
    assert_eq!(parse("::ffff:192.0.2.1"), client(1));
    let mut pending = Pending::default();
    for n in 0..WAITERS_MAX / SHARE_OF_CLIENT {
        let from = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | n as u128));
        assert!(!matches!(pending.join(&question(b"\0", 1), from, 0, Moment::START), Joined::Full(_)));
    }
    let mut full = |from: &str| {
        matches!(pending.join(&question(b"\0", 1), from.parse().unwrap(), 0, Moment::START), Joined::Full(_))
    };
    assert!(full("2001:db8::aaaa") && !full("2001:db9::1"));
    let mut waiters = Vec::new();
    let ticket = pending.find(&question(b"\0", 1)).unwrap();
    pending.take(ticket, &mut waiters).unwrap();
    assert!(pending.is_empty() && pending.clients.is_empty() && pending.waiters == 0);
}

#[test]
fn memory_for_a_crowd_is_given_back_once_the_crowd_was_told() {
    let (mut pending, mut waiters) = (Pending::default(), Vec::new());
    let (crowd, few) = (question(b"\x01a\0", 1), question(b"\x01b\0", 2));
    let first = asked(pending.join(&crowd, client(1), 0, Moment::START));
    (1..1_000).for_each(|n| _ = pending.join(&crowd, client(1), n, Moment::START));
    let second = asked(pending.join(&few, client(1), 0, Moment::START));
    pending.take_waiters(first, &mut waiters);
    pending.take(second, &mut waiters).unwrap();
    assert_eq!(waiters.len(), 1_001);
    let kept: Vec<usize> = pending.places.iter().map(|place| place.waiters.capacity()).collect();
    // Who asks what few ask finds a place that has room.
    assert!(kept[0] <= WAITERS_KEPT && kept[1] > 0, "{kept:?}");
}

#[test]
fn patience_ends_once_for_each_question_that_is_still_outstanding() {
    let mut pending = Pending::default();
    let at = |ms| Moment::START + Duration::from_millis(ms);
    let first = asked(pending.join(&question(b"\x01a\0", 1), client(1), 1, at(10)));
    let second = asked(pending.join(&question(b"\x01b\0", 2), client(1), 2, at(20)));
    let third = asked(pending.join(&question(b"\x01c\0", 3), client(1), 3, at(30)));
    let over = |ms| at(ms) + PATIENCE;
    assert_eq!((pending.next_wake(), pending.next_impatient(over(9))), (over(10), None));
    let mut waiters = Vec::new();
    pending.take(first, &mut waiters).unwrap();
    assert_eq!(pending.next_wake(), over(20));
    assert_eq!((pending.next_impatient(over(20)), pending.next_impatient(over(20))), (Some(second), None));
    // Who was impatient is told something; the question goes on.
    waiters.clear();
    pending.take_waiters(second, &mut waiters);
    assert_eq!(waiters, [2]);
    assert!(pending.question(second).is_some());
    pending.take(third, &mut waiters).unwrap();
    assert_eq!(pending.next_wake(), Moment::NEVER);
}
