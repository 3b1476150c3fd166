//! Every type: the examples of its RFC, what is refused and why, and round trips.

use super::*;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use proptest::prelude::*;

fn rtype(text: &str) -> RecordType {
    text.parse().unwrap()
}

fn wire(type_text: &str, text: &str) -> Result<Vec<u8>, String> {
    let origin = Name::parse("example.com.").unwrap();
    parse(rtype(type_text), text.as_bytes(), &origin)
        .map_err(|c| format!("{}:{}: {}", c.spot.line, c.spot.column, c.message))
}

fn text(rtype: RecordType, rdata: &[u8]) -> String {
    let mut text = String::new();
    print(rtype, rdata, &mut text).unwrap();
    text
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// `TYPE | text | wire in hexadecimal (blanks free) | text as printed, or nothing if the same`.
fn check_good(cases: &str) {
    for case in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = case.split(" | ").map(str::trim);
        let (kind, input) = (parts.next().unwrap(), parts.next().unwrap());
        let expected: String = parts.next().unwrap().split_whitespace().collect();
        let printed = parts.next().unwrap_or(input);
        let octets = wire(kind, input).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(hex(&octets), expected, "{case}");
        assert_eq!(text(rtype(kind), &octets), printed, "{case}");
        round_trip(rtype(kind), &octets);
        let generic = format!("\\# {} {}", octets.len(), hex(&octets));
        assert_eq!(wire(kind, &generic).as_deref(), Ok(octets.as_slice()), "{case}");
    }
}

fn round_trip(rtype: RecordType, octets: &[u8]) {
    validate(rtype, octets).unwrap_or_else(|error| panic!("{rtype} {}: {error}", hex(octets)));
    let printed = text(rtype, octets);
    let again = parse(rtype, printed.as_bytes(), &Name::ROOT)
        .unwrap_or_else(|error| panic!("{rtype} {printed}: {error:?}"));
    assert_eq!(hex(&again), hex(octets), "{rtype} {printed}");
    assert_eq!(text(rtype, &again), printed);
}

/// `TYPE | text | line:column: message`.
fn check_bad(cases: &str) {
    for case in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = case.split(" | ").map(str::trim).collect();
        assert_eq!(wire(parts[0], parts[1]).map(|octets| hex(&octets)), Err(parts[2].to_owned()), "{case}");
    }
}

#[test]
fn the_types_of_rfc_1035() {
    check_good(
        r#"
        A | 26.3.0.103 | 1a030067
        NS | VENERA | 0656454e455241 076578616d706c6503636f6d00 | VENERA.example.com.
        CNAME | . | 00
        PTR | @ | 076578616d706c6503636f6d00 | example.com.
        MD | a. | 016100
        MF | a. | 016100
        MB | a. | 016100
        MG | a. | 016100
        MR | a. | 016100
        MINFO | a. b. | 016100 016200
        MX | 10 VENERA. | 000a 0656454e45524100
        HINFO | VAX-11/780 UNIX | 0a5641582d31312f373830 04554e4958 | "VAX-11/780" "UNIX"
        TXT | foo "b a r" "" | 03666f6f 056220612072 00 | "foo" "b a r" ""
        TXT | "\"\\\065\;;" \" | 0522 5c 41 3b 3b 0122 | "\"\\A;;" "\""
        TXT | "\000\255" | 0200ff
        SOA | a. b. 20 7200 600 3600000 60 | 016100 016200 00000014 00001c20 00000258 0036ee80 0000003c
        SOA | a. b. 4294967295 2h 10m 5w6d16h 1M | 016100 016200 ffffffff 00001c20 00000258 0036ee80 0000003c | a. b. 4294967295 7200 600 3600000 60
        "#,
    );
}

