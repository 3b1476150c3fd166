//! One update to the publisher of a zone, over TCP.

use super::ask::over_stream;
use super::id;
use crate::transfer::tsig::Key;
use crate::wire::message::Rcode;
use crate::wire::name::Name;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one address may take to be connected to.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long the answer may take: the publisher's disk is waited for, and whoever asked waits no longer than 30 s.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Sends it to the first of these addresses that can be connected to: the code of the answer. An update that was sent is
/// not sent anew, for it may have been carried out.
pub(super) async fn send_update(
    origin: &Name,
    mut message: Vec<u8>,
    to: &[SocketAddr],
    key: Option<Arc<Key>>,
) -> Result<Rcode, String> {
    let id = id().map_err(|error| format!("cannot draw random numbers: {error}"))?;
    if let Some(own) = message.first_chunk_mut::<2>() {
        *own = id.to_be_bytes();
    }
    let mut why = "no address of it is known".to_owned();
    for address in to {
        match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let told = timeout(ANSWER_MAX, exchange(stream, &message, key)).await;
                return match told {
                    Ok(Ok(code)) => Ok(code),
                    Ok(Err(error)) => Err(format!("{address}: {error}")),
                    Err(_) => Err(format!("{address}: no answer in time; it may still carry it out")),
                };
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no connection in time"),
        }
    }
    tracing::debug!(zone = %origin, "an update was not sent: {why}");
    Err(why)
}

async fn exchange(stream: TcpStream, asked: &[u8], key: Option<Arc<Key>>) -> io::Result<Rcode> {
    let heard = over_stream(stream, asked, key).await?;
    let heard = heard.map_err(|unproven| io::Error::other(unproven.to_string()))?;
    let code = heard.get(3).map_or(0, |flags| flags & 0xf);
    Rcode::ALL
        .into_iter()
        .find(|known| *known as u8 == code)
        .ok_or_else(|| io::Error::other(format!("code {code}")))
}
