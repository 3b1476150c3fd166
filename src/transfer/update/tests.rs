//! Each rule of RFC 2136 §3, by what it says and what it leaves of a zone.

use super::*;
use crate::transfer::update::rights::Rights;
use crate::wire::key::HashSeed;
use crate::wire::message::Rcode;
use crate::wire::rtype::Class;
use crate::zone::Zone;
use crate::zone::amend::Amendment;
use crate::zone::draft::ZoneDraft;
use crate::zone::fault::Faults;
use crate::zone::master::{self, Disk, Options};
use crate::zone::plain;
use crate::zone::rdata;
use crate::zone::seal::seal;
use std::path::Path;

mod ledger;
mod properties;

const SEED: [u8; 16] = [7; 16];
const ZONE: &str = "$TTL 60
@ SOA ns host 10 2 3 4 5
@ NS ns
@ NS ns2
@ MX 10 Mail
ns A 192.0.2.1
ns2 A 192.0.2.2
a A 192.0.2.3
a A 192.0.2.4
a TXT \"x\"
alias CNAME a
only MX 10 ns
b.ent TXT \"below\"
sub NS ns.sub
dn DNAME elsewhere.test.
Mixed TXT \"y\"
";

fn name(text: &str) -> Name {
    let origin = Name::parse("z.").unwrap();
    if text == "@" { origin } else { Name::parse_relative(text.as_bytes(), &origin).unwrap() }
}

fn zone_of(text: &str) -> Zone {
    let origin = Name::parse("z.").unwrap();
    let (mut draft, mut faults) = (ZoneDraft::new(&origin, HashSeed::new(SEED)), Faults::default());
    let options = Options { origin: &origin, ttl: None };
    let file: Arc<Path> = Arc::from(Path::new("z"));
    master::read(Box::new(text.as_bytes()), file, options, &Disk, &mut draft, &mut faults);
    let (zone, sealing) = seal(draft);
    faults.absorb(sealing);
    assert_eq!(faults.errors(), 0, "{faults:?}");
    zone.unwrap()
}

/// A record of a message; RDATA in text, or nothing.
fn record(owner: &str, class: Class, rtype: &str, ttl: u32, text: Option<&str>) -> Vec<u8> {
    let rtype: RecordType = rtype.parse().unwrap();
    let rdata = text.map(|text| rdata::parse(rtype, text.as_bytes(), &Name::parse("z.").unwrap()).unwrap());
    raw(name(owner).as_wire(), class, rtype, ttl, &rdata.unwrap_or_default())
}

fn raw(owner: &[u8], class: Class, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut octets = owner.to_vec();
    octets.extend(rtype.0.to_be_bytes());
    octets.extend(class.0.to_be_bytes());
    octets.extend(ttl.to_be_bytes());
    octets.extend((rdata.len() as u16).to_be_bytes());
    octets.extend(rdata);
    octets
}

/// A message with these prerequisites and instructions.
fn message(prerequisites: &[Vec<u8>], instructions: &[Vec<u8>]) -> Vec<u8> {
    let mut message = vec![0, 1, 5 << 3, 0, 0, 1];
    message.extend((prerequisites.len() as u16).to_be_bytes());
    message.extend((instructions.len() as u16).to_be_bytes());
    message.extend([0, 0]);
    message.extend(b"\x01Z\0\0\x06\0\x01");
    prerequisites.iter().chain(instructions).for_each(|record| message.extend(record));
    message
}

