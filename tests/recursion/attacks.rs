//! The attacks by their names: whose scenario, what is asked, and what it may cost.

use crate::script::scenario;
use crate::world::{NOERROR, SERVFAIL};
use std::net::Ipv4Addr;
use std::time::Duration;

/// The bounds on packets, for one question and for a failing one that is asked ten times.
pub const PACKETS_MAX: usize = 50;
const FAILING_MAX: usize = 15;
/// The longest that a question may take.
pub const TIME_MAX: Duration = Duration::from_secs(10);
/// Where nobody is silent nothing is waited for; but the machine is not ours alone.
const QUICK_MAX: Duration = Duration::from_secs(3);
/// How often a failing question is asked.
const TIMES: u16 = 10;

/// A question about names whose owner wants it to cost as much as can be.
pub struct Attack {
    pub what: &'static str,
    pub scenario: &'static str,
    /// What the scenario's world becomes before.
    pub then: &'static str,
    pub name: &'static str,
    pub times: u16,
    pub victims: &'static [Ipv4Addr],
    pub packets_max: usize,
    pub time_max: Duration,
    pub rcode: u16,
}

pub const fn at(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, last)
}

pub const ATTACKS: &[Attack] = &[
    Attack {
        what: "NXNS (CVE-2020-8616): 60 name servers in a victim's zone",
        scenario: scenario!("nxns"),
        then: "",
        name: "x.a.evil.test.",
        times: 1,
        victims: &[at(30), at(31)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "NXNS, the victim is silent",
        scenario: scenario!("nxns"),
        then: "@ 192.0.2.30 192.0.2.31 silent",
        name: "x.b.evil.test.",
        times: 1,
        victims: &[at(30), at(31)],
        packets_max: PACKETS_MAX,
        time_max: TIME_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "NRDelegation (CVE-2022-3204): servers in zones delegated to nobody",
        scenario: scenario!("nrdelegation"),
        then: "",
        name: "x.a.evil.test.",
        times: 1,
        victims: &[at(30)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "CAMP: aliases to names of many labels",
        scenario: scenario!("camp"),
        then: "",
        name: "x1.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.evil.test.",
        times: 1,
        victims: &[at(66)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "TsuNAME: two zones whose servers lie in each other",
        scenario: scenario!("tsuname"),
        then: "",
        name: "www.one.test.",
        times: 1,
        victims: &[Ipv4Addr::new(198, 51, 100, 10)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "endless CNAME, one alias in each answer",
        scenario: scenario!("endless_cname"),
        then: "",
        name: "c1.good.test.",
        times: 1,
        victims: &[],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "silent servers, ten times",
        scenario: scenario!("silent"),
        then: "",
        name: "www.dead.test.",
        times: TIMES,
        victims: &[at(71), at(72)],
        packets_max: FAILING_MAX,
        time_max: TIME_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "servers that say SERVFAIL, ten times",
        scenario: scenario!("servfail"),
        then: "",
        name: "a.b.bad.test.",
        times: TIMES,
        victims: &[at(71), at(72)],
        packets_max: FAILING_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "a server that truncates over TCP, too, ten times",
        scenario: scenario!("always_tc"),
        then: "",
        name: "www.good.test.",
        times: TIMES,
        victims: &[at(10)],
        packets_max: FAILING_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "glue that leads to 127.0.0.1",
        scenario: scenario!("glue_to_loopback"),
        then: "",
        name: "www.evil.test.",
        times: 1,
        victims: &[],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "mismatched replies before the right one, ten names",
        scenario: scenario!("mismatched_replies"),
        then: "@ 192.0.2.10 mismatched\nzone good.test.\nrepeat 0-9 w$.good.test. 60 A 192.0.2.81",
        name: "w{}.good.test.",
        times: TIMES,
        victims: &[],
        packets_max: FAILING_MAX,
        time_max: QUICK_MAX,
        rcode: NOERROR,
    },
    Attack {
        what: "a set of 10,000 addresses",
        scenario: scenario!("base"),
        then: "@ 192.0.2.10 records=10000",
        name: "many.good.test.",
        times: 1,
        victims: &[at(10)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: SERVFAIL,
    },
    Attack {
        what: "an answer of 64 KiB",
        scenario: scenario!("base"),
        then: "@ 192.0.2.10 records=4090",
        name: "large.good.test.",
        times: 1,
        victims: &[at(10)],
        packets_max: PACKETS_MAX,
        time_max: QUICK_MAX,
        rcode: NOERROR,
    },
];
