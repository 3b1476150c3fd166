//! What strangers, slow peers and bad primaries can do: nothing that changes a zone or keeps others waiting.

use crate::oracle::process::{Server, TempDir};
use crate::oracle::{message, names, now, transport, until_within};
use crate::peers::{ORIGIN, port};
use crate::{PACE, PATIENCE, serial};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// hivedns with this `[[zone]]`, and none of the keys.
fn hivedns(dir: &Path, address: SocketAddr, zone: &str) -> Server {
    let text = format!(
        "[server]\nlisten = [\"{address}\"]\nworkers = 1\nstate_dir = \"state\"\ntcp_idle = \"2s\"\n\
         [http]\nlisten = \"{}\"\n[forward]\n\".\" = [\"refuse\"]\n[[zone]]\norigin = \"{ORIGIN}\"\n{zone}\n",
        port(),
    );
    fs::write(dir.join("hivedns.toml"), text).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
    command.args(["serve", "-c", "hivedns.toml", "--no-gossip", "--control", "control"]).current_dir(dir);
    Server::start("hivedns", command, address, dir, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn question(id: u16, qtype: u16) -> Vec<u8> {
    message::query(id, 0, &names::from_text(ORIGIN).expect("a name"), qtype, 1, None)
}

/// Octets of an SOA record of the question's name.
fn soa(serial: u32) -> Vec<u8> {
    let mut record = b"\xc0\x0c\0\x06\0\x01\0\0\0\x3c\0\x16\0\0".to_vec();
    [serial, 1, 1, 3_600, 5].iter().for_each(|field| record.extend(field.to_be_bytes()));
    record
}

/// The answer to a question with these records.
fn answer(asked: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let question_end = 12 + asked[12..].iter().position(|octet| *octet == 0).expect("a name") + 5;
    let mut answer = asked[..question_end].to_vec();
    answer[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    records.iter().for_each(|record| answer.extend(record));
    answer
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// How a primary goes wrong.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// It never ends.
    Endless,
    /// It closes the connection in the midst.
    Short,
    /// It answers for another zone.
    OtherZone,
    /// Its last SOA is another one.
    OtherSoa,
    /// A record is cut short.
    Torn,
}

/// A primary that tells `first` and then, at each further question for a transfer, goes wrong. What it was asked is
/// counted.
fn primary(address: SocketAddr, serials: Arc<AtomicUsize>, fault: Fault, asked: Arc<AtomicUsize>) {
    let udp = UdpSocket::bind(address).expect("a port");
    let tcp = TcpListener::bind(address).expect("a port");
    let told = Arc::clone(&serials);
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = udp.recv_from(&mut buffer) {
            let serial = told.load(Ordering::SeqCst) as u32;
            let _ = udp.send_to(&answer(&buffer[..len], &[soa(serial)]), from);
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            asked.fetch_add(1, Ordering::SeqCst);
            let serial = serials.load(Ordering::SeqCst) as u32;
            let _ = transfer(stream, serial, (serial > 1).then_some(fault));
        }
    });
}

fn transfer(mut stream: TcpStream, serial: u32, fault: Option<Fault>) -> std::io::Result<()> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut asked = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut asked)?;
    let ns = b"\xc0\x0c\0\x02\0\x01\0\0\0\x3c\0\x02\xc0\x0c".to_vec();
    let host =
        |octet: u8| [b"\x01h\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02".to_vec(), vec![octet]].concat();
    let (first, last) = (vec![soa(serial), ns, host(1)], soa(serial));
    match fault {
        None => stream.write_all(&framed(&answer(&asked, &[&first[..], &[last]].concat()))),
        Some(Fault::Short) => stream.write_all(&framed(&answer(&asked, &first))),
        Some(Fault::OtherZone) => {
            asked[13] ^= 1;
            stream.write_all(&framed(&answer(&asked, &[&first[..], &[last]].concat())))
        }
        Some(Fault::OtherSoa) => {
            stream.write_all(&framed(&answer(&asked, &[&first[..], &[soa(serial + 1)]].concat())))
        }
        Some(Fault::Torn) => {
            let whole = answer(&asked, &[&first[..], &[last]].concat());
            stream.write_all(&framed(&whole[..whole.len() - 3]))
        }
        Some(Fault::Endless) => {
            stream.write_all(&framed(&answer(&asked, &first)))?;
            let more = framed(&answer(&asked, &vec![host(2); 200]));
            loop {
                stream.write_all(&more)?;
            }
        }
    }
}

/// The address of `h` in the zone.
fn host(server: SocketAddr) -> Option<Vec<u8>> {
    let name = names::from_text(&format!("h.{ORIGIN}")).expect("a name");
    let reply = transport::udp(server, &[message::query(7, 0, &name, 1, 1, None)]).ok()?.pop()??;
    Some(message::decode(&reply).ok()?.sections[0].first()?.rdata.clone())
}

