//! The network between the nodes: a row of stages that each packet passes one after the other. Each stage knows one
//! thing (a delay, a loss, a cut) and nothing of the others, so any row of them is a network.
//!
//! ```text
//!  packet ─► Bandwidth ─► Mtu ─► Cut ─► Loss ─► Latency ─► Reorder ─► Duplicate ─► journey: lost, or delays
//! ```
//! What happens to a packet is decided when it is sent. The network does not know what is in it.

use super::seat::{Seat, Seats};
use crate::base::time::Moment;
use std::time::Duration;

/// Octets that IPv4 and UDP put before a payload (RFC 791 section 3.1, RFC 768).
pub const HEADER_OCTETS: usize = 28;
/// Nanoseconds that a link of 1 Gbit/s takes for an octet.
const NANOS_PER_OCTET: u64 = 8;
/// What waits longer than this for its link is dropped: about 6 MB, a generous queue of a network card.
const LINK_QUEUE_NANOS_MAX: u64 = 50_000_000;

/// What the network sees of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// The sender.
    pub from: Seat,
    /// The receiver.
    pub to: Seat,
    /// The length of the payload.
    pub octets: usize,
    /// True for a segment of a stream: its ends know the MTU of the path and keep to it.
    pub segment: bool,
    /// When it is sent.
    pub at: Moment,
}

/// Why a packet did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// By chance.
    Chance,
    /// Its way is cut.
    Cut,
    /// It is larger than the path takes.
    TooLarge,
    /// The queue of its sender's link is full.
    LinkFull,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// It does not arrive.
    Lost(Loss),
    /// It arrives after the first delay, and once more after the second if there is one.
    Arrives(Duration, Option<Duration>),
}

/// A range of delays, each as likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// The shortest, in microseconds.
    pub micros_min: u32,
    /// The longest, in microseconds.
    pub micros_max: u32,
}

impl Delays {
    /// Within one data centre: 0.2 to 1 ms.
    pub const NEAR: Delays = Delays { micros_min: 200, micros_max: 1_000 };

    fn draw(self, rng: &mut fastrand::Rng) -> Duration {
        Duration::from_micros(u64::from(rng.u32(self.micros_min..=self.micros_max.max(self.micros_min))))
    }
}

/// A time during which something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From this moment on.
    pub from: Moment,
    /// Until before this one.
    pub until: Moment,
}

impl Span {
    /// For ever.
    pub const ALWAYS: Span = Span { from: Moment::START, until: Moment::NEVER };

    /// True if the moment lies within.
    pub fn holds(&self, at: Moment) -> bool {
        self.from <= at && at < self.until
    }
}

/// One thing that the network does to packets.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Each sender's link takes one packet at a time, at 1 Gbit/s. Queues of receivers are not modelled.
    Bandwidth {
        /// Per sender, when its link is free, in nanoseconds of the world.
        free: Vec<u64>,
    },
    /// Datagrams longer than this are dropped without a word, as on a path that fragments nothing.
    Mtu {
        /// Octets of payload.
        octets: usize,
    },
    /// Nothing passes from some nodes to others.
    OneWay {
        /// When.
        span: Span,
        /// Senders.
        from: Seats,
        /// Receivers.
        to: Seats,
    },
    /// Some nodes are apart from all others, in both directions.
    Cut {
        /// When.
        span: Span,
        /// One side.
        side: Seats,
    },
    /// A share of packets is lost.
    Loss {
        /// When.
        span: Span,
        /// From 0 to 1.
        share: f64,
    },
    /// Each packet takes its time; the same for all pairs.
    Latency(Delays),
    /// Each packet takes the time of its sender's and receiver's regions.
    Regions {
        /// Per seat; beyond the end it is region 0.
        region: Vec<u8>,
        /// Row by row, from region to region.
        matrix: Vec<Vec<Delays>>,
    },
    /// A share of packets takes longer, so that later ones overtake it.
    Reorder {
        /// From 0 to 1.
        share: f64,
        /// How much longer.
        by: Delays,
    },
    /// A share of packets arrives twice.
    Duplicate {
        /// From 0 to 1.
        share: f64,
        /// How much later the second is.
        by: Delays,
    },
}

impl Stage {
    /// A link of 1 Gbit/s for each node.
    pub fn bandwidth() -> Stage {
        Stage::Bandwidth { free: Vec::new() }
    }

