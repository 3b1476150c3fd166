//! Whether an answer is the one that was due.

use crate::questions::Questions;
use crate::wire::{HEADER, Header};
use serde::Serialize;

/// Octets of the OPT record that a generated query may end with.
const OPT: usize = 11;

/// What answers are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// What the question set says is due.
    Answer,
    /// The same, but with AA as it may be: the target passes on what another server says.
    Proxied,
    /// The question itself with QR set: the target is an echo.
    Echo,
}

/// What is wrong with an answer; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Shorter than a header, or not a response.
    Header,
    /// The question was not repeated octet by octet.
    Question,
    /// Another response code.
    Rcode,
    /// AA set where it must not be, or the reverse.
    Authority,
    /// Cut short, though all of it had room.
    Truncated,
    /// Another number of records in the answer section.
    Answers,
}

/// How many answers were wrong, and in what.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Wrong {
    /// Not a response, or none of ours.
    pub(crate) header: u64,
    /// Not our question.
    pub(crate) question: u64,
    /// Another response code than the one due.
    pub(crate) rcode: u64,
    /// AA wrong.
    pub(crate) authority: u64,
    /// TC set: no question of the set has an answer that does not fit.
    pub(crate) truncated: u64,
    /// Another number of records in the answer section than due.
    pub(crate) answers: u64,
    /// An answer to nothing that is under way: a second one, or one that came after its question was given up.
    pub(crate) stray: u64,
}

impl Wrong {
    /// Counts a fault.
    pub(crate) fn count(&mut self, fault: Fault) {
        match fault {
            Fault::Header => self.header += 1,
            Fault::Question => self.question += 1,
            Fault::Rcode => self.rcode += 1,
            Fault::Authority => self.authority += 1,
            Fault::Truncated => self.truncated += 1,
            Fault::Answers => self.answers += 1,
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.header + self.question + self.rcode + self.authority + self.truncated + self.answers + self.stray
    }
}

/// Holds the answer to question `index` against the rule.
#[inline]
pub(crate) fn verdict(rule: Rule, questions: &Questions, index: usize, answer: &[u8]) -> Result<(), Fault> {
    let header = Header::parse(answer).ok_or(Fault::Header)?;
    if !header.response || header.opcode != 0 {
        return Err(Fault::Header);
    }
    let query = questions.packet(index);
    let question_end = if query[11] == 0 { query.len() } else { query.len() - OPT };
    if header.counts[0] != 1 || answer.get(HEADER..question_end) != Some(&query[HEADER..question_end]) {
        return Err(Fault::Question);
    }
    if rule == Rule::Echo {
        return if answer.len() == query.len() { Ok(()) } else { Err(Fault::Answers) };
    }
    let expect = questions.expect(index);
    if header.rcode != expect.rcode {
        return Err(Fault::Rcode);
    }
    if rule == Rule::Answer && header.authoritative != expect.authoritative {
        return Err(Fault::Authority);
    }
    if header.truncated {
        return Err(Fault::Truncated);
    }
    if header.counts[1] != u16::from(expect.answers) {
        return Err(Fault::Answers);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::{Expect, Kind};
    use crate::wire::{Edns, Type, write_query};

    #[test]
    fn each_fault_is_told_from_the_right_answer() {
        let mut set = Questions::default();
        let expect = Expect { kind: Kind::Hit, rcode: 0, authoritative: true, answers: 1 };
        let edns = Some(Edns { payload: 1232, dnssec_ok: false });
        set.push(expect, |out| write_query(out, "a.example.test.", Type::A, edns));
        let mut right = set.packet(0).to_vec();
        right[2] |= 0x84;
        right[7] = 1;
        let judge = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut answer = right.clone();
            change(&mut answer);
            verdict(Rule::Answer, &set, 0, &answer).err()
        };
        assert_eq!(judge(&|_| {}), None);
        assert_eq!(judge(&|a| a[2] &= 0x7f), Some(Fault::Header));
        assert_eq!(judge(&|a| a.truncate(11)), Some(Fault::Header));
        assert_eq!(judge(&|a| a[13] ^= 0x20), Some(Fault::Question));
        assert_eq!(judge(&|a| a.truncate(20)), Some(Fault::Question));
        assert_eq!(judge(&|a| a[3] |= 3), Some(Fault::Rcode));
        assert_eq!(judge(&|a| a[2] &= !4), Some(Fault::Authority));
        assert_eq!(judge(&|a| a[7] = 2), Some(Fault::Answers));
        let mut proxied = right.clone();
        proxied[2] &= !4;
        assert_eq!(verdict(Rule::Proxied, &set, 0, &proxied), Ok(()), "a proxy's AA is not its own");
        assert_eq!(judge(&|a| a[2] |= 2), Some(Fault::Truncated));
        assert_eq!(judge(&|a| (a[7], a[2]) = (0, a[2] | 2)), Some(Fault::Truncated));
    }
}
