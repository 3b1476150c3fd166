//! Who is there, and how its loss is noticed: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips,
//! Currey 2018), as a machine without sockets, clock or randomness of its own.
//!
//! ```text
//!  each period: ping one member ── ack ─────────────────────────────────────────────► alive
//!                     │ no ack: ping again, and ask 3 helpers ── ack by any ────────► alive
//!                     │ none: try a stream, and ping on ── it opens, or an ack ─────► alive
//!                     └ none: SUSPECT ── told to all and to the suspect itself
//!                            │ some others, by lot, probe it, too: each confirmation shortens the time
//!                            │ the suspect says "I live" under a higher incarnation ─► alive
//!                            └ time over: who found it silent tries all ways once more
//!                                         └ silent ─► DOWN ── told to all, remembered, pinged now and then
//! ```
//!
//! News rides along with whatever is sent, least sent first, and is pushed to a few members at once when it is
//! fresh. A node that judges badly (acks do not come that should, its timers come late, it is suspected itself)
//! raises its health score and takes its time.
//!
//! **The law of use: after every call that hands something in, [`Membership::poll`] is drained; what is put into a
//! datagram is followed by [`Membership::piggyback`]; [`Membership::handle_timeout`] is called at
//! [`Membership::next_wake`], unless something else comes before.**
//!
//! It does not know what else travels in a datagram, how it is sealed, or what members have to say beyond being
//! there. Streams are its user's: to probe by one ([`Output::ProbeStream`]), and to carry the whole table to who
//! joins ([`Membership::table_chunk`]).

mod asking;
mod frame;
mod learning;
mod lost;
mod own;
mod pace;
mod probe;
mod rumours;
mod settings;
mod suspicion;
mod table;
mod telling;
mod told;

#[cfg(test)]
mod tests;

pub use frame::{FRAME_OCTETS_MAX, Frame, KINDS, Sequence, Suspect};
pub use settings::{MEMBERS_MAX, NAME_OCTETS_MAX, Settings};
pub use told::{Class, Member, Pool, Told};

use crate::base::time::Moment;
use crate::gossip::identity::{Incarnation, NodeId};
use crate::gossip::output::{Health, NodeInfo};
use asking::Join;
use lost::Lost;
use own::Rival;
use pace::Pace;
use probe::{Probe, Relay, RoundTrip, Trips};
use rumours::{Key, Rumours};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use suspicion::Suspicions;
use table::Table;

/// What membership wants done, and what it has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Put these frames into one datagram, fill it with [`Membership::piggyback`], send it.
    Send {
        /// To where.
        to: SocketAddr,
        /// At least one; together no longer than three of the longest.
        frames: Vec<Frame>,
    },
    /// Fill one datagram with [`Membership::piggyback`] and send it to each of these; nothing, if it stays empty.
    Push {
        /// To where.
        to: Vec<SocketAddr>,
    },
    /// Open a stream to that member and exchange some octets under its key; if it answers, say so by
    /// [`Membership::evidence`].
    ProbeStream {
        /// To where.
        to: SocketAddr,
    },
    /// A node answered at an address that was handed to [`Membership::join`]. Who has joined nothing yet exchanges
    /// whole tables with it now, over a stream.
    Met {
        /// Who.
        node: NodeId,
    },
    /// A member appeared or changed; also this node itself, when its incarnation rises.
    Changed {
        /// What is told of it now.
        told: Arc<Told>,
        /// How it is now.
        health: Health,
        /// What was told before; the same if only its health changed, or since when it is lost. `None`: it was not
        /// known.
        before: Option<Arc<Told>>,
    },
    /// A member that was lost or had left is remembered no longer.
    Forgotten {
        /// What was told of it.
        told: Arc<Told>,
    },
    /// This node had to begin a new life, because the cluster remembers a later one than its disk does. Must be
    /// on disk before its next start.
    Raised {
        /// What it is now.
        incarnation: Incarnation,
    },
    /// Another living process uses this node's id (a cloned disk), and it keeps it. Draw a new one, and go on with
    /// [`Membership::rename`].
    Clash,
}

/// What happened so far, for those who watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Probes by which a member was found silent.
    pub silent: u64,
    /// Members that this node was the first to declare down, as far as it knew.
    pub declared_down: u64,
    /// How often this node refuted what was said of it.
    pub refuted: u64,
    /// How often this process was found to have been stopped.
    pub pauses: u64,
    /// News refused because the table was full.
    pub refused: u64,
}

