//! Comparing what this server answers about tasks and containers with what the engine's own resolver does, so that
//! somebody may know what will change before anybody relies on us.
//!
//! ```text
//! begin ─► picked by lot ─► Compare ─► same
//!                              └─► differs ─► a moment later: Compare ─► same │ differs alike: told and counted
//! ```
//!
//! The engine's resolver learns of a change up to a second after us, so a difference counts only if it is still there
//! when both are asked again. Only whole names of services (`tasks.STACK_SVC`) and of containers are compared: they mean
//! the same to both. Only A records: of an address of IPv6 the engine's resolver knows nothing.

use crate::base::time::Moment;
use crate::discovery::endpoint::Endpoint;
use crate::discovery::label::label;
use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long after a difference both are asked again: the engine's resolver is up to 1.2 s late.
const AGAIN: Duration = Duration::from_secs(2);
/// Comparisons under way at once: whoever asks that resolver for more keeps the containers of this node waiting.
const COMPARED_MAX: usize = 4;
/// The last differences that are kept to be shown.
pub const SHOWN_MAX: usize = 32;

/// One name, as each of the two calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What the engine's resolver is asked for.
    pub theirs: String,
    /// In front of the services' domain, in the form of a master file.
    pub ours: String,
}

/// What one of the two answered: addresses, none of them if it denies the name; `None` if it did not answer.
pub type Answered = Option<BTreeSet<Ipv4Addr>>;

/// What one of the two has and the other has not, twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name.
    pub subject: Subject,
    /// What only the engine's resolver answers.
    pub missing: BTreeSet<Ipv4Addr>,
    /// What only this server answers.
    pub surplus: BTreeSet<Ipv4Addr>,
}

/// A comparison that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Of what.
    pub subject: Subject,
    /// The difference of the first time, if it is the second.
    before: Option<Difference>,
}

/// What was compared since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Names that both answered for.
    pub compared: u64,
    /// Those of them for which the answers differed.
    pub differences: u64,
    /// Names for which one of the two gave no answer.
    pub unanswered: u64,
    /// The last differences, the oldest first.
    pub last: VecDeque<Difference>,
}

/// See the module. **After each call, poll until nothing comes.**
#[derive(Debug, Default)]
pub struct Shadow {
    /// The share of names that is compared in each round, from 0 to 1.
    share: f64,
    queue: VecDeque<Comparison>,
    /// Differences to be looked at again.
    doubtful: VecDeque<(Moment, Comparison)>,
    /// Under way.
    compared: usize,
    findings: Findings,
}

impl Shadow {
    /// Compares this share of names in each round.
    pub fn new(share: f64) -> Shadow {
        Shadow { share, ..Shadow::default() }
    }

    /// A round begins. What was left of the one before is not compared any more. `lot` gives numbers from 0 to 1.
    pub fn begin(&mut self, subjects: BTreeSet<Subject>, mut lot: impl FnMut() -> f64) {
        self.queue.clear();
        let picked = subjects.into_iter().filter(|_| lot() < self.share);
        self.queue.extend(picked.map(|subject| Comparison { subject, before: None }));
    }

    /// What was under way will not end any more.
    pub fn abandon(&mut self) {
        self.queue.clear();
        self.doubtful.clear();
        self.compared = 0;
    }

    /// The next comparison to be made.
    pub fn poll(&mut self) -> Option<Comparison> {
        if self.compared == COMPARED_MAX {
            return None;
        }
        let next = self.queue.pop_front()?;
        self.compared += 1;
        Some(next)
    }

