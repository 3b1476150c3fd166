//! Zones within each other, each signed by another program and at a server of its own.

use crate::attacks::at;
use crate::signer::{ending, key, sign};
use crate::world::{Process, QUERIES};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where the server of the zone at that depth is.
fn server(depth: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 3, depth as u8, 1)
}

/// The root at none, `a.a.` at two.
fn apex(depth: usize) -> String {
    if depth == 0 { ".".to_owned() } else { "a.".repeat(depth) }
}

/// The servers, which run.
pub struct Chain {
    servers: Vec<Process>,
    /// An address that the last zone has.
    pub name: String,
    /// The file with the root's server.
    pub hints: PathBuf,
    /// The file with the root's DS record.
    pub anchor: PathBuf,
}

impl Chain {
    /// So many zones below the root.
    pub fn start(dir: &Path, depth: usize) -> Chain {
        let (mut servers, mut below) = (Vec::new(), String::new());
        let (hints, mut anchor) = (dir.join("chain.hints"), PathBuf::new());
        for depth in (0..=depth).rev() {
            let (zone, address) = (apex(depth), server(depth));
            let file = dir.join(format!("chain-{depth}.zone"));
            let own = "@ SOA ns admin 1 2 3 4 300\n@ NS ns";
            let text = format!("$ORIGIN {zone}\n$TTL 3600\n{own}\nns A {address}\nwww A {}\n{below}", at(1));
            fs::write(&file, text).expect("a file");
            let key = key(dir, &zone);
            let signed = sign(&zone, &file, &key, &[]);
            anchor = ending(&key, "ds");
            let ds = fs::read_to_string(&anchor).expect("a DS");
            below = format!("{zone} NS ns.{zone}\nns.{zone} A {address}\n{ds}");
            servers.push(Process::hivedns(&format!("chain-{depth}"), address, dir, |command| {
                // It tells what it serves, and asks nobody.
                command.env("HIVEDNS_FORWARD__.", "refuse");
                command.arg("--zone").arg(format!("{zone}={}", signed.display()));
            }));
        }
        servers.iter_mut().zip((0..=depth).rev()).for_each(|(server, depth)| server.wait(&[&apex(depth)]));
        fs::write(&hints, format!(". 518400 NS ns.\nns. 518400 A {}\n", server(0))).expect("a file");
        Chain { servers, name: format!("www.{}", apex(depth)), hints, anchor }
    }

    /// What each server has been asked so far.
    pub fn asked(&self) -> Vec<usize> {
        self.servers.iter().map(|server| server.counted(QUERIES) as usize).collect()
    }
}
