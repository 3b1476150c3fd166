//! What the scanner gives: tokens, and complaints with their place.

/// Line and column of an octet, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// 1 for the first line.
    pub line: u32,
    /// 1 for the first octet of the line.
    pub column: u32,
}

/// What is wrong with text, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Where.
    pub spot: Spot,
    /// What, in one line, without a final dot.
    pub message: String,
}

/// Boxed, so that the way without faults moves one word.
pub type Scanned<T> = Result<T, Box<Complaint>>;

/// One token, lent from the scanner's buffer until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    /// The text as it stands, escapes not undone, outer quotes not included.
    pub text: &'a [u8],
    /// True for a string in quotes.
    pub quoted: bool,
    /// True if a backslash stands in the text.
    pub escaped: bool,
    /// Where its first octet stands (of a quoted string, the quote).
    pub spot: Spot,
}

impl Token<'_> {
    /// `expected …, found …` at this token.
    #[cold]
    pub fn unlike(&self, expected: &str) -> Box<Complaint> {
        complaint(self.spot, format!("expected {expected}, found {}", self.shown()))
    }

    /// The token for a message: printable, and cut where it is long.
    pub fn shown(&self) -> String {
        let mut shown = String::from(if self.quoted { "the quoted string `" } else { "`" });
        for &octet in self.text.iter().take(SHOWN_OCTETS_MAX) {
            match octet {
                0x20..=0x7e => shown.push(char::from(octet)),
                _ => shown.push_str(&format!("\\{octet:03}")),
            }
        }
        shown.push_str(if self.text.len() > SHOWN_OCTETS_MAX { "…`" } else { "`" });
        shown
    }
}

/// Octets of a token that a message shows: a line of a terminal holds them with the rest of the message.
const SHOWN_OCTETS_MAX: usize = 48;

/// A complaint at a place.
#[cold]
pub fn complaint(spot: Spot, message: impl Into<String>) -> Box<Complaint> {
    Box::new(Complaint { spot, message: message.into() })
}
