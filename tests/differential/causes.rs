//! Why NSD and Knot differ: every dispute that is understood has a name, a side that hivedns takes, and a
//! reason; `docs/differences.md` tells them at length. What no cause explains, or where hivedns is on
//! another side, fails the test with its usual seed.

use crate::compare::{Case, Fact, near_limit};
use crate::oracle::message::{AA, Message, Record, TC, target};
use crate::oracle::names::{Wire, is_within, lowered};
use crate::proofs;
use std::collections::HashMap;

/// Whose answer is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Nsd,
    Knot,
    /// Each in some cases, and ours is one of the two.
    Either,
    /// Both are within the standard, or neither is: ours is told in the reason.
    Own,
}

impl Side {
    /// True if an answer that is with these, as [`crate::compare::Finding`] words it, is on this side.
    pub fn holds(self, with: &str) -> bool {
        match self {
            Side::Nsd => ["nsd", "both", "-"].contains(&with),
            Side::Knot => ["knot", "both", "-"].contains(&with),
            Side::Either => ["nsd", "knot", "both", "-"].contains(&with),
            Side::Own => true,
        }
    }
}

/// A dispute that is understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    pub name: &'static str,
    pub side: Side,
    pub why: &'static str,
}

macro_rules! causes {
    ($($id:ident = $name:literal, $side:ident, $why:literal;)*) => {
        $(static $id: Cause = Cause { name: $name, side: Side::$side, why: $why };)*
    };
}
pub(crate) use causes;

causes! {
    CLASS_OTHER = "a class that is not served: question echoed or not", Knot,
        "RFC 1035 §4.1.1: a response copies the question; NSD leaves it out when it refuses the class";
    CLASS_ANY = "class ANY", Own,
        "RFC 1034 §4.3.2 ends it without AA (NSD), Knot answers as for IN; neither fits a world of one class";
    CHAOS_ANY = "type ANY in class CHAOS", Own,
        "RFC 4892 speaks of TXT only: NSD answers with it, Knot refuses";
    TYPE_ZERO = "type 0", Knot,
        "reserved (RFC 6895 §3.1), no type to have data of: Knot NOTIMP, NSD an ordinary NODATA";
    TYPE_ZERO_ELSEWHERE = "type 0 of a name that is not served", Nsd,
        "whose name it is comes before what is asked of it: NSD refuses, Knot NOTIMP";
    OTHER_ZONE = "an alias that leads into another zone of this server", Knot,
        "RFC 1034 §4.3.2 step 3a would go on (NSD), but no resolver may believe it: an answer stays in its zone";
    ALIAS_TO_CUT = "an alias that leads below a cut of the same zone", Knot,
        "RFC 1034 §4.3.2 step 3b: the referral goes into the authority section; NSD leaves it out";
    LOOP = "aliases without end", Nsd,
        "a record belongs into an answer once: NSD stops before one comes again, Knot after five aliases";
    GROWING = "a DNAME that leads below itself", Own,
        "no record comes again, so where to stop is free: NSD after one step, Knot after five, hivedns after twenty";
    LONG_CHAIN = "a chain of more than five aliases", Nsd,
        "RFC 1034 §4.3.2 step 3a sets no limit; Knot stops after five and leaves the rest to the asker";
    WHICH_ANY = "which RRset answers ANY", Knot,
        "RFC 8482 §4.1 leaves it free: Knot the lowest type (as we do), NSD the first of the file";
    WHICH_ANY_SVCB = "which RRset answers ANY where that is SVCB or HTTPS", Own,
        "two disputes in one: the lowest type as Knot has it, without addresses as NSD has it";
    DS_ALIASED = "DS asked of an alias for the apex of a served zone", Knot,
        "an answer stays in its zone: NODATA with the SOA of the alias's zone; NSD goes to the target's parent";
    ALIAS_META = "RRSIG, NSEC or NSEC3 asked of an alias", Own,
        "RFC 1034 §3.6.2 excepts no type but CNAME: the alias is followed; NSD does so but for NSEC3, Knot for NSEC3";
    YXDOMAIN = "a DNAME whose substitution is too long", Nsd,
        "RFC 6672 §2.2: YXDOMAIN; Knot says NXDOMAIN with SOA";
    WILD_DNAME = "a DNAME at a wildcard", Nsd,
        "RFC 4592 §4.4: below the asterisk itself the owner is the asterisk; Knot puts the asked name there";
    WILD_DNAME_TO_CUT = "a DNAME at a wildcard that leads below a cut", Own,
        "two disputes in one: the owner as NSD has it, the referral as Knot has it";
    DNAME_TWICE = "a DNAME asked for that led to its own owner", Nsd,
        "a record belongs into an answer once: Knot gives it twice";
    DS_OCCLUDED = "DS of a cut that lies below another cut", Nsd,
        "RFC 1034 §4.3.2 step 3b: the upper cut ends the zone; Knot answers from what is occluded";
    ZONE_BELOW = "a name that exists only through another zone of this server", Knot,
        "a zone is what its own data says; NSD keeps the names of all zones in one tree";
    ADDITIONAL_GLUE = "addresses below a cut, beside MX or SRV", Knot,
        "RFC 1034 §4.3.2 step 6: useful data, and glue is what there is; NSD adds only authoritative ones";
    ADDITIONAL_SVCB = "addresses beside SVCB and HTTPS", Nsd,
        "RFC 9460 §4.1: SHOULD, and Knot does; neither NSD 4.6 nor hivedns so far";
    GLUE_TC = "in-domain glue that does not fit", Knot,
        "RFC 9471 §3.1: TC; NSD drops some of it silently";
    SIZE = "a message near its limit", Own,
        "how well names are compressed and what is left out first is each server's choice";
}

