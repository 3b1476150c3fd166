//! One question to one primary: for the SOA over UDP, for the zone or what changed in it over TCP.

use crate::base::limits::TRANSFER_OCTETS_MAX;
use crate::os::clock;
use crate::services::zones::id;
use crate::transfer::incoming::{Came, Incoming, Wrong, serial_of, soa_answer};
use crate::transfer::message;
use crate::transfer::secondary::Errand;
use crate::transfer::tsig::Key;
use crate::transfer::tsig::client::{Exchange, Unproven};
use crate::wire::message::Rcode;
use crate::wire::rtype::RecordType;
use crate::zone::Serial;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long each of the answers to a question for the SOA is waited for.
const SOA_PATIENCE: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1_500), Duration::from_secs(3)];
/// Datagrams heard while one is waited for: the answer, and some that try to be it.
const DATAGRAMS_MAX: usize = 64;
const DATAGRAM_OCTETS_MAX: usize = 4_096;
/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long the next message of a transfer may take: a primary that stalls is given up.
const MESSAGE_MAX: Duration = Duration::from_secs(10);
/// How long a whole transfer may take: a primary that never ends is given up, however slowly it goes on.
const TRANSFER_MAX: Duration = Duration::from_secs(1_800);

/// What a primary said.
pub(super) enum Answered {
    /// It has this version.
    Serial(Serial),
    /// A whole transfer.
    Came(Came),
    /// It does not know what changed, or says what cannot be.
    NoSteps(String),
    /// Nothing of use.
    Failed(String),
}

/// Asks for the SOA.
pub(super) async fn ask_soa(errand: &Errand, key: Option<Arc<Key>>) -> Answered {
    match soa(errand, key).await {
        Ok(Ok(serial)) => Answered::Serial(serial),
        Ok(Err(wrong)) => Answered::Failed(format!("asked for the SOA: {wrong}")),
        Err(error) => Answered::Failed(format!("asked for the SOA: {error}")),
    }
}

async fn soa(errand: &Errand, key: Option<Arc<Key>>) -> io::Result<Result<Serial, Wrong>> {
    let any = match errand.primary {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let asked = message::question(id()?, &errand.origin, RecordType::SOA, None);
    let mut wrong = None;
    for patience in SOA_PATIENCE {
        let socket = UdpSocket::bind(any).await?;
        // Connected: nothing from elsewhere reaches it, and the system tells of ICMP.
        socket.connect(errand.primary).await?;
        let mut octets = asked.clone();
        let exchange = key.as_ref().map(|key| Exchange::begin(key, &mut octets, clock::wall_seconds()));
        socket.send(&octets).await?;
        match timeout(patience, hear_soa(&socket, &asked, exchange)).await {
            Ok(heard) => match heard? {
                Ok(serial) => return Ok(Ok(serial)),
                // What is not proven may be anybody's: the primary's own word may still come.
                Err(why @ Wrong::Unproven(_)) => wrong = Some(why),
                // The rest of it is had over a stream (RFC 7766 §5).
                Err(why @ Wrong::Truncated) => {
                    wrong = Some(why);
                    break;
                }
                Err(why) => return Ok(Err(why)),
            },
            Err(_) => continue,
        }
    }
    // Knot tells of catalogs over streams only; and a stream is the way on where datagrams are lost (RFC 7766 §5).
    match (soa_over_stream(errand, key).await, wrong) {
        (Ok(answered), _) => Ok(answered),
        (Err(_), Some(wrong)) => Ok(Err(wrong)),
        (Err(_), None) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
    }
}

async fn soa_over_stream(errand: &Errand, key: Option<Arc<Key>>) -> io::Result<Result<Serial, Wrong>> {
    let asked = message::question(id()?, &errand.origin, RecordType::SOA, None);
    let stream = timeout(CONNECT_MAX, TcpStream::connect(errand.primary)).await??;
    let heard = timeout(MESSAGE_MAX, over_stream(stream, &asked, key)).await??;
    Ok(heard.map_err(Wrong::Unproven).and_then(|heard| soa_answer(&asked, &heard)))
}

/// One message and its answer over a connection, both signed if there is a key.
pub(super) async fn over_stream(
    mut stream: TcpStream,
    asked: &[u8],
    key: Option<Arc<Key>>,
) -> io::Result<Result<Vec<u8>, Unproven>> {
    stream.set_nodelay(true)?;
    let mut octets = asked.to_vec();
    let mut exchange = key.map(|key| Exchange::begin(&key, &mut octets, clock::wall_seconds()));
    stream.write_all(&[&(octets.len() as u16).to_be_bytes(), &octets[..]].concat()).await?;
    let mut heard = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut heard).await?;
    if !message::is_answer_to(asked, &heard) {
        return Err(io::Error::other("it answers something else"));
    }
    let proven = exchange.as_mut().map_or(Ok(()), |exchange| exchange.heard(&heard, clock::wall_seconds()));
    Ok(proven.map(|()| heard))
}

