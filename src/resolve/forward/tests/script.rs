//! Scenarios as text. What the machine puts out must be expected, in its order, before the next thing is done to it.
//!
//! ```text
//! group a b                              the upstreams, in this order; before all else
//! ask 1 www.example. A                   with the ticket 1
//! send a q1                              it sends the query q1 to a; `plain`: without EDNS
//! probe a p1                             it sends the query p1 for `. NS` to a
//! stream a s1                            it asks a over a stream
//! reply q1 NOERROR www.example. 60 A 192.0.2.1; ...   a answers; flags TC, CASE, PLAIN, BARE before the code
//! forge q1 from=b id port name case      somebody else does, with these wrong
//! break s1                               the stream comes to nothing
//! unsent q1                              the system would not send it
//! advance 150                            milliseconds
//! await 1500                             the same, or until there is something
//! ignore probes                          from now on
//! answered 1 a www.example. 60 A ...     what the caller is told
//! failed 1 22                            with that extended error, or -
//! cancel 1
//! count a requests 2                     a counter
//! mismatched 1
//! ```

use super::{CAPS, address, lots};
use crate::base::time::Moment;
use crate::resolve::exchange::QUERY_OCTETS_MAX;
use crate::resolve::forward::{Forward, Output, QueryId, StreamId};
use crate::resolve::question::{Question, Wants};
use crate::resolve::script_tests as script;
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// The lots of all scenarios.
const SEED: u64 = 7;
const PORTS: u16 = 16;

/// Something the machine put out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Query { port: Option<(u16, QueryId)>, stream: Option<StreamId>, to: SocketAddr, octets: Vec<u8> },
    Told(String),
}

pub(super) struct Stage {
    pub(super) forward: Forward,
    pub(super) now: Moment,
    wake: Option<Moment>,
    names: Vec<String>,
    /// The name that is asked for, for each ticket.
    asked: BTreeMap<u32, String>,
    queries: BTreeMap<String, Seen>,
    seen: VecDeque<Seen>,
    ignores_probes: bool,
    line: String,
}

/// Plays a scenario.
pub(super) fn play(text: &str) -> Stage {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let group = lines.next().and_then(|line| line.strip_prefix("group ")).expect("a group first");
    let names: Vec<String> = group.split(' ').map(str::to_owned).collect();
    let addresses = (1..=names.len() as u8).map(address).collect();
    let mut stage = Stage {
        forward: Forward::new(&[addresses], PORTS, CAPS, lots(SEED)),
        now: Moment::START + Duration::from_secs(1_000),
        wake: None,
        names,
        asked: BTreeMap::new(),
        queries: BTreeMap::new(),
        seen: VecDeque::new(),
        ignores_probes: false,
        line: String::new(),
    };
    lines.for_each(|line| stage.play(line));
    assert!(stage.seen.is_empty(), "at the end there is more: {:?}", stage.seen);
    stage
}

impl Stage {
    /// Plays one line.
    pub(super) fn play(&mut self, line: &str) {
        self.line = line.to_owned();
        let (verb, rest) = line.split_once(' ').expect("a verb and more");
        match verb {
            "ask" | "reply" | "forge" | "break" | "unsent" | "advance" | "await" | "cancel" => {
                assert!(self.seen.is_empty(), "before `{line}` there is: {:?}", self.seen);
                self.act(verb, rest);
            }
            "send" | "probe" | "stream" => self.expect_query(verb, rest),
            "answered" | "failed" => {
                let told = self.seen.pop_front();
                assert_eq!(told, Some(Seen::Told(line.to_owned())), "at {:?}", self.now);
            }
            "ignore" => self.ignores_probes = true,
            "count" | "mismatched" => self.expect_count(verb, rest),
            _ => panic!("no verb: {line}"),
        }
    }

