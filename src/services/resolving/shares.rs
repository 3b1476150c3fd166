//! What one client has in work at once, so that nobody's questions keep out everybody else's: workers bound what they
//! have outstanding by themselves, and what they have done here serves them all.

use crate::resolve::{forward, iterate, validate};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Questions of one client that are looked for from the root on, with all that proves their answers, and as many that
/// are asked of upstream servers: half of the answers that can be validated at once, of which there are fewest.
pub(super) const QUESTIONS_OF_CLIENT_MAX: usize = validate::limits::JOBS_MAX / 2;

/// Jobs that a question in the walk has at most at one time: its own, or that of one set that proves its answer, and
/// those for addresses, each of which waits for the next.
const JOBS_OF_QUESTION_MAX: usize = 1 + iterate::bounds::DEPTH_MAX as usize;
// Three quarters of the walk's jobs, where all that a client asks leads through servers without glue as deep as may be.
const _: () = assert!(QUESTIONS_OF_CLIENT_MAX * JOBS_OF_QUESTION_MAX <= iterate::bounds::JOBS_MAX / 4 * 3);
// Of the jobs of a question the last has an exchange, and a second if it is late and there is room for that: three
// quarters of the sockets.
const _: () = assert!(
    QUESTIONS_OF_CLIENT_MAX + iterate::bounds::HEDGED_EXCHANGES_MAX / 2
        <= iterate::bounds::EXCHANGES_MAX / 4 * 3
);
// At upstream servers a question is one: its own, or that for a set that proves its answer.
const _: () = assert!(QUESTIONS_OF_CLIENT_MAX <= forward::QUESTIONS_MAX as usize / 2);
// A zone that does not answer leaves a client the others.
const _: () = assert!(
    iterate::bounds::ZONE_EXCHANGES_MAX + iterate::bounds::ZONE_WAITING_OF_CLIENT_MAX
        < QUESTIONS_OF_CLIENT_MAX
);

/// Each client's questions in work; none has none.
type Held = Mutex<HashMap<IpAddr, usize>>;

/// Counts what each client has in work. Clients are told apart as workers do: by their networks.
#[derive(Default)]
pub(super) struct Shares(Arc<Held>);

/// A question's place in its client's share. It is given back when nobody has it any more: neither the question, nor
/// what was asked on its behalf, which may outlast it.
#[derive(Clone)]
pub(super) struct Share(Arc<Place>);

struct Place {
    client: IpAddr,
    held: Arc<Held>,
}

impl Shares {
    /// A place for one more question of a client; `None` if all of its share is in work.
    pub(super) fn take(&self, client: IpAddr) -> Option<Share> {
        let mut held = lock(&self.0);
        let own = held.entry(client).or_default();
        if *own >= QUESTIONS_OF_CLIENT_MAX {
            return None;
        }
        *own += 1;
        Some(Share(Arc::new(Place { client, held: Arc::clone(&self.0) })))
    }

    /// True if nobody has anything in work.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

impl Share {
    /// Whose it is.
    pub(super) fn client(&self) -> IpAddr {
        self.0.client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(own) = held.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.client);
            }
        }
    }
}

/// One thread counts: nobody waits here, and nothing that could panic is done meanwhile.
fn lock(held: &Held) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_whatever_others_have_and_one_more_for_each_that_it_gives_back() {
        let shares = Shares::default();
        let client = |last| IpAddr::from([192, 0, 2, last]);
        let mut own: Vec<Share> =
            (0..QUESTIONS_OF_CLIENT_MAX).filter_map(|_| shares.take(client(1))).collect();
        assert_eq!(own.len(), QUESTIONS_OF_CLIENT_MAX);
        assert!(shares.take(client(1)).is_none());
        assert_eq!(shares.take(client(2)).map(|share| share.client()), Some(client(2)));
        own.pop();
        own.extend(shares.take(client(1)));
        assert!(own.len() == QUESTIONS_OF_CLIENT_MAX && shares.take(client(1)).is_none());
        drop(own);
        assert!(shares.is_empty());
    }

    #[test]
    fn what_was_asked_on_behalf_of_a_question_takes_no_other_place_and_holds_its_own() {
        let shares = Shares::default();
        let client = IpAddr::from([192, 0, 2, 1]);
        let own: Vec<Share> = (0..QUESTIONS_OF_CLIENT_MAX).filter_map(|_| shares.take(client)).collect();
        let on_behalf = own.clone();
        assert_eq!(on_behalf.len(), QUESTIONS_OF_CLIENT_MAX);
        drop(own);
        assert!(shares.take(client).is_none());
        drop(on_behalf);
        assert!(shares.take(client).is_some() && shares.is_empty());
    }
}
