//! `tools echo`: the ceiling. The socket work of a server's worker, with nothing between receive and send.
//!
//! ```text
//! wait (edge-triggered epoll) ─► recvmmsg up to 64 ─► QR bit ─► sendmmsg ─┐
//!   ▲                              ▲                  full batch: again   │
//!   └──────── short batch ─────────┴──────────────────────────────────────┘
//! ```
//! What a server costs beyond this is its own; what it costs in total cannot fall below this. A full socket on
//! the way out drops the rest of the batch, as a server does.

use crate::clock;
use crate::mmsg::Batch;
use crate::socket;
use clap::Args;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Datagrams per system call, as in the server.
const BATCH: usize = 64;
/// Octets per slot; no query of the load is longer.
const DATAGRAM_OCTETS: usize = 2048;
/// How long a wait lasts before the end is looked for.
const TICK: Duration = Duration::from_millis(200);

/// Sends every datagram back with the QR bit set: what the kernel's path alone costs.
#[derive(Args, Debug)]
pub(crate) struct EchoArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:5300", value_parser = socket::loopback)]
    listen: SocketAddr,
    /// The core to stay on
    #[arg(long)]
    pin: Option<usize>,
    /// End after that many seconds (SIGTERM and SIGINT end it sooner)
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
}

/// Runs `tools echo`.
pub(crate) fn run(args: &EchoArgs) -> Result<(), String> {
    if let Some(core) = args.pin {
        socket::pin(core)?;
    }
    let ending = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&ending)).map_err(|error| error.to_string())?;
    }
    let udp = socket::server(args.listen).map_err(|error| format!("{}: {error}", args.listen))?;
    serve(&udp, &ending, Duration::from_secs(args.seconds)).map_err(|error| error.to_string())
}

/// Echoes until the end is asked for or the time is over.
pub(crate) fn serve(udp: &UdpSocket, ending: &AtomicBool, time: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    poll.registry().register(&mut SourceFd(&udp.as_raw_fd()), Token(0), Interest::READABLE)?;
    let mut batch = Batch::new(BATCH, DATAGRAM_OCTETS, true);
    let start = clock::now();
    while !ending.load(Ordering::Relaxed) && clock::now().duration_since(start) < time {
        match poll.poll(&mut events, Some(TICK)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        while echo_batch(udp, &mut batch)? == BATCH {}
    }
    Ok(())
}

/// Receives once and sends it all back; how many there were.
fn echo_batch(udp: &UdpSocket, batch: &mut Batch) -> io::Result<usize> {
    let filled = match batch.receive(udp.as_fd()) {
        Ok(filled) => filled,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
        Err(error) => return Err(error),
    };
    for slot in 0..filled {
        if let Some(flags) = batch.datagram_mut(slot).get_mut(2) {
            *flags |= 0x80;
        }
    }
    let mut first = 0;
    while first < filled {
        match batch.send(udp.as_fd(), first, filled) {
            Ok(0) => break,
            Ok(sent) => first += sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // One peer's failure (its port is closed) is not the next one's.
            Err(_) => first += 1,
        }
    }
    Ok(filled)
}