#[test]
fn the_types_of_rfc_1183_and_its_neighbours() {
    check_good(
        r#"
        RP | louie.trantor.umd.edu. LAM1.people.umd.edu. | 056c6f756965077472616e746f7203756d640365647500 044c414d310670656f706c6503756d640365647500
        AFSDB | 1 toaster.toaster.com. | 0001 07746f617374657207746f617374657203636f6d00
        X25 | 311061700956 | 0c333131303631373030393536 | "311061700956"
        ISDN | "150862028003217" "004" | 0f313530383632303238303033323137 03303034
        ISDN | 150862028003217 | 0f313530383632303238303033323137 | "150862028003217"
        RT | 2 Relay.Prime.COM. | 0002 0552656c6179055072696d6503434f4d00
        NSAP | 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00 | 4700058000 5a00000000 01e133ffff ff00016100 | 0x47000580005a0000000001e133ffffff00016100
        NSAP-PTR | foo. | 03666f6f00
        PX | 10 ab. cd. | 000a 02616200 02636400
        GPOS | -32.6882 116.8652 10.0 | 082d33322e36383832 083131362e38363532 0431302e30 | "-32.6882" "116.8652" "10.0"
        KX | 10 kx-host.example. | 000a 076b782d686f7374076578616d706c6500
        EID | 813F 4B7C DAB3 4217 | 813f4b7cdab34217 | 813f4b7cdab34217
        NIMLOC | 32274 50A010034 | 3227450a010034 | 3227450a010034
        TALINK | h0.example. h2.example. | 026830076578616d706c6500 026832076578616d706c6500
        SPF | "v=spf1 -all" | 0b763d73706631202d616c6c
        NINFO | "zs-status" | 097a732d737461747573
        AVC | "app-name:WOLFGANG" | 116170702d6e616d653a574f4c4647414e47
        SRV | 0 5 5060 sip.example. | 0000 0005 13c4 03736970076578616d706c6500
        NAPTR | 100 50 "s" "http+I2L+I2C+I2R" "" _http._tcp.gatech.edu. | 0064 0032 0173 10687474702b49324c2b4932432b493252 00 055f68747470045f746370066761746563680365647500
        DNAME | frobozz-division.acme.example. | 1066726f626f7a7a2d6469766973696f6e0461636d65076578616d706c6500
        "#,
    );
}

#[test]
fn ipv6_addresses_in_all_their_forms() {
    check_good(
        "
        AAAA | 2001:DB8:0:0:8:800:200C:417A | 20010db8000000000008 0800200c417a | 2001:db8::8:800:200c:417a
        AAAA | :: | 00000000000000000000000000000000
        AAAA | ::1 | 00000000000000000000000000000001
        AAAA | ff01:: | ff010000000000000000000000000000
        AAAA | ::13.1.68.3 | 0000000000000000000000000d014403 | ::d01:4403
        AAAA | ::FFFF:129.144.52.38 | 00000000000000000000ffff81903426 | ::ffff:129.144.52.38
        AAAA | 1:2:3:4:5:6:7:: | 00010002000300040005000600070000 | 1:2:3:4:5:6:7:0
        ",
    );
}

#[test]
fn locations_of_rfc_1876() {
    check_good(
        "
        LOC | 42 21 54 N 71 06 18 W -24m 30m | 00331613 8917 2dd0 70be15f0 00988d20 | 42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m
        LOC | 42 21 43.952 N 71 5 6.344 W -24m 1m 200m | 00122413 8917 0690 70bf2dd8 00988d20 | 42 21 43.952 N 71 5 6.344 W -24.00m 1.00m 200.00m 10.00m
        LOC | 52 14 05 N 00 08 50 E 10m | 00121613 8b3556c8 80081650 00989a68 | 52 14 5.000 N 0 8 50.000 E 10.00m 1.00m 10000.00m 10.00m
        LOC | 32 7 19 S 116 2 25 E 10m | 00121613 791b7d28 98e64868 00989a68 | 32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m
        LOC | 0 N 0 W 0 0 0 0 | 00000000 80000000 80000000 00989680 | 0 0 0.000 N 0 0 0.000 E 0.00m 0.00m 0.00m 0.00m
        ",
    );
}

