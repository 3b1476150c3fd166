//! `tools perf transfer`: a whole zone out of each server that serves one, over one connection (AXFR, RFC 5936).
//!
//! All servers have the same zone, one worker each, and are tied to one core; who fetches sits on another and does no
//! more with what comes than to see where it ends.

use super::report::{Goal, cell, goal, goal_table, head_table, size_name};
use super::{Scratch, authoritative, build_hivedns, machine, repository};
use crate::peers::{Duty, PEERS, Peer, Site};
use crate::population::Population;
use crate::process::{Server, prefer_session, usage};
use crate::stats::Spread;
use crate::wire::{Header, Type, write_query};
use crate::{clock, socket, wire, zone};
use clap::Args;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// The zone.
const ORIGIN: &str = "example.test.";
/// The type that asks for a whole zone (RFC 5936 §2.1).
const AXFR: u16 = 252;
/// The first port; each server takes two.
const PORT: u16 = 5420;
/// How long a server may take to load the zone, and to send it.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two tries to reach a server that loads.
const PAUSE: Duration = Duration::from_millis(100);
/// What is read from the socket at once.
const READ_OCTETS: usize = 1 << 20;

/// Compares how fast hivedns, Knot DNS and NSD hand out a whole zone.
#[derive(Args, Debug)]
pub(crate) struct TransferArgs {
    /// Owner names of the zone
    #[arg(long, default_value_t = 1_000_000)]
    names: usize,
    /// Rounds, in each of which every server hands it out once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The seed of the zone
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The core of the servers
    #[arg(long, default_value_t = 1)]
    server_core: usize,
    /// The core of who fetches
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Do not build the server
    #[arg(long)]
    no_build: bool,
    /// Measure in the machine's own network namespace, with its firewall rules
    #[arg(long)]
    here: bool,
    /// Where to write the table (default: perf/ with the usual size, perf/out/ with another)
    #[arg(long)]
    output: Option<PathBuf>,
}

/// One transfer.
#[derive(Debug, Clone, Copy)]
struct Fetched {
    seconds: f64,
    cpu_seconds: f64,
    messages: u64,
    records: u64,
    octets: u64,
}

/// A server and its transfers, by round.
struct Contestant {
    peer: Peer,
    server: Server,
    listen: SocketAddr,
    fetched: Vec<Fetched>,
}

/// Runs `tools perf transfer`.
pub(super) fn run(args: &TransferArgs) -> Result<(), String> {
    if args.server_core == args.load_core {
        return Err("the servers and who fetches need a core each".into());
    }
    let apart = authoritative::is_apart();
    if !args.no_build && !apart {
        build_hivedns()?;
    }
    if !args.here && !apart && authoritative::is_root() {
        return authoritative::run_apart();
    }
    if apart {
        prefer_session(std::process::id());
    }
    let missing = authoritative::missing(&PEERS);
    let is_here =
        |peer: &Peer| *peer != Peer::Echo && peer.program().is_none_or(|program| !missing.contains(&program));
    let peers: Vec<Peer> = PEERS.into_iter().filter(is_here).collect();
    let scratch = Scratch::new()?;
    let file = scratch.0.join("zone");
    zone::write_file(&Population::generate(args.names, args.seed), ORIGIN, None, &file)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    socket::pin(args.load_core)?;
    let mut contestants = Vec::new();
    for (place, &peer) in peers.iter().enumerate() {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 2 * place as u16));
        let site = Site {
            directory: scratch.0.join(peer.slug()),
            repository: repository(),
            duty: Duty::Zone { origin: ORIGIN.to_owned(), file: file.clone() },
            listen,
        };
        contestants.push(enter(peer, &site, args.server_core, apart)?);
    }
    for round in 0..args.rounds {
        for contestant in &mut contestants {
            let fetched = fetch(contestant)?;
            eprintln!(
                "  {:8} round {}: {:.3} s, {:.3} s of its core, {} records in {} messages, {} MiB",
                contestant.peer.slug(),
                round + 1,
                fetched.seconds,
                fetched.cpu_seconds,
                fetched.records,
                fetched.messages,
                fetched.octets >> 20
            );
            contestant.fetched.push(fetched);
        }
    }
    let mut head = machine::head(&repository(), &peers);
    head.push(("Command".into(), authoritative::command_line()));
    let usual = repository().join(if args.names == 1_000_000 { "perf" } else { "perf/out" });
    let path = args.output.as_deref().unwrap_or(&usual).join("transfer.md");
    let directory = path.parent().unwrap_or(&usual).to_owned();
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, table(&head, args.names, &contestants)))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Starts a server and waits until it hands out the zone.
fn enter(peer: Peer, site: &Site, core: usize, raised: bool) -> Result<Contestant, String> {
    let server = peer.start(core, site)?;
    let mut contestant = Contestant { peer, server, listen: site.listen, fetched: Vec::new() };
    let deadline = clock::now() + PATIENCE;
    loop {
        contestant.server.alive().map_err(|error| format!("{}: {error}", peer.title()))?;
        match transfer(site.listen) {
            Ok(_) => break,
            Err(error) if clock::now() > deadline => return Err(format!("{}: {error}", peer.title())),
            Err(_) => clock::pause(PAUSE),
        }
    }
    contestant.server.hold(core)?;
    if raised {
        prefer_session(contestant.server.pid());
    }
    Ok(contestant)
}

