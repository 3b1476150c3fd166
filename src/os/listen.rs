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

/// Opens `count` pairs on one address. Fails if anybody else has it, another instance of this program too:
/// `SO_REUSEPORT` alone would silently share the traffic with it.
pub fn open(address: SocketAddr, count: usize) -> io::Result<Vec<Pair>> {
    let address = probe(address)?;
    (0..count)
        .map(|_| {
            let udp = socket(address, Type::DGRAM, Protocol::UDP)?;
            udp.set_reuse_port(true)?;
            set_receive_buffer(udp.as_fd(), RECEIVE_BUFFER_OCTETS)?;
            ignore_path_mtu(udp.as_fd(), address.is_ipv6())?;
            if address.ip().is_unspecified() {
                want_local_addresses(udp.as_fd(), address.is_ipv6())?;
            }
            udp.bind(&address.into())?;
            let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
            tcp.set_reuse_port(true)?;
            tcp.set_reuse_address(true)?;
            tcp.bind(&address.into())?;
            tcp.listen(BACKLOG)?;
            Ok(Pair { udp: udp.into(), tcp: tcp.into() })
        })
        .collect()
}

/// Binds once without sharing; the address, with the port chosen where 0 was asked for.
fn probe(address: SocketAddr) -> io::Result<SocketAddr> {
    let udp = socket(address, Type::DGRAM, Protocol::UDP)?;
    udp.bind(&address.into())?;
    let address = udp.local_addr()?.as_socket().unwrap_or(address);
    let tcp = socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of a former instance that linger are no reason to refuse.
    tcp.set_reuse_address(true)?;
    tcp.bind(&address.into())?;
    tcp.listen(1)?;
    Ok(address)
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
}
