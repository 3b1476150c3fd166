//! The servers of a [`Script`] at their addresses, over UDP and TCP: they say what stands there, and keep book of who
//! asked them what.

use crate::apart::ip;
use crate::oracle::message;
use crate::script::Script;
use crate::world::{OTHER, port_53};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether it is to end.
const PACE: Duration = Duration::from_millis(20);
/// How long a client of TCP may say nothing.
const STREAM: Duration = Duration::from_secs(2);
/// All addresses of the scenarios.
const NETWORKS: [&str; 3] = ["192.0.2.0/24", "198.51.100.0/24", "10.0.0.0/8"];

/// A query that came.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub to: Ipv4Addr,
    pub from: SocketAddr,
    pub id: u16,
    pub tcp: bool,
}

/// Who asked: the other resolver has an address of its own, ours asks from wherever the system likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ours,
    Other,
}

struct Shared {
    script: Mutex<Script>,
    heard: Mutex<Vec<Heard>>,
    stop: AtomicBool,
}

/// Servers that run; they end when dropped.
pub struct Stage {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Makes every address of the scenarios one of this network's.
pub fn claim_addresses() {
    NETWORKS.iter().for_each(|network| ip(&format!("route add local {network} dev lo")));
}

impl Stage {
    pub fn start(script: Script) -> Stage {
        let sockets: Vec<_> = script
            .addresses()
            .into_iter()
            .map(|at| {
                let (udp, tcp) = (UdpSocket::bind(port_53(at)), TcpListener::bind(port_53(at)));
                (at, udp.expect("an address of ours"), tcp.expect("an address of ours"))
            })
            .collect();
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            heard: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&sockets, &own));
        Stage { shared, thread: Some(thread) }
    }

    /// Takes more lines of the script.
    pub fn take(&self, lines: &str) {
        let mut script = self.shared.script.lock().unwrap();
        lines.lines().for_each(|line| script.take(line));
    }

    /// What that resolver asked so far.
    pub fn heard(&self, who: Who) -> Vec<Heard> {
        let heard = self.shared.heard.lock().unwrap();
        let is_other = |heard: &&Heard| (heard.from.ip() == IpAddr::V4(OTHER)) == (who == Who::Other);
        heard.iter().filter(is_other).copied().collect()
    }

    /// Packets that came, from whomever.
    pub fn count(&self) -> usize {
        self.shared.heard.lock().unwrap().len()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("it ends"));
    }
}

impl Shared {
    /// Notes a query; what is to be sent for it.
    fn hear(&self, to: Ipv4Addr, from: SocketAddr, octets: &[u8], tcp: bool) -> Vec<Vec<u8>> {
        let Ok(query) = message::decode(octets) else { return Vec::new() };
        self.heard.lock().unwrap().push(Heard { to, from, id: query.id, tcp });
        self.script.lock().unwrap().answer(to, &query, tcp)
    }
}

fn serve(sockets: &[(Ipv4Addr, UdpSocket, TcpListener)], shared: &Arc<Shared>) {
    let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(64));
    for (number, (_, udp, tcp)) in sockets.iter().enumerate() {
        udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).expect("an option");
        for (fd, token) in [(udp.as_raw_fd(), 2 * number), (tcp.as_raw_fd(), 2 * number + 1)] {
            let (registry, source) = (poll.registry(), &mut SourceFd(&fd));
            registry.register(source, Token(token), Interest::READABLE).expect("a socket");
        }
    }
    let mut buffer = [0; 4_096];
    while !shared.stop.load(Ordering::Acquire) {
        let _ = poll.poll(&mut events, Some(PACE));
        for event in &events {
            let (at, udp, tcp) = &sockets[event.token().0 / 2];
            if event.token().0 % 2 == 1 {
                while let Ok((stream, from)) = tcp.accept() {
                    let (at, shared) = (*at, Arc::clone(shared));
                    std::thread::spawn(move || converse(stream, at, from, &shared));
                }
                continue;
            }
            loop {
                match udp.recv_from(&mut buffer) {
                    Ok((len, from)) => {
                        for octets in shared.hear(*at, from, &buffer[..len], false) {
                            let _ = udp.send_to(&octets, from);
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    // ICMP: who asked is gone.
                    Err(_) => {}
                }
            }
        }
    }
}

/// Answers what comes on a stream, until its end.
fn converse(mut stream: TcpStream, at: Ipv4Addr, from: SocketAddr, shared: &Shared) {
    let timed = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(STREAM)));
    timed.expect("an option");
    let mut len = [0; 2];
    while stream.read_exact(&mut len).is_ok() {
        let mut octets = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut octets).is_err() {
            return;
        }
        for octets in shared.hear(at, from, &octets, true) {
            let framed = [&(octets.len() as u16).to_be_bytes()[..], &octets].concat();
            if stream.write_all(&framed).is_err() {
                return;
            }
        }
    }
}
