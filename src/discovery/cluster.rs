//! One cluster-wide set of records: what `hivedns set` puts, as it is replicated. From a user's text, or from what
//! another node sent; both are held against the same rules.
//!
//! ```text
//! key:   owner name in lower case, in wire form | type (2)
//! value: 1 | ttl (4) | count (2) | ( length (2) | rdata ) ...     rising in canonical form, none twice
//! ```
//!
//! Equal sets have equal octets, however they were typed: names in RDATA keep their case, but neither order nor
//! repetition is kept, and the first of two that differ in case alone is the one that stays.

use crate::base::limits::{MESSAGE_OCTETS_MAX, TTL_SECONDS_MAX};
use crate::discovery::entry::{Octets, Poison};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use crate::zone::rdata;
use std::cmp::Ordering;
use std::fmt;

const LAYOUT: u8 = 1;
/// What one record takes in an answer beside its RDATA: a pointer to its owner, type, class, TTL, length.
const RECORD_OCTETS: usize = 12;
/// What stands around the records of an answer beside the name asked for: header, type and class, an OPT with
/// room for a cookie.
const AROUND_OCTETS: usize = 12 + 4 + 64;

/// Records of one name and type that the whole cluster serves. It keeps every rule but where it stands, which
/// [`Rrset::stands_in`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrset {
    name: Name,
    rtype: RecordType,
    ttl: u32,
    rdatas: Vec<Vec<u8>>,
}

/// What a user cannot set, and why; one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}

/// Which records of a name are to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// At this name.
    pub name: Name,
    /// Of this type; all, if there is none.
    pub rtype: Option<RecordType>,
    /// Only these; all of the type, if there are none.
    pub rdatas: Vec<Vec<u8>>,
}

impl Rrset {
    /// What a user typed: an absolute name in `domain`, seconds, a type, and the RDATA of each record as in a master
    /// file. Names in RDATA are absolute too, with their final dot or without.
    pub fn read(name: &str, ttl: u32, rtype: &str, texts: &[String], domain: &Name) -> Result<Rrset, Unfit> {
        let set = Rrset::read_below(name, ttl, rtype, texts, domain)?;
        set.stands_in(domain)?;
        Ok(set)
    }

    /// The same in any other zone of that apex; what may stand at the apex itself is still to be seen.
    pub fn read_below(
        name: &str,
        ttl: u32,
        rtype: &str,
        texts: &[String],
        apex: &Name,
    ) -> Result<Rrset, Unfit> {
        let (name, rtype) = (read_name(name, apex)?, read_type(rtype)?);
        if texts.is_empty() {
            return Err(Unfit(format!("{rtype} needs its RDATA; to remove records there is `unset`")));
        }
        let set = Rrset { name: name.to_lowercase(), rtype, ttl, rdatas: read_rdatas(rtype, texts)? };
        set.keep_rules()?;
        Ok(set)
    }

