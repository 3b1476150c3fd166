//! Questions that are being asked, and who waits for their answers. Equal questions are asked once.
//!
//! Every queue here is bounded, in all and for each client, so that nobody's questions keep out everybody else's.

use crate::base::time::Moment;
use crate::resolve::forward;
use crate::resolve::question::{Question, Wants};
use crate::wire::rtype::RecordType;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Questions outstanding at once: at 100 ms each, 80,000 a second.
pub const QUESTIONS_MAX: usize = 8_192;
/// Who waits, in all: a few for each question; each holds its query.
pub const WAITERS_MAX: usize = 4 * QUESTIONS_MAX;
/// What one client may take of either: so half of it is always there for others.
const SHARE_OF_CLIENT: usize = 2;
/// Questions outstanding that one client asked first, and those that nobody asked: of what all have room for, the
/// machine that forwards them too.
pub const QUESTIONS_OF_CLIENT_MAX: usize = match QUESTIONS_MAX < forward::QUESTIONS_MAX as usize {
    true => QUESTIONS_MAX / SHARE_OF_CLIENT,
    false => forward::QUESTIONS_MAX as usize / SHARE_OF_CLIENT,
};
/// How long an asker waits for better than an answer whose time is over (RFC 8767 §5).
pub const PATIENCE: Duration = Duration::from_millis(1_800);
/// Room for so many who wait is kept for the next question: hardly one has more.
const WAITERS_KEPT: usize = 64;
/// Bits by which IPv6 clients are told apart: whoever has one address of such a network has all (RFC 6177 §2).
const CLIENT_BITS_V6: u32 = 64;
/// Whose the questions are for which nobody waits: no client has this address.
const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const _: () = assert!(QUESTIONS_MAX <= 1 << 16);

/// The number of an outstanding question: its place, and which one in that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u32);

impl Ticket {
    /// From [`Ticket::number`].
    pub fn new(number: u32) -> Ticket {
        Ticket(number)
    }

    /// As a number, for others to hand back.
    pub fn number(self) -> u32 {
        self.0
    }

    fn place(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// What became of who wants to wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<W> {
    /// The question is new: ask it.
    Asked(Ticket),
    /// It is being asked already.
    Waits(Ticket),
    /// There is no room, in all or for this client. Nothing changed.
    Full(W),
}

/// A question that was taken out.
#[derive(Debug)]
pub struct Asked {
    name: Vec<u8>,
    hash: u64,
    rtype: RecordType,
    wants: Wants,
    /// Who asked it first.
    client: IpAddr,
    /// When it was asked first.
    pub since: Moment,
}

impl Asked {
    /// The question.
    pub fn question(&self) -> Question<'_> {
        Question { name: &self.name, rtype: self.rtype, wants: self.wants, hash: self.hash }
    }
}

struct Place<W> {
    turn: u16,
    /// None: the place is free.
    asked: Option<Asked>,
    waiters: Vec<(IpAddr, W)>,
}

/// What is one client's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Own {
    waiters: usize,
    /// That it asked first: they stay its own when it waits no longer.
    questions: usize,
}

/// The outstanding questions of one worker.
///
/// Invariant: `index` has the places of the questions that are outstanding, under their hashes; `clients` has for each
/// client what is its own, none of them nothing.
pub struct Pending<W> {
    places: Vec<Place<W>>,
    free: Vec<u16>,
    index: HashMap<u64, u16>,
    clients: HashMap<IpAddr, Own>,
    waiters: usize,
    /// When the patience of who asked first ends, question by question: it is the same for all, so they rise.
    patience: VecDeque<(Moment, Ticket)>,
    /// Names that were taken out, for their buffers.
    spare: Vec<Vec<u8>>,
}

impl<W> Default for Pending<W> {
    fn default() -> Pending<W> {
        Pending {
            places: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            clients: HashMap::new(),
            waiters: 0,
            patience: VecDeque::new(),
            spare: Vec::new(),
        }
    }
}

