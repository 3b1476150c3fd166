//! Rust text as tokens: names, `::`, and single characters; literals are one token, comments none.

/// A piece of Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// A name, `::`, one character, or `""` for a literal.
    pub text: String,
    /// Counts from 1.
    pub line: usize,
}

impl Token {
    /// True for names, keywords and numbers.
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// The tokens of a text.
pub fn read(text: &str) -> Vec<Token> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while reader.at < reader.chars.len() {
        reader.token();
    }
    reader.tokens
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == '\n');
            self.at += 1;
        }
    }

    fn push(&mut self, text: &str, line: usize) {
        self.tokens.push(Token { text: text.to_owned(), line });
    }

    fn token(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_while(|c| c != '\n'),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(line),
            ('\'', '\\') => {
                // The character behind the backslash may itself be a quote.
                self.skip(3);
                self.skip_while(|c| c != '\'');
                self.skip(1);
                self.push("\"\"", line);
            }
            ('\'', _) if self.peek(2) == '\'' => {
                self.skip(3);
                self.push("\"\"", line);
            }
            // A lifetime.
            ('\'', _) => self.skip(1),
            (':', ':') => {
                self.skip(2);
                self.push("::", line);
            }
            (c, _) if c.is_alphanumeric() || c == '_' => self.name(line),
            (c, _) => {
                self.skip(1);
                if !c.is_whitespace() {
                    self.push(&c.to_string(), line);
                }
            }
        }
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.at < self.chars.len() && goes_on(self.peek(0)) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.skip(2);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.skip(2);
                }
                _ => self.skip(1),
            }
            if depth == 0 || self.at >= self.chars.len() {
                return;
            }
        }
    }

    fn string(&mut self, line: usize) {
        self.skip(1);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.skip(if self.peek(0) == '\\' { 2 } else { 1 });
        }
        self.skip(1);
        self.push("\"\"", line);
    }

    fn name(&mut self, line: usize) {
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let name: String = self.chars[start..self.at].iter().collect();
        let hashes = self.chars[self.at..].iter().take_while(|&&c| c == '#').count();
        match (name.as_str(), self.peek(hashes)) {
            ("b" | "c", '"') if hashes == 0 => self.string(line),
            ("r" | "br" | "cr", '"') => {
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                self.skip(hashes + 1);
                while self.at < self.chars.len() && !self.chars[self.at..].starts_with(&end) {
                    self.skip(1);
                }
                self.skip(end.len());
                self.push("\"\"", line);
            }
            _ => self.push(&name, line),
        }
    }
}

/// The tokens without the items that are marked `#[cfg(test)]`.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let is_at = |at: usize, texts: &[&str]| {
        texts.iter().enumerate().all(|(i, text)| tokens.get(at + i).is_some_and(|token| token.text == *text))
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_at(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = end_of_item(tokens, at + 7);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item ends that begins at `at`: behind its body, or behind a semicolon outside of any brackets.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    let mut has_semicolon = false;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            // Their braces are not a body.
            "use" | "const" | "static" if depth == 0 => has_semicolon = true,
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && !has_semicolon {
                    return at;
                }
            }
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}
