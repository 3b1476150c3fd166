//! Chains of trust: from an anchor down to the zone of a name, by DS and DNSKEY sets (RFC 4035 §5).
//!
//! ```text
//! zone(Z), for what is signed by Z                     enclosing(N), for what is not signed at all
//!   anchor at Z ─────────────► DNSKEY of Z               from the anchor down, label by label:
//!   DS of Z, signed by X above: zone(X), then              DS of each name, as zone(Z) has it,
//!     DS ────────────────────► DNSKEY of Z                 until a cut is insecure, or N is reached
//!     proof that there is none ► Z is insecure
//! ```
//!
//! What is missing is told as a [`Need`]. When it is there, the same is asked again from the start, and now finds more
//! in memory.

use crate::base::time::{Moment, WallSeconds};
use crate::resolve::validate::Asked;
use crate::resolve::validate::anchors::Anchors;
use crate::resolve::validate::check::{Digest, Keys, Work, believe, read_ds, verify};
use crate::resolve::validate::denial::{Denial, Proven};
use crate::resolve::validate::limits::{ABSENCE_SECONDS_MAX, BOGUS_REMEMBERED_FOR};
use crate::resolve::validate::memory::{Known, Memory};
use crate::resolve::validate::set::{Set, ancestor};
use crate::resolve::validate::verdict::{self, Cause, Verdict};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::sync::Arc;

/// A set without which nothing more can be said.
pub(super) type Need = Arc<Asked>;

/// What was asked for on behalf of an answer: the sets of the answer and of the authority section, or why there are
/// none.
#[derive(Debug)]
pub(super) struct Reply {
    pub answer: Vec<Set>,
    pub authority: Vec<Set>,
}

/// One answer's replies so far. Shared among the answers that waited for the same.
pub(super) type Replies = Vec<(Need, Option<Arc<Reply>>)>;

/// How a zone stands. Closed.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Secure(Arc<Keys>),
    Insecure(Option<Cause>),
    Bogus(Cause),
    Indeterminate,
}

impl Standing {
    /// The verdict on what has no signature and belongs there; `missing` if it should have one.
    pub(super) fn without_signature(&self, missing: Cause) -> Verdict {
        match self {
            Standing::Secure(_) => Verdict::Bogus(missing),
            Standing::Insecure(cause) => Verdict::Insecure(*cause),
            Standing::Bogus(cause) => Verdict::Bogus(*cause),
            Standing::Indeterminate => Verdict::Indeterminate(verdict::NO_ANCHOR),
        }
    }
}

/// On whose behalf, and when.
pub(super) struct Asker<'a> {
    pub now: Moment,
    pub wall: WallSeconds,
    pub replies: &'a Replies,
    pub work: &'a mut Work,
}

impl Asker<'_> {
    fn reply(&self, name: &Name, rtype: RecordType) -> Result<Option<Arc<Reply>>, Need> {
        let found = self.replies.iter().find(|(need, _)| need.rtype == rtype && need.name == *name);
        found.map(|(_, reply)| reply.clone()).ok_or_else(|| Arc::new(Asked { name: name.clone(), rtype }))
    }
}

/// Anchors, and what follows from them.
#[derive(Debug)]
pub(super) struct Trust {
    pub anchors: Anchors,
    pub memory: Memory,
}

impl Trust {
    /// How the zone whose apex is `zone` stands, as far as somebody signed in its name.
    pub(super) fn zone(&mut self, zone: &Name, asker: &mut Asker<'_>) -> Result<Standing, Need> {
        let known = match self.memory.get(asker.now, zone).cloned() {
            Some(known) => known,
            None => match self.begin(zone, asker)? {
                Ok(known) => known,
                Err(standing) => return Ok(standing),
            },
        };
        Ok(match known {
            Known::Delegated(digests) => self.keys(zone, &digests, verdict::NO_KEY_FOR_DS, asker)?,
            Known::Secure(keys) => Standing::Secure(keys),
            Known::Insecure(cause) => Standing::Insecure(cause),
            Known::Bogus(cause) => Standing::Bogus(cause),
            Known::NoCut | Known::Absent => Standing::Bogus(verdict::NOT_A_ZONE),
        })
    }

