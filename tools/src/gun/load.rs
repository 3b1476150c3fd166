//! The loop of the gun: batches out, batches in, one clock reading per turn.
//!
//! ```text
//! turn:  receive on each lane until a batch is short ─► send what the pace allows ─► give up what is too old
//! ```
//! A lane is a socket and its 65,536 ids, given out in turn. An id is under way from its sending until its answer
//! or its timeout; `oldest` follows behind `next`, so giving up costs nothing while answers come in order.
//! The loop spins, unless others need its core: a sleeping gun has to be woken. After a short
//! batch it leaves the socket alone for some microseconds, since asking an empty one competes with its filling.

use super::check::{Rule, verdict};
use super::report::{Latency, Report};
use crate::clock;
use crate::histogram::Histogram;
use crate::mmsg::Batch;
use crate::questions::Questions;
use crate::socket;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// Datagrams per system call.
const BATCH: usize = 64;
/// Octets of the longest query or answer looked at; longer answers are cut, and then wrong.
const DATAGRAM_OCTETS: usize = 2048;
/// Receives in a row on one lane before sending gets its turn.
const RECEIVES_MAX: usize = 8;
/// An open loop sends when this much time's worth of questions is due, so that batches form.
const BURST_NS: f64 = 20_000.0;
/// How long the sockets are left alone after short batches: saturated, and where latencies are the point.
const REST_NS_CLOSED: u64 = 20_000;
const REST_NS_OPEN: u64 = 4_000;
/// Ids per lane.
const IDS: usize = 1 << 16;
/// Marks an id that is not under way.
const FREE: u32 = u32::MAX;

/// How fast questions go out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// That many are always under way.
    Closed { outstanding: usize },
    /// That many per second.
    Open { qps: f64 },
}

/// What a run shall do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whom to ask.
    pub(crate) target: SocketAddr,
    /// From how many sockets.
    pub(crate) sockets: usize,
    /// How long to send.
    pub(crate) time: Duration,
    /// How many questions at most.
    pub(crate) limit: Option<u64>,
    /// How fast.
    pub(crate) pace: Pace,
    /// When a question is lost.
    pub(crate) timeout: Duration,
    /// What answers are held against.
    pub(crate) rule: Rule,
    /// What it does in a turn in which nothing moved.
    pub(crate) idle: Idle,
}

/// What becomes of the core while there is nothing to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Idle {
    /// The gun keeps it: waking up would cost others.
    Spin,
    /// Whoever waits for it gets it.
    Yield,
    /// It is free for that long: for a gun of real-time priority, which is not held up by who shares its core.
    Sleep(Duration),
}

/// A question under way: which one, and when it was sent or due.
#[derive(Clone, Copy)]
struct UnderWay {
    question: u32,
    since_ns: u64,
}

/// A socket and its ids. `oldest ≤ next` (as running numbers); ids outside that range are free.
struct Lane {
    socket: UdpSocket,
    ids: Vec<UnderWay>,
    next: u64,
    oldest: u64,
    under_way: usize,
}

/// A run in progress.
struct Run<'a> {
    plan: &'a Plan,
    questions: &'a Questions,
    lanes: Vec<Lane>,
    inbox: Batch,
    outbox: Batch,
    cursor: usize,
    /// Those to be sent next: what of a burst did not leave, and what has come to it.
    burst: Vec<u32>,
    latencies: Histogram,
    receives: u64,
    last_answer_ns: u64,
    report: Report,
}

/// Sends the questions, from the first on and again, as the plan says; what came of it.
pub(crate) fn fire(plan: &Plan, questions: &Questions) -> Result<Report, String> {
    let failed = |error: io::Error| format!("{}: {error}", plan.target);
    let mut lanes = Vec::new();
    for _ in 0..plan.sockets {
        let ids = vec![UnderWay { question: FREE, since_ns: 0 }; IDS];
        let socket = socket::client(plan.target).map_err(failed)?;
        lanes.push(Lane { socket, ids, next: 0, oldest: 0, under_way: 0 });
    }
    let run = Run {
        plan,
        questions,
        lanes,
        inbox: Batch::new(BATCH, DATAGRAM_OCTETS, false),
        outbox: Batch::new(BATCH, DATAGRAM_OCTETS, false),
        cursor: 0,
        burst: Vec::with_capacity(BATCH),
        latencies: Histogram::new(),
        receives: 0,
        last_answer_ns: 0,
        report: Report::default(),
    };
    run.until_done().map_err(failed)
}