#[test]
fn dnssec_examples_of_rfc_4034_and_5155() {
    check_good(
        r#"
        DS | 60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 ) | ec45 05 01 2bb183af5f22588179a53b0a98631fad1a292118 | 60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118
        CDS | 0 0 0 0 | 0000 00 00 00 | 0 0 0 00
        DLV | 1 RSASHA256 2 00 | 0001 08 02 00 | 1 8 2 00
        TA | 1 8 2 00 | 0001 08 02 00
        DNSKEY | 256 3 RSASHA1 AQPSKmynfzW4kyBv015MUG2DeIQ3 | 0100 03 05 0103d22a6ca77f35b893206fd35e4c506d83788437 | 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3
        CDNSKEY | 0 3 0 0 | 0000 03 00 00 | 0 3 0 AA==
        KEY | 49152 3 0 | c000 03 00
        RKEY | 0 1 1 AA== | 0000 01 01 00
        RRSIG | A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1 W6Wg | 0001 05 03 00015180 3e7c9dd7 3e5510d7 0a52 076578616d706c6503636f6d00 a09075 5ba5a0 | A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6Wg
        SIG | NXT 1 3 3600 20030322173103 20030220173103 2642 a. AA== | 001e 01 03 00000e10 3e7c9dd7 3e5510d7 0a52 016100 00
        NSEC | host.example.com. ( A MX RRSIG NSEC TYPE1234 ) | 04686f7374076578616d706c6503636f6d00 0006400100000003 041b 000000000000000000000000000000000000000000000000000020 | host.example.com. A MX RRSIG NSEC TYPE1234
        NSEC | a. | 016100
        NSEC | a. TYPE65535 CAA A A | 016100 000140 010140 ff20 0000000000000000000000000000000000000000000000000000000000000001 | a. A CAA TYPE65535
        NXT | medium.foo.tld. A MX SIG NXT | 066d656469756d03666f6f03746c6400 40010082
        "#,
    );
    check_good(
        "
        NSEC3 | 1 1 12 AABBCCDD k8udemvp1j2f7eg6jebps17vp3n8i58h | 01 01 000c 04aabbccdd 14 a23cd75bf90cc4f3ba069b979e04ffc8ee891511 | 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h
        NSEC3 | 1 0 0 - K8UDEMVP1J2F7EG6JEBPS17VP3N8I58H A | 01 00 0000 00 14 a23cd75bf90cc4f3ba069b979e04ffc8ee891511 000140 | 1 0 0 - k8udemvp1j2f7eg6jebps17vp3n8i58h A
        NSEC3PARAM | 1 0 12 aabbccdd | 01 00 000c 04aabbccdd
        NSEC3PARAM | 1 0 12 - | 01 00 000c 00
        ",
    );
}

