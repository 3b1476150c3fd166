//! Aliases that lead out of what is looked for from the root: to names that another server is asked for, and to ours.

use crate::oracle::message::Message;
use crate::oracle::process::TempDir;
use crate::world::{A, NOERROR, NXDOMAIN, OTHER, Process, World};
use crate::{addresses, apart, owners};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The file of a zone with these records.
fn zone(dir: &Path, name: &str, records: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{records}"))
        .expect("a file");
    path
}

/// Code, records of the answer, the last octet of each address.
fn told(reply: &Message) -> (u16, usize, Vec<u8>) {
    let last = addresses(reply).into_iter().map(|address: Ipv4Addr| address.octets()[3]).collect();
    (reply.rcode(), owners(reply, 0).len(), last)
}

#[test]
fn a_walk_leaves_names_to_those_who_are_asked_for_them() {
    apart("ways::a_walk_leaves_names_to_those_who_are_asked_for_them", || {
        let dir = TempDir::new("ways", false).expect("a directory");
        let own = zone(dir.path(), "own", "union A 192.0.2.5\n");
        let world = World::start(|command| {
            command.env("HIVEDNS_FORWARD__GROUCHO.EDU.", OTHER.to_string());
            command.arg("--zone").arg(format!("students.groucho.edu.={}", own.display()));
        });
        let records = "www A 192.0.2.7\nnowhere A 192.0.2.8\nunion.students A 192.0.2.66\n";
        let zone = zone(dir.path(), "inner", records);
        let mut inner = Process::hivedns("inner", OTHER, world.dir(), |command| {
            command.env("HIVEDNS_FORWARD__.", "refuse");
            command.arg("--zone").arg(format!("groucho.edu.={}", zone.display()));
        });
        inner.wait(&["groucho.edu."]);
        let before = world.asked_of("edu");
        for (name, chain, last) in [
            // The world has them otherwise, or not at all.
            ("www.freedonia.example.", 2, 7),
            ("lost.freedonia.example.", 2, 8),
            ("www.campus.freedonia.example.", 3, 7),
            // A zone of ours comes before all others.
            ("idle.freedonia.example.", 2, 5),
        ] {
            // The second time from memory.
            for _ in 0..2 {
                assert_eq!(told(&world.ask(name, A)), (NOERROR, chain, vec![last]), "{name}");
            }
        }
        assert_eq!(told(&world.ask("none.campus.freedonia.example.", A)), (NXDOMAIN, 2, vec![]));
        assert_eq!(world.asked_of("edu") - before, 0, "nobody outside has heard of the names");
        let inner = inner.counted("hivedns_worker_queries_total");
        // Its SOA was asked for once at least to see that it is there.
        assert!(inner >= 4, "{inner}");
    });
}
