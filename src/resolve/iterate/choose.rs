//! The choice of a job at a zone: which of its servers to ask, or of which to look for the address.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::iterate::Iterate;
use crate::resolve::iterate::bounds::{FAILURES_MAX, GLUE_DOUBTED_MAX, NAMES_RESOLVED_MAX, TRIES_MAX};
use crate::resolve::iterate::cut::{Cut, Wire, name};
use crate::resolve::iterate::job::{Aim, Failed, Job, Kind, Visit};
use crate::wire::name::is_at_or_below;
use crate::wire::rtype::RecordType;
use std::net::IpAddr;
use std::sync::Arc;

/// One of so many choices is made by lot, so that a server that became faster is noticed.
const EXPLORE_ONE_OF: usize = 20;
/// A server that nobody asked yet counts as one with a round trip drawn below so many milliseconds.
const UNKNOWN_TRIP_MILLIS: usize = 200;

/// What a job does next at a zone.
pub(super) enum Choice {
    /// Asks a server: where, and which of the zone's.
    Ask(IpAddr, usize),
    /// Looks for the address of one of the zone's servers.
    Seek(usize, RecordType),
    /// Gives up.
    Nobody(Failed),
}

/// Whose turn it is before all else; the least is asked first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// It did not want another question about the zone, or did not serve it, a short while ago.
    is_lame: bool,
    /// How often it was tried here.
    tries: u8,
}

impl Iterate {
    /// What the job does next.
    pub(super) fn choose(&mut self, now: Moment, job: &Job, visit: &mut Visit) -> Choice {
        let cut = Arc::clone(&visit.cut);
        let aside = job.key.aim == Aim::Address;
        if !self.purses.get(&job.purse).is_some_and(|purse| purse.has_packet_for(&cut.zone, aside)) {
            return Choice::Nobody(Failed {
                kind: Kind::Spent,
                error: ExtendedError::NO_REACHABLE_AUTHORITY,
                text: "it would take too many packets".to_owned(),
            });
        }
        if visit.failures < FAILURES_MAX {
            if let Some((address, server)) = self.choose_server(now, job, visit) {
                return Choice::Ask(address, server);
            }
            if let Some((server, rtype)) = self.choose_name(now, visit) {
                return Choice::Seek(server, rtype);
            }
        }
        const NOBODY: ExtendedError = ExtendedError::NO_REACHABLE_AUTHORITY;
        let (kind, error, fault) = match (visit.is_crowded, visit.is_bounded) {
            (true, _) => (Kind::Busy, ExtendedError::NOT_READY, "too many questions wait for its address"),
            (false, true) => (Kind::Spent, NOBODY, "more would be too many packets"),
            (false, false) => (Kind::Final, NOBODY, visit.fault),
        };
        let text = format!("no server of {} answers: {fault}", name(&cut.zone));
        Choice::Nobody(Failed { kind, error, text })
    }

    /// The server to ask beside `first`, which is late: one that was not tried yet, within the bounds of its question.
    pub(super) fn choose_second(
        &mut self,
        now: Moment,
        job: &Job,
        visit: &mut Visit,
        first: IpAddr,
    ) -> Option<(IpAddr, usize)> {
        let aside = job.key.aim == Aim::Address;
        let may =
            self.purses.get(&job.purse).is_some_and(|purse| purse.has_packet_for(&visit.cut.zone, aside));
        // The late one may come to nothing, too.
        if !may || visit.failures + 1 >= FAILURES_MAX {
            return None;
        }
        let (rank, address, at) = self.best_server(now, job, visit, Some(first))?;
        (rank == Rank::default()).then_some((address, at))
    }

    /// The server to ask: of those that were tried least here the nearest that is not known to be silent, or now and
    /// then any. One that did not want a question about the zone comes last: it may not know that one's type only (RFC
    /// 4074 §4.3).
    fn choose_server(&mut self, now: Moment, job: &Job, visit: &mut Visit) -> Option<(IpAddr, usize)> {
        self.best_server(now, job, visit, None).map(|(_, address, at)| (address, at))
    }

