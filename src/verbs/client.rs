//! One request over the control socket: HTTP/1.1 as far as it takes, one connection each.

use crate::cli::Asked;
use crate::control::request::Refused;
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a server may take for what it has at hand.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much longer than the server's own patience ours is: it is to tell that it had none left.
const GRACE: Duration = Duration::from_secs(5);
/// How often whoever waits is told that it goes on.
const TICK: Duration = Duration::from_secs(1);
/// Octets that are read at once.
const CHUNK_OCTETS: usize = 64 << 10;
/// Octets of an answer: a page of records, or the counters of many zones, are far below.
const ANSWER_OCTETS_MAX: usize = 64 << 20;

/// Why there is no document.
#[derive(Debug)]
pub enum Trouble {
    /// No server was reached.
    Unreachable(String),
    /// The server says no.
    Refused(Refused),
    /// What came is no answer.
    Broken(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreachable(message) | Trouble::Broken(message) => f.write_str(message),
            Trouble::Refused(refused) => refused.fmt(f),
        }
    }
}

/// Knows where a server may be.
pub(super) struct Client<'p> {
    sockets: &'p [PathBuf],
    tick: Duration,
}

impl<'p> Client<'p> {
    pub(super) fn new(sockets: &'p [PathBuf]) -> Client<'p> {
        Client { sockets, tick: TICK }
    }

    /// The document that answers it.
    pub(super) fn ask(&self, asked: &Asked) -> Result<Value, Trouble> {
        self.ask_while(asked, |_| {})
    }

    /// The same; `waiting` is told every second for how long there has been nothing.
    pub(super) fn ask_while(
        &self,
        asked: &Asked,
        mut waiting: impl FnMut(Duration),
    ) -> Result<Value, Trouble> {
        let (verb, body, patience) = match asked {
            Asked::Look(look) => (look.verb(), Map::new(), PATIENCE),
            Asked::Request(request) => {
                let mut fields = match serde_json::to_value(request) {
                    Ok(Value::Object(fields)) => fields,
                    Ok(_) | Err(_) => {
                        return Err(Trouble::Broken("the request cannot be written".to_owned()));
                    }
                };
                fields.remove("verb");
                (request.verb(), fields, request.patience())
            }
        };
        let (mut stream, path) = self.connect()?;
        let body = Value::Object(body).to_string();
        let head = format!(
            "POST /v1/{verb} HTTP/1.1\r\nHost: hivedns\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut exchange = |stream: &mut UnixStream| -> io::Result<Vec<u8>> {
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_read_timeout(Some(self.tick))?;
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
            let (mut answer, mut chunk, mut waited) = (Vec::new(), vec![0; CHUNK_OCTETS], Duration::ZERO);
            while answer.len() < ANSWER_OCTETS_MAX {
                match stream.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(len) => {
                        answer.extend_from_slice(chunk.get(..len).unwrap_or_default());
                        waited = Duration::ZERO;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        waited += self.tick;
                        if waited >= patience + GRACE {
                            return Err(error);
                        }
                        waiting(waited);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(answer)
        };
        let answer = exchange(&mut stream).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    "it does not answer in time".to_owned()
                }
                _ => error.to_string(),
            };
            Trouble::Unreachable(format!("the server at {}: {why}", path.display()))
        })?;
        understand(&answer)
    }

    /// The first socket at which a server listens.
    fn connect(&self) -> Result<(UnixStream, &Path), Trouble> {
        let mut tried = Vec::new();
        for path in self.sockets {
            match UnixStream::connect(path) {
                Ok(stream) => return Ok((stream, path)),
                Err(error) => {
                    let why = match error.kind() {
                        io::ErrorKind::NotFound => "there is none",
                        io::ErrorKind::ConnectionRefused => "nobody listens there any more",
                        io::ErrorKind::PermissionDenied => "this user may not use it",
                        _ => &error.to_string(),
                    };
                    tried.push(format!("{} ({why})", path.display()));
                }
            }
        }
        Err(Trouble::Unreachable(format!(
            "no control socket of a running server at {}: start one with `hivedns serve`, or name its socket \
             with --control",
            tried.join(" or ")
        )))
    }
}

/// The document of an answer, or the refusal.
fn understand(answer: &[u8]) -> Result<Value, Trouble> {
    let broken = |what: &str| Trouble::Broken(format!("the server's answer {what}: is it hivedns?"));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(broken("breaks off"))?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let code = head.split(|octet| *octet == b' ').nth(1).ok_or(broken("has no code"))?;
    let document: Value = serde_json::from_slice(body).map_err(|_| broken("is no document"))?;
    if code == b"200" {
        return Ok(document);
    }
    match serde_json::from_value(document) {
        Ok(refused) => Err(Trouble::Refused(refused)),
        Err(_) => Err(broken("is no refusal")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::request::RefusedKind;
    use serde_json::json;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_document_or_a_refusal_is_understood_and_nothing_else() {
        let good = understand(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"a\": 1}");
        assert_eq!(good.unwrap(), json!({ "a": 1 }));
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n{\"kind\": \"malformed\", \"error\": \"no\"}";
        let Err(Trouble::Refused(refused)) = understand(answer) else { panic!("not refused") };
        assert_eq!((refused.kind, refused.error.as_str()), (RefusedKind::Malformed, "no"));
        for answer in ["", "HTTP/1.1 200 OK\r\n", "\r\n\r\n{}", "HTTP/1.1 200\r\n\r\n{", "x 500 y\r\n\r\n{}"]
        {
            assert!(matches!(understand(answer.as_bytes()), Err(Trouble::Broken(_))), "{answer}");
        }
    }

    #[test]
    fn whoever_waits_is_told_that_it_goes_on() {
        let socket = std::env::temp_dir().join(format!("hivedns-client-{}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let (enough, go_on) = std::sync::mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Not before the other side has been told three times that nothing came.
            go_on.recv().unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}").unwrap();
        });
        let (sockets, tick) = ([socket.clone()], Duration::from_millis(5));
        let client = Client { sockets: &sockets, tick };
        let mut told = Vec::new();
        let answer = client.ask_while(&Asked::Look(crate::control::request::Look::Status), |waited| {
            told.push(waited);
            if told.len() == 3 {
                enough.send(()).unwrap();
            }
        });
        assert_eq!(answer.unwrap(), json!({ "a": 1 }));
        assert_eq!(told[..3], [1, 2, 3].map(|times| tick * times));
        server.join().unwrap();
        let _ = std::fs::remove_file(socket);
    }

    #[test]
    fn without_a_server_every_place_is_named_with_what_to_do() {
        let sockets = ["/no/such/socket".into(), "/dev/null".into()];
        let trouble = Client::new(&sockets).ask(&Asked::Look(crate::control::request::Look::Status));
        let told = trouble.unwrap_err().to_string();
        assert_eq!(
            told,
            "no control socket of a running server at /no/such/socket (there is none) or /dev/null (nobody \
             listens there any more): start one with `hivedns serve`, or name its socket with --control"
        );
    }
}