    /// When something is due.
    pub fn next_wake(&self) -> Moment {
        self.doubtful.front().map_or(Moment::NEVER, |(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some((_, doubtful)) = self.doubtful.pop_front_if(|(at, _)| *at <= now) {
            self.queue.push_front(doubtful);
        }
    }

    /// A comparison was made. A difference that is told counts.
    pub fn compared(
        &mut self,
        now: Moment,
        comparison: Comparison,
        theirs: &Answered,
        ours: &Answered,
    ) -> Option<Difference> {
        self.compared = self.compared.saturating_sub(1);
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            self.findings.unanswered += 1;
            return None;
        };
        let Comparison { subject, before } = comparison;
        let mut missing: BTreeSet<Ipv4Addr> = theirs.difference(ours).copied().collect();
        let mut surplus: BTreeSet<Ipv4Addr> = ours.difference(theirs).copied().collect();
        let is_first = before.is_none();
        if let Some(before) = before {
            // What came or went in between was on its way.
            missing.retain(|address| before.missing.contains(address));
            surplus.retain(|address| before.surplus.contains(address));
        }
        if missing.is_empty() && surplus.is_empty() {
            self.findings.compared += 1;
            return None;
        }
        let difference = Difference { subject: subject.clone(), missing, surplus };
        if is_first {
            self.doubtful.push_back((now + AGAIN, Comparison { subject, before: Some(difference) }));
            return None;
        }
        self.findings.compared += 1;
        self.findings.differences += 1;
        if self.findings.last.len() == SHOWN_MAX {
            self.findings.last.pop_front();
        }
        self.findings.last.push_back(difference.clone());
        Some(difference)
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }
}

/// What may be compared from within the container `own`: the names of containers that share a network with it, and of
/// the services that they are tasks of.
pub fn subjects<'e>(own: &Endpoint, endpoints: impl IntoIterator<Item = &'e Endpoint>) -> BTreeSet<Subject> {
    let shares = |endpoint: &Endpoint| {
        let networks = &endpoint.networks;
        networks.iter().any(|network| own.networks.iter().any(|own| own.id == network.id))
    };
    let is_named = |endpoint: &&Endpoint| endpoint.labels.enable != Some(false) && shares(endpoint);
    endpoints.into_iter().filter(is_named).filter_map(subject).collect()
}

