//! Plays scenarios: a world, and questions with what is expected of them, in virtual time.
//!
//! ```text
//! ask a.example. A          asks, and waits for the end
//!   is NOERROR              or another code; `fails` if there is no answer
//!   has a.example. 60 A ... all records of the answer, in order
//!   packets 3               all that left; `<=50`: at most
//!   most <=10               to any one address
//!   to 192.0.2.1 0          to that one
//!   within 10               seconds
//!   says text               a part of why it failed, or of the trace
//! start 400 a$.example. A   asks so many and goes on at once
//! wait 60                   seconds pass
//! mark                      from here on packets are summed up
//! sum <=15                  so many since
//! deny 127.0.0.0/8          before the first question; and this process listens on 192.0.2.5 then
//! both                      before the first question: servers are asked over IPv4 and IPv6
//! ipv6                      before the first question: servers are asked over IPv6 alone
//! ```

use crate::base::time::Moment;
use crate::resolve::iterate::tests::world::World;
use crate::resolve::iterate::{Iterate, Outcome, Output, Purse, Settings};
use crate::resolve::question::{Question, Wants};
use crate::resolve::script_tests::{question, text};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The server of the root that all worlds begin with.
pub(super) const ROOT: (&str, &str) = ("a.root.", "198.51.100.1");

enum Event {
    Datagram(u64, SocketAddr, Vec<u8>),
    Stream(u64, Option<Vec<u8>>),
    Unreachable(u64),
}

pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) trace: Vec<String>,
    pub(super) purse: Purse,
    pub(super) at: Moment,
}

pub(super) struct Play {
    pub(super) machine: Iterate,
    pub(super) world: World,
    pub(super) now: Moment,
    events: BTreeMap<(Moment, u64), Event>,
    wakes_at: Moment,
    pub(super) packets: BTreeMap<IpAddr, u32>,
    pub(super) done: BTreeMap<u64, Done>,
    pub(super) out: i64,
    pub(super) out_max: i64,
    last: u64,
}

impl Play {
    pub(super) fn new(settings: Settings, world: World, seed: u64) -> Play {
        let mut rng = fastrand::Rng::with_seed(seed);
        Play {
            machine: Iterate::new(settings, Box::new(move |octets| rng.fill(octets))),
            world,
            now: Moment::from_micros(1_000_000),
            events: BTreeMap::new(),
            wakes_at: Moment::NEVER,
            packets: BTreeMap::new(),
            done: BTreeMap::new(),
            out: 0,
            out_max: 0,
            last: 0,
        }
    }

    /// Asks, and goes on at once.
    pub(super) fn start(&mut self, asked: &str) -> u64 {
        self.start_with(asked, Purse::default())
    }

    /// The same with what another question has left.
    pub(super) fn start_with(&mut self, asked: &str, purse: Purse) -> u64 {
        self.last += 1;
        let (ticket, (name, rtype)) = (self.last, question(asked));
        let question = Question::new(name.as_wire(), 0, rtype, Wants::default());
        self.machine.ask(self.now, ticket, &question, purse, true);
        self.drain();
        ticket
    }

    /// Asks, and waits for the end.
    pub(super) fn ask(&mut self, asked: &str) -> Done {
        let ticket = self.start(asked);
        self.end(asked, ticket)
    }

    /// Waits for the end of what was asked.
    pub(super) fn end(&mut self, asked: &str, ticket: u64) -> Done {
        while !self.done.contains_key(&ticket) {
            assert!(self.step(Moment::NEVER), "{asked}: nothing happens any more");
        }
        self.done.remove(&ticket).unwrap()
    }

    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    pub(super) fn total(&self) -> u32 {
        self.packets.values().sum()
    }

    /// The next thing that happens until `end`; false if nothing does.
    fn step(&mut self, end: Moment) -> bool {
        let event_at = self.events.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at);
        let at = event_at.min(self.wakes_at);
        if at > end || at == Moment::NEVER {
            return false;
        }
        self.now = self.now.max(at);
        if event_at > at {
            self.machine.handle_timeout(self.now);
        } else if let Some((_, event)) = self.events.pop_first() {
            match event {
                Event::Datagram(exchange, from, octets) => {
                    self.machine.handle_datagram(self.now, exchange, from, &octets)
                }
                Event::Unreachable(exchange) => self.machine.handle_unreachable(self.now, exchange),
                Event::Stream(exchange, octets) => {
                    self.machine.handle_stream(self.now, exchange, octets.as_deref().ok_or(()))
                }
            }
        }
        self.drain();
        true
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll() {
                Output::Send { exchange, to, octets } => self.send(exchange, to, &octets, false),
                Output::Stream { exchange, to, octets } => self.send(exchange, to, &octets, true),
                Output::Close { .. } => self.out -= 1,
                Output::Done { ticket, outcome, trace, purse } => {
                    let done = Done { outcome, trace, purse, at: self.now };
                    assert!(self.done.insert(ticket, done).is_none(), "told twice");
                }
                Output::Wake(at) => {
                    self.wakes_at = at;
                    return;
                }
                Output::Idle => {
                    self.wakes_at = Moment::NEVER;
                    return;
                }
            }
        }
    }

    fn send(&mut self, exchange: u64, to: SocketAddr, octets: &[u8], on_stream: bool) {
        *self.packets.entry(to.ip()).or_default() += 1;
        self.out += 1;
        self.out_max = self.out_max.max(self.out);
        let server = self.world.servers.get(&to.ip());
        let is = |manner: &str| server.is_some_and(|server| server.manners.iter().any(|own| own == manner));
        let refusal = match on_stream {
            true => is("refuses-streams").then_some(Event::Stream(exchange, None)),
            false => is("unreachable").then_some(Event::Unreachable(exchange)),
        };
        if let Some(refusal) = refusal {
            self.last += 1;
            self.events.insert((self.now + Duration::from_millis(5), self.last), refusal);
            return;
        }
        for sent in self.world.answer(to.ip(), octets, on_stream) {
            self.last += 1;
            let at = (self.now + Duration::from_millis(sent.millis), self.last);
            let event = match on_stream {
                true => Event::Stream(exchange, Some(sent.octets)),
                false => Event::Datagram(exchange, to, sent.octets),
            };
            self.events.insert(at, event);
        }
    }
}

