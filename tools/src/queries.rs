//! `tools queries`: questions over a generated zone, each with the answer that is due.
//!
//! The same `--zone-names` and `--zone-seed` as for `tools zone` give the same names. The default mix is
//!
//! ```text
//!   70 %  hits: names drawn evenly, one of their types drawn evenly
//!   10 %  NXDOMAIN: half right below the apex, three of ten below a host, two of ten 3 to 6 labels deep
//!    5 %  NODATA: four of five at a name without the type, one of five at an empty non-terminal
//!    5 %  referrals: at the cut, or one or two labels below it
//!    5 %  aliases, asked for A: one to five CNAMEs, then the host's addresses
//!    5 %  names made by wildcards, one or two labels below their closest encloser
//! ```
//! Of the queries 80 % carry EDNS (1232 octets), and half of those DO.

use crate::population::{Data, Number, Population};
use crate::questions::{Expect, Kind, Questions};
use crate::rng::Rng;
use crate::wire::{Edns, Type, desire_recursion, write_query};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Generates questions over a generated zone; the same seeds give the same questions.
#[derive(Args, Debug)]
pub(crate) struct QueriesArgs {
    #[command(flatten)]
    mix: MixArgs,
    /// The file's form: packets (for `gun`, with the expected answers) or dnsperf (lines of name and type)
    #[arg(long, value_enum, default_value_t = Format::Packets)]
    format: Format,
    /// Where to write it
    #[arg(short, long)]
    output: PathBuf,
}

/// Which questions, over which zone.
#[derive(Args, Debug, Clone)]
pub(crate) struct MixArgs {
    /// How many owner names the zone was generated with
    #[arg(long, default_value_t = 100_000)]
    pub(crate) zone_names: usize,
    /// The seed the zone was generated with
    #[arg(long, default_value_t = 1)]
    pub(crate) zone_seed: u64,
    /// The seed of the questions
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The zone's origin
    #[arg(long, default_value = "example.test.")]
    pub(crate) origin: String,
    /// How many questions
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) count: usize,
    /// Per cent of questions for names that do not exist
    #[arg(long, default_value_t = 10.0)]
    pub(crate) nxdomain: f64,
    /// Per cent of questions for types that a name does not have
    #[arg(long, default_value_t = 5.0)]
    pub(crate) nodata: f64,
    /// Per cent of questions at or below zone cuts
    #[arg(long, default_value_t = 5.0)]
    pub(crate) referral: f64,
    /// Per cent of questions for aliases
    #[arg(long, default_value_t = 5.0)]
    pub(crate) cname: f64,
    /// Per cent of questions that wildcards answer
    #[arg(long, default_value_t = 5.0)]
    pub(crate) wildcard: f64,
    /// Per cent of queries with EDNS
    #[arg(long, default_value_t = 80.0)]
    pub(crate) edns: f64,
    /// Per cent of the queries with EDNS that set DO
    #[arg(long, default_value_t = 50.0)]
    pub(crate) dnssec_ok: f64,
    /// The UDP payload size that EDNS announces
    #[arg(long, default_value_t = 1232)]
    pub(crate) payload: u16,
    /// Per cent of queries whose names come in random case (0x20)
    #[arg(long, default_value_t = 0.0)]
    pub(crate) mixed_case: f64,
    /// Ask a resolver: RD is set, and AA is due in no answer
    #[arg(long)]
    pub(crate) recursive: bool,
}

impl Default for MixArgs {
    fn default() -> MixArgs {
        MixArgs {
            zone_names: 100_000,
            zone_seed: 1,
            seed: 1,
            origin: "example.test.".into(),
            count: 1_000_000,
            nxdomain: 10.0,
            nodata: 5.0,
            referral: 5.0,
            cname: 5.0,
            wildcard: 5.0,
            edns: 80.0,
            dnssec_ok: 50.0,
            payload: 1232,
            mixed_case: 0.0,
            recursive: false,
        }
    }
}

/// The forms a question file can take.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Dnsperf,
    Packets,
}

