//! What a response of a forwarder says to a question: the chain of aliases from the name asked for, the set that it
//! leads to, or that there is none. All else in the message is left behind.
//!
//! ```text
//! name asked for ─► CNAME, or DNAME and CNAME ─► ... ─► the set                       an answer
//!                                                  └──► nothing, and an SOA above it  a negative answer
//!                                                  ├──► nothing at all                a negative answer nobody may keep
//!                                                  └──► a name that is too long       YXDOMAIN, and the DNAME
//! ```

use crate::base::limits::{CHAIN_STEPS_MAX, NAME_OCTETS_MAX};
use crate::resolve::question::Question;
use crate::resolve::writer::{Full, Writer, Written};
use crate::wire::message::Rcode;
use crate::wire::name::{Name, is_at_or_below};
use crate::wire::reply::Section;
use crate::wire::response::{RecordAt, Response};
use crate::wire::rtype::{Class, RecordType};

/// Octets of an RRSIG before its signer's name: the type that it covers stands first (RFC 4034 §3.1).
const TYPE_COVERED_OCTETS: usize = 2;

/// Bounds on how long what was found is kept, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// An answer.
    pub ttl_max: u32,
    /// A negative answer.
    pub negative_ttl_max: u32,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harvest {
    /// NOERROR, NXDOMAIN or YXDOMAIN; whatever came with a set that is there, NOERROR, as with BIND.
    pub rcode: Rcode,
    /// Seconds it may be kept; 0: it is told and forgotten (RFC 2308 §5, RFC 1035 §3.2.1).
    pub ttl: u32,
}

/// Writes into `writer` what the response says to the question, TTLs within the caps. `None` if it says nothing to
/// it: another code, a referral, a message too large once it is written anew. `scratch` is used for RDATA.
pub fn harvest(
    question: &Question<'_>,
    response: &Response<'_>,
    caps: Caps,
    writer: &mut Writer,
    scratch: &mut Vec<u8>,
) -> Option<Harvest> {
    let rcode = match response.rcode() {
        0 => Rcode::NoError,
        3 => Rcode::NxDomain,
        6 => Rcode::YxDomain,
        _ => return None,
    };
    writer.begin(question.name);
    let mut reaper = Reaper { question, response, caps, writer, scratch, ttl: caps.ttl_max };
    let rcode = match reaper.chain().ok()? {
        End::Set => {
            // That a wildcard stood in for the name has its proof there.
            reaper.proofs(false).ok()?;
            Rcode::NoError
        }
        End::TooLong => Rcode::YxDomain,
        End::Nothing(name) => {
            let is_alias = name.as_wire() != question.name;
            match reaper.negative(&name).ok()? {
                true => {}
                // Name servers and no SOA: a referral, and no forwarder's answer (RFC 2308 §2.2).
                false if !is_alias && reaper.refers() => return None,
                false => reaper.limit_unvouched(rcode, is_alias),
            }
            rcode
        }
        End::Loop => {
            reaper.limit_unvouched(rcode, true);
            rcode
        }
    };
    Some(Harvest { rcode, ttl: reaper.ttl })
}

/// Where a chain ends.
enum End {
    /// At the set asked for.
    Set,
    /// At this name, which has no such set.
    Nothing(Box<Name>),
    /// At an alias for a name that is too long (RFC 6672 §2.2).
    TooLong,
    /// Nowhere.
    Loop,
}

/// Where a DNAME leads.
enum Dname {
    /// There is none.
    No,
    /// To this name.
    To(Box<Name>),
    /// To one that is too long.
    TooLong,
}

struct Reaper<'a, 'm> {
    question: &'a Question<'a>,
    response: &'a Response<'m>,
    caps: Caps,
    writer: &'a mut Writer,
    scratch: &'a mut Vec<u8>,
    ttl: u32,
}