impl Run<'_> {
    fn until_done(mut self) -> io::Result<Report> {
        let start = clock::now();
        let end_ns = self.plan.time.as_nanos() as u64;
        let give_up_ns = self.plan.timeout.as_nanos() as u64;
        let limit = self.plan.limit.unwrap_or(u64::MAX);
        let rest_ns = match self.plan.pace {
            Pace::Closed { .. } => REST_NS_CLOSED,
            Pace::Open { .. } => REST_NS_OPEN,
        };
        let (mut rested_ns, mut busy_ns, mut last_ns, mut last_work) = (0, 0, 0, (0, 0));
        loop {
            let now_ns = clock::now().duration_since(start).as_nanos() as u64;
            // A turn that moved anything counts as busy up to this one's begin.
            let work = (self.report.sent, self.report.answered);
            if work != last_work {
                busy_ns += now_ns - last_ns;
            }
            self.report.stall_us = self.report.stall_us.max((now_ns - last_ns) as f64 / 1e3);
            let is_still = work == last_work;
            (last_ns, last_work) = (now_ns, work);
            if now_ns >= rested_ns {
                let mut full = false;
                for lane in 0..self.lanes.len() {
                    full |= self.receive(lane, now_ns);
                }
                rested_ns = if full { now_ns } else { now_ns + rest_ns };
            }
            let sending = now_ns < end_ns && self.report.sent < limit;
            if sending {
                match self.plan.pace {
                    Pace::Closed { outstanding } => self.refill(outstanding, now_ns, limit)?,
                    Pace::Open { qps } => self.send_due(qps, now_ns, limit)?,
                }
            }
            for lane in &mut self.lanes {
                self.report.lost += lane.give_up(now_ns.saturating_sub(give_up_ns));
            }
            // What is under way when sending ends is waited for, at most until its timeout.
            if !sending && self.lanes.iter().all(|lane| lane.under_way == 0) {
                break;
            }
            match self.plan.idle {
                Idle::Yield if is_still => std::thread::yield_now(),
                Idle::Sleep(time) if is_still => clock::pause(time),
                _ => std::hint::spin_loop(),
            }
        }
        let answered = self.report.answered.max(1) as f64;
        self.report.seconds = self.last_answer_ns as f64 / 1e9;
        self.report.qps = self.report.answered as f64 / self.report.seconds.max(1e-9);
        self.report.own_us = busy_ns as f64 / 1e3 / answered;
        self.report.answers_per_receive = answered / self.receives.max(1) as f64;
        self.report.latency_us = Latency::of(&self.latencies);
        Ok(self.report)
    }

    /// Takes the answers that have arrived on a lane; true if there may be more.
    fn receive(&mut self, lane: usize, now_ns: u64) -> bool {
        for _ in 0..RECEIVES_MAX {
            // An error here is an empty socket, or a port that is closed: then questions are lost, and counted so.
            let Ok(filled) = self.inbox.receive(self.lanes[lane].socket.as_fd()) else { return false };
            self.receives += 1;
            self.last_answer_ns = now_ns;
            for slot in 0..filled {
                self.take(lane, slot, now_ns);
            }
            if filled < BATCH {
                return false;
            }
        }
        true
    }

    /// Takes one answer.
    fn take(&mut self, lane: usize, slot: usize, now_ns: u64) {
        let answer = self.inbox.datagram(slot);
        let lane = &mut self.lanes[lane];
        let under_way = match *answer {
            [high, low, ..] => &mut lane.ids[usize::from(u16::from_be_bytes([high, low]))],
            _ => return self.report.wrong.header += 1,
        };
        if under_way.question == FREE {
            self.report.wrong.stray += 1;
            return;
        }
        self.latencies.record(now_ns.saturating_sub(under_way.since_ns));
        self.report.answered += 1;
        let verdict = verdict(self.plan.rule, self.questions, under_way.question as usize, answer);
        if let Err(fault) = verdict {
            self.report.wrong.count(fault);
        }
        under_way.question = FREE;
        lane.under_way -= 1;
    }

    /// Closed loop: fills every lane up to its share, in bursts.
    fn refill(&mut self, outstanding: usize, now_ns: u64, limit: u64) -> io::Result<()> {
        let share = outstanding.div_ceil(self.lanes.len()).min(IDS - 1);
        let burst = (share / 4).clamp(1, BATCH);
        for lane in 0..self.lanes.len() {
            while share - self.lanes[lane].under_way.min(share) >= burst {
                let count = burst.min((limit - self.report.sent) as usize);
                if count == 0 || self.send(lane, count, |_| now_ns)? < count {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Open loop: sends what is due, over the lanes in turn.
    fn send_due(&mut self, qps: f64, now_ns: u64, limit: u64) -> io::Result<()> {
        let due = ((now_ns as f64 / 1e9 * qps) as u64).min(limit);
        let burst = (qps * BURST_NS / 1e9).clamp(1.0, BATCH as f64) as u64;
        let mut missing = due.saturating_sub(self.report.sent + self.report.held_back);
        while missing >= burst || (due == limit && missing > 0) {
            let count = missing.min(BATCH as u64) as usize;
            let first = self.report.sent + self.report.held_back;
            let lane = (first / burst) as usize % self.lanes.len();
            let sent = self.send(lane, count, |k| ((first + k) as f64 / qps * 1e9) as u64)?;
            self.report.held_back += (count - sent) as u64;
            missing -= count as u64;
        }
        Ok(())
    }

    /// Sends the next questions on a lane; how many left. `since` gives the time that the `k`th counts from.
    fn send(&mut self, lane: usize, count: usize, since: impl Fn(u64) -> u64) -> io::Result<usize> {
        let lane = &mut self.lanes[lane];
        let room = IDS - 1 - (lane.next - lane.oldest) as usize;
        let count = count.min(room);
        if count == 0 {
            return Ok(0);
        }
        while self.burst.len() < count {
            self.burst.push(self.cursor as u32);
            self.cursor = (self.cursor + 1) % self.questions.len();
        }
        // What is equally long leaves together, so that who asks is not what is measured.
        let burst = &mut self.burst[..count];
        burst.sort_unstable_by_key(|question| self.questions.packet(*question as usize).len());
        for (slot, question) in burst.iter().enumerate() {
            let id = (lane.next + slot as u64) as u16;
            let packet = self.questions.packet(*question as usize);
            self.outbox.put(slot, packet)[..2].copy_from_slice(&id.to_be_bytes());
        }
        let sent = match self.outbox.send_in_runs(lane.socket.as_fd(), count) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // A closed port is told to the next send; nothing of that one left.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => 0,
            Err(error) => return Err(error),
        };
        for (k, question) in (0..).zip(self.burst.drain(..sent)) {
            let id = (lane.next + k) as u16;
            lane.ids[usize::from(id)] = UnderWay { question, since_ns: since(k) };
        }
        lane.next += sent as u64;
        lane.under_way += sent;
        self.report.sent += sent as u64;
        Ok(sent)
    }
}

impl Lane {
    /// Frees what is under way since before `before_ns`, and moves up past what is answered; how many were lost.
    fn give_up(&mut self, before_ns: u64) -> u64 {
        let mut lost = 0;
        while self.oldest < self.next {
            let under_way = &mut self.ids[self.oldest as usize % IDS];
            if under_way.question != FREE {
                if under_way.since_ns >= before_ns {
                    break;
                }
                under_way.question = FREE;
                self.under_way -= 1;
                lost += 1;
            }
            self.oldest += 1;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Population;
    use crate::queries::{MixArgs, generate};
    use crate::questions::{Expect, Kind};
    use crate::{echo, socket};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn questions() -> Questions {
        let mix = MixArgs { zone_names: 100, count: 500, ..MixArgs::default() };
        generate(&Population::generate(100, 1), &mix)
    }

    fn plan(target: SocketAddr, pace: Pace) -> Plan {
        let (time, timeout) = (Duration::from_secs(20), Duration::from_secs(5));
        Plan {
            target,
            sockets: 3,
            time,
            limit: Some(3_000),
            pace,
            timeout,
            rule: Rule::Echo,
            idle: Idle::Spin,
        }
    }

    #[test]
    fn every_question_to_an_echo_is_answered_in_both_loops() {
        let server = socket::server(([127, 0, 0, 1], 0).into()).unwrap();
        let target = server.local_addr().unwrap();
        let ending = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| echo::serve(&server, &ending, Duration::from_secs(60)).unwrap());
            for pace in [Pace::Closed { outstanding: 100 }, Pace::Open { qps: 20_000.0 }] {
                let report = fire(&plan(target, pace), &questions()).unwrap();
                assert_eq!((report.sent, report.answered, report.lost), (3_000, 3_000, 0), "{pace:?}");
                assert_eq!(report.wrong.total(), 0, "{pace:?}");
                assert!(report.latency_us.p50 > 0.0 && report.latency_us.max >= report.latency_us.p999);
            }
            ending.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn one_question_again_and_again_leaves_in_bursts_and_every_one_counts() {
        let server = socket::server(([127, 0, 0, 1], 0).into()).unwrap();
        let target = server.local_addr().unwrap();
        let mut one = Questions::default();
        one.push(Expect { kind: Kind::Hit, rcode: 0, authoritative: true, answers: 1 }, |out| {
            out.extend(questions().packet(0))
        });
        let ending = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| echo::serve(&server, &ending, Duration::from_secs(60)).unwrap());
            let report = fire(&plan(target, Pace::Closed { outstanding: 192 }), &one).unwrap();
            assert_eq!((report.sent, report.answered, report.lost), (3_000, 3_000, 0));
            assert_eq!(report.wrong.total(), 0);
            ending.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn an_answer_that_is_not_due_is_wrong() {
        let server = socket::server(([127, 0, 0, 1], 0).into()).unwrap();
        let target = server.local_addr().unwrap();
        let ending = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| echo::serve(&server, &ending, Duration::from_secs(60)).unwrap());
            let plan = Plan { rule: Rule::Answer, ..plan(target, Pace::Closed { outstanding: 64 }) };
            let report = fire(&plan, &questions()).unwrap();
            // An echo has AA nowhere and no answers: only referrals pass.
            assert!(report.wrong.authority > 2_000 && report.wrong.rcode > 100, "{:?}", report.wrong);
            ending.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn a_pass_asks_each_question_once_whatever_its_length() {
        let silent = socket::server(([127, 0, 0, 1], 0).into()).unwrap();
        let (questions, count) = (questions(), 100);
        let plan = Plan {
            limit: Some(count as u64),
            timeout: Duration::from_millis(50),
            ..plan(silent.local_addr().unwrap(), Pace::Closed { outstanding: 300 })
        };
        fire(&plan, &questions).unwrap();
        let mut inbox = Batch::new(2 * count, DATAGRAM_OCTETS, true);
        let filled = inbox.receive(silent.as_fd()).unwrap();
        let mut heard: Vec<&[u8]> = (0..filled).map(|slot| &inbox.datagram(slot)[2..]).collect();
        let mut due: Vec<&[u8]> = (0..count).map(|number| &questions.packet(number)[2..]).collect();
        assert!(due.iter().any(|question| question.len() != due[0].len()));
        heard.sort_unstable();
        due.sort_unstable();
        assert_eq!(heard, due);
    }

    #[test]
    fn questions_into_silence_are_lost() {
        let silent = socket::server(([127, 0, 0, 1], 0).into()).unwrap();
        let plan = Plan {
            limit: Some(50),
            timeout: Duration::from_millis(50),
            ..plan(silent.local_addr().unwrap(), Pace::Closed { outstanding: 10 })
        };
        let report = fire(&plan, &questions()).unwrap();
        assert_eq!((report.sent, report.answered, report.lost), (50, 0, 50));
    }
}
