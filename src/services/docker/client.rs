//! The engine's API over HTTP/1.1: one connection for each question, and one for its events.
//!
//! What comes is bounded in time and octets: an engine, or whoever answers in its place, may be slow, mad or both.

use crate::base::config::EngineSocket;
use crate::discovery::engine::answer::{Event, Info, Version};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Octets of one answer: the tasks of a large swarm take some MiB.
const ANSWER_OCTETS_MAX: usize = 64 << 20;
/// Octets of one event: its attributes are a container's labels.
const EVENT_OCTETS_MAX: usize = 4 << 20;
/// How long one answer may take. The engine answers in milliseconds, or while it starts a hundred containers in
/// seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The newest version of the API whose answers are known.
const API: (u16, u16) = (1, 48);

/// What is told to whom asks for events: only these are sent at all.
const KINDS: &str = r#"["container","network","service","node"]"#;
const ACTIONS: &str = r#"["start","restart","kill","stop","die","destroy","pause","unpause","rename","update","health_status","connect","disconnect","create","remove"]"#;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody is there, or the connection broke.
    Unreachable(io::Error),
    /// It did not answer in time.
    Late,
    /// It refuses, and says why.
    Refused(StatusCode, String),
    /// What it says is none of its answers.
    Strange(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(error) => error.fmt(f),
            Failure::Late => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Failure::Refused(code, why) => write!(f, "it answered {}: {why}", code.as_u16()),
            Failure::Strange(what) => write!(f, "it does not answer as an engine does: {what}"),
        }
    }
}

impl Failure {
    /// True if nobody listens there.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Failure::Unreachable(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused))
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Failure {
        Failure::Unreachable(io::Error::other(error))
    }
}

/// An engine, and the version of its API that both know.
#[derive(Debug, Clone)]
pub(super) struct Client {
    socket: EngineSocket,
    prefix: String,
}

/// An engine that tells its events.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) info: Info,
    pub(super) events: Events,
}

/// Events as they come.
pub(super) struct Events {
    body: Incoming,
    /// What has come and is no whole line.
    rest: Vec<u8>,
}

impl Client {
    /// Finds the engine and subscribes to its events: from the moment on that its clock showed before, so that none
    /// is missing.
    pub(super) async fn open(socket: EngineSocket, api_max: Option<String>) -> Result<Session, Failure> {
        let mut client = Client { socket, prefix: String::new() };
        let version: Version = client.get("/version").await?.unwrap_or_default();
        let known = [Some(version.api_version.as_str()), api_max.as_deref()];
        let lowest = known.into_iter().flatten().filter_map(read_version).fold(API, std::cmp::min);
        client.prefix = format!("/v{}.{}", lowest.0, lowest.1);
        let info: Info = client.get("/info").await?.unwrap_or_default();
        let filters = encode(&format!("{{\"type\":{KINDS},\"event\":{ACTIONS}}}"));
        let since = info.since().map_or(String::new(), |since| format!("&since={since}"));
        let path = format!("/events?filters={filters}{since}");
        let response = timeout(PATIENCE, client.send(&path)).await.map_err(|_| Failure::Late)??;
        let events = match response.status() {
            StatusCode::OK => Events { body: response.into_body(), rest: Vec::new() },
            code => return Err(refused(code, response).await),
        };
        Ok(Session { client, info, events })
    }

    /// What it says there; none if there is no such thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let answer = async {
            let response = self.send(path).await?;
            match response.status() {
                StatusCode::OK => {
                    let octets = whole(response).await?;
                    let read = serde_json::from_slice(&octets);
                    read.map(Some).map_err(|error| Failure::Strange(format!("{path}: {error}")))
                }
                StatusCode::NOT_FOUND => Ok(None),
                code => Err(refused(code, response).await),
            }
        };
        timeout(PATIENCE, answer).await.map_err(|_| Failure::Late)?
    }

    async fn send(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        let stream: Box<dyn Stream> = match &self.socket {
            EngineSocket::Unix(path) => {
                Box::new(UnixStream::connect(path).await.map_err(Failure::Unreachable)?)
            }
            EngineSocket::Tcp { host, port } => {
                let stream =
                    TcpStream::connect((host.as_str(), *port)).await.map_err(Failure::Unreachable)?;
                // A question leaves at once; without it, it leaves a little later.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends when the answer has been read or is let go of.
        tokio::spawn(async move { drop(connection.await) });
        let uri = format!("{}{path}", self.prefix);
        let request = Request::get(uri).header(HOST, "docker").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| Failure::Strange(format!("{path}: {error}")))?;
        Ok(sender.send_request(request).await?)
    }
}

impl Events {
    /// The next event; none at their end. One that cannot be read is passed over: the next list makes up for it.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(event) => return Ok(Some(event)),
                    Err(error) => tracing::debug!(%error, "an event of the container engine cannot be read"),
                }
                continue;
            }
            if self.rest.len() > EVENT_OCTETS_MAX {
                return Err(Failure::Strange(format!("an event of more than {EVENT_OCTETS_MAX} octets")));
            }
            let Some(frame) = self.body.frame().await.transpose()? else { return Ok(None) };
            if let Some(octets) = frame.data_ref() {
                self.rest.extend_from_slice(octets);
            }
        }
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_OCTETS_MAX);
    let collected = body.collect().await.map_err(|error| Failure::Unreachable(io::Error::other(error)))?;
    Ok(collected.to_bytes())
}

/// What it says in place of an answer: `{"message": "..."}`.
async fn refused(code: StatusCode, response: Response<Incoming>) -> Failure {
    #[derive(serde::Deserialize)]
    struct Complaint {
        message: String,
    }
    let octets = whole(response).await.unwrap_or_default();
    let said = serde_json::from_slice(&octets).map(|Complaint { message }| message);
    Failure::Refused(code, said.unwrap_or_else(|_| "no reason".to_owned()))
}

/// The path of the tasks that are to run; of all services, if there are none.
pub(super) fn tasks_to_run(services: &[String]) -> String {
    // What takes the place of one that failed is to be ready first, and runs after a delay.
    let mut filters = serde_json::json!({ "desired-state": ["running", "ready"] });
    if !services.is_empty() {
        filters["service"] = services.into();
    }
    format!("/tasks?filters={}", encode(&filters.to_string()))
}

/// `1.41` as two numbers, which compare.
fn read_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Octets of a query that mean themselves (RFC 3986 §2.3), all others as `%XX`.
fn encode(text: &str) -> String {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    text.bytes()
        .map(|octet| match is_plain(octet) {
            true => char::from(octet).to_string(),
            false => format!("%{octet:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(read_version("1.9") < read_version("1.41"));
        assert_eq!(
            (read_version("1.41"), read_version(""), read_version("1.x")),
            (Some((1, 41)), None, None)
        );
    }

    #[test]
    fn a_query_says_what_was_meant() {
        assert_eq!(encode("{\"a\":[1]}"), "%7B%22a%22%3A%5B1%5D%7D");
        for list in [KINDS, ACTIONS] {
            assert!(serde_json::from_str::<Vec<String>>(list).is_ok_and(|list| list.len() > 3));
        }
        let all = encode("{\"desired-state\":[\"running\",\"ready\"]}");
        assert_eq!(tasks_to_run(&[]), format!("/tasks?filters={all}"));
        let some = encode("{\"desired-state\":[\"running\",\"ready\"],\"service\":[\"a\",\"b\"]}");
        assert_eq!(tasks_to_run(&["a".into(), "b".into()]), format!("/tasks?filters={some}"));
    }
}
