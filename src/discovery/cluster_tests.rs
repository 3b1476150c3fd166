//! Behaviour of cluster-wide sets; what can be typed, and what can be sent.

use super::cluster::*;
use super::entry::Poison;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use proptest::prelude::*;

fn domain() -> Name {
    Name::parse("hive.internal.").unwrap()
}

/// `NAME TTL TYPE RDATA|RDATA...`
fn read(line: &str) -> Result<Rrset, Unfit> {
    let mut words = line.splitn(4, ' ');
    let (name, ttl, rtype) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let rdata: Vec<String> = words.next().into_iter().flat_map(|r| r.split('|')).map(String::from).collect();
    Rrset::read(name, ttl.parse().unwrap(), rtype, &rdata, &domain())
}

fn good(line: &str) -> Rrset {
    read(line).unwrap_or_else(|unfit| panic!("{line}: {unfit}"))
}

#[test]
fn each_argument_is_one_record() {
    let set = good("Mail.Hive.Internal 300 mx 20 b.example.|10 A.example|10 a.Example.");
    assert_eq!(set.name().to_string(), "mail.hive.internal.");
    assert_eq!((set.rtype(), set.ttl()), (RecordType::MX, 300));
    assert_eq!(set.texts(), ["10 A.example.", "20 b.example."], "sorted, and none twice");
    assert_eq!(good("a.hive.internal. 1 TXT \"one two\"|three").texts(), ["\"three\"", "\"one two\""]);
    assert_eq!(good("*.hive.internal. 0 TYPE65280 \\# 2 abcd").texts(), ["\\# 2 abcd"]);
    assert_eq!(good("hive.internal. 1 MX 1 a.").name(), &domain());
    for number in [61_439, 61_696] {
        assert_eq!(good(&format!("a.hive.internal. 1 TYPE{number} \\# 0")).rtype(), RecordType(number));
    }
}

#[test]
fn what_cannot_be_set_is_told_with_its_reason() {
    let many: Vec<String> = (0..6000).map(|n| format!("10.0.{}.{}", n / 256, n % 256)).collect();
    let many = format!("a.hive.internal. 1 A {}", many.join("|"));
    for (line, expected) in [
        ("www.example. 1 A 192.0.2.1", "expected an absolute name in hive.internal., found www.example."),
        ("www 1 A 192.0.2.1", "expected an absolute name in hive.internal., found www."),
        ("a..hive.internal. 1 A 192.0.2.1", "a label is empty: \"a..hive.internal.\""),
        (
            "a.hive.internal. 2147483648 A 192.0.2.1",
            "expected a TTL up to 2147483647 seconds, found 2147483648",
        ),
        ("a.hive.internal. 1 NOPE x", "expected a record type such as A, MX or TYPE65280, found \"NOPE\""),
        ("a.hive.internal. 1 ANY \\# 0", "ANY is a type of questions and messages, not of records"),
        ("a.hive.internal. 1 TYPE0 \\# 0", "TYPE0 is a type of questions and messages, not of records"),
        // What is kept under these nobody outside of the process ever sees; their neighbours are types like any other.
        (
            "a.hive.internal. 1 TYPE61440 \\# 0",
            "TYPE61440 is a type of this server's own, and none of records",
        ),
        (
            "a.hive.internal. 1 TYPE61441 \\# 4 c0000201",
            "TYPE61441 is a type of this server's own, and none of records",
        ),
        (
            "a.hive.internal. 1 TYPE61695 \\# 0",
            "TYPE61695 is a type of this server's own, and none of records",
        ),
        ("a.hive.internal. 1 SOA a. b. 1 2 3 4 5", "the SOA record is made by the server"),
        ("a.hive.internal. 1 A", "A needs its RDATA; to remove records there is `unset`"),
        (
            "a.hive.internal. 1 A 192.0.2.1|192.0.2.300",
            "A \"192.0.2.300\", column 1: expected an IPv4 address, found `192.0.2.300`",
        ),
        (
            "a.hive.internal. 1 MX 10",
            "MX \"10\", column 3: expected a domain name, found the end of the record",
        ),
        (
            "a.hive.internal. 1 A 192.0.2.1 192.0.2.2",
            "A \"192.0.2.1 192.0.2.2\", column 11: expected the end of the record, found `192.0.2.2`",
        ),
        ("a.hive.internal. 1 CNAME a.|b.", "a name has one CNAME record, found more"),
        ("hive.internal. 1 CNAME a.", "CNAME cannot stand at the apex hive.internal."),
        ("hive.internal. 1 DNAME a.", "DNAME cannot stand at the apex hive.internal."),
        ("HIVE.internal. 1 NS a.", "the NS records of hive.internal. are the live members themselves"),
        (&many, "the records do not fit in one answer: they take 96000 octets of 65535"),
    ] {
        assert_eq!(read(line).unwrap_err().to_string(), expected, "{line:.60}");
    }
    assert!(read("a.hive.internal. 1 CNAME a.|A.").is_ok(), "the same twice is one");
    assert!(read("b.hive.internal. 1 NS a.").is_ok(), "a cut below the apex");
}

