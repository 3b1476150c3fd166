//! What outlasts a question: delegations, addresses of name servers, what servers are like, and what failed.
//!
//! No answer is kept here. A delegation comes from the zone above it alone and is never made to last longer by the
//! zone itself; the name servers that a zone names in its own data are not looked at.

use crate::base::time::Moment;
use crate::resolve::body::ExtendedError;
use crate::resolve::iterate::bounds::{
    ADDRESSES_MAX, DELEGATION_SPAN_MAX, FAILURE_SPAN_MAX, FAILURE_SPAN_MIN, LAME_SPAN, PROOF_SPAN,
};
use crate::resolve::iterate::cut::{Cut, Wire};
use crate::resolve::iterate::job::Key;
use crate::resolve::iterate::minimise::{label_count, suffix};
use crate::resolve::iterate::servers::Server;
use crate::resolve::iterate::store::{Store, Weight};
use crate::wire::rtype::RecordType;
use crate::wire::section::Record;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Addresses of a server's name, of one family; none if it has none.
struct Addresses {
    addresses: Vec<IpAddr>,
    expires: Moment,
}

/// A question that failed.
struct Failure {
    until: Moment,
    span: Duration,
    error: ExtendedError,
    text: Box<str>,
}

impl Weight for Arc<Cut> {
    fn octets(&self) -> usize {
        Cut::octets(self)
    }
}

impl Weight for Addresses {
    fn octets(&self) -> usize {
        size_of::<Addresses>() + self.addresses.len() * size_of::<IpAddr>()
    }
}

impl Weight for Failure {
    fn octets(&self) -> usize {
        size_of::<Failure>() + self.text.len()
    }
}

/// What a referral said of the protection of a zone.
struct Proof {
    records: Vec<Record>,
    learned: Moment,
}

impl Weight for Proof {
    fn octets(&self) -> usize {
        let octets = |record: &Record| size_of::<Record>() + record.name.as_wire().len() + record.rdata.len();
        size_of::<Proof>() + self.records.iter().map(octets).sum::<usize>()
    }
}

impl Weight for Moment {
    fn octets(&self) -> usize {
        size_of::<Moment>()
    }
}

impl Weight for Key {
    fn octets(&self) -> usize {
        size_of::<Key>() + self.name.len()
    }
}

impl<A: Weight> Weight for (Wire, A) {
    fn octets(&self) -> usize {
        self.0.octets() + self.1.octets()
    }
}

impl Weight for RecordType {
    fn octets(&self) -> usize {
        size_of::<RecordType>()
    }
}

pub(super) struct Memory {
    root: Arc<Cut>,
    cuts: Store<Wire, Arc<Cut>>,
    proofs: Store<Wire, Proof>,
    /// Names below a zone at which there is no cut, and until when that is believed.
    plain: Store<(Wire, Wire), Moment>,
    addresses: Store<(Wire, RecordType), Addresses>,
    servers: Store<IpAddr, Server>,
    lame: Store<(Wire, IpAddr), Moment>,
    failures: Store<Key, Failure>,
}

impl Memory {
    /// Three eighths of the octets are for delegations and what protects them, an eighth for each of the others.
    pub(super) fn new(root: Cut, octets_max: usize) -> Memory {
        let part = octets_max / 8;
        Memory {
            root: Arc::new(root),
            cuts: Store::new(2 * part),
            proofs: Store::new(part),
            plain: Store::new(part),
            addresses: Store::new(part),
            servers: Store::new(part),
            lame: Store::new(part),
            failures: Store::new(part),
        }
    }

    pub(super) fn octets(&self) -> usize {
        self.cuts.octets()
            + self.proofs.octets()
            + self.plain.octets()
            + self.addresses.octets()
            + self.servers.octets()
            + self.lame.octets()
            + self.failures.octets()
    }

    /// Forgets all but the servers of the root.
    pub(super) fn clear(&mut self) {
        self.cuts.clear();
        self.proofs.clear();
        self.plain.clear();
        self.addresses.clear();
        self.servers.clear();
        self.lame.clear();
        self.failures.clear();
    }

    pub(super) fn set_root(&mut self, root: Cut) {
        self.root = Arc::new(root);
    }

    /// The nearest cut at or above the name, and all known ones above that. A question for DS goes to the zone above
    /// the cut (RFC 4035 §3.1.4.1).
    pub(super) fn nearest(&mut self, now: Moment, name: &[u8], rtype: RecordType) -> (Arc<Cut>, Vec<Wire>) {
        let end = label_count(name) + usize::from(rtype != RecordType::DS || name.len() == 1);
        let (mut nearest, mut passed) = (Arc::clone(&self.root), vec![self.root.zone.clone()]);
        for count in 1..end {
            let key: Wire = suffix(name, count).into();
            match self.cuts.get(&key) {
                Some(cut) if now < cut.expires => {
                    nearest = Arc::clone(cut);
                    passed.push(key);
                }
                Some(_) => self.cuts.remove(&key),
                None => {}
            }
        }
        (nearest, passed)
    }

