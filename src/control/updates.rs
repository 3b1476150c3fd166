//! Dynamic updates: those of a zone go to the loader, those of the domain of services become cluster-wide records.
//!
//! ```text
//! worker ─► Door ─┬─ a zone's ─► LOADER: judged by the version at hand ─► on disk ─► published ─► answered
//!                 └─ the domain's: judged, written ─► published, on disk ─► answered
//! ```
//!
//! Those of a zone do not pass through this thread on their way there: it would be woken for each.

use crate::base::config::Config;
use crate::control::answers::domain;
use crate::control::document::SetDocument;
use crate::control::request::{Answer, Reply};
use crate::control::{Control, Event, Inbox, Mailbox};
use crate::discovery::cluster::{self, Rrset};
use crate::gossip::machine::ClusterWrite;
use crate::loader::Changer;
use crate::loader::updates::{Propose, Update as ZoneUpdate};
use crate::os::clock;
use crate::transfer::update::content::{Owner, Set};
use crate::transfer::update::request::Request;
use crate::transfer::update::{Change, Ledger, Update, difference};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a stop waits for updates that are on their way to the disk.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// The updates of zones that are on their way.
#[derive(Debug, Default)]
pub struct UnderWay {
    count: AtomicUsize,
    /// No further ones are let through.
    is_over: AtomicBool,
}

/// One of them.
struct Passage(Arc<UnderWay>);