async fn hear_soa(
    socket: &UdpSocket,
    asked: &[u8],
    mut exchange: Option<Exchange>,
) -> io::Result<Result<Serial, Wrong>> {
    let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
    for _ in 0..DATAGRAMS_MAX {
        let len = socket.recv(&mut buffer).await?;
        let octets = buffer.get(..len).unwrap_or_default();
        if !message::is_answer_to(asked, octets) {
            continue;
        }
        if let Some(Err(unproven)) =
            exchange.as_mut().map(|exchange| exchange.heard(octets, clock::wall_seconds()))
        {
            return Ok(Err(Wrong::Unproven(unproven)));
        }
        return Ok(soa_answer(asked, octets));
    }
    Err(io::Error::other("too many datagrams that answer something else"))
}

/// Transfers: with the SOA at hand what changed since, else all.
pub(super) async fn transfer(errand: &Errand, soa: Option<Vec<u8>>, key: Option<Arc<Key>>) -> Answered {
    let is_whole = soa.is_none();
    let what = if is_whole { "AXFR" } else { "IXFR" };
    let outcome = timeout(TRANSFER_MAX, stream(errand, soa, key)).await;
    match outcome {
        Ok(Ok(Ok(came))) => Answered::Came(came),
        // A primary that has no IXFR, or makes a mess of it, may still do the other.
        Ok(Ok(Err(wrong @ (Wrong::Malformed(_) | Wrong::TooLarge(_))))) if !is_whole => {
            Answered::NoSteps(format!("{what}: {wrong}"))
        }
        Ok(Ok(Err(wrong @ Wrong::Code(code))))
            if !is_whole && (code == Rcode::NotImp as u16 || code == Rcode::FormErr as u16) =>
        {
            Answered::NoSteps(format!("{what}: {wrong}"))
        }
        Ok(Ok(Err(wrong))) => Answered::Failed(format!("{what}: {wrong}")),
        Ok(Err(error)) => Answered::Failed(format!("{what}: {error}")),
        Err(_) => Answered::Failed(format!("{what}: it has no end after {} s", TRANSFER_MAX.as_secs())),
    }
}

async fn stream(
    errand: &Errand,
    soa: Option<Vec<u8>>,
    key: Option<Arc<Key>>,
) -> io::Result<Result<Came, Wrong>> {
    let late = |what: &'static str| io::Error::new(io::ErrorKind::TimedOut, what);
    let qtype = if soa.is_some() { RecordType::IXFR } else { RecordType::AXFR };
    let asked = message::question(id()?, &errand.origin, qtype, soa.as_deref());
    let mut octets = asked.clone();
    let exchange = key.map(|key| Exchange::begin(&key, &mut octets, clock::wall_seconds()));
    let connecting = timeout(CONNECT_MAX, TcpStream::connect(errand.primary));
    let mut stream = connecting.await.map_err(|_| late("no connection in time"))??;
    stream.set_nodelay(true)?;
    let framed = [&(octets.len() as u16).to_be_bytes(), &octets[..]].concat();
    stream.write_all(&framed).await?;
    let have = soa.as_deref().map(serial_of);
    let mut incoming = Incoming::new(asked, &errand.origin, have, exchange, TRANSFER_OCTETS_MAX);
    let mut buffer = Vec::new();
    let mut stream = tokio::io::BufReader::with_capacity(64 << 10, stream);
    loop {
        let next = async {
            let len = stream.read_u16().await?;
            buffer.resize(len.into(), 0);
            stream.read_exact(&mut buffer).await.map(|_| ())
        };
        match timeout(MESSAGE_MAX, next).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::new(error.kind(), "the primary closed the connection before the end"));
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(late("the primary stalls")),
        }
        match incoming.message(&buffer, clock::wall_seconds()) {
            Ok(Some(came)) => return Ok(Ok(came)),
            Ok(None) => {}
            Err(wrong) => return Ok(Err(wrong)),
        }
        // Others on this thread have their turn between two messages, however fast these come.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