#[test]
fn the_layout_stays_as_it_is() {
    let set = good("A.hive.internal. 258 A 192.0.2.2|192.0.2.1");
    assert_eq!(set.key(), b"\x01a\x04hive\x08internal\x00\x00\x01");
    assert_eq!(set.value(), [1, 0, 0, 1, 2, 0, 2, 0, 4, 192, 0, 2, 1, 0, 4, 192, 0, 2, 2]);
    assert_eq!(decode_key(&set.key()), Ok((Name::parse("a.hive.internal.").unwrap(), RecordType::A)));
}

#[test]
fn poison_is_an_error() {
    let set = good("a.hive.internal. 1 CNAME b.");
    let (key, value) = (set.key(), set.value());
    assert_eq!(Rrset::decode(&key, &value), Ok(set));
    for len in 0..value.len() {
        assert!(Rrset::decode(&key, &value[..len]).is_err());
    }
    let one = [1, 0, 0, 0, 1, 0, 1];
    let two = [1, 0, 0, 0, 1, 0, 2];
    for (key, value, poison) in [
        (&key[..], [&[2][..], &value[1..]].concat(), Poison::Version(2)),
        (&key, [&value[..], &[0]].concat(), Poison::Layout),
        (&key, [1, 0, 0, 0, 1, 0, 0].to_vec(), Poison::Rule),
        (&key, [&[1, 0x80][..], &value[2..]].concat(), Poison::Rule),
        (&key, [&one[..], &[0, 2, 1, b'b']].concat(), Poison::Rdata),
        (&key, [&two[..], &[0, 3, 1, b'b', 0, 0, 3, 1, b'a', 0]].concat(), Poison::NotCanonical),
        (&key, [&two[..], &[0, 3, 1, b'b', 0, 0, 3, 1, b'B', 0]].concat(), Poison::NotCanonical),
        (&key, [&two[..], &[0, 3, 1, b'a', 0, 0, 3, 1, b'b', 0]].concat(), Poison::Rule),
        (b"\x01A\0\0\x01", value.clone(), Poison::Key),
        (b"\x01a\0\0\0\x01", value.clone(), Poison::Key),
        (b"\x01a\xc0\x0c\0\x01", value.clone(), Poison::Key),
        (b"\0", value.clone(), Poison::Key),
        (b"", value.clone(), Poison::Key),
        (b"\x01a\0\0\xff", [&one[..], &[0, 0]].concat(), Poison::Rule),
        (b"\x01a\0\xf0\x01", [&one[..], &[0, 0]].concat(), Poison::Rule),
    ] {
        assert_eq!(Rrset::decode(key, &value), Err(poison), "{key:?} {value:?}");
    }
}

