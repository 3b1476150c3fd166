//! Sources of any size, speed and content.

use super::*;
use proptest::prelude::*;

#[test]
fn a_file_is_read_the_same_in_pieces_of_any_size() {
    let mut text = String::from("$TTL 1\n@ SOA a b (\n 1\n 2 3 4 5 )\n");
    for i in 0..20_000 {
        text.push_str(&format!(
            "host{i} A 10.0.{}.{}\n  TXT ( \"{}\"\n \"b\" )\n",
            i / 256 % 256,
            i % 256,
            i
        ));
    }
    let whole = read_from(Box::new(text.as_bytes()), &[], None);
    assert_eq!((whole.0.len(), whole.1.len()), (40_001, 0));
    for piece in [1, 7, 4_096, 65_535] {
        assert!(read_from(Box::new(Dripping(text.as_bytes(), piece)), &[], None) == whole, "{piece}");
    }
}

#[test]
fn a_long_line_is_read_and_one_too_long_ends_the_file() {
    let hex = "00".repeat(65_535);
    let (records, faults) =
        read_from(Box::new(format!("a 1 TYPE999 \\# 65535 {hex}\nb 1 A 1.1.1.1\n").as_bytes()), &[], None);
    assert_eq!((records.len(), faults.len()), (2, 0));
    let endless = "x".repeat(600_000);
    let text = format!("a 1 A 1.1.1.1\n{endless}\nb 1 A 1.1.1.1\n");
    let (records, faults) = read_from(Box::new(text.as_bytes()), &[], None);
    assert_eq!(records.len(), 1);
    assert_eq!(faults, ["2:1 expected to read on, but: line 2 is longer than 524288 octets"]);
}

#[test]
fn a_source_that_fails_is_told() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 1 {
                return Err(io::Error::other("the disk is on fire"));
            }
            buffer[..19].copy_from_slice(b"a 1 A (1.1.1.1)\nb (");
            Ok(19)
        }
    }
    let (records, faults) = read_from(Box::new(Failing(0)), &[], None);
    assert_eq!(records, ["1:1 a.example. 1 A 1.1.1.1"]);
    assert_eq!(faults, ["2:1 expected to read on, but: the disk is on fire"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_the_reason() {
    let (mut sink, mut faults) = (Scribe::default(), Faults::default());
    let options = Options { origin: &Name::ROOT, ttl: None };
    let mut open =
        |path: &str| read_file(Path::new(path), options, &mut sink, &mut faults).unwrap_err().to_string();
    assert_eq!(open("/nonexistent/zone"), "/nonexistent/zone: No such file or directory (os error 2)");
    assert_eq!(open("/"), "/: is a directory");
    assert_eq!(faults.errors(), 0);
}

const VALID: &str = "$TTL 1h
@ IN SOA ns1 admin.example. ( 1 ; serial
 2h 1h 2w 5m )
  NS ns1
ns1 A 192.0.2.1
 AAAA 2001:db8::1
* 300 TXT \"a \\\" b\" c\\;d
x MX 10 mail
_s._tcp SRV 0 5 5060 x
h HTTPS 1 . alpn=\"h2,h3\" port=443
$GENERATE 1-3 g$ CNAME ${0,3}.x
n NSEC x A MX TYPE1234
l LOC 42 21 54 N 71 06 18 W -24m 30m
u TYPE65280 \\# 4 0a000001
";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_from(Box::new(octets.as_slice()), &[], None);
    }

    #[test]
    fn random_tokens_never_panic(text in "([a-z.@*$]{0,4}|[ \t\r\n();\"\\\\]|\\\\[0-9]{1,3}|A|TXT|MX|IN|\\$TTL|\\$ORIGIN|\\$GENERATE|[0-9]{1,3}|=){0,60}") {
        read_from(Box::new(text.as_bytes()), &[], None);
    }

    #[test]
    fn mutated_files_never_panic_and_read_the_same_in_pieces(
        changes in proptest::collection::vec((0..VALID.len(), any::<u8>(), 0..4u8), 1..12),
        piece in 1usize..40,
    ) {
        let mut octets = VALID.as_bytes().to_vec();
        for (at, octet, kind) in changes {
            let at = at % octets.len().max(1);
            match kind {
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                2 => octets.truncate(at.max(1)),
                _ => octets[at] = b"()\"\\;\n @$"[usize::from(octet) % 9],
            }
        }
        let whole = read_from(Box::new(octets.as_slice()), &[], None);
        prop_assert_eq!(read_from(Box::new(Dripping(&octets, piece)), &[], None), whole);
    }
}
