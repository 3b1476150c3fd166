//! From where a name leads to what is said about it, along aliases, within one zone; and, for those who may have it
//! resolved, the name with which the chain leaves the zone.

use crate::answer::Scratch;
use crate::answer::additional::{self, Added, Kind};
use crate::answer::proof::{self, Missing, Proofs, Prover};
use crate::answer::viewed::{self, Asked, Chosen, Targets};
use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::query::Query;
use crate::wire::reply::{Full, Owner, Reply, Section};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::{CHAIN_OCTETS_MAX, RECORD_HEAD_OCTETS};
use crate::zone::canonical::Labels;
use crate::zone::signed::Denial;
use crate::zone::store::{Node, Rrset, node_flags};
use crate::zone::{Place, Zone};

/// The aliases passed on the way: a name that comes again closes a loop.
#[derive(Default)]
pub(super) struct Trail {
    /// By which node each step led, and where in the reply its name stands.
    steps: [Option<((u32, usize), Owner)>; CHAIN_STEPS_MAX],
    count: usize,
    /// How many zones were left: nodes of different zones are different nodes.
    zone: u32,
}

/// How the trail takes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// The node has not been passed.
    First,
    /// It has, for another name: a wildcard or a DNAME.
    Again,
    /// The chain loops or is too long.
    No,
}

impl Trail {
    /// Begins anew.
    pub(super) fn clear(&mut self) {
        (self.count, self.zone) = (0, 0);
    }

    /// Goes on in another zone.
    pub(super) fn leave(&mut self) {
        self.zone += 1;
    }

    /// The number of the zone in which the chain is.
    pub(super) fn zone(&self) -> u32 {
        self.zone
    }

    /// True if the zone is the one in which the question lies.
    fn is_at_home(&self) -> bool {
        self.zone == 0
    }

    fn has_passed(&self, node: Node<'_>) -> bool {
        let id = (self.zone, node.id());
        self.steps.iter().take(self.count).flatten().any(|(passed, _)| *passed == id)
    }

    fn pass(&mut self, node: Node<'_>, owner: Owner, reply: &Reply<'_>) -> Pass {
        let id = (self.zone, node.id());
        let passed = || self.steps.iter().take(self.count).flatten();
        let times = passed().filter(|(passed, _)| *passed == id).count();
        let pass = if times == 0 { Pass::First } else { Pass::Again };
        // Only the same name closes the loop, but it may have been passed by another node meanwhile. A wildcard
        // that leads a name to itself is told twice, as NSD and Knot do.
        let is_own_name = owner.len == node.name_len() && reply.is_wildcard(owner);
        let leads_to_itself = times == 1 && node.has(node_flags::CNAME) && node.is_wildcard() && !is_own_name;
        if times > 0 && !leads_to_itself && passed().any(|(_, other)| reply.is_same_name(*other, owner)) {
            return Pass::No;
        }
        match self.steps.get_mut(self.count) {
            Some(free) => {
                *free = Some((id, owner));
                self.count += 1;
                pass
            }
            None => Pass::No,
        }
    }
}

/// One question being answered from one zone.
pub(super) struct Chase<'a, 'b> {
    zone: &'a Zone,
    qtype: RecordType,
    key: &'a mut NameKey,
    trail: &'a mut Trail,
    added: &'a mut Added,
    asked: Asked,
    chosen: &'a mut Chosen,
    /// How the zone proves what does not exist, if it is signed and the asker wants to see that.
    denial: Option<&'a Denial>,
    proofs: &'a mut Proofs,
    reply: &'a mut Reply<'b>,
    /// Names outside the zone and below its cuts are somebody else's to answer, and the asker may have them resolved.
    resolves: bool,
}

/// Where a chain ends.
pub(super) enum End {
    /// Here, with this code.
    Here(Rcode),
    /// With an alias for a name outside the zone, which stands there in the reply.
    Outside(Owner),
    /// At or below a zone cut, with this name.
    Below(Owner),
}

/// What one step of the chain comes to.
enum Step<'z> {
    Done(Rcode),
    /// The chain leaves what the zone can answer.
    Leave(End),
    /// An alias leads on to a name of the zone, which stands there in the reply.
    Onward(Place<'z>, Owner),
}