/// The membership machine of one node.
#[derive(Debug)]
pub struct Membership {
    settings: Settings,
    rng: fastrand::Rng,
    pool: Pool,
    /// What we tell of ourselves. Not in the table.
    own: Arc<Told>,
    table: Table,
    /// Whoever in the table is not alive.
    lost: Lost,
    rumours: Rumours,
    pace: Pace,
    suspicions: Suspicions,
    probes: Vec<Probe>,
    relays: Vec<Relay>,
    joins: Vec<Join>,
    round_trip: RoundTrip,
    trips: Trips,
    /// Lifeguard's local health multiplier, less one: 0 is healthy.
    score: u8,
    rivals: Vec<Rival>,
    /// True from [`Output::Clash`] until the new name.
    yielded: bool,
    /// Whom we told in this period what is thought of it.
    told_lately: BTreeSet<NodeId>,
    outputs: VecDeque<Output>,
    round_at: Moment,
    push_at: Moment,
    /// Datagrams that may be pushed now, with what was sent less often than that.
    push_left: u8,
    push_below: u8,
    wave_at: Moment,
    sequence: u16,
    /// When it was last looked whether this process was stopped.
    looked: Moment,
    /// When, by whom and from where the last frame was said.
    heard: Option<(Moment, NodeId, SocketAddr)>,
    counts: Counts,
}

impl Membership {
    /// A node that knows nobody.
    pub fn new(
        me: Arc<NodeInfo>,
        incarnation: Incarnation,
        settings: &Settings,
        mut rng: fastrand::Rng,
        now: Moment,
    ) -> Membership {
        // Nodes that were started together do not ask together.
        let first = settings.period.mul_f64(rng.f64());
        let sequence = rng.u16(..);
        let mut rumours = Rumours::default();
        rumours.add(Key::Told(me.id));
        Membership {
            settings: settings.clone(),
            rng,
            pool: Pool::default(),
            own: Arc::new(Told { info: me, incarnation, class: Class::Alive }),
            table: Table::default(),
            lost: Lost::default(),
            rumours,
            pace: Pace::new(now),
            suspicions: Suspicions::default(),
            probes: Vec::new(),
            relays: Vec::new(),
            joins: Vec::new(),
            round_trip: RoundTrip::default(),
            trips: Trips::default(),
            score: 0,
            rivals: Vec::new(),
            yielded: false,
            told_lately: BTreeSet::new(),
            outputs: VecDeque::new(),
            round_at: now + first,
            push_at: Moment::NEVER,
            push_left: 0,
            push_below: 0,
            wave_at: now,
            sequence,
            looked: now,
            heard: None,
            counts: Counts::default(),
        }
    }

    /// The same, sharing what it is told with other machines of this process.
    pub fn with_pool(mut self, pool: Pool) -> Membership {
        self.own = pool.share((*self.own).clone());
        self.pool = pool;
        self
    }

    /// A frame that `from` said, in a datagram from `address`. Under a key it was `from`, and did not say it before;
    /// in clear anybody can say so.
    pub fn handle(&mut self, now: Moment, from: NodeId, address: SocketAddr, frame: Frame) {
        self.notice_pause(now);
        if from == self.own.id() {
            return self.look_in_the_mirror(now, from, address, frame);
        }
        let heard = Some((now, from, address));
        let another_of_its_datagram = std::mem::replace(&mut self.heard, heard) == heard;
        // An answer is measured before the sign of life ends the question.
        if let Frame::Ack(sequence) = frame {
            self.acked(now, from, address, sequence);
        }
        if !another_of_its_datagram || matches!(frame, Frame::Ack(_)) {
            self.sign_of_life(now, from, address);
        }
        match frame {
            Frame::Ack(_) => {}
            Frame::Who => self.send(address, vec![self.introduction()]),
            Frame::Ping(sequence) => self.send(address, vec![Frame::Ack(sequence)]),
            Frame::Nack(sequence) => self.nacked(from, sequence),
            Frame::PingReq(sequence, target) => self.relay(now, address, sequence, target),
            Frame::Told { told, age_s } => {
                self.learn(now, told, Duration::from_secs(u64::from(age_s)), true);
            }
            Frame::Suspect(suspect) if suspect.id == self.own.id() => {
                self.refute_suspicion(now, from, address, suspect);
            }
            Frame::Suspect(suspect) => self.accuse(now, suspect),
        }
    }

    /// Anything else that `id` itself said just now, from that address: it lives.
    pub fn evidence(&mut self, now: Moment, id: NodeId, address: SocketAddr) {
        self.notice_pause(now);
        if id != self.own.id() {
            self.sign_of_life(now, id, address);
        }
    }

