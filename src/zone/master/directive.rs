//! The control entries: `$ORIGIN`, `$INCLUDE` (RFC 1035 §5.1), `$TTL` (RFC 2308 §4); `$GENERATE` has its own file.

use super::entry::read_ttl;
use super::{Context, Reader};
use crate::base::limits::INCLUDE_DEPTH_MAX;
use crate::wire::name::Name;
use crate::zone::scan::{NameBuffer, Scanned, Scanner, complaint};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Reader<'_> {
    pub(super) fn directive(&mut self, scanner: &mut Scanner<'_>, context: &mut Context) -> Scanned<()> {
        const EXPECTED: &str = "`$ORIGIN`, `$TTL`, `$INCLUDE` or `$GENERATE` (an owner begins with `\\$`)";
        let token = scanner.word(EXPECTED)?;
        let spot = token.spot;
        match token.text.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => self.origin(scanner, context),
            b"$TTL" => self.ttl(scanner),
            b"$INCLUDE" => self.include(scanner, context),
            b"$GENERATE" => self.generate(scanner, context, spot),
            _ => Err(token.unlike(EXPECTED)),
        }
    }

    fn origin(&mut self, scanner: &mut Scanner<'_>, context: &mut Context) -> Scanned<()> {
        let origin = read_name(scanner, &context.origin, "an origin")?;
        scanner.end()?;
        context.origin = origin;
        Ok(())
    }

    fn ttl(&mut self, scanner: &mut Scanner<'_>) -> Scanned<()> {
        let ttl = read_ttl(&scanner.word("a TTL")?)?;
        scanner.end()?;
        self.ttl.directive = Some(ttl);
        Ok(())
    }

    /// Origin and owner of this file hold again behind it; TTLs last, as BIND and NSD have it.
    fn include(&mut self, scanner: &mut Scanner<'_>, context: &mut Context) -> Scanned<()> {
        let token = scanner.string("a file to include")?;
        let spot = token.spot;
        let path = beside(&context.place.file, &unescaped(token.text));
        let origin = if scanner.at_end()? {
            context.origin.clone()
        } else {
            read_name(scanner, &context.origin, "an origin for the file")?
        };
        scanner.end()?;
        // Without this a file that includes itself often would be read ever so often before the depth ends it.
        if self.open.iter().any(|open| **open == *path) {
            let message = format!("expected no file that includes itself, found {}", path.display());
            return Err(complaint(spot, message));
        }
        if self.open.len() > INCLUDE_DEPTH_MAX {
            let message = format!("expected at most {INCLUDE_DEPTH_MAX} files included within each other");
            return Err(complaint(spot, message));
        }
        let source = self.files.open(&path).map_err(|error| {
            complaint(spot, format!("expected a file to include at {}: {error}", path.display()))
        })?;
        self.file(source, &mut Context::new(Arc::from(path), origin));
        Ok(())
    }
}

fn read_name(scanner: &mut Scanner<'_>, origin: &Name, expected: &str) -> Scanned<Name> {
    let token = scanner.word(expected)?;
    let mut buffer = NameBuffer::default();
    buffer
        .build(token.text, token.escaped, origin.as_wire())
        .and_then(|()| Name::from_wire(buffer.as_wire()))
        .map_err(|error| complaint(token.spot, format!("{error}: {}", token.unlike(expected).message)))
}

/// A path as the file `includer` means it: relative to its own directory.
fn beside(includer: &Path, path: &[u8]) -> PathBuf {
    includer.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(path))
}

/// A backslash makes the next character of a file's name ordinary; there are no `\DDD` in it.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    let mut octets = text.iter();
    while let Some(octet) = octets.next() {
        path.extend(if *octet == b'\\' { octets.next() } else { Some(octet) });
    }
    path
}