impl<'a, 'b> Chase<'a, 'b> {
    /// `scratch` holds the trail so far.
    #[inline]
    pub(super) fn new(
        zone: &'a Zone,
        query: &Query<'_>,
        scratch: &'a mut Scratch,
        reply: &'a mut Reply<'b>,
        resolves: bool,
    ) -> Chase<'a, 'b> {
        let Scratch { key, chase, additional, asked, chosen, proofs, .. } = scratch;
        Chase {
            zone,
            qtype: query.qtype(),
            key,
            trail: chase,
            added: additional,
            asked: *asked,
            chosen,
            denial: zone.denial().filter(|_| query.dnssec_ok()),
            proofs,
            reply,
            resolves,
        }
    }

    /// Follows a name to its end. The code is that of the last name (RFC 6604 §3), the AA bit that of the first
    /// (RFC 1035 §4.1.1).
    #[inline(never)]
    pub(super) fn follow(mut self, mut place: Place<'a>, mut owner: Owner) -> End {
        loop {
            if let (Some(_), Place::Wildcard(node)) = (self.denial, place) {
                let labels = self.zone.origin_labels() + Labels::of(node.key()).count() - 1;
                self.proofs.expand(owner, labels, self.trail.zone);
            }
            let step = match place {
                Place::Node(node) if node.has(node_flags::CUT) && self.qtype != RecordType::DS => {
                    self.refer(node, owner)
                }
                Place::Node(node) => self.answer_node(node, owner, Missing::Type(node)),
                Place::Wildcard(node) => self.answer_node(node, owner, Missing::TypeOfWildcard(node)),
                Place::BelowCut(node) => self.refer(node, owner),
                Place::BelowDname(node) => self.answer_dname(node, owner),
                Place::Absent => self.answer_absent(owner, Rcode::NxDomain, Missing::Name),
            };
            match step {
                Step::Done(rcode) => {
                    self.prove_expansions();
                    return End::Here(rcode);
                }
                Step::Leave(end) => return end,
                // What is sealed may stand here at most; who asks goes on.
                Step::Onward(..) if self.reply.written().len() > CHAIN_OCTETS_MAX => {
                    self.prove_expansions();
                    return End::Here(Rcode::NoError);
                }
                Step::Onward(next, target) => (place, owner) = (next, target),
            }
        }
    }

