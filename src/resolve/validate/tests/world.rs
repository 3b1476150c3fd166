//! All zones of a made-up world, and a validator that asks them.

use super::zone::{WALL, Zone, name};
use crate::base::time::{Moment, WallSeconds};
use crate::resolve::validate::{Asked, Output, Response, Spent, Ticket, Unfetched, Validator, Verdict};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::time::Duration;

/// What happens to a response on its way; `false` loses it.
type Tamper = Box<dyn Fn(&Asked, &mut Response) -> bool>;

pub(super) struct World {
    pub(super) zones: Vec<Zone>,
    pub(super) validator: Validator,
    pub(super) now: Moment,
    pub(super) wall: u64,
    pub(super) tamper: Tamper,
    pub(super) fetched: Vec<String>,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) ttl_max: u32,
    pub(super) spent: Spent,
}

impl Found {
    /// The verdict in a word, and the code of its cause.
    pub(super) fn text(&self) -> String {
        match self.verdict {
            Verdict::Secure => "secure".into(),
            Verdict::Insecure(None) => "insecure".into(),
            Verdict::Insecure(Some(cause)) => format!("insecure {}", cause.error.0),
            Verdict::Bogus(cause) => format!("bogus {}", cause.error.0),
            Verdict::Indeterminate(_) => "indeterminate".into(),
        }
    }
}

impl World {
    /// Trusts the first key of the first zone.
    pub(super) fn new(zones: Vec<Zone>) -> World {
        let anchor =
            super::zone::record(&zones[0].apex, RecordType::DS, 1, &zones[0].signers[0].ds(&zones[0].apex));
        World::trusting(zones, &[anchor])
    }

    pub(super) fn trusting(zones: Vec<Zone>, anchors: &[Record]) -> World {
        World {
            zones,
            validator: Validator::new(anchors),
            now: Moment::START,
            wall: u64::from(WALL),
            tamper: Box::new(|_, _| true),
            fetched: Vec::new(),
        }
    }

    /// What the servers of the zone answer that has the name.
    fn ask(&self, asked: &Asked) -> Option<Response> {
        let has = |zone: &&Zone| {
            let is_above = asked.rtype == RecordType::DS && asked.name == zone.apex && !zone.apex.is_root();
            asked.name.is_at_or_below(&zone.apex) && !is_above
        };
        let zone = self.zones.iter().filter(has).max_by_key(|zone| zone.apex.label_count())?;
        let mut response = zone.respond(&asked.name, asked.rtype);
        (self.tamper)(asked, &mut response).then_some(response)
    }

    /// What a resolver puts together along aliases.
    pub(super) fn resolve(&self, asked: &Asked) -> Response {
        let mut response = self.ask(asked).unwrap();
        let mut at = asked.name.clone();
        for _ in 0..30 {
            let alias = |record: &&Record| record.rtype == RecordType::CNAME && record.name == at;
            let Some(target) =
                response.answer.iter().find(alias).map(|alias| Name::from_wire(&alias.rdata).unwrap())
            else {
                break;
            };
            if asked.rtype == RecordType::CNAME {
                break;
            }
            at = target.clone();
            let Some(more) = self.ask(&Asked { name: target, rtype: asked.rtype }) else { break };
            response.rcode = more.rcode;
            response.answer.extend(more.answer);
            response.authority.extend(more.authority);
        }
        response
    }

    pub(super) fn judge(&mut self, owner: &str, rtype: RecordType) -> Found {
        let asked = Asked { name: name(owner), rtype };
        let response = self.resolve(&asked);
        self.judge_response(asked, &response)
    }

    pub(super) fn judge_response(&mut self, asked: Asked, response: &Response) -> Found {
        let wall = WallSeconds(self.wall);
        self.validator.start(self.now, wall, Ticket(1), asked, response).unwrap();
        loop {
            match self.validator.poll().expect("neither a need nor a verdict") {
                Output::Done { verdict, ttl_max, spent, .. } => return Found { verdict, ttl_max, spent },
                Output::Fetch { id, asked, .. } => {
                    self.fetched.push(format!("{} {}", asked.name, asked.rtype));
                    let response = self.ask(&asked);
                    let response = response.as_ref().ok_or(Unfetched::OutOfReach);
                    self.validator.fetched(self.now, wall, id, response);
                }
            }
        }
    }

    pub(super) fn text(&mut self, owner: &str, rtype: RecordType) -> String {
        self.judge(owner, rtype).text()
    }

    pub(super) fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += seconds;
    }
}