/// The aliases that Knot follows, at most.
const KNOT_ALIASES: usize = 5;
const ANY: u16 = 255;
const DS: u16 = 43;
const DNAME: u16 = 39;
/// The types of which a zone without signatures has nothing, whatever they are asked of.
const SIGNING: [u16; 3] = [46, 47, 50];
const SERVFAIL: u16 = 2;
const REFUSED: u16 = 5;

/// The cause of a dispute; `zones` are the origins that are served.
pub fn cause(case: &Case<'_>, disputed: &[Fact], zones: &[Wire]) -> Option<&'static Cause> {
    let question = case.question;
    let (Ok(nsd), Ok(knot)) = (&case.nsd, &case.knot) else { return None };
    let only = |fact: Fact| disputed == [fact];
    match (question.qclass, question.qtype) {
        (255, _) => return Some(&CLASS_ANY),
        (3, ANY) => return Some(&CHAOS_ANY),
        (1, 0) if nsd.rcode() == REFUSED => return Some(&TYPE_ZERO_ELSEWHERE),
        (1, 0) => return Some(&TYPE_ZERO),
        (1, _) => {}
        (_, 0) if disputed.contains(&Fact::Rcode) => return Some(&TYPE_ZERO),
        _ if disputed == [Fact::Question] => return Some(&CLASS_OTHER),
        _ => return None,
    }
    if let Some(cause) = proofs::cause(case, disputed, nsd, knot) {
        return Some(cause);
    }
    let name = lowered(&question.name);
    let chain = Chain::of(&name, nsd, knot);
    if nsd.rcode() == 6 {
        return Some(&YXDOMAIN);
    }
    if only(Fact::Additional) && question.qtype == ANY && near_limit(nsd.octets.max(knot.octets)) {
        return Some(&SIZE);
    }
    let has_data = |message: &Message| message.sections[0].iter().any(|r| ![5, 39, 46].contains(&r.rtype));
    if question.qtype == ANY && (has_data(nsd) && has_data(knot) || chain.steps == 0 && only(Fact::Answer)) {
        let svcb = knot.sections[0].iter().any(|record| matches!(record.rtype, 64 | 65));
        return Some(if svcb { &WHICH_ANY_SVCB } else { &WHICH_ANY });
    }
    if chain.endless {
        return Some(&LOOP);
    }
    let grows = |record: &Record| {
        record.rtype == DNAME && target(record).is_some_and(|target| is_within(target, &record.owner))
    };
    if knot.sections[0].iter().any(grows) && chain.steps > 0 {
        return Some(&GROWING);
    }
    if knot.sections[0].iter().filter(|record| record.rtype == 5).count() == KNOT_ALIASES {
        return Some(&LONG_CHAIN);
    }
    let truncated = (nsd.flags | knot.flags) & TC != 0;
    if truncated && chain.steps == 0 && knot.flags & TC != 0 && !knot.sections[1].is_empty() {
        return Some(&GLUE_TC);
    }
    if truncated || only(Fact::Additional) && near_limit(nsd.octets.max(knot.octets)) {
        return Some(&SIZE);
    }
    if chain.steps > 0 {
        let dname = |message: &Message, owner: &[u8]| {
            message.sections[0].iter().any(|record| record.rtype == 39 && record.owner == owner)
        };
        let wild = |record: &Record| record.rtype == 39 && record.owner.starts_with(b"\x01*");
        let refers = |message: &Message| message.sections[1].iter().any(|record| record.rtype == 2);
        // Knot fails where that is signed by hashes.
        let fails = knot.rcode() == SERVFAIL;
        let refers = refers(knot) || fails && matches!(&case.ours, Some(Ok(ours)) if refers(ours));
        if nsd.sections[0].iter().any(|record| wild(record) && !dname(knot, &record.owner)) {
            return Some(if refers { &WILD_DNAME_TO_CUT } else { &WILD_DNAME });
        }
        if question.qtype == DNAME && only(Fact::Answer) {
            return Some(&DNAME_TWICE);
        }
        if SIGNING.contains(&question.qtype) {
            return Some(&ALIAS_META);
        }
        let home = closest(zones, &name);
        if chain.ends.iter().any(|end| closest(zones, end).is_some() && closest(zones, end) != home) {
            return Some(&OTHER_ZONE);
        }
        if question.qtype == DS && chain.ends.iter().any(|end| zones.contains(end)) {
            return Some(&DS_ALIASED);
        }
        return refers.then_some(&ALIAS_TO_CUT);
    }
    if question.qtype == DS && nsd.flags & AA == 0 && knot.flags & AA != 0 {
        return Some(&DS_OCCLUDED);
    }
    if only(Fact::Additional) {
        let svcb = matches!(question.qtype, 64 | 65);
        return Some(if svcb { &ADDITIONAL_SVCB } else { &ADDITIONAL_GLUE });
    }
    let home = closest(zones, &name)?;
    let foreign = zones.iter().any(|zone| zone != home && is_within(zone, home))
        || zones.iter().any(|zone| zone != home && is_within(home, zone));
    (foreign && disputed.iter().all(|fact| matches!(fact, Fact::Rcode | Fact::Answer | Fact::Authority)))
        .then_some(&ZONE_BELOW)
}

/// The closest zone that encloses `name`.
fn closest<'a>(zones: &'a [Wire], name: &[u8]) -> Option<&'a Wire> {
    zones.iter().filter(|zone| is_within(name, zone)).max_by_key(|zone| zone.len())
}

/// The aliases that both answers follow between them.
struct Chain {
    steps: usize,
    /// A name comes again, or there are more steps than any sane zone has.
    endless: bool,
    /// Every name that an alias leads to.
    ends: Vec<Wire>,
}

impl Chain {
    const STEPS_MAX: usize = 9;

    fn of(name: &[u8], nsd: &Message, knot: &Message) -> Chain {
        let aliases = nsd.sections[0].iter().chain(&knot.sections[0]).filter(|record| record.rtype == 5);
        let aliases: HashMap<&[u8], &[u8]> =
            aliases.filter_map(|record| Some((record.owner.as_slice(), target(record)?))).collect();
        let mut chain = Chain { steps: 0, endless: false, ends: Vec::new() };
        let mut at = name;
        while let Some(next) = aliases.get(at) {
            chain.steps += 1;
            chain.endless |= *next == name || chain.ends.iter().any(|end| end == next);
            chain.endless |= chain.steps > Chain::STEPS_MAX;
            if chain.endless {
                break;
            }
            chain.ends.push(next.to_vec());
            at = next;
        }
        chain
    }
}