/// Runs `tools queries`.
pub(crate) fn run(args: &QueriesArgs) -> Result<(), String> {
    args.mix.check()?;
    let population = Population::generate(args.mix.zone_names, args.mix.zone_seed);
    let written = File::create(&args.output).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        match args.format {
            Format::Packets => generate(&population, &args.mix).write(&mut out)?,
            Format::Dnsperf => write_dnsperf(&population, &args.mix, &mut out)?,
        }
        out.flush()
    });
    written.map_err(|error| format!("{}: {error}", args.output.display()))
}

impl MixArgs {
    /// The same mix without what is referred or denied, and without aliases and wildcards.
    pub(crate) fn hits_alone(self) -> MixArgs {
        MixArgs { nxdomain: 0.0, nodata: 0.0, referral: 0.0, cname: 0.0, wildcard: 0.0, ..self }
    }

    /// Refuses shares that exceed the whole.
    pub(crate) fn check(&self) -> Result<(), String> {
        let shares = [self.nxdomain, self.nodata, self.referral, self.cname, self.wildcard];
        if shares.iter().any(|share| !(0.0..=100.0).contains(share)) || shares.iter().sum::<f64>() > 100.0 {
            return Err(
                "the shares must lie between 0 and 100 and add up to at most 100; the rest are hits".into()
            );
        }
        if self.count == 0 || self.count > 50_000_000 {
            return Err(format!("--count {}: from 1 to 50000000", self.count));
        }
        Ok(())
    }

    /// Which kind the next question is of.
    fn draw_kind(&self, rng: &mut Rng) -> Kind {
        let mut at = rng.below(1 << 24) as f64 / (1 << 24) as f64 * 100.0;
        let shares = [
            (self.nxdomain, Kind::NxDomain),
            (self.nodata, Kind::NoData),
            (self.referral, Kind::Referral),
            (self.cname, Kind::Alias),
            (self.wildcard, Kind::Wildcard),
        ];
        for (share, kind) in shares {
            if at < share {
                return kind;
            }
            at -= share;
        }
        Kind::Hit
    }
}

/// The questions as packets.
pub(crate) fn generate(population: &Population, mix: &MixArgs) -> Questions {
    let mut questions = Questions::default();
    let mut dice = Rng::for_purpose(mix.seed, "packets");
    Asker::new(population, mix).for_each_question(|name, rtype, expect| {
        let edns = dice
            .percent(mix.edns)
            .then(|| Edns { payload: mix.payload, dnssec_ok: dice.percent(mix.dnssec_ok) });
        let mixed = mix.mixed_case > 0.0 && dice.percent(mix.mixed_case);
        let authoritative = expect.authoritative && !mix.recursive;
        questions.push(Expect { authoritative, ..expect }, |out| {
            let start = out.len();
            match mixed {
                false => write_query(out, name, rtype, edns),
                true => write_query(out, &random_case(name, &mut dice), rtype, edns),
            }
            if mix.recursive {
                desire_recursion(&mut out[start..]);
            }
        });
    });
    questions
}

/// The questions as lines of name and type, which dnsperf reads.
pub(crate) fn write_dnsperf(population: &Population, mix: &MixArgs, out: &mut impl Write) -> io::Result<()> {
    let mut written = Ok(());
    Asker::new(population, mix).for_each_question(|name, rtype, _| {
        if written.is_ok() {
            written = writeln!(out, "{name} {}", rtype.name());
        }
    });
    written
}

fn random_case(name: &str, dice: &mut Rng) -> String {
    let letter = |c: char| if dice.percent(50.0) { c.to_ascii_uppercase() } else { c };
    name.chars().map(letter).collect()
}

/// Draws questions over a population.
struct Asker<'a> {
    population: &'a Population,
    mix: &'a MixArgs,
    rng: Rng,
    /// Names that own more than an alias and are neither wildcard nor at or below a cut.
    owners: Vec<Number>,
    /// Those of them that are hosts.
    hosts: Vec<Number>,
    cuts: Vec<Number>,
    aliases: Vec<Number>,
    wildcards: Vec<Number>,
}

/// A question: name without the origin, type, and the answer due.
type Question = (String, Type, Expect);

