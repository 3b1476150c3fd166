//! What a UDP socket is told, and what it tells of itself.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(super) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` outlives the call and its size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel tell to which local address each datagram came: needed where a socket is bound to all.
pub fn want_local_addresses(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    }
}

/// Asks for a receive buffer of `octets`, beyond the system's bound where this process may.
pub fn set_receive_buffer(socket: BorrowedFd<'_>, octets: usize) -> io::Result<()> {
    let octets = i32::try_from(octets).unwrap_or(i32::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, octets))
}

/// Datagrams that the kernel dropped because this socket's buffer was full.
pub fn receive_drops(socket: BorrowedFd<'_>) -> u32 {
    // `SK_MEMINFO_DROPS` is the ninth of the counters that `SO_MEMINFO` yields (linux/sock_diag.h).
    const DROPS: usize = 8;
    let mut values = [0u32; 9];
    let mut len = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` octets into `values`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if result == 0 { values[DROPS] } else { 0 }
}

/// Does not fragment and does not learn path MTUs from forged ICMP: the payload bound keeps replies small
/// enough (`IP_PMTUDISC_OMIT`, as NSD, Knot and BIND set it).
pub fn ignore_path_mtu(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
    }
}

/// The error number of a datagram that a path does not take whole (EMSGSIZE).
pub const TOO_LARGE: i32 = libc::EMSGSIZE;

/// Never fragments: a datagram that a path does not take is told by [`TOO_LARGE`], and on the way it is dropped
/// (`IP_PMTUDISC_DO`).
pub fn forbid_fragments(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
    }
}