impl<W> Pending<W> {
    /// Questions outstanding.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if nothing is outstanding.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Has `waiter` wait for the answer to a question. `now` never decreases from call to call.
    pub fn join(&mut self, question: &Question<'_>, client: IpAddr, waiter: W, now: Moment) -> Joined<W> {
        let client = network_of(client);
        let own = self.clients.get(&client).copied().unwrap_or_default();
        if self.waiters >= WAITERS_MAX || own.waiters >= WAITERS_MAX / SHARE_OF_CLIENT {
            return Joined::Full(waiter);
        }
        let joined = match self.find(question) {
            Some(ticket) => Joined::Waits(ticket),
            None => match self.open(question, client, now) {
                Some(ticket) => Joined::Asked(ticket),
                None => return Joined::Full(waiter),
            },
        };
        if let Joined::Asked(ticket) | Joined::Waits(ticket) = &joined
            && let Some(place) = self.places.get_mut(ticket.place())
        {
            place.waiters.push((client, waiter));
            self.waiters += 1;
            self.clients.entry(client).or_default().waiters += 1;
        }
        joined
    }

    /// Has a question asked for which nobody waits; `None` if it is being asked, or there is no room.
    pub fn begin(&mut self, question: &Question<'_>, now: Moment) -> Option<Ticket> {
        match self.find(question) {
            Some(_) => None,
            None => self.open(question, NOBODY, now),
        }
    }

    fn find(&self, question: &Question<'_>) -> Option<Ticket> {
        let place = *self.index.get(&question.hash)?;
        let Place { turn, asked, .. } = self.places.get(usize::from(place))?;
        (asked.as_ref()?.question() == *question).then_some(ticket(place, *turn))
    }

    fn open(&mut self, question: &Question<'_>, client: IpAddr, now: Moment) -> Option<Ticket> {
        let own = self.clients.get(&client).map_or(0, |own| own.questions);
        let is_full = self.index.len() >= QUESTIONS_MAX || own >= QUESTIONS_OF_CLIENT_MAX;
        // Another question of the same hash: chance, one in 2^64, lets this one wait for a better time.
        if is_full || self.index.contains_key(&question.hash) {
            return None;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { turn: 0, asked: None, waiters: Vec::new() });
            (self.places.len() - 1) as u16
        });
        let mut name = self.spare.pop().unwrap_or_default();
        name.clear();
        name.extend_from_slice(question.name);
        let Question { hash, rtype, wants, .. } = *question;
        let slot = self.places.get_mut(usize::from(place))?;
        slot.asked = Some(Asked { name, hash, rtype, wants, client, since: now });
        self.clients.entry(client).or_default().questions += 1;
        self.index.insert(hash, place);
        let ticket = ticket(place, slot.turn);
        self.patience.push_back((now + PATIENCE, ticket));
        Some(ticket)
    }

    /// The question of a ticket, if it is outstanding.
    pub fn question(&self, ticket: Ticket) -> Option<Question<'_>> {
        let place = self.places.get(ticket.place())?;
        let is_its_turn = u32::from(place.turn) == ticket.0 >> 16;
        place.asked.as_ref().filter(|_| is_its_turn).map(Asked::question)
    }

    /// Who asked a question first: its network, and of what nobody asked for the unspecified address, which no client
    /// has.
    pub fn client(&self, ticket: Ticket) -> IpAddr {
        let asked = self.question(ticket).and_then(|_| self.places.get(ticket.place())?.asked.as_ref());
        asked.map_or(NOBODY, |asked| asked.client)
    }

    /// Takes a question out; those who waited for it are put into `waiters`, in the order in which they came. `None`
    /// if it is not outstanding.
    pub fn take(&mut self, ticket: Ticket, waiters: &mut Vec<W>) -> Option<Asked> {
        self.question(ticket)?;
        self.take_waiters(ticket, waiters);
        let place = self.places.get_mut(ticket.place())?;
        place.turn = place.turn.wrapping_add(1);
        let asked = place.asked.take()?;
        self.index.remove(&asked.hash);
        let_go(&mut self.clients, asked.client, Own { waiters: 0, questions: 1 });
        self.free.push(ticket.place() as u16);
        Some(asked)
    }

    /// Takes those out who wait for a question, which stays outstanding.
    pub fn take_waiters(&mut self, ticket: Ticket, waiters: &mut Vec<W>) {
        self.take_those(ticket, |_| true, waiters);
    }

    /// Takes some of those out who wait for a question, which stays outstanding.
    pub fn take_those(&mut self, ticket: Ticket, which: impl Fn(&W) -> bool, waiters: &mut Vec<W>) {
        if self.question(ticket).is_none() {
            return;
        }
        let Some(place) = self.places.get_mut(ticket.place()) else { return };
        for (client, waiter) in place.waiters.extract_if(.., |(_, waiter)| which(waiter)) {
            self.waiters -= 1;
            let_go(&mut self.clients, client, Own { waiters: 1, questions: 0 });
            waiters.push(waiter);
        }
        if place.waiters.is_empty() && place.waiters.capacity() > WAITERS_KEPT {
            place.waiters = Vec::new();
        }
    }

    /// Makes a question that of the next client who waits for it and has room for one more. Those who wait and are the
    /// client whose it was are put into `waiters`. False if there is no such client: it stays outstanding all the same.
    pub fn pass_on(&mut self, ticket: Ticket, waiters: &mut Vec<W>) -> bool {
        if self.question(ticket).is_none() {
            return false;
        }
        let Some(Place { asked: Some(asked), waiters: waiting, .. }) = self.places.get_mut(ticket.place())
        else {
            return false;
        };
        let before = asked.client;
        for (_, waiter) in waiting.extract_if(.., |(client, _)| *client == before) {
            self.waiters -= 1;
            let_go(&mut self.clients, before, Own { waiters: 1, questions: 0 });
            waiters.push(waiter);
        }
        let questions_of = |client| self.clients.get(&client).map_or(0, |own| own.questions);
        let mut others = waiting.iter().map(|(client, _)| *client);
        let Some(next) = others.find(|client| questions_of(*client) < QUESTIONS_OF_CLIENT_MAX) else {
            return false;
        };
        asked.client = next;
        self.clients.entry(next).or_default().questions += 1;
        let_go(&mut self.clients, before, Own { waiters: 0, questions: 1 });
        true
    }

    /// Gives the buffers of a question that was taken out back.
    pub fn give_back(&mut self, asked: Asked) {
        if self.spare.len() < self.places.len() {
            self.spare.push(asked.name);
        }
    }

    /// The next outstanding question for which the patience of who asked first has ended by `now`; each is told once.
    pub fn next_impatient(&mut self, now: Moment) -> Option<Ticket> {
        while let Some(&(at, ticket)) = self.patience.front() {
            if at > now {
                return None;
            }
            self.patience.pop_front();
            if self.question(ticket).is_some() {
                return Some(ticket);
            }
        }
        None
    }

    /// True if whoever asked it first has no patience left at `now`: who joins then is not told by
    /// [`Pending::next_impatient`] any more.
    pub fn is_late(&self, ticket: Ticket, now: Moment) -> bool {
        let asked = self.question(ticket).and_then(|_| self.places.get(ticket.place())?.asked.as_ref());
        asked.is_some_and(|asked| asked.since + PATIENCE <= now)
    }

    /// When [`Pending::next_impatient`] has something to tell, at the earliest.
    pub fn next_wake(&mut self) -> Moment {
        // Those answered meanwhile stand at the front most of the time.
        while let Some(&(_, ticket)) = self.patience.front() {
            if self.question(ticket).is_some() {
                break;
            }
            self.patience.pop_front();
        }
        self.patience.front().map_or(Moment::NEVER, |(at, _)| *at)
    }
}

