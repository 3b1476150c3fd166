//! Where aliases lead elsewhere: to names of zones of ours, or to those that others are asked for. What one way says of
//! the names of another is not told, so it is neither looked for nor judged.

use crate::catalog::published::Published;
use crate::catalog::snapshot::ZoneNumber;
use crate::resolve::iterate::Elsewhere;
use crate::resolve::policy::{Policy, Route};
use crate::resolve::validate::Response;
use crate::wire::key::NameKey;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What decides about names.
#[derive(Clone)]
pub(super) struct Border {
    pub(super) policy: Arc<ArcSwap<Policy>>,
    pub(super) published: Published,
}

impl Border {
    /// For a walk: true for a name, lower-cased in wire form, that is not looked for from the root.
    pub(super) fn of_walk(&self) -> Elsewhere {
        let border = self.clone();
        Box::new(move |name| {
            let rule = border.policy.load();
            let is_forwarded =
                matches!(rule.rule(name, RecordType::A), Some((_, Route::Forward(_) | Route::Refuse)));
            is_forwarded || border.is_ours(name)
        })
    }

    /// Takes back what an answer of upstream servers says of names beyond the first alias that leads elsewhere.
    pub(super) fn cut(&self, policy: &Policy, (name, rtype): (&Name, RecordType), response: &mut Response) {
        let way = policy.way(name.to_lowercase().as_wire());
        self.cut_where(rtype, response, |name| {
            let name = name.to_lowercase();
            let other = policy.way(name.as_wire());
            other.is_some() && other != way || self.is_ours(name.as_wire())
        });
    }

    fn cut_where(&self, rtype: RecordType, response: &mut Response, leads: impl Fn(&Name) -> bool) {
        if [RecordType::CNAME, RecordType::ANY].contains(&rtype) {
            return;
        }
        let answer = &response.answer;
        let Some(at) = answer.iter().position(|record| {
            record.rtype == RecordType::CNAME
                && Name::from_wire(&record.rdata).is_ok_and(|target| leads(&target))
        }) else {
            return;
        };
        let Some(alias) = answer.get(at).map(|alias| alias.name.clone()) else { return };
        let signs = answer.iter().skip(at + 1);
        let signs =
            signs.take_while(|record| record.rtype == RecordType::RRSIG && record.name == alias).count();
        response.answer.truncate(at + 1 + signs);
        // What is left may have to prove that a wildcard stood in for the name; an SOA speaks of what is not there.
        let is_proof = |rtype| matches!(rtype, RecordType::NSEC | RecordType::NSEC3 | RecordType::RRSIG);
        response.authority.retain(|record| is_proof(record.rtype) && !leads(&record.name));
        (response.rcode, response.is_open) = (Rcode::NoError, true);
    }

    /// True if a zone of ours has a say in a name; below one of its cuts, too, for there the answering side knows more.
    fn is_ours(&self, name: &[u8]) -> bool {
        let snapshot = self.published.load();
        let mut key = Box::<NameKey>::default();
        if key.read(name).is_none() {
            return false;
        }
        key.hash(snapshot.seed());
        let entry = snapshot.find(&key, ZoneNumber::default()).and_then(|number| snapshot.entry(number));
        entry.is_some_and(|entry| !entry.is_ceded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Moment;
    use crate::catalog::delta::{Delta, ZoneContent};
    use crate::catalog::published::Publisher;
    use crate::catalog::state::State;
    use crate::resolve::harvest::Caps;
    use crate::resolve::policy::Way;
    use crate::resolve::script_tests::{record, text};
    use crate::wire::key::HashSeed;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Of names from the root, but for `corp.`, forwarded, and `secret.`, refused; `own.` is a zone of ours.
    fn border() -> Border {
        let server = Way::Forward(vec!["192.0.2.1:53".parse().unwrap()]);
        let ways = [
            (Name::ROOT, Way::Iterate),
            (name("corp."), server),
            (name("secret."), Way::Refuse),
            (name("open.corp."), Way::Iterate),
        ];
        let caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
        let policy = Policy::new(Default::default(), caps, 0, (true, true), ways);
        let mut state = State::new(HashSeed::new([5; 16]), 4);
        state.apply(Delta::PutZone { origin: name("own."), content: ZoneContent::Pending });
        let published = Publisher::new(state.snapshot(Moment::START)).published().clone();
        Border { policy: Arc::new(ArcSwap::from_pointee(policy)), published }
    }

    #[test]
    fn a_walk_ends_at_aliases_of_names_that_others_are_asked_for_and_of_ours() {
        let elsewhere = border().of_walk();
        for (asked, expected) in [
            ("www.example.", false),
            ("app.corp.", true),
            ("app.open.corp.", false),
            ("a.secret.", true),
            ("www.own.", true),
            ("own.", true),
            ("own.example.", false),
        ] {
            assert_eq!(elsewhere(name(asked).as_wire()), expected, "{asked}");
        }
    }

    #[test]
    fn of_what_upstream_servers_say_nothing_is_left_beyond_an_alias_that_leads_elsewhere() {
        let cut = |asked: &str, answer: &[&str], authority: &[&str]| {
            let records = |lines: &[&str]| lines.iter().map(|line| record(line)).collect();
            let (answer, authority) = (records(answer), records(authority));
            let mut response = Response { rcode: Rcode::NxDomain, answer, authority, is_open: false };
            let border = border();
            border.cut(&border.policy.load(), (&name(asked), RecordType::A), &mut response);
            let told = response.answer.iter().chain(&response.authority).map(text).collect::<Vec<_>>();
            (response.rcode, response.is_open, told.join("; "))
        };
        let answer =
            ["a.corp. 60 CNAME b.corp.", "b.corp. 60 CNAME c.Example.", "c.example. 60 A 192.0.2.66"];
        let authority = ["example. 60 SOA ns. admin. 1 2 3 4 5"];
        let kept = answer[..2].join("; ");
        let (rcode, is_open, told) = cut("A.Corp.", &answer, &authority);
        assert_eq!((rcode, is_open, told.to_lowercase()), (Rcode::NoError, true, kept.to_lowercase()));
        // Among names of one way all is left as it was.
        let within = ["a.corp. 60 CNAME b.corp.", "b.corp. 60 A 192.0.2.1"];
        assert_eq!(cut("a.corp.", &within, &[]), (Rcode::NxDomain, false, within.join("; ")));
        // Our own names are nobody else's to tell.
        let ours = ["a.corp. 60 CNAME www.own.", "www.own. 60 A 192.0.2.66"];
        assert_eq!(cut("a.corp.", &ours, &[]), (Rcode::NoError, true, ours[0].to_owned()));
    }
}
