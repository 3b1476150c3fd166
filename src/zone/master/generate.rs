//! BIND's `$GENERATE range owner [ttl] [class] type rdata`: one record per step, `$` replaced by the step.
//!
//! `${offset,width,radix}` adds `offset`, fills with zeros up to `width` and writes in `radix`: `d`, `o`,
//! `x`, `X`, or `n`, `N` for hexadecimal digits in reverse order with dots between them (ip6.arpa).
//! `\$` and `$$` are a dollar sign.

use super::{Context, Reader};
use crate::base::limits::{GENERATE_STEPS_MAX, NAME_OCTETS_MAX};
use crate::zone::rdata::{Field, layout, record_type};
use crate::zone::scan::{Scanned, Scanner, Spot, Start, Token, complaint};

/// Text with places for the step.
struct Template(Vec<Piece>);

enum Piece {
    Text(Vec<u8>),
    Step(Format),
}

#[derive(Clone, Copy)]
struct Format {
    offset: i64,
    width: usize,
    radix: Radix,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Radix {
    Decimal,
    Octal,
    Hex,
    UpperHex,
    Nibbles,
    UpperNibbles,
}

/// The steps of a range.
#[derive(Clone, Copy)]
struct Range {
    first: i64,
    last: i64,
    step: i64,
}

impl Reader<'_> {
    /// Reads the line behind `$GENERATE`, which stands at `spot`, and every record it makes. The first
    /// faulty record ends it: the others would be faulty too.
    pub(super) fn generate(
        &mut self,
        scanner: &mut Scanner<'_>,
        context: &mut Context,
        spot: Spot,
    ) -> Scanned<()> {
        let range = read_range(&scanner.word("a range such as 1-10 or 0-254/2")?)?;
        let owner = read_template(&scanner.word("an owner")?)?;
        scanner.at_end()?;
        let rest_spot = scanner.spot();
        let rest = unwrapped(scanner.rest_of_line());
        let rest = Template::parse(&rest).map_err(|message| complaint(rest_spot, message))?;
        let outer = (context.owner.clone(), context.owned);
        let done = self.generate_all(context, spot, range, &owner, &rest);
        (context.owner, context.owned) = outer;
        done
    }

    fn generate_all(
        &mut self,
        context: &mut Context,
        spot: Spot,
        range: Range,
        owner: &Template,
        rest: &Template,
    ) -> Scanned<()> {
        let mut line = Vec::new();
        let mut scanner = Scanner::over(b"");
        let mut step = range.first;
        while step <= range.last {
            line.clear();
            let whole = owner.expand(step, &mut line).and_then(|()| {
                line.push(b' ');
                rest.expand(step, &mut line)
            });
            scanner.restart(&line);
            let made = match whole {
                Err(message) => Err(complaint(spot, message)),
                Ok(()) => self.record(&mut scanner, context, Start::Flush, spot),
            };
            made.map_err(|fault| {
                complaint(spot, format!("at step {step} of `$GENERATE`: {}", fault.message))
            })?;
            step += range.step;
        }
        Ok(())
    }
}

/// BIND lets the whole RDATA stand in quotes; they are taken off but where RDATA begins with a string.
fn unwrapped(rest: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::over(rest);
    let mut head = Vec::new();
    while let Ok(Some(token)) = scanner.next() {
        head.extend_from_slice(token.text);
        head.push(b' ');
        let Some(rtype) = record_type(token.text).filter(|_| !token.quoted) else { continue };
        let strings = [Field::CharStrings, Field::CharString, Field::Text];
        if layout(rtype).first().is_some_and(|first| strings.contains(first)) {
            break;
        }
        let Ok(Some(token)) = scanner.next() else { break };
        let quoted = token.quoted;
        head.extend_from_slice(token.text);
        if quoted && scanner.at_end() == Ok(true) {
            return head;
        }
        break;
    }
    rest.to_vec()
}

fn read_template(token: &Token<'_>) -> Scanned<Template> {
    Template::parse(token.text).map_err(|message| complaint(token.spot, message))
}