#[test]
fn keys_certificates_and_fingerprints() {
    check_good(
        r#"
        CERT | PKIX 65535 RSASHA256 Zm9vYmFy | 0001 ffff 08 666f6f626172 | 1 65535 8 Zm9vYmFy
        CERT | 65535 1 255 Zg== | ffff 0001 ff 66
        SSHFP | 2 1 123456789abcdef67890123456789abcdef67890 | 02 01 123456789abcdef67890123456789abcdef67890
        TLSA | 0 0 1 d2abde24 0d7cd3ee | 00 00 01 d2abde240d7cd3ee | 0 0 1 d2abde240d7cd3ee
        SMIMEA | 3 1 1 00 | 03 01 01 00
        OPENPGPKEY | Zm9v YmFy | 666f6f626172 | Zm9vYmFy
        DHCID | ( AAIBY2/AuCccgoJbsaxcQc9TUapptP69l OjxfNuVAA2kjEA= ) | 000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40 | AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
        IPSECKEY | 10 1 2 192.0.2.38 AQNR | 0a 01 02 c0000226 010351
        IPSECKEY | 10 0 2 . AQNR | 0a 00 02 010351
        IPSECKEY | 10 0 0 . | 0a 00 00
        IPSECKEY | 10 2 2 2001:db8:0:8002::2000:1 AQNR | 0a 02 02 20010db8000080020000000020000001 010351
        IPSECKEY | 10 3 2 mygateway.example.com. AQNR | 0a 03 02 096d7967617465776179076578616d706c6503636f6d00 010351
        AMTRELAY | 10 0 1 203.0.113.15 | 0a 01 cb00710f
        AMTRELAY | 10 1 3 a. | 0a 83 016100
        AMTRELAY | 128 1 0 . | 80 80
        HIP | 2 200100107B1A74DF365639CC39F1D578 AwEAAb== rvs1.example.com. rvs2 | 10 02 0004 200100107b1a74df365639cc39f1d578 03010001 0472767331076578616d706c6503636f6d00 0472767332076578616d706c6503636f6d00 | 2 200100107b1a74df365639cc39f1d578 AwEAAQ== rvs1.example.com. rvs2.example.com.
        CAA | 0 issue "ca1.example.net" | 00 056973737565 6361312e6578616d706c652e6e6574
        CAA | 128 tbs Unknown | 80 03746273 556e6b6e6f776e | 128 tbs "Unknown"
        CAA | 0 issue "" | 00 056973737565
        URI | 10 1 "ftp://ftp1.example.com/public" | 000a 0001 6674703a2f2f667470312e6578616d706c652e636f6d2f7075626c6963
        CSYNC | 66 3 A NS AAAA | 00000042 0003 000460000008
        ZONEMD | 2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE | 7848b78c 01 01 febe3d4ce2ec2ffa4ba99d46cd69d6d29711e55217057bee | 2018031500 1 1 febe3d4ce2ec2ffa4ba99d46cd69d6d29711e55217057bee
        APL | 1:192.168.32.0/21 !1:192.168.38.0/28 | 00011503c0a820 00011c83c0a826
        APL | 2:FF00:0:0:0:0:0:0:0/8 1:0.0.0.0/0 | 00020801ff 00010000 | 2:ff00::/8 1:0.0.0.0/0
        "#,
    );
    assert_eq!(wire("APL", "").as_deref(), Ok([].as_slice()));
    round_trip(RecordType::APL, b"");
}

#[test]
fn locators_and_hardware_addresses() {
    check_good(
        "
        NID | 10 0014:4fff:ff20:ee64 | 000a 00144fffff20ee64
        L32 | 10 10.1.2.0 | 000a 0a010200
        L64 | 10 2001:0DB8:1140:1000 | 000a 20010db811401000 | 10 2001:0db8:1140:1000
        L64 | 10 1:2:3:4 | 000a 0001000200030004 | 10 0001:0002:0003:0004
        LP | 10 l64-subnet1.example.com. | 000a 0b6c36342d7375626e657431076578616d706c6503636f6d00
        EUI48 | 00-00-5e-00-53-2a | 00005e00532a
        EUI64 | 00-00-5E-EF-10-00-00-2A | 00005eef1000002a | 00-00-5e-ef-10-00-00-2a
        ",
    );
}

#[test]
fn service_bindings_of_rfc_9460_appendix_d() {
    check_good(
        r#"
        HTTPS | 0 foo.example.com. | 0000 03666f6f076578616d706c6503636f6d00
        SVCB | 1 . | 0001 00
        SVCB | 16 foo.example.com. port=53 | 0010 03666f6f076578616d706c6503636f6d00 0003 0002 0035
        SVCB | 1 foo.example.com. key667=hello | 0001 03666f6f076578616d706c6503636f6d00 029b 0005 68656c6c6f | 1 foo.example.com. key667="hello"
        SVCB | 1 foo.example.com. key667="hello\210qoo" | 0001 03666f6f076578616d706c6503636f6d00 029b 0009 68656c6c6fd2716f6f
        SVCB | 1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1" | 0001 03666f6f076578616d706c6503636f6d00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001 | 1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1
        SVCB | 1 example.com. ipv6hint="2001:db8:122:344::192.0.2.33" | 0001 076578616d706c6503636f6d00 0006 0010 20010db80122034400000000c0000221 | 1 example.com. ipv6hint=2001:db8:122:344::c000:221
        SVCB | 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 | 0010 03666f6f076578616d706c65036f726700 0000 0004 0001 0004 0001 0009 026832 0568332d3139 0004 0004 c0000201 | 16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1
        SVCB | 16 foo.example.org. alpn="f\\\\oo\\,bar,h2" | 0010 03666f6f076578616d706c65036f726700 0001 000c 08665c6f6f2c626172 026832 | 16 foo.example.org. alpn="f\\\\oo\\,bar,h2"
        SVCB | 16 foo.example.org. alpn=f\\\092oo\092,bar,h2 | 0010 03666f6f076578616d706c65036f726700 0001 000c 08665c6f6f2c626172 026832 | 16 foo.example.org. alpn="f\\\\oo\\,bar,h2"
        HTTPS | 1 . alpn=h2 no-default-alpn ech="AAAA" | 0001 00 0001 0003 026832 0002 0000 0005 0003 000000 | 1 . alpn="h2" no-default-alpn ech=AAAA
        HTTPS | 1 . key1=\002h2 | 0001 00 0001 0003 026832 | 1 . alpn="h2"
        SVCB | 1 . key9 key7=/dns-query{?dns} ohttp | 0001 00 0007 0010 2f646e732d71756572797b3f646e737d 0008 0000 0009 0000 | 1 . dohpath="/dns-query{?dns}" ohttp key9
        "#,
    );
}

