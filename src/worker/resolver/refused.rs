//! Questions that the services thread had no room for on behalf of their clients.

use crate::resolve::pending::Ticket;
use crate::worker::Desk;
use crate::worker::ends::Ends;
use crate::worker::resolver::{Anew, NO_ROOM, Resolver};

impl Resolver {
    /// There was no room for a question: its client is told, and it is asked for the next who waits for it. Else whoever has
    /// its share in work could keep others from any name by asking for it as well.
    pub(super) fn refused(&mut self, ticket: Ticket, desk: &mut Desk, ends: &mut Ends<'_>) {
        let mut missing = self.front.spare_missing.pop().unwrap_or_default();
        let mut waiters = std::mem::take(&mut self.front.waiters);
        let question = self.front.pending.question(ticket);
        let is_known = question.inspect(|question| missing.note(question)).is_some();
        if is_known && self.front.pending.pass_on(ticket, &mut waiters) {
            let given = Some((missing.question(), NO_ROOM));
            let anew = Anew { given, ..Anew::at(desk.now) };
            waiters.drain(..).for_each(|waiter| self.front.answer(waiter, anew, desk, ends));
            self.front.waiters = waiters;
            // The refusal may have come late, and the question begins anew.
            let ends_of_waits: Vec<_> =
                self.front.pending.waiters(ticket).map(|waiter| waiter.until).collect();
            ends_of_waits.into_iter().for_each(|until| self.front.note_deadline(until, ticket));
            self.ask(ticket, &missing.question(), desk, ends);
        } else {
            // Nobody was asked: nothing is known that could be kept.
            self.front.waiters = waiters;
            self.front.complete(ticket, &NO_ROOM, 0, desk, ends);
        }
        self.front.spare_missing.push(missing);
    }
}
