//! Asking: many questions at once over UDP, in batches over TCP, whole zones by AXFR. Loopback only.

use super::message::{self, Message};
use super::now;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// Questions on the way at once; few enough that their answers fit a default socket buffer.
const WINDOW: usize = 64;
/// How long one answer may take before its question is sent again.
const PATIENCE: Duration = Duration::from_millis(700);
/// After so many sendings a question counts as unanswered.
const ATTEMPTS: usize = 3;

/// Sends every query over UDP and gives the replies in the order of the queries; `None` for silence.
/// The first two octets of a query are overwritten with an id of our own.
pub fn udp(server: SocketAddr, queries: &[Vec<u8>]) -> io::Result<Vec<Option<Vec<u8>>>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut replies = vec![None; queries.len()];
    let mut waiting: HashMap<u16, (usize, usize)> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 65_536];
    loop {
        while waiting.len() < WINDOW && next < queries.len() {
            let id = next as u16;
            send(&socket, id, &queries[next])?;
            waiting.insert(id, (next, 1));
            next += 1;
        }
        if waiting.is_empty() {
            return Ok(replies);
        }
        match socket.recv(&mut buffer) {
            Ok(length) if length >= 2 => {
                let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                if let Some((index, _)) = waiting.remove(&id) {
                    replies[index] = Some(buffer[..length].to_vec());
                }
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                waiting.retain(|_, (_, attempts)| *attempts < ATTEMPTS);
                for (id, (index, attempts)) in &mut waiting {
                    *attempts += 1;
                    send(&socket, *id, &queries[*index])?;
                }
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn send(socket: &UdpSocket, id: u16, query: &[u8]) -> io::Result<usize> {
    let mut datagram = query.to_vec();
    datagram[..2].copy_from_slice(&id.to_be_bytes());
    socket.send(&datagram)
}

/// Sends every query over TCP, a batch at a time on one connection; replies may come in any order.
/// Where a batch fails each of its queries gets a connection of its own.
pub fn tcp(server: SocketAddr, queries: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut replies = Vec::with_capacity(queries.len());
    let mut connection = None;
    for batch in queries.chunks(WINDOW) {
        match tcp_batch(&mut connection, server, batch) {
            Ok(found) => replies.extend(found.into_iter().map(Some)),
            Err(_) => {
                let alone = |query: &Vec<u8>| tcp_batch(&mut None, server, std::slice::from_ref(query));
                replies.extend(batch.iter().map(|query| alone(query).ok().and_then(|mut one| one.pop())));
                connection = None;
            }
        }
    }
    replies
}

fn tcp_batch(
    connection: &mut Option<TcpStream>,
    server: SocketAddr,
    queries: &[Vec<u8>],
) -> io::Result<Vec<Vec<u8>>> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(server)?),
    };
    let mut octets = Vec::new();
    for (id, query) in queries.iter().enumerate() {
        octets.extend((query.len() as u16).to_be_bytes());
        octets.extend((id as u16).to_be_bytes());
        octets.extend_from_slice(&query[2..]);
    }
    stream.write_all(&octets)?;
    let mut replies = vec![Vec::new(); queries.len()];
    for _ in queries {
        let reply = read_message(stream)?;
        let id = reply.first_chunk::<2>().map(|id| usize::from(u16::from_be_bytes(*id)));
        let slot = id.and_then(|id| replies.get_mut(id)).filter(|slot| slot.is_empty());
        *slot.ok_or(ErrorKind::InvalidData)? = reply;
    }
    Ok(replies)
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE * 4))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// All records of a zone by AXFR (RFC 5936), the closing SOA left out.
pub fn transfer(server: SocketAddr, origin: &[u8]) -> Result<Vec<message::Record>, String> {
    let told = |e: io::Error| format!("transfer of {}: {e}", super::names::to_text(origin));
    let mut stream = connect(server).map_err(told)?;
    let query = message::query(1, 0, origin, 252, 1, None);
    let mut octets = (query.len() as u16).to_be_bytes().to_vec();
    octets.extend(query);
    stream.write_all(&octets).map_err(told)?;
    let mut records = Vec::new();
    loop {
        let reply = message::decode(&read_message(&mut stream).map_err(told)?)?;
        if reply.rcode() != 0 || reply.sections[0].is_empty() {
            return Err(format!("transfer refused: {}", super::render::message(&reply)));
        }
        for record in reply.sections.into_iter().next().unwrap_or_default() {
            if record.rtype == 6 && !records.is_empty() {
                return Ok(records);
            }
            records.push(record);
        }
    }
}

/// Asks `query` until a reply satisfies `ready`, for at most `limit`; the pace is the socket's timeout.
pub fn wait_until(
    server: SocketAddr,
    query: &[u8],
    limit: Duration,
    ready: impl Fn(&Message) -> bool,
    mut hope: impl FnMut() -> bool,
) -> bool {
    // Unconnected: "port unreachable" is not told to it, so that the timeout keeps the pace.
    let Ok(socket) = UdpSocket::bind("127.0.0.1:0") else { return false };
    let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
    let deadline = now() + limit;
    let mut buffer = vec![0; 65_536];
    while now() < deadline && hope() {
        let _ = socket.send_to(query, server);
        if let Ok((length, from)) = socket.recv_from(&mut buffer)
            && from == server
            && message::decode(&buffer[..length]).is_ok_and(|reply| ready(&reply))
        {
            return true;
        }
    }
    false
}
