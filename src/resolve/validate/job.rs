//! One answer in work: each of its sets is judged, then what it denies.

use crate::base::limits::TTL_SECONDS_MAX;
use crate::base::time::{Moment, WallSeconds};
use crate::resolve::validate::chain::{Asker, Need, Replies, Standing, Trust, is_denial};
use crate::resolve::validate::check::{Signed, Work, verify};
use crate::resolve::validate::denial::{Denial, Proven};
use crate::resolve::validate::limits::{FETCHES_MAX, REPLY_OCTETS_MAX, SETS_MAX};
use crate::resolve::validate::set::{Set, seat, sets};
use crate::resolve::validate::trail::follow;
use crate::resolve::validate::verdict::{self, Cause, Verdict};
use crate::resolve::validate::{Asked, Response};
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;

/// An answer, and how far its judgement is.
#[derive(Debug)]
pub(super) struct Job {
    asked: Asked,
    /// True if the answer says that the name does not exist.
    no_name: bool,
    /// What was denied at the end of the answer.
    denied: Option<Name>,
    /// Those of the authority section first: they prove what the others need.
    sets: Vec<Set>,
    /// How many of `sets` are of the authority section.
    proofs: usize,
    /// The zones that signed the first of `sets`, as far as those were judged; `None` for what is not secure.
    judged: Vec<Option<(Name, Signed)>>,
    verdict: Verdict,
    /// What is proven to be absent is not what was denied.
    is_unproven: bool,
    pub ttl_max: u32,
    pub work: Work,
    pub replies: Replies,
}

impl Job {
    /// An error is a verdict on its own: the answer is bogus.
    pub(super) fn new(asked: Asked, response: &Response) -> Result<Job, Cause> {
        let mut answer = sets(&response.answer)?;
        let mut own = sets(&response.authority)?;
        // Name servers and the like are not part of what is vouched for.
        own.retain(|set| is_denial(set.rtype) || set.rtype == RecordType::SOA);
        let trail = follow(&asked.name, asked.rtype, &answer)?;
        let is_right = match response.rcode {
            Rcode::NxDomain => trail.denied.is_some(),
            Rcode::YxDomain => trail.is_too_long,
            _ => true,
        };
        // A code that nothing in the answer bears out is nobody's word.
        if !is_right {
            return Err(verdict::UNPROVEN);
        }
        let mut at = 0;
        answer.retain(|_| {
            at += 1;
            !trail.synthesised.contains(&(at - 1))
        });
        let proofs = own.len();
        own.append(&mut answer);
        if own.len() > SETS_MAX {
            return Err(verdict::TOO_MUCH_WORK);
        }
        // Nothing is denied of the name to which the last alias leads; without one there is no such name.
        let denied = trail.denied.filter(|denied| !response.is_open || *denied == asked.name);
        Ok(Job {
            asked,
            no_name: response.rcode == Rcode::NxDomain,
            denied,
            sets: own,
            proofs,
            judged: Vec::new(),
            verdict: Verdict::Secure,
            is_unproven: false,
            ttl_max: TTL_SECONDS_MAX,
            work: Work::default(),
            replies: Replies::new(),
        })
    }

    /// Goes on as far as possible: a verdict, or what is needed first.
    pub(super) fn advance(
        &mut self,
        trust: &mut Trust,
        now: Moment,
        wall: WallSeconds,
    ) -> Result<Verdict, Need> {
        let held: usize = self.replies.iter().flat_map(|(_, reply)| reply).map(|reply| reply.octets()).sum();
        let is_full = self.work.spent.fetches >= FETCHES_MAX || held > REPLY_OCTETS_MAX;
        match self.judge(trust, now, wall) {
            Err(_) if is_full => Ok(Verdict::Bogus(verdict::TOO_MUCH_WORK)),
            outcome => outcome,
        }
    }

