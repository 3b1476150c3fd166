//! Sockets in the network of a container: what is asked through them is asked by that container, as its own program
//! would, and one clock serves the sockets of all nodes.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

/// Runs `work` on a thread that has the network of the process `pid`; sockets that it makes keep that network.
pub fn within<T: Send>(pid: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        });
        thread.join().expect("no panic")
    })
}

/// A socket of UDP there that speaks to one server.
pub fn udp(pid: u32, server: SocketAddr, patience: Duration) -> io::Result<UdpSocket> {
    within(pid, || {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(patience))?;
        Ok(socket)
    })?
}

/// A connection from there.
pub fn tcp(pid: u32, server: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    within(pid, || {
        let stream = TcpStream::connect_timeout(&server, patience)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(stream)
    })?
}