#[test]
fn an_alias_stands_alone() {
    let (alias, address) = (good("a.hive.internal. 1 CNAME b."), good("a.hive.internal. 1 A 192.0.2.1"));
    assert_eq!(
        alias.stands_beside([RecordType::CNAME, RecordType::TXT]).unwrap_err().to_string(),
        "a.hive.internal. has TXT records: an alias has no other data; `unset` them first"
    );
    assert!(address.stands_beside([RecordType::CNAME]).is_err());
    assert!(alias.stands_beside([RecordType::CNAME, RecordType::RRSIG]).is_ok());
    assert!(address.stands_beside([RecordType::A, RecordType::TXT]).is_ok());
}

#[test]
fn records_are_removed_singly_or_all() {
    let set = good("a.hive.internal. 1 MX 1 a.|2 b.|3 c.");
    let removal = |rdata: &[&str]| {
        let rdata: Vec<String> = rdata.iter().map(ToString::to_string).collect();
        Removal::read("A.Hive.internal", Some("MX"), &rdata, &domain()).unwrap()
    };
    let (left, gone) = set.without(&removal(&["2 B.", "9 z."]).rdatas);
    assert_eq!(left.unwrap().texts(), ["1 a.", "3 c."]);
    assert_eq!(gone.len(), 1);
    assert_eq!(set.without(&removal(&[]).rdatas), (None, set.rdatas().to_vec()));
    assert_eq!(set.without(&removal(&["1 a.", "2 b.", "3 c."]).rdatas).0, None);
    let without_type = |rdata: &[String]| Removal::read("a.hive.internal.", None, rdata, &domain());
    assert_eq!(without_type(&[]).unwrap().rtype, None);
    assert!(without_type(&["x".to_owned()]).is_err());
    assert!(Removal::read("a.", None, &[], &domain()).is_err());
}

#[test]
fn another_domain_s_sets_are_known_as_such() {
    let set = good("a.hive.internal. 1 A 192.0.2.1");
    assert!(set.stands_in(&Name::parse("swarm.internal.").unwrap()).is_err());
    assert!(set.stands_in(&Name::parse("INTERNAL.").unwrap()).is_ok());
}

fn texts() -> impl Strategy<Value = (&'static str, Vec<String>)> {
    let some = |one: &'static str| proptest::collection::vec(one, 1..6);
    prop_oneof![
        some("10\\.0\\.0\\.[0-9]").prop_map(|texts| ("A", texts)),
        some("[1-3] [abAB]\\.").prop_map(|texts| ("MX", texts)),
        some("\"[a-z \\\\\"]{0,9}\"").prop_map(|texts| ("TXT", texts)),
        some("0 5 [1-9] [aA]\\.x\\.").prop_map(|texts| ("SRV", texts)),
        some("\\\\# [0-2] [0-9a-f]{0,4}").prop_map(|texts| ("TYPE65280", texts)),
        some("\\PC{0,12}").prop_map(|texts| ("CAA", texts)),
    ]
}

proptest! {
    #[test]
    fn what_was_typed_survives_being_sent((rtype, mut texts) in texts(), ttl in 0u32..=0x7fff_ffff) {
        let name = "A.Hive.internal.";
        if let Ok(set) = Rrset::read(name, ttl, rtype, &texts, &domain()) {
            prop_assert_eq!(Rrset::decode(&set.key(), &set.value()), Ok(set.clone()));
            // What is shown means the same.
            let again = Rrset::read(name, ttl, rtype, &set.texts(), &domain());
            prop_assert_eq!(again.map(|set| set.value()), Ok(set.value()));
            texts.reverse();
            let reversed = Rrset::read(name, ttl, rtype, &texts, &domain()).unwrap();
            prop_assert_eq!(reversed.value().to_ascii_lowercase(), set.value().to_ascii_lowercase());
        }
    }

    #[test]
    fn no_octets_make_it_panic(
        key in proptest::collection::vec(0u8..5, 0..9),
        value in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(4), any::<u8>()], 0..40),
    ) {
        if let Ok(set) = Rrset::decode(&key, &value) {
            prop_assert_eq!((set.key(), set.value()), (key, value));
        }
    }
}
