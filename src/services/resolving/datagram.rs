//! One question in datagrams: a socket of its own on a port picked by lot (RFC 5452 §9.2), open until the question's
//! owner is done with it.

use crate::os::entropy;
use crate::services::resolving::walk::Came;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// The lowest port: below are those of services.
const PORT_MIN: u16 = 10_240;
/// Ports tried before the system picks one.
const TRIES: usize = 8;
/// Octets of the largest answer that is taken: more than servers are told to send.
pub(in crate::services) const DATAGRAM_OCTETS_MAX: usize = 4_096;
/// Messages heard on one socket: the answer, and some that try to be it.
const MESSAGES_MAX: usize = 256;

/// Sends the query and hands in what comes back, until it is aborted.
pub(super) async fn exchange(exchange: u64, to: SocketAddr, octets: Vec<u8>, came: mpsc::Sender<Came>) {
    if ask(exchange, to, &octets, &came).await.is_err() {
        // ICMP, or no way there: nothing will come.
        let _ = came.send(Came::Unreachable { exchange }).await;
    }
}

async fn ask(exchange: u64, to: SocketAddr, octets: &[u8], came: &mpsc::Sender<Came>) -> io::Result<()> {
    let socket = UdpSocket::from_std(bind(to.is_ipv6())?)?;
    // Connected: nothing from elsewhere reaches it, and the system tells of ICMP.
    socket.connect(to).await?;
    socket.send(octets).await?;
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    for _ in 0..MESSAGES_MAX {
        let len = socket.recv(&mut buffer).await?;
        let octets = buffer.get(..len).unwrap_or_default().to_vec();
        if came.send(Came::Datagram { exchange, from: to, octets }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A socket on a port picked by lot; it does not block.
pub(in crate::services) fn bind(ipv6: bool) -> io::Result<std::net::UdpSocket> {
    let socket = bind_by_lot(ipv6)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_by_lot(ipv6: bool) -> io::Result<std::net::UdpSocket> {
    let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    for pair in entropy::random::<{ 2 * TRIES }>()?.as_chunks::<2>().0 {
        let port = u16::from_le_bytes(*pair);
        if port >= PORT_MIN
            && let Ok(socket) = std::net::UdpSocket::bind((any, port))
        {
            return Ok(socket);
        }
    }
    std::net::UdpSocket::bind((any, 0))
}