fn subject(endpoint: &Endpoint) -> Option<Subject> {
    let told = |name: &str| label(name).and_then(|label| String::from_utf8(label).ok());
    match &endpoint.service {
        // A name of the stack's own choice is one that the engine does not know.
        _ if endpoint.labels.name.is_some() => None,
        Some(service) => Some(Subject {
            theirs: format!("tasks.{}", service.name),
            ours: format!("tasks.{}", told(&service.name)?),
        }),
        // Those of a Compose project are known to the engine by their service's name, too; this one is theirs alone.
        None => Some(Subject { theirs: endpoint.name.clone(), ours: told(&endpoint.name)? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::endpoint::{Attachment, ServiceRef};
    use crate::discovery::labels::Labels;

    const SECOND: Duration = Duration::from_secs(1);

    fn named(name: &str) -> Subject {
        Subject { theirs: name.to_owned(), ours: name.to_owned() }
    }

    fn addresses(hosts: &[u8]) -> Answered {
        Some(hosts.iter().map(|host| Ipv4Addr::new(10, 0, 1, *host)).collect())
    }

    /// A round with all of one name.
    fn begun() -> Shadow {
        let mut shadow = Shadow::new(1.0);
        shadow.begin([named("tasks.web")].into(), || 0.5);
        shadow
    }

    /// The next comparison, answered so.
    fn compare(shadow: &mut Shadow, now: Moment, theirs: &[u8], ours: &[u8]) -> Option<Difference> {
        let next = shadow.poll().expect("a comparison");
        shadow.compared(now, next, &addresses(theirs), &addresses(ours))
    }

    #[test]
    fn answers_that_agree_are_compared_once() {
        let mut shadow = begun();
        assert_eq!(compare(&mut shadow, Moment::START, &[1, 2], &[2, 1]), None);
        assert_eq!((shadow.poll(), shadow.next_wake()), (None, Moment::NEVER));
        let findings = Findings { compared: 1, ..Findings::default() };
        assert_eq!(shadow.findings(), &findings);
    }

    #[test]
    fn a_difference_counts_if_it_is_still_there_two_seconds_later() {
        let mut shadow = begun();
        assert_eq!(compare(&mut shadow, Moment::START, &[1, 2, 3], &[2, 4]), None);
        assert_eq!(shadow.next_wake(), Moment::START + 2 * SECOND);
        shadow.handle_timeout(Moment::START + SECOND);
        assert_eq!(shadow.poll(), None);
        let now = Moment::START + 2 * SECOND;
        shadow.handle_timeout(now);
        // In between we learned of 3, and they of 4; 5 and 6 are on their way.
        let told = compare(&mut shadow, now, &[1, 2, 3, 4, 5], &[2, 3, 4, 6]).expect("a difference");
        let only = |host| BTreeSet::from([Ipv4Addr::new(10, 0, 1, host)]);
        assert_eq!((told.missing.clone(), told.surplus.clone()), (only(1), BTreeSet::new()));
        let findings = shadow.findings();
        assert_eq!((findings.compared, findings.differences, findings.last.len()), (1, 1, 1));
        assert_eq!((shadow.poll(), shadow.next_wake()), (None, Moment::NEVER));
    }

    #[test]
    fn what_was_only_late_is_no_difference() {
        let mut shadow = begun();
        compare(&mut shadow, Moment::START, &[1], &[1, 2]);
        let now = Moment::START + 2 * SECOND;
        shadow.handle_timeout(now);
        assert_eq!(compare(&mut shadow, now, &[1, 2], &[1, 2]), None);
        assert_eq!((shadow.findings().compared, shadow.findings().differences), (1, 0));
    }

    #[test]
    fn whoever_does_not_answer_is_not_compared_with() {
        for (theirs, ours) in [(None, addresses(&[1])), (addresses(&[1]), None)] {
            let mut shadow = begun();
            let next = shadow.poll().unwrap();
            assert_eq!(shadow.compared(Moment::START, next, &theirs, &ours), None);
            let findings = Findings { unanswered: 1, ..Findings::default() };
            assert_eq!((shadow.findings(), shadow.next_wake()), (&findings, Moment::NEVER));
        }
    }

    #[test]
    fn a_round_takes_its_share_by_lot_and_a_few_at_a_time() {
        let subjects: BTreeSet<Subject> = (0..100).map(|i| named(&format!("tasks.s{i}"))).collect();
        let (mut shadow, mut drawn) = (Shadow::new(0.25), 0);
        shadow.begin(subjects.clone(), || {
            drawn += 1;
            f64::from(drawn % 4) / 4.0
        });
        let (mut seen, mut out) = (BTreeSet::new(), VecDeque::new());
        loop {
            while let Some(next) = shadow.poll() {
                seen.insert(next.subject.clone());
                out.push_back(next);
            }
            assert!(out.len() <= COMPARED_MAX);
            let Some(next) = out.pop_front() else { break };
            shadow.compared(Moment::START, next, &addresses(&[1]), &addresses(&[1]));
        }
        assert_eq!((seen.len(), drawn, shadow.findings().compared), (25, 100, 25));
        let mut none = Shadow::new(0.0);
        none.begin(subjects, || 0.0);
        assert_eq!(none.poll(), None);
    }

    #[test]
    fn what_was_under_way_when_the_engine_went_does_not_hold_up_the_next_round() {
        let mut shadow = Shadow::new(1.0);
        let subjects: BTreeSet<Subject> = (0..10).map(|i| named(&format!("tasks.s{i}"))).collect();
        shadow.begin(subjects.clone(), || 0.0);
        while shadow.poll().is_some() {}
        shadow.abandon();
        shadow.begin(subjects, || 0.0);
        assert!(shadow.poll().is_some());
    }

    #[test]
    fn no_more_than_the_last_differences_are_kept() {
        let mut shadow = Shadow::new(1.0);
        for i in 0..SHOWN_MAX + 3 {
            shadow.begin([named(&format!("tasks.s{i}"))].into(), || 0.0);
            let now = Moment::START + SECOND * 10 * i as u32;
            compare(&mut shadow, now, &[1], &[]);
            shadow.handle_timeout(now + 2 * SECOND);
            assert!(compare(&mut shadow, now + 2 * SECOND, &[1], &[]).is_some());
        }
        let findings = shadow.findings();
        assert_eq!((findings.differences, findings.last.len()), (SHOWN_MAX as u64 + 3, SHOWN_MAX));
        assert_eq!(findings.last[0].subject, named("tasks.s3"));
    }

    #[test]
    fn only_what_both_can_know_by_one_name_is_compared() {
        let attached = |networks: &[&str]| {
            let network = |id: &&str| Attachment { id: (*id).to_owned(), ..Attachment::default() };
            networks.iter().map(network).collect::<Vec<_>>()
        };
        let task = |name: &str, networks: &[&str]| Endpoint {
            name: format!("{name}.1.x"),
            service: Some(ServiceRef { name: name.to_owned(), ..ServiceRef::default() }),
            networks: attached(networks),
            ..Endpoint::default()
        };
        let own = task("hive_dns", &["a", "b"]);
        let lone = Endpoint { name: "My.Box".to_owned(), networks: attached(&["b"]), ..Endpoint::default() };
        let mut renamed = task("st_db", &["a"]);
        renamed.labels = Labels { name: Some("database".to_owned()), ..Labels::default() };
        let mut off = task("st_off", &["a"]);
        off.labels = Labels { enable: Some(false), ..Labels::default() };
        let all =
            [task("st_api", &["a"]), task("st_api", &["a"]), task("st_far", &["c"]), lone, renamed, off];
        let told: Vec<(String, String)> =
            subjects(&own, &all).into_iter().map(|subject| (subject.theirs, subject.ours)).collect();
        let expected = [("My.Box", "my-box"), ("tasks.st_api", "tasks.st_api")];
        assert_eq!(told, expected.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())));
    }
}