    fn act(&mut self, verb: &str, rest: &str) {
        let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "ask" => {
                let (name, rtype) = script::question(more);
                let ticket = first.parse().expect("a ticket");
                self.asked.insert(ticket, name.to_string());
                let question = Question::new(name.as_wire(), 0, rtype, Wants::default());
                self.forward.ask(self.now, ticket, 0, &question).expect("room");
            }
            "cancel" => self.forward.cancel(first.parse().expect("a ticket")),
            "reply" | "forge" => self.reply(first, more, verb == "forge"),
            "unsent" => {
                let Some(Seen::Query { port: Some((_, query)), .. }) = self.queries.get(first) else {
                    panic!("no datagram: {}", self.line)
                };
                self.forward.handle_unsent(self.now, *query);
            }
            "break" => {
                let Some(Seen::Query { stream: Some(stream), .. }) = self.queries.get(first) else {
                    panic!("no stream: {}", self.line)
                };
                self.forward.handle_stream(self.now, *stream, Err(()));
            }
            _ => {
                let end = self.now + Duration::from_millis(first.parse().expect("milliseconds"));
                while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
                    self.now = self.now.max(wake);
                    self.forward.handle_timeout(self.now);
                    self.drain();
                    assert!(self.wake.is_none_or(|next| next > wake), "it does not come on: {}", self.line);
                    if verb == "await" && !self.seen.is_empty() {
                        return;
                    }
                }
                self.now = end;
            }
        }
        self.drain();
    }

    /// Takes all that the machine puts out.
    fn drain(&mut self) {
        loop {
            let told = match self.forward.poll() {
                Output::Send { octets, .. } if self.ignores_probes && octets[12] == 0 => continue,
                Output::Send { query, port, to, octets } => {
                    assert!(octets.len() <= QUERY_OCTETS_MAX);
                    Seen::Query { port: Some((port, query)), stream: None, to, octets: octets.to_vec() }
                }
                Output::Stream { stream, to, octets } => {
                    Seen::Query { port: None, stream: Some(stream), to, octets: octets.to_vec() }
                }
                Output::Renew { .. } => continue,
                Output::Answered { ticket, body, upstream, .. } => {
                    let name = Name::parse(&self.asked[&ticket]).expect("a name");
                    let records = script::show(name.as_wire(), &body).join("; ");
                    let upstream = usize::from(upstream.to_string().as_bytes()[8] - b'1');
                    Seen::Told(format!("answered {ticket} {} {} {records}", self.names[upstream], body.rcode))
                }
                Output::Failed { ticket, error, .. } => {
                    let error = error.map_or("-".to_owned(), |error| error.0.to_string());
                    Seen::Told(format!("failed {ticket} {error}"))
                }
                Output::Wake(wake) => {
                    self.wake = Some(wake);
                    return;
                }
                Output::Idle => {
                    self.wake = None;
                    return;
                }
            };
            self.seen.push_back(told);
        }
    }

    fn address_of(&self, name: &str) -> SocketAddr {
        let number = self.names.iter().position(|own| own == name).unwrap_or_else(|| panic!("no {name}"));
        address(number as u8 + 1)
    }

    fn expect_query(&mut self, verb: &str, rest: &str) {
        let mut words = rest.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (upstream, name, how) = (word(), word(), word());
        let seen = self.seen.pop_front();
        let Some(Seen::Query { stream, to, octets, .. }) = &seen else {
            panic!("`{}` expected at {:?}, there is {seen:?}", self.line, self.now)
        };
        assert_eq!((self.address_of(&upstream), verb == "stream"), (*to, stream.is_some()), "{}", self.line);
        assert_eq!(octets[12..17] == [0, 0, 2, 0, 1], verb == "probe", "{}", self.line);
        assert_eq!(octets[11] == 0, how == "plain", "{}", self.line);
        self.queries.insert(name, seen.expect("it is there"));
    }

    fn reply(&mut self, name: &str, rest: &str, is_forged: bool) {
        let Some(Seen::Query { port, stream, to, octets }) = self.queries.get(name).cloned() else {
            panic!("no query: {}", self.line)
        };
        let mut words: Vec<&str> = rest.split(' ').collect();
        let mut takes = |flag: &str| {
            let len = words.len();
            words.retain(|word| *word != flag);
            words.len() < len
        };
        let (is_truncated, in_other_case, is_plain) = (takes("TC"), takes("CASE"), takes("PLAIN"));
        let is_bare = takes("BARE");
        let [wrong_id, wrong_port, wrong_name, wrong_from] =
            ["id", "port", "name", "from"].map(|what| is_forged && takes(what));
        let rcode = match words.first().copied() {
            Some("FORMERR") => 1,
            Some("SERVFAIL") => 2,
            Some("NXDOMAIN") => 3,
            Some("NOTIMP") => 4,
            Some("REFUSED") => 5,
            _ => 0,
        };
        let records = words.get(1..).unwrap_or_default().join(" ");
        let records: Vec<&str> = records.split("; ").filter(|record| !record.is_empty()).collect();
        let (referral, answer): (Vec<&str>, Vec<&str>) =
            records.into_iter().partition(|record| record.contains(" NS ") || record.contains(" SOA "));
        let mut message = respond(&octets, rcode, &answer, &referral);
        message[2] |= if is_truncated { 2 } else { 0 };
        if in_other_case {
            message[13] ^= 0x20;
        }
        if is_plain && octets[11] != 0 {
            message[3] = 1;
        }
        if is_bare {
            // Its header alone.
            message.truncate(12);
            message[4..].fill(0);
        }
        message[1] ^= u8::from(wrong_id);
        if wrong_name {
            message[14] = b'x';
        }
        match (port, stream) {
            (Some((port, _)), _) => {
                let from = if wrong_from { address(99) } else { to };
                self.forward.handle_datagram(self.now, port ^ u16::from(wrong_port), from, &message);
            }
            (None, Some(stream)) => self.forward.handle_stream(self.now, stream, Ok(&message)),
            (None, None) => {}
        }
    }

    fn expect_count(&self, verb: &str, rest: &str) {
        if verb == "mismatched" {
            return assert_eq!(self.forward.mismatched().get().to_string(), rest);
        }
        let words: Vec<&str> = rest.split(' ').collect();
        let address = self.address_of(words[0]);
        let counters =
            self.forward.counters().find(|counters| counters.address == address).expect("it is in use");
        let count = match words[1] {
            "requests" => &counters.requests,
            "answers" => &counters.answers,
            "timeouts" => &counters.timeouts,
            "failures" => &counters.failures,
            "other_cases" => &counters.other_cases,
            "srtt_us" => &counters.srtt_us,
            "dead" => &counters.dead,
            "deaths" => &counters.deaths,
            word => panic!("no counter: {word}"),
        };
        assert_eq!(count.get().to_string(), words[2], "{}", self.line);
    }
}

/// The response to a query, its question repeated as it was.
pub(super) fn respond(query: &[u8], rcode: u8, answer: &[&str], authority: &[&str]) -> Vec<u8> {
    let end = name_end(query);
    let name = query[12..end].to_ascii_lowercase();
    let rtype = RecordType(u16::from_be_bytes([query[end], query[end + 1]]));
    let question = Question::new(&name, 0, rtype, Wants::default());
    let mut message = script::message(&question, rcode, answer, authority);
    message[..2].copy_from_slice(&query[..2]);
    message[12..end].copy_from_slice(&query[12..end]);
    message
}

/// The name that a query asks for, lower-cased.
pub(super) fn text_of_name(query: &[u8]) -> String {
    let end = name_end(query);
    Name::from_wire(&query[12..end]).expect("a name").to_lowercase().to_string()
}

fn name_end(query: &[u8]) -> usize {
    12 + query[12..].iter().position(|octet| *octet == 0).expect("a name ends") + 1
}
