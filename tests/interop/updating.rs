//! Updates that nobody may send, that come twice, and that are cut off by the end of the server: what is refused leaves no
//! trace, what is acknowledged is never lost.

use crate::oracle::message::{self, Record};
use crate::oracle::process::{Server, TempDir};
use crate::oracle::{names, transport, until_within};
use crate::peers::{KEY, ORIGIN, port};
use crate::{PACE, PATIENCE, serial};
use hivedns::base::config::Hmac;
use hivedns::base::time::WallSeconds;
use hivedns::os::clock;
use hivedns::transfer::tsig::Key;
use hivedns::transfer::tsig::client::Exchange;
use hivedns::wire::name::Name;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const SECRET: [u8; 32] = [7; 32];
const IN: u16 = 1;
const NONE: u16 = 254;
/// The class, and the type.
const ANY: u16 = 255;
const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AXFR: u16 = 252;

const ZONE: &str =
    "$TTL 60\n@ SOA ns admin 1 3600 5 86400 60\n@ NS ns\nns A 192.0.2.1\na A 192.0.2.2\nown TXT \"x\"\n";

/// hivedns with the zone of that file, which may be changed with the key.
fn hivedns(dir: &Path, address: SocketAddr) -> Server {
    let secret = data_encoding::BASE64.encode(&SECRET);
    fs::write(dir.join("secret"), secret).expect("a file");
    if !dir.join("zone").exists() {
        fs::write(dir.join("zone"), ZONE).expect("a file");
    }
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\nworkers = 2\nstate_dir = \"state\"\n[http]\nlisten = \"{}\"\n\
         [forward]\n\".\" = [\"refuse\"]\n[[zone]]\norigin = \"{ORIGIN}\"\nfile = \"zone\"\nupdate = [\"key:{KEY}\", \"key:some.\"]\n\
         [[zone]]\norigin = \"fixed.test.\"\nfile = \"zone\"\n\
         [[key]]\nname = \"{KEY}\"\nsecret_file = \"secret\"\n[[key]]\nname = \"other.\"\nsecret_file = \"secret\"\n\
         [[key]]\nname = \"some.\"\nsecret_file = \"secret\"\nnames = [\"own.{ORIGIN}\"]\ntypes = [\"TXT\"]\n",
        port(),
    );
    fs::write(dir.join("hivedns.toml"), text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.args(["serve", "-c", "hivedns.toml", "--no-gossip", "--no-docker", "--control", "control"]);
    command.current_dir(dir);
    let origin = names::from_text(ORIGIN).expect("a name");
    Server::start("hivedns", command, address, dir, &[origin]).unwrap_or_else(|error| panic!("{error}"))
}

/// A record of a message.
fn record(owner: &str, class: u16, rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut record = names::from_text(owner).expect("a name");
    [rtype, class].iter().for_each(|field| record.extend(field.to_be_bytes()));
    record.extend(ttl.to_be_bytes());
    record.extend((rdata.len() as u16).to_be_bytes());
    record.extend(rdata);
    record
}

/// An update of a zone.
fn update(id: u16, origin: &str, prerequisites: &[Vec<u8>], instructions: &[Vec<u8>]) -> Vec<u8> {
    let mut message = message::query(id, 5 << 11, &names::from_text(origin).expect("a name"), SOA, IN, None);
    (message[7], message[9]) = (prerequisites.len() as u8, instructions.len() as u8);
    prerequisites.iter().chain(instructions).for_each(|record| message.extend(record));
    message
}

fn key(name: &str, secret: &[u8]) -> Arc<Key> {
    Arc::new(Key::new(&Name::parse(name).expect("a name"), Hmac::Sha256, secret))
}

fn signed(mut message: Vec<u8>, key: &Arc<Key>, now: WallSeconds) -> Vec<u8> {
    Exchange::begin(key, &mut message, now);
    message
}

