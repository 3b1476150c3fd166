//! Who may have names resolved, and where each suffix's names are asked for. Read by the workers, exchanged whole.

use crate::base::network::Networks;
use crate::resolve::harvest::Caps;
use crate::resolve::loops::Loops;
use crate::wire::name::{Name, is_at_or_below};
use crate::wire::rtype::RecordType;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where names of a suffix are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Of these servers, which resolve.
    Forward(Vec<SocketAddr>),
    /// From the root on.
    Iterate,
    /// Nowhere: whoever asks is refused.
    Refuse,
}

/// The same for the machines: servers by the number of their group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A group of [`Policy::groups`].
    Forward(usize),
    /// From the root on.
    Iterate,
    /// Nowhere.
    Refuse,
}

/// What is asked for where, for whom, and how long it is kept.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who may have names resolved.
    pub clients: Networks,
    /// Bounds on what is kept.
    pub caps: Caps,
    /// Seconds for which an answer whose time is over may help out (RFC 8767).
    pub stale_seconds: u32,
    /// Answers in demand are asked for anew before their time is over.
    pub prefetch: bool,
    /// What was found is kept at all.
    pub keeps: bool,
    /// What upstream servers say is validated, too.
    pub validates_forwarded: bool,
    /// Rises with each change of the roots and the trust anchors.
    pub epoch: u64,
    /// Suffixes, in lower-cased wire form, above which nobody is to be asked: the name there is this server's own, and empty.
    pub alone: Vec<Box<[u8]>>,
    /// The servers of each group; each suffix has one of its own.
    groups: Vec<Vec<SocketAddr>>,
    /// By suffix in lower-cased wire form, the longest first.
    suffixes: Vec<(Box<[u8]>, Route)>,
    /// Not all suffixes are asked for in one way.
    is_split: bool,
    /// Which servers lead back to us.
    loops: Arc<Loops>,
}

impl Policy {
    /// `ways`: no suffix twice. Names below none of them are refused.
    pub fn new(
        clients: Networks,
        caps: Caps,
        stale_seconds: u32,
        (keeps, prefetch): (bool, bool),
        ways: impl IntoIterator<Item = (Name, Way)>,
    ) -> Policy {
        let (mut groups, mut suffixes) = (Vec::new(), Vec::new());
        for (suffix, way) in ways {
            let route = match way {
                Way::Iterate => Route::Iterate,
                Way::Refuse => Route::Refuse,
                // Each suffix has a group of its own: the same server may lead back to us for one and not for another.
                Way::Forward(servers) => {
                    groups.push(servers);
                    Route::Forward(groups.len() - 1)
                }
            };
            suffixes.push((suffix.to_lowercase().as_wire().into(), route));
        }
        suffixes.sort_by_key(|(suffix, _): &(Box<[u8]>, Route)| std::cmp::Reverse(suffix.len()));
        let forwarded = suffixes.iter().filter_map(|(suffix, route): &(Box<[u8]>, Route)| match route {
            Route::Forward(group) => Some((&**suffix, *group, groups.get(*group).map(Vec::as_slice)?)),
            Route::Iterate | Route::Refuse => None,
        });
        let loops = Arc::new(Loops::new(forwarded));
        let (validates_forwarded, epoch) = (false, 0);
        let mut ways = suffixes.iter().map(|(_, route): &(Box<[u8]>, Route)| way(&groups, *route));
        let first = ways.next();
        let is_split = ways.any(|way| Some(way) != first);
        Policy {
            clients,
            caps,
            stale_seconds,
            prefetch,
            keeps,
            validates_forwarded,
            epoch,
            alone: Vec::new(),
            groups,
            suffixes,
            is_split,
            loops,
        }
    }

    /// The policy that comes after another: what is known of loops stays, if both ask the same.
    pub fn after(mut self, before: &Policy) -> Policy {
        match self.asks_as(before) {
            true => self.loops = Arc::clone(&before.loops),
            false => self.loops.count_on(&before.loops),
        }
        self
    }

