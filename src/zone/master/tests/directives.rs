//! `$ORIGIN`, `$TTL`, `$INCLUDE`, `$GENERATE`.

use super::*;

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
fn a_file_that_includes_itself_is_refused() {
    let files = [("loop", "a 1 A 1.1.1.1\n$INCLUDE other\n"), ("other", "$INCLUDE loop\n$INCLUDE loop\n")];
    check_with(
        "$INCLUDE loop\nb 1 A 1.1.1.1\n",
        &files,
        None,
        "
        loop:1:1 a.example. 1 A 1.1.1.1
        2:1 b.example. 1 A 1.1.1.1
        other:1:10 expected no file that includes itself, found loop
        other:2:10 expected no file that includes itself, found loop
        ",
    );
}

#[test]
fn files_are_included_within_each_other_only_so_deep() {
    let names: Vec<String> = (0..30).map(|i| format!("f{i}")).collect();
    let texts: Vec<String> = (1..31).map(|i| format!("a 1 A 1.1.1.1\n$INCLUDE f{i}\n")).collect();
    let files: Vec<(&str, &str)> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (records, faults) = read_from(Box::new("$INCLUDE f0\n".as_bytes()), &files, None);
    assert_eq!(records.len(), crate::base::limits::INCLUDE_DEPTH_MAX);
    assert_eq!(faults, ["f15:2:10 expected at most 16 files included within each other"]);
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