    fn pass(
        &mut self,
        packet: &Packet,
        journey: (Duration, Option<Duration>),
        rng: &mut fastrand::Rng,
    ) -> Journey {
        let (delay, twin) = journey;
        match self {
            Stage::Bandwidth { free } => match link(free, packet) {
                Some(wait) => Journey::Arrives(delay + wait, twin.map(|twin| twin + wait)),
                None => Journey::Lost(Loss::LinkFull),
            },
            Stage::Mtu { octets } if !packet.segment && packet.octets > *octets => {
                Journey::Lost(Loss::TooLarge)
            }
            Stage::OneWay { span, from, to }
                if span.holds(packet.at) && from.has(packet.from) && to.has(packet.to) =>
            {
                Journey::Lost(Loss::Cut)
            }
            Stage::Cut { span, side }
                if span.holds(packet.at) && side.has(packet.from) != side.has(packet.to) =>
            {
                Journey::Lost(Loss::Cut)
            }
            Stage::Loss { span, share } if *share > 0.0 && span.holds(packet.at) && rng.f64() < *share => {
                Journey::Lost(Loss::Chance)
            }
            Stage::Mtu { .. } | Stage::OneWay { .. } | Stage::Cut { .. } | Stage::Loss { .. } => {
                Journey::Arrives(delay, twin)
            }
            Stage::Latency(delays) => Journey::Arrives(delay + delays.draw(rng), twin),
            Stage::Regions { region, matrix } => {
                let of = |seat: Seat| region.get(seat.index()).copied().map_or(0, usize::from);
                let row = matrix.get(of(packet.from));
                let delays = row.and_then(|row| row.get(of(packet.to))).copied().unwrap_or(Delays::NEAR);
                Journey::Arrives(delay + delays.draw(rng), twin)
            }
            Stage::Reorder { share, by } => {
                let later = if rng.f64() < *share { by.draw(rng) } else { Duration::ZERO };
                Journey::Arrives(delay + later, twin)
            }
            Stage::Duplicate { share, by } => {
                let twin = if rng.f64() < *share { Some(delay + by.draw(rng)) } else { twin };
                Journey::Arrives(delay, twin)
            }
        }
    }
}

/// How long a packet waits for its sender's link and takes to pass it; `None` if the queue is full.
fn link(free: &mut Vec<u64>, packet: &Packet) -> Option<Duration> {
    if free.len() <= packet.from.index() {
        free.resize(packet.from.index() + 1, 0);
    }
    let free = &mut free[packet.from.index()];
    let now = packet.at.as_micros().saturating_mul(1_000);
    let start = (*free).max(now);
    if start - now > LINK_QUEUE_NANOS_MAX {
        return None;
    }
    *free = start + (packet.octets + HEADER_OCTETS) as u64 * NANOS_PER_OCTET;
    Some(Duration::from_nanos(*free - now))
}

/// The stages, in the order in which packets pass them.
#[derive(Debug, Clone, Default)]
pub struct Network {
    stages: Vec<Stage>,
}

impl Network {
    /// A network of these stages.
    pub fn new(stages: Vec<Stage>) -> Network {
        Network { stages }
    }

    /// One data centre: links of 1 Gbit/s, 0.2 to 1 ms, datagrams within the MTU of an encrypted overlay.
    pub fn near() -> Network {
        Network::new(vec![
            Stage::bandwidth(),
            Stage::Mtu { octets: crate::gossip::output::DATAGRAM_OCTETS_MAX },
            Stage::Latency(Delays::NEAR),
        ])
    }

    /// Adds a stage behind the others.
    pub fn add(&mut self, stage: Stage) {
        self.stages.push(stage);
    }

    /// Sends a packet on its way.
    pub fn pass(&mut self, packet: &Packet, rng: &mut fastrand::Rng) -> Journey {
        let mut journey = (Duration::ZERO, None);
        for stage in &mut self.stages {
            match stage.pass(packet, journey, rng) {
                Journey::Lost(loss) => return Journey::Lost(loss),
                Journey::Arrives(delay, twin) => journey = (delay, twin),
            }
        }
        Journey::Arrives(journey.0, journey.1)
    }

