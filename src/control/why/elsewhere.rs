//! What is found elsewhere: who is asked for a name, what the cache has, and each step of a walk from the root, which
//! is taken on the services thread as it is for a client. Asking upstream servers stands with the workers.

use super::{Given, Tale, line};
use crate::base::time::Moment;
use crate::control::document::{StepDocument, WhyDocument};
use crate::control::request::{Answer, Reply};
use crate::control::resolving::{Explain, Explained};
use crate::os::clock;
use crate::resolve::cache::{Cache, Kept, Life};
use crate::resolve::policy::{self, Policy};
use crate::resolve::question::{Question, Wants};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::RecordType;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;

/// What steps of a walk are about.
const WALK: &str = "walk";

/// A name that has to be looked for from the root, and what is told of it so far.
pub(super) struct Search {
    /// Lower-cased, in uncompressed wire form.
    pub(super) name: Vec<u8>,
    pub(super) hash: u64,
    pub(super) rtype: RecordType,
    pub(super) document: WhyDocument,
    /// Records of the answer that our zones gave.
    pub(super) own: usize,
    /// By which the name is looked for.
    pub(super) policy: Arc<Policy>,
}

impl Search {
    /// The question for whoever walks. `policies` is where the policy in force stands: what was looked for by another
    /// one is told and forgotten.
    pub(super) fn explain(
        self,
        cache: Arc<Cache>,
        policies: Arc<ArcSwap<Policy>>,
        answer: Answer,
    ) -> Explain {
        Explain {
            name: Name::from_wire(&self.name).unwrap_or(Name::ROOT),
            rtype: self.rtype,
            tell: Box::new(move |explained| {
                let keeps = self.policy.keeps && Arc::ptr_eq(&policies.load(), &self.policy);
                answer.give(Ok(Reply::Why(self.tell(explained, keeps.then_some(&cache)))));
            }),
        }
    }

    /// The whole document; what was found is kept for clients.
    fn tell(self, Explained { steps, found }: Explained, cache: Option<&Cache>) -> WhyDocument {
        let Search { name, hash, rtype, mut document, own, policy } = self;
        let steps = steps.into_iter().map(|found| StepDocument { about: WALK.to_owned(), found });
        document.steps.extend(steps);
        let Ok(owned) = found else {
            // As a client is told, to whom an answer whose time is over is better than none.
            if document.answer.len() == own {
                document.rcode = Rcode::ServFail.to_string();
            }
            return document;
        };
        let body = owned.body();
        document.rcode = body.rcode.to_string();
        document.answer.truncate(own);
        document.answer.extend(body.records(&name, rtype, Section::Answer).iter().map(line));
        if let Some(cache) = cache {
            let question = Question::new(&name, hash, rtype, Wants::default());
            let life = Life { fresh_seconds: owned.ttl, stale_seconds: policy.stale_seconds };
            cache.put(&question, clock::moment(clock::now()), life, &body);
        }
        document
    }
}

impl Tale<'_> {
    pub(super) fn of_asker(&mut self, asker: IpAddr, is_client: bool) {
        let found = match is_client {
            true => "may have names resolved (limits.clients)",
            false => "may not have names resolved (limits.clients): it gets what our zones say",
        };
        self.step("client", format!("{asker} {found}"));
    }

    /// What becomes of a name of the services' domain that this node does not know yet.
    pub(super) fn of_member(&mut self, given: &mut Given, asker: IpAddr) {
        self.of_asker(asker, given.is_client);
        if given.is_client {
            given.rcode = None;
            self.step("member", "up to three members are asked at once; who is synced answers: ask it why");
        }
    }

    /// Where the name is asked for, and what is known of it; adds that to what is given. True if the workers would look
    /// for it from the root.
    pub(super) fn of_elsewhere(
        &mut self,
        policy: &Policy,
        (name, hash, rtype): (&[u8], u64, RecordType),
        given: &mut Given,
    ) -> bool {
        let asked = Name::from_wire(name).unwrap_or(Name::ROOT);
        let Some((suffix, route)) = policy.rule(name, rtype) else {
            given.rcode = Some(Rcode::Refused);
            self.step("forward", format!("{asked} lies below no suffix of [forward]: REFUSED"));
            return false;
        };
        let suffix = Name::from_wire(suffix).unwrap_or(Name::ROOT);
        let way = match route {
            policy::Route::Forward(group) => {
                let servers = policy.groups().get(group).into_iter().flatten();
                format!("asked of {}", servers.map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            policy::Route::Iterate => "looked for from the root".to_owned(),
            policy::Route::Refuse => "REFUSED".to_owned(),
        };
        self.step("forward", format!("{asked} by the suffix {suffix}: {way}"));
        if route == policy::Route::Refuse {
            given.rcode = Some(Rcode::Refused);
            return false;
        }
        given.rcode = None;
        let mut is_known = false;
        // Answers differ by what the asker wants of DNSSEC; here nobody wants anything of it.
        for bits in 0..WANTS {
            let wants = Wants::from_bits(bits);
            let question = Question::new(name, hash, rtype, wants);
            let kept = self.control.resolving.cache.kept(&question, self.now);
            match (kept, wants == Wants::default()) {
                (Some(kept), true) => {
                    let code = kept.answer.as_ref().map(|answer| answer.body().rcode);
                    given.rcode = code.or(kept.failing.map(|failing| failing.rcode));
                    given.answer.extend(kept.records(Section::Answer, self.now));
                    self.step("cache", worth(&kept, self.now));
                    let is_fresh = kept.answer.as_ref().is_some_and(|answer| self.now < answer.fresh_until);
                    is_known = is_fresh || kept.failing.is_some();
                }
                (None, true) => self.step("cache", "nothing: others have to be asked first"),
                (Some(kept), false) => {
                    let flags = [("DO", wants.dnssec_ok), ("CD", wants.checking_disabled)];
                    let flags = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag);
                    let flags = flags.collect::<Vec<_>>().join(" and ");
                    self.step("cache", format!("for askers that set {flags}: {}", worth(&kept, self.now)));
                }
                (None, false) => {}
            }
        }
        let is_from_root = route == policy::Route::Iterate;
        if is_from_root && is_known {
            self.step(WALK, "from cache: nobody is asked");
        }
        is_from_root && !is_known
    }
}

/// Different [`Wants`].
const WANTS: u8 = 4;

/// What something kept is worth, and for how long.
fn worth(kept: &Kept, now: Moment) -> String {
    let left = |until: Moment| format!("{:.0} s left", until.since(now).as_secs_f64());
    let answer = match &kept.answer {
        Some(answer) if now < answer.fresh_until => format!("fresh, {}", left(answer.fresh_until)),
        Some(answer) => {
            format!("stale, {}: told if there is nothing better in time", left(answer.stale_until))
        }
        None => "no answer".to_owned(),
    };
    let failing = kept.failing.map_or(String::new(), |failing| {
        format!("; asking failed ({}) and is not tried again yet, {}", failing.rcode, left(failing.until))
    });
    answer + &failing
}