fn ticket(place: u16, turn: u16) -> Ticket {
    Ticket(u32::from(turn) << 16 | u32::from(place))
}

/// So much is a client's own no more.
fn let_go(clients: &mut HashMap<IpAddr, Own>, client: IpAddr, gone: Own) {
    if let Some(own) = clients.get_mut(&client) {
        own.waiters = own.waiters.saturating_sub(gone.waiters);
        own.questions = own.questions.saturating_sub(gone.questions);
        if *own == Own::default() {
            clients.remove(&client);
        }
    }
}

/// What stands for a client: its address, of IPv6 its network.
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - CLIENT_BITS_V6))))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            [first, again, refreshed].map(|ticket| pending.client(ticket)),
            [NOBODY, client(1), NOBODY]
        );
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
        assert!(matches!(
            pending.join(&question(&names[0], 0), client(3), 0, Moment::START),
            Joined::Waits(_)
        ));
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
            matches!(
                pending.join(&question(b"\0", 1), from.parse().unwrap(), 0, Moment::START),
                Joined::Full(_)
            )
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
        assert_eq!(
            (pending.next_impatient(over(20)), pending.next_impatient(over(20))),
            (Some(second), None)
        );
        // Who was impatient is told something; the question goes on.
        waiters.clear();
        pending.take_waiters(second, &mut waiters);
        assert_eq!(waiters, [2]);
        assert!(pending.question(second).is_some());
        pending.take(third, &mut waiters).unwrap();
        assert_eq!(pending.next_wake(), Moment::NEVER);
    }
}
