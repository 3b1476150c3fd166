//! What a response of a zone's server says. Only what the server may speak of counts: names at or below the zone it was
//! asked as a server of, and cuts strictly between that zone and the name.
//!
//! ```text
//! answer section   the set                                 an answer
//!                  CNAME or DNAME, leading away            an alias: its target is asked for anew, or elsewhere
//! authority        SOA of the zone, or of one below it     nothing is there
//!                  NS below the zone, above the name       a referral
//!                  NS elsewhere                            lame: it does not serve the zone
//! ```

use crate::resolve::harvest::{covers, substitute};
use crate::resolve::iterate::bounds::{ALIASES_MAX, PROOF_RECORDS_MAX};
use crate::resolve::iterate::cut::{Referral, Wire, is_below, name, wire};
use crate::wire::message::Rcode;
use crate::wire::name::{Name, is_at_or_below};
use crate::wire::reply::Section;
use crate::wire::response::{RecordAt, Response};
use crate::wire::rtype::{Class, RecordType};
use crate::wire::sealed::compressible_names;
use crate::wire::section::Record;

/// What was asked, and of which zone's server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) zone: Wire,
    pub(super) name: Wire,
    pub(super) rtype: RecordType,
    pub(super) dnssec_ok: bool,
}

/// Records that answer a question, or a step of its chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) answer: Vec<Record>,
    pub(super) authority: Vec<Record>,
    /// Seconds for which all of it holds.
    pub(super) ttl: u32,
    /// Aliases among the answer.
    pub(super) aliases: usize,
}