/// The zone as it is, whatever the order.
fn content(server: SocketAddr) -> Vec<Record> {
    let mut all =
        transport::transfer(server, &names::from_text(ORIGIN).expect("a name")).expect("a transfer");
    all.sort_by(|a, b| (&a.owner, a.rtype, &a.rdata).cmp(&(&b.owner, b.rtype, &b.rdata)));
    all
}

/// The code that a message gets over UDP, and over TCP the same.
fn told(server: SocketAddr, message: &[u8]) -> u16 {
    let udp = transport::udp(server, &[message.to_vec()]).expect("loopback").pop().flatten();
    let tcp = transport::tcp(server, &[message.to_vec()]).pop().flatten();
    let code =
        |reply: Option<Vec<u8>>| message::decode(&reply.expect("an answer")).expect("a message").rcode();
    let (udp, tcp) = (code(udp), code(tcp));
    assert_eq!(udp, tcp);
    udp
}

/// Octets of the TSIG record behind its signature: original id, error, no other data.
const BEHIND_MAC: usize = 6;
const MAC: usize = 32;

/// The same with a signature cut to so many octets.
fn truncated(mut message: Vec<u8>, octets: usize) -> Vec<u8> {
    let mac_at = message.len() - BEHIND_MAC - MAC;
    // Before it: its length; before that the fudge, the time, the algorithm's name.
    let rdata_at = mac_at - 2 - 2 - 6 - b"\x0bhmac-sha256\0".len();
    message.drain(mac_at + octets..mac_at + MAC);
    message[mac_at - 2..mac_at].copy_from_slice(&(octets as u16).to_be_bytes());
    let len = (message.len() - rdata_at) as u16;
    message[rdata_at - 2..rdata_at].copy_from_slice(&len.to_be_bytes());
    message
}

