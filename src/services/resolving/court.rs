//! Answers that are being validated, and how they are told: as whoever asked wants them.
//!
//! ```text
//! judge ─► Validator ─ next_fetch ─► the owner asks ─► fetched ─► ... ─► take_found
//! ```
//!
//! Each way of asking has a court of its own: what is known of keys by one never vouches for data of another.

use crate::base::limits::TTL_SECONDS_MAX;
use crate::base::time::Moment;
use crate::control::resolving::Explained;
use crate::os::clock;
use crate::resolve::body::ExtendedError;
use crate::resolve::errand::OwnedBody;
use crate::resolve::harvest::Caps;
use crate::resolve::question::Wants;
use crate::resolve::validate::{self, Asked, Response, Ticket, Unfetched, Validator, Verdict};
use crate::resolve::writer::{Writer, Written};
use crate::services::resolving::shares::Share;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::reply::Section;
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// What came of a question: a body, or why there is none ([`ExtendedError::NOT_READY`]: nobody had room for it).
pub(super) type Found = Result<OwnedBody, Option<ExtendedError>>;
/// The same, told to that worker, for that ticket of its own.
pub(super) type Told = (usize, u32, Found);

/// Who wants an answer.
pub(super) enum Asker {
    /// That worker, which has it under that ticket, for a client that has a place for it.
    Worker { worker: usize, ticket: u32, share: Share },
    /// A user, who wants each step.
    User(Box<dyn FnOnce(Explained) + Send>),
}

/// Somebody's question.
pub(super) struct Client {
    pub(super) asker: Asker,
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    pub(super) wants: Wants,
    /// When it came.
    pub(super) since: Moment,
    /// Each step so far, if it is wanted.
    pub(super) steps: Vec<String>,
}

impl Client {
    pub(super) fn wants_steps(&self) -> bool {
        matches!(self.asker, Asker::User(_))
    }

    /// Its place in the client's share; a user's takes none.
    fn share(&self) -> Option<&Share> {
        match &self.asker {
            Asker::Worker { share, .. } => Some(share),
            Asker::User(_) => None,
        }
    }

    /// Whose question it is, by its network.
    pub(super) fn network(&self) -> Option<IpAddr> {
        self.share().map(Share::client)
    }
}

/// What is to be fetched before a verdict: a set, for that answer first of all.
pub(super) struct Fetch<P> {
    pub(super) id: validate::FetchId,
    pub(super) asked: Asked,
    pub(super) first: Ticket,
    /// What that answer has spent; it comes back with the set.
    pub(super) purse: P,
    /// Each step of it is wanted.
    pub(super) traced: bool,
    /// That answer's place in its client's share, for as long as this is looked for.
    pub(super) share: Option<Share>,
}

/// An answer that is being validated.
struct Judged<P> {
    client: Box<Client>,
    response: Response,
    ttl: u32,
    purse: P,
}

/// See the module's own text. `P`: what an answer has spent so far, by its owner's count.
pub(super) struct Court<P> {
    /// None: nothing is validated.
    validator: Option<Validator>,
    caps: Caps,
    /// How long after its question an answer is told, or a failure.
    span: Duration,
    judged: HashMap<Ticket, Judged<P>>,
    /// When each answer's time is over.
    ends: BTreeSet<(Moment, Ticket)>,
    fetches: VecDeque<Fetch<P>>,
    writer: Writer,
    /// To which worker, for which of its tickets.
    found: Vec<Told>,
}

impl<P: Default> Court<P> {
    /// One that trusts these anchors; none: nothing is validated.
    pub(super) fn new(anchors: &[Record], caps: Caps, span: Duration) -> Court<P> {
        Court {
            validator: (!anchors.is_empty()).then(|| Validator::new(anchors)),
            caps,
            span,
            judged: HashMap::new(),
            ends: BTreeSet::new(),
            fetches: VecDeque::new(),
            writer: Writer::default(),
            found: Vec::new(),
        }
    }

    /// True if answers are validated: whoever asks others needs the signatures then.
    pub(super) fn validates(&self) -> bool {
        self.validator.is_some()
    }

