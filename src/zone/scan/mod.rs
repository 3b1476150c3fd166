//! Master-file text into tokens (RFC 1035 §5.1): blanks, comments, parentheses, quotes, lines.
//!
//! Knows nothing of records; reads its source in pieces, keeps only the lines it is in, and lends each
//! token from its buffer, so that nothing is allocated per token.
//!
//! The invariant that makes it fast: `buffer[..lines_end]` holds whole lines, each with its line feed,
//! and `at < lines_end` while a line is being read. So no token crosses the buffer's end, and the line
//! feed stops every inner loop. A token never crosses a line: a quote that is not closed on its line is
//! a fault, as in BIND (docs/master-files.md).

mod class;
mod name;
mod token;

pub use name::NameBuffer;
pub use token::{Complaint, Scanned, Spot, Token, complaint};

use crate::base::limits::{LINE_OCTETS_MAX, READ_OCTETS};
use class::{CLASSES, Class};
use std::io::{self, Read};

/// Cuts text into tokens, entry by entry.
pub struct Scanner<'r> {
    source: Box<dyn Read + 'r>,
    buffer: Vec<u8>,
    filled: usize,
    lines_end: usize,
    at: usize,
    line_start: usize,
    line: u32,
    open: Option<Spot>,
    /// The token being read may be of the form `key="value"`.
    pair: bool,
    drained: bool,
}

/// How an entry begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In the first column stands something: an owner, or a directive.
    Flush,
    /// The line begins with a blank and something follows: the owner is left out.
    Indented,
}

impl<'r> Scanner<'r> {
    /// A scanner at the start of `source`; nothing is read yet.
    pub fn new(source: Box<dyn Read + 'r>) -> Scanner<'r> {
        Scanner {
            source,
            buffer: Vec::new(),
            filled: 0,
            lines_end: 0,
            at: 0,
            line_start: 0,
            line: 0,
            open: None,
            pair: false,
            drained: false,
        }
    }

    /// A scanner of text that is in memory already.
    pub fn over(text: &[u8]) -> Scanner<'static> {
        let mut scanner = Scanner::new(Box::new(io::empty()));
        scanner.restart(text);
        scanner
    }

    /// Forgets everything and begins with `text`, standing in its first line.
    pub fn restart(&mut self, text: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(text);
        self.buffer.push(b'\n');
        self.filled = self.buffer.len();
        self.lines_end = self.filled;
        (self.at, self.line_start, self.line) = (0, 0, 1);
        self.open = None;
        self.drained = true;
    }

    /// Moves to the first line of `source`, past a byte order mark, of which it tells; false if it is empty.
    pub fn begin(&mut self) -> io::Result<bool> {
        self.line = 1;
        self.ready()
    }

    /// Takes a UTF-8 byte order mark if one stands here.
    pub fn take_byte_order_mark(&mut self) -> bool {
        let found = self.buffer[self.at..self.lines_end].starts_with(b"\xef\xbb\xbf");
        if found {
            self.at += 3;
            self.line_start = self.at;
        }
        found
    }

    /// Moves past the end of this entry's line to the next line; false at the end of the text.
    pub fn next_line(&mut self) -> io::Result<bool> {
        if self.at < self.lines_end {
            self.at += 1;
            self.line += 1;
        }
        self.line_start = self.at;
        if self.at < self.lines_end { Ok(true) } else { self.ready() }
    }

    /// At the start of a line: what begins here; `None` for a line without an entry, which is skipped
    /// up to its end.
    pub fn start(&mut self) -> Option<Start> {
        let mut at = self.at;
        loop {
            match CLASSES[usize::from(self.buffer[at])] {
                Class::Blank | Class::CarriageReturn => at += 1,
                Class::LineFeed => break,
                Class::Semicolon => {
                    at = self.end_of_line();
                    break;
                }
                _ if at == self.at => return Some(Start::Flush),
                _ => {
                    self.at = at;
                    return Some(Start::Indented);
                }
            }
        }
        self.at = at;
        None
    }

    /// The next octet; within a line there is always one, at last the line feed.
    pub fn peek(&self) -> u8 {
        self.buffer[self.at]
    }