/// What a response says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The set that was asked for, behind a chain of aliases or not.
    Answer(Piece),
    /// Aliases that lead to a name that the response says nothing of.
    Alias(Piece, Wire),
    /// There is no such set, or no such name.
    Nothing(Piece, Rcode),
    /// Others serve the name.
    Referral(Referral),
    /// Aliases lead nowhere: in circles, or to names that are too long.
    Endless,
    /// The server does not want this question.
    Refused,
    /// The server does not serve the zone; how that shows.
    Lame(&'static str),
    /// The server cannot answer, or says nothing that makes sense.
    Fault(&'static str),
    /// The server does not understand the query, and perhaps no EDNS: it sent none.
    NotUnderstood,
}

/// Reads a response that belongs to the question. What it says of a name that is `elsewhere`, to which an alias leads, is
/// not read.
pub(super) fn read(asked: &Asked, response: &Response<'_>, elsewhere: &dyn Fn(&[u8]) -> bool) -> Reading {
    let code = match response.rcode() {
        0 => Rcode::NoError,
        3 => Rcode::NxDomain,
        6 => Rcode::YxDomain,
        // Whoever answers with EDNS knows it (RFC 6891 §7).
        1 | 4 if !response.has_edns() => return Reading::NotUnderstood,
        1 => return Reading::Fault("FORMERR"),
        4 => return Reading::Fault("NOTIMP"),
        16 => return Reading::Fault("BADVERS"),
        2 => return Reading::Fault("SERVFAIL"),
        5 | 9 => return Reading::Refused,
        _ => return Reading::Fault("an unknown code"),
    };
    let mut reader = Reader { asked, response, piece: Piece { ttl: u32::MAX, ..Piece::default() } };
    match reader.chain(elsewhere) {
        End::Set if response.is_authoritative() => {
            reader.proofs(false);
            Reading::Answer(reader.piece)
        }
        End::Set => Reading::Lame("not authoritative"),
        End::Loop => Reading::Endless,
        End::TooLong if code == Rcode::YxDomain => Reading::Nothing(reader.piece, code),
        End::TooLong => Reading::Endless,
        End::At(target) if reader.piece.aliases == 0 => reader.nothing(code, &target),
        End::At(_) | End::Elsewhere(_) if !response.is_authoritative() => Reading::Lame("not authoritative"),
        End::Elsewhere(target) => {
            reader.proofs(false);
            Reading::Alias(reader.piece, target)
        }
        End::At(target) => {
            // What is said of the target counts if it is the zone's own.
            if reader.negative(&target) {
                reader.proofs(true);
                return Reading::Nothing(reader.piece, code);
            }
            reader.proofs(false);
            Reading::Alias(reader.piece, target)
        }
    }
}

enum End {
    Set,
    /// At a name without the set.
    At(Wire),
    /// At an alias of a name that others are asked for.
    Elsewhere(Wire),
    Loop,
    TooLong,
}

struct Reader<'a, 'm> {
    asked: &'a Asked,
    response: &'a Response<'m>,
    piece: Piece,
}

impl<'m> Reader<'_, 'm> {
    /// Takes the chain and the set at its end.
    fn chain(&mut self, elsewhere: &dyn Fn(&[u8]) -> bool) -> End {
        let (zone, rtype) = (&self.asked.zone, self.asked.rtype);
        let mut at = self.asked.name.clone();
        let is_final = rtype == RecordType::CNAME || rtype == RecordType::ANY;
        for _ in 0..=ALIASES_MAX {
            if !is_at_or_below(&at, zone) {
                return End::At(at);
            }
            // Before the set: the alias that a DNAME means is told with it, also to who asks for aliases (RFC 6672 §3.1).
            if let Some(dname) = self.answers().find(|record| {
                let owner = wire(&record.owner());
                record.rtype == RecordType::DNAME && is_below(&at, &owner) && is_at_or_below(&owner, zone)
            }) {
                let (owner, Some(target)) = (dname.owner(), dname.rdata_name()) else { return End::At(at) };
                self.take(&wire(&owner), RecordType::DNAME);
                self.piece.aliases += 1;
                let Some(target) = substitute(&name(&at), &owner, &target) else { return End::TooLong };
                let rdata = target.as_wire().to_vec();
                let alias = Record {
                    name: name(&at),
                    rtype: RecordType::CNAME,
                    class: Class::IN,
                    ttl: dname.ttl,
                    rdata,
                };
                self.piece.answer.push(alias);
                if is_final {
                    return End::Set;
                }
                at = wire(&target);
                if elsewhere(&at) {
                    return End::Elsewhere(at);
                }
                continue;
            }
            if self.take(&at, rtype) {
                return End::Set;
            }
            let alias = self.answers().find(|record| record.rtype == RecordType::CNAME && record.is_of(&at));
            let Some(target) = alias.and_then(|alias| alias.rdata_name()).filter(|_| !is_final) else {
                return End::At(at);
            };
            self.take(&at, RecordType::CNAME);
            self.piece.aliases += 1;
            at = wire(&target);
            if elsewhere(&at) {
                return End::Elsewhere(at);
            }
        }
        End::Loop
    }

    fn answers(&self) -> impl Iterator<Item = RecordAt<'m>> + use<'m> {
        self.response.records(Section::Answer).filter(|record| record.class == Class::IN)
    }

    fn authorities(&self) -> impl Iterator<Item = RecordAt<'m>> + use<'m> {
        self.response.records(Section::Authority).filter(|record| record.class == Class::IN)
    }

    /// Takes the set of that name and type, and its signatures if they are wanted; true if there is one.
    fn take(&mut self, owner: &[u8], rtype: RecordType) -> bool {
        let mut has_any = false;
        for record in self.answers().filter(|record| record.is_of(owner)) {
            // Of what is there, for whoever asks for all, nothing that only messages carry.
            let is_any = rtype == RecordType::ANY && !record.rtype.is_meta();
            let is_asked = record.rtype == rtype || is_any;
            let signs = self.asked.dnssec_ok && covers(&record) == Some(rtype);
            // A DNAME speaks for what is below its owner, a CNAME for one name: there is one of each.
            let is_single = rtype == RecordType::CNAME || rtype == RecordType::DNAME;
            if is_asked && is_single && has_any || !is_asked && !signs {
                continue;
            }
            has_any |= is_asked;
            self.piece.ttl = self.piece.ttl.min(record.ttl);
            self.piece.answer.push(lower(record));
        }
        has_any
    }

    /// What a response says that has no answer.
    fn nothing(mut self, code: Rcode, at: &[u8]) -> Reading {
        let zone = &self.asked.zone;
        if self.response.is_authoritative() && self.negative(at) {
            self.proofs(true);
            return Reading::Nothing(self.piece, code);
        }
        let servers = || self.authorities().filter(|record| record.rtype == RecordType::NS);
        let soa = self.authorities().find(|record| record.rtype == RecordType::SOA).map(|soa| soa.owner());
        let cut = servers()
            .map(|record| wire(&record.owner()))
            .find(|cut| is_below(cut, zone) && is_at_or_below(at, cut));
        if let (Some(cut), None, Rcode::NoError) = (cut, &soa, code) {
            // The zone above a cut owns its DS (RFC 4035 §3.1.4.1): who refers a question for it to below knows no DS.
            if self.asked.rtype == RecordType::DS && *cut == *at {
                return Reading::Fault("a referral for DS");
            }
            let referral = Referral::read(self.response, Section::Authority, &cut, zone);
            let Some(mut referral) = referral else { return Reading::Fault("a referral to nobody") };
            referral.proof = self.protection(&cut);
            return Reading::Referral(referral);
        }
        let is_elsewhere = |owner: &Name| !is_at_or_below(&wire(owner), zone);
        if soa.is_some_and(|owner| is_elsewhere(&owner)) {
            return Reading::Lame("the SOA of another zone");
        }
        if !self.response.is_authoritative() {
            let refers = servers().next().is_some();
            return Reading::Lame(if refers {
                "a referral upwards or sideways"
            } else {
                "not authoritative"
            });
        }
        // An owner who tells no SOA lets nobody keep it (RFC 2308 §5).
        self.piece.ttl = 0;
        Reading::Nothing(self.piece, code)
    }

    /// Takes the SOA that says for how long nothing is there (RFC 2308 §5): of the zone asked, or of one below it that
    /// the server holds too.
    fn negative(&mut self, at: &[u8]) -> bool {
        let soa = self.authorities().find(|record| {
            let owner = wire(&record.owner());
            record.rtype == RecordType::SOA
                && is_at_or_below(at, &owner)
                && is_at_or_below(&owner, &self.asked.zone)
        });
        let Some(soa) = soa else { return false };
        let minimum = soa.rdata().last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
        self.piece.ttl = self.piece.ttl.min(minimum).min(soa.ttl);
        let ttl = soa.ttl.min(minimum);
        self.piece.authority.push(lower(soa.with_ttl(ttl)));
        true
    }

    /// What a referral says of how the zone below is protected: the DS set of the cut, or else what proves that there is
    /// none, for who wants it (RFC 4035 §3.1.4).
    fn protection(&self, cut: &[u8]) -> Vec<Record> {
        let of_type = |record: &RecordAt<'_>| covers(record).unwrap_or(record.rtype);
        let is_ds = |record: &RecordAt<'_>| of_type(record) == RecordType::DS && record.is_of(cut);
        let is_denial = |record: &RecordAt<'_>| {
            matches!(of_type(record), RecordType::NSEC | RecordType::NSEC3)
                && is_at_or_below(&wire(&record.owner()), &self.asked.zone)
        };
        let has_ds = self.authorities().any(|record| is_ds(&record));
        let is_wanted = |record: &RecordAt<'_>| if has_ds { is_ds(record) } else { is_denial(record) };
        let count = self.authorities().filter(is_wanted).count();
        let is_signed =
            self.authorities().any(|record| record.rtype == RecordType::RRSIG && is_wanted(&record));
        // Half of it would prove nothing, and the owner would not be asked.
        match self.asked.dnssec_ok && is_signed && count <= PROOF_RECORDS_MAX {
            true => self.authorities().filter(is_wanted).map(lower).collect(),
            false => Vec::new(),
        }
    }

    /// Takes what proves absence, or that a wildcard stood in, for who wants it.
    fn proofs(&mut self, with_soa: bool) {
        if !self.asked.dnssec_ok {
            return;
        }
        for record in self.authorities() {
            let is_proof = match covers(&record).unwrap_or(record.rtype) {
                // The SOA itself was taken.
                RecordType::SOA => with_soa && record.rtype == RecordType::RRSIG,
                RecordType::NSEC | RecordType::NSEC3 => true,
                _ => false,
            };
            if is_proof && is_at_or_below(&wire(&record.owner()), &self.asked.zone) {
                self.piece.ttl = self.piece.ttl.min(record.ttl);
                self.piece.authority.push(lower(record));
            }
        }
    }
}

