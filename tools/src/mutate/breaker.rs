//! Ways to break a query, each seeded and each as likely as the others.

use crate::questions::Questions;
use crate::rng::Rng;
use crate::wire::HEADER;

/// The longest packet made: beyond a server's receive slot.
const OCTETS_MAX: usize = 4000;
/// How many ways there are.
const WAYS: usize = 14;

/// Makes broken packets.
pub(super) struct Breaker {
    rng: Rng,
    packet: Vec<u8>,
}

impl Breaker {
    pub(super) fn new(rng: Rng) -> Breaker {
        Breaker { rng, packet: Vec::with_capacity(OCTETS_MAX) }
    }

    /// A good question, broken in one way or, every fourth, in two.
    pub(super) fn broken(&mut self, questions: &Questions) -> &mut [u8] {
        self.packet.clear();
        self.packet.extend_from_slice(questions.packet(self.rng.below(questions.len())));
        let times = 1 + usize::from(self.rng.percent(25.0));
        for _ in 0..times {
            let way = self.rng.below(WAYS);
            self.break_once(way, questions);
        }
        self.packet.truncate(OCTETS_MAX);
        &mut self.packet
    }

    fn break_once(&mut self, way: usize, questions: &Questions) {
        match way {
            0 => self.flip_bits(),
            1 => {
                let end = self.rng.below(self.packet.len() + 1);
                self.packet.truncate(end);
            }
            2 => self.splice(questions),
            3 => {
                let length = self.rng.below(600);
                self.packet.clear();
                self.append_random(length);
            }
            4 => self.set(2, |octet, _| octet | 0x80),
            5 => self.set(2, |octet, rng| octet & 0x87 | (rng.below(16) as u8) << 3),
            6 => self.pointers(),
            7 => self.more_questions(questions),
            8 => {
                let length = self.rng.between(1, 40);
                self.append_random(length);
            }
            9 => {
                // A count of one of the sections.
                let at = 4 + self.rng.below(8);
                self.set(at, |_, rng| rng.bits() as u8);
            }
            10 => self.label_length(),
            11 => self.option(),
            12 => {
                // Type or class: AXFR, ANY, OPT, TSIG, meta and unknown ones.
                let end = self.packet.len().saturating_sub(self.opt_octets());
                let at = end.saturating_sub(4) + self.rng.below(4);
                self.set(at, |_, rng| [0, 1, 41, 249, 250, 251, 252, 255][rng.below(8)]);
            }
            _ => {
                // All flags at once, and a long tail now and then.
                self.set(2, |_, rng| rng.bits() as u8 & 0x7f);
                self.set(3, |_, rng| rng.bits() as u8);
                if self.rng.percent(2.0) {
                    self.append_random(OCTETS_MAX);
                }
            }
        }
    }

    fn opt_octets(&self) -> usize {
        if self.packet.get(11) == Some(&1) { 11 } else { 0 }
    }

    fn set(&mut self, at: usize, change: impl FnOnce(u8, &mut Rng) -> u8) {
        if let Some(octet) = self.packet.get_mut(at) {
            *octet = change(*octet, &mut self.rng);
        }
    }

    fn append_random(&mut self, length: usize) {
        for _ in 0..length {
            self.packet.push(self.rng.bits() as u8);
        }
    }

    fn flip_bits(&mut self) {
        for _ in 0..self.rng.between(1, 8) {
            let at = self.rng.below(self.packet.len().max(1));
            self.set(at, |octet, rng| octet ^ 1 << rng.below(8));
        }
    }

    /// The front of this packet and the back of another.
    fn splice(&mut self, questions: &Questions) {
        let other = questions.packet(self.rng.below(questions.len()));
        let (front, back) = (self.rng.below(self.packet.len() + 1), self.rng.below(other.len() + 1));
        self.packet.truncate(front);
        self.packet.extend_from_slice(&other[back..]);
    }

    /// Replaces the question's name by a pointer: to itself, into the header, forwards, or beyond the end.
    fn pointers(&mut self) {
        if self.packet.len() < HEADER {
            return;
        }
        self.packet.truncate(HEADER);
        if self.rng.percent(50.0) {
            self.packet.extend_from_slice(b"\x03www");
        }
        let target = [12, 0, 14, 16, 200, 0x3fff, 18][self.rng.below(7)];
        let [high, low] = (0xc000u16 | target).to_be_bytes();
        self.packet.extend_from_slice(&[high, low, 0, 1, 0, 1]);
        self.set(11, |_, _| 0);
    }

    /// Says two or more questions, and mostly brings them.
    fn more_questions(&mut self, questions: &Questions) {
        let count = self.rng.between(2, 5);
        self.set(5, |_, _| count as u8);
        if self.rng.percent(80.0) {
            let end = self.packet.len() - self.opt_octets().min(self.packet.len());
            self.packet.truncate(end);
            self.set(11, |_, _| 0);
            for _ in 1..count {
                let other = questions.packet(self.rng.below(questions.len()));
                self.packet.extend_from_slice(&other[HEADER..]);
            }
        }
    }

    /// Gives some octet of the name another value, so that labels overrun their name or its end is missed.
    fn label_length(&mut self) {
        let at = HEADER + self.rng.below(self.packet.len().saturating_sub(HEADER).max(1));
        self.set(at, |_, rng| [0, 1, 62, 63, 64, 65, 127, 128, 191, 255][rng.below(10)]);
    }

    /// Ends the packet with an OPT whose lengths lie, whose version is odd, or that comes twice.
    fn option(&mut self) {
        let end = self.packet.len() - self.opt_octets().min(self.packet.len());
        self.packet.truncate(end);
        let times = self.rng.between(1, 2);
        self.set(11, |_, _| times as u8);
        for _ in 0..times {
            let version = [0, 0, 1, 255][self.rng.below(4)];
            let owner = [0, 0, 0, 1][self.rng.below(4)];
            self.packet.extend_from_slice(&[owner, 0, 41, 4, 208, 0, version, 0x80, 0]);
            let (said, brought) = (self.rng.below(40), self.rng.below(40));
            self.packet.extend_from_slice(&[0, said as u8][..self.rng.between(1, 2)]);
            let length = if self.rng.percent(50.0) { said } else { brought };
            self.append_random(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Population;
    use crate::queries::{MixArgs, generate};
    use crate::wire::{Header, is_well_formed};

    #[test]
    fn every_way_breaks_and_a_seed_breaks_alike() {
        let mix = MixArgs { zone_names: 100, count: 100, ..MixArgs::default() };
        let questions = generate(&Population::generate(100, 1), &mix);
        let make = || {
            let mut breaker = Breaker::new(Rng::new(5));
            (0..20_000).map(|_| breaker.broken(&questions).to_vec()).collect::<Vec<_>>()
        };
        let packets = make();
        assert_eq!(packets, make());
        let share =
            |test: &dyn Fn(&Vec<u8>) -> bool| packets.iter().filter(|p| test(p)).count() as f64 / 20_000.0;
        assert!(share(&|p| p.len() < HEADER) > 0.005);
        assert!(share(&|p| p.len() > 2048) > 0.0005);
        assert!(share(&|p| Header::parse(p).is_some_and(|h| h.response)) > 0.05);
        assert!(share(&|p| Header::parse(p).is_some_and(|h| h.opcode != 0)) > 0.05);
        assert!((0.3..0.9).contains(&share(&|p| !is_well_formed(p))));
        assert!(packets.iter().all(|p| p.len() <= OCTETS_MAX));
    }
}