    pub(super) fn put_cut(&mut self, cut: &Arc<Cut>) {
        self.cuts.put(cut.zone.clone(), Arc::clone(cut));
    }

    /// Keeps for a moment what a referral said of the protection of the zone that it leads to.
    pub(super) fn put_proof(&mut self, now: Moment, zone: &Wire, records: Vec<Record>) {
        if !records.is_empty() {
            self.proofs.put(zone.clone(), Proof { records, learned: now });
        }
    }

    /// What a referral said of it a moment ago. Once: if it proves nothing, the zone above is asked the next time.
    pub(super) fn take_proof(&mut self, now: Moment, zone: &Wire) -> Option<Vec<Record>> {
        let Proof { mut records, learned } = self.proofs.take(zone)?;
        let age = now - learned;
        let seconds = age.as_secs().try_into().unwrap_or(u32::MAX);
        records.iter_mut().for_each(|record| record.ttl = record.ttl.saturating_sub(seconds));
        (age < PROOF_SPAN && records.iter().all(|record| record.ttl > 0)).then_some(records)
    }

    pub(super) fn forget_cut(&mut self, zone: &Wire) {
        self.cuts.remove(zone);
    }

    /// How many of the last labels of `name`, not all of it, are known to have no cut among them below `zone`. A cut
    /// that was made since shows all the same: the zone's servers refer to it whoever asks for a name below.
    pub(super) fn plain_labels(&mut self, now: Moment, zone: &Wire, name: &[u8]) -> usize {
        let from = label_count(zone);
        let counts = (from + 1..label_count(name)).rev();
        let mut plain = counts.filter(|count| {
            let key = (zone.clone(), suffix(name, *count).into());
            self.plain.get(&key).is_some_and(|until| now < *until)
        });
        plain.next().unwrap_or(from)
    }

    /// There is no cut at `name`, for so long at least.
    pub(super) fn put_plain(&mut self, now: Moment, zone: &Wire, name: &Wire, ttl: Duration) {
        self.plain.put((zone.clone(), name.clone()), now + ttl.min(DELEGATION_SPAN_MAX));
    }

    /// What is known of the addresses of a server's name; `None`: nothing.
    pub(super) fn addresses(&mut self, now: Moment, name: &Wire, rtype: RecordType) -> Option<&[IpAddr]> {
        let known = self.addresses.get(&(name.clone(), rtype))?;
        (now < known.expires).then_some(&known.addresses)
    }

    pub(super) fn put_addresses(
        &mut self,
        now: Moment,
        name: &Wire,
        rtype: RecordType,
        mut addresses: Vec<IpAddr>,
        ttl: Duration,
    ) {
        addresses.truncate(ADDRESSES_MAX);
        let expires = now + ttl.min(DELEGATION_SPAN_MAX);
        self.addresses.put((name.clone(), rtype), Addresses { addresses, expires });
    }

    pub(super) fn server(&self, address: IpAddr) -> Server {
        self.servers.peek(&address).copied().unwrap_or_default()
    }

    pub(super) fn change_server(&mut self, address: IpAddr, change: impl FnOnce(&mut Server)) {
        let mut server = self.server(address);
        change(&mut server);
        self.servers.put(address, server);
    }

    pub(super) fn is_lame(&self, now: Moment, zone: &Wire, address: IpAddr) -> bool {
        self.lame.peek(&(zone.clone(), address)).is_some_and(|until| now < *until)
    }

    pub(super) fn put_lame(&mut self, now: Moment, zone: &Wire, address: IpAddr) {
        self.lame.put((zone.clone(), address), now + LAME_SPAN);
    }

    /// Why the question failed a short while ago.
    pub(super) fn failure(&mut self, now: Moment, key: &Key) -> Option<(ExtendedError, String)> {
        let failure = self.failures.get(key)?;
        (now < failure.until).then(|| (failure.error, failure.text.to_string()))
    }

    pub(super) fn put_failure(&mut self, now: Moment, key: Key, error: ExtendedError, text: &str) {
        let span = self.failures.peek(&key).map_or(FAILURE_SPAN_MIN, |failure| failure.span * 2);
        let span = span.min(FAILURE_SPAN_MAX);
        self.failures.put(key, Failure { until: now + span, span, error, text: text.into() });
    }

    pub(super) fn forget_failure(&mut self, key: &Key) {
        self.failures.remove(key);
    }
}
