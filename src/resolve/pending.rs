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

    /// Those who wait for a question.
    pub fn waiters(&self, ticket: Ticket) -> impl Iterator<Item = &W> {
        let place = self.places.get(ticket.place()).filter(|_| self.question(ticket).is_some());
        place.into_iter().flat_map(|place| &place.waiters).map(|(_, waiter)| waiter)
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
mod tests;