#[test]
fn faulty_service_bindings_of_rfc_9460_appendix_d() {
    check_bad(
        r#"
        SVCB | 1 foo.example.com. ( key123=abc key123=def ) | 1:33: expected each key once, found `key123=def`
        SVCB | 1 foo.example.com. mandatory | 1:20: expected a list of the other keys, each once, with commas between them, found `mandatory`
        SVCB | 1 foo.example.com. alpn | 1:20: expected a list of protocols of 1 to 255 octets with commas between them, found `alpn`
        SVCB | 1 foo.example.com. port | 1:20: expected a port up to 65535, found `port`
        SVCB | 1 foo.example.com. ipv4hint | 1:20: expected a list of IPv4 addresses with commas between them, found `ipv4hint`
        SVCB | 1 foo.example.com. ipv6hint | 1:20: expected a list of IPv6 addresses with commas between them, found `ipv6hint`
        SVCB | 1 foo.example.com. no-default-alpn=abc | 1:20: expected a key without a value, found `no-default-alpn=abc`
        SVCB | 1 foo.example.com. mandatory=key123 | 1:20: expected every key that `mandatory` names to be there
        SVCB | 1 foo.example.com. mandatory=mandatory | 1:20: expected a list of the other keys, each once, with commas between them, found `mandatory=mandatory`
        SVCB | 1 foo.example.com. ( mandatory=key123,key123 key123=abc ) | 1:22: expected a list of the other keys, each once, with commas between them, found `mandatory=key123,key123`
        SVCB | 1 . alpn="h2 | 1:10: expected a closing quote on the same line, found none
        SVCB | 1 . al\pn=h2 | 1:5: expected the key of a service parameter, found `al\pn=h2`
        SVCB | 1 . key3=a | 1:5: expected a port up to 65535, found `key3=a`
        SVCB | 1 . alpn=h2,,h3 | 1:5: expected a list of protocols of 1 to 255 octets with commas between them, found `alpn=h2,,h3`
        SVCB | 1 . "alpn=h2" | 1:5: expected a service parameter, found the quoted string `alpn=h2`
        "#,
    );
}