    /// Which servers lead back to us.
    pub fn loops(&self) -> &Arc<Loops> {
        &self.loops
    }

    /// The servers of each group.
    pub fn groups(&self) -> &[Vec<SocketAddr>] {
        &self.groups
    }

    /// True if some names are resolved from the root on.
    pub fn iterates(&self) -> bool {
        self.suffixes.iter().any(|(_, route)| *route == Route::Iterate)
    }

    /// Where a name, in lower-cased wire form, is asked for that type: by the longest suffix.
    pub fn route(&self, name: &[u8], rtype: RecordType) -> Route {
        self.rule(name, rtype).map_or(Route::Refuse, |(_, route)| route)
    }

    /// The way in which a name, in lower-cased wire form, is asked for, as a number: what comes by one way says nothing of
    /// names with another. `None` if the name lies below no suffix, or if there is one way only: then nothing is looked up.
    pub fn way(&self, name: &[u8]) -> Option<usize> {
        if !self.is_split {
            return None;
        }
        self.rule(name, RecordType::A).map(|(_, route)| way(&self.groups, route))
    }

    /// The suffix that decides where a name is asked for, and where that is; both names in lower-cased wire form. `None`
    /// if the name lies below no suffix. A DS is asked for where the name above is: the zone there holds it (RFC 4035
    /// §3.1.4.1), as with BIND and Unbound; but for [`Policy::alone`].
    pub fn rule(&self, name: &[u8], rtype: RecordType) -> Option<(&[u8], Route)> {
        let is_above = rtype == RecordType::DS && !self.alone.iter().any(|suffix| **suffix == *name);
        let name = if is_above { above(name).unwrap_or(name) } else { name };
        let mut suffixes = self.suffixes.iter();
        suffixes.find(|(suffix, _)| is_at_or_below(name, suffix)).map(|(suffix, route)| (&**suffix, *route))
    }

    /// True if what one policy has found would be found by the other, too: nothing that is kept is wrong.
    pub fn asks_as(&self, other: &Policy) -> bool {
        let manner = |policy: &Policy| (policy.validates_forwarded, policy.epoch);
        (&self.groups, &self.suffixes, manner(self)) == (&other.groups, &other.suffixes, manner(other))
    }
}

/// The number of a route: groups with the same servers are one way.
fn way(groups: &[Vec<SocketAddr>], route: Route) -> usize {
    match route {
        Route::Iterate => 0,
        Route::Refuse => 1,
        Route::Forward(group) => {
            let servers = groups.get(group);
            2 + groups.iter().position(|other| Some(other) == servers).unwrap_or(group)
        }
    }
}

