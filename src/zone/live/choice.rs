//! Which of the records that sources say at one name are served, in which order, and for how long.
//!
//! - A set is the union of what all sources say, equal records once (RFC 2181 §5), in one order on every node:
//!   those that some source with good standing says come first, then those of lost sources, each by RDATA.
//! - Its TTL is the least of its records' (RFC 2181 §5.2).
//! - What the cluster says of a name and type overrules what is discovered there.
//! - A CNAME of the cluster hides everything else at its name. A discovered CNAME yields to everything else. Of
//!   several CNAMEs, as of several DNAMEs, one is served: the first in the order above.
//! - At the apex no CNAME is served: SOA and NS stand there (RFC 1034 §3.6.2).

use crate::base::time::Moment;
use crate::wire::rtype::RecordType;
use crate::zone::live::ledger::{Said, SourceNumber};
use crate::zone::live::writer::Sources;
use crate::zone::rdata::canonicalize;
use crate::zone::seal::beside_cname;
use std::borrow::Cow;

/// What becomes of a record because of who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is served.
    Served {
        /// It comes after those of sources that are not lost.
        lost: bool,
        /// The most that its TTL may be, in seconds.
        ttl_max: u32,
        /// Its TTL runs out then; [`Moment::NEVER`] if nothing ends it.
        until: Moment,
    },
    /// It is kept, but not served.
    Unserved,
    /// It is forgotten.
    Forgotten,
}

impl Standing {
    /// Served without condition.
    pub const FULL: Standing = Standing::Served { lost: false, ttl_max: u32::MAX, until: Moment::NEVER };
}

/// A record that is served.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// Which of what is said.
    pub(crate) said: usize,
    /// It comes last.
    pub(crate) lost: bool,
    ttl: u32,
    ttl_max: u32,
    until: Moment,
}

/// What is served at a name: sets by rising type.
#[derive(Default)]
pub(crate) struct Choices {
    /// In the order in which they are sealed.
    pub(crate) records: Vec<Choice>,
}

/// The sum over one set.
pub(crate) struct Terms {
    pub(crate) ttl: u32,
    pub(crate) until: Moment,
}

impl Choices {
    /// Chooses anew from what is said.
    pub(crate) fn choose(&mut self, said: &[Said], is_apex: bool, standings: &mut dyn Sources) {
        self.records.clear();
        for (i, record) in said.iter().enumerate() {
            if let Standing::Served { lost, ttl_max, until } = standings.standing(record.source, record.ttl) {
                self.records.push(Choice { said: i, lost, ttl: record.ttl, ttl_max, until });
            }
        }
        if is_apex {
            self.records.retain(|choice| said[choice.said].rtype != RecordType::CNAME);
        }
        self.overrule(said);
        if self.records.len() > 1 {
            self.unite(said);
        }
    }

    /// What the cluster says overrules what is discovered; aliases and other data exclude each other.
    fn overrule(&mut self, said: &[Said]) {
        let of_cluster = |choice: &Choice| said[choice.said].source == SourceNumber::CLUSTER;
        if self.records.iter().any(of_cluster) {
            let mut fixed: Vec<RecordType> = Vec::new();
            let types = self.records.iter().filter(|choice| of_cluster(choice));
            fixed.extend(types.map(|choice| said[choice.said].rtype));
            if fixed.contains(&RecordType::CNAME) {
                self.records.retain(|choice| beside_cname(said[choice.said].rtype));
            }
            self.records.retain(|choice| of_cluster(choice) || !fixed.contains(&said[choice.said].rtype));
            if fixed.contains(&RecordType::CNAME) {
                return;
            }
        }
        let is_cname = |choice: &Choice| said[choice.said].rtype == RecordType::CNAME;
        if self.records.iter().any(is_cname)
            && self.records.iter().any(|choice| !beside_cname(said[choice.said].rtype))
        {
            self.records.retain(|choice| !is_cname(choice));
        }
    }

    /// Orders by type, unites equal records, and orders those of each type.
    fn unite(&mut self, said: &[Said]) {
        let keys: Vec<Cow<'_, [u8]>> = said.iter().map(canonical).collect();
        self.records.sort_by(|a, b| {
            let key = |choice: &Choice| (said[choice.said].rtype, &keys[choice.said]);
            // Among equals the one that stands for all is the same in every run.
            key(a).cmp(&key(b)).then(said[a.said].source.cmp(&said[b.said].source))
        });
        self.records.dedup_by(|other, kept| {
            let (a, b) = (&said[kept.said], &said[other.said]);
            let equal = a.rtype == b.rtype && keys[kept.said] == keys[other.said];
            if equal {
                kept.lost &= other.lost;
                kept.ttl = kept.ttl.min(other.ttl);
                kept.ttl_max = kept.ttl_max.max(other.ttl_max);
                kept.until = kept.until.max(other.until);
            }
            equal
        });
        self.records.sort_by(|a, b| {
            let key = |choice: &Choice| (said[choice.said].rtype, choice.lost, &keys[choice.said]);
            key(a).cmp(&key(b))
        });
        self.records.dedup_by(|other, kept| {
            let rtype = said[kept.said].rtype;
            rtype == said[other.said].rtype && matches!(rtype, RecordType::CNAME | RecordType::DNAME)
        });
    }
}

/// TTL and end of a set.
pub(crate) fn terms(set: &[Choice]) -> Terms {
    set.iter().fold(Terms { ttl: u32::MAX, until: Moment::NEVER }, |terms, choice| Terms {
        ttl: terms.ttl.min(choice.ttl).min(choice.ttl_max),
        until: terms.until.min(choice.until),
    })
}

/// RDATA as it compares: the letters of its names lowered (RFC 4034 §6.2).
pub(crate) fn canonical(said: &Said) -> Cow<'_, [u8]> {
    if !said.rdata.iter().any(u8::is_ascii_uppercase) {
        return Cow::Borrowed(&said.rdata);
    }
    let mut rdata = said.rdata.to_vec();
    canonicalize(said.rtype, &mut rdata);
    Cow::Owned(rdata)
}