/// The record with its names in one case, as far as they may be compressed: then they came in the case of the query,
/// which was drawn by lot. Signatures are made over lower-cased names anyway (RFC 4034 §6.2).
fn lower(record: RecordAt<'_>) -> Record {
    let mut record = Record::from(record);
    let (skip, count) = compressible_names(record.rtype).unwrap_or_default();
    let mut at = skip;
    for _ in 0..count {
        let len = Name::from_wire(record.rdata.get(at..).unwrap_or_default())
            .map_or(0, |name| name.as_wire().len());
        if let Some(octets) = record.rdata.get_mut(at..at + len) {
            octets.make_ascii_lowercase();
        }
        at += len;
    }
    Record { name: record.name.to_lowercase(), ..record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::{Question, Wants};
    use crate::resolve::script_tests::{message, question, text};
    use crate::wire::message::AA;

    /// What a server of `zone` says, as text.
    fn say(zone: &str, asked: &str, code: u8, is_owner: bool, answer: &[&str], authority: &[&str]) -> String {
        let (name, rtype) = question(asked);
        let mut message =
            message(&Question::new(name.as_wire(), 0, rtype, Wants::default()), code, answer, authority);
        message[2] |= if is_owner { (AA >> 8) as u8 } else { 0 };
        let zone = wire(&Name::parse(zone).unwrap());
        let asked = Asked { zone, name: wire(&name), rtype, dnssec_ok: false };
        let list = |records: &[Record]| records.iter().map(text).collect::<Vec<_>>().join("; ");
        match read(&asked, &Response::read(&message).unwrap(), &|_| false) {
            Reading::Answer(piece) => format!("{} for {}", list(&piece.answer), piece.ttl),
            Reading::Alias(piece, to) => format!("{} to {}", list(&piece.answer), super::name(&to)),
            Reading::Nothing(piece, code) => {
                format!("{code} {}{} for {}", list(&piece.answer), list(&piece.authority), piece.ttl)
            }
            Reading::Referral(referral) => {
                format!("referral to {} of {}", super::name(&referral.zone), referral.names.len())
            }
            other => format!("{other:?}"),
        }
    }

    const SOA: &str = "example. 900 SOA ns. admin. 1 2 3 4 300";

    #[test]
    fn an_answer_is_that_of_the_zone_s_owner_only() {
        let answer = ["a.example. 60 A 192.0.2.1", "b.example. 60 A 192.0.2.66"];
        assert_eq!(
            say("example.", "a.example. A", 0, true, &answer, &[]),
            "a.example. 60 A 192.0.2.1 for 60"
        );
        assert_eq!(say("example.", "a.example. A", 0, false, &answer, &[]), "Lame(\"not authoritative\")");
    }

    #[test]
    fn an_alias_is_followed_within_the_zone_and_asked_for_anew_beyond_it() {
        let within = ["a.example. 60 CNAME b.example.", "b.example. 5 A 192.0.2.1"];
        let expected = "a.example. 60 CNAME b.example.; b.example. 5 A 192.0.2.1 for 5";
        assert_eq!(say("example.", "a.example. A", 0, true, &within, &[]), expected);
        let beyond = ["a.example. 60 CNAME b.test.", "b.test. 5 A 192.0.2.66"];
        let expected = "a.example. 60 CNAME b.test. to b.test.";
        assert_eq!(say("example.", "a.example. A", 0, true, &beyond, &[]), expected);
        // Nor does the code count for a name elsewhere.
        assert_eq!(say("example.", "a.example. A", 3, true, &beyond[..1], &[]), expected);
        let dname = ["a.example. 60 DNAME test."];
        let expected = "a.example. 60 DNAME test.; x.a.example. 60 CNAME x.test. to x.test.";
        assert_eq!(say("example.", "x.a.example. A", 0, true, &dname, &[]), expected);
        let both = ["a.example. 60 DNAME test.", "x.a.example. 60 CNAME x.test."];
        let expected = "a.example. 60 DNAME test.; x.a.example. 60 CNAME x.test. for 60";
        assert_eq!(say("example.", "x.a.example. CNAME", 0, true, &both, &[]), expected);
        let endless = ["a.example. 60 CNAME b.example.", "b.example. 60 CNAME a.example."];
        assert_eq!(say("example.", "a.example. A", 0, true, &endless, &[]), "Endless");
    }

    #[test]
    fn absence_is_told_by_the_soa_of_the_zone() {
        let told = "example. 300 SOA ns. admin. 1 2 3 4 300 for 300";
        assert_eq!(say("example.", "a.example. A", 3, true, &[], &[SOA]), format!("NXDOMAIN {told}"));
        assert_eq!(say("example.", "a.example. A", 0, true, &[], &[SOA]), format!("NOERROR {told}"));
        assert_eq!(
            say("b.example.", "a.b.example. A", 3, true, &[], &[SOA]),
            "Lame(\"the SOA of another zone\")"
        );
        assert_eq!(say("example.", "a.example. A", 3, true, &[], &[]), "NXDOMAIN  for 0");
        assert_eq!(say("example.", "a.example. A", 3, false, &[], &[SOA]), "Lame(\"not authoritative\")");
    }

    #[test]
    fn a_referral_leads_down_and_towards_the_name() {
        let refer =
            |ns: &str| say("example.", "x.a.example. A", 0, false, &[], &[&format!("{ns} 60 NS ns.test.")]);
        assert_eq!(refer("a.example."), "referral to a.example. of 1");
        assert_eq!(refer("x.a.example."), "referral to x.a.example. of 1");
        for wrong in ["example.", ".", "b.example.", "y.x.a.example."] {
            assert_eq!(refer(wrong), "Lame(\"a referral upwards or sideways\")", "{wrong}");
        }
        let ds = say("example.", "a.example. DS", 0, false, &[], &["a.example. 60 NS ns.test."]);
        assert_eq!(ds, "Fault(\"a referral for DS\")");
    }

    #[test]
    fn a_referral_tells_how_the_zone_below_is_protected_and_nothing_else() {
        const DS: &str =
            "a.example. 60 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000";
        let proof = |more: &[&str]| {
            let zone = Name::parse("x.a.example.").unwrap();
            let asked = Asked {
                zone: wire(&Name::parse("example.").unwrap()),
                name: wire(&zone),
                rtype: RecordType::A,
                dnssec_ok: true,
            };
            let authority = [&["a.example. 60 NS ns.test."], more].concat();
            let message =
                message(&Question::new(&asked.name, 0, asked.rtype, Wants::default()), 0, &[], &authority);
            match read(&asked, &Response::read(&message).unwrap(), &|_| false) {
                Reading::Referral(referral) => referral.proof.iter().map(text).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        let signature = |rtype: &str| {
            format!("a.example. 60 RRSIG {rtype} 13 2 60 20300101000000 20200101000000 1 example. AAAA")
        };
        let (nsec, other) = ("a.example. 60 NSEC b.example. NS", DS.replace("a.", "b."));
        let (of_ds, of_nsec) = (&*signature("DS"), &*signature("NSEC"));
        assert_eq!(proof(&[DS, of_ds, nsec, of_nsec, &other]), [DS, of_ds]);
        assert_eq!(proof(&[nsec, of_nsec, "a.test. 60 NSEC b.test. NS"]), [nsec, of_nsec]);
        // What nobody signed proves nothing.
        assert!(proof(&[&other, of_nsec.replace("a.e", "a.t").as_str()]).is_empty());
        assert!(proof(&[DS]).is_empty() && proof(&[DS, of_nsec]).is_empty());
        // More than anybody has would be cut somewhere.
        let many = (1..=PROOF_RECORDS_MAX).map(|number| DS.replace("DS 1 ", &format!("DS {number} ")));
        let many: Vec<String> = many.chain([of_ds.to_owned()]).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(proof(&many).is_empty());
        assert_eq!(proof(&many[1..]).len(), PROOF_RECORDS_MAX);
    }

    #[test]
    fn edns_is_in_the_way_of_nobody_who_answers_with_it() {
        let (name, rtype) = question("a.example. CAA");
        let asked = Asked { zone: wire(&Name::ROOT), name: wire(&name), rtype, dnssec_ok: false };
        let read_with = |code: u8, opt: &[u8]| {
            let mut message =
                message(&Question::new(name.as_wire(), 0, rtype, Wants::default()), code, &[], &[]);
            message[11] = u8::from(!opt.is_empty());
            message.extend(opt);
            format!("{:?}", read(&asked, &Response::read(&message).unwrap(), &|_| false))
        };
        for (code, told) in [(1, "Fault(\"FORMERR\")"), (4, "Fault(\"NOTIMP\")")] {
            assert_eq!(read_with(code, b""), "NotUnderstood");
            assert_eq!(read_with(code, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"), told);
        }
        assert_eq!(read_with(0, b"\0\0\x29\x04\xd0\x01\0\0\0\0\0"), "Fault(\"BADVERS\")");
    }

    #[test]
    fn what_only_messages_carry_is_left_also_for_who_asks_for_all() {
        let name: Wire = (*b"\x01a\x04test\0").into();
        let zone: Wire = (*b"\x04test\0").into();
        let mut message = b"\x12\x34\x84\0\0\x01\0\x02\0\0\0\0".to_vec();
        message.extend(&*name);
        message.extend(b"\0\xff\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        // An OPT record among the answers.
        message.extend(b"\xc0\x0c\0\x29\0\x01\0\0\0\x3c\0\0");
        let response = Response::read(&message).unwrap();
        let asked = Asked { zone, name, rtype: RecordType::ANY, dnssec_ok: false };
        let Reading::Answer(piece) = read(&asked, &response, &|_| false) else { panic!("an answer") };
        let types: Vec<RecordType> = piece.answer.iter().map(|record| record.rtype).collect();
        assert_eq!(types, [RecordType::A]);
    }
}