#[test]
fn a_bad_primary_leaves_the_old_zone_serving() {
    for fault in [Fault::Short, Fault::OtherZone, Fault::OtherSoa, Fault::Torn] {
        let dir = TempDir::new("bad-primary", false).expect("a directory");
        let (at, own) = (port(), port());
        let (serials, asked) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        primary(at, Arc::clone(&serials), fault, Arc::clone(&asked));
        let server = hivedns(dir.path(), own, &format!("primary = [\"{at}\"]"));
        let there = until_within(PATIENCE, PACE, || serial(own) == Some(1));
        assert!(there, "{fault:?}\n{}", server.log());
        let before = asked.load(Ordering::SeqCst);
        serials.store(2, Ordering::SeqCst);
        // It is asked again and again, each time in vain.
        let tried = until_within(PATIENCE, PACE, || asked.load(Ordering::SeqCst) >= before + 3);
        assert!(tried, "{fault:?}\n{}", server.log());
        assert_eq!(
            (serial(own), host(own)),
            (Some(1), Some(vec![192, 0, 2, 1])),
            "{fault:?}\n{}",
            server.log()
        );
    }
}

#[test]
fn a_primary_that_never_ends_keeps_nobody_waiting() {
    let dir = TempDir::new("endless", false).expect("a directory");
    let (at, own) = (port(), port());
    let (serials, asked) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
    primary(at, Arc::clone(&serials), Fault::Endless, Arc::clone(&asked));
    let server = hivedns(dir.path(), own, &format!("primary = [\"{at}\"]"));
    assert!(until_within(PATIENCE, PACE, || serial(own) == Some(1)), "{}", server.log());
    let before = asked.load(Ordering::SeqCst);
    serials.store(2, Ordering::SeqCst);
    assert!(until_within(PATIENCE, PACE, || asked.load(Ordering::SeqCst) > before), "{}", server.log());
    // While it comes queries are answered, and so are users: the thread that takes it does all else besides.
    for _ in 0..20 {
        let begun = now();
        assert_eq!(host(own), Some(vec![192, 0, 2, 1]));
        let mut zones = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        zones.args(["zones", "--format", "json", "--control", "control"]).current_dir(dir.path());
        let output = zones.output().expect("the program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(now() - begun < Duration::from_secs(5));
    }
    assert_eq!(serial(own), Some(1));
}

#[test]
fn news_from_a_stranger_is_none() {
    let dir = TempDir::new("stranger", false).expect("a directory");
    let (at, own) = (port(), port());
    let (serials, asked) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
    primary(at, serials, Fault::Short, Arc::clone(&asked));
    // The primary has another address than the stranger.
    let server = hivedns(dir.path(), own, &format!("primary = [\"{at}\"]\naccept_notify = [\"127.0.0.3\"]"));
    assert!(until_within(PATIENCE, PACE, || serial(own) == Some(1)), "{}", server.log());
    let mut notify = question(9, 6);
    notify[2] = 0x24;
    for (from, expected) in [("127.0.0.2", 5), ("127.0.0.3", 0)] {
        let socket = UdpSocket::bind((from, 0)).expect("loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        socket.send_to(&notify, own).expect("loopback");
        let mut buffer = [0; 512];
        let len = socket.recv(&mut buffer).expect("an answer");
        assert_eq!((buffer[2] & 0xf8, buffer[3] & 15, len), (0xa0, expected, notify.len()), "{from}");
    }
}

#[test]
fn peers_that_take_nothing_lose_their_transfer_and_hold_up_nobody() {
    const STALLED: usize = 30;
    let dir = TempDir::new("stalled", false).expect("a directory");
    let (file, own) = (dir.path().join("zone"), port());
    // Large enough that no kernel's buffers hold it.
    let mut text =
        String::from("$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nh A 192.0.2.1\n");
    let record = "x".repeat(250);
    (0..60_000).for_each(|number| text.push_str(&format!("n{number} TXT \"{record}\"\n")));
    fs::write(&file, text).expect("a file");
    let server = hivedns(dir.path(), own, &format!("file = \"{}\"", file.display()));
    assert!(until_within(PATIENCE, PACE, || serial(own) == Some(1)), "{}", server.log());
    let mut stalled: Vec<TcpStream> = (0..STALLED)
        .map(|_| {
            let mut stream = TcpStream::connect(own).expect("it listens");
            stream.write_all(&framed(&question(7, 252))).expect("it takes the question");
            stream
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(host(own), Some(vec![192, 0, 2, 1]));
    }
    // Whoever takes it gets all of it meanwhile.
    let all = transport::transfer(own, &names::from_text(ORIGIN).expect("a name")).expect("a transfer");
    assert_eq!(all.len(), 60_004);
    // The others get the beginning, and then the end of the connection.
    for stream in &mut stalled {
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let connections = || {
            let mut metrics = String::new();
            let mut http = TcpStream::connect(metrics_address(dir.path())).expect("it listens");
            let request = b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            http.write_all(request).and_then(|()| http.read_to_string(&mut metrics)).expect("an answer");
            metrics.lines().any(|line| line == "hivedns_tcp_connections 0")
        };
        assert!(until_within(PATIENCE, PACE, connections), "{}", server.log());
        let mut taken = Vec::new();
        // An error, if the other side reset it: that is an end, too.
        let _ = stream.read_to_end(&mut taken);
        assert!(!taken.is_empty() && taken.len() < 15_000_000, "{} octets", taken.len());
    }
}

/// Where the server of that directory tells its metrics.
fn metrics_address(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("hivedns.toml")).expect("a file");
    let line = text.lines().skip_while(|line| *line != "[http]").nth(1).expect("an address").to_owned();
    line.split('"').nth(1).expect("an address").to_owned()
}
