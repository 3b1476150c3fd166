//! Comparing answers fact by fact: where the two peers agree on a fact, hivedns has to agree too.

use crate::oracle::message::{self, AA, Message, Record, TC, target};
use crate::oracle::render;
use crate::proofs::proves_empty_wildcard;
use crate::questions::Question;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a server said: a message, or why there is none.
pub type Answer = Result<Message, String>;

/// Decodes one reply.
pub fn read(reply: Option<&Vec<u8>>) -> Answer {
    reply.ok_or("silence".to_owned()).and_then(|octets| message::decode(octets))
}

/// What an answer is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// There is an answer, and it is well-formed.
    Reply,
    Rcode,
    Aa,
    /// QR, opcode, RD, RA, AD, CD.
    Flags,
    /// The question comes back octet for octet.
    Question,
    Answer,
    Authority,
    Additional,
    Tc,
    /// Whether there is an OPT, and of which version.
    Edns,
}

impl Fact {
    const ALL: [Fact; 10] = [
        Fact::Reply,
        Fact::Rcode,
        Fact::Aa,
        Fact::Flags,
        Fact::Question,
        Fact::Answer,
        Fact::Authority,
        Fact::Additional,
        Fact::Tc,
        Fact::Edns,
    ];

    fn is_section(self) -> bool {
        matches!(self, Fact::Answer | Fact::Authority | Fact::Additional)
    }

    /// The fact in words, short enough for a table.
    fn of(self, question: &Question, answer: &Answer) -> String {
        let message = match answer {
            Ok(message) => message,
            Err(why) if self == Fact::Reply => return why.clone(),
            Err(_) => return String::new(),
        };
        let set = |bit| if message.flags & bit != 0 { "set" } else { "clear" }.to_owned();
        match self {
            Fact::Reply => "well-formed".into(),
            Fact::Rcode => render::rcode(message.rcode()),
            Fact::Aa => set(AA),
            Fact::Tc => set(TC),
            Fact::Flags => format!("{:04x}", message.flags & !(AA | TC | 0xf)),
            Fact::Question => {
                let asked = (question.name.clone(), question.qtype, question.qclass);
                if message.question == Some(asked) { "echoed" } else { "changed" }.into()
            }
            Fact::Answer => section(&message.sections[0]),
            Fact::Authority => section(&message.sections[1]),
            Fact::Additional => section(&message.sections[2]),
            Fact::Edns => {
                message.opt.as_ref().map_or("none".into(), |opt| format!("version {}", opt.version))
            }
        }
    }
}

/// A section as a multiset: sorted lines.
fn section(records: &[Record]) -> String {
    let mut lines: Vec<_> = records.iter().map(render::record).collect();
    lines.sort();
    lines.join("\n")
}

/// NSD puts the NS of the apex, and their addresses, beside every positive answer that has room for
/// them; Knot does not. Leaves what both would say.
pub fn without_courtesies(mut message: Message) -> Message {
    let [answer, authority, additional] = &mut message.sections;
    let positive = message.flags & AA != 0 && !answer.is_empty() && message.flags & 0xf == 0;
    // Beside them stands what proves that a wildcard stood in rightly, where that is wanted.
    let is_courtesy = |record: &Record| record.rtype == 2 || covered(record) == Some(2);
    let is_proof = |record: &Record| matches!(record.rtype, 46 | 47 | 50);
    let fits = |record: &Record| is_courtesy(record) || is_proof(record);
    if positive && authority.iter().any(|record| record.rtype == 2) && authority.iter().all(fits) {
        authority.retain(|record| !is_courtesy(record));
        let asks = |record: &Record| matches!(record.rtype, 2 | 15 | 33);
        let asked = |address: &Record| answer.iter().any(|r| asks(r) && target(r) == Some(&address.owner));
        additional.retain(asked);
    }
    message
}

/// The type that a signature covers.
pub fn covered(record: &Record) -> Option<u16> {
    let covered = record.rdata.first_chunk::<2>().filter(|_| record.rtype == 46)?;
    Some(u16::from_be_bytes(*covered))
}

/// The facts on which two answers differ. Sections are not compared where either is truncated: what
/// fits is each server's choice. Nor is the rest where one has no message at all.
pub fn differing(question: &Question, one: &Answer, other: &Answer) -> Vec<Fact> {
    let truncated = [one, other].iter().any(|answer| answer.as_ref().is_ok_and(|m| m.flags & TC != 0));
    if one.is_err() != other.is_err() {
        return vec![Fact::Reply];
    }
    let differ =
        |fact: &Fact| !(truncated && fact.is_section()) && fact.of(question, one) != fact.of(question, other);
    Fact::ALL.into_iter().filter(differ).collect()
}

/// Octets below the limit within which compression and choice of additional data may decide.
const NEAR_LIMIT: usize = 64;

/// True where a message of so many octets fits, but only just.
pub fn near_limit(octets: usize) -> bool {
    [512, 1232].iter().any(|limit| (limit - NEAR_LIMIT..=*limit).contains(&octets))
}