/// One transfer, with what it took of the server's core. A server that forks for it (NSD) is charged for the child, too:
/// its time is read before the connection ends.
fn fetch(contestant: &mut Contestant) -> Result<Fetched, String> {
    let pid = contestant.server.pid();
    let (before, started) = (usage(pid), clock::now());
    let (stream, mut fetched) =
        transfer(contestant.listen).map_err(|error| format!("{}: {error}", contestant.peer.title()))?;
    fetched.seconds = started.elapsed().as_secs_f64();
    fetched.cpu_seconds = usage(pid).cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9;
    drop(stream);
    Ok(fetched)
}

/// Fetches the zone; the connection is still open.
fn transfer(from: SocketAddr) -> Result<(TcpStream, Fetched), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(from).map_err(io)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(io)?;
    stream.set_nodelay(true).map_err(io)?;
    let mut query = Vec::new();
    write_query(&mut query, ORIGIN, Type::Soa, None);
    let type_at = query.len() - 4;
    query[type_at..type_at + 2].copy_from_slice(&AXFR.to_be_bytes());
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    stream.write_all(&framed).map_err(io)?;
    let mut reader = BufReader::with_capacity(READ_OCTETS, stream.try_clone().map_err(io)?);
    let mut fetched = Fetched { seconds: 0.0, cpu_seconds: 0.0, messages: 0, records: 0, octets: 0 };
    let mut message = vec![0; usize::from(u16::MAX)];
    loop {
        let mut len = [0; 2];
        reader.read_exact(&mut len).map_err(io)?;
        let message = &mut message[..usize::from(u16::from_be_bytes(len))];
        reader.read_exact(message).map_err(io)?;
        let header = Header::parse(message).ok_or("a message without a header")?;
        if header.rcode != 0 || header.counts[1] == 0 {
            return Err(format!("code {} and {} records", header.rcode, header.counts[1]));
        }
        let last = wire::last_answer_type(message).ok_or("a malformed message")?;
        fetched.messages += 1;
        fetched.records += u64::from(header.counts[1]);
        fetched.octets += message.len() as u64 + 2;
        // The zone begins and ends with its SOA, which stands nowhere else.
        if last == Type::Soa as u16 && fetched.records > 1 {
            return Ok((stream, fetched));
        }
    }
}

impl Contestant {
    fn spread(&self, figure: impl Fn(&Fetched) -> f64) -> Option<Spread> {
        Spread::of(self.fetched.iter().map(figure))
    }

    /// A figure of this one over hivedns's, taken within each round.
    fn ratio(&self, to: &Contestant, figure: impl Fn(&Fetched) -> f64) -> Option<Spread> {
        Spread::of(self.fetched.iter().zip(&to.fetched).map(|(own, other)| figure(own) / figure(other)))
    }
}

fn table(head: &[(String, String)], names: usize, contestants: &[Contestant]) -> String {
    let mut out = String::from(
        "# Whole zones handed out\n\n\
         Written by `tools perf transfer`; [README.md](README.md) says how it measures. All servers have the same zone and \
         one worker, on one core; who fetches it over TCP sits on another, everything on the loopback.\n\n",
    );
    head_table(&mut out, head);
    let rounds = contestants.first().map_or(0, |contestant| contestant.fetched.len());
    let _ = write!(
        out,
        "\nFigures are the median of {rounds} interleaved rounds, with the lowest and the highest in parentheses. Ratios are \
         taken within each round.\n\n\
         | names | server | seconds | of its core | to hivedns | its core, to hivedns | records | messages | MiB |\n\
         |---:|---|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    let own = contestants.iter().find(|contestant| contestant.peer == Peer::Hivedns);
    let (seconds, cpu) = (|fetched: &Fetched| fetched.seconds, |fetched: &Fetched| fetched.cpu_seconds);
    for contestant in contestants {
        let other = own.filter(|own| own.peer != contestant.peer);
        let ratio =
            |figure: fn(&Fetched) -> f64| cell(other.and_then(|own| contestant.ratio(own, figure)), 2);
        let Some(last) = contestant.fetched.last() else { continue };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            size_name(names),
            contestant.peer.title(),
            cell(contestant.spread(seconds), 3),
            cell(contestant.spread(cpu), 3),
            ratio(seconds),
            ratio(cpu),
            last.records,
            last.messages,
            last.octets >> 20
        );
    }
    let knot = contestants.iter().find(|contestant| contestant.peer == Peer::Knot);
    let faster = own.zip(knot).and_then(|(own, knot)| knot.ratio(own, seconds));
    let what = format!("{} names: seconds, Knot DNS to hivedns", size_name(names));
    let goals = faster.map(|ratio| goal(&what, ratio.median, Goal::AtLeast(1.0)));
    goal_table(&mut out, goals.as_slice());
    out
}