#[test]
fn faulty_data_is_told_with_its_place() {
    check_bad(
        r#"
        A |  | 1:1: expected an IPv4 address, found the end of the record
        A | 1.2.3 | 1:1: expected an IPv4 address, found `1.2.3`
        A | 1.2.3.256 | 1:1: expected an IPv4 address, found `1.2.3.256`
        A | 01.2.3.4 | 1:1: expected an IPv4 address, found `01.2.3.4`
        A | 1.2.3.4 5 | 1:9: expected the end of the record, found `5`
        A | "1.2.3.4" | 1:1: expected an IPv4 address, found the quoted string `1.2.3.4`
        AAAA | 1::2::3 | 1:1: expected an IPv6 address, found `1::2::3`
        AAAA | 12345:: | 1:1: expected an IPv6 address, found `12345::`
        MX | 65536 a. | 1:1: expected a number up to 65535, found `65536`
        MX | 10 | 1:3: expected a domain name, found the end of the record
        MX | 10 "a." | 1:4: expected a domain name, found the quoted string `a.`
        NS | a..b | 1:1: a label is empty: expected a domain name, found `a..b`
        NS | a\256 | 1:1: a backslash must be followed by a character or by three digits up to 255: expected a domain name, found `a\256`
        TXT |  | 1:1: expected a character string, found the end of the record
        TXT | "a | 1:1: expected a closing quote on the same line, found none
        TXT | "a"b | 1:4: expected a blank after the closing quote
        TXT | a"b" | 1:2: expected no quote within a word: quote the whole or write `\"`
        TXT | a="b" | 1:3: expected no quote within a word: quote the whole or write `\"`
        TXT | a\ | 1:2: expected a character after `\`, found the end of the line
        TXT | \30x | 1:1: expected a backslash to be followed by a character or by three digits up to 255, found `\30x`
        TXT | ( a | 1:1: expected a `)` to this `(`, found the end of the text
        TXT | a ) | 1:3: expected no `)` here, found one without its `(`
        TXT | ( a ( b ) ) | 1:5: expected no second `(` before the one at 1:1 is closed
        X25 | 12a4 | 1:1: expected at least four digits, found `12a4`
        GPOS | 1 2 x | 1:5: expected a decimal fraction, found `x`
        CAA | 0 is-sue "a" | 1:3: expected a tag of letters and digits, found `is-sue`
        CAA | 256 issue "a" | 1:1: expected a number up to 255, found `256`
        URI | 1 1 "" | 1:5: expected a string that is not empty, found the quoted string ``
        DS | 1 8 2 | 1:6: expected hexadecimal digits, found the end of the record
        DS | 1 8 2 abc | 1:7: expected an even number of hexadecimal digits, found an odd one
        DS | 1 8 2 ab xy | 1:10: expected hexadecimal digits, found `xy`
        DS | 1 NONE 2 ab | 1:3: expected an algorithm, found `NONE`
        DNSKEY | 256 3 8 A | 1:9: expected base64 in groups of four digits, found one cut short
        DNSKEY | 256 3 8 AAAA !! | 1:14: expected base64, found `!!`
        RRSIG | A 5 3 86400 20030332173103 20030220173103 2642 a. AA== | 1:13: expected a time as YYYYMMDDHHmmSS or in seconds since 1970, found `20030332173103`
        RRSIG | FOO 5 3 86400 0 0 1 a. AA== | 1:1: expected a record type, found `FOO`
        NSEC | a. A FOO | 1:6: expected a record type, found `FOO`
        NSEC3 | 1 0 0 abc k8udemvp1j2f7eg6jebps17vp3n8i58h | 1:7: expected a salt of at most 255 octets in hexadecimal, or `-`, found `abc`
        NSEC3 | 1 0 0 - wxyz | 1:9: expected a hash in base32hex, found `wxyz`
        LOC | 91 N 0 E 0 | 1:1: expected degrees of latitude up to 90, found `91`
        LOC | 90 1 N 0 E 0 | 1:4: expected an angle within its quarter or half circle, found `1`
        LOC | 1 2 60 N 0 E 0 | 1:5: expected seconds up to 59.999, or `N` or `S`, found `60`
        LOC | 1 2 3 4 N 0 E 0 | 1:7: expected `N` or `S`, found `4`
        LOC | 1 N 2 E | 1:8: expected an altitude in metres, found the end of the record
        LOC | 1 N 2 E 3 90000001m | 1:11: expected a size in metres up to 90000000.00, found `90000001m`
        EUI48 | 00-00-5e-00-53 | 1:1: expected six octets in hexadecimal with `-` between them, found `00-00-5e-00-53`
        EUI48 | 0-00-5e-00-53-22 | 1:1: expected six octets in hexadecimal with `-` between them, found `0-00-5e-00-53-22`
        L64 | 1 1:2:3 | 1:3: expected four hexadecimal numbers with `:` between them, found `1:2:3`
        APL | 3:1.2.3.4/8 | 1:1: expected an address prefix such as `1:192.0.2.0/24` or `!2:2001:db8::/32`, found `3:1.2.3.4/8`
        APL | 1:1.2.3.4/33 | 1:1: expected an address prefix such as `1:192.0.2.0/24` or `!2:2001:db8::/32`, found `1:1.2.3.4/33`
        IPSECKEY | 1 4 0 . | 1:3: expected a gateway type from 0 to 3, found `4`
        IPSECKEY | 1 0 2 a. AA== | 1:7: expected `.` for no gateway, found `a.`
        IPSECKEY | 1 0 2 . | 1:8: expected a public key in base64, found the end of the record
        IPSECKEY | 1 0 0 . AA== | 1:9: expected the end of the record, found `AA==`
        AMTRELAY | 1 2 0 . | 1:3: expected `0` or `1` for the discovery bit, found `2`
        HIP | 2 0 AA== | 1:3: expected a HIT of at most 255 octets in hexadecimal, found `0`
        SOA | a. b. 1 2 3 4 | 1:14: expected a number of seconds, found the end of the record
        SOA | a. b. 1 2 3 4 5x | 1:15: expected a number of seconds, found `5x`
        NULL | abcd | 1:1: expected `\#` and hexadecimal, the only form of NULL data here, found `abcd`
        TYPE65280 | 1.2.3.4 | 1:1: expected `\#` and hexadecimal, the only form of TYPE65280 data here, found `1.2.3.4`
        "#,
    );
}

#[test]
fn generic_data_of_rfc_3597_is_checked_against_its_type() {
    check_good(
        r#"
        TYPE731 | \# 6 abcdef ( 01 23 45 ) | abcdef012345 | \# 6 abcdef012345
        A | \# 4 0A000001 | 0a000001 | 10.0.0.1
        NULL | \# 1 ff | ff | \# 1 ff
        TXT | \# 1 00 | 00 | ""
        "#,
    );
    assert_eq!(wire("TYPE62347", "\\# 0").as_deref(), Ok([].as_slice()));
    round_trip(RecordType(62347), b"");
    check_bad(
        r"
        A | \# 4 0a0000 | 1:4: expected 4 octets of RDATA, found 3
        A | \# 3 0a0000 | 1:4: not RDATA of type A: expected an IPv4 address at octet 0 of the RDATA
        A | \# 5 0a00000001 | 1:4: not RDATA of type A: expected nothing more at octet 4 of the RDATA
        A | \# 0 | 1:4: not RDATA of type A: expected an IPv4 address at octet 0 of the RDATA
        MX | \# 4 000ac00c | 1:4: not RDATA of type MX: expected an uncompressed domain name of at most 255 octets at octet 2 of the RDATA
        NSEC | \# 5 00000200 00 | 1:4: not RDATA of type NSEC: expected windows of a type bitmap in rising order at octet 1 of the RDATA
        SVCB | \# 11 0001 00 0003000100 00 00 | 1:4: expected 11 octets of RDATA, found 10
        TYPE1 | \# 1 00 | 1:4: not RDATA of type A: expected an IPv4 address at octet 0 of the RDATA
        TYPE9999 | \# 65536 00 | 1:4: expected the number of octets after `\#`, up to 65535, found `65536`
        TYPE9999 | \# | 1:3: expected the number of octets after `\#`, up to 65535, found the end of the record
        TYPE9999 | \# 1 0 | 1:7: expected an even number of hexadecimal digits, found an odd one
        TYPE9999 | \# 1 0g | 1:6: expected hexadecimal digits, found `0g`
        ",
    );
}

#[test]
fn strings_and_data_may_be_as_long_as_the_wire_allows_and_no_longer() {
    assert_eq!(wire("TXT", &"a".repeat(255)).unwrap().len(), 256);
    assert_eq!(
        wire("TXT", &"a".repeat(256)),
        Err("1:1: expected at most 255 octets in a string, found 256".to_owned())
    );
    assert_eq!(wire("TXT", &format!("{} b", "\\097".repeat(255))).unwrap().len(), 258);
    let long = format!("{} ", "a".repeat(255)).repeat(255) + &"b".repeat(254);
    assert_eq!(wire("TXT", &long).unwrap().len(), 65_535);
    assert!(wire("TXT", &format!("{long}c")).unwrap_err().contains("at most 65535 octets of RDATA"));
    assert!(wire("OPENPGPKEY", &"AAAA ".repeat(30_000)).unwrap_err().contains("at most 65535"));
    assert!(wire("TYPE999", &format!("\\# 65535 {}", "00".repeat(65_535))).is_ok());
    let label = "a".repeat(63);
    assert_eq!(wire("NS", &format!("{label}.")).unwrap().len(), 65);
    assert!(
        wire("NS", &format!("{label}a.")).unwrap_err().starts_with("1:1: a label is longer than 63 octets")
    );
    let name = format!("{label}.{label}.{label}.{label}.");
    assert!(wire("NS", &name).unwrap_err().starts_with("1:1: the name is longer than 255 octets"));
}

#[test]
fn locations_that_text_cannot_write_are_printed_as_octets() {
    let mut octets = wire("LOC", "42 21 54 N 71 06 18 W -24m 30m").unwrap();
    octets[1] = 0x01;
    assert!(text(RecordType::LOC, &octets).starts_with("\\# 16 "));
    round_trip(RecordType::LOC, &octets);
    octets[4] = 0xff;
    round_trip(RecordType::LOC, &octets);
}

#[test]
fn malformed_octets_are_printed_as_octets() {
    assert_eq!(text(RecordType::A, &[1, 2, 3]), "\\# 3 010203");
    assert_eq!(text(RecordType::NS, &[0xc0, 0x0c]), "\\# 2 c00c");
}

/// The types of the table, and some that are not in it.
fn any_type() -> impl Strategy<Value = RecordType> {
    let known: Vec<RecordType> =
        (0..=u16::MAX).map(RecordType).filter(|rtype| layout(*rtype) != [Field::Opaque]).collect();
    prop_oneof![9 => proptest::sample::select(known), 1 => any::<u16>().prop_map(RecordType)]
}

/// Octets that often make something: small numbers, names, strings.
fn likely_octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(0u8..4, 0..5),
        Just(b"\x03www\x07EXAMPLE\0".to_vec()),
        Just(b"\x04a.\\\"\0".to_vec()),
        Just(b"\0\x06\x40\x01\0\0\0\x03".to_vec()),
        proptest::collection::vec(any::<u8>(), 1..9).prop_map(|s| [&[s.len() as u8], s.as_slice()].concat()),
        proptest::collection::vec(any::<u8>(), 0..24),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_octets_survive_print_and_read(rtype in any_type(), octets in likely_octets()) {
        let printed = text(rtype, &octets);
        match validate(rtype, &octets) {
            Ok(()) => {
                let again = parse(rtype, printed.as_bytes(), &Name::ROOT);
                prop_assert_eq!(again.map_err(|e| format!("{printed}: {e:?}")), Ok(octets));
            }
            Err(_) => prop_assert!(printed.starts_with("\\# ")),
        }
    }

    #[test]
    fn what_is_read_is_valid_and_survives(rtype in any_type(), text_in in "(([0-9]{1,3}|[a-z.]{1,5}|A|\"[ -~]{0,9}\"|[0-9a-f:]{1,9}|1\\.2\\.3\\.[0-9]|AA==|-|alpn=h2|[NE]|\\\\[0-9]{1,3}) ){0,9}") {
        if let Ok(octets) = parse(rtype, text_in.as_bytes(), &Name::ROOT) {
            prop_assert_eq!(validate(rtype, &octets), Ok(()));
            let printed = text(rtype, &octets);
            let again = parse(rtype, printed.as_bytes(), &Name::ROOT);
            prop_assert_eq!(again.map_err(|e| format!("{printed}: {e:?}")), Ok(octets));
        }
    }

    #[test]
    fn random_octets_never_panic(rtype in any_type(), octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(rtype, &octets, &Name::ROOT);
        let _ = validate(rtype, &octets);
        let _ = text(rtype, &octets);
        let _ = names(rtype, &octets).count();
        canonicalize(rtype, &mut octets.clone());
    }
}
