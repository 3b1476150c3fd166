//! Streams between two nodes, without machines.

use super::*;
use crate::testing::network::{Delays, Network, Span, Stage};
use crate::testing::queue::Queue;
use crate::testing::seat::Seats;

/// Two hosts, their streams, and what was told.
struct Desk {
    streams: Streams,
    network: Network,
    queue: Queue<Step>,
    rng: fastrand::Rng,
    hosts: [Host; 2],
    now: Moment,
    told: Vec<(Duration, String)>,
    received: Vec<u8>,
    rooms: Vec<usize>,
}

const A: Seat = Seat(0);
const B: Seat = Seat(1);
const STREAM: StreamId = StreamId(1);

impl Desk {
    fn new(stages: Vec<Stage>) -> Desk {
        let ms = Delays { micros_min: 1_000, micros_max: 1_000 };
        let mut network = Network::new(stages);
        network.add(Stage::Latency(ms));
        Desk {
            streams: Streams::default(),
            network,
            queue: Queue::default(),
            rng: fastrand::Rng::with_seed(5),
            hosts: [Host::Serving; 2],
            now: Moment::START,
            told: Vec::new(),
            received: Vec::new(),
            rooms: Vec::new(),
        }
    }

    fn with<R>(&mut self, act: impl FnOnce(&mut Streams, &mut Surroundings<'_, Step>) -> R) -> R {
        let mut around = Surroundings {
            now: self.now,
            network: &mut self.network,
            rng: &mut self.rng,
            queue: &mut self.queue,
            hosts: &self.hosts,
        };
        act(&mut self.streams, &mut around)
    }

    fn note(&mut self, seat: Seat, what: &str) {
        self.told.push((self.now - Moment::START, format!("{} {what}", ["a", "b"][seat.index()])));
    }

    fn run(&mut self, until: Duration) {
        while let Some((at, step)) = self.queue.pop_until(Moment::START + until) {
            self.now = at;
            let Some((seat, told)) = self.with(|streams, around| streams.step(around, step)) else {
                continue;
            };
            match told {
                Told::Accept { connection, from } => {
                    assert_eq!((seat, from), (B, A));
                    self.note(seat, "accept");
                    self.streams.accepted(connection, STREAM);
                }
                Told::Opened(_) => self.note(seat, "opened"),
                Told::Received { connection, from, octets, .. } => {
                    self.received.extend_from_slice(&octets);
                    self.with(|streams, around| streams.taken(around, connection, from, octets.len()));
                }
                Told::Writable(_, room) => self.rooms.push(room),
                Told::Closed(_) => self.note(seat, "closed"),
            }
        }
        self.now = Moment::START + until;
    }

    fn open(&mut self) {
        self.with(|streams, around| streams.open(around, A, STREAM, B));
    }

    fn write(&mut self, seat: Seat, octets: &[u8]) {
        let octets = Bytes::copy_from_slice(octets);
        self.with(|streams, around| streams.write(around, seat, STREAM, octets));
    }

    fn close(&mut self, seat: Seat) {
        self.with(|streams, around| streams.close(around, seat, STREAM));
    }

    /// What was told, with milliseconds.
    fn lines(&self) -> Vec<String> {
        self.told.iter().map(|(at, what)| format!("{} {what}", at.as_millis())).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_stream_opens_after_a_round_trip_carries_octets_in_order_and_closes_after_the_last() {
    let mut desk = Desk::new(vec![]);
    desk.open();
    desk.run(Duration::from_millis(10));
    assert_eq!(desk.lines(), ["2 a opened", "3 b accept"]);
    let octets: Vec<u8> = (0..WINDOW_OCTETS).map(|place| (place / 7) as u8).collect();
    desk.write(A, &octets);
    desk.close(A);
    desk.run(seconds(1));
    assert_eq!(desk.received, octets);
    assert_eq!(desk.lines()[2..], ["11 b closed"]);
    assert!(desk.streams.pairs.is_empty() && desk.streams.ends.is_empty());
}

#[test]
fn there_is_room_for_a_window_and_for_what_the_other_side_has_taken() {
    let mut desk = Desk::new(vec![]);
    desk.open();
    desk.run(Duration::from_millis(10));
    desk.write(A, &[7; WINDOW_OCTETS]);
    desk.write(A, &[7]);
    assert_eq!(desk.streams.overruns, 1);
    desk.run(seconds(1));
    assert_eq!(desk.rooms.last(), Some(&WINDOW_OCTETS));
    assert!(desk.rooms.windows(2).all(|pair| pair[0] < pair[1]));
    desk.write(A, &[7]);
    assert_eq!(desk.streams.overruns, 1);
}

#[test]
fn what_is_lost_comes_late_and_still_in_order() {
    let mut desk = Desk::new(vec![Stage::Loss { span: Span::ALWAYS, share: 0.3 }]);
    desk.open();
    desk.run(seconds(20));
    let octets: Vec<u8> = (0..WINDOW_OCTETS).map(|place| (place / 5) as u8).collect();
    desk.write(A, &octets);
    desk.run(Duration::from_millis(20_150));
    assert!(desk.received.len() < octets.len());
    desk.run(seconds(60));
    assert_eq!(desk.received, octets);
}

#[test]
fn a_host_without_the_process_refuses_after_a_round_trip() {
    let mut desk = Desk::new(vec![]);
    desk.hosts[1] = Host::Refusing;
    desk.open();
    desk.run(seconds(1));
    assert_eq!(desk.lines(), ["2 a closed"]);
    assert!(desk.streams.pairs.is_empty());
}

#[test]
fn a_host_that_is_off_is_given_up_after_three_more_attempts() {
    let mut desk = Desk::new(vec![]);
    desk.hosts[1] = Host::Off;
    desk.open();
    desk.run(seconds(60));
    assert_eq!(desk.lines(), ["15004 a closed"]);
}

#[test]
fn behind_a_cut_opening_waits_for_the_next_attempt() {
    let span = Span { from: Moment::START, until: Moment::START + seconds(2) };
    let side = Seats::of(2, |seat| seat == A);
    let mut desk = Desk::new(vec![Stage::Cut { span, side }]);
    desk.open();
    desk.run(seconds(60));
    // Asked at 0, 1 and 3 seconds.
    assert_eq!(desk.lines(), ["3002 a opened", "3003 b accept"]);
}

#[test]
fn who_writes_into_a_cut_gives_up_at_last_and_the_other_side_learns_it_when_it_writes() {
    let span = Span { from: Moment::START + seconds(1), until: Moment::START + seconds(400) };
    let side = Seats::of(2, |seat| seat == A);
    let mut desk = Desk::new(vec![Stage::Cut { span, side }]);
    desk.open();
    desk.run(seconds(2));
    desk.write(A, b"lost");
    desk.run(seconds(500));
    assert_eq!(desk.lines()[2..], ["206600 a closed"]);
    desk.write(B, b"anybody?");
    desk.run(seconds(501));
    assert_eq!(desk.lines()[3..], ["500002 b closed"]);
    assert!(desk.streams.pairs.is_empty());
}

#[test]
fn the_peers_of_a_process_that_ends_are_told_and_those_of_a_host_that_loses_power_are_not() {
    for (off, expected) in [(false, vec!["11 a closed"]), (true, vec![])] {
        let mut desk = Desk::new(vec![]);
        desk.open();
        desk.run(Duration::from_millis(10));
        desk.with(|streams, around| streams.end_all(around, B, off));
        desk.run(seconds(30));
        assert_eq!(desk.lines()[2..], expected);
        if off {
            desk.with(|streams, around| streams.host_is_back(around, B));
            desk.run(seconds(40));
            assert_eq!(desk.lines()[2..], ["30200 a closed"]);
        }
        assert!(desk.streams.pairs.is_empty() && desk.streams.ends.is_empty());
    }
}

#[test]
fn who_both_close_into_a_cut_leave_nothing_behind() {
    let span = Span { from: Moment::START + seconds(1), until: Moment::NEVER };
    let side = Seats::of(2, |seat| seat == A);
    let mut desk = Desk::new(vec![Stage::Cut { span, side }]);
    desk.open();
    desk.run(seconds(2));
    desk.close(A);
    desk.close(B);
    desk.run(seconds(600));
    assert!(desk.streams.pairs.is_empty() && desk.streams.ends.is_empty());
    assert!(desk.queue.is_empty());
}