    /// From where the last frame of another node came.
    pub fn heard_at(&self) -> Option<SocketAddr> {
        self.heard.map(|(_, _, address)| address)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.notice_pause(now);
        self.go_on_asking(now);
        self.end_suspicions(now);
        if self.round_at <= now {
            self.round(now);
        }
        if self.push_at <= now {
            self.push(now);
        }
    }

    /// When something is due next.
    pub fn next_wake(&self) -> Moment {
        let probes = self.probes.iter().map(|probe| probe.due);
        let relays = self.relays.iter().map(|relay| relay.nack_at);
        let joins = self.joins.iter().map(|join| join.next);
        let some = probes.chain(relays).chain(joins).min().unwrap_or(Moment::NEVER);
        let suspicions = if self.stopping() { Moment::NEVER } else { self.suspicions.next() };
        some.min(suspicions).min(self.round_at).min(self.push_at)
    }

    /// The next thing to do or to know; `None`: nothing more now.
    pub fn poll(&mut self, now: Moment) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.push_left == 0 {
            return None;
        }
        let to = match self.rumours.least_sent() {
            Some(sent) if sent < self.push_below => {
                self.table.some_alive(&mut self.rng, usize::from(self.settings.pushes), |_| true)
            }
            _ => Vec::new(),
        };
        self.push_left = if to.is_empty() { 0 } else { self.push_left - 1 };
        if self.push_left == 0 {
            // Then it is seen whether something is left.
            self.push_at = now + self.settings.push_wait;
        }
        if to.is_empty() {
            return None;
        }
        Some(Output::Push { to: to.iter().map(|told| told.info.address).collect() })
    }

    /// Sends off what is fresh, or another wave of what is not so fresh.
    fn push(&mut self, now: Moment) {
        self.push_at = Moment::NEVER;
        let Some(sent) = self.rumours.least_sent().filter(|_| self.table.alive() > 0) else { return };
        // Who stops has no time for waves, nor to wait for something to ride along with.
        let fresh = if self.stopping() { self.repeats() } else { self.settings.pushes };
        let crowd = self.rumours.len() > self.settings.crowd;
        let waves = if crowd { self.repeats() } else { self.settings.waves() };
        if sent < fresh {
            (self.push_below, self.push_left) = (fresh, self.settings.push_datagrams);
            self.wave_at = now + self.settings.wave_wait;
        } else if sent < waves && self.wave_at <= now {
            let share = 1 + self.rumours.len() / (self.settings.crowd * 8);
            let datagrams = u8::try_from(share).unwrap_or(u8::MAX).min(self.settings.push_datagrams);
            (self.push_below, self.push_left) = (waves, datagrams);
            self.wave_at = now + self.settings.wave_wait;
        } else if sent < waves {
            self.push_at = self.wave_at;
        }
    }

    fn repeats(&self) -> u8 {
        self.settings.repeats(self.table.alive() + 1)
    }

    /// True once we said that we restart or leave: we judge nobody any more.
    fn stopping(&self) -> bool {
        self.own.class != Class::Alive
    }

    /// Finds out from a timer that came late that this process was stopped. Silence proved nothing in that time,
    /// and what was sent to us may still be unread: all questions are asked anew (Lifeguard, section II).
    fn notice_pause(&mut self, now: Moment) {
        if std::mem::replace(&mut self.looked, now) == now {
            return;
        }
        let late = now.since(self.next_wake());
        if late <= self.settings.late {
            return;
        }
        self.counts.pauses += 1;
        self.worsen();
        self.suspicions.shift(late);
        self.relays.clear();
        self.ask_anew(now);
        self.round_at = self.round_at.max(now);
        for join in &mut self.joins {
            join.next = join.next.max(now);
        }
        self.push_at = if self.push_at < now { now } else { self.push_at };
    }

    fn worsen(&mut self) {
        self.score = (self.score + 1).min(self.settings.score_max);
    }

    /// How much longer than in health everything takes.
    fn stretched(&self, span: Duration) -> Duration {
        span * (u32::from(self.score) + 1)
    }

    fn send(&mut self, to: SocketAddr, frames: Vec<Frame>) {
        self.outputs.push_back(Output::Send { to, frames });
    }

    /// Something became news: it is pushed soon.
    fn push_soon(&mut self, now: Moment) {
        if self.push_left == 0 {
            self.push_at = self.push_at.min(now + self.settings.push_wait);
        }
    }

    /// How a member is, with suspicions.
    fn health(&self, told: &Told) -> Health {
        match told.class {
            Class::Alive if self.suspicions.get(told.id()).is_some() => Health::Suspect,
            _ => told.health(),
        }
    }
}
