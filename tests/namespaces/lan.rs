//! Hosts with network stacks of their own, on a LAN whose links can be cut: namespaces, veth pairs and bridges of the
//! kernel. What is made here lies within a namespace of the test's own, so it is gone when the test's process is,
//! however that ended.
//!
//! ```text
//!   host 0      host 1      host 2 ...      each: a network namespace
//!   lan0 ways0  lan0 ways0  lan0 ways0
//!    │    │      │    │      │    │
//!    │    └──────┼────┴──────┼────┴── bridge `ways`   10.54.0.0/24: how the test itself reaches a host, always
//!    └───────────┴─────┬─────┘
//!        bridge `left` or `right`                     10.53.0.0/24: the cluster's LAN; two bridges are a split
//! ```

use crate::apart::{ip, said};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

/// A half of the LAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Left,
    Right,
}

/// So many hosts, numbered from 0.
pub struct Lan {
    hosts: usize,
}

impl Lan {
    /// Hosts on one LAN whose links take packets of `mtu` octets.
    pub fn new(hosts: usize, mtu: usize) -> Lan {
        ip("link set lo up");
        for bridge in ["left", "right", "ways"] {
            ip(&format!("link add {bridge} type bridge"));
            ip(&format!("link set {bridge} up"));
        }
        ip("addr add 10.54.0.254/24 dev ways");
        for host in 0..hosts {
            ip(&format!("netns add h{host}"));
            for (inside, outside, bridge, octets, address) in [
                ("lan0", "l", "left", mtu, Lan::address(host)),
                ("ways0", "w", "ways", 1_500, Lan::way(host)),
            ] {
                ip(&format!(
                    "link add {outside}{host} mtu {octets} type veth peer name {inside} netns h{host} mtu {octets}"
                ));
                ip(&format!("link set {outside}{host} master {bridge} up"));
                ip(&format!("-n h{host} addr add {address}/24 dev {inside}"));
                ip(&format!("-n h{host} link set {inside} up"));
            }
            ip(&format!("-n h{host} link set lo up"));
        }
        Lan { hosts }
    }

    /// Where the cluster finds a host.
    pub fn address(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 53, 0, host as u8 + 1)
    }

    /// Where the test finds it, whatever becomes of the LAN.
    pub fn way(host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 54, 0, host as u8 + 1)
    }

    /// A command that runs on a host, and ends with the thread that starts it.
    pub fn on(host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("h{host}"), "setpriv", "--pdeathsig", "KILL", "--", program]);
        command
    }

    /// Pulls the plug of a host, at the switch's end.
    pub fn cut(&self, host: usize) {
        ip(&format!("link set l{host} down"));
    }

    /// Puts it back.
    pub fn heal(&self, host: usize) {
        ip(&format!("link set l{host} up"));
    }

    /// Puts a host on that half: only those of one half hear each other.
    pub fn move_to(&self, host: usize, half: Half) {
        let bridge = if half == Half::Left { "left" } else { "right" };
        ip(&format!("link set l{host} master {bridge}"));
    }

    /// What `from` sends to `to` is lost without a word.
    pub fn blackhole(&self, from: usize, to: usize) {
        ip(&format!("-n h{from} route add blackhole {}/32", Lan::address(to)));
    }

    /// It is not any more.
    pub fn clear(&self, from: usize, to: usize) {
        ip(&format!("-n h{from} route del blackhole {}/32", Lan::address(to)));
    }

    /// Packets that any host cut into fragments, or had to put together.
    pub fn fragments(&self) -> u64 {
        (0..self.hosts).map(fragments).sum()
    }
}

/// Of one host, by the kernel's own count.
fn fragments(host: usize) -> u64 {
    let output = said(Lan::on(host, "cat").arg("/proc/net/snmp"));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip:"));
    let (names, numbers) = (lines.next().expect("names"), lines.next().expect("numbers"));
    let pairs = names.split_whitespace().zip(numbers.split_whitespace());
    let counted = ["ReasmReqds", "FragOKs", "FragFails", "FragCreates"];
    let found: Vec<u64> = pairs
        .filter(|(name, _)| counted.contains(name))
        .map(|(_, number)| number.parse().expect("a number"))
        .collect();
    assert_eq!(found.len(), counted.len(), "{text}");
    found.iter().sum()
}

/// An address with a port.
pub fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((address, port))
}
