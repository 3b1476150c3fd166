//! Dynamic updates. Those of one zone are carried out in groups, one group after another: what comes while one is being
//! written to the disk makes the next. Those of the domain of services become cluster-wide records.
//!
//! ```text
//! Event::Update ─┬─ a zone's: waits ─► LOADER: judged, made, on disk ─► published ─► answered
//!                └─ the domain's: judged, written ─► published, on disk ─► answered
//! ```

use crate::catalog::delta::{Delta, ZoneContent};
use crate::control::Control;
use crate::control::document::SetDocument;
use crate::control::request::{Answer, Reply};
use crate::discovery::cluster::{self, Rrset};
use crate::gossip::machine::ClusterWrite;
use crate::loader::ZoneSpec;
use crate::loader::updated::{Group, Updated};
use crate::os::clock;
use crate::transfer::update::content::{Owner, Set};
use crate::transfer::update::request::{Answer as UpdateAnswer, Request};
use crate::transfer::update::{Change, Ledger, Update};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All that is asked for and not answered. **Dropping it answers with SERVFAIL.** Workers bound how much that is.
#[derive(Default)]
pub(super) struct Updates {
    zones: BTreeMap<Name, Office>,
    /// What is answered once it is published.
    done: Vec<(UpdateAnswer, Rcode)>,
}

/// Updates of one zone.
#[derive(Default)]
struct Office {
    waiting: Vec<Request>,
    /// Those of the group that is being carried out.
    carried: Option<Vec<UpdateAnswer>>,
    /// The file is to be read in that round, once the group is done.
    reload: Option<(u64, ZoneSpec)>,
}

impl Updates {
    /// True, if a zone is to be read once its updates are done, which is remembered; an older round is forgotten.
    pub(super) fn puts_off(&mut self, round: u64, spec: &ZoneSpec) -> bool {
        let office = self.zones.get_mut(&spec.origin).filter(|office| office.carried.is_some());
        office.map(|office| office.reload = Some((round, spec.clone()))).is_some()
    }

    /// A zone is gone: whoever waits for it hears so, and it is not read again.
    pub(super) fn forget(&mut self, origin: &Name) {
        if let Some(office) = self.zones.get_mut(origin) {
            (office.waiting, office.reload) = (Vec::new(), None);
        }
    }

    /// What was done is published.
    pub(super) fn published(&mut self) {
        self.done.drain(..).for_each(|(answer, code)| answer.give(code));
    }
}

impl Control {
    /// Takes an update that is permitted; true if the state changed.
    pub(super) fn update(&mut self, request: Request) -> bool {
        let origin = request.update.zone().clone();
        if origin == self.domain() {
            return self.update_services(request);
        }
        self.updates.zones.entry(origin.clone()).or_default().waiting.push(request);
        self.carry_on(&origin);
        false
    }

    /// Has the next group of a zone's updates carried out, unless there is something to wait for.
    pub(super) fn carry_on(&mut self, origin: &Name) {
        if self.awaited.contains_key(origin) {
            return;
        }
        let (zone, is_wanted) = (self.served(origin), self.takes_updates(origin));
        let Some(office) = self.updates.zones.get_mut(origin) else { return };
        if office.carried.is_some() {
            return;
        }
        let waiting = std::mem::take(&mut office.waiting);
        let Some(old) = zone.filter(|_| is_wanted && !waiting.is_empty()) else {
            // Whoever waits for a zone that is no longer served hears so.
            self.updates.zones.remove(origin);
            return;
        };
        let (updates, answers) =
            waiting.into_iter().map(|Request { update, answer }| (update, answer)).unzip();
        office.carried = Some(answers);
        self.loader.update(Group { origin: origin.clone(), old, updates, at: clock::wall() });
    }

    fn takes_updates(&self, origin: &Name) -> bool {
        self.zone_file(origin).is_some_and(|zone| zone.file().is_some() && !zone.update.is_empty())
    }

    /// Puts in place what updates have made of their zone; true if the state changed.
    pub(super) fn take_updated(&mut self, updated: Updated) -> bool {
        let Updated { origin, zone, codes } = updated;
        let Some(office) = self.updates.zones.get_mut(&origin) else { return false };
        let (answers, reload) = (office.carried.take().unwrap_or_default(), office.reload.take());
        let answered = answers.into_iter().zip(codes);
        let is_wanted = self.takes_updates(&origin);
        let is_changed = match zone.filter(|_| is_wanted) {
            Some(zone) => {
                let old = self.served(&origin).map(|old| old.serial());
                let (serial, records) = (zone.serial().0, zone.record_count());
                tracing::debug!(zone = %origin, serial, records, "zone updated");
                let content = ZoneContent::Sealed(Arc::clone(&zone));
                self.state.apply(Delta::PutZone { origin: origin.clone(), content });
                self.tell_served(old, &zone, None);
                self.updates.done.extend(answered);
                true
            }
            None if is_wanted => {
                answered.for_each(|(answer, code)| answer.give(code));
                false
            }
            // A reload has taken the zone away, or its updates: SERVFAIL.
            None => false,
        };
        match reload {
            Some((round, spec)) => {
                let old = self.served(&origin);
                self.loader.load(round, spec, old);
            }
            None => self.carry_on(&origin),
        }
        is_changed
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
                    owner.sets.insert(rtype, Set::of(rtype, set.ttl(), rdatas));
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
