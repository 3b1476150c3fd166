//! Where a value was said, and what is wrong with it: the one shape in which configuration complains.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value comes from. The later variants win over the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything: the key's default.
    Default,
    /// The configuration file. Lines and columns count from 1; columns count octets.
    File {
        /// The file as it was named.
        path: Arc<Path>,
        /// 1 for the first line.
        line: u32,
        /// 1 for the first octet of the line.
        column: u32,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag or argument of the command line, as the usage names it.
    Flag(&'static str),
}

/// Where the lines of a text begin: found once, however many places are told.
pub(super) struct Lines {
    /// Rising; the first is 0.
    starts: Vec<usize>,
    /// Octets of the text.
    len: usize,
}

impl Lines {
    pub(super) fn new(text: &[u8]) -> Lines {
        let ends = text.iter().enumerate().filter(|(_, octet)| **octet == b'\n');
        Lines { starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect(), len: text.len() }
    }

    /// The place of the octet `at` in the file of that text.
    pub(super) fn place(&self, path: &Arc<Path>, at: usize) -> Source {
        let at = at.min(self.len);
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|before| self.starts.get(before)).copied().unwrap_or(0);
        Source::File {
            path: Arc::clone(path),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(at - start + 1).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Source {
    /// `file:line:column`, the variable, the flag, or `default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Source::Environment(variable) => f.write_str(variable),
            Source::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Where each key was said; a key that is missing has its default.
///
/// Two of them are always equal: where something was said does not make two configurations differ.
#[derive(Debug, Clone, Default, Eq)]
pub struct Said(BTreeMap<String, Source>);

impl Said {
    /// Where the key (`server.listen`) was said.
    pub fn source(&self, key: &str) -> Source {
        self.0.get(key).cloned().unwrap_or(Source::Default)
    }

    pub(super) fn note(&mut self, key: &str, source: Source) {
        self.0.insert(key.to_owned(), source);
    }
}

impl PartialEq for Said {
    fn eq(&self, _: &Said) -> bool {
        true
    }
}

/// One thing wrong with the configuration. Nothing has been changed when it is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub at: Source,
    /// What, in one line, with the key it is about.
    pub message: String,
}

impl ConfigError {
    pub(super) fn about(at: Source, key: &str, message: impl fmt::Display) -> ConfigError {
        ConfigError { at, message: format!("{key}: {message}") }
    }

    pub(super) fn not_available_yet(at: Source, key: &str) -> ConfigError {
        ConfigError { at, message: format!("{key} is not available yet") }
    }
}

impl fmt::Display for ConfigError {
    /// `place: message` in one line, whatever the user's text contains.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match &self.at {
            Source::Default => self.message.clone(),
            at => format!("{at}: {}", self.message),
        };
        f.write_str(&one_line(&line))
    }
}

impl std::error::Error for ConfigError {}

/// The text with its control characters escaped, so that it stays in its line and cannot drive a terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_has_the_line_and_column_that_counting_finds() {
        let path: Arc<Path> = Arc::from(Path::new("f"));
        for text in ["", "\n", "a", "ab\n\nc\n", "\n\nab"] {
            let lines = Lines::new(text.as_bytes());
            for at in 0..text.len() + 2 {
                let before = &text.as_bytes()[..at.min(text.len())];
                let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
                let column = 1 + before.iter().rev().take_while(|octet| **octet != b'\n').count();
                assert_eq!(lines.place(&path, at).to_string(), format!("f:{line}:{column}"), "{text:?} {at}");
            }
        }
    }
}