#[test]
fn who_may_not_and_what_cannot_be_changes_nothing() {
    let dir = TempDir::new("abuse", false).expect("a directory");
    let server = hivedns(dir.path(), port());
    let (at, now) = (server.address, clock::wall_seconds());
    let (right, some, before) = (key(KEY, &SECRET), key("some.", &SECRET), content(at));
    let owner = |label: &str| format!("{label}.{ORIGIN}");
    let add = || record(&owner("evil"), IN, A, 60, &[192, 0, 2, 66]);
    let all_goes = || record(&owner("a"), ANY, ANY, 0, &[]);
    let plain = || update(7, ORIGIN, &[], &[add(), all_goes()]);
    let sign = |message: Vec<u8>| signed(message, &right, now);
    let one = |instruction: Vec<u8>| sign(update(7, ORIGIN, &[], &[add(), instruction]));
    let (refused, not_auth, form_err, not_zone) = (5, 9, 1, 10);
    for (what, message, expected) in [
        ("unsigned", plain(), refused),
        ("another secret", signed(plain(), &key(KEY, &[8; 32]), now), not_auth),
        ("an unknown key", signed(plain(), &key("none.", &SECRET), now), not_auth),
        ("a key that may not", signed(plain(), &key("other.", &SECRET), now), refused),
        ("too early", signed(plain(), &right, WallSeconds(now.0 - 1_000)), not_auth),
        ("too late", signed(plain(), &right, WallSeconds(now.0 + 1_000)), not_auth),
        ("a signature cut to half", truncated(sign(plain()), MAC / 2), not_auth),
        ("a signature cut to nothing", truncated(sign(plain()), 0), form_err),
        (
            "changed after it was signed",
            {
                let mut message = sign(plain());
                message[26] ^= 2;
                message
            },
            not_auth,
        ),
        (
            "a zone of nobody",
            sign(update(7, "nowhere.test.", &[], &[record("x.nowhere.test.", IN, A, 60, &[1; 4])])),
            not_auth,
        ),
        (
            "below the apex",
            sign(update(7, &owner("a"), &[], &[record(&owner("x.a"), IN, A, 60, &[1; 4])])),
            not_auth,
        ),
        (
            "a zone that is not to be changed",
            sign(update(7, "fixed.test.", &[], &[record("x.fixed.test.", IN, A, 60, &[1; 4])])),
            refused,
        ),
        (
            "a built-in zone",
            sign(update(7, "localhost.", &[], &[record("localhost.", ANY, ANY, 0, &[])])),
            refused,
        ),
        ("a name elsewhere", one(record("x.elsewhere.test.", IN, A, 60, &[1; 4])), not_zone),
        ("all of class ANY with a TTL", one(record(&owner("a"), ANY, ANY, 1, &[])), form_err),
        ("all of class ANY with RDATA", one(record(&owner("a"), ANY, A, 0, &[192, 0, 2, 2])), form_err),
        ("AXFR of class ANY", one(record(&owner("a"), ANY, AXFR, 0, &[])), form_err),
        ("one of class NONE with a TTL", one(record(&owner("a"), NONE, A, 1, &[192, 0, 2, 2])), form_err),
        ("all of class NONE", one(record(&owner("a"), NONE, ANY, 0, &[])), form_err),
        ("all of class IN", one(record(&owner("a"), IN, ANY, 60, &[])), form_err),
        ("another class", one(record(&owner("a"), 4, A, 60, &[1; 4])), form_err),
        ("an address of five octets", one(record(&owner("a"), IN, A, 60, &[1; 5])), form_err),
        (
            "a prerequisite that does not hold",
            sign(update(7, ORIGIN, &[record(&owner("none"), ANY, ANY, 0, &[])], &[add()])),
            3,
        ),
        (
            "a prerequisite with a TTL",
            sign(update(7, ORIGIN, &[record(&owner("a"), ANY, ANY, 1, &[])], &[add()])),
            form_err,
        ),
        (
            "a name that is not the key's",
            signed(update(7, ORIGIN, &[], &[record(&owner("a"), IN, TXT, 60, b"\x01x")]), &some, now),
            refused,
        ),
        (
            "a type that is not the key's",
            signed(update(7, ORIGIN, &[], &[record(&owner("own"), IN, A, 60, &[1; 4])]), &some, now),
            refused,
        ),
        (
            "its own and another's",
            signed(
                update(7, ORIGIN, &[], &[record(&owner("own"), ANY, ANY, 0, &[]), all_goes()]),
                &some,
                now,
            ),
            refused,
        ),
        // The zone's own are left without a word.
        ("the last name server", sign(update(7, ORIGIN, &[], &[record(ORIGIN, ANY, NS, 0, &[])])), 0),
        ("the SOA", sign(update(7, ORIGIN, &[], &[record(ORIGIN, ANY, SOA, 0, &[])])), 0),
    ] {
        assert_eq!(told(at, &message), expected, "{what}\n{}", server.log());
        assert_eq!(content(at), before, "{what}");
    }
    // And who may does.
    assert_eq!(
        told(
            at,
            &signed(update(7, ORIGIN, &[], &[record(&owner("own"), IN, TXT, 60, b"\x01y")]), &some, now)
        ),
        0
    );
    assert_eq!(content(at).len(), before.len() + 1);
}

#[test]
fn a_message_that_is_sent_again_is_carried_out_once_and_answered_twice() {
    let dir = TempDir::new("again", false).expect("a directory");
    let server = hivedns(dir.path(), port());
    let (at, right) = (server.address, key(KEY, &SECRET));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(PATIENCE)).expect("an option");
    let owner = format!("once.{ORIGIN}");
    let message = update(
        77,
        ORIGIN,
        &[record(&owner, NONE, ANY, 0, &[])],
        &[record(&owner, IN, A, 60, &[192, 0, 2, 9])],
    );
    let message = signed(message, &right, clock::wall_seconds());
    let mut buffer = [0; 512];
    let mut code = || {
        let len = socket.recv(&mut buffer).expect("an answer");
        message::decode(&buffer[..len]).expect("a message").rcode()
    };
    socket.send_to(&message, at).expect("loopback");
    assert_eq!(code(), 0, "{}", server.log());
    // By its own prerequisites it would fail now, as it does by another way.
    for _ in 0..3 {
        socket.send_to(&message, at).expect("loopback");
        assert_eq!(code(), 0);
    }
    let tcp = transport::tcp(at, &[message]).pop().flatten().expect("an answer");
    assert_eq!(message::decode(&tcp).expect("a message").rcode(), 6);
    assert_eq!(serial(at), Some(2));
}

