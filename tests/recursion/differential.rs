//! The same questions to Unbound, over the same world: code and answer section agree.

use crate::apart;
use crate::oracle::message::Message;
use crate::oracle::names;
use crate::world::{CLIENT, OTHER, Process, RESOLVER, World, exchange, query, root_hints};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Types asked for of each name.
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("DNAME", 39),
    ("DS", 43),
];

/// Names asked for: those that are there, those that wildcards and aliases make, and those that are not.
const NAMES: &[&str] = &[
    ".",
    "edu.",
    "example.",
    "nowhere.",
    "a.root.",
    "a.nic.edu.",
    "nowhere.edu.",
    "groucho.edu.",
    "www.groucho.edu.",
    "ns1.groucho.edu.",
    "mail2.groucho.edu.",
    "campus-net.groucho.edu.",
    "time.groucho.edu.",
    "gcc.groucho.edu.",
    "margaret.gcc.groucho.edu.",
    "dumont.gcc.groucho.edu.",
    "nowhere.gcc.groucho.edu.",
    "_tcp.groucho.edu.",
    "_ldap._tcp.groucho.edu.",
    "_submission._tcp.groucho.edu.",
    "students.groucho.edu.",
    "harpo.students.groucho.edu.",
    "a.b.students.groucho.edu.",
    "union.students.groucho.edu.",
    "below.union.students.groucho.edu.",
    "*.students.groucho.edu.",
    "mathematics.groucho.edu.",
    "gauss.mathematics.groucho.edu.",
    "nowhere.mathematics.groucho.edu.",
    "maths.groucho.edu.",
    "erdos.maths.groucho.edu.",
    "euler.maths.groucho.edu.",
    "preprints.maths.groucho.edu.",
    "jobs.maths.groucho.edu.",
    "0.number.maths.groucho.edu.",
    "7.number.maths.groucho.edu.",
    "daleth.infinity.maths.groucho.edu.",
    "aleph.beth.gimel.daleth.infinity.maths.groucho.edu.",
    "_http._tcp.maths.groucho.edu.",
    "nowhere.maths.groucho.edu.",
    "physics.groucho.edu.",
    "niels.physics.groucho.edu.",
    "www.physics.groucho.edu.",
    "left.collider.physics.groucho.edu.",
    "cat.box.physics.groucho.edu.",
    "theory.physics.groucho.edu.",
    "wheeler.theory.physics.groucho.edu.",
    "emmy.theory.physics.groucho.edu.",
    "everything.theory.physics.groucho.edu.",
    "philosophy.groucho.edu.",
    "diogenes.philosophy.groucho.edu.",
    "any.barber.philosophy.groucho.edu.",
    "huxley.edu.",
    "www.huxley.edu.",
    "time.huxley.edu.",
    "sophie.maths.huxley.edu.",
    "freedonia.example.",
    "www.freedonia.example.",
    "lost.freedonia.example.",
    "idle.freedonia.example.",
    "mathematician.freedonia.example.",
    "campus.freedonia.example.",
    "print.campus.freedonia.example.",
    "step1.freedonia.example.",
    "er.than.freedonia.example.",
    "deep.er.than.freedonia.example.",
    "x.alias.freedonia.example.",
    "www.lame.example.",
    "www.near.example.",
];

/// Questions whose answers differ, and why that is so: name, type, reason.
const DISPUTES: &[(&str, &str, &str)] = &[];

/// Code and answer section: owners, types and data, whatever their order and TTL.
type Said = (u16, BTreeSet<(String, u16, Vec<u8>)>);

fn said(reply: &Message) -> Said {
    let records = reply.sections[0].iter();
    (
        reply.rcode(),
        records.map(|record| (names::to_text(&record.owner), record.rtype, record.rdata.clone())).collect(),
    )
}

/// Unbound, which walks from the root that this file names, and validates if there is an anchor.
pub fn unbound_of(dir: &Path, hints: &Path, anchor: Option<&Path>) -> Process {
    let modules = match anchor {
        Some(anchor) => {
            format!("\"validator iterator\"\n  trust-anchor-file: \"{}\"", anchor.display())
        }
        None => "\"iterator\"".to_owned(),
    };
    let text = format!(
        "server:\n  interface: {OTHER}\n  port: 53\n  num-threads: 1\n  username: \"\"\n  chroot: \"\"\n  \
         directory: \"{dir}\"\n  pidfile: \"\"\n  use-syslog: no\n  access-control: 10.0.0.0/8 allow\n  \
         root-hints: \"{hints}\"\n  module-config: {modules}\n  do-not-query-localhost: yes\n  do-ip6: no\n  \
         do-not-query-address: {OTHER}\n  do-not-query-address: {RESOLVER}\n  outgoing-interface: {OTHER}\n  \
         local-zone: \"test.\" nodefault\nremote-control:\n  control-enable: no\n",
        dir = dir.display(),
        hints = hints.display(),
    );
    let config = dir.join("unbound.conf");
    fs::write(&config, text).expect("a file");
    Process::start("unbound", OTHER, dir, "unbound", |command| {
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-d", "-c"]).arg(&config);
    })
}

#[test]
fn unbound_gives_the_same_answers() {
    apart("differential::unbound_gives_the_same_answers", || {
        let world = World::start(|_| {});
        let mut unbound = unbound_of(world.dir(), &root_hints(world.dir()), None);
        unbound.wait(&["localhost.", "edu."]);
        let (mut asked, mut disputes, mut excused) = (0, Vec::new(), BTreeSet::new());
        for name in NAMES {
            for (rtype, number) in TYPES {
                let question = query(9, 0, name, *number);
                let [ours, theirs] = [RESOLVER, OTHER].map(|to| {
                    let reply = exchange(to, CLIENT, &question);
                    said(&reply.unwrap_or_else(|| panic!("{name} {rtype}: {to} is silent")))
                });
                asked += 1;
                let known = DISPUTES.iter().find(|(of, by, _)| of == name && by == rtype);
                match (ours == theirs, known) {
                    (true, _) => {}
                    (false, Some(known)) => drop(excused.insert(*known)),
                    (false, None) => {
                        disputes.push(format!("{name} {rtype}:\n  ours   {ours:?}\n  theirs {theirs:?}\n"));
                    }
                }
            }
        }
        println!("{asked} questions, {} disputes", disputes.len());
        assert!(disputes.is_empty(), "{} of {asked} questions:\n{}", disputes.len(), disputes.concat());
        // A reason that nothing needs any more would cover the next mistake.
        assert_eq!(excused.len(), DISPUTES.len(), "{excused:?}");
    });
}
