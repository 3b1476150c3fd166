//! Questions from a container, and what is told, as text.

use super::message::{self, Message};
use super::{names, render, seat};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long one answer may take.
pub const ANSWER: Duration = Duration::from_secs(2);

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

pub const NOERROR: u16 = 0;
pub const SERVFAIL: u16 = 2;
pub const NXDOMAIN: u16 = 3;

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Udp,
    Tcp,
}

/// What was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub rcode: u16,
    /// RDATA of the answers of the type that was asked for, in their order.
    pub answers: Vec<String>,
    /// Other records' owners and RDATA.
    pub others: Vec<String>,
}

impl Told {
    /// The answers in no order.
    pub fn set(&self) -> BTreeSet<String> {
        self.answers.iter().cloned().collect()
    }
}

/// A query with that id that wants recursion, as stubs do.
pub fn query(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    let name = names::from_text(name).unwrap_or_else(|| panic!("{name} is no name"));
    message::query(id, message::RD, &name, rtype, 1, None)
}

/// What a reply says; none if it cannot be read.
pub fn read(octets: &[u8]) -> Option<Told> {
    let Message { question, sections, flags, .. } = message::decode(octets).ok()?;
    let rtype = question?.1;
    let (own, others): (Vec<_>, Vec<_>) = sections[0].iter().partition(|record| record.rtype == rtype);
    let others = others.into_iter().chain(&sections[1]).chain(&sections[2]);
    Some(Told {
        rcode: flags & 15,
        answers: own.iter().map(|record| render::rdata_text(record.rtype, &record.rdata)).collect(),
        others: others.map(render::record).collect(),
    })
}

/// Asks a server once from the network of the process `pid`; none if nothing comes.
pub fn ask(pid: u32, server: SocketAddr, by: By, name: &str, rtype: u16) -> Option<Told> {
    match by {
        By::Udp => over(&seat::udp(pid, server, ANSWER).ok()?, name, rtype),
        By::Tcp => {
            let mut stream = seat::tcp(pid, server, ANSWER).ok()?;
            let query = query(7, name, rtype);
            stream.write_all(&[&(query.len() as u16).to_be_bytes()[..], &query].concat()).ok()?;
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut reply = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut reply).ok()?;
            read(&reply)
        }
    }
}

/// Asks once over a socket of UDP; none if nothing comes. What came too late for an earlier question is passed over.
pub fn over(socket: &UdpSocket, name: &str, rtype: u16) -> Option<Told> {
    let mut buffer = [0; 4096];
    socket.set_nonblocking(true).ok()?;
    while socket.recv(&mut buffer).is_ok() {}
    socket.set_nonblocking(false).ok()?;
    socket.send(&query(7, name, rtype)).ok()?;
    let length = socket.recv(&mut buffer).ok()?;
    read(&buffer[..length])
}
