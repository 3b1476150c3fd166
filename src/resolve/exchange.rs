//! One question to one server, and whether a message is its answer.
//!
//! Who answers in another's place has to guess the id, the port, and the case of each letter of the name (RFC 5452;
//! draft-vixie-dnsext-dns0x20): all are drawn anew for each exchange.

use crate::base::limits::NAME_OCTETS_MAX;
use crate::base::octets::u16_at;
use crate::resolve::question::Question;
use crate::wire::message::{CD, HEADER_OCTETS, OPCODE_MASK, QR, RD, Rcode};
use crate::wire::response::Response;
use crate::wire::rtype::{Class, RecordType};
use std::net::SocketAddr;

/// Octets of UDP payload that servers are told this one takes: no path fragments so little (RFC 9715 §3.1).
pub const UDP_PAYLOAD: u16 = 1_232;
/// Octets of an OPT record without options (RFC 6891 §6.1.2).
const OPT_OCTETS: usize = 11;
/// Octets of the largest query.
pub const QUERY_OCTETS_MAX: usize = HEADER_OCTETS + NAME_OCTETS_MAX + 4 + OPT_OCTETS;

/// What is asked for beside the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Recursion is desired: of a forwarder, not of an authority.
    pub recursive: bool,
    /// The query has an OPT record; servers older than EDNS get none.
    pub edns: bool,
}

/// What an exchange draws from a source that nobody outside can foresee.
#[derive(Debug, Clone, Copy)]
pub struct Lot {
    /// The id.
    pub id: u16,
    /// The case of each octet of the name, a bit for each.
    pub case: [u8; 32],
}

/// A query that was made, to know its answer by.
#[derive(Debug, Clone)]
pub struct Exchange {
    to: SocketAddr,
    len: usize,
    question_end: usize,
    octets: [u8; QUERY_OCTETS_MAX],
}

/// What a message is to an exchange.
#[derive(Debug)]
pub enum Heard<'m> {
    /// The server's answer.
    Answer(Response<'m>),
    /// The answer, but for the case of its question: of a server that does not repeat it, or of somebody who guesses.
    OtherCase,
    /// A header without question, of a server that did not understand a query with EDNS: older ones send no more. Less
    /// has to be guessed for it than for an answer: it is a reason to ask again without, and for nothing else.
    NotUnderstood,
    /// None of its business, or malformed.
    Nothing,
}

impl Exchange {
    /// Makes the query for a question to that server.
    pub fn new(to: SocketAddr, question: &Question<'_>, manner: Manner, lot: &Lot) -> Exchange {
        let wants = question.wants;
        let mut flags = if manner.recursive { RD } else { 0 };
        if wants.checking_disabled && manner.recursive {
            flags |= CD;
        }
        let [flags_high, flags_low] = flags.to_be_bytes();
        let [id_high, id_low] = lot.id.to_be_bytes();
        let mut query = Exchange { to, len: 0, question_end: 0, octets: [0; QUERY_OCTETS_MAX] };
        query.put(&[id_high, id_low, flags_high, flags_low, 0, 1, 0, 0, 0, 0, 0, u8::from(manner.edns)]);
        query.put_name(question.name, &lot.case);
        query.put(&question.rtype.0.to_be_bytes());
        query.put(&Class::IN.0.to_be_bytes());
        query.question_end = query.len;
        if manner.edns {
            let [size_high, size_low] = UDP_PAYLOAD.to_be_bytes();
            let dnssec_ok = if wants.dnssec_ok { 0x80 } else { 0 };
            query.put(&[0, 0, RecordType::OPT.0 as u8, size_high, size_low, 0, 0, dnssec_ok, 0, 0, 0]);
        }
        query
    }

    fn put(&mut self, octets: &[u8]) {
        // A name has at most 255 octets: all of it fits.
        if let Some(place) = self.octets.get_mut(self.len..self.len + octets.len()) {
            place.copy_from_slice(octets);
            self.len += octets.len();
        }
    }

    /// The name with letters turned over by lot; length octets are no letters.
    fn put_name(&mut self, name: &[u8], case: &[u8; 32]) {
        for (at, octet) in name.iter().enumerate() {
            let turned = case.get(at / 8).is_some_and(|bits| bits >> (at % 8) & 1 != 0);
            self.put(&[if turned { octet.to_ascii_uppercase() } else { *octet }]);
        }
    }