    /// What has been found since it was asked last.
    pub(super) fn take_found(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.found)
    }

    /// Tells what another court has found.
    pub(super) fn keep(&mut self, found: Told) {
        self.found.push(found);
    }

    /// What is to be fetched next.
    pub(super) fn next_fetch(&mut self) -> Option<Fetch<P>> {
        self.fetches.pop_front()
    }

    /// Forgets what is known of keys at and below a name. What is in work goes on.
    pub(super) fn forget(&mut self, name: &Name) {
        if let Some(validator) = &mut self.validator {
            validator.flush(name);
        }
    }

    /// Ends all work; those whose answers were in work.
    pub(super) fn close(self) -> (Vec<Client>, Vec<Told>) {
        (self.judged.into_values().map(|judged| *judged.client).collect(), self.found)
    }

    /// Has an answer validated, if that is wanted, and told.
    pub(super) fn judge(
        &mut self,
        ticket: Ticket,
        client: Box<Client>,
        (response, ttl): (Response, u32),
        purse: P,
    ) {
        let judged = Judged { client, response, ttl, purse };
        let validator = self.validator.as_mut().filter(|_| !judged.client.wants.checking_disabled);
        let Some(validator) = validator else { return self.tell(judged, false, TTL_SECONDS_MAX) };
        let asked = Asked { name: judged.client.name.clone(), rtype: judged.client.rtype };
        match validator.start(now(), clock::wall_seconds(), ticket, asked, &judged.response) {
            Ok(()) => {
                self.ends.insert((judged.client.since + self.span, ticket));
                self.judged.insert(ticket, judged);
                self.heed();
            }
            Err(validate::Full) => self.give(*judged.client, Err(Some(ExtendedError::NOT_READY))),
        }
    }

    /// Takes a set that was fetched, with what is spent now and the steps of it, if they were wanted.
    pub(super) fn fetched(
        &mut self,
        (id, first): (validate::FetchId, Ticket),
        response: Result<&Response, Unfetched>,
        purse: P,
        steps: Vec<String>,
    ) {
        if let Some(judged) = self.judged.get_mut(&first) {
            judged.purse = purse;
            judged.client.steps.extend(steps.into_iter().map(|step| format!("  {step}")));
        }
        if let Some(validator) = &mut self.validator {
            validator.fetched(now(), clock::wall_seconds(), id, response);
        }
        self.heed();
    }

    /// When an answer's time is over next.
    pub(super) fn wake(&self) -> Moment {
        self.ends.first().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Gives up answers whose time is over.
    pub(super) fn expire(&mut self) {
        let now = now();
        while let Some(&(_, ticket)) = self.ends.first().filter(|(at, _)| *at <= now) {
            let Some(mut judged) = self.leave(ticket) else { return };
            if let Some(validator) = &mut self.validator {
                validator.cancel(ticket);
            }
            judged.client.steps.push("failed: not validated in time".to_owned());
            self.give(*judged.client, Err(Some(ExtendedError::NO_REACHABLE_AUTHORITY)));
        }
    }

    /// Takes an answer out.
    fn leave(&mut self, ticket: Ticket) -> Option<Judged<P>> {
        let judged = self.judged.remove(&ticket)?;
        self.ends.remove(&(judged.client.since + self.span, ticket));
        Some(judged)
    }

    /// Does what the validator wants done.
    fn heed(&mut self) {
        while let Some(output) = self.validator.as_mut().and_then(Validator::poll) {
            match output {
                validate::Output::Fetch { id, asked, ticket } => {
                    // Whoever is being judged is here; all it can spend goes with what it needs first.
                    let Some(Judged { client, purse, .. }) = self.judged.get_mut(&ticket) else { continue };
                    let (traced, purse) = (client.wants_steps(), std::mem::take(purse));
                    if traced {
                        client.steps.push(format!("to prove it looks for {} {}", asked.name, asked.rtype));
                    }
                    let asked = (*asked).clone();
                    let share = client.share().cloned();
                    self.fetches.push_back(Fetch { id, asked, first: ticket, purse, traced, share });
                }
                validate::Output::Done { ticket, verdict, ttl_max, .. } => {
                    let Some(mut judged) = self.leave(ticket) else { continue };
                    if judged.client.wants_steps() {
                        judged.client.steps.push(format!("validation: {verdict}"));
                    }
                    match verdict {
                        Verdict::Secure => self.tell(judged, true, ttl_max),
                        Verdict::Insecure(_) | Verdict::Indeterminate(_) => self.tell(judged, false, ttl_max),
                        Verdict::Bogus(cause) => self.give(*judged.client, Err(Some(cause.error))),
                    }
                }
            }
        }
    }

    /// Tells whoever asked.
    pub(super) fn give(&mut self, client: Client, found: Found) {
        match client.asker {
            Asker::Worker { worker, ticket, .. } => self.found.push((worker, ticket, found)),
            Asker::User(tell) => tell(Explained { steps: client.steps, found }),
        }
    }

    /// Tells what was found, with or without the records of DNSSEC.
    fn tell(&mut self, judged: Judged<P>, authentic: bool, ttl_max: u32) {
        let Judged { client, response, ttl, .. } = judged;
        let is_negative =
            !response.is_open && response.answer.iter().all(|record| record.rtype != client.rtype);
        let cap =
            if is_negative { self.caps.negative_ttl_max.min(self.caps.ttl_max) } else { self.caps.ttl_max };
        let cap = cap.min(ttl_max);
        let is_told = |record: &Record| {
            let is_of_dnssec =
                matches!(record.rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
            client.wants.dnssec_ok || !is_of_dnssec || [record.rtype, RecordType::ANY].contains(&client.rtype)
        };
        self.writer.begin(client.name.as_wire());
        let mut fits = true;
        for (section, records) in
            [(Section::Answer, &response.answer), (Section::Authority, &response.authority)]
        {
            self.writer.section(section);
            for Record { name, rtype, ttl, rdata, .. } in records.iter().filter(|record| is_told(record)) {
                let written = Written { owner: name.as_wire(), rtype: *rtype, ttl: (*ttl).min(cap), rdata };
                fits &= self.writer.put(&written).is_ok();
            }
        }
        let body = self.writer.body(response.rcode, authentic, None);
        let found = if fits { Ok(OwnedBody::new(&body, ttl.min(cap))) } else { Err(None) };
        self.give(*client, found);
    }
}

/// A response for the validator: what a body of an answer to that question says.
pub(super) fn response(rcode: Rcode, records: impl Fn(Section) -> Vec<Record>) -> Response {
    Response {
        rcode,
        answer: records(Section::Answer),
        authority: records(Section::Authority),
        is_open: false,
    }
}

pub(super) fn now() -> Moment {
    clock::moment(clock::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::Wants;
    use crate::resolve::script_tests::record;
    use crate::services::resolving::shares::Shares;

    const CAPS: Caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
    const SPAN: Duration = Duration::from_secs(9);
    const NETWORK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// One whose anchor no key matches.
    fn court() -> Court<()> {
        let anchor =
            record("test. 60 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000");
        Court::new(&[anchor], CAPS, SPAN)
    }

    fn asked(ticket: u32, since: Moment, shares: &Shares) -> (Box<Client>, Response) {
        let (name, rtype, wants) = (Name::parse("a.test.").unwrap(), RecordType::A, Wants::default());
        let asker = Asker::Worker { worker: 0, ticket, share: shares.take(NETWORK).unwrap() };
        let client = Client { asker, name, rtype, wants, since, steps: Vec::new() };
        let answer = vec![record("a.test. 60 A 192.0.2.1")];
        let response = Response { rcode: Rcode::NoError, answer, authority: Vec::new(), is_open: false };
        (Box::new(client), response)
    }

    #[test]
    fn an_answer_that_came_late_is_given_up_before_one_that_came_sooner_and_was_asked_later() {
        let (mut court, shares) = (court(), Shares::default());
        let began = now();
        let ago = |millis: u64| Moment::from_micros(began.as_micros().saturating_sub(millis * 1_000));
        for (ticket, since) in [(1, began), (2, ago(10_000))] {
            let (client, response) = asked(ticket, since, &shares);
            court.judge(Ticket(ticket.into()), client, (response, 60), ());
        }
        assert_eq!(court.wake(), ago(10_000) + SPAN);
        court.expire();
        let found = court.take_found();
        assert!(matches!(&found[..], [(0, 2, Err(Some(_)))]), "{found:?}");
        assert_eq!(court.wake(), began + SPAN);
    }

    #[test]
    fn keys_that_were_out_of_reach_are_looked_for_again_once_that_is_forgotten() {
        let (mut court, mut ticket, shares) = (court(), 0, Shares::default());
        let mut fetches_of_bogus = |court: &mut Court<()>| {
            ticket += 1;
            let (client, response) = asked(ticket, now(), &shares);
            court.judge(Ticket(ticket.into()), client, (response, 60), ());
            let mut fetches = 0;
            while let Some(Fetch { id, first, .. }) = court.next_fetch() {
                fetches += 1;
                court.fetched((id, first), Err(Unfetched::OutOfReach), (), Vec::new());
            }
            let found = court.take_found();
            assert!(matches!(&found[..], [(0, told, Err(Some(_)))] if *told == ticket), "{found:?}");
            fetches
        };
        assert_eq!((fetches_of_bogus(&mut court), fetches_of_bogus(&mut court)), (1, 0));
        court.forget(&Name::parse("other.test.").unwrap());
        assert_eq!(fetches_of_bogus(&mut court), 0);
        court.forget(&Name::ROOT);
        assert_eq!(fetches_of_bogus(&mut court), 1);
        assert!(shares.is_empty());
    }

    #[test]
    fn who_was_told_holds_a_place_for_as_long_as_keys_are_looked_for_on_its_behalf() {
        let (mut court, shares) = (court(), Shares::default());
        let long_ago = Moment::from_micros(now().as_micros().saturating_sub(10_000_000));
        let (client, response) = asked(1, long_ago, &shares);
        court.judge(Ticket(1), client, (response, 60), ());
        let fetch = court.next_fetch().unwrap();
        court.expire();
        assert!(matches!(&court.take_found()[..], [(0, 1, Err(Some(_)))]));
        assert!(!shares.is_empty());
        drop(fetch);
        assert!(shares.is_empty());
    }
}