    /// What is known of a zone of which nothing is remembered, or how the one above it stands if that settles it.
    fn begin(&mut self, zone: &Name, asker: &mut Asker<'_>) -> Result<Result<Known, Standing>, Need> {
        let Some(anchor) = self.anchors.above(zone) else { return Ok(Err(Standing::Indeterminate)) };
        if anchor == *zone {
            return Ok(Err(match self.anchors.of(zone) {
                Ok(digests) => self.keys(zone, &digests, verdict::NO_KEY_FOR_ANCHOR, asker)?,
                Err(cause) => Standing::Insecure(Some(cause)),
            }));
        }
        // What is known to be without protection has none below, whatever stands there.
        for labels in anchor.label_count() + 1..zone.label_count() {
            let Some(above) = ancestor(zone, labels) else { break };
            match self.memory.get(asker.now, &above) {
                Some(Known::Insecure(cause)) => return Ok(Err(Standing::Insecure(*cause))),
                Some(Known::Bogus(cause)) => return Ok(Err(Standing::Bogus(*cause))),
                _ => {}
            }
        }
        let Some(above) = zone.parent() else { return Ok(Err(Standing::Indeterminate)) };
        let reply = asker.reply(zone, RecordType::DS)?;
        let signer = reply.as_ref().and_then(|reply| reply.signer(&above));
        let standing = match &signer {
            Some(signer) if signer.is_at_or_below(&anchor) => self.zone(signer, asker)?,
            Some(_) => Standing::Bogus(verdict::OUTSIDE),
            None => self.enclosing(&above, asker)?,
        };
        match standing {
            Standing::Secure(keys) if signer.is_some() || reply.is_none() => {
                Ok(Ok(self.cut(zone, reply.as_deref(), &keys, asker)))
            }
            Standing::Secure(_) => {
                self.keep_bogus(zone, verdict::WRONG_SIDE, asker.now);
                Ok(Err(Standing::Bogus(verdict::WRONG_SIDE)))
            }
            Standing::Insecure(_) | Standing::Bogus(_) | Standing::Indeterminate => Ok(Err(standing)),
        }
    }

    /// How the zone stands to which `name` belongs, where nobody says which that is: all cuts above are looked for.
    pub(super) fn enclosing(&mut self, name: &Name, asker: &mut Asker<'_>) -> Result<Standing, Need> {
        let Some(anchor) = self.anchors.above(name) else { return Ok(Standing::Indeterminate) };
        let mut standing = self.zone(&anchor, asker)?;
        for labels in anchor.label_count() + 1..=name.label_count() {
            let (Standing::Secure(keys), Some(cut)) = (&standing, ancestor(name, labels)) else { break };
            let known = match self.memory.get(asker.now, &cut).cloned() {
                Some(known) => known,
                None => {
                    let (keys, reply) = (keys.clone(), asker.reply(&cut, RecordType::DS)?);
                    self.cut(&cut, reply.as_deref(), &keys, asker)
                }
            };
            standing = match known {
                Known::NoCut => continue,
                Known::Absent => break,
                Known::Delegated(digests) => self.keys(&cut, &digests, verdict::NO_KEY_FOR_DS, asker)?,
                Known::Secure(keys) => Standing::Secure(keys),
                Known::Insecure(cause) => Standing::Insecure(cause),
                Known::Bogus(cause) => Standing::Bogus(cause),
            };
        }
        Ok(standing)
    }

    /// The keys of a zone that `digests` stand for.
    fn keys(
        &mut self,
        zone: &Name,
        digests: &[Digest],
        mismatch: Cause,
        asker: &mut Asker<'_>,
    ) -> Result<Standing, Need> {
        // The anchor's keys are remembered like all others.
        if let Some(Known::Secure(keys)) = self.memory.get(asker.now, zone) {
            return Ok(Standing::Secure(keys.clone()));
        }
        let reply = asker.reply(zone, RecordType::DNSKEY)?;
        let believed = match &reply {
            None => Err(verdict::KEYS_OUT_OF_REACH),
            Some(reply) => match reply.answer_at(zone, RecordType::DNSKEY) {
                Some(set) => believe(set, digests, asker.wall, asker.work)
                    .map_err(|cause| if cause == verdict::NO_KEY_FOR_DS { mismatch } else { cause }),
                None => Err(mismatch),
            },
        };
        Ok(match believed {
            Ok((keys, ttl)) => {
                let keys = Arc::new(keys);
                self.memory.keep(asker.now, zone, Known::Secure(keys.clone()), ttl);
                Standing::Secure(keys)
            }
            Err(cause) => {
                self.keep_bogus(zone, cause, asker.now);
                Standing::Bogus(cause)
            }
        })
    }

