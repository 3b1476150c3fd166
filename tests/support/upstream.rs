//! A name server of the test's own: it says what it was told to say, and remembers what it was asked.
//!
//! Each test program uses a part of it.
#![allow(dead_code)]

use crate::oracle::message::{self, Message};
use crate::oracle::names;
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a thread looks whether it is to end.
const PACE: Duration = Duration::from_millis(20);

/// What is said to a question.
#[derive(Clone)]
pub enum Said {
    /// These records of the answer section: owner, type, TTL, RDATA.
    Records(Vec<(String, u16, u32, Vec<u8>)>),
    /// The same with that code, and the SOA of the root with that TTL: of the last name there is nothing.
    Denied(Vec<(String, u16, u32, Vec<u8>)>, u16, u32),
    /// This code, and the SOA of the root with that TTL.
    Nothing(u16, u32),
    /// This code alone.
    Code(u16),
    /// Nothing at all.
    Silence,
    /// Over UDP only that it does not fit; over TCP as much.
    Truncated(Box<Said>),
    /// First answers with another id, from another port, in another case, to another question; then that.
    Among(Box<Said>),
}

/// One query that came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub from: SocketAddr,
    pub id: u16,
    /// The name in the case it came in.
    pub name: Vec<u8>,
    pub qtype: u16,
    pub tcp: bool,
    pub flags: u16,
}

#[derive(Default)]
struct Shared {
    said: Mutex<HashMap<(String, u16), Said>>,
    heard: Mutex<Vec<Heard>>,
    silent: AtomicBool,
    stop: AtomicBool,
}

/// A running name server; it ends when dropped.
pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Upstream {
    pub fn start() -> Upstream {
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
                let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
                Some((udp, tcp))
            })
            .expect("a port");
        let address = udp.local_addr().expect("an address");
        udp.set_read_timeout(Some(PACE)).expect("an option");
        tcp.set_nonblocking(true).expect("an option");
        let shared = Arc::new(Shared::default());
        let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::spawn(move || datagrams(&udp, &one)),
            std::thread::spawn(move || streams(&tcp, &other)),
        ];
        Upstream { address, shared, threads }
    }

    /// Says that to a question from now on; to all others that there is no such name.
    pub fn say(&self, name: &str, qtype: u16, said: Said) {
        self.shared.said.lock().unwrap().insert((name.to_owned(), qtype), said);
    }

    /// Says an address, for so many seconds.
    pub fn say_address(&self, name: &str, ttl: u32, last: u8) {
        self.say(name, 1, Said::Records(vec![(name.to_owned(), 1, ttl, vec![192, 0, 2, last])]));
    }

    /// Says nothing to anybody any more, or says it again.
    pub fn set_silent(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::Release);
    }

    /// What it was asked for that name, whatever the case.
    pub fn heard(&self, name: &str) -> Vec<Heard> {
        let name = names::from_text(name).expect("a name");
        let heard = self.shared.heard.lock().unwrap();
        heard.iter().filter(|heard| heard.name.eq_ignore_ascii_case(&name)).cloned().collect()
    }

    /// For how many names it was asked for that type.
    pub fn names_heard(&self, qtype: u16) -> usize {
        let heard = self.shared.heard.lock().unwrap();
        let names =
            heard.iter().filter(|heard| heard.qtype == qtype).map(|heard| heard.name.to_ascii_lowercase());
        names.collect::<BTreeSet<_>>().len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.threads.drain(..).for_each(|thread| thread.join().expect("it ends"));
    }
}

fn datagrams(udp: &UdpSocket, shared: &Shared) {
    let (mut buffer, stranger) = ([0; 4096], UdpSocket::bind("127.0.0.1:0").expect("a port"));
    while !shared.stop.load(Ordering::Acquire) {
        let Ok((len, from)) = udp.recv_from(&mut buffer) else { continue };
        let Ok(query) = message::decode(&buffer[..len]) else { continue };
        let Some(said) = shared.hear(&query, from, false) else { continue };
        if let Said::Among(said) = &said {
            let right = response(&query, said);
            let changed = |at: usize, bits: u8| {
                let mut wrong = right.clone();
                wrong[at] ^= bits;
                // What it says would be noticed.
                wrong.pop();
                wrong.push(66);
                wrong
            };
            let _ = udp.send_to(&changed(0, 1), from);
            let _ = udp.send_to(&changed(13, 0x20), from);
            let _ = udp.send_to(&changed(13, 1), from);
            let _ = stranger.send_to(&changed(3, 0), from);
            let _ = udp.send_to(&right, from);
            continue;
        }
        let response = match said {
            Said::Truncated(_) => {
                let mut response = response(&query, &Said::Code(0));
                response[2] |= 0x02;
                response
            }
            said => response(&query, &said),
        };
        let _ = udp.send_to(&response, from);
    }
}

