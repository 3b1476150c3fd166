//! hivedns, NSD and Knot serve the same zones side by side and are asked the same questions: where NSD
//! and Knot agree, hivedns has to agree with them.
//!
//! ```text
//! cargo test --test differential -- --nocapture
//! ```
//!
//! | variable | meaning |
//! |---|---|
//! | `HIVEDNS_DIFFERENTIAL_SEED` | the zones and questions of that run again; else a fixed seed |
//! | `HIVEDNS_DIFFERENTIAL_OURS` | `process` (as by default), `library` (without sockets), `none` (NSD and Knot only) |
//! | `HIVEDNS_DIFFERENTIAL_SHOW` | text: print the cases of the kinds of dispute that contain it |
//! | `HIVEDNS_DIFFERENTIAL_STAGE` | text: only the stages whose names contain it |
//! | `HIVEDNS_DIFFERENTIAL_KEEP` | `1`: leave the directory of zones, configurations and logs behind |
//! | `CI` | `true`: a missing peer is a failure, not a skip |
//!
//! Reading order: [`zones`] (what is served), [`generate`] (zones by chance), [`questions`] (what is
//! asked), [`peers`] (how NSD and Knot are started), [`compare`] (what counts as equal).
#![allow(unreachable_pub, reason = "a test program has no outside")]

mod causes;
mod compare;
mod generate;
mod malformed;
#[path = "../oracle/mod.rs"]
mod oracle;
mod peers;
mod proofs;
mod questions;
mod rng;
#[path = "../support/signers.rs"]
mod signers;
mod zones;

use causes::{Cause, Side, cause};
use compare::{Case, read, without_courtesies};
use oracle::library::{Library, ZoneText};
use oracle::process::{Server, TempDir, hivedns};
use oracle::transport;
use questions::Question;
use rng::Rng;
use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::sync::Mutex;

/// Below this many questions a run proves too little.
const QUESTIONS_MIN: usize = 20_000;
/// Of so many kinds of wrong answers the first is printed whole.
const SHOWN_MAX: usize = 20;
const SEED: u64 = 1035;

#[test]
fn hivedns_agrees_where_nsd_and_knot_agree() {
    if let Err(why) = peers::ensure_installed() {
        eprintln!("\nSKIPPED: the differential test needs NSD and Knot, which are not here: {why}\n");
        assert!(env::var("CI").as_deref() != Ok("true"), "in CI the peers have to be there");
        return;
    }
    let seed = env::var("HIVEDNS_DIFFERENTIAL_SEED").map_or(SEED, |text| text.parse().expect("a number"));
    println!("seed {seed}; again with HIVEDNS_DIFFERENTIAL_SEED={seed}");
    let ours = env::var("HIVEDNS_DIFFERENTIAL_OURS").unwrap_or("process".into());
    let keep = env::var("HIVEDNS_DIFFERENTIAL_KEEP").is_ok_and(|text| text == "1");
    let dir = TempDir::new("differential", keep).expect("a temporary directory");
    println!("zones, configurations and logs: {}", dir.path().display());
    let mut tally = Tally::default();
    let only = env::var("HIVEDNS_DIFFERENTIAL_STAGE").unwrap_or_default();
    for stage in zones::stages(dir.path(), seed).iter().filter(|stage| stage.name.contains(&only)) {
        run(stage, &dir, seed, &ours, &mut tally).unwrap_or_else(|why| panic!("{}: {why}", stage.name));
    }
    tally.print();
    assert!(tally.asked >= QUESTIONS_MIN || !only.is_empty(), "only {} questions", tally.asked);
    assert_eq!(tally.wrong, 0, "answers that differ from both peers; seed {seed}");
    // Other seeds make zones whose disputes nobody has looked at yet; the table tells them.
    if seed == SEED {
        assert_eq!(tally.astray, 0, "answers on another side than their cause says");
        let unexplained: Vec<&String> = tally.unexplained.keys().collect();
        assert!(unexplained.is_empty(), "disputes of no known cause: {unexplained:#?}");
    }
}