    fn judge(&mut self, trust: &mut Trust, now: Moment, wall: WallSeconds) -> Result<Verdict, Need> {
        while let Some(set) = self.sets.get(self.judged.len()) {
            let mut asker = Asker { now, wall, replies: &self.replies, work: &mut self.work };
            let (standing, signed) = judge_set(set, trust, &mut asker)?;
            let is_proof = self.judged.len() < self.proofs;
            let mut verdict = match (&standing, &signed) {
                (Standing::Secure(_), Some(Ok(signed))) => {
                    self.ttl_max = self.ttl_max.min(signed.ttl);
                    Verdict::Secure
                }
                (Standing::Secure(_), Some(Err(cause))) => Verdict::Bogus(*cause),
                _ => standing.without_signature(verdict::NO_SIGNATURE),
            };
            let signed = match (standing, signed) {
                (Standing::Secure(keys), Some(Ok(signed))) => Some((keys.zone.clone(), signed)),
                _ => None,
            };
            if let Some((zone, signed)) = &signed
                && !is_proof
                && set.is_expanded(signed.labels)
            {
                let denial = Denial::new(zone, evidence(&self.sets, &self.judged, zone));
                let proven = denial.prove_expansion(&set.name, usize::from(signed.labels), &mut self.work);
                verdict = verdict_on(proven, |proven| proven == Proven::NoName);
            }
            self.judged.push(signed);
            self.verdict = self.verdict.and(verdict);
            if matches!(self.verdict, Verdict::Bogus(_)) {
                return Ok(self.verdict);
            }
        }
        if let Some(name) = &self.denied {
            let mut asker = Asker { now, wall, replies: &self.replies, work: &mut self.work };
            let seat = seat(name, self.asked.rtype);
            let zones = self.judged.iter().zip(&self.sets).take(self.proofs);
            let zones =
                zones.filter(|(_, set)| is_denial(set.rtype)).filter_map(|(signed, _)| signed.as_ref());
            let zones = zones.map(|(zone, _)| zone).filter(|zone| seat.is_at_or_below(zone));
            let zone = zones.max_by_key(|zone| zone.label_count()).filter(|_| !self.is_unproven);
            let proven = zone.map(|zone| {
                let denial = Denial::new(zone, evidence(&self.sets, &self.judged, zone));
                denial.prove(name, self.asked.rtype, asker.work)
            });
            let verdict = match proven {
                // What there is may prove an earlier link of the chain, and the name may belong to a zone below, that signs
                // nothing.
                Some(Ok(Proven::Nothing)) | None => {
                    self.is_unproven |= proven.is_some();
                    let missing = if self.is_unproven { verdict::UNPROVEN } else { verdict::NO_PROOF };
                    trust.enclosing(&seat, &mut asker)?.without_signature(missing)
                }
                Some(proven) => verdict_on(proven, |proven| match proven {
                    Proven::NoData { .. } => !self.no_name,
                    Proven::NoName => self.no_name,
                    Proven::OptOut | Proven::Costly | Proven::Nothing => false,
                }),
            };
            self.verdict = self.verdict.and(verdict);
        }
        Ok(self.verdict)
    }
}

/// How the zone stands that should have signed the set, and if it is secure, whether it has.
fn judge_set(
    set: &Set,
    trust: &mut Trust,
    asker: &mut Asker<'_>,
) -> Result<(Standing, Option<Result<Signed, Cause>>), Need> {
    let seat = set.seat();
    let Some(signer) = set.signer() else { return Ok((trust.enclosing(&seat, asker)?, None)) };
    let standing = match trust.anchors.above(&seat) {
        None => Standing::Indeterminate,
        // Above the anchor nobody can be held against it; a zone there may well be insecure.
        Some(anchor) if !signer.is_at_or_below(&anchor) => Standing::Bogus(verdict::OUTSIDE),
        Some(_) => trust.zone(signer, asker)?,
    };
    let signed = match &standing {
        Standing::Secure(keys) => Some(verify(set, keys, asker.wall, asker.work)),
        Standing::Insecure(_) | Standing::Bogus(_) | Standing::Indeterminate => None,
    };
    Ok((standing, signed))
}

/// What `zone` signed under its own name: a record of denial that a wildcard stands for denies nothing.
fn evidence<'s>(
    sets: &'s [Set],
    judged: &'s [Option<(Name, Signed)>],
    zone: &'s Name,
) -> impl Iterator<Item = &'s Set> {
    sets.iter().zip(judged).filter_map(move |(set, signed)| {
        let (by, signed) = signed.as_ref()?;
        (by == zone && is_denial(set.rtype) && !set.is_expanded(signed.labels)).then_some(set)
    })
}

/// The verdict on what had to be proven.
fn verdict_on(proven: Result<Proven, Cause>, is_it: impl FnOnce(Proven) -> bool) -> Verdict {
    match proven {
        Err(cause) => Verdict::Bogus(cause),
        Ok(Proven::OptOut) => Verdict::Insecure(None),
        Ok(Proven::Costly) => Verdict::Insecure(Some(verdict::TOO_MANY_ITERATIONS)),
        Ok(proven) if is_it(proven) => Verdict::Secure,
        Ok(_) => Verdict::Bogus(verdict::UNPROVEN),
    }
}
