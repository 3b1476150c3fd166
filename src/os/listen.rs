//! Listening sockets that share one address among all workers (`SO_REUSEPORT`, `socket(7)`).

use crate::os::udp::{ignore_path_mtu, set_receive_buffer, want_local_addresses};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

/// Octets of a UDP socket's receive buffer: small ones lose packets at a third of the load that a worker can
/// answer.
const RECEIVE_BUFFER_OCTETS: usize = 4 << 20;
/// TCP connections that may wait to be accepted; the system's own bound cuts it.
const BACKLOG: i32 = 4_096;

/// One worker's sockets for one address.
pub struct Pair {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
}

/// True if a connection could not be accepted because the process or the system has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Opens `count` pairs on one address. Fails if anybody else has it, another instance of this program too:
/// `SO_REUSEPORT` alone would silently share the traffic with it. So the first pair is bound without, and shares
/// its address only when it has it. What arrives from then on is lost at no time.
pub fn open(address: SocketAddr, count: usize) -> io::Result<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(count);
    let mut address = address;
    for number in 0..count {
        let is_first = number == 0;
        let udp = socket(address, Type::DGRAM, Protocol::UDP)?;
        set_receive_buffer(udp.as_fd(), RECEIVE_BUFFER_OCTETS)?;
        ignore_path_mtu(udp.as_fd(), address.is_ipv6())?;
        if address.ip().is_unspecified() {
            want_local_addresses(udp.as_fd(), address.is_ipv6())?;
        }
        bind(&udp, address, is_first)?;
        // With the port that was chosen where 0 was asked for.
        address = udp.local_addr()?.as_socket().unwrap_or(address);
        let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
        // Connections of a former instance that linger are no reason to refuse.
        tcp.set_reuse_address(true)?;
        bind(&tcp, address, is_first)?;
        tcp.listen(BACKLOG)?;
        pairs.push(Pair { udp: udp.into(), tcp: tcp.into() });
    }
    Ok(pairs)
}

/// Binds a socket that others may join (`SO_REUSEPORT`); the first has to have the address for itself.
fn bind(socket: &Socket, address: SocketAddr, is_first: bool) -> io::Result<()> {
    if is_first {
        socket.bind(&address.into())?;
        socket.set_reuse_port(true)
    } else {
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_an_address_that_nobody_else_may_have() {
        let pairs = open("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let address = pairs[0].udp.local_addr().unwrap();
        assert!(pairs.iter().all(|pair| pair.udp.local_addr().unwrap() == address));
        assert!(pairs.iter().all(|pair| pair.tcp.local_addr().unwrap() == address));
        assert_eq!(open(address, 1).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        drop(pairs);
        assert!(open(address, 1).is_ok());
    }

    #[test]
    fn all_workers_get_their_share_and_nothing_is_lost_between_two_sockets() {
        let pairs = open("127.0.0.1:0".parse().unwrap(), 4).unwrap();
        let address = pairs[0].udp.local_addr().unwrap();
        let mut connections = Vec::new();
        for _ in 0..128 {
            // Each from a port of its own: that decides who gets it.
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"q", address).unwrap();
            connections.push(std::net::TcpStream::connect(address).unwrap());
        }
        let datagrams =
            pairs.iter().map(|pair| std::iter::from_fn(|| pair.udp.recv_from(&mut [0; 8]).ok()).count());
        let accepted = pairs.iter().map(|pair| std::iter::from_fn(|| pair.tcp.accept().ok()).count());
        for shares in [datagrams.collect::<Vec<usize>>(), accepted.collect()] {
            assert_eq!(shares.iter().sum::<usize>(), 128, "{shares:?}");
            assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        }
    }
}