/// Starts the servers with the zones of one stage, asks everything, and judges.
fn run(stage: &zones::Stage, dir: &TempDir, seed: u64, ours: &str, tally: &mut Tally) -> Result<(), String> {
    let dir = dir.path().join(stage.name.replace(' ', "-"));
    std::fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    let peers_zones = [stage.zones.clone(), stage.built_in.clone()].concat();
    let nsd = peers::nsd(&dir, &peers_zones)?;
    let knot = peers::knot(&dir, &peers_zones)?;
    let ours = Ours::start(ours, &dir, &stage.zones)?;

    let mut rng = Rng::new(seed);
    let mut asked = questions::chaos();
    for (origin, file) in &peers_zones {
        let records =
            transport::transfer(knot.address, origin).map_err(|e| format!("{}: {e}", file.display()))?;
        asked.extend(questions::about(origin, &records, stage.signed, &mut rng));
    }
    let [from_nsd, from_knot, from_us] = std::thread::scope(|scope| {
        let nsd = scope.spawn(|| ask(&nsd, &asked).map(Some));
        let knot = scope.spawn(|| ask(&knot, &asked).map(Some));
        let ours = scope.spawn(|| ours.ask(&asked));
        [nsd, knot, ours].map(|thread| thread.join().expect("asking does not panic"))
    });
    let (from_nsd, from_knot) = (from_nsd?.ok_or("no nsd")?, from_knot?.ok_or("no knot")?);
    let from_us = from_us?;
    println!("{}: {} zones, {} questions", stage.name, peers_zones.len(), asked.len());
    if stage.name == "all zones" {
        judge_oddities(&nsd, &knot, &ours, tally)?;
    }
    let origins: Vec<_> = peers_zones.into_iter().map(|(origin, _)| origin).collect();
    for (at, question) in asked.iter().enumerate() {
        let case = Case {
            question,
            nsd: read(from_nsd[at].as_ref()).map(without_courtesies),
            knot: read(from_knot[at].as_ref()),
            ours: from_us.as_ref().map(|replies| read(replies[at].as_ref())),
        };
        tally.judge(&case, &origins);
    }
    Ok(())
}

/// Malformed messages: where the peers agree whether to answer, and with which rcode, so have we to.
fn judge_oddities(nsd: &Server, knot: &Server, ours: &Ours, tally: &mut Tally) -> Result<(), String> {
    let oddities = malformed::oddities("groucho.edu.");
    let octets: Vec<_> = oddities.iter().map(|oddity| oddity.octets.clone()).collect();
    let ask = |server: &Server| transport::udp(server.address, &octets).map_err(|e| e.to_string());
    let (from_nsd, from_knot, from_us) = (ask(nsd)?, ask(knot)?, ours.ask_raw(&octets)?);
    let told = |reply: &Option<Vec<u8>>| match reply.as_ref().map(|octets| oracle::message::decode(octets)) {
        None => "silence".to_owned(),
        Some(Err(why)) => format!("malformed: {why}"),
        Some(Ok(m)) => format!("{} {}", oracle::render::rcode(m.rcode()), oracle::render::flags(m.flags)),
    };
    println!("{:<40} {:<16} {:<16} hivedns", "malformed and odd messages", "nsd", "knot");
    for (at, oddity) in oddities.iter().enumerate() {
        let (nsd, knot) = (told(&from_nsd[at]), told(&from_knot[at]));
        let ours = from_us.as_ref().map(|replies| told(&replies[at]));
        let wrong = nsd == knot && ours.as_ref().is_some_and(|ours| *ours != nsd);
        tally.asked += 1;
        tally.wrong += usize::from(wrong);
        let mark = if wrong { "  WRONG" } else { "" };
        println!("{:<40} {nsd:<16} {knot:<16} {}{mark}", oddity.name, ours.unwrap_or_default());
    }
    Ok(())
}

/// The server under test.
enum Ours {
    Process(Server),
    Library(Box<Mutex<Library>>),
    None,
}

/// What came back for each question; `None` for silence.
type Replies = Vec<Option<Vec<u8>>>;

impl Ours {
    fn start(kind: &str, dir: &Path, zones: &peers::Zones) -> Result<Ours, String> {
        match kind {
            "none" => Ok(Ours::None),
            "library" => {
                let texts = zones.iter().map(|(origin, file)| {
                    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
                    Ok((oracle::names::to_text(origin), file, text))
                });
                let texts: Vec<_> = texts.collect::<Result<_, String>>()?;
                let zones = texts.iter().map(|(origin, file, text)| ZoneText { origin, file, text });
                let (library, told) = Library::new(&zones.collect::<Vec<_>>(), peers::IDENTITY);
                told.iter().for_each(|fault| println!("{fault}"));
                Ok(Ours::Library(Box::new(Mutex::new(library))))
            }
            _ => hivedns(dir, zones, &["--node", peers::IDENTITY]).map(Ours::Process),
        }
    }

    fn ask(&self, questions: &[Question]) -> Result<Option<Replies>, String> {
        match self {
            Ours::None => Ok(None),
            Ours::Process(server) => ask(server, questions).map(Some),
            Ours::Library(library) => {
                let mut library = library.lock().expect("asked by one thread");
                let mut ask = |q: &Question| library.ask(&q.encode(), q.transport.is_tcp());
                Ok(Some(questions.iter().map(&mut ask).collect()))
            }
        }
    }

    fn ask_raw(&self, messages: &[Vec<u8>]) -> Result<Option<Replies>, String> {
        match self {
            Ours::None => Ok(None),
            Ours::Process(server) => {
                transport::udp(server.address, messages).map(Some).map_err(|e| e.to_string())
            }
            Ours::Library(library) => {
                let mut library = library.lock().expect("asked by one thread");
                Ok(Some(messages.iter().map(|message| library.ask(message, false)).collect()))
            }
        }
    }
}