/// Updates that are on their way at once.
const OUTSTANDING: usize = 16;

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let dir = TempDir::new("killed", false).expect("a directory");
    let (address, right) = (port(), key(KEY, &SECRET));
    let mut acknowledged: Vec<u32> = Vec::new();
    let mut next = 0u32;
    for round in 0..5 {
        let mut server = hivedns(dir.path(), address);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        let mut waiting: HashMap<u16, u32> = HashMap::new();
        // Each round ends at another moment of what goes on.
        let (mut left, mut buffer) = (37 + 29 * round, [0; 512]);
        while left > 0 {
            while waiting.len() < OUTSTANDING {
                let owner = format!("u{next}.{ORIGIN}");
                let message =
                    update(next as u16, ORIGIN, &[], &[record(&owner, IN, A, 60, &next.to_be_bytes())]);
                socket.send_to(&signed(message, &right, clock::wall_seconds()), address).expect("loopback");
                waiting.insert(next as u16, next);
                next += 1;
            }
            let len = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
            let reply = message::decode(&buffer[..len]).expect("a message");
            assert_eq!(reply.rcode(), 0, "{}", server.log());
            acknowledged.extend(waiting.remove(&u16::from_be_bytes([buffer[0], buffer[1]])));
            left -= 1;
        }
        server.kill();
        let server = hivedns(dir.path(), address);
        let all = content(address);
        let there: Vec<u32> = all
            .iter()
            .filter(|record| record.rtype == A)
            .filter_map(|record| record.rdata.first_chunk().map(|octets| u32::from_be_bytes(*octets)))
            .collect();
        let lost: Vec<&u32> = acknowledged.iter().filter(|number| !there.contains(number)).collect();
        assert_eq!(lost, [&0; 0], "of {} acknowledged, round {round}\n{}", acknowledged.len(), server.log());
    }
    assert!(acknowledged.len() > 400);
}

#[test]
fn more_updates_than_are_carried_out_at_once_are_told_so_and_none_waits_for_ever() {
    const SENT: u16 = 1_000;
    let dir = TempDir::new("many", false).expect("a directory");
    let server = hivedns(dir.path(), port());
    let (at, right) = (server.address, key(KEY, &SECRET));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("an option");
    let now = clock::wall_seconds();
    for id in 0..SENT {
        let owner = format!("m{id}.{ORIGIN}");
        let [high, low] = id.to_be_bytes();
        let message = update(id, ORIGIN, &[], &[record(&owner, IN, A, 60, &[10, 77, high, low])]);
        socket.send_to(&signed(message, &right, now), at).expect("loopback");
    }
    let (mut buffer, mut told) = ([0; 512], HashMap::<u16, u16>::new());
    while let Ok(len) = socket.recv(&mut buffer) {
        let code = message::decode(&buffer[..len]).expect("a message").rcode();
        assert_eq!(told.insert(u16::from_be_bytes([buffer[0], buffer[1]]), code), None, "one answer each");
    }
    let there: HashSet<u16> = content(at)
        .iter()
        .filter(|record| record.rtype == A && record.rdata.starts_with(&[10, 77]))
        .filter_map(|record| record.rdata.last_chunk().map(|id| u16::from_be_bytes(*id)))
        .collect();
    // A question or an answer that the kernel had no room for is nobody's: only what was answered is known.
    for (id, code) in &told {
        match code {
            0 => assert!(there.contains(id), "update {id} was acknowledged"),
            2 => assert!(!there.contains(id), "update {id} was refused"),
            other => panic!("update {id} was told {other}"),
        }
    }
    assert!(told.values().any(|code| *code == 0), "{told:?}");
    assert!(until_within(PATIENCE, PACE, || serial(at) == Some(1 + there.len() as u32)));
}