/// `first-last` or `first-last/step`.
fn read_range(token: &Token<'_>) -> Scanned<Range> {
    let parsed = || {
        let text = std::str::from_utf8(token.text).ok()?;
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (first, last) = range.split_once('-')?;
        Some(Range { first: number(first)?, last: number(last)?, step: number(step)? })
    };
    match parsed() {
        Some(range) if range.first <= range.last && range.step > 0 => {
            if (range.last - range.first) / range.step >= GENERATE_STEPS_MAX as i64 {
                return Err(token.unlike(&format!("a range of at most {GENERATE_STEPS_MAX} steps")));
            }
            Ok(range)
        }
        _ => Err(token.unlike("a range such as 1-10 or 0-254/2")),
    }
}

/// A number without sign that leaves room for an offset.
fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|value| plain && *value <= i64::from(u32::MAX))
}

impl Template {
    fn parse(text: &[u8]) -> Result<Template, String> {
        let (mut pieces, mut plain) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((octet, tail)) = rest.split_first() {
            rest = match (octet, tail) {
                (b'\\', [b'$', tail @ ..]) | (b'$', [b'$', tail @ ..]) => {
                    // An owner must not begin with a bare dollar sign, nor does `\$` mean anything else.
                    plain.extend_from_slice(b"\\$");
                    tail
                }
                (b'\\', [next, tail @ ..]) => {
                    plain.extend_from_slice(&[b'\\', *next]);
                    tail
                }
                (b'$', tail) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    let (format, tail) = Format::parse(tail)?;
                    pieces.push(Piece::Step(format));
                    tail
                }
                (octet, tail) => {
                    plain.push(*octet);
                    tail
                }
            };
        }
        pieces.push(Piece::Text(plain));
        Ok(Template(pieces))
    }

    fn expand(&self, step: i64, out: &mut Vec<u8>) -> Result<(), String> {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => {
                out.extend_from_slice(text);
                Ok(())
            }
            Piece::Step(format) => format.write(step, out),
        })
    }
}

impl Format {
    /// Reads the modifier behind a `$`, if one stands there; returns what comes behind it.
    fn parse(text: &[u8]) -> Result<(Format, &[u8]), String> {
        let plain = Format { offset: 0, width: 0, radix: Radix::Decimal };
        let Some(inner) = text.strip_prefix(b"{") else { return Ok((plain, text)) };
        let parsed = || {
            let end = inner.iter().position(|octet| *octet == b'}')?;
            let mut parts = std::str::from_utf8(&inner[..end]).ok()?.split(',');
            let offset = parts.next()?;
            let offset = match offset.strip_prefix('-') {
                Some(positive) => -number(positive)?,
                None => number(offset)?,
            };
            let width = parts.next().map_or(Some(0), number)?;
            let width = usize::try_from(width).ok().filter(|width| *width <= NAME_OCTETS_MAX)?;
            let radix = match parts.next() {
                None | Some("d") => Radix::Decimal,
                Some("o") => Radix::Octal,
                Some("x") => Radix::Hex,
                Some("X") => Radix::UpperHex,
                Some("n") => Radix::Nibbles,
                Some("N") => Radix::UpperNibbles,
                Some(_) => return None,
            };
            let over = parts.next().is_some();
            (!over).then_some((Format { offset, width, radix }, &inner[end + 1..]))
        };
        parsed().ok_or_else(|| {
            "expected `${offset,width,radix}` with a width up to 255 and a radix d, o, x, X, n or N"
                .to_owned()
        })
    }

    fn write(self, step: i64, out: &mut Vec<u8>) -> Result<(), String> {
        let value = step + self.offset;
        if value < 0 {
            return Err(format!("expected a number from 0 on, found {value}"));
        }
        let width = self.width;
        let digits = match self.radix {
            Radix::Decimal => format!("{value:0width$}"),
            Radix::Octal => format!("{value:0width$o}"),
            Radix::Hex => format!("{value:0width$x}"),
            Radix::UpperHex => format!("{value:0width$X}"),
            // The width counts the dots too.
            Radix::Nibbles => nibbles(&format!("{value:0digits$x}", digits = width.div_ceil(2))),
            Radix::UpperNibbles => nibbles(&format!("{value:0digits$X}", digits = width.div_ceil(2))),
        };
        out.extend_from_slice(digits.as_bytes());
        Ok(())
    }
}

fn nibbles(hex: &str) -> String {
    let mut text = String::with_capacity(hex.len() * 2);
    for digit in hex.chars().rev() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push(digit);
    }
    text
}