impl<'a> Asker<'a> {
    fn new(population: &'a Population, mix: &'a MixArgs) -> Asker<'a> {
        let rng = Rng::for_purpose(mix.seed, "questions");
        let (owners, hosts, cuts, aliases, wildcards) = Default::default();
        let mut asker = Asker { population, mix, rng, owners, hosts, cuts, aliases, wildcards };
        for (number, node) in population.nodes.iter().enumerate() {
            let number = number as Number;
            match node.data {
                Data::Cut { .. } => asker.cuts.push(number),
                Data::Glue { .. } => {}
                _ if node.owner.starts_with("*.") => asker.wildcards.push(number),
                Data::Alias(_) => asker.aliases.push(number),
                data => {
                    asker.owners.push(number);
                    if matches!(data, Data::Host { .. }) {
                        asker.hosts.push(number);
                    }
                }
            }
        }
        asker
    }

    /// Calls `each` with every question; a kind that a small zone cannot have becomes a hit.
    fn for_each_question(mut self, mut each: impl FnMut(&str, Type, Expect)) {
        let origin = self.mix.origin.trim_end_matches('.').to_owned();
        for _ in 0..self.mix.count {
            let question = match self.mix.draw_kind(&mut self.rng) {
                Kind::Hit => None,
                Kind::NoData => Some(self.no_data()),
                Kind::NxDomain => Some(self.nx_domain()),
                Kind::Referral => self.referral(),
                Kind::Alias => self.alias(),
                Kind::Wildcard => self.wildcard(),
            };
            let (name, rtype, expect) = question.unwrap_or_else(|| self.hit());
            let dot = if name.is_empty() { "" } else { "." };
            each(&format!("{name}{dot}{origin}."), rtype, expect);
        }
    }

    fn owner(&mut self) -> Number {
        *self.rng.pick(&self.owners).expect("the apex is among them")
    }

    fn name(&self, number: Number) -> &'a str {
        &self.population.nodes[number as usize].owner
    }

    fn hit(&mut self) -> Question {
        let number = self.owner();
        let (rtype, answers) =
            *self.rng.pick(&self.population.types(number)).expect("an owner owns something");
        (self.name(number).into(), rtype, positive(Kind::Hit, answers))
    }

    fn no_data(&mut self) -> Question {
        const ASKED: [Type; 5] = [Type::Aaaa, Type::A, Type::Mx, Type::Txt, Type::Srv];
        let expect = positive(Kind::NoData, 0);
        if self.rng.percent(20.0)
            && let Some(void) = self.rng.pick(&self.population.voids)
        {
            return (void.to_string(), ASKED[self.rng.below(ASKED.len())], expect);
        }
        let number = self.owner();
        let owned = self.population.types(number);
        let absent: Vec<Type> =
            ASKED.into_iter().filter(|asked| owned.iter().all(|(rtype, _)| rtype != asked)).collect();
        (self.name(number).into(), *self.rng.pick(&absent).expect("nobody owns all five"), expect)
    }

    fn nx_domain(&mut self) -> Question {
        // No generated label starts with `nx-`, and neither the apex nor a host has a wildcard below it.
        let label = format!("nx-{}", self.word());
        let name = match self.rng.below(10) {
            0..5 => label,
            5..8 => {
                let host = *self.rng.pick(&self.hosts).expect("the fixed names contain hosts");
                format!("{label}.{}", self.name(host))
            }
            _ => {
                let depth = self.rng.between(2, 5);
                let front: Vec<String> = (0..depth).map(|_| self.word()).collect();
                format!("{}.{label}", front.join("."))
            }
        };
        let rtype = if self.rng.percent(70.0) { Type::A } else { Type::Aaaa };
        (name, rtype, Expect { kind: Kind::NxDomain, rcode: 3, authoritative: true, answers: 0 })
    }

    fn referral(&mut self) -> Option<Question> {
        let cut = *self.rng.pick(&self.cuts)?;
        let cut = self.name(cut);
        let name = match self.rng.below(10) {
            0..3 => cut.to_owned(),
            3..8 => format!("www.{cut}"),
            _ => format!("{}.{}.{cut}", self.word(), self.word()),
        };
        let rtype = if self.rng.percent(70.0) { Type::A } else { Type::Mx };
        Some((name, rtype, Expect { kind: Kind::Referral, rcode: 0, authoritative: false, answers: 0 }))
    }

    fn alias(&mut self) -> Option<Question> {
        let alias = *self.rng.pick(&self.aliases)?;
        Some((self.name(alias).into(), Type::A, positive(Kind::Alias, self.chased(alias))))
    }

    fn wildcard(&mut self) -> Option<Question> {
        let wildcard = *self.rng.pick(&self.wildcards)?;
        let encloser = self.name(wildcard).trim_start_matches("*.");
        let name = if self.rng.percent(80.0) {
            format!("{}.{encloser}", self.word())
        } else {
            format!("{}.{}.{encloser}", self.word(), self.word())
        };
        let (rtype, answers) = match *self.rng.pick(&self.population.types(wildcard))? {
            (Type::Cname, _) => (Type::A, self.chased(wildcard)),
            owned => owned,
        };
        Some((name, rtype, positive(Kind::Wildcard, answers)))
    }

    /// How many records answer a question for A at an alias: the chain, then the host's addresses.
    fn chased(&self, alias: Number) -> u8 {
        let (links, end) = self.population.chain(alias);
        let addresses = end.and_then(|end| {
            self.population.types(end).iter().find(|(rtype, _)| *rtype == Type::A).map(|&(_, count)| count)
        });
        links + addresses.unwrap_or(0)
    }

    /// Four to eight letters and digits.
    fn word(&mut self) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        (0..self.rng.between(4, 8)).map(|_| char::from(LETTERS[self.rng.below(LETTERS.len())])).collect()
    }
}