impl<'m> Reaper<'_, 'm> {
    /// Writes the chain and the set at its end.
    fn chain(&mut self) -> Result<End, Full> {
        let Ok(mut name) = Name::from_wire(self.question.name) else { return Ok(End::Loop) };
        for _ in 0..=CHAIN_STEPS_MAX {
            let rtype = self.question.rtype;
            // Before the set: the alias that a DNAME means is told with it, also to who asks for aliases (RFC 6672 §3.1).
            match self.dname(&name)? {
                Dname::To(_) if rtype == RecordType::CNAME || rtype == RecordType::ANY => {
                    return Ok(End::Set);
                }
                Dname::To(target) => {
                    name = *target;
                    continue;
                }
                Dname::TooLong => return Ok(End::TooLong),
                Dname::No => {}
            }
            if self.put_set(&name, rtype)? > 0 {
                return Ok(End::Set);
            }
            let Some(alias) = self.answers().find(|record| {
                record.rtype == RecordType::CNAME && record.class == Class::IN && record.is_of(name.as_wire())
            }) else {
                return Ok(End::Nothing(Box::new(name)));
            };
            let Some(target) = alias.rdata_name() else { return Ok(End::Nothing(Box::new(name))) };
            self.put_set(&name, RecordType::CNAME)?;
            name = target;
        }
        Ok(End::Loop)
    }

    fn answers(&self) -> impl Iterator<Item = RecordAt<'m>> + use<'m> {
        self.response.records(Section::Answer)
    }

    /// Writes the records of that name and type from the answer section, and their signatures; how many there are.
    fn put_set(&mut self, name: &Name, rtype: RecordType) -> Result<usize, Full> {
        let mut found = 0;
        for record in self.answers() {
            // What only messages carry is nobody's data: an OPT record would stand beside our own.
            if record.class != Class::IN || record.rtype.is_meta() || !record.is_of(name.as_wire()) {
                continue;
            }
            let is_asked = record.rtype == rtype || rtype == RecordType::ANY;
            let signs = self.question.wants.dnssec_ok && covers(&record) == Some(rtype);
            if is_asked || signs {
                self.put(&record)?;
                found += usize::from(is_asked);
            }
        }
        Ok(found)
    }

    /// Writes the DNAME above a name, its signatures, and the alias that it means (RFC 6672 §3.1); where that leads.
    fn dname(&mut self, name: &Name) -> Result<Dname, Full> {
        let dname = self.answers().find(|record| {
            record.rtype == RecordType::DNAME && record.class == Class::IN && is_below(name, &record.owner())
        });
        let Some((dname, target)) = dname.and_then(|dname| Some((dname, dname.rdata_name()?))) else {
            return Ok(Dname::No);
        };
        let owner = dname.owner();
        self.put_set(&owner, RecordType::DNAME)?;
        let Some(target) = substitute(name, &owner, &target) else { return Ok(Dname::TooLong) };
        let ttl = dname.ttl.min(self.caps.ttl_max);
        let alias = Written { owner: name.as_wire(), rtype: RecordType::CNAME, ttl, rdata: target.as_wire() };
        self.writer.put(&alias)?;
        Ok(Dname::To(Box::new(target)))
    }

    /// Nobody may keep absence that has no SOA (RFC 2308 §5); of an alias without its target the alias itself may be, for
    /// as long as absence.
    fn limit_unvouched(&mut self, rcode: Rcode, is_alias: bool) {
        let keeps = is_alias && rcode == Rcode::NoError;
        self.ttl = self.ttl.min(if keeps { self.caps.negative_ttl_max } else { 0 });
    }

    /// Writes the SOA that says for how long nothing is there (RFC 2308 §5), and the proofs; false if there is none.
    fn negative(&mut self, name: &Name) -> Result<bool, Full> {
        let soa = self.response.records(Section::Authority).find(|record| {
            record.rtype == RecordType::SOA
                && record.class == Class::IN
                && name.is_at_or_below(&record.owner())
        });
        let Some(soa) = soa else { return Ok(false) };
        let minimum = soa.rdata().last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
        self.ttl = self.ttl.min(minimum).min(self.caps.negative_ttl_max);
        self.proofs(true)?;
        Ok(true)
    }

    /// True if the authority section names servers of another zone.
    fn refers(&self) -> bool {
        self.response.records(Section::Authority).any(|record| record.rtype == RecordType::NS)
    }

    /// Writes what the authority section proves: the SOA of absence, and to whoever wants it NSEC and NSEC3, signed.
    fn proofs(&mut self, with_soa: bool) -> Result<(), Full> {
        self.writer.section(Section::Authority);
        let (dnssec_ok, cap) = (self.question.wants.dnssec_ok, self.ttl);
        for record in self.response.records(Section::Authority).filter(|record| record.class == Class::IN) {
            let covered = covers(&record);
            let is_wanted = match covered.unwrap_or(record.rtype) {
                RecordType::SOA => with_soa && (dnssec_ok || covered.is_none()),
                RecordType::NSEC | RecordType::NSEC3 => dnssec_ok,
                _ => false,
            };
            if is_wanted {
                let ttl = if with_soa { record.ttl.min(cap) } else { record.ttl };
                self.put(&record.with_ttl(ttl))?;
            }
        }
        Ok(())
    }

    fn put(&mut self, record: &RecordAt<'_>) -> Result<(), Full> {
        self.scratch.clear();
        record.write_rdata(self.scratch);
        let ttl = record.ttl.min(self.caps.ttl_max);
        self.ttl = self.ttl.min(ttl);
        let owner = record.owner();
        self.writer.put(&Written { owner: owner.as_wire(), rtype: record.rtype, ttl, rdata: self.scratch })
    }
}