    /// Of records in wire form, well formed: what an update asks for. Where it may stand is still to be seen.
    pub fn new<'r>(
        name: &Name,
        rtype: RecordType,
        ttl: u32,
        rdatas: impl IntoIterator<Item = &'r [u8]>,
    ) -> Result<Rrset, Unfit> {
        let mut rdatas: Vec<Vec<u8>> = rdatas.into_iter().map(<[u8]>::to_vec).collect();
        in_order(rtype, &mut rdatas);
        let set = Rrset { name: name.to_lowercase(), rtype, ttl, rdatas };
        set.keep_rules()?;
        Ok(set)
    }

    /// Reads what another node, perhaps a foul one, replicated.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Rrset, Poison> {
        let (name, rtype) = decode_key(key)?;
        let mut octets = Octets(value);
        octets.version(LAYOUT)?;
        let ttl = octets.u32()?;
        let count = octets.u16()?;
        // Each record takes two octets at least: more than there are is not announced for long.
        let mut rdatas: Vec<Vec<u8>> = Vec::with_capacity(usize::from(count).min(octets.0.len() / 2));
        for _ in 0..count {
            let len = octets.u16()?;
            let rdata = octets.take(usize::from(len))?;
            rdata::validate(rtype, rdata).map_err(|_| Poison::Rdata)?;
            if rdatas.last().is_some_and(|last| canonical_order(rtype, last, rdata) != Ordering::Less) {
                return Err(Poison::NotCanonical);
            }
            rdatas.push(rdata.to_vec());
        }
        octets.end()?;
        let set = Rrset { name, rtype, ttl, rdatas };
        set.keep_rules().map_err(|_| Poison::Rule)?;
        Ok(set)
    }

    /// The key under which it is replicated.
    pub fn key(&self) -> Vec<u8> {
        key(&self.name, self.rtype)
    }

    /// The value that is replicated under its key.
    pub fn value(&self) -> Vec<u8> {
        let mut octets = vec![LAYOUT];
        octets.extend(self.ttl.to_be_bytes());
        // The rules bound the sum of all lengths to less than 16 bits can tell.
        octets.extend((self.rdatas.len() as u16).to_be_bytes());
        for rdata in &self.rdatas {
            octets.extend((rdata.len() as u16).to_be_bytes());
            octets.extend_from_slice(rdata);
        }
        octets
    }

    /// The owner name, in lower case.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The type.
    pub fn rtype(&self) -> RecordType {
        self.rtype
    }

    /// Seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The RDATA of each record in wire form, in canonical order; at least one.
    pub fn rdatas(&self) -> &[Vec<u8>] {
        &self.rdatas
    }

    /// Each record's RDATA as in a master file.
    pub fn texts(&self) -> Vec<String> {
        self.rdatas.iter().map(|rdata| text(self.rtype, rdata)).collect()
    }

    /// The set without those records; none, if nothing is left of it. Says what was removed, too.
    pub fn without(&self, removed: &[Vec<u8>]) -> (Option<Rrset>, Vec<Vec<u8>>) {
        let is_removed = |rdata: &Vec<u8>| {
            removed.is_empty()
                || removed.iter().any(|gone| canonical_order(self.rtype, gone, rdata) == Ordering::Equal)
        };
        let (gone, left): (Vec<_>, Vec<_>) = self.rdatas.iter().cloned().partition(is_removed);
        let left = (!left.is_empty()).then(|| Rrset { rdatas: left, ..self.clone() });
        (left, gone)
    }

    /// Whether it may stand in the zone of this apex. Another node may have been configured with another domain.
    pub fn stands_in(&self, domain: &Name) -> Result<(), Unfit> {
        if !self.name.is_at_or_below(domain) {
            return Err(outside(&self.name, domain));
        }
        // RFC 1034 §3.6.2: an alias has no other data, and the apex has its SOA.
        match self.rtype {
            RecordType::CNAME | RecordType::DNAME if self.name == *domain => {
                Err(Unfit(format!("{} cannot stand at the apex {domain}", self.rtype)))
            }
            RecordType::NS if self.name == *domain => {
                Err(Unfit(format!("the NS records of {domain} are the live members themselves")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it may stand beside cluster-wide sets of these other types at its name (RFC 1034 §3.6.2).
    pub fn stands_beside(&self, others: impl IntoIterator<Item = RecordType>) -> Result<(), Unfit> {
        let is_alias = |rtype: RecordType| rtype == RecordType::CNAME;
        let clash = |other: &RecordType| {
            *other != self.rtype
                && (is_alias(self.rtype) || is_alias(*other))
                && !rdata_of_signing(*other)
                && !rdata_of_signing(self.rtype)
        };
        match others.into_iter().find(clash) {
            None => Ok(()),
            Some(other) => Err(Unfit(format!(
                "{} has {other} records: an alias has no other data; `unset` them first",
                self.name
            ))),
        }
    }

    /// The rules that hold wherever it stands.
    fn keep_rules(&self) -> Result<(), Unfit> {
        let rtype = self.rtype;
        if rtype.is_viewed() {
            return Err(Unfit(format!("{rtype} is a type of this server's own, and none of records")));
        }
        if rtype.0 == 0 || rtype.is_meta() {
            return Err(Unfit(format!("{rtype} is a type of questions and messages, not of records")));
        }
        if rtype == RecordType::SOA {
            return Err(Unfit("the SOA record is made by the server".to_owned()));
        }
        if self.ttl > TTL_SECONDS_MAX {
            return Err(Unfit(format!("expected a TTL up to {TTL_SECONDS_MAX} seconds, found {}", self.ttl)));
        }
        // RFC 2181 §10.1, RFC 6672 §2.4.
        let single = matches!(rtype, RecordType::CNAME | RecordType::DNAME);
        match self.rdatas.len() {
            0 => return Err(Unfit(format!("{rtype} needs a record"))),
            2.. if single => return Err(Unfit(format!("a name has one {rtype} record, found more"))),
            _ => {}
        }
        let records: usize = self.rdatas.iter().map(|rdata| RECORD_OCTETS + rdata.len()).sum();
        if records + self.name.as_wire().len() + AROUND_OCTETS > MESSAGE_OCTETS_MAX {
            return Err(Unfit(format!(
                "the records do not fit in one answer: they take {records} octets of {MESSAGE_OCTETS_MAX}"
            )));
        }
        Ok(())
    }
}

impl Removal {
    /// What a user typed, as for [`Rrset::read`].
    pub fn read(name: &str, rtype: Option<&str>, texts: &[String], domain: &Name) -> Result<Removal, Unfit> {
        let name = read_name(name, domain)?.to_lowercase();
        let rtype = rtype.map(read_type).transpose()?;
        let rdatas = match rtype {
            Some(rtype) => read_rdatas(rtype, texts)?,
            None if texts.is_empty() => Vec::new(),
            None => return Err(Unfit("RDATA needs its type before it".to_owned())),
        };
        Ok(Removal { name, rtype, rdatas })
    }
}

/// The key of the set of this type at this name.
pub fn key(name: &Name, rtype: RecordType) -> Vec<u8> {
    let mut octets = name.to_lowercase().as_wire().to_vec();
    octets.extend(rtype.0.to_be_bytes());
    octets
}

/// The name, in lower case, and the type that a key stands for.
pub fn decode_key(key: &[u8]) -> Result<(Name, RecordType), Poison> {
    let (wire, rtype) = key.split_last_chunk::<2>().ok_or(Poison::Key)?;
    let name = Name::from_wire(wire).map_err(|_| Poison::Key)?;
    if name.as_wire().len() != wire.len() || wire.iter().any(u8::is_ascii_uppercase) {
        return Err(Poison::Key);
    }
    Ok((name, RecordType(u16::from_be_bytes(*rtype))))
}

/// RDATA as in a master file.
pub fn text(rtype: RecordType, rdata: &[u8]) -> String {
    let mut text = String::new();
    // Only for octets that are not of the type's form; those are printed as RFC 3597 does.
    if rdata::print(rtype, rdata, &mut text).is_err() {
        text.clear();
        let _ = rdata::print_generic(rdata, &mut text);
    }
    text
}

/// The type of this mnemonic, or of `TYPE123`.
pub fn read_type(text: &str) -> Result<RecordType, Unfit> {
    rdata::record_type(text.as_bytes())
        .ok_or_else(|| Unfit(format!("expected a record type such as A, MX or TYPE65280, found {text:?}")))
}

/// An absolute name in the domain.
fn read_name(text: &str, domain: &Name) -> Result<Name, Unfit> {
    let name = Name::parse(text).map_err(|error| Unfit(format!("{error}: {text:?}")))?;
    if name.is_at_or_below(domain) { Ok(name) } else { Err(outside(&name, domain)) }
}

fn outside(name: &Name, domain: &Name) -> Unfit {
    Unfit(format!("expected an absolute name in {domain}, found {name}"))
}

/// The RDATA of each record, in canonical order, none twice.
fn read_rdatas(rtype: RecordType, texts: &[String]) -> Result<Vec<Vec<u8>>, Unfit> {
    let read = texts.iter().map(|text| {
        rdata::parse(rtype, text.as_bytes(), &Name::ROOT).map_err(|complaint| {
            Unfit(format!("{rtype} {text:?}, column {}: {}", complaint.spot.column, complaint.message))
        })
    });
    let mut rdatas: Vec<Vec<u8>> = read.collect::<Result<_, _>>()?;
    in_order(rtype, &mut rdatas);
    Ok(rdatas)
}

/// Sorts records, and takes out those that are there twice.
fn in_order(rtype: RecordType, rdatas: &mut Vec<Vec<u8>>) {
    // Stable: of those that differ in case alone the first stays.
    rdatas.sort_by(|a, b| canonical_order(rtype, a, b));
    rdatas.dedup_by(|a, b| canonical_order(rtype, a, b) == Ordering::Equal);
}

/// RFC 4034 §6.3: as octets, names in lower case.
fn canonical_order(rtype: RecordType, a: &[u8], b: &[u8]) -> Ordering {
    let canonical = |rdata: &[u8]| {
        let mut octets = rdata.to_vec();
        rdata::canonicalize(rtype, &mut octets);
        octets
    };
    canonical(a).cmp(&canonical(b))
}

/// Types that may stand beside a CNAME: DNSSEC's own (RFC 4035 §2.5).
fn rdata_of_signing(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::RRSIG | RecordType::NSEC | RecordType::KEY | RecordType::SIG | RecordType::NXT
    )
}
