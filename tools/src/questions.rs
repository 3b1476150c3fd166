//! Questions with the answer that is due: how a question set is held in memory and in a file.
//!
//! ```text
//! file:    "hivedns questions 1\n"   count: u32
//! then per question   length: u16   kind: u8   rcode: u8   answers: u8   flags: u8 (1 = AA)   packet
//! ```
//! All numbers are little-endian. The packet's id is 0; who sends it puts his own in.

use std::io::{self, Read, Write};

/// The first line of a question file.
const MAGIC: &[u8] = b"hivedns questions 1\n";
/// The most questions in one set: their places are counted in 32 bits and a set is held in memory.
const QUESTIONS_MAX: usize = 50_000_000;

/// Which part of RFC 1034 §4.3.2 a question exercises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A name and type that exist.
    Hit,
    /// A name that exists without this type, empty non-terminals included.
    NoData,
    /// A name that does not exist.
    NxDomain,
    /// A name at or below a zone cut.
    Referral,
    /// A name with a CNAME, asked for an address.
    Alias,
    /// A name made by a wildcard.
    Wildcard,
}

/// All kinds, in the order of their numbers.
pub(crate) const KINDS: [Kind; 6] =
    [Kind::Hit, Kind::NoData, Kind::NxDomain, Kind::Referral, Kind::Alias, Kind::Wildcard];

/// What a right answer must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expect {
    /// The kind of the question.
    pub(crate) kind: Kind,
    /// The response code.
    pub(crate) rcode: u8,
    /// Whether AA is set.
    pub(crate) authoritative: bool,
    /// How many records the answer section has.
    pub(crate) answers: u8,
}

/// Where a question's packet lies and what it expects.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    length: u16,
    expect: Expect,
}

/// A set of questions: their packets end to end in one block of memory.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    octets: Vec<u8>,
    entries: Vec<Entry>,
}

impl Questions {
    /// Adds a question whose packet `write` appends.
    pub(crate) fn push(&mut self, expect: Expect, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.octets.len();
        write(&mut self.octets);
        let length = (self.octets.len() - start) as u16;
        self.entries.push(Entry { start: start as u32, length, expect });
    }

    /// How many questions there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The packet of question `index`.
    #[inline]
    pub(crate) fn packet(&self, index: usize) -> &[u8] {
        let entry = &self.entries[index];
        &self.octets[entry.start as usize..][..usize::from(entry.length)]
    }

    /// What question `index` expects.
    #[inline]
    pub(crate) fn expect(&self, index: usize) -> Expect {
        self.entries[index].expect
    }

    /// The first question of the kind.
    pub(crate) fn first_of(&self, kind: Kind) -> Option<usize> {
        self.entries.iter().position(|entry| entry.expect.kind == kind)
    }

    /// Writes the set into a file.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&(self.entries.len() as u32).to_le_bytes())?;
        for (index, entry) in self.entries.iter().enumerate() {
            let [low, high] = entry.length.to_le_bytes();
            let Expect { kind, rcode, authoritative, answers } = entry.expect;
            out.write_all(&[low, high, kind as u8, rcode, answers, u8::from(authoritative)])?;
            out.write_all(self.packet(index))?;
        }
        Ok(())
    }

    /// Reads a file that [`Questions::write`] wrote.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Questions> {
        let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(bad("not a file of questions (write one with `tools queries --format packets`)"));
        }
        let mut count = [0; 4];
        from.read_exact(&mut count)?;
        let count = u32::from_le_bytes(count) as usize;
        if count == 0 || count > QUESTIONS_MAX {
            return Err(bad("a count of questions that cannot be"));
        }
        let mut questions = Questions::default();
        for _ in 0..count {
            let mut head = [0; 6];
            from.read_exact(&mut head)?;
            let [low, high, kind, rcode, answers, flags] = head;
            let kind = *KINDS.get(usize::from(kind)).ok_or_else(|| bad("an unknown kind of question"))?;
            let start = questions.octets.len();
            let length = u16::from_le_bytes([low, high]);
            if usize::from(length) < crate::wire::HEADER {
                return Err(bad("a question shorter than a header"));
            }
            let expect = Expect { kind, rcode, authoritative: flags & 1 != 0, answers };
            questions.octets.resize(start + usize::from(length), 0);
            from.read_exact(&mut questions.octets[start..])?;
            questions.entries.push(Entry { start: start as u32, length, expect });
        }
        Ok(questions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_comes_back_from_its_file() {
        let mut set = Questions::default();
        let expect = |kind, rcode| Expect { kind, rcode, authoritative: rcode == 0, answers: 2 };
        set.push(expect(Kind::Hit, 0), |out| out.extend_from_slice(b"0123456789abc"));
        set.push(expect(Kind::NxDomain, 3), |out| out.extend_from_slice(b"0123456789abcdef"));
        let mut file = Vec::new();
        set.write(&mut file).unwrap();
        let back = Questions::read(&mut file.as_slice()).unwrap();
        assert_eq!(back.len(), 2);
        assert_eq!(back.packet(1), b"0123456789abcdef");
        assert_eq!(back.expect(1), expect(Kind::NxDomain, 3));
        assert_eq!(back.first_of(Kind::NxDomain), Some(1));
        assert!(Questions::read(&mut &file[..file.len() - 1]).is_err());
        assert!(Questions::read(&mut &b"something else altogether"[..]).is_err());
    }
}
