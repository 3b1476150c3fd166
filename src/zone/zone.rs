//! A sealed zone: immutable, complete, ready to answer.
//!
//! [`Zone::locate`] is the part of RFC 1034 §4.3.2 that knows names but not types: it says where a name
//! leads, by exact match, zone cut, DNAME, wildcard, or not at all.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::time::Moment;
use crate::wire::key::{HashSeed, NameKey};
use crate::wire::name::Name;
use crate::wire::sealed::SealedRrset;
use crate::zone::addresses::Addresses;
use crate::zone::history::History;
use crate::zone::seal::NegativeSoa;
use crate::zone::signed::Denial;
use crate::zone::store::{Blocks, Cursor, Hint, Node, Shelf, Spot, Store, Target, node_flags};
use crate::zone::view::Asker;
use std::net::IpAddr;

/// A zone's version (RFC 1982 arithmetic applies).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

/// An immutable zone.
pub struct Zone {
    origin: Name,
    origin_key: Name,
    origin_labels: usize,
    seed: HashSeed,
    store: Store,
    /// The apex's hash and place.
    apex: (u64, Hint),
    negative_soa: NegativeSoa,
    serial: Serial,
    records: usize,
    /// See [`detours`].
    detours: u8,
    history: History,
    /// Who asks from where; only where records are for some askers.
    addresses: Option<Addresses>,
    /// How what does not exist is proven; only where the zone is signed.
    denial: Option<Denial>,
}

/// What keeps answers from the short way.
mod detours {
    /// Cuts or DNAMEs stand in a store that does not mark what lies below them: look-ups walk down to the name.
    pub(super) const WALKED: u8 = 1;
    /// The zone is signed, and some want to see that.
    pub(super) const SIGNED: u8 = 2;
}

