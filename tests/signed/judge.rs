//! A server with one signed zone, and a validator that trusts its key and asks it.

use crate::chance::{WALL, ZONE, Zone};
use crate::oracle::message::{self, AA, Edns, TC};
use crate::oracle::render;
use crate::support::desk::{self, Desk};
use hivedns::base::time::{Moment, WallSeconds};
use hivedns::resolve::validate::{Asked, Output, Response, Ticket, Unfetched, Validator, Verdict};
use hivedns::wire::message::Rcode;
use hivedns::wire::name::Name;
use hivedns::wire::reply::Section;
use hivedns::wire::response;
use hivedns::wire::rtype::{Class, RecordType};
use hivedns::wire::section::{Record, records};

/// Aliases of a chain that is judged.
const ALIASES_MAX: usize = 8;

/// What the server said to one who wants to see signatures.
pub struct Told {
    pub response: Response,
    pub octets: usize,
    pub truncated: bool,
    authoritative: bool,
    /// For people.
    pub text: String,
}

impl Told {
    /// The cut that a referral leads to.
    pub fn cut(&self) -> Option<Name> {
        let ns = self.response.authority.iter().find(|record| record.rtype == RecordType::NS)?;
        (!self.authoritative && self.response.answer.is_empty()).then(|| ns.name.clone())
    }

    /// True for a chain of aliases that no validator follows: it has no end, or is too long for this one.
    fn runs_in_circles(&self) -> bool {
        let aliases = self.response.answer.iter().filter(|record| record.rtype == RecordType::CNAME);
        let owners: Vec<&Name> = aliases.map(|alias| &alias.name).collect();
        let ends_at = |end: &Name| owners.contains(&end);
        let all = self.response.answer.iter().filter(|record| record.rtype == RecordType::CNAME);
        let targets: Vec<Name> = all.filter_map(|alias| Name::from_wire(&alias.rdata).ok()).collect();
        owners.len() > ALIASES_MAX || !targets.is_empty() && targets.iter().all(ends_at)
    }

    /// The DS records of a referral as an answer, or its proofs as a denial.
    pub fn asked_for_ds(self, cut: &Name) -> Told {
        let Response { rcode, authority, .. } = self.response;
        let is_ds = |record: &Record| {
            record.name == *cut
                && (record.rtype == RecordType::DS
                    || record.rtype == RecordType::RRSIG
                        && record.rdata.starts_with(&RecordType::DS.0.to_be_bytes()))
        };
        let rest = authority.into_iter().filter(|record| record.rtype != RecordType::NS);
        let (answer, authority) = rest.partition(is_ds);
        Told { response: Response { rcode, answer, authority, is_open: false }, ..self }
    }
}

pub struct Judge {
    pub desk: Desk,
    validator: Validator,
}

impl Judge {
    pub fn new(zone: &Zone) -> Result<Judge, String> {
        let origin = Name::parse(ZONE).map_err(|error| error.to_string())?;
        let sealed = desk::zone(origin.as_wire(), &zone.entries())?;
        let ds = Record {
            name: origin.clone(),
            rtype: RecordType::DS,
            class: Class::IN,
            ttl: 60,
            rdata: zone.signer.ds(&origin),
        };
        Ok(Judge { desk: Desk::new(desk::snapshot("judge", [sealed])), validator: Validator::new(&[ds]) })
    }

    pub fn ask(&mut self, name: &Name, rtype: RecordType) -> Told {
        self.ask_within(name, rtype, 65_535)
    }

    pub fn ask_within(&mut self, name: &Name, rtype: RecordType, limit: usize) -> Told {
        let edns = Edns { payload: 1232, dnssec_ok: true, version: 0, options: Vec::new() };
        let query = message::query(7, 0, name.as_wire(), rtype.0, 1, Some(&edns));
        let octets = self.desk.answer_within(&query, limit).expect("an answer");
        let decoded = message::decode(octets).unwrap_or_else(|why| panic!("{why}: {octets:?}"));
        let read = response::Response::read(octets).expect("a response");
        let rcode = match decoded.rcode() {
            0 => Rcode::NoError,
            3 => Rcode::NxDomain,
            6 => Rcode::YxDomain,
            other => panic!("{name} {rtype}: code {other}"),
        };
        let [answer, authority] =
            [Section::Answer, Section::Authority].map(|section| records(&read, section));
        Told {
            response: Response { rcode, answer, authority, is_open: false },
            octets: octets.len(),
            truncated: decoded.flags & TC != 0,
            authoritative: decoded.flags & AA != 0,
            text: render::message(&decoded),
        }
    }

    /// What the validator finds; of an answer that leads below a cut nothing is to be found here.
    pub fn judge(&mut self, name: &Name, rtype: RecordType, told: &Told) -> String {
        let leads_away = told.response.authority.iter().any(|record| record.rtype == RecordType::NS);
        // Whether the zone itself is signed the zone above it says.
        let is_apex = |name: &Name| name.label_count() == 1;
        let aliases = told.response.answer.iter().filter(|record| record.rtype == RecordType::CNAME);
        let mut ends = aliases.filter_map(|alias| Name::from_wire(&alias.rdata).ok());
        let is_own_ds = rtype == RecordType::DS && (is_apex(name) || ends.any(|end| is_apex(&end)));
        if leads_away || is_own_ds {
            return "secure".into();
        }
        if told.runs_in_circles() {
            return "secure".into();
        }
        let (now, wall, ticket) = (Moment::START, WallSeconds(u64::from(WALL)), Ticket(1));
        let asked = Asked { name: name.clone(), rtype };
        self.validator.start(now, wall, ticket, asked, &told.response).expect("room");
        loop {
            match self.validator.poll().expect("neither a need nor a verdict") {
                Output::Done { verdict, .. } => {
                    return match verdict {
                        Verdict::Secure => "secure".into(),
                        Verdict::Insecure(_) => "insecure".into(),
                        Verdict::Bogus(cause) => format!("bogus: {}", cause.text),
                        Verdict::Indeterminate(cause) => format!("indeterminate: {}", cause.text),
                    };
                }
                Output::Fetch { id, asked, .. } => {
                    let inside = asked.name.is_at_or_below(&Name::parse(ZONE).expect("a name"));
                    let told = inside.then(|| self.ask(&asked.name, asked.rtype).response);
                    self.validator.fetched(now, wall, id, told.as_ref().ok_or(Unfetched::OutOfReach));
                }
            }
        }
    }
}
