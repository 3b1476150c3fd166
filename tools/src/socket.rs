//! Sockets of the tools: loopback only, with large buffers.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Small buffers lost packets at 30 % load; this is also what Linux allows by default on many machines.
const BUFFER_OCTETS: usize = 4 << 20;

/// Takes an address for a target; the tools send load to the loopback and to nothing else.
pub(crate) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| format!("{text} is not an address and a port"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!("{address} is not on the loopback, and load goes nowhere else"))
    }
}

/// A socket that load is sent from: connected, so that it takes answers from the target's address only.
pub(crate) fn client(target: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bare(target)?;
    socket.connect(&target.into())?;
    Ok(socket.into())
}

/// A socket that a server takes queries from: SO_REUSEPORT, bound.
pub(crate) fn server(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bare(listen)?;
    socket.set_reuse_port(true)?;
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

fn bare(peer: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(peer), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(BUFFER_OCTETS)?;
    socket.set_send_buffer_size(BUFFER_OCTETS)?;
    Ok(socket)
}

/// Ties the calling thread to a core.
pub(crate) fn pin(core: usize) -> Result<(), String> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        Ok(())
    } else {
        Err(format!("cannot run on core {core}"))
    }
}

#[cfg(test)]
mod tests {
    use super::loopback;

    #[test]
    fn only_the_loopback_is_a_target() {
        assert!(loopback("127.0.0.1:53").is_ok() && loopback("[::1]:53").is_ok());
        assert!(loopback("192.0.2.1:53").is_err() && loopback("localhost").is_err());
    }
}
