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

/// Sends the query and hands in what comes back, until it is aborted. `may_be_own`: at an address of this machine it
/// would reach ourselves, and is not sent.
pub(super) async fn exchange(
    exchange: u64,
    (to, may_be_own): (SocketAddr, bool),
    octets: Vec<u8>,
    came: mpsc::Sender<Came>,
) {
    let met = match send((to, may_be_own), &octets).await {
        Ok(socket) => match hear(exchange, &socket, to, &came).await {
            Ok(()) => return,
            // ICMP.
            Err(_) => Came::Unreachable { exchange },
        },
        // No way there, or only to ourselves.
        Err(_) => Came::Unsent { exchange },
    };
    let _ = came.send(met).await;
}

/// Sends the query; what comes back comes to the socket.
async fn send((to, may_be_own): (SocketAddr, bool), octets: &[u8]) -> io::Result<UdpSocket> {
    let socket = UdpSocket::from_std(bind(to.is_ipv6())?)?;
    // Connected: nothing from elsewhere reaches it, and the system tells of ICMP.
    socket.connect(to).await?;
    // The system sends from an address of this machine to that same address.
    if may_be_own && socket.local_addr()?.ip() == to.ip() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    socket.send(octets).await?;
    Ok(socket)
}

async fn hear(
    exchange: u64,
    socket: &UdpSocket,
    to: SocketAddr,
    came: &mpsc::Sender<Came>,
) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_to_an_address_of_this_machine_if_that_is_ourselves() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let to = server.local_addr().unwrap();
            let (sender, mut came) = mpsc::channel(1);
            exchange(1, (to, true), b"own".to_vec(), sender.clone()).await;
            assert!(matches!(came.recv().await, Some(Came::Unsent { exchange: 1 })));
            let other = tokio::spawn(exchange(2, (to, false), b"other".to_vec(), sender));
            let mut buffer = [0; 16];
            let len = server.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], b"other");
            other.abort();
        });
    }

    #[test]
    fn what_meets_nobody_was_sent_all_the_same() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let closed = server.local_addr().unwrap();
            drop(server);
            let (sender, mut came) = mpsc::channel(1);
            exchange(1, (closed, false), b"who".to_vec(), sender.clone()).await;
            assert!(matches!(came.recv().await, Some(Came::Unreachable { exchange: 1 })));
            // The system sends to no broadcast address unasked.
            exchange(2, ((Ipv4Addr::BROADCAST, 53).into(), false), b"who".to_vec(), sender).await;
            assert!(matches!(came.recv().await, Some(Came::Unsent { exchange: 2 })));
        });
    }
}