/// All replies of one server, in the order of the questions.
fn ask(server: &Server, questions: &[Question]) -> Result<Replies, String> {
    let is_tcp = |question: &Question| question.transport.is_tcp();
    let encoded = |tcp: bool| -> Vec<_> {
        questions.iter().filter(|question| is_tcp(question) == tcp).map(Question::encode).collect()
    };
    let by_udp =
        transport::udp(server.address, &encoded(false)).map_err(|e| format!("{}: {e}", server.name))?;
    let by_tcp = transport::tcp(server.address, &encoded(true));
    let (mut by_udp, mut by_tcp) = (by_udp.into_iter(), by_tcp.into_iter());
    let mut reply = |question| if is_tcp(question) { by_tcp.next() } else { by_udp.next() };
    Ok(questions.iter().map(|question| reply(question).flatten()).collect())
}

/// What a run comes to.
#[derive(Default)]
struct Tally {
    asked: usize,
    wrong: usize,
    /// Answers on another side than the cause of the dispute says.
    astray: usize,
    /// Wrong answers by what is wrong with them: how many, one example.
    wrong_kinds: BTreeMap<String, (usize, String)>,
    /// Disputes that are understood, by the name of their cause.
    explained: BTreeMap<&'static str, Dispute>,
    /// Disputes that are not, by what the sides say.
    unexplained: BTreeMap<String, Dispute>,
}

/// Disputes of one kind.
struct Dispute {
    cause: Option<&'static Cause>,
    count: usize,
    /// How often hivedns is with whom.
    with: BTreeMap<&'static str, usize>,
    example: String,
}

impl Tally {
    fn judge(&mut self, case: &Case<'_>, zones: &[Vec<u8>]) {
        self.asked += 1;
        let finding = case.judge();
        if !finding.disputed.is_empty() {
            let cause = cause(case, &finding.disputed, zones);
            let kind = case.kind(&finding.disputed);
            let new = || Dispute { cause, count: 0, with: BTreeMap::new(), example: case.question.to_text() };
            let shown = cause.map_or(kind.as_str(), |cause| cause.name).to_owned() + finding.with;
            let dispute = match cause {
                Some(cause) => self.explained.entry(cause.name).or_insert_with(new),
                None => self.unexplained.entry(kind).or_insert_with(new),
            };
            if cause.is_some_and(|cause| !cause.side.holds(finding.with)) {
                self.astray += 1;
                if self.astray <= SHOWN_MAX {
                    println!("ASTRAY {shown}: {}", case.report(&finding.disputed));
                }
            }
            dispute.count += 1;
            *dispute.with.entry(finding.with).or_default() += 1;
            if env::var("HIVEDNS_DIFFERENTIAL_SHOW").is_ok_and(|text| shown.contains(&text)) {
                println!("{}", case.report(&finding.disputed));
            }
        }
        if !finding.wrong.is_empty() {
            self.wrong += 1;
            let kinds = self.wrong_kinds.len();
            let kind = self.wrong_kinds.entry(case.kind_of_wrong(&finding.wrong));
            kind.or_insert_with(|| (0, case.question.to_text())).0 += 1;
            if self.wrong_kinds.len() > kinds && kinds < SHOWN_MAX {
                println!("WRONG {}", case.report(&finding.wrong));
            }
        }
    }

    fn print(&self) {
        let all = self.explained.values().chain(self.unexplained.values());
        let disputed: usize = all.map(|dispute| dispute.count).sum();
        for (kind, (count, example)) in &self.wrong_kinds {
            println!("{count:>6}  WRONG {kind}  {example}");
        }
        println!("{} questions, {} wrong; NSD and Knot differ on {disputed}:\n", self.asked, self.wrong);
        println!(
            "{:>6}  {:<62} {:<6} {:<24} example",
            "count", "why NSD and Knot differ", "better", "hivedns is with"
        );
        for (name, dispute) in &self.explained {
            dispute.print(name);
        }
        for (kind, dispute) in &self.unexplained {
            dispute.print(&format!("unexplained: {kind}"));
        }
    }
}

impl Dispute {
    fn print(&self, name: &str) {
        let with: Vec<_> = self.with.iter().map(|(side, count)| format!("{side} {count}")).collect();
        let side = match self.cause.map(|cause| cause.side) {
            Some(Side::Nsd) => "nsd",
            Some(Side::Knot) => "knot",
            Some(Side::Either) => "one",
            Some(Side::Own) => "either",
            None => "?",
        };
        println!("{:>6}  {name:<62} {side:<6} {:<24} {}", self.count, with.join(", "), self.example);
    }
}
