//! `tools zone`: writes a generated zone as a master file.

use crate::population::{Data, NAMES_MIN, Number, Population, Target};
use clap::Args;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Generates a zone and writes it as a master file; the same seed gives the same file.
#[derive(Args, Debug)]
pub(crate) struct ZoneArgs {
    /// How many owner names, the apex and glue included (at least 16)
    #[arg(long, default_value_t = 100_000)]
    names: usize,
    /// The seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The zone's origin
    #[arg(long, default_value = "example.test.")]
    origin: String,
    /// Where to write it (`-`: standard output)
    #[arg(short, long)]
    output: PathBuf,
}

/// Runs `tools zone`.
pub(crate) fn run(args: &ZoneArgs) -> Result<(), String> {
    if args.names < NAMES_MIN {
        return Err(format!("--names {}: a zone needs at least {NAMES_MIN} names", args.names));
    }
    let population = Population::generate(args.names, args.seed);
    write_file(&population, &args.origin, None, &args.output)
        .map_err(|error| format!("{}: {error}", args.output.display()))
}

/// Writes the zone into a file, as [`write`] does.
pub(crate) fn write_file(
    population: &Population,
    origin: &str,
    ttl: Option<u32>,
    path: &Path,
) -> io::Result<()> {
    if path == Path::new("-") {
        return write(population, origin, ttl, &mut io::stdout().lock());
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write(population, origin, ttl, &mut out)?;
    out.flush()
}

/// How long records live unless they say otherwise, in seconds.
const USUAL_TTL: u32 = 3600;
/// What half of the names say, in equal parts.
const TTLS: [&str; 8] = ["", "", "", "", "300 ", "60 ", "86400 ", "1h30m "];

/// Writes the zone: names relative to `$ORIGIN`, an owner only on the first of its lines. All records have the TTL in
/// seconds; without one they have several.
pub(crate) fn write(
    population: &Population,
    origin: &str,
    ttl: Option<u32>,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "$ORIGIN {}.", origin.trim_end_matches('.'))?;
    writeln!(out, "$TTL {}", ttl.unwrap_or(USUAL_TTL))?;
    let ttls = if ttl.is_some() { [""; 8] } else { TTLS };
    let names = population.nodes.iter();
    for (number, node) in names.enumerate() {
        let owner = if node.owner.is_empty() { "@" } else { &*node.owner };
        write_node(population, number as Number, owner, node.data, ttls, out)?;
    }
    Ok(())
}

/// Writes the records of one name.
fn write_node(
    population: &Population,
    number: Number,
    owner: &str,
    data: Data,
    ttls: [&str; 8],
    out: &mut impl Write,
) -> io::Result<()> {
    let name = |number: Number| &*population.nodes[number as usize].owner;
    let variety = population.variety(number);
    let ttl = ttls[(variety % 8) as usize];
    match data {
        Data::Apex => {
            writeln!(out, "{owner} SOA ns1 hostmaster 2026010101 7200 3600 1209600 300")?;
            writeln!(
                out,
                "\tNS ns1\n\tNS ns2\n\tMX 10 mail\n\tTXT \"v=spf1 mx -all\"\n\tA {}",
                population.v4(number, 0)
            )
        }
        Data::Host { v4, v6 } => {
            let mut owner = owner;
            for k in 0..v4 {
                writeln!(out, "{owner}\t{ttl}A {}", population.v4(number, k))?;
                owner = "";
            }
            for k in 0..v6 {
                writeln!(out, "{owner}\t{ttl}AAAA {}", population.v6(number, k))?;
                owner = "";
            }
            Ok(())
        }
        Data::Alias(Target::Inside(target)) => writeln!(out, "{owner}\t{ttl}CNAME {}", name(target)),
        Data::Alias(Target::Outside) => {
            writeln!(out, "{owner}\t{ttl}CNAME cdn{}.elsewhere.invalid.", variety >> 32 & 0xfff)
        }
        Data::Mail { first, second } => {
            writeln!(out, "{owner}\t{ttl}MX 10 {}", name(first))?;
            if let Some(second) = second {
                writeln!(out, "\t{ttl}MX 20 {}", name(second))?;
            }
            writeln!(out, "\tTXT \"v=spf1 mx ip4:{} -all\"", population.v4(number, 1))?;
            writeln!(out, "\tA {}", population.v4(number, 0))
        }
        Data::Text { records } => {
            let mut owner = owner;
            for k in 0..records {
                writeln!(
                    out,
                    "{owner}\t{ttl}TXT \"site-verification={:016x}\" \"part {k}\"",
                    variety.rotate_left(k.into())
                )?;
                owner = "";
            }
            Ok(())
        }
        Data::Service(target) => {
            writeln!(
                out,
                "{owner}\t{ttl}SRV 10 {} {} {}",
                variety >> 40 & 0x3f,
                1024 + (variety >> 48 & 0x3fff),
                name(target)
            )
        }
        Data::Cut { glue } => {
            let hoster = variety >> 32 & 0xff;
            let first = if glue { format!("ns1.{owner}") } else { format!("ns1.hoster{hoster}.invalid.") };
            writeln!(out, "{owner}\t{ttl}NS {first}\n\t{ttl}NS ns2.hoster{hoster}.invalid.")
        }
        Data::Glue { v6 } => {
            writeln!(out, "{owner}\t{ttl}A {}", population.v4(number, 0))?;
            if v6 { writeln!(out, "\t{ttl}AAAA {}", population.v6(number, 0)) } else { Ok(()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_the_records_that_the_population_counts() {
        let population = Population::generate(5_000, 1);
        let mut text = Vec::new();
        write(&population, "example.test", None, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let counted: usize =
            (0..5_000).flat_map(|n| population.types(n)).map(|(_, count)| usize::from(count)).sum();
        assert_eq!(text.lines().count() - 2, counted);
        for rtype in ["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "NS", "SOA"] {
            assert!(text.lines().any(|line| line.split_whitespace().any(|word| word == rtype)), "{rtype}");
        }
    }

    #[test]
    fn where_one_ttl_is_asked_for_no_record_has_its_own() {
        let population = Population::generate(1_000, 1);
        let [mixed, one] = [None, Some(86_400)].map(|ttl| {
            let mut text = Vec::new();
            write(&population, "example.test", ttl, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        });
        assert!(mixed.contains("\t60 A ") && mixed.contains("$TTL 3600\n"));
        assert!(!one.contains("\t60 ") && !one.contains("\t86400 ") && one.contains("$TTL 86400\n"));
    }
}
