//! Streams between nodes: a plain model of TCP. What is lost is sent again after 200 ms, then 400, and so on; what was
//! sent later waits for it. Windows are fixed: there is no slow start and no congestion control.
//!
//! ```text
//!  opener                          acceptor        A SYN or its answer is lost: again after 1 s, 2 s, 4 s.
//!    │ SYN ───────────────────────► │              No process there: refused after a round trip.
//!    │ ◄──────────────────── SYN+ACK│              Machine off, way cut: silence, given up after 15 s.
//!    │ opened ───────────────► accept              A write is cut into pieces of some segments; a piece arrives
//!    │ piece, piece, ... ─────────► │              when its last segment does, and never before the piece ahead.
//!    │ ◄─────────────── room, as the receiver takes octets
//! ```
//! It does not know what is in a stream, nor the machines: it says what is to be told to whom.

use super::seat::Seat;
use super::step::{Connection, End, Host, Step, Surroundings, Told};
use crate::base::time::Moment;
use crate::gossip::output::StreamId;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Octets of a segment: an Ethernet frame without the headers of IPv4, TCP and its timestamps.
const SEGMENT_OCTETS: usize = 1_448;
/// Octets that travel and arrive together: few enough for pieces to follow each other within a window.
const PIECE_OCTETS: usize = 8 * SEGMENT_OCTETS;
/// Octets that may be on their way in one direction: the window and both kernels' buffers in one number.
pub(super) const WINDOW_OCTETS: usize = 64 << 10;
/// After how long a lost segment is sent again (Linux: TCP_RTO_MIN); doubled each time.
const RESEND_AFTER: Duration = Duration::from_millis(200);
/// How often a segment is sent again before the stream is given up: some 200 s in all.
const RESENDS_MAX: u32 = 10;
/// After how long a SYN is sent again (RFC 6298 section 2); doubled each time.
const SYN_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often a SYN is sent again.
const SYNS_AGAIN_MAX: u32 = 3;
/// Octets of a packet that carries nothing.
const EMPTY_OCTETS: usize = 0;

#[derive(Debug)]
struct Piece {
    octets: Bytes,
    /// True for the last one, which has no octets.
    last: bool,
    missing: u32,
    resends: u32,
    arrives: Moment,
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not open yet at this end.
    Waiting,
    Open,
    /// The machine knows it no more.
    Done,
    /// The whole host is gone; nobody says so.
    Off,
}

#[derive(Debug)]
struct Side {
    seat: Seat,
    stream: Option<StreamId>,
    state: State,
    /// On their way from here, in order.
    pieces: VecDeque<Piece>,
    /// The number of the first of `pieces`.
    first: u64,
    /// Octets written here and not taken there; at most [`WINDOW_OCTETS`].
    under_way: usize,
    /// When the piece before arrives at the other side.
    arrival: Moment,
}

impl Side {
    fn new(seat: Seat, stream: Option<StreamId>) -> Side {
        Side {
            seat,
            stream,
            state: State::Waiting,
            pieces: VecDeque::new(),
            first: 0,
            under_way: 0,
            arrival: Moment::START,
        }
    }

    fn told(&self, told: impl FnOnce(StreamId) -> Told) -> Option<(Seat, Told)> {
        match (self.state, self.stream) {
            (State::Waiting | State::Open, Some(stream)) => Some((self.seat, told(stream))),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Pair {
    opener: Side,
    acceptor: Side,
}

impl Pair {
    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Opener => &mut self.opener,
            End::Acceptor => &mut self.acceptor,
        }
    }
}

/// All connections of the world.
///
/// A stream is in `ends` while the machine at that end knows it; a connection is in `pairs` while one of its ends
/// may still be told of it.
#[derive(Default)]
pub(super) struct Streams {
    pairs: BTreeMap<Connection, Pair>,
    ends: BTreeMap<(Seat, StreamId), (Connection, End)>,
    next: Connection,
    /// Octets that machines have written.
    pub(super) octets_written: u64,
    /// Writes beyond the room that was granted: mistakes of the machine.
    pub(super) overruns: u64,
}

impl Streams {
    /// A machine asks for a stream.
    pub(super) fn open<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        from: Seat,
        stream: StreamId,
        to: Seat,
    ) {
        self.next += 1;
        let connection = self.next;
        self.pairs.insert(
            connection,
            Pair { opener: Side::new(from, Some(stream)), acceptor: Side::new(to, None) },
        );
        self.ends.insert((from, stream), (connection, End::Opener));
        around.after(Duration::ZERO, Step::Syn { connection, attempt: 0 });
    }

