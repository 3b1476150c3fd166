//! A signed zone, for tests, and the server that answers from it.

use super::signer::Signer;
use crate::resolve::validate::Response;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use crate::wire::rtype::{Class, RecordType};
use crate::wire::section::Record;
use data_encoding::BASE32_DNSSEC;
use ring::digest;
use std::collections::{BTreeMap, BTreeSet};

/// When the tests happen.
pub(super) const WALL: u32 = 1_800_000_000;
const DAY: u32 = 86_400;

/// A name behind its hash.
type Hashed = (Vec<u8>, Name);

/// How the zone proves what does not exist.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Denies {
    Nsec,
    Nsec3 { iterations: u16, opt_out: bool },
}

pub(super) struct Zone {
    pub(super) apex: Name,
    /// All sign all; none: the zone is not signed.
    pub(super) signers: Vec<Signer>,
    pub(super) denies: Denies,
    pub(super) inception: u32,
    pub(super) expiration: u32,
    /// By owner and type.
    sets: BTreeMap<(Name, RecordType), Vec<Record>>,
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn record(owner: &Name, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Record {
    Record { name: owner.clone(), rtype, class: Class::IN, ttl, rdata: rdata.to_vec() }
}

impl Zone {
    pub(super) fn new(apex: &str, denies: Denies, signers: Vec<Signer>) -> Zone {
        let (apex, sets) = (name(apex), BTreeMap::new());
        let (inception, expiration) = (WALL - DAY, WALL + 7 * DAY);
        let mut zone = Zone { apex: apex.clone(), signers, denies, inception, expiration, sets };
        let soa = [b"\x01m\0\x01h\0", &[0; 20][..]].concat();
        zone.add(&apex, RecordType::SOA, 300, &soa);
        zone.add(&apex, RecordType::NS, 3_600, b"\x02ns\0");
        for dnskey in zone.signers.iter().map(Signer::dnskey).collect::<Vec<_>>() {
            zone.add(&apex, RecordType::DNSKEY, 3_600, &dnskey);
        }
        zone
    }

    fn add(&mut self, owner: &Name, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let records = self.sets.entry((owner.clone(), rtype)).or_default();
        records.push(record(owner, rtype, ttl, rdata));
    }

    pub(super) fn with(mut self, owner: &str, rtype: RecordType, rdata: &[u8]) -> Zone {
        self.add(&name(owner), rtype, 600, rdata);
        self
    }

    pub(super) fn address(self, owner: &str) -> Zone {
        self.with(owner, RecordType::A, &[192, 0, 2, 1])
    }

    pub(super) fn alias(self, owner: &str, target: &str) -> Zone {
        self.with(owner, RecordType::CNAME, name(target).as_wire())
    }

    /// Delegates to `child`, securely if it is signed.
    pub(super) fn delegate(mut self, child: &Zone) -> Zone {
        for signer in &child.signers {
            self.add(&child.apex, RecordType::DS, 900, &signer.ds(&child.apex));
        }
        self.with(&child.apex.to_string(), RecordType::NS, b"\x02ns\0")
    }

    /// Puts more keys before those that sign.
    pub(super) fn crowd(&mut self, keys: &[Vec<u8>]) {
        let crowd: Vec<_> =
            keys.iter().map(|key| record(&self.apex, RecordType::DNSKEY, 3_600, key)).collect();
        let set = self.sets.entry((self.apex.clone(), RecordType::DNSKEY)).or_default();
        set.splice(0..0, crowd);
    }

    /// Replaces the DS set of a delegation.
    pub(super) fn entrust(&mut self, child: &str, all: &[Vec<u8>]) {
        let set = all.iter().map(|rdata| record(&name(child), RecordType::DS, 900, rdata)).collect();
        self.sets.insert((name(child), RecordType::DS), set);
    }

    fn get(&self, owner: &Name, rtype: RecordType) -> Option<&Vec<Record>> {
        self.sets.get(&(owner.clone(), rtype))
    }

    fn is_cut(&self, owner: &Name) -> bool {
        *owner != self.apex && self.get(owner, RecordType::NS).is_some()
    }

    /// The set and its signatures.
    fn signed(&self, set: &[Record]) -> Vec<Record> {
        let sign = |signer: &Signer| signer.sign_set(&self.apex, set, self.inception, self.expiration);
        set.iter().cloned().chain(self.signers.iter().map(sign)).collect()
    }

    fn owners(&self) -> BTreeSet<Name> {
        self.sets.keys().map(|(owner, _)| owner.clone()).collect()
    }

    /// Owners and empty non-terminals.
    fn nodes(&self) -> BTreeSet<Name> {
        let owners = self.owners();
        let above = |owner: &Name| std::iter::successors(owner.parent(), Name::parent).collect::<Vec<_>>();
        let all = owners.iter().flat_map(above).filter(|node| node.is_at_or_below(&self.apex));
        all.chain(owners.iter().cloned()).collect()
    }

    fn bitmap(&self, owner: &Name, also: &[RecordType]) -> Vec<u8> {
        let mut bits = [0u8; 32];
        let own = self.sets.keys().filter(|(name, _)| name == owner).map(|(_, rtype)| *rtype);
        for rtype in own.chain(also.iter().copied()) {
            bits[usize::from(rtype.0 / 8)] |= 0x80 >> (rtype.0 % 8);
        }
        let len = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        if len == 0 { Vec::new() } else { [&[0, len as u8], &bits[..len]].concat() }
    }

    /// All NSEC or NSEC3 records, each with the name or hash at which it begins.
    pub(super) fn chain(&self) -> Vec<Record> {
        match self.denies {
            Denies::Nsec => {
                let owners: Vec<Name> = self.owners().into_iter().collect();
                let next = owners.iter().cycle().skip(1);
                let make = |(owner, next): (&Name, &Name)| {
                    let types = self.bitmap(owner, &[RecordType::NSEC, RecordType::RRSIG]);
                    record(owner, RecordType::NSEC, 300, &[next.as_wire(), &types].concat())
                };
                owners.iter().zip(next).map(make).collect()
            }
            Denies::Nsec3 { iterations, opt_out } => {
                let unsigned = |node: &Name| self.is_cut(node) && self.get(node, RecordType::DS).is_none();
                let nodes = self.nodes().into_iter().filter(|node| !(opt_out && unsigned(node)));
                let mut hashed: Vec<Hashed> = nodes.map(|node| (self.hash(&node), node)).collect();
                hashed.sort();
                let next = hashed.iter().cycle().skip(1);
                let make = |((hash, node), (next, _)): (&Hashed, &Hashed)| {
                    let signs = !self.bitmap(node, &[]).is_empty() && !unsigned(node);
                    let types = self.bitmap(node, if signs { &[RecordType::RRSIG] } else { &[] });
                    let owner = [BASE32_DNSSEC.encode(hash), self.apex.to_string()].join(".");
                    let [high, low] = iterations.to_be_bytes();
                    let head = [1, u8::from(opt_out), high, low, 1, 0xaa, 20];
                    let rdata = [&head[..], next, &types].concat();
                    record(&name(owner.trim_end_matches("..")), RecordType::NSEC3, 300, &rdata)
                };
                hashed.iter().zip(next).map(make).collect()
            }
        }
    }

    fn hash(&self, node: &Name) -> Vec<u8> {
        let Denies::Nsec3 { iterations, .. } = self.denies else { return Vec::new() };
        let mut hash = node.to_lowercase().as_wire().to_vec();
        for _ in 0..=iterations {
            hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[&hash[..], &[0xaa]].concat())
                .as_ref()
                .to_vec();
        }
        hash
    }

    /// The record of the chain at or before `node`, signed.
    fn proof(&self, node: &Name) -> Vec<Record> {
        if self.signers.is_empty() {
            return Vec::new();
        }
        let chain = self.chain();
        let before = match self.denies {
            Denies::Nsec => chain.iter().rfind(|nsec| nsec.name <= *node),
            Denies::Nsec3 { .. } => {
                let hash = BASE32_DNSSEC.encode(&self.hash(node)).into_bytes();
                chain.iter().rfind(|nsec3| nsec3.name.labels().next().unwrap() <= &hash[..])
            }
        };
        self.signed(std::slice::from_ref(before.or(chain.last()).unwrap()))
    }

    fn negative(&self, rcode: Rcode, proofs: &[&Name]) -> Response {
        let mut authority = self.signed(self.get(&self.apex, RecordType::SOA).unwrap());
        for proof in proofs.iter().map(|node| self.proof(node)) {
            let is_new = |first: &Record| {
                !authority.iter().any(|known| known.name == first.name && known.rtype == first.rtype)
            };
            if proof.first().is_some_and(is_new) {
                authority.extend(proof);
            }
        }
        Response { rcode, answer: Vec::new(), authority, is_open: false }
    }

    /// What the zone's server answers, as far as this zone goes.
    pub(super) fn respond(&self, asked: &Name, rtype: RecordType) -> Response {
        let positive =
            |answer| Response { rcode: Rcode::NoError, answer, authority: Vec::new(), is_open: false };
        for rtype in [rtype, RecordType::CNAME] {
            if let Some(set) = self.get(asked, rtype) {
                return positive(self.signed(set));
            }
        }
        let above = |node: &Name| std::iter::successors(node.parent(), Name::parent).collect::<Vec<_>>();
        for owner in above(asked) {
            if let Some(dname) = self.get(&owner, RecordType::DNAME) {
                let kept = asked.as_wire().len() - owner.as_wire().len();
                let target = [&asked.as_wire()[..kept], &dname[0].rdata].concat();
                let mut answer = self.signed(dname);
                answer.push(record(asked, RecordType::CNAME, 600, &target));
                return positive(answer);
            }
        }
        let nodes = self.nodes();
        let encloser = above(asked).into_iter().find(|node| nodes.contains(node)).unwrap_or(Name::ROOT);
        let labels = encloser.label_count() + 1;
        let next_closer =
            std::iter::successors(Some(asked.clone()), Name::parent).find(|n| n.label_count() <= labels);
        let (next_closer, wildcard) =
            (next_closer.unwrap(), name(&format!("*.{encloser}").replace("*..", "*.")));
        if nodes.contains(asked) {
            // An unsigned delegation in a span that opts out has no record of its own (RFC 5155 §7.2.4).
            let is_missing =
                self.denies == (Denies::Nsec3 { iterations: 0, opt_out: true }) && self.is_cut(asked);
            let proofs = if is_missing { vec![&encloser, asked] } else { vec![asked] };
            return self.negative(Rcode::NoError, &proofs);
        }
        for rtype in [rtype, RecordType::CNAME] {
            if let Some(set) = self.get(&wildcard, rtype) {
                let mut answer = self.signed(set);
                answer.iter_mut().for_each(|record| record.name = asked.clone());
                return Response { authority: self.proof(&next_closer), ..positive(answer) };
            }
        }
        let rcode = if nodes.contains(&wildcard) { Rcode::NoError } else { Rcode::NxDomain };
        match self.denies {
            Denies::Nsec => self.negative(rcode, &[asked, &wildcard]),
            Denies::Nsec3 { .. } => self.negative(rcode, &[&encloser, &next_closer, &wildcard]),
        }
    }
}