impl UnderWay {
    /// Another one; `None` once the server ends.
    fn enter(self: &Arc<Self>) -> Option<Passage> {
        // First it is counted: whoever ends it sees it, or it sees the end.
        self.count.fetch_add(1, Ordering::SeqCst);
        let passage = Passage(Arc::clone(self));
        (!self.is_over.load(Ordering::SeqCst)).then_some(passage)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where workers hand in updates that are permitted.
#[derive(Clone)]
pub struct Door {
    /// Of services.
    domain: Name,
    changer: Changer,
    mailbox: Mailbox,
    under_way: Arc<UnderWay>,
}

impl Door {
    /// To the loader, or to the control thread for what is in the domain of services.
    pub fn new(config: &Config, changer: Changer, mailbox: Mailbox, under_way: &Arc<UnderWay>) -> Door {
        Door { domain: domain(config), changer, mailbox, under_way: Arc::clone(under_way) }
    }

    /// Takes one. When the server ends it is dropped, which answers it.
    pub fn take(&self, request: Request) {
        if *request.update.zone() == self.domain {
            let _ = self.mailbox.send(Event::Update(Box::new(request)));
        } else if let Some(passage) = self.under_way.enter() {
            self.changer.update(of_zone(request, passage));
        }
    }
}

/// An update of a zone as the loader carries it out.
fn of_zone(Request { update, answer }: Request, passage: Passage) -> ZoneUpdate {
    let (origin, code) = (update.zone().clone(), Arc::new(OnceLock::new()));
    let told = Arc::clone(&code);
    let propose: Propose = Box::new(move |amendment| {
        match Ledger::new(update.zone(), amendment).judge(&update) {
            Ok(changes) => difference(&changes),
            Err(refused) => {
                // Said once, here.
                let _ = code.set(refused);
                None
            }
        }
    });
    let done = Box::new(move |outcome: Result<(), _>| {
        let code = if outcome.is_ok() { Rcode::NoError } else { Rcode::ServFail };
        answer.give(told.get().copied().unwrap_or(code));
        drop(passage);
    });
    ZoneUpdate { origin, propose, done }
}

impl Control {
    /// Takes an update that is permitted; true if the state changed.
    pub(super) fn update(&mut self, request: Request) -> bool {
        if *request.update.zone() == self.domain() {
            return self.update_services(request);
        }
        if let Some(passage) = self.exchange.under_way.enter() {
            self.loader.changer().update(of_zone(request, passage));
        }
        false
    }

    /// Waits a while for updates that are on their way, so that who sent them hears what became of them. Nothing of them is
    /// published any more; the disk has it.
    pub(super) fn settle_updates(&mut self, inbox: &Inbox, begun: Instant) {
        self.exchange.under_way.end();
        loop {
            self.acknowledge();
            if self.exchange.under_way.is_empty() {
                return;
            }
            match inbox.wait(begun + SETTLE_MAX) {
                Ok(Event::Updated(updated)) => _ = self.take_updates(*updated),
                // Dropped, it says so to whoever waits.
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    /// Carries out an update of the domain of services: the sets that it changes become the cluster's, whatever they were
    /// elsewhere (the last writer wins). True if the state changed.
    fn update_services(&mut self, Request { update, answer }: Request) -> bool {
        let code = match self.judge_services(&update) {
            Ok(changes) if changes.is_empty() => Rcode::NoError,
            Ok(changes) => match self.write_sets(&changes) {
                Ok(()) => {
                    // The document is nobody's: what counts is when it is given.
                    let outcome = Ok(Reply::Set(SetDocument::default()));
                    let answer = Answer::to(move |outcome| {
                        answer.give(if outcome.is_ok() { Rcode::NoError } else { Rcode::ServFail });
                    });
                    self.due.answer_when_published(outcome, answer);
                    return true;
                }
                Err(code) => code,
            },
            Err(code) => code,
        };
        answer.give(code);
        false
    }

    /// What an update changes of the cluster-wide records. What containers and nodes say of themselves is not among them.
    fn judge_services(&self, update: &Update) -> Result<Vec<Change>, Rcode> {
        if !self.cluster.is_synced() {
            return Err(Rcode::ServFail);
        }
        let read = |name: &Name| {
            let mut owner = Owner::free(name);
            for rtype in self.types_at(name) {
                if let Some(set) = self.cluster.rrset(&cluster::key(name, rtype)) {
                    let rdatas = set.rdatas().iter().map(Vec::as_slice);
                    owner.sets.insert(rtype, Arc::new(Set::of(rtype, set.ttl(), rdatas)));
                }
            }
            owner
        };
        Ledger::new(&self.domain(), read).judge(update)
    }

    /// Writes sets, all or none.
    fn write_sets(&mut self, changes: &[Change]) -> Result<(), Rcode> {
        let domain = self.domain();
        let mut writes = Vec::with_capacity(changes.len());
        for Change { name, rtype, after, .. } in changes {
            let set = after.as_ref().map(|set| Rrset::new(name, *rtype, set.ttl, set.rdatas()));
            let set = set.transpose().map_err(|_| Rcode::Refused)?;
            if let Some(set) = &set {
                set.stands_in(&domain).map_err(|_| Rcode::Refused)?;
            }
            writes.push((cluster::key(name, *rtype), set.map(|set| set.value())));
        }
        let now = clock::moment(clock::now());
        let mut written: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::with_capacity(writes.len());
        for (key, value) in writes {
            let before = self.cluster.value(&key);
            if self.cluster.gossip.write_cluster(now, &key, value.as_deref()) == ClusterWrite::Full {
                tracing::error!("there is no room for another cluster-wide record: an update is refused");
                for (key, before) in written.into_iter().rev() {
                    let _ = self.cluster.gossip.write_cluster(now, &key, before.as_deref());
                }
                return Err(Rcode::ServFail);
            }
            written.push((key, before));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_on_their_way_are_counted_and_none_follows_after_the_end() {
        let under_way = Arc::<UnderWay>::default();
        let passages: Vec<Passage> = (0..3).filter_map(|_| under_way.enter()).collect();
        assert!(passages.len() == 3 && !under_way.is_empty());
        under_way.end();
        assert!(under_way.enter().is_none());
        for (left, passage) in (0..3).rev().zip(passages) {
            drop(passage);
            assert_eq!(under_way.is_empty(), left == 0);
        }
    }
}