/// NOERROR with AA and that many answers.
fn positive(kind: Kind, answers: u8) -> Expect {
    Expect { kind, rcode: 0, authoritative: true, answers }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::KINDS;
    use crate::wire::is_well_formed;

    fn mix(count: usize) -> MixArgs {
        MixArgs { zone_names: 5_000, count, ..MixArgs::default() }
    }

    #[test]
    fn the_mix_is_the_one_documented() {
        let questions = generate(&Population::generate(5_000, 1), &mix(100_000));
        let counts = KINDS.map(|kind| (0..100_000).filter(|&i| questions.expect(i).kind == kind).count());
        let shares = counts.map(|count| (count as f64 / 1_000.0).round() as u32);
        assert_eq!(shares, [70, 5, 10, 5, 5, 5]);
    }

    #[test]
    fn packets_are_well_formed_and_fit_their_set() {
        let questions = generate(&Population::generate(5_000, 1), &mix(2_000));
        assert_eq!(questions.len(), 2_000);
        assert!((0..2_000).all(|index| is_well_formed(questions.packet(index))));
    }

    #[test]
    fn a_resolver_is_asked_the_same_with_rd_and_owes_no_aa() {
        let population = Population::generate(5_000, 1);
        let [plain, recursive] =
            [false, true].map(|recursive| generate(&population, &MixArgs { recursive, ..mix(200) }));
        for index in 0..200 {
            let mut packet = plain.packet(index).to_vec();
            assert_eq!(packet[2], 0);
            packet[2] = 1;
            assert_eq!(recursive.packet(index), packet);
            assert!(!recursive.expect(index).authoritative);
        }
    }

    #[test]
    fn both_formats_ask_the_same_questions() {
        let population = Population::generate(5_000, 1);
        let mut lines = Vec::new();
        write_dnsperf(&population, &mix(500), &mut lines).unwrap();
        let packets = generate(&population, &mix(500));
        for (index, line) in String::from_utf8(lines).unwrap().lines().enumerate() {
            let (name, _) = line.split_once(' ').unwrap();
            let mut wire = Vec::new();
            write_query(&mut wire, name, Type::A, None);
            let name_octets = &wire[12..wire.len() - 4];
            assert_eq!(&packets.packet(index)[12..12 + name_octets.len()], name_octets);
        }
    }

    #[test]
    fn names_that_must_not_exist_do_not() {
        let population = Population::generate(5_000, 1);
        assert!(population.nodes.iter().all(|node| !node.owner.contains("nx-")));
    }

    #[test]
    fn a_tiny_zone_still_gives_questions() {
        let mix = MixArgs { zone_names: 16, count: 1_000, ..MixArgs::default() };
        assert_eq!(generate(&Population::generate(16, 9), &mix).len(), 1_000);
    }
}