    /// The server.
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// The message to send.
    pub fn query(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn question(&self) -> &[u8] {
        self.octets.get(HEADER_OCTETS..self.question_end).unwrap_or_default()
    }

    /// What a message that came from there is to it.
    pub fn hear<'m>(&self, from: SocketAddr, message: &'m [u8]) -> Heard<'m> {
        // The address first: nothing else is worth a look if that is wrong.
        if from != self.to || message.get(..2) != self.octets.get(..2) {
            return Heard::Nothing;
        }
        match Response::read(message) {
            Some(response) if response.question() == self.question() => Heard::Answer(response),
            Some(response) if response.question().eq_ignore_ascii_case(self.question()) => Heard::OtherCase,
            Some(_) => Heard::Nothing,
            None if self.has_edns() && is_not_understood(message) => Heard::NotUnderstood,
            None => Heard::Nothing,
        }
    }

    fn has_edns(&self) -> bool {
        self.len > self.question_end
    }
}

/// True for a response without question that says FORMERR or NOTIMP.
fn is_not_understood(message: &[u8]) -> bool {
    let flags = u16_at(message, 2).unwrap_or_default();
    message.len() >= HEADER_OCTETS
        && flags & (QR | OPCODE_MASK) == QR
        && [Rcode::FormErr as u16, Rcode::NotImp as u16].contains(&(flags & 0x0f))
        && u16_at(message, 4) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::question::Wants;

    const NAME: &[u8] = b"\x03www\x07example\0";

    fn exchange(wants: Wants, manner: Manner) -> Exchange {
        let question = Question::new(NAME, 0, RecordType::AAAA, wants);
        let lot = Lot { id: 0x1234, case: [0b1010_1010; 32] };
        Exchange::new("192.0.2.1:53".parse().unwrap(), &question, manner, &lot)
    }

    fn answer(exchange: &Exchange) -> Vec<u8> {
        let mut message = exchange.query()[..exchange.question_end].to_vec();
        message[2] = 0x80;
        message[11] = 0;
        message
    }

    #[test]
    fn a_query_says_what_is_wanted_and_how() {
        let all = exchange(
            Wants { dnssec_ok: true, checking_disabled: true },
            Manner { recursive: true, edns: true },
        );
        assert_eq!(all.query()[..12], *b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\x01");
        assert_eq!(all.query()[12..25], *b"\x03WwW\x07ExAmPlE\0");
        assert_eq!(all.query()[25..], *b"\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0");
        // An authority is not told of CD: it does not check.
        let plain = exchange(
            Wants { checking_disabled: true, ..Wants::default() },
            Manner { recursive: false, edns: false },
        );
        assert_eq!((plain.query()[2..4].to_vec(), plain.query().len()), (vec![0, 0], 29));
    }

    #[test]
    fn only_the_server_s_own_answer_to_this_very_question_is_heard() {
        let exchange = exchange(Wants::default(), Manner { recursive: true, edns: true });
        let (to, message) = (exchange.to(), answer(&exchange));
        let heard = |from: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = message.clone();
            change(&mut message);
            match exchange.hear(from.parse().unwrap(), &message) {
                Heard::Answer(_) => "answer",
                Heard::OtherCase => "other case",
                Heard::NotUnderstood => "not understood",
                Heard::Nothing => "nothing",
            }
        };
        let to = to.to_string();
        assert_eq!(heard(&to, &|_| {}), "answer");
        assert_eq!(heard(&to, &|message| message[13] = b'w'), "other case");
        assert_eq!(heard("192.0.2.1:54", &|_| {}), "nothing");
        assert_eq!(heard("192.0.2.2:53", &|_| {}), "nothing");
        for at in [0, 1, 2, 5, 14 + 4, 26, 28] {
            assert_eq!(heard(&to, &|message| message[at] ^= 0x81), "nothing", "{at}");
        }
        assert_eq!(heard(&to, &|message| message.truncate(12)), "nothing");
    }

    #[test]
    fn a_header_alone_says_that_a_query_with_edns_was_not_understood() {
        let heard = |edns: bool, from: &str, id: u8, rest: &[u8]| {
            let exchange = exchange(Wants::default(), Manner { recursive: true, edns });
            let message = [&[0x12, id], rest].concat();
            matches!(exchange.hear(from.parse().unwrap(), &message), Heard::NotUnderstood)
        };
        let (to, bare) = ("192.0.2.1:53", b"\x80\x01\0\0\0\0\0\0\0\0");
        assert!(heard(true, to, 0x34, bare) && heard(true, to, 0x34, b"\x81\x84\0\0\0\0\0\0\0\0"));
        assert!(!heard(false, to, 0x34, bare) && !heard(true, to, 0x35, bare));
        assert!(!heard(true, "192.0.2.2:53", 0x34, bare) && !heard(true, "192.0.2.1:54", 0x34, bare));
        // No response, another opcode, another code, a question, cut short.
        for (at, octet) in [(0, 0), (0, 0xa0), (1, 2), (1, 0), (3, 1)] {
            let mut other = *bare;
            other[at] = octet;
            assert!(!heard(true, to, 0x34, &other), "{at}");
        }
        assert!(!heard(true, to, 0x34, &bare[..9]));
    }
}
