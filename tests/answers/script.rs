//! Reading a file of cases; its form is told in the head of `main.rs`.

use crate::oracle::message::{self, AD, CD, Edns, RD};
use crate::oracle::names::{Wire, from_text};
use crate::oracle::render::opcode_from_text;
use hivedns::wire::rtype::RecordType;
use std::collections::BTreeMap;

/// One file.
#[derive(Default)]
pub struct Script {
    pub zones: Vec<Zone>,
    pub cases: Vec<Case>,
}

/// A zone to be served.
pub struct Zone {
    pub origin: String,
    pub text: String,
    pub faulty: bool,
}

/// A message and what it shall come back as.
pub struct Case {
    pub line: usize,
    pub asked: String,
    pub message: Vec<u8>,
    /// What has to come back unchanged, if it comes back.
    pub question: Option<(Wire, u16, u16)>,
    pub tcp: bool,
    pub limit: usize,
    pub expected: Expected,
}

/// The lines before the first section, and the sorted lines of each section.
#[derive(Default)]
pub struct Expected {
    pub head: Vec<String>,
    pub sections: BTreeMap<String, Vec<String>>,
}

impl Expected {
    /// Reads what a reply is told as.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Expected {
        let (mut expected, mut section) = (Expected::default(), None);
        for line in lines {
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.starts_with(' ') {
                let title: &String = section.get_or_insert_default();
                expected.sections.entry(title.clone()).or_default().push(words);
            } else if ["answer", "authority", "additional"].contains(&line.trim()) {
                section = Some(words);
            } else {
                expected.head.push(words);
            }
        }
        expected.sections.values_mut().for_each(|lines| lines.sort());
        expected
    }

    /// As it would be written in a file.
    pub fn text(&self) -> String {
        let mut lines = self.head.clone();
        for title in ["answer", "authority", "additional"] {
            if let Some(records) = self.sections.get(title) {
                lines.push(title.into());
                lines.extend(records.iter().map(|record| format!("    {record}")));
            }
        }
        lines.join("\n")
    }
}

impl Script {
    /// Reads a file; the error is the line's number and what is wrong with it.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        let mut question = Vec::new();
        while at < lines.len() {
            let (line, number) = (lines[at], at + 1);
            at += 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let ends = |line: &&str| line.trim().is_empty() || line.starts_with(['#', '?', '!']);
            if let Some(origin) = line.strip_prefix("zone ").or(line.strip_prefix("faulty ")) {
                let is_zone = |line: &&&str| line.starts_with("    ") || line.trim().is_empty();
                let body = lines[at..].iter().take_while(is_zone);
                let body: Vec<&str> = body.map(|line| line.get(4..).unwrap_or_default()).collect();
                at += body.len();
                let text = format!("$TTL 300\n{}\n", body.join("\n"));
                let faulty = line.starts_with("faulty");
                script.zones.push(Zone { origin: origin.trim().into(), text, faulty });
                continue;
            }
            let mut case = match line.split_at(1) {
                ("?", asked) => ask(asked.trim()),
                ("!", hex) => raw(hex.trim(), &question),
                _ => None,
            }
            .ok_or_else(|| format!("{number}: not understood: {line}"))?;
            if line.starts_with('?') {
                question = case.message[12..].to_vec();
            }
            let body: Vec<&str> = lines[at..].iter().take_while(|line| !ends(line)).copied().collect();
            at += body.len();
            case.expected = Expected::parse(body.into_iter());
            case.line = number;
            case.asked = line.into();
            script.cases.push(case);
        }
        Ok(script)
    }
}

/// `NAME TYPE +option ...`
fn ask(text: &str) -> Option<Case> {
    let mut words = text.split_whitespace();
    let name = from_text(words.next()?)?;
    let RecordType(qtype) = words.next()?.parse().ok()?;
    let (mut flags, mut qclass, mut tcp, mut opt) = (0, 1, false, None);
    let plain = Edns { payload: 1232, dnssec_ok: false, version: 0, options: Vec::new() };
    for option in words {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "+tcp" => tcp = true,
            "+rd" => flags |= RD,
            "+ad" => flags |= AD,
            "+cd" => flags |= CD,
            "+ch" => qclass = 3,
            "+class" => qclass = value.parse().ok()?,
            "+opcode" => flags |= opcode_from_text(value)? << 11,
            "+do" => opt.get_or_insert_with(|| plain.clone()).dnssec_ok = true,
            "+nsid" => opt.get_or_insert_with(|| plain.clone()).options = vec![0, 3, 0, 0],
            "+bufsize" => opt.get_or_insert_with(|| plain.clone()).payload = value.parse().ok()?,
            "+edns" => opt.get_or_insert_with(|| plain.clone()).version = value.parse().ok()?,
            _ => return None,
        }
    }
    let limit = match &opt {
        _ if tcp => 65_535,
        Some(opt) => usize::from(opt.payload).clamp(512, 1232),
        None => 512,
    };
    let message = message::query(7, flags, &name, qtype, qclass, opt.as_ref());
    let question = Some((name, qtype, qclass));
    Some(Case { line: 0, asked: String::new(), message, question, tcp, limit, expected: Expected::default() })
}

/// Octets in hexadecimal.
fn raw(text: &str, question: &[u8]) -> Option<Case> {
    let mut message = Vec::new();
    for word in text.split_whitespace() {
        if word == "<question>" {
            message.extend_from_slice(question);
            continue;
        }
        for pair in word.as_bytes().chunks(2) {
            message.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
        }
    }
    let expected = Expected::default();
    Some(Case { line: 0, asked: String::new(), message, question: None, tcp: false, limit: 512, expected })
}