    /// The place of the next octet.
    pub fn spot(&self) -> Spot {
        Spot { line: self.line, column: (self.at - self.line_start) as u32 + 1 }
    }

    /// Skips blanks, comments and parentheses, within parentheses also line ends. True at a token, false
    /// at the end of the entry.
    #[inline(always)]
    fn skip(&mut self) -> Scanned<bool> {
        // Nearly always one blank stands before a token.
        if self.buffer[self.at] == b' ' {
            self.at += 1;
        }
        if CLASSES[usize::from(self.buffer[self.at])] == Class::Ordinary {
            return Ok(true);
        }
        self.skip_slowly()
    }

    #[inline(never)]
    fn skip_slowly(&mut self) -> Scanned<bool> {
        loop {
            match CLASSES[usize::from(self.buffer[self.at])] {
                Class::Blank => self.at += 1,
                Class::Ordinary | Class::Backslash | Class::Quote => return Ok(true),
                Class::LineFeed if self.open.is_none() => return Ok(false),
                Class::LineFeed => {
                    let more = self.next_line().map_err(|error| self.unreadable(&error))?;
                    if !more {
                        return Err(self.unclosed());
                    }
                }
                Class::Semicolon => self.at = self.end_of_line(),
                Class::CarriageReturn if self.buffer[self.at + 1] == b'\n' => self.at += 1,
                Class::Open => match self.open {
                    None => {
                        self.open = Some(self.spot());
                        self.at += 1;
                    }
                    Some(first) => {
                        let message = format!(
                            "expected no second `(` before the one at {}:{} is closed",
                            first.line, first.column
                        );
                        let refused = complaint(self.spot(), message);
                        self.at += 1;
                        return Err(refused);
                    }
                },
                Class::Close => {
                    if self.open.is_none() {
                        let refused =
                            complaint(self.spot(), "expected no `)` here, found one without its `(`");
                        self.at += 1;
                        return Err(refused);
                    }
                    self.open = None;
                    self.at += 1;
                }
                Class::Control | Class::CarriageReturn => return Err(self.control()),
            }
        }
    }