/// One question and what everybody said.
pub struct Case<'a> {
    pub question: &'a Question,
    pub nsd: Answer,
    pub knot: Answer,
    pub ours: Option<Answer>,
}

/// What a case comes to.
pub struct Finding {
    /// Facts on which NSD and Knot differ.
    pub disputed: Vec<Fact>,
    /// Facts on which they agree and we do not.
    pub wrong: Vec<Fact>,
    /// On the disputed facts we are with: nsd, knot, each in part, neither; `-` if we were not asked.
    pub with: &'static str,
}

impl Case<'_> {
    pub fn judge(&self) -> Finding {
        let disputed = differing(self.question, &self.nsd, &self.knot);
        let Some(ours) = &self.ours else {
            return Finding { disputed, wrong: Vec::new(), with: "-" };
        };
        let from_nsd = differing(self.question, &self.nsd, ours);
        let from_knot = differing(self.question, &self.knot, ours);
        // Where they differ on what is answered, that they agree on what goes with it is chance.
        let chance = |fact: Fact| match fact {
            Fact::Authority => disputed.contains(&Fact::Answer) || disputed.contains(&Fact::Rcode),
            Fact::Additional | Fact::Tc => {
                disputed.iter().any(|other| *other < fact && (other.is_section() || *other == Fact::Rcode))
            }
            _ => false,
        };
        let octets = |answer: &Answer| answer.as_ref().map_or(0, |message| message.octets);
        let near = near_limit(octets(&self.nsd).max(octets(&self.knot)));
        // Of a chain that does not fit nobody knows where it ends.
        let cut = ours.as_ref().is_ok_and(|message| message.flags & TC != 0);
        let free = |fact: Fact| match fact {
            Fact::Additional | Fact::Tc => near || chance(fact),
            Fact::Rcode => near && cut,
            Fact::Authority => chance(fact) || proves_empty_wildcard(self, ours),
            _ => chance(fact),
        };
        let agreed = |fact: &Fact| from_knot.contains(fact) && !disputed.contains(fact);
        let wrong = from_nsd.iter().filter(|fact| agreed(fact) && !free(**fact));
        let wrong = wrong.copied().collect();
        let with = |others: &[Fact]| disputed.iter().all(|fact| !others.contains(fact));
        let with = match (with(&from_nsd), with(&from_knot)) {
            (true, true) => "both",
            (true, _) => "nsd",
            (_, true) => "knot",
            _ if disputed.iter().any(|fact| from_nsd.contains(fact) && from_knot.contains(fact)) => "neither",
            (false, false) => "each in part",
        };
        Finding { disputed, wrong, with }
    }

    /// The kind of a dispute: the disputed facts and in short what each says.
    pub fn kind(&self, disputed: &[Fact]) -> String {
        let short = |answer: &Answer| {
            let words = disputed.iter().map(|fact| summary(&fact.of(self.question, answer)));
            words.collect::<Vec<_>>().join("; ")
        };
        let facts: Vec<_> = disputed.iter().map(|fact| format!("{fact:?}").to_lowercase()).collect();
        format!("{} | {} | {}", facts.join("; "), short(&self.nsd), short(&self.knot))
    }

    /// The kind of a wrong answer: the facts, what both peers say in short, and what we do.
    pub fn kind_of_wrong(&self, wrong: &[Fact]) -> String {
        let short = |answer: &Answer| {
            let words = wrong.iter().map(|fact| summary(&fact.of(self.question, answer)));
            words.collect::<Vec<_>>().join("; ")
        };
        let facts: Vec<_> = wrong.iter().map(|fact| format!("{fact:?}").to_lowercase()).collect();
        let ours = self.ours.as_ref().map(short).unwrap_or_default();
        let qtype = render::rtype(self.question.qtype);
        format!("{qtype}: {}: peers: {} | hivedns: {ours}", facts.join("; "), short(&self.nsd))
    }

    /// The question and all answers, to be read by people.
    pub fn report(&self, facts: &[Fact]) -> String {
        let mut text = format!(
            "{}\n    in {}: {facts:?}\n",
            self.question.to_text(),
            crate::oracle::names::to_text(&self.question.zone)
        );
        let answers = [("nsd", Some(&self.nsd)), ("knot", Some(&self.knot)), ("hivedns", self.ours.as_ref())];
        for (name, answer) in answers {
            let told = match answer {
                None => continue,
                Some(Ok(message)) => render::message(message),
                Some(Err(why)) => format!("{why}\n"),
            };
            for line in told.lines() {
                let _ = writeln!(text, "    {name:>7} {line}");
            }
        }
        text
    }
}

/// A section in short: how many records of which types.
fn summary(fact: &str) -> String {
    if !fact.contains(' ') || fact.starts_with("version") {
        return if fact.is_empty() { "nothing".into() } else { fact.into() };
    }
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for line in fact.lines() {
        *types.entry(line.split(' ').nth(3).unwrap_or(line)).or_default() += 1;
    }
    let counted =
        types.iter().map(|(rtype, count)| if *count > 1 { format!("{rtype}+") } else { (*rtype).into() });
    counted.collect::<Vec<_>>().join(" ")
}
