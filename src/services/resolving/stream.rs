//! One question over one TCP connection (RFC 7766).

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long all of it may take: whoever waits gives up after three seconds.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// The server's response. `None`: it refuses, is slow, or says too little; or there are too many streams already.
pub(in crate::services) async fn exchange(
    streams: &Semaphore,
    to: SocketAddr,
    query: &[u8],
) -> Option<Box<[u8]>> {
    let _permit = streams.try_acquire().ok()?;
    timeout(PATIENCE, ask(to, query)).await.ok()?.ok()
}

async fn ask(to: SocketAddr, query: &[u8]) -> std::io::Result<Box<[u8]>> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    // Length and message in one segment: some servers take nothing else.
    let framed = [&(query.len() as u16).to_be_bytes(), query].concat();
    stream.write_all(&framed).await?;
    let mut response = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut response).await?;
    Ok(response.into())
}