fn streams(tcp: &TcpListener, shared: &Shared) {
    let (_nobody_sends, pace) = std::sync::mpsc::channel::<()>();
    while !shared.stop.load(Ordering::Acquire) {
        let Ok((mut stream, from)) = tcp.accept() else {
            let _ = pace.recv_timeout(PACE);
            continue;
        };
        stream.set_nonblocking(false).expect("an option");
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("an option");
        let mut len = [0; 2];
        if stream.read_exact(&mut len).is_err() {
            continue;
        }
        let mut octets = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut octets).is_err() {
            continue;
        }
        let Ok(query) = message::decode(&octets) else { continue };
        let said = match shared.hear(&query, from, true) {
            None => continue,
            Some(Said::Truncated(said)) => *said,
            Some(said) => said,
        };
        let response = response(&query, &said);
        let _ = stream.write_all(&[&(response.len() as u16).to_be_bytes()[..], &response].concat());
    }
}

impl Shared {
    fn hear(&self, query: &Message, from: SocketAddr, tcp: bool) -> Option<Said> {
        let (name, qtype, _) = query.question.clone()?;
        let key = (names::to_text(&names::lowered(&name)), qtype);
        let heard = Heard { from, id: query.id, name, qtype, tcp, flags: query.flags };
        self.heard.lock().unwrap().push(heard);
        if self.silent.load(Ordering::Acquire) {
            return None;
        }
        match self.said.lock().unwrap().get(&key).cloned().unwrap_or(Said::Nothing(3, 60)) {
            Said::Silence => None,
            said => Some(said),
        }
    }
}

/// The response with that in it, names uncompressed.
fn response(query: &Message, said: &Said) -> Vec<u8> {
    let (name, qtype, class) = query.question.clone().expect("a question");
    let mut records = Vec::new();
    let mut put = |owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]| {
        records.extend_from_slice(owner);
        records.extend(rtype.to_be_bytes());
        records.extend(1u16.to_be_bytes());
        records.extend(ttl.to_be_bytes());
        records.extend((rdata.len() as u16).to_be_bytes());
        records.extend_from_slice(rdata);
    };
    let (code, counts) = match said {
        Said::Records(said) => {
            for (owner, rtype, ttl, rdata) in said {
                put(&names::from_text(owner).expect("a name"), *rtype, *ttl, rdata);
            }
            (0, [said.len() as u16, 0])
        }
        Said::Denied(said, code, ttl) => {
            for (owner, rtype, ttl, rdata) in said {
                put(&names::from_text(owner).expect("a name"), *rtype, *ttl, rdata);
            }
            put(&[0], 6, *ttl, &soa(*ttl));
            (*code, [said.len() as u16, 1])
        }
        Said::Nothing(code, ttl) => {
            put(&[0], 6, *ttl, &soa(*ttl));
            (*code, [0, 1])
        }
        Said::Code(code) => (*code, [0, 0]),
        Said::Silence | Said::Truncated(_) | Said::Among(_) => (2, [0, 0]),
    };
    let mut octets = Vec::new();
    for field in [query.id, 0x8080 | code, 1, counts[0], counts[1], 0] {
        octets.extend(field.to_be_bytes());
    }
    octets.extend_from_slice(&name);
    octets.extend(qtype.to_be_bytes());
    octets.extend(class.to_be_bytes());
    octets.extend_from_slice(&records);
    octets
}

/// The RDATA of an SOA whose negative answers last that long.
fn soa(ttl: u32) -> Vec<u8> {
    [&[0, 0], &[1u32, 2, 3, 4, ttl].map(u32::to_be_bytes).concat()[..]].concat()
}