/// The type that a signature covers.
pub(crate) fn covers(record: &RecordAt<'_>) -> Option<RecordType> {
    let octets = record.rdata().first_chunk::<TYPE_COVERED_OCTETS>()?;
    (record.rtype == RecordType::RRSIG).then(|| RecordType(u16::from_be_bytes(*octets)))
}

fn is_below(name: &Name, ancestor: &Name) -> bool {
    name.as_wire().len() > ancestor.as_wire().len() && is_at_or_below(name.as_wire(), ancestor.as_wire())
}

/// The name with its suffix `owner` replaced by `target` (RFC 6672 §2.2); `None` if that is too long.
pub(crate) fn substitute(name: &Name, owner: &Name, target: &Name) -> Option<Name> {
    let (name, target) = (name.as_wire(), target.as_wire());
    let prefix = name.get(..name.len().checked_sub(owner.as_wire().len())?)?;
    let mut octets = [0; NAME_OCTETS_MAX];
    octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
    octets.get_mut(prefix.len()..prefix.len() + target.len())?.copy_from_slice(target);
    Name::from_wire(&octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::Wants;
    use crate::resolve::script_tests::{message, question, show};

    const CAPS: Caps = Caps { ttl_max: 86_400, negative_ttl_max: 3_600 };
    const SOA: &str = "example. 900 SOA ns.example. admin.example. 1 2 3 4 300";

    /// What is harvested: the code, the seconds, and the records; for an asker who wants DNSSEC or not.
    fn reap(asked: &str, dnssec_ok: bool, rcode: u8, answer: &[&str], authority: &[&str]) -> String {
        let (name, rtype) = question(asked);
        let wants = Wants { dnssec_ok, ..Wants::default() };
        let question = Question::new(name.as_wire(), 0, rtype, wants);
        let message = message(&question, rcode, answer, authority);
        let response = Response::read(&message).unwrap();
        let mut writer = Writer::default();
        match harvest(&question, &response, CAPS, &mut writer, &mut Vec::new()) {
            None => "nothing".to_owned(),
            Some(Harvest { rcode, ttl }) => {
                let records = show(question.name, &writer.body(rcode, false, None));
                [vec![format!("{rcode} {ttl}")], records].concat().join("; ")
            }
        }
    }

    #[test]
    fn a_set_is_taken_and_what_nobody_asked_for_is_left() {
        let answer = ["a.example. 60 A 192.0.2.1", "b.example. 5 A 192.0.2.66", "a.example. 50 A 192.0.2.2"];
        let expected = "NOERROR 50; a.example. 60 A 192.0.2.1; a.example. 50 A 192.0.2.2";
        assert_eq!(reap("a.example. A", false, 0, &answer, &["example. 60 NS evil.test."]), expected);
    }

    #[test]
    fn a_chain_is_followed_whatever_the_order_of_its_records() {
        let answer = [
            "c.test. 30 A 192.0.2.1",
            "b.example. 20 CNAME c.test.",
            "a.example. 60 CNAME b.example.",
            "x.test. 1 A 192.0.2.66",
        ];
        let expected =
            "NOERROR 20; a.example. 60 CNAME b.example.; b.example. 20 CNAME c.test.; c.test. 30 A 192.0.2.1";
        assert_eq!(reap("a.example. A", false, 0, &answer, &[]), expected);
        // A question for the alias itself ends there.
        assert_eq!(
            reap("a.example. CNAME", false, 0, &answer, &[]),
            "NOERROR 60; a.example. 60 CNAME b.example."
        );
    }

    #[test]
    fn a_dname_is_told_with_the_alias_that_it_means() {
        let answer = [
            "example. 60 DNAME test.",
            "a.example. 0 CNAME evil.test.",
            "a.test. 30 A 192.0.2.1",
            "evil.test. 30 A 192.0.2.66",
        ];
        let expected =
            "NOERROR 30; example. 60 DNAME test.; a.example. 60 CNAME a.test.; a.test. 30 A 192.0.2.1";
        assert_eq!(reap("a.example. A", false, 0, &answer, &[]), expected);
        // Who asks for the alias gets what it was made of, too: that alone is signed.
        let expected = "NOERROR 60; example. 60 DNAME test.; a.example. 60 CNAME a.test.";
        assert_eq!(reap("a.example. CNAME", false, 0, &answer, &[]), expected);
    }

    #[test]
    fn what_only_messages_carry_is_left_also_for_who_asks_for_all() {
        let (name, _) = question("a.example. A");
        for rtype in [RecordType::ANY, RecordType::OPT] {
            let question = Question::new(name.as_wire(), 0, rtype, Wants::default());
            let mut message = message(&question, 0, &["a.example. 60 A 192.0.2.1"], &[]);
            let mut other = b"\xc0\x0c\0\x29\0\x01\0\0\0\x3c\0\0".to_vec();
            message.append(&mut other);
            message[7] += 1;
            let response = Response::read(&message).unwrap();
            let mut writer = Writer::default();
            harvest(&question, &response, CAPS, &mut writer, &mut Vec::new()).unwrap();
            let count = writer.body(Rcode::NoError, false, None).counts[0];
            assert_eq!(count, u16::from(rtype == RecordType::ANY), "{rtype}");
        }
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let answer = ["a.example. 60 CNAME b.example.", "b.example. 60 CNAME a.example."];
        assert!(reap("a.example. A", false, 0, &answer, &[]).starts_with("NOERROR 60; a.example. 60 CNAME"));
    }

    #[test]
    fn absence_lasts_as_long_as_the_soa_says() {
        let told = "example. 300 SOA ns.example. admin.example. 1 2 3 4 300";
        assert_eq!(reap("a.example. A", false, 3, &[], &[SOA]), format!("NXDOMAIN 300; {told}"));
        assert_eq!(reap("a.example. A", false, 0, &[], &[SOA]), format!("NOERROR 300; {told}"));
        // An SOA that is not above the name says nothing of it.
        assert_eq!(reap("a.test. A", false, 3, &[], &[SOA]), "NXDOMAIN 0");
        let alias = "b.test. 60 CNAME a.example.";
        assert_eq!(
            reap("b.test. A", false, 3, &[alias], &[SOA]),
            format!("NXDOMAIN 60; {alias}; {}", told.replace("300 SOA", "60 SOA"))
        );
    }

    #[test]
    fn absence_without_an_soa_is_told_and_forgotten_but_a_referral_is_no_answer() {
        assert_eq!(reap("a.example. A", false, 0, &[], &[]), "NOERROR 0");
        assert_eq!(reap("a.example. A", false, 3, &[], &[]), "NXDOMAIN 0");
        assert_eq!(reap("a.example. A", false, 0, &[], &["example. 60 NS ns.example."]), "nothing");
        let alias = "a.example. 60 CNAME b.example.";
        assert_eq!(reap("a.example. A", false, 0, &[alias], &[]), format!("NOERROR 60; {alias}"));
        assert_eq!(reap("a.example. A", false, 2, &[alias], &[]), "nothing");
    }

    #[test]
    fn without_an_soa_absence_is_kept_by_nobody_whatever_else_the_answer_section_has() {
        let other = "a.example. 86400 A 192.0.2.1";
        assert_eq!(reap("a.example. AAAA", false, 0, &[other], &[]), "NOERROR 0");
        assert_eq!(reap("a.example. AAAA", false, 0, &[other], &["example. 60 NS ns.example."]), "nothing");
        let alias = "a.example. 86400 CNAME b.example.";
        assert_eq!(reap("a.example. A", false, 3, &[alias], &[]), format!("NXDOMAIN 0; {alias}"));
        let beside = "c.example. 60 A 192.0.2.1";
        assert_eq!(reap("a.example. A", false, 3, &[alias, beside], &[]), format!("NXDOMAIN 0; {alias}"));
        // That its target has nothing, nobody vouches for: no longer than for absence.
        assert_eq!(reap("a.example. A", false, 0, &[alias], &[]), format!("NOERROR 3600; {alias}"));
        let back = "b.example. 60 CNAME a.example.";
        assert!(reap("a.example. A", false, 3, &[alias, back], &[]).starts_with("NXDOMAIN 0; a.example."));
    }

    #[test]
    fn a_set_that_is_there_is_no_absence_whatever_code_comes_with_it() {
        let a = "a.example. 60 A 192.0.2.1";
        for rcode in [0, 3, 6] {
            assert_eq!(reap("a.example. A", false, rcode, &[a], &[SOA]), format!("NOERROR 60; {a}"));
        }
        assert_eq!(reap("a.example. A", false, 2, &[a], &[]), "nothing");
    }

    #[test]
    fn a_name_that_a_dname_would_make_too_long_is_told_with_that_dname() {
        let label = "x".repeat(63);
        let dname = format!("example. 300 DNAME {label}.{label}.{label}.test.");
        for rcode in [6, 0] {
            let told = reap(&format!("{label}.example. A"), false, rcode, &[&dname], &[]);
            assert_eq!(told, format!("YXDOMAIN 300; {dname}"));
        }
    }

    #[test]
    fn signatures_and_proofs_are_for_those_who_want_them() {
        let signature = |owner: &str, covered: &str| {
            format!("{owner} 60 RRSIG {covered} 13 2 60 20300101000000 20200101000000 1 example. AAAA")
        };
        let (a, soa, nsec) = ("a.example. 60 A 192.0.2.1", SOA, "example. 60 NSEC b.example. A");
        let (a_signed, soa_signed, nsec_signed) =
            (signature("a.example.", "A"), signature("example.", "SOA"), signature("example.", "NSEC"));
        let answer = [a, &a_signed];
        let authority = [nsec, &nsec_signed, "example. 60 NS ns.example."];
        assert_eq!(reap("a.example. A", false, 0, &answer, &authority), format!("NOERROR 60; {a}"));
        let expected = format!("NOERROR 60; {a}; {a_signed}; {nsec}; {nsec_signed}");
        assert_eq!(reap("a.example. A", true, 0, &answer, &authority), expected);
        let authority = [soa, &soa_signed, nsec, &nsec_signed];
        let told = soa.replace(" 900 ", " 300 ");
        assert_eq!(reap("b.example. A", false, 3, &[], &authority), format!("NXDOMAIN 300; {told}"));
        let expected = format!("NXDOMAIN 60; {told}; {soa_signed}; {nsec}; {nsec_signed}");
        assert_eq!(reap("b.example. A", true, 3, &[], &authority), expected);
        assert_eq!(reap("a.example. RRSIG", false, 0, &[&a_signed], &[]), format!("NOERROR 60; {a_signed}"));
    }

    #[test]
    fn nothing_is_kept_for_longer_than_the_caps() {
        assert_eq!(
            reap("a. A", false, 0, &["a. 999999 A 192.0.2.1"], &[]),
            "NOERROR 86400; a. 86400 A 192.0.2.1"
        );
        let soa = "a. 99999 SOA a. a. 1 2 3 4 99999";
        assert_eq!(reap("b.a. A", false, 3, &[], &[soa]), "NXDOMAIN 3600; a. 3600 SOA a. a. 1 2 3 4 99999");
    }
}
