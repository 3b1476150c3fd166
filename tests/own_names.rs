//! Names that are ours and others': chains that come back from elsewhere, and reverse names of addresses that a site
//! uses itself.
#![allow(unreachable_pub, reason = "a test program has no outside")]

#[path = "oracle/mod.rs"]
mod oracle;
#[path = "support/site.rs"]
mod site;

use oracle::message::{self, AA, Message, RD};
use oracle::names;
use site::{PATIENCE, Plan, Site, zone};

const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const PTR: u16 = 12;
const DS: u16 = 43;
const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;
const REFUSED: u16 = 5;

/// The answer to a question with these flags.
fn ask(site: &Site, flags: u16, name: &str, qtype: u16) -> Message {
    let socket = site.udp();
    let wire = names::from_text(name).expect("a name");
    socket.send(&message::query(9, flags, &wire, qtype, 1, None)).expect("loopback takes it");
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{name}: {error}\n{}", site.log()));
    message::decode(&buffer[..len]).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Owner, type and RDATA of the answer section, each a line; RDATA other than an address or a name as its length.
fn answer(message: &Message) -> Vec<String> {
    let records = message.sections[0].iter();
    let line = |record: &message::Record| {
        let rdata = match record.rtype {
            A => record.rdata.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            _ => names::to_text(&record.rdata),
        };
        format!("{} {} {rdata}", names::to_text(&record.owner), record.rtype)
    };
    records.map(line).collect()
}

/// The owners of SOA records in the authority section.
fn absent_in(message: &Message) -> Vec<String> {
    let records = message.sections[1].iter().filter(|record| record.rtype == SOA);
    records.map(|record| names::to_text(&record.owner)).collect()
}

#[test]
fn an_alias_found_elsewhere_that_leads_into_a_zone_of_ours_goes_on_there() {
    // It has a zone of that name, too, with other content.
    let aliases = "back CNAME own.z.\nlost CNAME nothing.z.\nfar CNAME out.z.\nround CNAME round.z.\nlong CNAME back\n\
                   plain A 192.0.2.8\n";
    let theirs = "own A 203.0.113.1\nnothing A 203.0.113.2\nout A 203.0.113.3\nround A 203.0.113.4\n";
    let upper = Site::start(&Plan {
        zones: &[("up.test.", zone(1, aliases)), ("z.", zone(1, theirs))],
        ..Plan::default()
    });
    let ours =
        "own A 192.0.2.77\nout CNAME plain.up.test.\nround CNAME round.up.test.\nnone CNAME absent.y.\n";
    let forward = format!("\".\" = [\"refuse\"]\n\"up.test\" = [\"{}\"]", upper.reachable());
    let site = Site::start(&Plan {
        zones: &[("z.", zone(1, ours)), ("y.", zone(1, ""))],
        forward: &forward,
        ..Plan::default()
    });
    let own = "own.z. 1 192.0.2.77";
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    // The second time from the cache.
    for _ in 0..2 {
        for (name, rcode, expected, absent, authority) in [
            ("back.up.test.", NOERROR, lines(&["back.up.test. 5 own.z.", own]), lines(&[]), 0),
            (
                "long.up.test.",
                NOERROR,
                lines(&["long.up.test. 5 back.up.test.", "back.up.test. 5 own.z.", own]),
                lines(&[]),
                0,
            ),
            ("lost.up.test.", NXDOMAIN, lines(&["lost.up.test. 5 nothing.z."]), lines(&["z."]), 0),
            // Out, back, and out again.
            (
                "far.up.test.",
                NOERROR,
                lines(&["far.up.test. 5 out.z.", "out.z. 5 plain.up.test.", "plain.up.test. 1 192.0.2.8"]),
                lines(&[]),
                0,
            ),
            // Around for ever: what was collected.
            (
                "round.z.",
                NOERROR,
                lines(&["round.z. 5 round.up.test.", "round.up.test. 5 round.z."]),
                lines(&[]),
                AA,
            ),
            // From one zone of ours into another, which says by its own SOA that there is nothing.
            ("none.z.", NXDOMAIN, lines(&["none.z. 5 absent.y."]), lines(&["y."]), AA),
        ] {
            let reply = ask(&site, RD, name, A);
            assert_eq!((reply.rcode(), answer(&reply)), (rcode, expected), "{name}");
            assert_eq!((absent_in(&reply), reply.flags & AA), (absent, authority), "{name}");
        }
        // Who asks for an alias gets it.
        assert_eq!(answer(&ask(&site, RD, "back.up.test.", CNAME)), ["back.up.test. 5 own.z."]);
    }
}

#[test]
fn reverse_names_that_are_forwarded_are_taken_out_of_the_empty_zones() {
    let upper = Site::start(&Plan {
        zones: &[
            ("2.1.10.in-addr.arpa.", zone(1, "3 PTR host.site.test.\n")),
            ("168.192.in-addr.arpa.", zone(1, "4.3 PTR other.site.test.\n")),
        ],
        ..Plan::default()
    });
    let forward = format!(
        "\".\" = [\"refuse\"]\n\"1.10.in-addr.arpa\" = [\"{0}\"]\n\"168.192.in-addr.arpa\" = [\"{0}\"]\n\
         \"9.9.10.in-addr.arpa\" = [\"{0}\"]",
        upper.reachable()
    );
    let site = Site::start(&Plan {
        // A zone of the operator's keeps what lies below it.
        zones: &[("9.10.in-addr.arpa.", zone(1, "1.9 PTR own.site.test.\n"))],
        forward: &forward,
        ..Plan::default()
    });
    for (name, rcode, expected) in [
        ("3.2.1.10.in-addr.arpa.", NOERROR, "3.2.1.10.in-addr.arpa. 12 host.site.test."),
        ("4.3.168.192.in-addr.arpa.", NOERROR, "4.3.168.192.in-addr.arpa. 12 other.site.test."),
        ("1.9.9.10.in-addr.arpa.", NOERROR, "1.9.9.10.in-addr.arpa. 12 own.site.test."),
        ("9.2.1.10.in-addr.arpa.", NXDOMAIN, ""),
        // Beside it the zone is as empty as it was.
        ("3.2.2.10.in-addr.arpa.", NXDOMAIN, ""),
        ("3.2.16.172.in-addr.arpa.", NXDOMAIN, ""),
    ] {
        let reply = ask(&site, RD, name, PTR);
        assert_eq!((reply.rcode(), answer(&reply).join("\n")), (rcode, expected.to_owned()), "{name}");
    }
    assert_eq!(absent_in(&ask(&site, RD, "9.2.1.10.in-addr.arpa.", PTR)), ["2.1.10.in-addr.arpa."]);
    assert_eq!(absent_in(&ask(&site, RD, "3.2.2.10.in-addr.arpa.", PTR)), ["10.in-addr.arpa."]);
    // Above that suffix is an empty zone of ours: its DS is asked for where its names are.
    assert_eq!(ask(&site, RD, "1.10.in-addr.arpa.", DS).rcode(), NXDOMAIN);
    // Without RD only our zones answer; the suffix is none of them.
    assert_eq!(ask(&site, 0, "3.2.1.10.in-addr.arpa.", PTR).rcode(), REFUSED);
    assert_eq!(ask(&site, 0, "1.10.in-addr.arpa.", DS).rcode(), REFUSED);
    assert_eq!(ask(&site, 0, "3.2.2.10.in-addr.arpa.", PTR).rcode(), NXDOMAIN);
}