/// The message of some lines, as `nsupdate` takes them; `!` begins a record as it stands in a message:
/// `! SECTION NAME CLASS TYPE TTL [RDATA]`.
fn lines(text: &str) -> Vec<u8> {
    let (mut prerequisites, mut instructions) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.splitn(5, ' ');
        let mut next = || words.next();
        match next().unwrap() {
            "prereq" => {
                let (what, owner, rtype, text) = (next().unwrap(), next().unwrap(), next(), next());
                let class = match (what, text) {
                    (_, Some(_)) => Class::IN,
                    ("yxdomain" | "yxrrset", None) => Class::ANY,
                    _ => Class::NONE,
                };
                prerequisites.push(record(owner, class, rtype.unwrap_or("ANY"), 0, text));
            }
            "add" => {
                let (owner, ttl) = (next().unwrap(), next().unwrap().parse().unwrap());
                instructions.push(record(owner, Class::IN, next().unwrap(), ttl, next()));
            }
            "delete" => {
                let (owner, rtype) = (next().unwrap(), next());
                let text = line.splitn(4, ' ').nth(3);
                let class = if text.is_some() { Class::NONE } else { Class::ANY };
                instructions.push(record(owner, class, rtype.unwrap_or("ANY"), 0, text));
            }
            "!" => {
                let words: Vec<&str> = line.splitn(7, ' ').collect();
                let class = match words[3] {
                    "IN" => Class::IN,
                    "ANY" => Class::ANY,
                    "NONE" => Class::NONE,
                    _ => Class::HS,
                };
                let ttl = words[5].parse().unwrap();
                let record = record(words[2], class, words[4], ttl, words.get(6).copied());
                match words[1] {
                    "prereq" => prerequisites.push(record),
                    _ => instructions.push(record),
                }
            }
            other => panic!("{other}"),
        }
    }
    message(&prerequisites, &instructions)
}

fn judge(zone: &Zone, messages: &[Vec<u8>]) -> Vec<Result<Vec<Change>, Rcode>> {
    let mut amendment = Amendment::begin(zone);
    let mut ledger = Ledger::new(zone.origin(), &mut amendment);
    messages.iter().map(|message| ledger.judge(&Update::read(message)?)).collect()
}

/// The code, then what goes (`-`) and comes (`+`), each a line.
fn told(zone: &Zone, text: &str) -> String {
    let changes = match judge(zone, &[lines(text)]).pop().unwrap() {
        Err(code) => return code.to_string(),
        Ok(changes) => changes,
    };
    let mut told = Rcode::NoError.to_string();
    let Some(step) = difference(&changes) else {
        assert_eq!(changes, []);
        return told;
    };
    let mut soas = 0;
    for record in plain::records(step.records()) {
        soas += usize::from(record.rtype == RecordType::SOA);
        let sign = if soas > 1 { '+' } else { '-' };
        let mut text = String::new();
        rdata::print(record.rtype, record.rdata, &mut text).unwrap();
        let owner = Name::from_wire(record.owner).unwrap();
        told += &format!("\n{sign}{owner} {} {} {text}", record.ttl, record.rtype);
    }
    told
}

