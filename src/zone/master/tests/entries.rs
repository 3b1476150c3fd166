//! Records: owners, TTLs, classes, parentheses, quotes, and every fault in its place.

use super::*;

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
fn names_of_every_type_are_relative_to_the_origin_in_force() {
    check(
        "$TTL 1\n$ORIGIN a.\nx SRV 1 2 3 @\nx SVCB 1 y\n$ORIGIN b.\nx NSEC @ A\n",
        "
        3:1 x.a. 1 SRV 1 2 3 a.
        4:1 x.a. 1 SVCB 1 y.a.
        6:1 x.b. 1 NSEC b. A
        ",
    );
}