/// Where a name leads within its zone.
#[derive(Clone, Copy)]
pub enum Place<'z> {
    /// The name exists. It may itself be a zone cut.
    Node(Node<'z>),
    /// The name lies below a zone cut.
    BelowCut(Node<'z>),
    /// The name lies below an owner of DNAME (RFC 6672 §3.2).
    BelowDname(Node<'z>),
    /// The name does not exist; this wildcard stands in for it (RFC 4592 §3.3).
    Wildcard(Node<'z>),
    /// The name does not exist, nor does anything stand in for it.
    Absent,
}

impl Zone {
    pub(crate) fn new(
        origin: Name,
        seed: HashSeed,
        store: Store,
        negative_soa: NegativeSoa,
        serial: u32,
        records: usize,
    ) -> Zone {
        let origin_key = origin.to_lowercase();
        let hash = seed.name(origin_key.as_wire());
        let apex = (hash, store.hint_of(hash, <[u8]>::is_empty));
        let origin_labels = origin.label_count();
        Zone {
            origin,
            origin_key,
            origin_labels,
            seed,
            store,
            apex,
            negative_soa,
            serial: Serial(serial),
            records,
            detours: 0,
            history: History::default(),
            addresses: None,
            denial: None,
        }
    }

    /// The same, of a store that does not mark what lies below cuts and DNAMEs though it has some.
    pub(crate) fn walked(self) -> Zone {
        Zone { detours: self.detours | detours::WALKED, ..self }
    }

    /// The same, signed, with what it has to prove what does not exist.
    pub(crate) fn signed_by(self, denial: Denial) -> Zone {
        Zone { detours: self.detours | detours::SIGNED, denial: Some(denial), ..self }
    }

    /// How what does not exist is proven; `None` for a zone that is not signed.
    #[inline]
    pub fn denial(&self) -> Option<&Denial> {
        self.denial.as_ref()
    }

    /// The same with what is known of askers.
    pub(crate) fn for_askers(self, addresses: Addresses) -> Zone {
        Zone { addresses: Some(addresses), ..self }
    }

    /// What is known of askers.
    pub fn addresses(&self) -> Option<&Addresses> {
        self.addresses.as_ref()
    }

    /// Who asks from an address; `None` in a zone whose records are for all askers.
    pub fn asker(&self, from: Option<IpAddr>) -> Option<&Asker> {
        self.addresses.as_ref().map(|addresses| addresses.asker(from))
    }

    /// True if only [`Zone::locate_from`] tells whether a name lies below a cut or a DNAME: its node does not.
    #[inline(always)]
    pub fn is_walked(&self) -> bool {
        self.detours & detours::WALKED != 0
    }

    /// True if every answer may take the short way: the zone is neither [walked](Zone::is_walked) nor signed.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.detours == 0
    }

    /// The apex's name in its loaded case.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The same, lower-cased.
    pub fn origin_key(&self) -> &Name {
        &self.origin_key
    }

    /// Labels of the origin, the root not counted.
    #[inline]
    pub fn origin_labels(&self) -> usize {
        self.origin_labels
    }

    /// Octets of the origin in wire form.
    #[inline]
    pub fn origin_len(&self) -> usize {
        self.store.origin_len
    }

    /// The SOA's serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// How many records were loaded.
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Octets that the zone's names and records take.
    pub fn octets(&self) -> usize {
        self.store.octets()
    }

    /// The apex.
    #[inline]
    pub fn apex(&self) -> Node<'_> {
        // Every sealed zone has one.
        self.store.node_at(self.apex.0, self.apex.1).unwrap_or(Node::EMPTY)
    }

    /// The SOA for negative answers, sealed for the apex (RFC 2308 §3).
    #[inline]
    pub fn negative_soa(&self) -> SealedRrset<'_> {
        SealedRrset {
            records: 1,
            octets: self.negative_soa.octets.get(..self.negative_soa.len).unwrap_or_default(),
            pointers: &self.negative_soa.pointers,
            owner_len: self.store.origin_len,
            deadline: Moment::NEVER,
        }
    }

    /// Octets that begin with those of [`Zone::negative_soa`] and go on with anything.
    #[inline]
    pub fn negative_soa_run(&self) -> &[u8] {
        &self.negative_soa.octets
    }

    /// All names, in no order that means anything.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.store.nodes()
    }

    /// The node behind a place in the order of [`Zone::nodes`], and the place behind that; for whoever walks through
    /// the zone in pieces. `None` behind the last one.
    pub fn next_node(&self, place: Cursor) -> Option<(Node<'_>, Cursor)> {
        self.store.next_node(place)
    }

    /// How it lies in memory.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The seed it hashes with.
    pub(crate) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// True if a small difference makes the next version at a small price: see [`crate::zone::amend`].
    pub fn is_amendable(&self) -> bool {
        matches!(self.store.blocks, Blocks::Apart(_)) && !self.is_walked() && self.addresses.is_none()
    }

    /// How the zone came to be what it is, as far as that is remembered.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The same zone with that history; its last step led to this zone.
    pub fn with_history(self, history: History) -> Zone {
        Zone { history, ..self }
    }

    /// The node to which a name in this zone's data leads, if that is told by the node alone.
    #[inline(always)]
    pub fn plain_target(&self, target: &Target<'_>) -> Option<Node<'_>> {
        let node = self.find(target.hash, target.key)?;
        (!node.has(node_flags::OCCLUDED) && !self.is_walked()).then_some(node)
    }

    /// The node of that key among all that [`Zone::nodes`] yields.
    pub fn node_of(&self, key: &[u8]) -> Option<Node<'_>> {
        self.node_at_hash(self.hash_of(key), key)
    }

    /// The same, given its hash besides.
    pub(crate) fn node_at_hash(&self, hash: u64, key: &[u8]) -> Option<Node<'_>> {
        self.find(hash, key).or_else(|| self.store.find_hidden(key))
    }

    /// The node at a spot of this zone.
    #[inline]
    pub(crate) fn node_at_spot(&self, spot: Spot) -> Option<Node<'_>> {
        self.store.node_at_spot(spot)
    }

    /// The node with that hash and key, wherever it stands: below a cut too.
    #[inline(always)]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Node<'_>> {
        self.store.find(hash, |other| other == key)
    }

    /// Where a hashed name at or below the apex leads.
    #[inline]
    pub fn locate(&self, name: &NameKey) -> Place<'_> {
        let hash = name.full_hash();
        self.locate_from(self.hint(hash, &self.prefetch_slot(hash)), name)
    }

    /// The node of a hashed name that no cut or DNAME stands at or above, if the hint leads right to it.
    /// Not for a zone that [is walked](Zone::is_walked).
    #[inline(always)]
    pub fn node_at_hint<'z>(&self, shelf: &Shelf<'z>, hint: Hint, name: &NameKey) -> Option<Node<'z>> {
        let key_len = name.wire_len().wrapping_sub(self.store.origin_len);
        self.store.node_at_hint(shelf, hint, (name, key_len), node_flags::OCCLUDED | node_flags::CUT)
    }

    /// As [`Zone::locate`], with the hint for the whole name already there.
    #[inline(always)]
    pub fn locate_from(&self, hint: Hint, name: &NameKey) -> Place<'_> {
        match self.store.find_from(hint, name, name.wire_len().saturating_sub(self.store.origin_len)) {
            Some(node) if self.is_walked() => self.walk(node, name),
            Some(node) if !node.has(node_flags::OCCLUDED) => Place::Node(node),
            Some(node) => self.occluder(name, self.origin_labels + node.occluder_depth()),
            None => self.descend(name),
        }
    }

    /// Where a name found in this zone's data leads; `key` is overwritten.
    pub fn locate_target(&self, target: &Target<'_>, key: &mut NameKey) -> Place<'_> {
        match self.read_target(target, key) {
            Some(()) => self.locate(key),
            None => Place::Absent,
        }
    }

    /// The node that has the addresses of a name found in this zone's data: itself, or the wildcard that stands
    /// in for it; below a zone cut too, where they are glue, but not below a DNAME. `key` is overwritten.
    pub fn host(&self, target: &Target<'_>, key: &mut NameKey) -> Option<Node<'_>> {
        if let Some(node) = self.find(target.hash, target.key) {
            if self.is_walked() {
                self.read_target(target, key)?;
                return (!self.is_below_dname(key)).then_some(node);
            }
            return (!node.has(node_flags::BELOW_DNAME)).then_some(node);
        }
        self.read_target(target, key)?;
        let mut encloser = self.apex();
        let mut depth = self.origin_labels;
        while depth + 1 < key.label_count() && !encloser.has(node_flags::DNAME) {
            let Some(node) = self.find_ancestor(key, depth + 1) else { break };
            encloser = node;
            depth += 1;
        }
        if encloser.has(node_flags::DNAME) { None } else { self.wildcard_child(encloser, key, depth) }
    }

    /// Where the wire-form name at the start of `name` leads; `None` if it is not at or below the apex. `key` is
    /// overwritten.
    pub fn locate_name(&self, name: &[u8], key: &mut NameKey) -> Option<Place<'_>> {
        let len = key.read(name)?;
        let at = len.checked_sub(self.store.origin_len)?;
        if key.label_count() < self.origin_labels
            || key.suffix_at(self.origin_labels) != at
            || key.as_wire().get(at..) != Some(self.origin_key.as_wire())
        {
            return None;
        }
        key.hash(&self.seed);
        Some(self.locate(key))
    }

    /// The hash of the name that has this key: lower-cased, relative to the apex.
    pub fn hash_of(&self, key: &[u8]) -> u64 {
        let mut name = [0u8; NAME_OCTETS_MAX];
        let (labels, origin) = (key.len(), self.origin_key.as_wire());
        let Some(place) = name.get_mut(..labels + origin.len()) else { return 0 };
        place[..labels].copy_from_slice(key);
        place[labels..].copy_from_slice(origin);
        self.seed.name(place)
    }

    /// Has the processor fetch where a hash's slot lies: the first of two waits of [`Zone::locate`].
    #[inline(always)]
    pub fn prefetch_slot(&self, hash: u64) -> Shelf<'_> {
        self.store.prefetch_slot(hash)
    }

    /// Finds where the node of a hash most likely lies and has the processor fetch it: the second wait, once
    /// the slot is there.
    #[inline(always)]
    pub fn hint(&self, hash: u64, shelf: &Shelf<'_>) -> Hint {
        self.store.hint(hash, shelf)
    }

    /// The node of the suffix of `depth` labels of a name at or below the apex.
    #[inline(always)]
    fn find_ancestor(&self, name: &NameKey, depth: usize) -> Option<Node<'_>> {
        let at = name.suffix_at(depth);
        let len = name.wire_len().checked_sub(self.store.origin_len + at)?;
        self.store.find_part(name.hash_at(&self.seed, depth), name, at as u8, len)
    }

    fn occluder(&self, name: &NameKey, depth: usize) -> Place<'_> {
        match self.find_ancestor(name, depth) {
            Some(node) if node.has(node_flags::CUT) => Place::BelowCut(node),
            Some(node) => Place::BelowDname(node),
            None => Place::Absent,
        }
    }

    /// Where a name leads whose node is known, if nothing marks what lies below cuts and DNAMEs.
    #[cold]
    fn walk<'z>(&'z self, node: Node<'z>, name: &NameKey) -> Place<'z> {
        for depth in self.origin_labels..name.label_count() {
            match self.find_ancestor(name, depth) {
                Some(above) if above.has(node_flags::CUT) => return Place::BelowCut(above),
                Some(above) if above.has(node_flags::DNAME) => return Place::BelowDname(above),
                Some(_) => {}
                None => return Place::Absent,
            }
        }
        Place::Node(node)
    }

    /// True if the first ancestor of a name that hides what is below it has a DNAME.
    fn is_below_dname(&self, name: &NameKey) -> bool {
        (self.origin_labels..name.label_count())
            .filter_map(|depth| self.find_ancestor(name, depth))
            .find(|above| above.has(node_flags::CUT | node_flags::DNAME))
            .is_some_and(|above| !above.has(node_flags::CUT))
    }

    /// From the apex down to the closest encloser: the first absent name ends the search, however long the
    /// question.
    fn descend(&self, name: &NameKey) -> Place<'_> {
        let mut encloser = self.apex();
        if encloser.has(node_flags::DNAME) {
            return Place::BelowDname(encloser);
        }
        let mut depth = self.origin_labels;
        while depth + 1 < name.label_count() {
            match self.find_ancestor(name, depth + 1) {
                Some(node) if node.has(node_flags::CUT) => return Place::BelowCut(node),
                Some(node) if node.has(node_flags::DNAME) => return Place::BelowDname(node),
                Some(node) => encloser = node,
                None => break,
            }
            depth += 1;
        }
        match self.wildcard_child(encloser, name, depth) {
            Some(node) => Place::Wildcard(node),
            None => Place::Absent,
        }
    }

    /// The `*` below `parent`, which is the suffix of `depth` labels of `name`.
    fn wildcard_child(&self, parent: Node<'_>, name: &NameKey, depth: usize) -> Option<Node<'_>> {
        if !parent.has(node_flags::WILDCARD_CHILD) {
            return None;
        }
        let hash = name.wildcard_hash_at(&self.seed, depth);
        self.store.find(hash, |key| key.strip_prefix(b"\x01*").is_some_and(|rest| rest == parent.key()))
    }

    /// Labels of the closest encloser of a name at or below the apex that is not there itself (RFC 4592 §3.3.1).
    pub fn closest_encloser(&self, name: &NameKey) -> usize {
        let deeper = self.origin_labels + 1..name.label_count();
        deeper
            .take_while(|depth| self.find_ancestor(name, *depth).is_some())
            .last()
            .unwrap_or(self.origin_labels)
    }

    /// Reads and hashes a target's whole name.
    fn read_target(&self, target: &Target<'_>, key: &mut NameKey) -> Option<()> {
        let mut name = [0u8; NAME_OCTETS_MAX];
        let (labels, origin) = (target.key.len(), self.origin_key.as_wire());
        let place = name.get_mut(..labels + origin.len())?;
        place[..labels].copy_from_slice(target.key);
        place[labels..].copy_from_slice(origin);
        key.read(&name)?;
        key.hash(&self.seed);
        Some(())
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zone({}, serial {}, {} records)", self.origin, self.serial.0, self.records)
    }
}