/// Changes beside the serial, which goes from 10 to 11.
fn check(text: &str, expected: &str) {
    let told = told(&zone_of(ZONE), text);
    let told = told
        .replace("\n-z. 60 SOA ns.z. host.z. 10 2 3 4 5", "")
        .replace("\n+z. 60 SOA ns.z. host.z. 11 2 3 4 5", " 11");
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    // The new serial stands in the midst; what is expected begins with it.
    let (told, serial) = match told.split_once(" 11") {
        Some((before, after)) => (format!("{before}{after}"), " 11"),
        None => (told, ""),
    };
    let told = told.replacen("NOERROR", &format!("NOERROR{serial}"), 1);
    assert_eq!(told.lines().collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn prerequisites_are_what_section_3_2_says() {
    for (text, expected) in [
        ("prereq yxdomain a", "NOERROR"),
        ("prereq yxdomain A.Z.", "NOERROR"),
        ("prereq yxdomain none", "NXDOMAIN"),
        // What only lies above a name has no record, nor has a name that a wildcard would stand in for.
        ("prereq yxdomain ent", "NXDOMAIN"),
        ("prereq nxdomain ent", "NOERROR"),
        ("prereq nxdomain none", "NOERROR"),
        ("prereq nxdomain a", "YXDOMAIN"),
        ("prereq yxrrset a A", "NOERROR"),
        ("prereq yxrrset a AAAA", "NXRRSET"),
        // An alias is not followed.
        ("prereq yxrrset alias A", "NXRRSET"),
        ("prereq nxrrset a AAAA", "NOERROR"),
        ("prereq nxrrset a A", "YXRRSET"),
        // A set as a whole: neither more nor less.
        ("prereq yxrrset a A 192.0.2.3", "NXRRSET"),
        ("prereq yxrrset a A 192.0.2.4\nprereq yxrrset A A 192.0.2.3", "NOERROR"),
        (
            "prereq yxrrset a A 192.0.2.4\nprereq yxrrset a A 192.0.2.3\nprereq yxrrset a A 192.0.2.5",
            "NXRRSET",
        ),
        ("prereq yxrrset @ MX 10 MAIL", "NOERROR"),
        ("prereq yxrrset none A 192.0.2.3", "NXRRSET"),
        ("prereq nxrrset a AAAA\nprereq yxdomain none", "NXDOMAIN"),
        ("! prereq a ANY A 1", "FORMERR"),
        ("! prereq a ANY A 0 192.0.2.3", "FORMERR"),
        ("! prereq a NONE A 0 192.0.2.3", "FORMERR"),
        ("! prereq a NONE A 1", "FORMERR"),
        ("! prereq a IN A 1 192.0.2.3", "FORMERR"),
        ("! prereq a IN A 0", "FORMERR"),
        ("! prereq a IN ANY 0", "FORMERR"),
        ("! prereq a HS A 0", "FORMERR"),
        ("prereq yxdomain a.y.", "NOTZONE"),
        ("prereq nxrrset . A", "NOTZONE"),
    ] {
        check(text, expected);
    }
}

#[test]
fn instructions_that_cannot_be_are_refused_before_anything_is_done() {
    let first = "add new 5 A 192.0.2.9\n";
    for (text, expected) in [
        ("! update a HS A 5 192.0.2.9", "FORMERR"),
        ("! update a IN ANY 5", "FORMERR"),
        ("! update a IN AXFR 5", "FORMERR"),
        ("! update a IN OPT 5", "FORMERR"),
        ("! update a IN A 5", "FORMERR"),
        ("! update a IN TYPE0 5", "FORMERR"),
        // Octets of a type that this program keeps for itself.
        ("! update a IN TYPE61441 5 \\# 1 00", "FORMERR"),
        ("! update a ANY A 5", "FORMERR"),
        ("! update a ANY A 0 192.0.2.3", "FORMERR"),
        ("! update a ANY MAILB 0", "FORMERR"),
        ("! update a NONE A 5 192.0.2.3", "FORMERR"),
        ("! update a NONE ANY 0", "FORMERR"),
        ("! update a NONE A 0", "FORMERR"),
        ("add a.y. 5 A 192.0.2.9", "NOTZONE"),
        ("delete a.y.", "NOTZONE"),
    ] {
        check(&format!("{first}{text}"), expected);
    }
}

#[test]
fn a_message_that_is_cut_short_or_for_no_zone_is_malformed() {
    let whole = lines("prereq yxdomain a\nadd new 5 MX 10 mail\ndelete a TXT");
    assert!(Update::read(&whole).is_ok());
    for len in 0..whole.len() {
        assert_eq!(Update::read(&whole[..len]).err(), Some(Rcode::FormErr), "{len}");
    }
    let with = |at: usize, octet: u8| {
        let mut message = whole.clone();
        message[at] = octet;
        Update::read(&message).err()
    };
    assert_eq!(with(16, 1), Some(Rcode::FormErr), "the zone's type is not SOA");
    assert_eq!(with(18, 3), Some(Rcode::NotAuth), "another class");
    // The names of records may point back, also within RDATA.
    let compressed = b"\x03new\xc0\x0c\0\x0f\0\x01\0\0\0\x05\0\x06\0\x0a\x01m\xc0\x0c".to_vec();
    let changes = judge(&zone_of(ZONE), &[message(&[], &[compressed])]).pop().unwrap().unwrap();
    assert_eq!(changes.iter().map(|change| change.name.to_string()).collect::<Vec<_>>(), ["z.", "new.z."]);
}

#[test]
fn records_are_added() {
    for (text, expected) in [
        ("add new 5 A 192.0.2.9", "NOERROR 11\n+new.z. 5 A 192.0.2.9"),
        // To a set that is there; its TTL is that of the newest word (RFC 2181 §5.2).
        ("add a 60 A 192.0.2.9", "NOERROR 11\n+a.z. 60 A 192.0.2.9"),
        (
            "add a 5 A 192.0.2.3",
            "NOERROR 11\n-a.z. 60 A 192.0.2.3\n-a.z. 60 A 192.0.2.4\n+a.z. 5 A 192.0.2.3\n+a.z. 5 A 192.0.2.4",
        ),
        // What is there already changes nothing, not even the serial; nor does its case.
        ("add A 60 A 192.0.2.3", "NOERROR"),
        ("add @ 60 MX 10 MAIL", "NOERROR"),
        // A name keeps the case in which it is there.
        ("add mIXED 60 TXT z", "NOERROR 11\n+Mixed.z. 60 TXT \"z\""),
        ("add x.sub 5 A 192.0.2.9", "NOERROR 11\n+x.sub.z. 5 A 192.0.2.9"),
        ("add *.w 5 A 192.0.2.9", "NOERROR 11\n+*.w.z. 5 A 192.0.2.9"),
        ("add a 5 TYPE65280 \\# 1 00", "NOERROR 11\n+a.z. 5 TYPE65280 \\# 1 00"),
    ] {
        check(text, expected);
    }
}

#[test]
fn an_alias_and_other_data_keep_each_other_out() {
    for (text, expected) in [
        ("add alias 5 A 192.0.2.9", "NOERROR"),
        ("add a 5 CNAME b", "NOERROR"),
        ("add @ 5 CNAME b", "NOERROR"),
        ("add dn 5 CNAME b", "NOERROR"),
        ("add alias 5 DNAME b", "NOERROR"),
        ("add alias 60 CNAME b", "NOERROR 11\n-alias.z. 60 CNAME a.z.\n+alias.z. 60 CNAME b.z."),
        ("add alias 60 CNAME A", "NOERROR"),
        ("add dn 60 DNAME b", "NOERROR 11\n-dn.z. 60 DNAME elsewhere.test.\n+dn.z. 60 DNAME b.z."),
        ("add new 5 CNAME b\nadd new 5 A 192.0.2.9", "NOERROR 11\n+new.z. 5 CNAME b.z."),
        ("add new 5 A 192.0.2.9\nadd new 5 CNAME b", "NOERROR 11\n+new.z. 5 A 192.0.2.9"),
        // Once it is gone there is room.
        (
            "delete alias CNAME\nadd alias 5 A 192.0.2.9",
            "NOERROR 11\n-alias.z. 60 CNAME a.z.\n+alias.z. 5 A 192.0.2.9",
        ),
        (
            "delete a\nadd a 5 CNAME b",
            "NOERROR 11\n-a.z. 60 A 192.0.2.3\n-a.z. 60 A 192.0.2.4\n-a.z. 60 TXT \"x\"\n+a.z. 5 CNAME b.z.",
        ),
        // DNSSEC's own types may stand beside it.
        ("add alias 5 KEY 256 3 5 AAAA", "NOERROR 11\n+alias.z. 5 KEY 256 3 5 AAAA"),
    ] {
        check(text, expected);
    }
}

#[test]
fn records_and_names_are_deleted() {
    for (text, expected) in [
        ("delete a A 192.0.2.3", "NOERROR 11\n-a.z. 60 A 192.0.2.3"),
        ("delete a A 192.0.2.9", "NOERROR"),
        ("delete only MX 10 NS", "NOERROR 11\n-only.z. 60 MX 10 ns.z."),
        ("delete a A", "NOERROR 11\n-a.z. 60 A 192.0.2.3\n-a.z. 60 A 192.0.2.4"),
        ("delete a AAAA", "NOERROR"),
        ("delete A", "NOERROR 11\n-a.z. 60 A 192.0.2.3\n-a.z. 60 A 192.0.2.4\n-a.z. 60 TXT \"x\""),
        ("delete none", "NOERROR"),
        // A name is itself only, not what lies below it.
        ("delete ent", "NOERROR"),
        // What comes and goes in one message was never there.
        ("add new 5 A 192.0.2.9\ndelete new", "NOERROR"),
        ("delete a TXT\nadd a 60 TXT x", "NOERROR"),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_zone_keeps_its_soa_and_its_last_name_server() {
    for (text, expected) in [
        ("delete @ SOA", "NOERROR"),
        ("delete @ NS", "NOERROR"),
        ("delete @ SOA ns host 10 2 3 4 5", "NOERROR"),
        ("delete @", "NOERROR 11\n-z. 60 MX 10 Mail.z."),
        ("delete @ NS ns", "NOERROR 11\n-z. 60 NS ns.z."),
        ("delete @ NS ns\ndelete @ NS ns2", "NOERROR 11\n-z. 60 NS ns.z."),
        (
            "delete @ NS ns\nadd @ 60 NS ns3\ndelete @ NS ns2",
            "NOERROR 11\n-z. 60 NS ns.z.\n-z. 60 NS ns2.z.\n+z. 60 NS ns3.z.",
        ),
        // A cut is no apex.
        ("delete sub NS", "NOERROR 11\n-sub.z. 60 NS ns.sub.z."),
    ] {
        check(text, expected);
    }
}

#[test]
fn the_serial_goes_forward_whatever_an_update_says_of_it() {
    let soa = |serial: u32, refresh: u32| format!("z. 60 SOA ns.z. host.z. {serial} {refresh} 3 4 5");
    let zone = zone_of(ZONE);
    for (text, expected) in [
        // A step back, or none, and nothing else.
        ("add @ 60 SOA ns host 9 2 3 4 5".to_owned(), "NOERROR".to_owned()),
        (format!("add @ 60 SOA ns host {} 2 3 4 5", 10 + (1u32 << 31)), "NOERROR".to_owned()),
        ("add @ 60 SOA ns host 10 2 3 4 5".to_owned(), "NOERROR".to_owned()),
        ("add a 5 SOA ns host 99 2 3 4 5".to_owned(), "NOERROR".to_owned()),
        // As large a step as RFC 1982 knows.
        (
            format!("add @ 60 SOA ns host {} 2 3 4 5", 10 + (1u32 << 31) - 1),
            format!("NOERROR\n-{}\n+{}", soa(10, 2), soa(10 + (1 << 31) - 1, 2)),
        ),
        (
            "add @ 60 SOA ns host 70 9 3 4 5\nadd new 5 A 192.0.2.9".to_owned(),
            format!("NOERROR\n-{}\n+{}\n+new.z. 5 A 192.0.2.9", soa(10, 2), soa(70, 9)),
        ),
        // Other fields under the same serial are no SOA to take (§3.4.2.2).
        ("add @ 60 SOA ns host 10 9 3 4 5".to_owned(), "NOERROR".to_owned()),
        (
            "add @ 60 SOA ns host 10 9 3 4 5\nadd new 5 A 192.0.2.9".to_owned(),
            format!("NOERROR\n-{}\n+{}\n+new.z. 5 A 192.0.2.9", soa(10, 2), soa(11, 2)),
        ),
    ] {
        assert_eq!(told(&zone, &text), expected, "{text}");
    }
    let last = zone_of(&ZONE.replace(" 10 2 3 4 5", " 4294967295 2 3 4 5"));
    let told = told(&last, "add new 5 A 192.0.2.9");
    assert!(told.contains(&format!("+{}", soa(1, 2))), "{told}");
}

#[test]
fn a_well_known_service_is_replaced_by_its_address_and_protocol() {
    let zone = zone_of(&format!("{ZONE}w WKS \\# 6 c0000201 06 40\n"));
    let told = told(&zone, "add w 60 WKS \\# 6 c0000201 06 80\nadd w 60 WKS \\# 6 c0000201 11 80");
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("WKS")).map(|line| &line[..1]).collect();
    assert_eq!(lines, ["-", "+", "+"], "{told}");
}

#[test]
fn updates_see_those_before_them_and_none_that_failed() {
    let zone = zone_of(ZONE);
    let outcomes = judge(
        &zone,
        &[
            lines("prereq nxdomain new\nadd new 5 A 192.0.2.9"),
            lines("prereq nxdomain new\nadd new 5 A 192.0.2.10"),
            lines("delete a\nprereq yxdomain none"),
            lines("prereq yxrrset new A 192.0.2.9\nprereq yxdomain a\nadd new 5 A 192.0.2.11"),
            lines("delete new"),
        ],
    );
    let codes: Vec<Option<Rcode>> = outcomes.iter().map(|outcome| outcome.as_ref().err().copied()).collect();
    assert_eq!(codes, [None, Some(Rcode::YxDomain), Some(Rcode::NxDomain), None, None]);
    let serials: Vec<(u32, u32)> = outcomes
        .iter()
        .filter_map(|outcome| difference(outcome.as_ref().ok()?))
        .map(|step| (step.from().0, step.to().0))
        .collect();
    assert_eq!(serials, [(10, 11), (11, 12), (12, 13)]);
}

#[test]
fn a_set_that_no_answer_holds_is_not_made() {
    let text: Vec<String> = (0..300).map(|i| format!("add a 60 TXT {i:0>250}")).collect();
    let zone = zone_of(ZONE);
    let outcomes = judge(
        &zone,
        &[lines(&text[..150].join("\n")), lines(&text.join("\n")), lines("prereq nxrrset a NULL")],
    );
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert_eq!(outcomes[1], Err(Rcode::ServFail));
}

#[test]
fn a_key_touches_what_it_may_and_nothing_else() {
    let rights = Rights::new(vec![name("a"), name("acme")], vec![RecordType::TXT, RecordType::A]);
    let zone = zone_of(ZONE);
    let told = |text: &str| {
        let Some(update) = rights.permit(Update::read(&lines(text)).unwrap()) else {
            return "REFUSED".to_owned();
        };
        let mut amendment = Amendment::begin(&zone);
        match Ledger::new(zone.origin(), &mut amendment).judge(&update) {
            Ok(changes) => format!("{}", changes.len()),
            Err(code) => code.to_string(),
        }
    };
    for (text, expected) in [
        ("add a 5 TXT y", "2"),
        ("add x.ACME 5 TXT y", "2"),
        // What is only asked about need not be its own.
        ("prereq yxdomain only\nadd x.acme 5 TXT y", "2"),
        ("add acme 5 AAAA ::1", "REFUSED"),
        ("add b 5 TXT y", "REFUSED"),
        ("add xacme 5 TXT y", "REFUSED"),
        ("add a 5 TXT y\nadd only 5 TXT y", "REFUSED"),
        ("delete a MX", "REFUSED"),
        ("delete only TXT y", "REFUSED"),
        ("delete a", "3"),
        ("delete x.acme", "0"),
        ("add @ 5 TXT y", "REFUSED"),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
    // Some of what the name has is not its own.
    let rights = Rights::new(vec![], vec![RecordType::TXT]);
    let update = rights.permit(Update::read(&lines("add a 5 TXT y\ndelete a")).unwrap()).unwrap();
    let mut amendment = Amendment::begin(&zone);
    let mut ledger = Ledger::new(zone.origin(), &mut amendment);
    assert_eq!(ledger.judge(&update), Err(Rcode::Refused));
    let more = Update::read(&lines("prereq yxrrset a TXT x")).unwrap();
    assert_eq!(ledger.judge(&more), Ok(vec![]), "nothing of it counts");
}
