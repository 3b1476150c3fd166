//! The repository's own files as the tests of its rules see them.
//!
//! Sources are read as tokens: comments and the content of strings are gone, so that a rule about `unsafe` is not
//! fooled by a sentence that mentions it. Each test program uses a part of it.
#![allow(dead_code, unreachable_pub)]

mod tokens;

pub use tokens::{Token, read, without_tests};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Rust source file.
pub struct Source {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
}

/// A path of Rust (`a::b::c`) and the line where it ends.
pub struct RustPath {
    pub segments: Vec<String>,
    pub line: usize,
}

impl RustPath {
    pub fn text(&self) -> String {
        self.segments.join("::")
    }

    /// True for `prefix` itself and what is below it.
    pub fn is_within(&self, prefix: &str) -> bool {
        prefix.split("::").enumerate().all(|(i, part)| self.segments.get(i).is_some_and(|own| own == part))
    }
}

/// Where the repository is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the repository: what git tracks or would; without git, everything but build products.
pub fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut files: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => output
            .stdout
            .split(|&octet| octet == 0)
            .map(|path| String::from_utf8_lossy(path).into())
            .collect(),
        _ => {
            let mut found = Vec::new();
            walk(root(), &mut found);
            found
        }
    };
    files.retain(|path| !path.is_empty() && root().join(path).is_file());
    files.sort();
    files.dedup();
    files
}

fn walk(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let relative = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let product = ["target", ".git", "perf/out", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];
        if path.is_dir() && !product.contains(&relative.as_str()) {
            walk(&path, found);
        } else if path.is_file() {
            found.push(relative);
        }
    }
}

/// The Rust sources below any of `directories`.
pub fn sources(directories: &[&str]) -> Vec<Source> {
    let within = |path: &String| directories.iter().any(|directory| path.starts_with(directory));
    let rust = files().into_iter().filter(|path| path.ends_with(".rs")).filter(within);
    rust.map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let tokens = read(&text);
        Source { path, text, tokens }
    })
    .collect()
}

impl Source {
    /// The tokens outside of `#[cfg(test)]`; none for a file that is itself such a module.
    pub fn shipped(&self) -> Vec<Token> {
        let is_test = |part: &&str| *part == "tests" || part.ends_with("_tests");
        if self.module().iter().any(is_test) { Vec::new() } else { without_tests(&self.tokens) }
    }

    /// The path of the module within its crate: `["zone", "store"]`; empty for `lib.rs` and `main.rs`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.split_once("src/").map_or(self.path.as_str(), |(_, inner)| inner);
        let inner = inner.trim_end_matches(".rs");
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        inner.split('/').filter(|part| !["lib", "main", "mod"].contains(part)).collect()
    }

    /// The module of the crate's root that the file belongs to; `lib` or `main` for the root itself.
    pub fn room(&self) -> &str {
        let root = PathBuf::from(&self.path);
        let stem = if root.ends_with("main.rs") { "main" } else { "lib" };
        self.module().first().copied().unwrap_or(stem)
    }
}

/// Every path among `tokens` that begins with the name `first`; groups (`a::{b, c}`) are unfolded, and what
/// stands after `first` is what counts.
pub fn paths_below(tokens: &[Token], first: &str) -> Vec<RustPath> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let begins = tokens[at].text == first && (at == 0 || tokens[at - 1].text != "::");
        if begins && tokens.get(at + 1).is_some_and(|token| token.text == "::") {
            unfold(tokens, at + 2, &[], &mut found);
        }
    }
    found
}

/// Every path that leads to the crate's root by `super`, from the module at `depth` (1 for `crate::zone`).
pub fn paths_above(tokens: &[Token], depth: usize) -> Vec<RustPath> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].text != "super" || (at > 0 && tokens[at - 1].text == "::") {
            continue;
        }
        let (mut supers, mut next) = (0, at);
        while tokens.get(next).is_some_and(|token| token.text == "super") {
            supers += 1;
            next += 2;
        }
        if supers >= depth && tokens.get(next - 1).is_some_and(|token| token.text == "::") {
            unfold(tokens, next, &[], &mut found);
        }
    }
    found
}

/// Reads a use tree; where it ends.
fn unfold(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<RustPath>) -> usize {
    let Some(token) = tokens.get(at) else { return at };
    let path = |segments: &[String]| RustPath { segments: segments.to_vec(), line: token.line };
    match token.text.as_str() {
        "{" => {
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                let from = at;
                at = unfold(tokens, at, prefix, found);
                while tokens.get(at).is_some_and(|token| token.text != "}" && token.text != ",") {
                    at += 1;
                }
                at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                assert!(at > from, "a use tree ends nowhere");
            }
            at + 1
        }
        "*" | "self" => {
            found.push(path(prefix));
            at + 1
        }
        name => {
            let mut segments = prefix.to_vec();
            segments.push(name.to_owned());
            let goes_on = |token: &Token| token.is_name() || token.text == "{" || token.text == "*";
            if tokens.get(at + 1).is_some_and(|token| token.text == "::")
                && tokens.get(at + 2).is_some_and(goes_on)
            {
                return unfold(tokens, at + 2, &segments, found);
            }
            found.push(path(&segments));
            at + 1
        }
    }
}

/// Fails with all complaints at once, one per line.
pub fn expect_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}\n  {}\n", complaints.join("\n  "));
}