    /// The machine at the acceptor has given the stream its name.
    pub(super) fn accepted(&mut self, connection: Connection, stream: StreamId) -> Option<(Seat, Told)> {
        let side = self.pairs.get_mut(&connection)?.side(End::Acceptor);
        side.stream = Some(stream);
        side.state = State::Open;
        let seat = side.seat;
        self.ends.insert((seat, stream), (connection, End::Acceptor));
        Some((seat, Told::Writable(stream, WINDOW_OCTETS)))
    }

    /// The machine at the acceptor will not have it.
    pub(super) fn refused<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
    ) {
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let (opener, acceptor) = (pair.opener.seat, pair.acceptor.seat);
        pair.acceptor.state = State::Done;
        let delay = around.pass(acceptor, opener, EMPTY_OCTETS).unwrap_or(RESEND_AFTER);
        around.after(delay, Step::Broken { connection, to: End::Opener });
    }

    /// The machine at the other end of `from` has taken octets: there is room for more.
    pub(super) fn taken<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
        from: End,
        octets: usize,
    ) {
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let (sender, receiver) = (pair.side(from).seat, pair.side(from.other()).seat);
        // A lost acknowledgement is made good by the next one.
        let delay = around.pass(receiver, sender, EMPTY_OCTETS).unwrap_or(RESEND_AFTER);
        around.after(delay, Step::Room { connection, to: from, octets: octets as u32 });
    }

    /// A machine writes.
    pub(super) fn write<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        seat: Seat,
        stream: StreamId,
        octets: Bytes,
    ) {
        let Some(&(connection, from)) = self.ends.get(&(seat, stream)) else { return };
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let side = pair.side(from);
        if side.state != State::Open || side.under_way + octets.len() > WINDOW_OCTETS {
            self.overruns += 1;
            return;
        }
        side.under_way += octets.len();
        self.octets_written += octets.len() as u64;
        let mut rest = octets;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_OCTETS));
            self.send(around, connection, from, piece, false);
        }
    }

    /// A machine closes: what was written still arrives.
    pub(super) fn close<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        seat: Seat,
        stream: StreamId,
    ) {
        let Some((connection, end)) = self.ends.remove(&(seat, stream)) else { return };
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let waiting = pair.side(end).state == State::Waiting;
        pair.side(end).state = State::Done;
        match pair.side(end.other()).state {
            State::Off => {
                self.pairs.remove(&connection);
            }
            // Given up before it was open: as if the SYN had been lost.
            State::Waiting if waiting => {
                self.pairs.remove(&connection);
            }
            State::Waiting | State::Open | State::Done => {
                self.send(around, connection, end, Bytes::new(), true)
            }
        }
    }

    /// All streams of a node are over for it: its process has ended, or the whole host is off, of which nobody is
    /// told before it is on again.
    pub(super) fn end_all<E: From<Step>>(&mut self, around: &mut Surroundings<'_, E>, seat: Seat, off: bool) {
        let touched: Vec<(Connection, End)> = self
            .pairs
            .iter()
            .filter_map(|(&connection, pair)| match () {
                () if pair.opener.seat == seat => Some((connection, End::Opener)),
                () if pair.acceptor.seat == seat => Some((connection, End::Acceptor)),
                () => None,
            })
            .collect();
        for (connection, end) in touched {
            let Some(pair) = self.pairs.get_mut(&connection) else { continue };
            let side = pair.side(end);
            if let Some(stream) = side.stream {
                self.ends.remove(&(seat, stream));
            }
            side.pieces.clear();
            side.state = if off { State::Off } else { State::Done };
            let other = pair.side(end.other()).seat;
            if !off {
                let delay = around.pass(seat, other, EMPTY_OCTETS).unwrap_or(RESEND_AFTER);
                around.after(delay, Step::Broken { connection, to: end.other() });
            }
        }
    }

    /// A host is on again: it refuses what it knows nothing of any more.
    pub(super) fn host_is_back<E: From<Step>>(&mut self, around: &mut Surroundings<'_, E>, seat: Seat) {
        for (&connection, pair) in &mut self.pairs {
            for end in [End::Opener, End::Acceptor] {
                if pair.side(end).seat == seat && pair.side(end).state == State::Off {
                    pair.side(end).state = State::Done;
                    around.after(RESEND_AFTER, Step::Broken { connection, to: end.other() });
                }
            }
        }
    }

    /// Does a step; what is then to be told to a machine, if anything.
    pub(super) fn step<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        step: Step,
    ) -> Option<(Seat, Told)> {
        match step {
            Step::Syn { connection, attempt } => self.syn(around, connection, attempt),
            Step::SynArrives { connection, attempt, back_micros, on_micros } => {
                let pair = self.pairs.get_mut(&connection)?;
                let (back, on) =
                    (Duration::from_micros(back_micros.into()), Duration::from_micros(on_micros.into()));
                match around.host(pair.acceptor.seat) {
                    Host::Serving => {
                        // What is written at once does not overtake the third step of the handshake.
                        pair.opener.arrival = around.now + back + on;
                        around.after(back, Step::Opened { connection });
                        around.after(back + on, Step::Accepted { connection });
                    }
                    Host::Refusing => around.after(back, Step::Broken { connection, to: End::Opener }),
                    Host::Off => around.after(
                        SYN_AGAIN_AFTER * 2u32.pow(attempt),
                        Step::Syn { connection, attempt: attempt + 1 },
                    ),
                }
                None
            }
            Step::Opened { connection } => {
                let pair = self.pairs.get_mut(&connection)?;
                if pair.opener.state != State::Waiting {
                    return None;
                }
                pair.opener.state = State::Open;
                pair.opener.told(Told::Opened)
            }
            Step::Accepted { connection } => {
                let pair = self.pairs.get(&connection)?;
                let serving = around.host(pair.acceptor.seat) == Host::Serving;
                let fresh = pair.acceptor.state == State::Waiting && serving;
                fresh.then_some((pair.acceptor.seat, Told::Accept { connection, from: pair.opener.seat }))
            }
            Step::Arrives { connection, from } => self.arrives(around, connection, from),
            Step::Resend { connection, from, piece } => {
                self.transmit(around, connection, from, piece);
                None
            }
            Step::Room { connection, to, octets } => {
                let side = self.pairs.get_mut(&connection)?.side(to);
                side.under_way = side.under_way.saturating_sub(octets as usize);
                let room = WINDOW_OCTETS - side.under_way;
                side.told(|stream| Told::Writable(stream, room))
            }
            Step::Broken { connection, to } => {
                let mut pair = self.pairs.remove(&connection)?;
                self.finish(pair.side(to))
            }
            Step::GivenUp { connection, by } => {
                let pair = self.pairs.get_mut(&connection)?;
                let side = pair.side(by);
                let told = side.told(Told::Closed);
                if told.is_some() {
                    side.state = State::Done;
                }
                side.pieces.clear();
                let end = side.stream.map(|stream| (side.seat, stream));
                // Nobody is left to be told anything of it: both have closed, or one and the other's host is gone.
                if matches!(pair.side(by.other()).state, State::Done | State::Off) {
                    self.pairs.remove(&connection);
                }
                if let Some(end) = end.filter(|_| told.is_some()) {
                    self.ends.remove(&end);
                }
                told
            }
        }
    }

    /// Room at the start, once the machine knows that the stream is open.
    pub(super) fn first_room(&self, stream: StreamId) -> Told {
        Told::Writable(stream, WINDOW_OCTETS)
    }

    fn finish(&mut self, side: &Side) -> Option<(Seat, Told)> {
        let told = side.told(Told::Closed)?;
        if let Some(stream) = side.stream {
            self.ends.remove(&(side.seat, stream));
        }
        Some(told)
    }

    fn syn<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
        attempt: u32,
    ) -> Option<(Seat, Told)> {
        let pair = self.pairs.get(&connection)?;
        if attempt > SYNS_AGAIN_MAX {
            let pair = self.pairs.remove(&connection)?;
            return self.finish(&pair.opener);
        }
        let (opener, acceptor) = (pair.opener.seat, pair.acceptor.seat);
        let there = around.pass(opener, acceptor, EMPTY_OCTETS);
        let back = around.pass(acceptor, opener, EMPTY_OCTETS);
        let on = around.pass(opener, acceptor, EMPTY_OCTETS).unwrap_or(RESEND_AFTER);
        let micros = |delay: Duration| u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        match (there, back) {
            (Some(there), Some(back)) => {
                let (back_micros, on_micros) = (micros(back), micros(on));
                around.after(there, Step::SynArrives { connection, attempt, back_micros, on_micros });
            }
            _ => around
                .after(SYN_AGAIN_AFTER * 2u32.pow(attempt), Step::Syn { connection, attempt: attempt + 1 }),
        }
        None
    }

    fn send<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
        from: End,
        octets: Bytes,
        last: bool,
    ) {
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let side = pair.side(from);
        let missing = octets.len().div_ceil(SEGMENT_OCTETS).max(1) as u32;
        side.pieces.push_back(Piece {
            octets,
            last,
            missing,
            resends: 0,
            arrives: Moment::START,
            told: false,
        });
        let piece = side.first + side.pieces.len() as u64 - 1;
        self.transmit(around, connection, from, piece);
    }

    /// Sends what is missing of a piece.
    fn transmit<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
        from: End,
        number: u64,
    ) {
        let Some(pair) = self.pairs.get_mut(&connection) else { return };
        let to = pair.side(from.other()).seat;
        let side = pair.side(from);
        let Some(index) = number.checked_sub(side.first) else { return };
        let Some(piece) = side.pieces.get_mut(index as usize) else { return };
        let segment = piece.octets.len().min(SEGMENT_OCTETS);
        let sent = piece.missing;
        for _ in 0..sent {
            if let Some(delay) = around.pass(side.seat, to, segment) {
                piece.missing -= 1;
                piece.arrives = piece.arrives.max(around.now + delay);
            }
        }
        if piece.missing > 0 {
            if piece.resends == RESENDS_MAX {
                around.after(Duration::ZERO, Step::GivenUp { connection, by: from });
                return;
            }
            around.after(
                RESEND_AFTER * 2u32.pow(piece.resends),
                Step::Resend { connection, from, piece: number },
            );
            piece.resends += 1;
            return;
        }
        // All that is complete and has nothing incomplete ahead of it arrives.
        for piece in side.pieces.iter_mut().take_while(|piece| piece.missing == 0).filter(|piece| !piece.told)
        {
            side.arrival = side.arrival.max(piece.arrives);
            piece.told = true;
            around.queue.push(side.arrival, Step::Arrives { connection, from }.into());
        }
    }

    fn arrives<E: From<Step>>(
        &mut self,
        around: &mut Surroundings<'_, E>,
        connection: Connection,
        from: End,
    ) -> Option<(Seat, Told)> {
        let pair = self.pairs.get_mut(&connection)?;
        let piece = pair.side(from).pieces.pop_front()?;
        pair.side(from).first += 1;
        let (sender, receiver) = (pair.side(from).seat, pair.side(from.other()));
        match receiver.state {
            State::Off => None,
            State::Waiting | State::Open | State::Done if piece.last => {
                let mut pair = self.pairs.remove(&connection)?;
                self.finish(pair.side(from.other()))
            }
            State::Waiting | State::Open => {
                receiver.told(|stream| Told::Received { connection, from, stream, octets: piece.octets })
            }
            // Nobody takes it there: reset.
            State::Done => {
                let seat = receiver.seat;
                let delay = around.pass(seat, sender, EMPTY_OCTETS).unwrap_or(RESEND_AFTER);
                around.after(delay, Step::Broken { connection, to: from });
                None
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