/// The name one label up; `None` for the root.
fn above(name: &[u8]) -> Option<&[u8]> {
    let (length, rest) = name.split_first()?;
    rest.get(usize::from(*length)..).filter(|_| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_suffix_decides() {
        let name = |text: &str| Name::parse(text).unwrap();
        let (near, far) = (vec!["192.0.2.1:53".parse().unwrap()], vec!["192.0.2.2:53".parse().unwrap()]);
        let ways = [
            ("Example.", Way::Forward(near.clone())),
            (".", Way::Iterate),
            ("b.example.", Way::Refuse),
            ("test.", Way::Forward(near.clone())),
            ("c.test.", Way::Forward(far.clone())),
        ];
        let ways = ways.map(|(suffix, way)| (name(suffix), way));
        let caps = Caps { ttl_max: 1, negative_ttl_max: 1 };
        let policy = Policy::new(Networks::default(), caps, 0, (true, false), ways.clone());
        assert_eq!(policy.groups(), [near.clone(), near, far]);
        for (asked, route) in [
            ("example.", Route::Forward(0)),
            ("a.example.", Route::Forward(0)),
            ("aexample.", Route::Iterate),
            ("a.b.example.", Route::Refuse),
            ("test.", Route::Forward(1)),
            ("c.test.", Route::Forward(2)),
            (".", Route::Iterate),
        ] {
            assert_eq!(policy.route(name(asked).as_wire(), RecordType::A), route, "{asked}");
        }
        for (asked, route) in [
            ("example.", Route::Iterate),
            ("a.example.", Route::Forward(0)),
            ("b.example.", Route::Forward(0)),
            ("a.b.example.", Route::Refuse),
            ("c.test.", Route::Forward(1)),
            (".", Route::Iterate),
        ] {
            assert_eq!(policy.route(name(asked).as_wire(), RecordType::DS), route, "{asked} DS");
        }
        let (suffix, _) = policy.rule(name("a.b.example.").as_wire(), RecordType::A).unwrap();
        assert_eq!(suffix, name("b.example.").as_wire());
        assert!(policy.iterates());
        // Above this one nobody is asked.
        let alone = Policy { alone: vec![name("c.test.").as_wire().into()], ..policy.clone() };
        assert_eq!(alone.route(name("c.test.").as_wire(), RecordType::DS), Route::Forward(2));
        assert_eq!(alone.route(name("x.c.test.").as_wire(), RecordType::DS), Route::Forward(2));
        assert_eq!(alone.route(name("test.").as_wire(), RecordType::DS), Route::Iterate);
        let fewer = Policy::new(Networks::default(), caps, 0, (true, false), ways[..1].to_vec());
        assert_eq!(fewer.route(name("test.").as_wire(), RecordType::A), Route::Refuse);
        assert_eq!(fewer.rule(name("test.").as_wire(), RecordType::A), None);
        assert!(!fewer.iterates() && !policy.asks_as(&fewer) && policy.asks_as(&policy.clone()));
        // Whether it was validated, and by which anchors, makes another answer.
        assert!(!policy.asks_as(&Policy { validates_forwarded: true, ..policy.clone() }));
        assert!(!policy.asks_as(&Policy { epoch: 1, ..policy.clone() }));
        // What is known of loops stays with equal ways only.
        let [same, other] = [policy.clone(), fewer].map(|next| next.after(&policy));
        assert!(Arc::ptr_eq(same.loops(), policy.loops()) && !Arc::ptr_eq(other.loops(), policy.loops()));
    }

    #[test]
    fn suffixes_with_the_same_servers_are_one_way() {
        let policy = |ways: &[(&str, Way)]| {
            let ways = ways.iter().map(|(suffix, way)| (Name::parse(suffix).unwrap(), way.clone()));
            let caps = Caps { ttl_max: 1, negative_ttl_max: 1 };
            Policy::new(Networks::default(), caps, 0, (true, false), ways)
        };
        let way = |policy: &Policy, name: &str| policy.way(Name::parse(name).unwrap().as_wire());
        let [near, far] = ["192.0.2.1:53", "192.0.2.2:53"]
            .map(|address: &str| Way::Forward(vec![address.parse().unwrap()]));
        for ways in [
            &[][..],
            &[(".", near.clone())],
            &[(".", near.clone()), ("test.", near.clone())],
            &[("test.", Way::Iterate), ("example.", Way::Iterate)],
        ] {
            assert_eq!(way(&policy(ways), "a.test."), None, "{ways:?}");
        }
        let split = policy(&[
            ("corp.", near.clone()),
            ("example.", Way::Iterate),
            ("a.example.", far),
            ("b.corp.", Way::Refuse),
            ("lab.", near),
        ]);
        let ways = ["x.corp.", "a.example.", "example.", "b.corp."].map(|name| way(&split, name).unwrap());
        assert!((0..4).all(|at| ways[..at].iter().all(|other| *other != ways[at])), "{ways:?}");
        assert_eq!(way(&split, "lab."), way(&split, "corp."));
        assert_eq!(way(&split, "a.test."), None, "it lies below no suffix");
    }
}