    /// What the zone above, whose keys are `keys`, says of `cut` in its reply for DS. Remembered.
    fn cut(&mut self, cut: &Name, reply: Option<&Reply>, keys: &Keys, asker: &mut Asker<'_>) -> Known {
        let judged = match reply {
            None => Err(verdict::DS_OUT_OF_REACH),
            Some(reply) => judge(cut, reply, keys, asker),
        };
        match judged {
            Ok((known, ttl)) => {
                let is_zone = matches!(known, Known::Delegated(_));
                let ttl = if is_zone { ttl } else { ttl.min(ABSENCE_SECONDS_MAX) };
                self.memory.keep(asker.now, cut, known.clone(), ttl);
                known
            }
            Err(cause) => {
                self.keep_bogus(cut, cause, asker.now);
                Known::Bogus(cause)
            }
        }
    }

    /// What is bogus stays so for a while, unless only this answer had become too expensive: who makes an answer so, by
    /// zones of its own, must not make others' zones bogus for all.
    fn keep_bogus(&mut self, name: &Name, cause: Cause, now: Moment) {
        if cause != verdict::TOO_MUCH_WORK {
            let ttl = u32::try_from(BOGUS_REMEMBERED_FOR.as_secs()).unwrap_or(0);
            self.memory.keep(now, name, Known::Bogus(cause), ttl);
        }
    }
}

impl Reply {
    /// Octets of all sets, about.
    pub(super) fn octets(&self) -> usize {
        self.answer.iter().chain(&self.authority).map(Set::octets).sum()
    }

    fn answer_at(&self, name: &Name, rtype: RecordType) -> Option<&Set> {
        self.answer.iter().find(|set| set.rtype == rtype && set.name == *name)
    }

    /// The lowest zone at or above `above` that signed any of it.
    fn signer(&self, above: &Name) -> Option<Name> {
        let signatures = self.answer.iter().chain(&self.authority).flat_map(|set| &set.signatures);
        let signers = signatures.map(|signature| &signature.signer);
        signers
            .filter(|signer| above.is_at_or_below(signer))
            .max_by_key(|signer| signer.label_count())
            .cloned()
    }
}

/// What a reply for the DS set of `cut` says, by the keys of the zone above, and for how many seconds.
fn judge(cut: &Name, reply: &Reply, keys: &Keys, asker: &mut Asker<'_>) -> Result<(Known, u32), Cause> {
    let (wall, work) = (asker.wall, &mut *asker.work);
    if let Some(set) = reply.answer_at(cut, RecordType::DS) {
        let signed = verify(set, keys, wall, work)?;
        if set.is_expanded(signed.labels) {
            return Err(verdict::BAD_SIGNATURE);
        }
        let known = match read_ds(&set.rdatas) {
            Ok(digests) => Known::Delegated(Arc::new(digests)),
            Err(cause) => Known::Insecure(Some(cause)),
        };
        return Ok((known, signed.ttl));
    }
    // Where an alias stands no zone begins; below a DNAME nothing stands at all.
    if let Some(alias) = reply.answer.iter().find(|set| {
        set.rtype == RecordType::DNAME && set.name != *cut && cut.is_at_or_below(&set.name)
            || set.rtype == RecordType::CNAME && set.name == *cut
    }) {
        let signed = verify(alias, keys, wall, work)?;
        let known = if alias.rtype == RecordType::DNAME { Known::Absent } else { Known::NoCut };
        return Ok((known, signed.ttl));
    }
    let mut ttl = u32::MAX;
    let mut believed = Vec::new();
    for set in reply.authority.iter().filter(|set| is_denial(set.rtype) && set.is_signed_by(&keys.zone)) {
        let signed = verify(set, keys, wall, work)?;
        ttl = ttl.min(signed.ttl);
        if !set.is_expanded(signed.labels) {
            believed.push(set);
        }
    }
    if believed.is_empty() {
        return Err(verdict::NO_PROOF);
    }
    let denial = Denial::new(&keys.zone, believed.into_iter());
    let known = match denial.prove(cut, RecordType::DS, work)? {
        Proven::NoData { cut: true } | Proven::OptOut => Known::Insecure(None),
        Proven::NoData { cut: false } => Known::NoCut,
        Proven::NoName => Known::Absent,
        Proven::Costly => Known::Insecure(Some(verdict::TOO_MANY_ITERATIONS)),
        Proven::Nothing => return Err(verdict::UNPROVEN),
    };
    Ok((known, ttl))
}

/// True for the records that prove what does not exist.
pub(super) fn is_denial(rtype: RecordType) -> bool {
    rtype == RecordType::NSEC || rtype == RecordType::NSEC3
}
