//! The built-in zones: what every name server is asked for and nobody should have to configure.
//!
//! `localhost.` and the reverse of the loopback addresses answer with data (RFC 6761 §6.3); the
//! reverse zones of addresses that mean nothing outside a site are empty, so that questions about
//! them end here and not at the root (RFC 6303 §4, RFC 7793 §2). Each yields to a configured zone of
//! the same origin; a configured zone below one of them is the closer one and wins by itself.
//!
//! Texts are relative to the origin they are read with: no `$ORIGIN`, no name spelt out.
//!
//! Not here, on purpose:
//! - `home.arpa.` (RFC 8375): it belongs to the router of a home, and an empty zone of ours would
//!   hide the names of that home from whoever forwards to us.
//! - `invalid.` (RFC 6761 §6.4), `onion.` (RFC 7686), `test.`, `example.`: their NXDOMAIN protects
//!   the root from resolvers and is said by the part that resolves. To a question without recursion
//!   REFUSED is the truer word: such a name is no zone of ours.

/// RFC 6303 §3: the SOA and NS of an empty zone. The zone's name is its own server, without an
/// address: nothing shall ever be sent there.
const EMPTY: &str = "\
@ 10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800
@ 10800 IN NS  @
";

/// RFC 6761 §6.3: `localhost.` and every name below it are the loopback addresses.
const LOCALHOST: &str = "\
@ 10800 IN SOA  @ nobody.invalid. 1 3600 1200 604800 10800
@ 10800 IN NS   @
@ 10800 IN A    127.0.0.1
@ 10800 IN AAAA ::1
* 10800 IN A    127.0.0.1
* 10800 IN AAAA ::1
";

/// 127.0.0.0/8: of all loopback addresses only 127.0.0.1 has a name.
const LOOPBACK_V4: &str = "\
@     10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800
@     10800 IN NS  @
1.0.0 10800 IN PTR localhost.
";

/// ::1: the zone is the one address itself.
const LOOPBACK_V6: &str = "\
@ 10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800
@ 10800 IN NS  @
@ 10800 IN PTR localhost.
";

/// One row per zone; `octet in parent` stands for one zone per octet, for neither cuts nor wildcards
/// can say "16 to 31".
macro_rules! builtin {
    ($($origin:literal $text:ident)* ; $($octet:literal)* in $parent:literal ; $($octet2:literal)* in $parent2:literal) => {
        &[
            $(($origin, concat!("built-in:", $origin), $text),)*
            $((concat!($octet, $parent), concat!("built-in:", $octet, $parent), EMPTY),)*
            $((concat!($octet2, $parent2), concat!("built-in:", $octet2, $parent2), EMPTY),)*
        ]
    };
}

/// The built-in zones: origin, the name under which faults in them would be told, text.
#[rustfmt::skip]
pub const BUILTIN: &[(&str, &str, &str)] = builtin! {
    // With data.
    "localhost."                            LOCALHOST
    "127.in-addr.arpa."                     LOOPBACK_V4
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa." LOOPBACK_V6
    // RFC 6303 §4.1: private addresses (RFC 1918); 172.16.0.0/12 stands at the end.
    "10.in-addr.arpa."                      EMPTY
    "168.192.in-addr.arpa."                 EMPTY
    // RFC 6303 §4.2: this network, link-local, documentation, broadcast.
    "0.in-addr.arpa."                       EMPTY
    "254.169.in-addr.arpa."                 EMPTY
    "2.0.192.in-addr.arpa."                 EMPTY
    "100.51.198.in-addr.arpa."              EMPTY
    "113.0.203.in-addr.arpa."               EMPTY
    "255.255.255.255.in-addr.arpa."         EMPTY
    // RFC 6303 §4.3: the unspecified address.
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa." EMPTY
    // RFC 6303 §4.4: unique local addresses; §4.5: link-local; §4.6: documentation.
    "d.f.ip6.arpa."                         EMPTY
    "8.e.f.ip6.arpa."                       EMPTY
    "9.e.f.ip6.arpa."                       EMPTY
    "a.e.f.ip6.arpa."                       EMPTY
    "b.e.f.ip6.arpa."                       EMPTY
    "8.b.d.0.1.0.0.2.ip6.arpa."             EMPTY
    ;
    // RFC 6303 §4.1: 172.16.0.0/12.
    16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 in ".172.in-addr.arpa."
    ;
    // RFC 7793 §2: shared address space, 100.64.0.0/10.
     64  65  66  67  68  69  70  71  72  73  74  75  76  77  78  79
     80  81  82  83  84  85  86  87  88  89  90  91  92  93  94  95
     96  97  98  99 100 101 102 103 104 105 106 107 108 109 110 111
    112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127 in ".100.in-addr.arpa."
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::name::Name;
    use std::collections::HashSet;

    #[test]
    fn every_origin_is_a_name_and_none_is_built_in_twice() {
        let origins: HashSet<_> = BUILTIN.iter().map(|(origin, _, _)| *origin).collect();
        assert_eq!(origins.len(), BUILTIN.len());
        for origin in origins {
            assert!(Name::parse(origin).is_ok(), "{origin}");
            assert!(origin.ends_with('.'), "{origin}");
        }
    }

    #[test]
    fn all_zones_of_rfc_6303_and_7793_are_there() {
        let of = |parent: &str| BUILTIN.iter().filter(|(origin, _, _)| origin.ends_with(parent)).count();
        assert_eq!(of(".172.in-addr.arpa."), 16);
        assert_eq!(of(".100.in-addr.arpa."), 64);
        assert_eq!(of("in-addr.arpa."), 16 + 64 + 9);
        assert_eq!(of("ip6.arpa."), 8);
        assert_eq!(BUILTIN.len(), 16 + 64 + 9 + 8 + 1);
    }

    #[test]
    fn every_zone_has_the_soa_and_ns_that_rfc_6303_prescribes() {
        for (origin, _, text) in BUILTIN {
            let words: Vec<_> = text.split_whitespace().collect();
            let soa = "@ 10800 IN SOA @ nobody.invalid. 1 3600 1200 604800 10800 @ 10800 IN NS @";
            assert_eq!(words[..16].join(" "), soa, "{origin}");
        }
    }
}
