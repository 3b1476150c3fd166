//! Queries for names of the services' domain that this node does not know yet: they wait for what a member says.
//!
//! Each waits for itself, though others may ask the same: what it is told depends on who asks, and is not kept. The node
//! asks once what one client asks more than once at a time.

use super::finder::By;
use super::{Anew, Front, Waiter};
use crate::resolve::body::{Body, ExtendedError};
use crate::resolve::errand::MemberErrand;
use crate::resolve::pending::network_of;
use crate::resolve::question::Question;
use crate::resolve::said::Said;
use crate::worker::Desk;
use crate::worker::ends::Ends;
use crate::worker::resolver::Back;
use crate::worker::resolver::finder::Missing;
use std::collections::HashMap;
use std::net::IpAddr;

/// Queries of one worker that wait: more than the node asks of members at once, for those of one client that are the same
/// wait for one question; and what one client may have is a second's worth of a busy machine's look-ups.
const WAITERS_MAX: usize = 8_192;
/// What one client may have of them: so half is always there for others.
const WAITERS_OF_CLIENT_MAX: usize = WAITERS_MAX / 2;
const _: () = assert!(WAITERS_MAX <= 1 << 16);

struct Place<W> {
    /// Which waiter of this place.
    turn: u16,
    /// Whose, who, and for what; none: the place is free.
    held: Option<(IpAddr, W, Missing)>,
}

/// Who waits, by tickets. Its places are made as they are needed, and used again.
struct Waiting<W> {
    places: Vec<Place<W>>,
    free: Vec<usize>,
    /// How many places each client has.
    clients: HashMap<IpAddr, usize>,
}

/// See the module's own text.
pub(super) struct Members {
    waiting: Waiting<Waiter>,
    ask: Box<dyn Fn(MemberErrand) -> bool + Send>,
}

impl Members {
    pub(super) fn new(ask: Box<dyn Fn(MemberErrand) -> bool + Send>) -> Members {
        Members { waiting: Waiting::new(), ask }
    }
}

impl<W> Waiting<W> {
    fn new() -> Waiting<W> {
        Waiting { places: Vec::new(), free: Vec::new(), clients: HashMap::new() }
    }

    /// Has a query wait; the ticket by which [`Waiting::take`] gives it back. There may be no room, in all or for its
    /// client: then it is given back at once.
    fn hold(&mut self, client: IpAddr, waiter: W, question: &Question<'_>) -> Result<u32, W> {
        let client = network_of(client);
        let own = self.clients.get(&client).copied().unwrap_or_default();
        if own >= WAITERS_OF_CLIENT_MAX {
            return Err(waiter);
        }
        let at = match self.free.pop() {
            Some(at) => at,
            None if self.places.len() >= WAITERS_MAX => return Err(waiter),
            None => {
                self.places.push(Place { turn: 0, held: None });
                self.places.len() - 1
            }
        };
        let Some(place) = self.places.get_mut(at) else { return Err(waiter) };
        self.clients.insert(client, own + 1);
        let mut missing = Missing::default();
        missing.note(question);
        place.turn = place.turn.wrapping_add(1);
        place.held = Some((client, waiter, missing));
        Ok(u32::from(place.turn) << 16 | at as u32)
    }

    /// Whose ticket it is, and what that one waits for; `None` if nobody waits by it any more.
    fn take(&mut self, ticket: u32) -> Option<(W, Missing)> {
        let at = (ticket & 0xffff) as usize;
        let place = self.places.get_mut(at).filter(|place| u32::from(place.turn) == ticket >> 16)?;
        let (client, waiter, missing) = place.held.take()?;
        self.free.push(at);
        match self.clients.get_mut(&client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = self.clients.remove(&client),
        }
        Some((waiter, missing))
    }
}

impl Front {
    /// Has a member asked; where that cannot be, the query fails.
    pub(super) fn ask_member(
        &mut self,
        waiter: Waiter,
        question: &Question<'_>,
        desk: &mut Desk,
        ends: &mut Ends<'_>,
    ) {
        let client = waiter.back.client().to_canonical();
        match self.members.waiting.hold(client, waiter, question) {
            Ok(ticket) => {
                let (name, rtype) = (question.name.into(), question.rtype);
                let errand = MemberErrand { ticket, name, rtype, client };
                if !(self.members.ask)(errand) {
                    self.told(ticket, None, desk, ends);
                }
            }
            Err(waiter) => self.answer_by_member(waiter, question, None, desk, ends),
        }
    }

    /// Answers a query with what a member said; `None`: nothing.
    pub(super) fn told(&mut self, ticket: u32, said: Option<&Said>, desk: &mut Desk, ends: &mut Ends<'_>) {
        if let Some((waiter, missing)) = self.members.waiting.take(ticket) {
            self.answer_by_member(waiter, &missing.question(), said, desk, ends);
        }
    }

    fn answer_by_member(
        &mut self,
        waiter: Waiter,
        question: &Question<'_>,
        said: Option<&Said>,
        desk: &mut Desk,
        ends: &mut Ends<'_>,
    ) {
        // Whoever came over TCP wants all of it, which no datagram between members holds.
        let is_whole = |said: &&Said| !said.is_truncated || matches!(waiter.back, Back::Udp { .. });
        let said = said.filter(is_whole);
        let is_truncated = said.is_some_and(|said| said.is_truncated);
        let body = said.map_or(Body::failure(Some(ExtendedError::NOT_READY)), |said| said.body.body());
        let (given, by) = (Some((*question, body)), By::Member { is_truncated });
        self.answer(waiter, Anew { given, by, ..Anew::at(desk.now) }, desk, ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::Wants;
    use crate::wire::rtype::RecordType;

    const NAME: &[u8] = b"\x01a\0";

    fn question() -> Question<'static> {
        Question::new(NAME, 7, RecordType::A, Wants::default())
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_ticket_gives_back_its_own_waiter_once() {
        let mut waiting = Waiting::new();
        let first = waiting.hold(client(1), "first", &question()).unwrap();
        let second = waiting.hold(client(1), "second", &question()).unwrap();
        let (waiter, missing) = waiting.take(first).unwrap();
        assert_eq!((waiter, missing.question()), ("first", question()));
        // Its place is given away, and the old ticket is nobody's.
        let third = waiting.hold(client(1), "third", &question()).unwrap();
        assert_eq!((third & 0xffff, waiting.take(first).is_none()), (first & 0xffff, true));
        assert_eq!(waiting.take(second).unwrap().0, "second");
        assert_eq!(waiting.take(third).unwrap().0, "third");
        assert!([first, second, third, u32::MAX].iter().all(|ticket| waiting.take(*ticket).is_none()));
    }

    #[test]
    fn one_client_has_half_of_the_places() {
        let mut waiting = Waiting::new();
        let half = WAITERS_MAX / 2;
        let tickets: Vec<u32> =
            (0..half).map(|_| waiting.hold(client(1), (), &question()).unwrap()).collect();
        assert!(waiting.hold(client(1), (), &question()).is_err());
        assert!((0..half).all(|_| waiting.hold(client(2), (), &question()).is_ok()));
        assert!(waiting.hold(client(3), (), &question()).is_err());
        waiting.take(tickets[5]).unwrap();
        assert!(waiting.hold(client(3), (), &question()).is_ok());
        tickets.into_iter().for_each(|ticket| _ = waiting.take(ticket));
        assert_eq!(waiting.clients.len(), 2);
    }
}
