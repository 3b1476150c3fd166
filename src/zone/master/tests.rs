//! Master files as text, against the records or the faults that they make.

use super::*;
use crate::wire::rtype::RecordType;
use crate::zone::rdata;
use crate::zone::sink::Record;
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// Writes down what it gets: `line:column owner ttl TYPE rdata`, the file in front if it is an included one.
#[derive(Default)]
struct Scribe {
    lines: Vec<String>,
}

impl RecordSink for Scribe {
    fn record(&mut self, record: Record<'_>, place: &Place) {
        let mut text = String::new();
        rdata::print(record.rtype, record.rdata, &mut text).unwrap();
        let owner = Name::from_wire(record.owner).unwrap();
        self.lines.push(format!("{}{owner} {} {} {text}", at(place), record.ttl, record.rtype));
    }
}

fn at(place: &Place) -> String {
    let file = if place.file.as_ref() == Path::new("main") {
        String::new()
    } else {
        format!("{}:", place.file.display())
    };
    format!("{file}{}:{} ", place.line, place.column)
}

/// Files in memory.
struct Memory(HashMap<PathBuf, String>);

impl Files for Memory {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        match self.0.get(path) {
            Some(text) => Ok(Box::new(io::Cursor::new(text.clone().into_bytes()))),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Gives a few octets at a time.
struct Dripping<'a>(&'a [u8], usize);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(self.0.len()).min(buffer.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

fn read_from(
    source: Box<dyn Read + '_>,
    files: &[(&str, &str)],
    ttl: Option<u32>,
) -> (Vec<String>, Vec<String>) {
    let files = Memory(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect());
    let (mut sink, mut faults) = (Scribe::default(), Faults::default());
    let origin = Name::parse("example.").unwrap();
    read(
        source,
        Arc::from(Path::new("main")),
        Options { origin: &origin, ttl },
        &files,
        &mut sink,
        &mut faults,
    );
    let faults = faults
        .iter()
        .map(|fault| {
            let severity =
                if fault.severity == crate::zone::fault::Severity::Warning { "warning: " } else { "" };
            format!("{}{severity}{}", at(&fault.place), fault.message)
        })
        .collect();
    (sink.lines, faults)
}

/// Text against its records and then its faults, one to a line.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_with(text, &[], None, expected);
}

#[track_caller]
fn check_with(text: &str, files: &[(&str, &str)], ttl: Option<u32>, expected: &str) {
    let (mut found, faults) = read_from(Box::new(text.as_bytes()), files, ttl);
    found.extend(faults);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn the_example_of_rfc_1035_section_5_3() {
    let zone = "@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33


$INCLUDE <SUBSYS>ISI-MAILBOXES.TXT
";
    let mailboxes = "MOE     MB      A.ISI.EDU.
LARRY   MB      A.ISI.EDU.
CURLEY  MB      A.ISI.EDU.
STOOGES MG      MOE
        MG      LARRY
        MG      CURLEY
";
    check_with(
        zone,
        &[("<SUBSYS>ISI-MAILBOXES.TXT", mailboxes)],
        None,
        "
        1:1 example. 60 SOA VENERA.example. Action\\.domains.example. 20 7200 600 3600000 60
        8:9 example. 60 NS A.ISI.EDU.
        9:9 example. 60 NS VENERA.example.
        10:9 example. 60 NS VAXA.example.
        11:9 example. 60 MX 10 VENERA.example.
        12:9 example. 60 MX 20 VAXA.example.
        14:1 A.example. 60 A 26.3.0.103
        16:1 VENERA.example. 60 A 10.1.0.52
        17:9 VENERA.example. 60 A 128.9.0.32
        19:1 VAXA.example. 60 A 10.2.0.27
        20:9 VAXA.example. 60 A 128.9.0.33
        <SUBSYS>ISI-MAILBOXES.TXT:1:1 MOE.example. 60 MB A.ISI.EDU.
        <SUBSYS>ISI-MAILBOXES.TXT:2:1 LARRY.example. 60 MB A.ISI.EDU.
        <SUBSYS>ISI-MAILBOXES.TXT:3:1 CURLEY.example. 60 MB A.ISI.EDU.
        <SUBSYS>ISI-MAILBOXES.TXT:4:1 STOOGES.example. 60 MG MOE.example.
        <SUBSYS>ISI-MAILBOXES.TXT:5:9 STOOGES.example. 60 MG LARRY.example.
        <SUBSYS>ISI-MAILBOXES.TXT:6:9 STOOGES.example. 60 MG CURLEY.example.
        ",
    );
}

#[test]
fn ttl_and_class_stand_in_either_order_or_not_at_all() {
    check(
        "$TTL 1h\na 5 IN A 1.1.1.1\na IN 5 A 1.1.1.1\na 5 A 1.1.1.1\na in a 1.1.1.1\na A 1.1.1.1\na CLASS1 TYPE1 1.1.1.1\n",
        "
        2:1 a.example. 5 A 1.1.1.1
        3:1 a.example. 5 A 1.1.1.1
        4:1 a.example. 5 A 1.1.1.1
        5:1 a.example. 3600 A 1.1.1.1
        6:1 a.example. 3600 A 1.1.1.1
        7:1 a.example. 3600 A 1.1.1.1
        ",
    );
}

#[test]
fn a_ttl_left_out_is_that_of_the_directive_else_the_last_stated_else_the_soas_minimum() {
    check(
        "a 7 A 1.1.1.1\nb A 1.1.1.1\n$TTL 9\nc A 1.1.1.1\nd 8 A 1.1.1.1\ne A 1.1.1.1\n$TTL 1w2d3h4m5s\nf A 1.1.1.1",
        "
        1:1 a.example. 7 A 1.1.1.1
        2:1 b.example. 7 A 1.1.1.1
        4:1 c.example. 9 A 1.1.1.1
        5:1 d.example. 8 A 1.1.1.1
        6:1 e.example. 9 A 1.1.1.1
        8:1 f.example. 788645 A 1.1.1.1
    ",
    );
    check(
        "@ SOA a. b. 1 2 3 4 5\na A 1.1.1.1\nb 6 A 1.1.1.1\nc A 1.1.1.1",
        "
        1:1 example. 5 SOA a. b. 1 2 3 4 5
        2:1 a.example. 5 A 1.1.1.1
        3:1 b.example. 6 A 1.1.1.1
        4:1 c.example. 6 A 1.1.1.1
    ",
    );
    check_with("a A 1.1.1.1\n", &[], Some(77), "1:1 a.example. 77 A 1.1.1.1");
}

#[test]
fn the_lack_of_any_ttl_is_told_once() {
    check(
        "a A 1.1.1.1\nb A 1.1.1.1\n",
        "
        2:1 b.example. 0 A 1.1.1.1
        1:1 expected a TTL, as neither `$TTL` nor a record with a TTL nor the SOA comes before
        ",
    );
}

#[test]
fn owners_are_relative_absolute_repeated_or_the_origin() {
    check(
        "$TTL 1\n@ A 1.1.1.1\n  A 2.2.2.2\n\tIN A 3.3.3.3\n$ORIGIN sub\n@ A 4.4.4.4\nx A 5.5.5.5\nx. A 6.6.6.6\n. A 7.7.7.7\n$ORIGIN .\ny A 8.8.8.8\n",
        "
        2:1 example. 1 A 1.1.1.1
        3:3 example. 1 A 2.2.2.2
        4:2 example. 1 A 3.3.3.3
        6:1 sub.example. 1 A 4.4.4.4
        7:1 x.sub.example. 1 A 5.5.5.5
        8:1 x. 1 A 6.6.6.6
        9:1 . 1 A 7.7.7.7
        11:1 y. 1 A 8.8.8.8
        ",
    );
}

#[test]
fn an_owner_may_look_like_anything() {
    check(
        "$TTL 1\nIN IN A 1.1.1.1\nA A 1.1.1.1\n3600 A 1.1.1.1\n\\$TTL A 1.1.1.1\n\\@ A 1.1.1.1\n* A 1.1.1.1\n_a.b/c A 1.1.1.1\na\\.b\\032c A 1.1.1.1\n\u{e9} A 1.1.1.1\n",
        "
        2:1 IN.example. 1 A 1.1.1.1
        3:1 A.example. 1 A 1.1.1.1
        4:1 3600.example. 1 A 1.1.1.1
        5:1 \\$TTL.example. 1 A 1.1.1.1
        6:1 \\@.example. 1 A 1.1.1.1
        7:1 *.example. 1 A 1.1.1.1
        8:1 _a.b/c.example. 1 A 1.1.1.1
        9:1 a\\.b\\032c.example. 1 A 1.1.1.1
        10:1 \\195\\169.example. 1 A 1.1.1.1
        ",
    );
}

#[test]
fn parentheses_join_lines_wherever_they_stand() {
    check(
        "$TTL 1\na ( A\n 1.1.1.1 )\nb A ( ; comment ) \"\n\n1.1.1.2)\n( c\nA\n1.1.1.3\n)\nd(A)1.1.1.4\n ( A 1.1.1.5 ) ; same owner\n",
        "
        2:1 a.example. 1 A 1.1.1.1
        4:1 b.example. 1 A 1.1.1.2
        7:1 c.example. 1 A 1.1.1.3
        11:1 d.example. 1 A 1.1.1.4
        12:2 d.example. 1 A 1.1.1.5
        ",
    );
}

#[test]
fn quotes_comments_and_escapes() {
    check(
        "$TTL 1\na TXT \"a;b(c)\" d\\;e\\(f;comment\na TXT \"\t\" \\\" \"\\\"\" \\000\n;whole line\n   ; indented\n\t\n\na TXT \"x\";y\n",
        "
        2:1 a.example. 1 TXT \"a;b(c)\" \"d;e(f\"
        3:1 a.example. 1 TXT \"\\009\" \"\\\"\" \"\\\"\" \"\\000\"
        8:1 a.example. 1 TXT \"x\"
        ",
    );
}

#[test]
fn line_ends_of_dos_and_a_missing_last_one() {
    check(
        "$TTL 1\r\n\r\na A 1.1.1.1\r\n  TXT \"x\"\r\nb A (\r\n1.1.1.2\r\n)\r\n ; c\r\nc TXT a;b\r\nd A 1.1.1.3",
        "
        3:1 a.example. 1 A 1.1.1.1
        4:3 a.example. 1 TXT \"x\"
        5:1 b.example. 1 A 1.1.1.2
        9:1 c.example. 1 TXT \"a\"
        10:1 d.example. 1 A 1.1.1.3
        ",
    );
    check("", "");
    check("\n\n", "");
    check(";", "");
    check(" ", "");
}

#[test]
fn a_byte_order_mark_is_ignored_with_a_warning() {
    check(
        "\u{feff}a 1 A 1.1.1.1\n",
        "
        1:1 a.example. 1 A 1.1.1.1
        1:1 warning: a byte order mark stands at the start of the file and is ignored
        ",
    );
}

#[test]
fn every_fault_is_told_and_only_its_own_record_lost() {
    check(
        "$TTL 1
a A 1.2.3
b A 1.1.1.1
b MX ten mail
c AAAA 1.2.3.4 ; comment
d TXT \"open
e NOPE 1
f A 1.1.1.2 extra
g CH A 1.1.1.3
h 1 2 A 1.1.1.4
i IN IN A 1.1.1.5
j 2147483648 A 1.1.1.6
k 1x A 1.1.1.7
l
m ( A
  1.1.1.300 ; inside
  )
n A 1.1.1.8 )
o A 1.1.1.9
",
        "
        3:1 b.example. 1 A 1.1.1.1
        19:1 o.example. 1 A 1.1.1.9
        2:5 expected an IPv4 address, found `1.2.3`
        4:6 expected a number up to 65535, found `ten`
        5:8 expected an IPv6 address, found `1.2.3.4`
        6:7 expected a closing quote on the same line, found none
        7:3 expected a TTL, a class or a record type, found `NOPE`
        8:13 expected the end of the record, found `extra`
        9:3 expected the class IN, found `CH`
        10:5 expected a class or a record type, found `2`
        11:6 expected a TTL or a record type, found `IN`
        12:3 expected a TTL up to 2147483647 seconds, found `2147483648`
        13:3 expected a TTL up to 2147483647 seconds, found `1x`
        14:2 expected a TTL, a class or a record type, found the end of the record
        16:3 expected an IPv4 address, found `1.1.1.300`
        18:13 expected no `)` here, found one without its `(`
        ",
    );
}

#[test]
fn reading_goes_on_behind_the_parentheses_and_quotes_of_a_faulty_entry() {
    check(
        "$TTL 1
a A bad ( \"not ) closed here\"
  b A 1.1.1.1
) ; end
c TXT bad\"quote ( \"
d A 1.1.1.2
e TXT ( \"unclosed
  \"more\" )
f A 1.1.1.3
g A ( 1.1.1.4 ( 1.1.1.5 )
h A 1.1.1.6
i TXT \\
j A 1.1.1.7
",
        "
        6:1 d.example. 1 A 1.1.1.2
        9:1 f.example. 1 A 1.1.1.3
        11:1 h.example. 1 A 1.1.1.6
        13:1 j.example. 1 A 1.1.1.7
        2:5 expected an IPv4 address, found `bad`
        5:10 expected no quote within a word: quote the whole or write `\\\"`
        7:9 expected a closing quote on the same line, found none
        10:15 expected no second `(` before the one at 10:5 is closed
        12:7 expected a character after `\\`, found the end of the line
        ",
    );
}

#[test]
fn a_parenthesis_that_is_never_closed_is_told_where_it_opens() {
    check(
        "$TTL 1\na A 1.1.1.1\nb A ( 1.1.1.2\nc A 1.1.1.3\n",
        "
        2:1 a.example. 1 A 1.1.1.1
        4:1 expected the end of the record, found `c`
        3:5 expected a `)` to this `(`, found the end of the text
        ",
    );
    check("$TTL 1\nb A ( 1.1.1.2", "2:5 expected a `)` to this `(`, found the end of the text");
}

#[test]
fn a_faulty_owner_takes_the_records_along_that_share_it_but_not_their_faults() {
    check(
        "$TTL 1\na A 1.1.1.1\nb..c A 1.1.1.2\n  A 1.1.1.3\n  A 1.1.1.300\nd A 1.1.1.4\n",
        "
        2:1 a.example. 1 A 1.1.1.1
        6:1 d.example. 1 A 1.1.1.4
        3:1 a label is empty: expected an owner, found `b..c`
        5:5 expected an IPv4 address, found `1.1.1.300`
        ",
    );
    check(" A 1.1.1.1\n", "1:2 expected an owner at the start of the line, as no record comes before");
    check("\"a\" A 1.1.1.1\n", "1:1 expected an owner, found the quoted string `a`");
}

#[test]
fn meta_types_and_foreign_classes_are_no_zone_data() {
    check(
        "$TTL 1\na AXFR \\# 0\na ANY \\# 0\na OPT \\# 0\na TYPE250 \\# 0\na TYPE0 \\# 0\na CLASS3 A 1.1.1.1\na NONE A 1.1.1.1\na CLASS65536 A 1.1.1.1\n",
        "
        2:3 expected a type that a zone can hold, no meta-type, found `AXFR`
        3:3 expected a type that a zone can hold, no meta-type, found `ANY`
        4:3 expected a type that a zone can hold, no meta-type, found `OPT`
        5:3 expected a type that a zone can hold, no meta-type, found `TYPE250`
        6:3 expected a type that a zone can hold, no meta-type, found `TYPE0`
        7:3 expected the class IN, found `CLASS3`
        8:3 expected the class IN, found `NONE`
        9:3 expected a TTL, a class or a record type, found `CLASS65536`
        ",
    );
}

#[test]
fn control_octets_are_told() {
    check(
        "$TTL 1\na\u{0}b A 1.1.1.1\na TXT \"\u{7}\"\na\rb A 1.1.1.1\n\u{1b}\nc A 1.1.1.1\n",
        "
        6:1 c.example. 1 A 1.1.1.1
        2:2 expected printable text, found the control octet \\000; write it so
        3:8 expected printable text, found the control octet \\007; write it so
        4:2 expected printable text, found the control octet \\013; write it so
        5:1 expected printable text, found the control octet \\027; write it so
        ",
    );
}

#[test]
fn faulty_directives() {
    check(
        "$TTL\n$TTL x\n$TTL 1 2\n$ORIGIN\n$ORIGIN a..b\n$ORIGIN a b\n$INCLUDE\n$INCLUDE none\n$FOO\n$ORIGIN \"a\"\n@ 1 A 1.1.1.1\n$ttl 2147483648\n",
        "
        11:1 example. 1 A 1.1.1.1
        1:5 expected a TTL, found the end of the record
        2:6 expected a TTL up to 2147483647 seconds, found `x`
        3:8 expected the end of the record, found `2`
        4:8 expected an origin, found the end of the record
        5:9 a label is empty: expected an origin, found `a..b`
        6:11 expected the end of the record, found `b`
        7:9 expected a file to include, found the end of the record
        8:10 expected a file to include at none: entity not found
        9:1 expected `$ORIGIN`, `$TTL`, `$INCLUDE` or `$GENERATE` (an owner begins with `\\$`), found `$FOO`
        10:9 expected an origin, found the quoted string `a`
        12:6 expected a TTL up to 2147483647 seconds, found `2147483648`
        ",
    );
}

#[test]
fn an_included_file_has_its_own_origin_and_owner_and_leaves_its_ttl() {
    let files = [
        ("dir/one", "x A 1.1.1.1\n$ORIGIN deep\ny A 1.1.1.2\n$INCLUDE two @\n  A 1.1.1.5\n"),
        ("dir/two", "$TTL 9\nz A bad\n  A 1.1.1.4\n"),
        ("three", "  A 1.1.1.7\n"),
    ];
    check_with(
        "$TTL 1\na A 1.1.1.0\n$INCLUDE dir/one sub ; comment\n  A 1.1.1.6\nb A 1.1.1.8\n$INCLUDE \"three\"\n",
        &files,
        None,
        "
        2:1 a.example. 1 A 1.1.1.0
        dir/one:1:1 x.sub.example. 1 A 1.1.1.1
        dir/one:3:1 y.deep.sub.example. 1 A 1.1.1.2
        dir/two:3:3 z.deep.sub.example. 9 A 1.1.1.4
        dir/one:5:3 y.deep.sub.example. 9 A 1.1.1.5
        4:3 a.example. 9 A 1.1.1.6
        5:1 b.example. 9 A 1.1.1.8
        dir/two:2:5 expected an IPv4 address, found `bad`
        three:1:3 expected an owner at the start of the line, as no record comes before
        ",
    );
}

#[test]
fn a_file_that_includes_itself_is_stopped() {
    let (records, faults) = read_from(
        Box::new("$INCLUDE loop\n".as_bytes()),
        &[("loop", "a 1 A 1.1.1.1\n$INCLUDE loop\n")],
        None,
    );
    assert_eq!(records.len(), crate::base::limits::INCLUDE_DEPTH_MAX);
    assert_eq!(faults, ["loop:2:10 expected at most 16 files included within each other"]);
}

#[test]
fn generate_makes_one_record_per_step() {
    check(
        "$TTL 1
$GENERATE 1-3 host-$ A 10.0.0.$
$GENERATE 0-4/2 $ 7 IN CNAME ${10,3}.x ; comment
$GENERATE 1-1 a${-1} PTR ${255,4,x}${0,0,X}${8,2,o}$$.
$GENERATE 18-18 ${0,8,n} PTR ${0,0,N}.${0,3,n}
$GENERATE 1-2 m MX \"$ mail$\"
$GENERATE 1-2 t TXT \"a $ b\" \\$
$GENERATE 5-5 @ AAAA 2001:db8::$
last A 1.1.1.1
  A 1.1.1.2
",
        "
        2:1 host-1.example. 1 A 10.0.0.1
        2:1 host-2.example. 1 A 10.0.0.2
        2:1 host-3.example. 1 A 10.0.0.3
        3:1 0.example. 7 CNAME 010.x.example.
        3:1 2.example. 7 CNAME 012.x.example.
        3:1 4.example. 7 CNAME 014.x.example.
        4:1 a0.example. 1 PTR 0100111\\$.
        5:1 2.1.0.0.example. 1 PTR 2.1.2.1.example.
        6:1 m.example. 1 MX 1 mail1.example.
        6:1 m.example. 1 MX 2 mail2.example.
        7:1 t.example. 1 TXT \"a 1 b\" \"$\"
        7:1 t.example. 1 TXT \"a 2 b\" \"$\"
        8:1 example. 1 AAAA 2001:db8::5
        9:1 last.example. 1 A 1.1.1.1
        10:3 last.example. 1 A 1.1.1.2
        ",
    );
}

#[test]
fn faulty_generate_lines() {
    check(
        "$TTL 1
$GENERATE
$GENERATE 1 a A 1.1.1.1
$GENERATE 2-1 a A 1.1.1.1
$GENERATE 1-2/0 a A 1.1.1.1
$GENERATE 0-65536 a A 1.1.1.1
$GENERATE 254-258 a$ A 10.0.0.$
$GENERATE 1-2 a${ A 1.1.1.1
$GENERATE 1-2 a${1,2,z} A 1.1.1.1
$GENERATE 0-2 a A 1.1.1.${-1}
$GENERATE 1-2 a
$GENERATE 1-2 a A (1.1.1.1
b A 1.1.1.2
",
        "
        7:1 a254.example. 1 A 10.0.0.254
        7:1 a255.example. 1 A 10.0.0.255
        13:1 b.example. 1 A 1.1.1.2
        2:10 expected a range such as 1-10 or 0-254/2, found the end of the record
        3:11 expected a range such as 1-10 or 0-254/2, found `1`
        4:11 expected a range such as 1-10 or 0-254/2, found `2-1`
        5:11 expected a range such as 1-10 or 0-254/2, found `1-2/0`
        6:11 expected a range of at most 65536 steps, found `0-65536`
        7:1 at step 256 of `$GENERATE`: expected an IPv4 address, found `10.0.0.256`
        8:15 expected `${offset,width,radix}` with a width up to 255 and a radix d, o, x, X, n or N
        9:15 expected `${offset,width,radix}` with a width up to 255 and a radix d, o, x, X, n or N
        10:1 at step 0 of `$GENERATE`: expected a number from 0 on, found -1
        11:1 at step 1 of `$GENERATE`: expected a TTL, a class or a record type, found the end of the record
        12:1 at step 1 of `$GENERATE`: expected a `)` to this `(`, found the end of the text
        ",
    );
}

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

#[test]
fn names_of_every_type_are_relative_to_the_origin_in_force() {
    check(
        "$TTL 1\n$ORIGIN a.\nx SRV 1 2 3 @\nx SVCB 1 y\n$ORIGIN b.\nx NSEC @ A\n",
        "
        3:1 x.a. 1 SRV 1 2 3 a.
        4:1 x.a. 1 SVCB 1 y.a.
        6:1 x.b. 1 NSEC b. A
        ",
    );
    assert_eq!(rdata::record_type(b"svcb"), Some(RecordType::SVCB));
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