    /// The name exists, itself or by a wildcard.
    #[inline]
    fn answer_node(&mut self, node: Node<'a>, owner: Owner, missing: Missing<'a>) -> Step<'a> {
        self.reply.set_authoritative();
        // RFC 8482 §4.1: one RRset is answer enough for ANY.
        let rrset = match self.qtype {
            RecordType::ANY => node.rrsets().next().filter(|rrset| !rrset.rtype().is_viewed()),
            qtype => node.rrset(qtype),
        };
        if let Some(rrset) = rrset {
            // A DNAME that led to its own owner has been told; one that a wildcard lends to another has not.
            if rrset.rtype() == RecordType::DNAME
                && self.trail.has_passed(node)
                && owner.len == node.name_len()
                && (self.reply.first_label(owner) == b"\x01*" || !node.key().starts_with(b"\x01*"))
            {
                return Step::Done(Rcode::NoError);
            }
            return self.answer_rrset(&node, &rrset, owner);
        }
        if node.has(node_flags::VIEWED)
            && let Some(step) = self.answer_viewed(node, owner)
        {
            return step;
        }
        if node.has(node_flags::CNAME)
            && let Some(cname) = node.rrset(RecordType::CNAME)
        {
            return self.answer_cname(node, &cname, owner);
        }
        self.answer_absent(owner, Rcode::NoError, missing)
    }

    /// Records that are for some askers; `None` if this one gets none.
    #[inline(never)]
    fn answer_viewed(&mut self, node: Node<'a>, owner: Owner) -> Option<Step<'a>> {
        let qtypes = match self.qtype {
            RecordType::ANY => &viewed::TYPES[..],
            ref qtype => std::slice::from_ref(qtype),
        };
        for rtype in qtypes {
            let mut targets = Targets::default();
            let note = |at| {
                if *rtype == RecordType::SRV {
                    targets.note(at)
                }
            };
            let chosen = (self.asked, &mut *self.chosen);
            let place = (Section::Answer, owner);
            let (count, told) = viewed::put(self.zone, (node, *rtype), chosen, place, self.reply, note);
            if count == 0 {
                continue;
            }
            match told {
                // As many as fit, and the asker may come back over TCP.
                Err(_) => self.reply.set_truncated(),
                Ok(()) => self.add_hosts(&targets),
            }
            return Some(Step::Done(Rcode::NoError));
        }
        None
    }

    /// Adds the addresses of these hosts, as far as they fit and the asker gets them.
    fn add_hosts(&mut self, targets: &Targets) {
        for at in targets.iter() {
            let Some(owner) = self.reply.owner_at(at) else { continue };
            let name = self.reply.written().get(at..at + owner.len).unwrap_or_default();
            let Some(Place::Node(host)) = self.zone.locate_name(name, self.key) else { continue };
            for rtype in [RecordType::A, RecordType::AAAA] {
                let chosen = (self.asked, &mut *self.chosen);
                let place = (Section::Additional, owner);
                let plain = match host.rrset(rtype) {
                    Some(rrset) => self.reply.append(Section::Additional, &rrset.sealed(), owner).map(drop),
                    None => viewed::put(self.zone, (host, rtype), chosen, place, self.reply, |_| {}).1,
                };
                if plain.is_err() {
                    return;
                }
            }
        }
    }

    #[inline]
    fn answer_rrset(&mut self, node: &Node<'a>, rrset: &Rrset<'a>, owner: Owner) -> Step<'a> {
        match self.put(Section::Answer, (node, rrset), owner) {
            Err(_) => self.reply.set_truncated(),
            Ok(start) => {
                // Sections are filled in their order.
                self.prove_expansions();
                if rrset.has_targets() && rrset.rtype() != RecordType::CNAME {
                    additional::add(
                        self.zone,
                        (rrset, self.denial.is_some()),
                        start,
                        Kind::Answer,
                        (self.added, self.key),
                        self.reply,
                    );
                }
            }
        }
        Step::Done(Rcode::NoError)
    }

    fn answer_cname(&mut self, node: Node<'a>, cname: &Rrset<'a>, owner: Owner) -> Step<'a> {
        if self.trail.pass(node, owner, self.reply) == Pass::No {
            return Step::Done(Rcode::NoError);
        }
        let Ok(start) = self.put(Section::Answer, (&node, cname), owner) else {
            self.reply.set_truncated();
            return Step::Done(Rcode::NoError);
        };
        let Some(target) = cname.targets().next() else { return self.leave(start + RECORD_HEAD_OCTETS) };
        let owner = Owner { at: start + target.at, len: target.key.len() + self.zone.origin_len() };
        let place = match self.zone.plain_target(&target) {
            Some(node) => Place::Node(node),
            None => self.zone.locate_target(&target, self.key),
        };
        Step::Onward(place, owner)
    }

    /// Below a DNAME: the set itself and the CNAME that it means for this name (RFC 6672 §3.1).
    fn answer_dname(&mut self, node: Node<'a>, owner: Owner) -> Step<'a> {
        self.reply.set_authoritative();
        let truncated = |reply: &mut Reply<'_>, rcode| {
            reply.set_truncated();
            Step::Done(rcode)
        };
        let Some(dname) = node.rrset(RecordType::DNAME) else { return Step::Done(Rcode::ServFail) };
        let pass = self.trail.pass(node, owner, self.reply);
        if pass == Pass::No {
            return Step::Done(Rcode::NoError);
        }
        let sealed = dname.sealed();
        let mut prefix = [0u8; NAME_OCTETS_MAX];
        let Some((suffix, prefix_len)) = self.reply.split_name(owner, node.name_len(), &mut prefix) else {
            return Step::Done(Rcode::ServFail);
        };
        let target = sealed.octets.get(RECORD_HEAD_OCTETS..).unwrap_or_default();
        let len = prefix_len + target.len();
        // A name that grows with every round is a loop, and ends as one.
        let is_too_long = len > NAME_OCTETS_MAX && pass == Pass::First;
        let rcode = if is_too_long { Rcode::YxDomain } else { Rcode::NoError };
        if pass == Pass::First && self.put(Section::Answer, (&node, &dname), suffix).is_err() {
            return truncated(self.reply, rcode);
        }
        if len > NAME_OCTETS_MAX {
            return Step::Done(rcode);
        }
        let record = (RecordType::CNAME, Class::IN, self.reply.ttl_of(&sealed));
        let parts = [prefix.get(..prefix_len).unwrap_or_default(), target];
        let Ok(at) = self.reply.append_record(Section::Answer, owner, record, &parts) else {
            return truncated(self.reply, rcode);
        };
        if self.qtype == RecordType::CNAME {
            return Step::Done(Rcode::NoError);
        }
        let name = self.reply.written().get(at..at + len).unwrap_or_default();
        match self.zone.locate_name(name, self.key) {
            Some(place) => Step::Onward(place, Owner { at, len }),
            None => self.leave(at),
        }
    }

    /// An alias leads out of the zone, to the name that begins there in the reply.
    fn leave(&self, at: usize) -> Step<'a> {
        match self.reply.owner_at(at) {
            Some(owner) if self.resolves => Step::Leave(End::Outside(owner)),
            _ => Step::Done(Rcode::NoError),
        }
    }

    /// At or below a zone cut: the name servers beyond it, and their glue. Not authoritative, unless an alias
    /// came before.
    fn refer(&mut self, cut: Node<'a>, owner: Owner) -> Step<'a> {
        if self.resolves {
            return Step::Leave(End::Below(owner));
        }
        let Some(ns) = cut.rrset(RecordType::NS) else { return Step::Done(Rcode::ServFail) };
        let Some(owner) = self.reply.suffix_of(owner, cut.name_len()) else {
            return Step::Done(Rcode::ServFail);
        };
        match self.reply.append(Section::Authority, &ns.sealed(), owner) {
            Err(_) => self.reply.set_truncated(),
            Ok(start) => {
                self.vouch_for(cut, owner);
                self.prove_expansions();
                let what = (&ns, self.denial.is_some());
                additional::add(self.zone, what, start, Kind::Referral, (self.added, self.key), self.reply);
            }
        }
        Step::Done(Rcode::NoError)
    }

    /// Tells whether what is below a cut is signed, too: its DS, or the proof that there is none (RFC 4035 §3.1.4).
    fn vouch_for(&mut self, cut: Node<'a>, owner: Owner) {
        if self.denial.is_none() {
            return;
        }
        match cut.rrset(RecordType::DS) {
            Some(ds) => {
                if self.put(Section::Authority, (&cut, &ds), owner).is_err() {
                    self.reply.set_truncated();
                }
            }
            None => self.prove(|prover| prover.absence(owner, Missing::Type(cut))),
        }
    }

    /// Puts a set at the end of `section`, with its signatures if they are wanted: all of it, or nothing.
    #[inline]
    fn put(&mut self, section: Section, set: (&Node<'_>, &Rrset<'_>), owner: Owner) -> Result<usize, Full> {
        proof::put(self.reply, section, set, owner, self.denial.is_some())
    }

    /// Proves that wildcards stood in rightly in this zone, so far.
    fn prove_expansions(&mut self) {
        self.prove_expansions_in(self.trail.zone);
    }

    /// The same where the zone was the one of that number, and may be left.
    pub(super) fn prove_expansions_in(&mut self, zone: u32) {
        self.prove(|prover| prover.expansions(zone));
    }

    /// Adds proofs, if they are wanted. They are required: what does not fit is missed by TC.
    fn prove(&mut self, prove: impl FnOnce(&mut Prover<'_, 'a, 'b>) -> Result<(), Full>) {
        let Chase { zone, denial: Some(denial), proofs, reply, key, .. } = self else { return };
        if !reply.is_truncated() && prove(&mut Prover { zone, denial, proofs, reply, key }).is_err() {
            reply.set_truncated();
        }
    }

    /// The name or the type does not exist: the SOA says for how long (RFC 2308 §2).
    #[inline]
    fn answer_absent(&mut self, owner: Owner, rcode: Rcode, missing: Missing<'a>) -> Step<'a> {
        self.reply.set_authoritative();
        let origin_len = self.zone.origin_len();
        let apex = match self.trail.is_at_home() {
            // The question lies in the zone, too, and is never compressed.
            true => self.reply.question_suffix(origin_len),
            false => match self.reply.suffix_of(owner, origin_len) {
                Some(apex) => apex,
                None => return Step::Done(Rcode::ServFail),
            },
        };
        if proof::put_negative_soa(self.reply, self.zone, apex, self.denial.is_some()).is_err() {
            self.reply.set_truncated();
        }
        self.prove(|prover| prover.absence(owner, missing));
        Step::Done(rcode)
    }
}