    /// The best of all but one.
    fn best_server(
        &mut self,
        now: Moment,
        job: &Job,
        visit: &mut Visit,
        besides: Option<IpAddr>,
    ) -> Option<(Rank, IpAddr, usize)> {
        let cut = Arc::clone(&visit.cut);
        let mut candidates: Vec<(Rank, (bool, u128), IpAddr, usize)> = Vec::new();
        for (at, server) in cut.names.iter().enumerate() {
            for address in self.addresses(now, &cut, at, server) {
                let tries = visit.tries.get(&address).copied().unwrap_or_default();
                let known = self.memory.server(address);
                let may = tries < TRIES_MAX
                    && besides != Some(address)
                    && known.is_up(now)
                    && self.settings.allows(address, cut.is_root())
                    && !candidates.iter().any(|candidate| candidate.2 == address);
                if may && !self.purses.get(&job.purse).is_some_and(|purse| purse.may_ask(address)) {
                    visit.is_bounded = true;
                } else if may {
                    let unknown = || self.draw.below(UNKNOWN_TRIP_MILLIS) as u128 * 1_000;
                    let trip = known.trip().map_or_else(unknown, |trip| trip.as_micros());
                    let rank = Rank { is_lame: self.memory.is_lame(now, &cut.zone, address), tries };
                    candidates.push((rank, (known.is_doubtful(), trip), address, at));
                }
            }
        }
        let rank = candidates.iter().map(|candidate| candidate.0).min()?;
        candidates.retain(|candidate| candidate.0 == rank);
        let any = self.draw.below(candidates.len() * EXPLORE_ONE_OF);
        let nearest = || candidates.iter().min_by_key(|candidate| candidate.1);
        candidates.get(any).or_else(nearest).map(|(_, _, address, at)| (rank, *address, *at))
    }

    /// Where a server is: as its owner says, or else as the zone above says (RFC 2181 §5.4.1), of each family.
    fn addresses(&mut self, now: Moment, cut: &Cut, at: usize, server: &Wire) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for rtype in [RecordType::A, RecordType::AAAA] {
            let known = self.memory.addresses(now, server, rtype).unwrap_or_default();
            addresses.extend_from_slice(known);
            if known.is_empty() {
                let is_of_family = |address: &IpAddr| address.is_ipv4() == (rtype == RecordType::A);
                let glue = cut.glue.iter().filter(|glue| glue.0 == at).map(|glue| glue.1);
                addresses.extend(glue.filter(is_of_family));
            }
        }
        addresses
    }

    /// A server of which no address is known that does, and the family to look for. What lies within the zone itself
    /// could only be learned from its servers; of other names the glue may be old, or of the wrong family.
    fn choose_name(&mut self, now: Moment, visit: &mut Visit) -> Option<(usize, RecordType)> {
        let cut = Arc::clone(&visit.cut);
        let mut sought: Vec<usize> = visit.sought.iter().map(|(at, _)| *at).collect();
        sought.dedup();
        let doubted = sought.iter().filter(|at| cut.has_glue(**at)).count();
        for is_doubted in [false, true] {
            for (at, server) in cut.names.iter().enumerate() {
                if cut.has_glue(at) != is_doubted || is_at_or_below(server, &cut.zone) {
                    continue;
                }
                let is_new = !sought.contains(&at);
                if is_new && is_doubted && doubted >= GLUE_DOUBTED_MAX {
                    break;
                }
                if is_new && sought.len() >= NAMES_RESOLVED_MAX {
                    // Those that have glue had their chance.
                    visit.is_bounded |= !is_doubted;
                    break;
                }
                if let Some(rtype) = self.family_to_seek(now, visit, at, server) {
                    return Some((at, rtype));
                }
            }
        }
        None
    }

    /// The family of which an address of that server is to be looked for; `None` if there is nothing more to know.
    fn family_to_seek(&mut self, now: Moment, visit: &Visit, at: usize, server: &Wire) -> Option<RecordType> {
        let families = [(self.settings.ipv4, RecordType::A), (self.settings.ipv6, RecordType::AAAA)];
        for (_, rtype) in families.into_iter().filter(|family| family.0) {
            match self.memory.addresses(now, server, rtype).map(<[IpAddr]>::to_vec) {
                // It answers there, and would say the same elsewhere.
                Some(known)
                    if known.iter().any(|known| self.memory.is_lame(now, &visit.cut.zone, *known)) =>
                {
                    return None;
                }
                Some(_) => {}
                None if visit.sought.contains(&(at, rtype)) => {}
                None => return Some(rtype),
            }
        }
        None
    }
}