    /// The next token; `None` at the end of the entry.
    #[inline(always)]
    #[expect(clippy::should_implement_trait, reason = "the token is lent: no iterator can be made of it")]
    pub fn next(&mut self) -> Scanned<Option<Token<'_>>> {
        if self.skip()? { self.here().map(Some) } else { Ok(None) }
    }

    /// The token at which `skip` has stopped.
    #[inline(always)]
    fn here(&mut self) -> Scanned<Token<'_>> {
        let spot = self.spot();
        if self.buffer[self.at] == b'"' {
            return self.quoted(spot);
        }
        let start = self.at;
        let escaped = self.pass_word()?;
        Ok(Token { text: &self.buffer[start..self.at], quoted: false, escaped, spot })
    }

    /// The next token, which must be there and not in quotes.
    #[inline(always)]
    pub fn word(&mut self, expected: &str) -> Scanned<Token<'_>> {
        let token = self.string(expected)?;
        if token.quoted { Err(token.unlike(expected)) } else { Ok(token) }
    }

    /// The next token, which must be there, in quotes or not.
    #[inline(always)]
    pub fn string(&mut self, expected: &str) -> Scanned<Token<'_>> {
        if self.skip()? { self.here() } else { Err(self.missing(expected)) }
    }

    /// The next token, which must be there; if it is `key="value"`, the quotes are part of it (RFC 9460 §2.1).
    pub fn pair(&mut self, expected: &str) -> Scanned<Token<'_>> {
        let found = self.skip()?;
        self.pair = true;
        let start = self.at;
        let spot = self.spot();
        let passed = if found && self.buffer[self.at] != b'"' { Some(self.pass_word()) } else { None };
        self.pair = false;
        match passed {
            Some(escaped) => {
                Ok(Token { text: &self.buffer[start..self.at], quoted: false, escaped: escaped?, spot })
            }
            None => self.word(expected),
        }
    }

    /// True if the entry has no more tokens.
    pub fn at_end(&mut self) -> Scanned<bool> {
        self.skip().map(|more| !more)
    }

    /// Demands that the entry ends here.
    #[inline]
    pub fn end(&mut self) -> Scanned<()> {
        match self.next()? {
            None => Ok(()),
            Some(token) => Err(token.unlike("the end of the record")),
        }
    }

    /// Takes the `\#` of RFC 3597 §5 if it stands here.
    #[inline]
    pub fn take_generic_mark(&mut self) -> Scanned<bool> {
        if !self.skip()? || self.buffer[self.at] != b'\\' || self.buffer[self.at + 1] != b'#' {
            return Ok(false);
        }
        let after = CLASSES[usize::from(self.buffer.get(self.at + 2).copied().unwrap_or(b'\n'))];
        let marked = !matches!(after, Class::Ordinary | Class::Backslash | Class::Quote);
        if marked {
            self.at += 2;
        }
        Ok(marked)
    }

    /// The rest of the line as it stands, without its end.
    pub fn rest_of_line(&mut self) -> &[u8] {
        let start = self.at;
        self.at = self.end_of_line();
        self.buffer[start..self.at].strip_suffix(b"\r").unwrap_or(&self.buffer[start..self.at])
    }

    /// After a fault: moves to the end of the entry's last line. Complains if the entry never ends.
    pub fn recover(&mut self) -> Scanned<()> {
        loop {
            if self.at >= self.lines_end {
                return if self.open.is_some() { Err(self.unclosed()) } else { Ok(()) };
            }
            match self.buffer[self.at] {
                b'\n' if self.open.is_none() => return Ok(()),
                b'\n' => {
                    let more = self.next_line().map_err(|error| self.unreadable(&error))?;
                    if !more {
                        return Err(self.unclosed());
                    }
                }
                b';' => self.at = self.end_of_line(),
                b'"' => self.pass_quotes(),
                b'(' if self.open.is_none() => {
                    self.open = Some(self.spot());
                    self.at += 1;
                }
                b')' => {
                    self.open = None;
                    self.at += 1;
                }
                b'\\' if self.buffer[self.at + 1] != b'\n' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Moves past a word; tells whether a backslash stands in it.
    #[inline(always)]
    fn pass_word(&mut self) -> Scanned<bool> {
        let buffer = &self.buffer[..self.lines_end];
        let mut at = self.at;
        while CLASSES[usize::from(buffer[at])] == Class::Ordinary {
            at += 1;
        }
        self.at = at;
        match CLASSES[usize::from(buffer[at])] {
            Class::Blank | Class::LineFeed | Class::Semicolon | Class::Open | Class::Close => Ok(false),
            _ => self.pass_rest_of_word(),
        }
    }

    /// A word in which something stands that is not ordinary.
    #[inline(never)]
    fn pass_rest_of_word(&mut self) -> Scanned<bool> {
        let mut escaped = false;
        loop {
            match CLASSES[usize::from(self.buffer[self.at])] {
                Class::Ordinary => self.at += 1,
                Class::Backslash if matches!(self.buffer[self.at + 1], b'\n' | b'\r') => {
                    return Err(complaint(
                        self.spot(),
                        "expected a character after `\\`, found the end of the line",
                    ));
                }
                Class::Backslash => {
                    escaped = true;
                    self.at += 2;
                }
                Class::Quote if self.pair && self.at > 0 && self.buffer[self.at - 1] == b'=' => {
                    let opened = self.spot();
                    self.at += 1;
                    escaped |= self.pass_quoted(opened)?;
                    self.at += 1;
                }
                Class::Quote => {
                    return Err(complaint(
                        self.spot(),
                        "expected no quote within a word: quote the whole or write `\\\"`",
                    ));
                }
                Class::CarriageReturn if self.buffer[self.at + 1] == b'\n' => return Ok(escaped),
                Class::Control | Class::CarriageReturn => return Err(self.control()),
                Class::Blank | Class::LineFeed | Class::Semicolon | Class::Open | Class::Close => {
                    return Ok(escaped);
                }
            }
        }
    }

    #[inline(never)]
    fn quoted(&mut self, spot: Spot) -> Scanned<Token<'_>> {
        self.at += 1;
        let start = self.at;
        let escaped = self.pass_quoted(spot)?;
        let end = self.at;
        self.at += 1;
        match CLASSES[usize::from(self.buffer[self.at])] {
            Class::Ordinary | Class::Backslash | Class::Quote => {
                Err(complaint(self.spot(), "expected a blank after the closing quote"))
            }
            _ => Ok(Token { text: &self.buffer[start..end], quoted: true, escaped, spot }),
        }
    }

    /// Moves onto the closing quote; tells whether a backslash stands before it.
    fn pass_quoted(&mut self, opened: Spot) -> Scanned<bool> {
        let buffer = &self.buffer[..self.lines_end];
        let (mut at, mut escaped) = (self.at, false);
        loop {
            match buffer[at] {
                b'"' => {
                    self.at = at;
                    return Ok(escaped);
                }
                b'\\' if buffer[at + 1] != b'\n' => {
                    escaped = true;
                    at += 2;
                }
                b'\\' | b'\n' => {
                    self.at = at;
                    return Err(complaint(opened, "expected a closing quote on the same line, found none"));
                }
                b'\r' if buffer[at + 1] == b'\n' => at += 1,
                octet if octet != b'\t' && CLASSES[usize::from(octet)] == Class::Control => {
                    self.at = at;
                    return Err(self.control());
                }
                _ => at += 1,
            }
        }
    }

    /// Recovering: moves past a quoted string, or to the end of its line.
    fn pass_quotes(&mut self) {
        self.at += 1;
        loop {
            match self.buffer[self.at] {
                b'\n' => return,
                b'"' => break,
                b'\\' if self.buffer[self.at + 1] != b'\n' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }

    fn end_of_line(&self) -> usize {
        let rest = &self.buffer[self.at..self.lines_end];
        self.at + rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len())
    }

    /// At a line's start: makes sure that the whole line is in the buffer. False at the end of the text.
    fn ready(&mut self) -> io::Result<bool> {
        if self.at < self.lines_end {
            return Ok(true);
        }
        self.buffer.copy_within(self.at..self.filled, 0);
        self.filled -= self.at;
        (self.at, self.line_start, self.lines_end) = (0, 0, 0);
        while !self.drained {
            if self.filled == self.buffer.len() {
                if self.filled > LINE_OCTETS_MAX {
                    let message = format!("line {} is longer than {LINE_OCTETS_MAX} octets", self.line);
                    self.drained = true;
                    self.filled = 0;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                self.buffer.resize(self.filled + READ_OCTETS, 0);
            }
            // One octet is kept for the line feed that a last line may lack.
            let (from, room) = (self.filled, self.buffer.len());
            let got = match self.source.read(&mut self.buffer[from..room]) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.drained = true;
                    self.filled = 0;
                    return Err(error);
                }
            };
            self.filled += got;
            if let Some(last) = self.buffer[from..self.filled].iter().rposition(|octet| *octet == b'\n') {
                self.lines_end = from + last + 1;
                return Ok(true);
            }
            if got == 0 {
                self.drained = true;
                if self.filled > 0 {
                    self.buffer.truncate(self.filled);
                    self.buffer.push(b'\n');
                    self.filled += 1;
                    self.lines_end = self.filled;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    #[cold]
    fn control(&mut self) -> Box<Complaint> {
        let octet = self.buffer[self.at];
        let message = format!("expected printable text, found the control octet \\{octet:03}; write it so");
        complaint(self.spot(), message)
    }

    #[cold]
    fn unclosed(&mut self) -> Box<Complaint> {
        let spot = self.open.take().unwrap_or(self.spot());
        complaint(spot, "expected a `)` to this `(`, found the end of the text")
    }

    #[cold]
    fn missing(&self, expected: &str) -> Box<Complaint> {
        complaint(self.spot(), format!("expected {expected}, found the end of the record"))
    }

    #[cold]
    fn unreadable(&mut self, error: &io::Error) -> Box<Complaint> {
        self.open = None;
        complaint(self.spot(), format!("expected to read on, but the system says: {error}"))
    }
}