pub(super) fn settings(roots: &[(&str, &str)]) -> Settings {
    let root = |(name, address): &(&str, &str)| (name.parse().unwrap(), vec![address.parse().unwrap()]);
    Settings {
        roots: roots.iter().map(root).collect(),
        deny: Vec::new(),
        own: Vec::new(),
        port: 53,
        ipv4: true,
        ipv6: false,
        cache_octets_max: 1 << 20,
    }
}

/// Plays a scenario.
pub(super) fn play(scenario: &str, text: &str) {
    let mut play = Play::new(settings(&[ROOT]), World::default(), 7);
    let (mut at, mut asked, mut done, mut wrong) = (Vec::new(), String::new(), None, Vec::new());
    let (mut before, mut began, mut mark) = (BTreeMap::new(), play.now, 0);
    for line in text.lines().map(|line| line.split(" ; ").next().unwrap_or_default().trim()) {
        if line.is_empty() || line.starts_with(';') || play.world.take(&mut at, line) {
            continue;
        }
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let sent = |address: &IpAddr| {
            play.packets.get(address).copied().unwrap_or_default()
                - before.get(address).copied().unwrap_or_default()
        };
        let is = match verb {
            "ask" => {
                (before, began, asked) = (play.packets.clone(), play.now, rest.to_owned());
                let answer = play.ask(rest);
                let (packets, span) = (play.total() - before.values().sum::<u32>(), answer.at - began);
                println!("{scenario}: {rest}: {packets} packets in {span:?}: {}", show(&answer.outcome));
                answer.trace.iter().for_each(|line| println!("    {line}"));
                done = Some(answer);
                continue;
            }
            "start" => {
                let (count, name) = rest.split_once(' ').unwrap();
                for number in 1..=count.parse::<u32>().unwrap() {
                    play.start(&name.replace('$', &number.to_string()));
                }
                continue;
            }
            "mark" => {
                mark = play.total();
                continue;
            }
            "sum" => {
                println!("{scenario}: {} packets in all", play.total() - mark);
                if !count(rest, play.total() - mark) {
                    wrong.push(line.to_owned());
                }
                continue;
            }
            "wait" => {
                play.wait(Duration::from_secs(rest.parse().unwrap()));
                continue;
            }
            "deny" => {
                let (network, bits) = rest.split_once('/').unwrap();
                let mut settings = settings(&[ROOT]);
                settings.deny.push((network.parse().unwrap(), bits.parse().unwrap()));
                settings.own.push("192.0.2.5:53".parse().unwrap());
                play = Play::new(settings, std::mem::take(&mut play.world), 7);
                continue;
            }
            "both" => {
                let settings = Settings { ipv6: true, ..settings(&[ROOT]) };
                play = Play::new(settings, std::mem::take(&mut play.world), 7);
                continue;
            }
            "ipv6" => {
                let root = ("a.root.", "2001:db8::1");
                let settings = Settings { ipv4: false, ipv6: true, ..settings(&[root]) };
                play = Play::new(settings, std::mem::take(&mut play.world), 7);
                continue;
            }
            _ => match (verb, done.as_ref().unwrap_or_else(|| panic!("ask before {line}"))) {
                ("packets", _) => count(rest, play.total() - before.values().sum::<u32>()),
                ("most", _) => count(rest, play.packets.keys().map(sent).max().unwrap_or_default()),
                ("to", _) => {
                    let (address, expected) = rest.split_once(' ').unwrap();
                    count(expected, sent(&address.parse().unwrap()))
                }
                ("within", done) => (done.at - began).as_secs_f64() <= rest.parse().unwrap(),
                ("is", Done { outcome: Outcome::Found { rcode, .. }, .. }) => rcode.to_string() == rest,
                ("fails", Done { outcome: Outcome::Failed { .. }, .. }) => true,
                ("says", done) => show(&done.outcome).contains(rest) || done.trace.join("\n").contains(rest),
                ("has", done) => show(&done.outcome).split("; ").any(|record| record == rest),
                ("alone", Done { outcome: Outcome::Found { answer, .. }, .. }) => {
                    answer.len() == rest.parse::<usize>().unwrap()
                }
                ("is" | "fails" | "alone", _) => false,
                _ => panic!("{scenario}: what is {line}?"),
            },
        };
        if !is {
            wrong.push(format!("{asked}: {line}"));
        }
    }
    assert_eq!(wrong, [] as [&str; 0], "{scenario}");
    play.wait(Duration::from_secs(20));
    assert_eq!((play.machine.jobs(), play.out), (0, 0), "{scenario}: something is left");
}

fn count(expected: &str, is: u32) -> bool {
    match expected.strip_prefix("<=") {
        Some(most) => is <= most.parse().unwrap(),
        None => is == expected.parse::<u32>().unwrap(),
    }
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Found { rcode, answer, .. } => {
            let records: Vec<String> = answer.iter().take(30).map(text).collect();
            format!("{rcode}; {}", records.join("; "))
        }
        Outcome::Failed { error, text, .. } => format!("failed ({}): {text}", error.0),
    }
}
