//! A stub resolver under load: look-ups at a steady rate from the network of a container, each with a socket of its own, as
//! the C library's are, with `timeout:1 attempts:3`.
//!
//! A server that is silent for a second, refuses, or says SERVFAIL, REFUSED or NOTIMP is followed by the next in the list,
//! and the list is gone through three times.

use super::ask::{self, NXDOMAIN, SERVFAIL};
use super::{now, seat};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// `timeout:1`.
const TIMEOUT: Duration = Duration::from_secs(1);
/// `attempts:3`.
const ATTEMPTS: usize = 3;
/// How often it looks whether it is to end, and for look-ups whose time is over.
const TICK: Duration = Duration::from_millis(5);
/// NOTIMP and REFUSED.
const NEXT: [u16; 2] = [4, 5];

/// What is looked up, and of whom.
#[derive(Debug, Clone)]
pub struct Stub {
    /// Whose network it is in.
    pub pid: u32,
    /// In this order.
    pub servers: Vec<SocketAddr>,
    pub name: String,
    pub rtype: u16,
    /// Look-ups a second.
    pub rate: u32,
}

/// A look-up that failed: when it began and when it was given up, counted from the start, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub began: Duration,
    pub at: Duration,
    pub why: String,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub asked: usize,
    pub answered: usize,
    pub failures: Vec<Failure>,
    /// The longest that a look-up took that was answered.
    pub longest: Duration,
    /// The longest time between two answers.
    pub gap: Duration,
    /// Everything that was ever answered.
    pub answers: BTreeSet<String>,
}

/// A load that runs until it is told to end.
pub struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Report>>,
}

impl Load {
    /// Starts it.
    pub fn start(stub: Stub) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            seat::within(stub.pid, || Runner::new(&stub).run(&own)).expect("the container's network")
        });
        Load { stop, thread: Some(thread) }
    }

    /// Ends it: what is under way is waited for.
    pub fn end(mut self) -> Report {
        self.stop.store(true, Ordering::Release);
        self.thread.take().expect("it runs").join().expect("no panic")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Look {
    socket: UdpSocket,
    began: Instant,
    /// How many servers were asked before, over all attempts.
    tries: usize,
    last: &'static str,
}

struct Runner<'s> {
    stub: &'s Stub,
    poll: Poll,
    began: Instant,
    /// When something was answered last.
    answered: Option<Instant>,
    looks: HashMap<usize, Look>,
    /// When which try of which look-up is over; all wait equally long.
    deadlines: VecDeque<(Instant, usize, usize)>,
    report: Report,
}

impl Runner<'_> {
    fn new(stub: &Stub) -> Runner<'_> {
        let poll = Poll::new().expect("a poll");
        let (looks, deadlines) = (HashMap::new(), VecDeque::new());
        Runner { stub, poll, began: now(), answered: None, looks, deadlines, report: Report::default() }
    }

    fn run(mut self, stop: &AtomicBool) -> Report {
        let mut events = Events::with_capacity(1024);
        let pace = Duration::from_secs(1) / self.stub.rate;
        loop {
            let mut time = now();
            let is_over = stop.load(Ordering::Acquire);
            while !is_over && self.began + pace * self.report.asked as u32 <= time {
                let number = self.report.asked;
                self.report.asked += 1;
                self.send(number, time, 0, "");
                time = now();
            }
            if is_over && self.looks.is_empty() {
                return self.report;
            }
            let due = self.began + pace * self.report.asked as u32;
            let wait = if is_over { TICK } else { due.saturating_duration_since(time).min(TICK) };
            if let Err(error) = self.poll.poll(&mut events, Some(wait)) {
                assert_eq!(error.kind(), ErrorKind::Interrupted);
            }
            let told: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            told.into_iter().for_each(|number| self.hear(number));
            self.expire(now());
        }
    }

    /// Asks the next server, or gives up.
    fn send(&mut self, number: usize, began: Instant, tries: usize, last: &'static str) {
        let servers = &self.stub.servers;
        if tries == servers.len() * ATTEMPTS {
            return self.fail(began, last);
        }
        let query = ask::query(number as u16, &self.stub.name, self.stub.rtype);
        let sent = (|| {
            let mut socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
            socket.connect(servers[tries % servers.len()])?;
            self.poll.registry().register(&mut socket, Token(number), Interest::READABLE)?;
            socket.send(&query)?;
            Ok::<_, std::io::Error>(socket)
        })();
        match sent {
            Ok(socket) => {
                self.looks.insert(number, Look { socket, began, tries, last: "silence" });
                self.deadlines.push_back((now() + TIMEOUT, number, tries));
            }
            Err(_) => self.send(number, began, tries + 1, "it could not be sent"),
        }
    }

    fn fail(&mut self, began: Instant, why: &str) {
        let failure = Failure { began: began - self.began, at: self.began.elapsed(), why: why.to_owned() };
        self.report.failures.push(failure);
    }

    fn hear(&mut self, number: usize) {
        let mut buffer = [0; 4096];
        let Some(look) = self.looks.get_mut(&number) else { return };
        let heard = match look.socket.recv(&mut buffer) {
            Ok(length) => ask::read(&buffer[..length]).ok_or("it could not be read"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => Err("refused by the network"),
        };
        let (began, tries) = (look.began, look.tries);
        self.looks.remove(&number);
        match heard {
            Err(why) => self.send(number, began, tries + 1, why),
            Ok(told) if told.rcode == SERVFAIL => self.send(number, began, tries + 1, "SERVFAIL"),
            Ok(told) if NEXT.contains(&told.rcode) => self.send(number, began, tries + 1, "REFUSED"),
            Ok(told) if told.rcode == NXDOMAIN => self.fail(began, "NXDOMAIN"),
            Ok(told) if told.answers.is_empty() => self.fail(began, "no addresses"),
            Ok(told) => {
                let time = now();
                let last = self.answered.replace(time).unwrap_or(time);
                self.report.gap = self.report.gap.max(time - last);
                self.report.answered += 1;
                self.report.longest = self.report.longest.max(time - began);
                self.report.answers.extend(told.answers);
            }
        }
    }

    fn expire(&mut self, time: Instant) {
        while let Some(&(deadline, number, tries)) = self.deadlines.front() {
            if deadline > time {
                return;
            }
            self.deadlines.pop_front();
            let is_same = self.looks.get(&number).is_some_and(|look| look.tries == tries);
            if let Some(look) = is_same.then(|| self.looks.remove(&number)).flatten() {
                self.send(number, look.began, tries + 1, look.last);
            }
        }
    }
}