    /// True if the way between two nodes is cut at any moment within the span, in one direction at least.
    pub fn is_cut(&self, one: Seat, other: Seat, span: Span) -> bool {
        let overlaps = |cut: &Span| cut.from < span.until && span.from < cut.until;
        self.stages.iter().any(|stage| match stage {
            Stage::Cut { span, side } => overlaps(span) && side.has(one) != side.has(other),
            Stage::OneWay { span, from, to } => {
                let passes = |a, b| from.has(a) && to.has(b);
                overlaps(span) && (passes(one, other) || passes(other, one))
            }
            Stage::Bandwidth { .. }
            | Stage::Mtu { .. }
            | Stage::Loss { .. }
            | Stage::Latency(_)
            | Stage::Regions { .. }
            | Stage::Reorder { .. }
            | Stage::Duplicate { .. } => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: u32, to: u32, octets: usize, at: u64) -> Packet {
        Packet { from: Seat(from), to: Seat(to), octets, segment: false, at: Moment::from_micros(at) }
    }

    fn passes(network: &mut Network, packet: Packet) -> Journey {
        network.pass(&packet, &mut fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_link_takes_one_packet_after_the_other() {
        let mut network = Network::new(vec![Stage::bandwidth()]);
        let one = |nanos| Journey::Arrives(Duration::from_nanos(nanos), None);
        // 1,222 and 28 octets are 10 µs.
        assert_eq!(passes(&mut network, packet(0, 1, 1_222, 0)), one(10_000));
        assert_eq!(passes(&mut network, packet(0, 2, 1_222, 0)), one(20_000));
        assert_eq!(passes(&mut network, packet(1, 2, 1_222, 0)), one(10_000));
        assert_eq!(passes(&mut network, packet(0, 1, 1_222, 15)), one(15_000));
        let lost = (0..10_000).map(|_| passes(&mut network, packet(3, 1, 1_222, 0)));
        assert!(lost.last() == Some(Journey::Lost(Loss::LinkFull)));
    }

    #[test]
    fn a_cut_holds_between_its_sides_and_for_its_time() {
        let span = Span { from: Moment::from_micros(10), until: Moment::from_micros(20) };
        let side = Seats::of(4, |seat| seat.0 < 2);
        let mut network = Network::new(vec![Stage::Cut { span, side }]);
        let there = Journey::Arrives(Duration::ZERO, None);
        for (from, to, at, expected) in [
            (0, 3, 9, there),
            (0, 3, 10, Journey::Lost(Loss::Cut)),
            (3, 0, 19, Journey::Lost(Loss::Cut)),
            (0, 1, 15, there),
            (2, 3, 15, there),
            (0, 3, 20, there),
        ] {
            assert_eq!(passes(&mut network, packet(from, to, 1, at)), expected, "{from} to {to} at {at}");
        }
        assert!(network.is_cut(Seat(0), Seat(3), Span::ALWAYS));
        assert!(!network.is_cut(Seat(0), Seat(1), Span::ALWAYS));
        let later = Span { from: Moment::from_micros(20), until: Moment::NEVER };
        assert!(!network.is_cut(Seat(0), Seat(3), later));
    }

    #[test]
    fn a_one_way_link_carries_in_one_direction() {
        let from = Seats::of(2, |seat| seat.0 == 0);
        let to = Seats::of(2, |seat| seat.0 == 1);
        let mut network = Network::new(vec![Stage::OneWay { span: Span::ALWAYS, from, to }]);
        assert_eq!(passes(&mut network, packet(0, 1, 1, 0)), Journey::Lost(Loss::Cut));
        assert_eq!(passes(&mut network, packet(1, 0, 1, 0)), Journey::Arrives(Duration::ZERO, None));
    }

    #[test]
    fn what_is_too_large_is_dropped() {
        let mut network = Network::near();
        assert_eq!(passes(&mut network, packet(0, 1, 1_351, 0)), Journey::Lost(Loss::TooLarge));
        assert!(matches!(passes(&mut network, packet(0, 1, 1_350, 0)), Journey::Arrives(_, None)));
    }

    #[test]
    fn shares_are_what_was_asked_for_and_delays_lie_within_their_range() {
        let by = Delays { micros_min: 5, micros_max: 9 };
        let mut network = Network::new(vec![
            Stage::Loss { span: Span::ALWAYS, share: 0.2 },
            Stage::Latency(Delays { micros_min: 100, micros_max: 200 }),
            Stage::Duplicate { share: 0.5, by },
            Stage::Reorder { share: 0.1, by: Delays { micros_min: 1_000, micros_max: 1_000 } },
        ]);
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut lost, mut twice, mut late) = (0, 0, 0);
        for _ in 0..10_000 {
            match network.pass(&packet(0, 1, 1, 0), &mut rng) {
                Journey::Lost(loss) => {
                    assert_eq!(loss, Loss::Chance);
                    lost += 1;
                }
                Journey::Arrives(delay, twin) => {
                    let micros = delay.as_micros();
                    assert!((100..=200).contains(&micros) || (1_100..=1_200).contains(&micros));
                    late += u32::from(micros > 1_000);
                    twice += u32::from(twin.is_some());
                }
            }
        }
        assert!((1_800..2_200).contains(&lost), "{lost}");
        assert!((3_700..4_300).contains(&twice), "{twice}");
        assert!((650..950).contains(&late), "{late}");
    }

    #[test]
    fn regions_have_delays_of_their_own() {
        let far = Delays { micros_min: 50_000, micros_max: 50_000 };
        let near = Delays { micros_min: 1, micros_max: 1 };
        let matrix = vec![vec![near, far], vec![far, near]];
        let mut network = Network::new(vec![Stage::Regions { region: vec![0, 1], matrix }]);
        assert_eq!(
            passes(&mut network, packet(0, 1, 1, 0)),
            Journey::Arrives(Duration::from_millis(50), None)
        );
        assert_eq!(
            passes(&mut network, packet(1, 1, 1, 0)),
            Journey::Arrives(Duration::from_micros(1), None)
        );
        // Who is beyond the list is in region 0.
        assert_eq!(
            passes(&mut network, packet(0, 2, 1, 0)),
            Journey::Arrives(Duration::from_micros(1), None)
        );
    }
}
