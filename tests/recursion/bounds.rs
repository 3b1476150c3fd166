//! What attacks by their names cost: packets that reach scripted name servers for a client's query, of ours and of
//! Unbound, which are asked the same at the same time. Ours is held to the bounds; the table is printed, and written to
//! the file that `HIVEDNS_BOUNDS` names.

use crate::addresses;
use crate::apart::{self, ip};
use crate::attacks::{ATTACKS, Attack, PACKETS_MAX, TIME_MAX, at};
use crate::chain::Chain;
use crate::differential::unbound_of;
use crate::oracle::message::{AD, Message};
use crate::oracle::process::TempDir;
use crate::oracle::{now, until_within};
use crate::script::{Script, scenario};
use crate::stage::{Heard, Stage, Who, claim_addresses};
use crate::world::{
    A, CLIENT, NOERROR, NXDOMAIN, OTHER, Process, RESOLVER, SERVFAIL, exchange, query, receive, resolver_of,
    socket, until,
};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The bounds, for one query of a client, beside those of each attack.
const PACKETS_DEEP_MAX: usize = 130;
const VICTIM_MAX: usize = 10;
const HEALTHY_MAX: Duration = Duration::from_secs(1);

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(600);
/// How long the next answer is waited for once there was none.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// Nothing was heard for so long: all is over that the question set off.
const QUIET: Duration = Duration::from_millis(300);
/// Some resolvers never end.
const QUIET_MAX: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(5);

/// Where the servers of the scripts' root are.
const HINTS: &str = ". 518400 NS a.root.\na.root. 518400 A 198.51.100.1\n";

/// The scripted servers, and two resolvers that know nothing yet.
struct Match {
    stage: Stage,
    ours: Process,
    _other: Process,
    _dir: TempDir,
}

/// What came of asking one resolver.
struct Outcome {
    /// Each answer, and how long the longest took.
    replies: Vec<Option<Message>>,
    took: Duration,
}

/// A row of the table.
struct Row {
    what: &'static str,
    counted: &'static str,
    bound: String,
    ours: String,
    other: String,
}

/// Lets time pass.
fn pause(span: Duration) {
    until_within(span, span.min(PACE), || false);
}

impl Match {
    fn start(script: Script) -> Match {
        let home = TempDir::new("bounds", false).expect("a directory");
        let dir = home.path();
        let hints = dir.join("root.hints");
        fs::write(&hints, HINTS).expect("a file");
        let stage = Stage::start(script);
        let mut ours = resolver_of(dir, &hints, |_| {});
        let mut other = unbound_of(dir, &hints, None);
        ours.wait(&["localhost."]);
        other.wait(&["localhost."]);
        let both = Match { stage, ours, _other: other, _dir: home };
        both.calm();
        both
    }

    /// Waits until nothing is heard any more.
    fn calm(&self) {
        let (mut last, mut since, end) = (self.stage.count(), now(), now() + QUIET_MAX);
        until_within(QUIET_MAX, PACE, || {
            let count = self.stage.count();
            if count != last {
                (last, since) = (count, now());
            }
            now() - since >= QUIET || now() >= end
        });
    }

    /// Asks both at once, so many times; `{}` in the name is the number.
    fn ask(&self, name: &str, times: u16) -> [Outcome; 2] {
        let ask = |to: Ipv4Addr| {
            let (mut outcome, mut patience) =
                (Outcome { replies: Vec::new(), took: Duration::ZERO }, TIME_MAX);
            for number in 0..times {
                if number > 0 {
                    pause(PAUSE);
                }
                let before = now();
                let (name, socket) = (name.replace("{}", &number.to_string()), socket(CLIENT, to, patience));
                socket.send(&query(number, 0, &name, A)).expect("a way");
                let reply = receive(&socket);
                if reply.is_none() {
                    patience = IMPATIENCE;
                }
                outcome.replies.push(reply);
                outcome.took = outcome.took.max(now() - before);
            }
            outcome
        };
        let outcomes = std::thread::scope(|scope| {
            let other = scope.spawn(|| ask(OTHER));
            [ask(RESOLVER), other.join().expect("it asks")]
        });
        self.calm();
        outcomes
    }

    /// What each has asked since it had asked so much.
    fn heard(&self, before: [usize; 2]) -> [Vec<Heard>; 2] {
        let [ours, other] = [Who::Ours, Who::Other].map(|who| self.stage.heard(who));
        [ours[before[0]..].to_vec(), other[before[1]..].to_vec()]
    }

    fn counts(&self) -> [usize; 2] {
        [Who::Ours, Who::Other].map(|who| self.stage.heard(who).len())
    }
}

impl Outcome {
    /// The codes that there were, none for silence.
    fn codes(&self) -> BTreeSet<Option<u16>> {
        self.replies.iter().map(|reply| reply.as_ref().map(Message::rcode)).collect()
    }

    /// The addresses in each answer.
    fn addresses(&self) -> BTreeSet<BTreeSet<Ipv4Addr>> {
        self.replies.iter().flatten().map(addresses).collect()
    }

    fn told(&self) -> String {
        let code = |code: &Option<u16>| match *code {
            None => "no answer",
            Some(NOERROR) => "NOERROR",
            Some(SERVFAIL) => "SERVFAIL",
            Some(NXDOMAIN) => "NXDOMAIN",
            Some(_) => "another code",
        };
        let codes: Vec<&str> = self.codes().iter().map(code).collect();
        format!("{} within {:.1} s", codes.join(" or "), self.took.as_secs_f64())
    }
}

fn to(heard: &[Heard], victims: &[Ipv4Addr]) -> usize {
    let to = |victim: &Ipv4Addr| heard.iter().filter(|heard| heard.to == *victim).count();
    victims.iter().map(to).max().unwrap_or(0)
}

impl Attack {
    fn run(&self) -> Row {
        let both = Match::start(Script::of(self.scenario).and(self.then));
        let before = both.counts();
        let [ours, other] = both.ask(self.name, self.times);
        let [of_ours, of_other] = both.heard(before);
        let most = to(&of_ours, self.victims);
        let what = format!("{}: {} {:?} {}", self.what, ours.told(), of_ours, both.ours.log());
        assert!(of_ours.len() <= self.packets_max, "{what}");
        assert!(most <= VICTIM_MAX && ours.took < self.time_max, "{what}");
        assert_eq!(ours.codes(), BTreeSet::from([Some(self.rcode)]), "{what}");
        let loopback = of_ours.iter().filter(|heard| heard.to.is_loopback()).count();
        assert_eq!(loopback, 0, "{what}");
        if self.scenario == scenario!("mismatched_replies") {
            assert_eq!(ours.addresses(), BTreeSet::from([BTreeSet::from([at(81)])]), "{what}");
        }
        let figures = |heard: &[Heard], outcome: &Outcome| {
            let victim = match self.victims {
                [] => String::new(),
                victims => format!(", {} to one victim", to(heard, victims)),
            };
            format!("{}{victim}; {}", heard.len(), outcome.told())
        };
        Row {
            what: self.what,
            counted: "packets",
            bound: match self.victims {
                [] => format!("{}", self.packets_max),
                _ => format!("{}, {VICTIM_MAX} to one victim", self.packets_max),
            },
            ours: figures(&of_ours, &ours),
            other: figures(&of_other, &other),
        }
    }
}

/// 120 delegations, one below the other, each to a server of its own.
fn a_chain_of_delegations() -> Row {
    let zone = |depth: usize| "a.".repeat(depth - 1) + "t.";
    let mut text = "@ 198.51.100.1\nzone .\n. 60 NS a.root.\na.root. 60 A 198.51.100.1\n".to_owned();
    for depth in 1..=120 {
        let zone = zone(depth);
        let server = format!("10.0.{depth}.1");
        write!(text, "{zone} 60 NS ns.{zone}\nns.{zone} 60 A {server}\n@ {server}\nzone {zone}\n").unwrap();
    }
    writeln!(text, "{} 60 A 192.0.2.1", zone(120)).unwrap();
    let both = Match::start(Script::of(&text));
    let before = both.counts();
    let [ours, other] = both.ask(&zone(120), 1);
    let [of_ours, of_other] = both.heard(before);
    assert!(of_ours.len() <= PACKETS_DEEP_MAX && ours.took < TIME_MAX, "{}", of_ours.len());
    assert_eq!(ours.addresses(), BTreeSet::from([BTreeSet::from([at(1)])]), "{}", both.ours.log());
    Row {
        what: "a chain of 120 delegations",
        counted: "packets",
        bound: PACKETS_DEEP_MAX.to_string(),
        ours: format!("{}; {}", of_ours.len(), ours.told()),
        other: format!("{}; {}", of_other.len(), other.told()),
    }
}

/// A resolver that validates beside Unbound, which does too, and a signed chain to ask about.
struct Proving {
    chain: Chain,
    ours: Process,
    _other: Process,
    _dir: TempDir,
}

impl Proving {
    fn start(depth: usize) -> Proving {
        let home = TempDir::new("proving", false).expect("a directory");
        let dir = home.path();
        let chain = Chain::start(dir, depth);
        let mut ours = resolver_of(dir, &chain.hints, |command| {
            command.env("HIVEDNS_RESOLVE__TRUST_ANCHOR", &chain.anchor);
        });
        let mut other = unbound_of(dir, &chain.hints, Some(&chain.anchor));
        ours.wait(&["localhost."]);
        other.wait(&["localhost."]);
        Proving { chain, ours, _other: other, _dir: home }
    }

    /// What came of asking one, and what each server of the chain was asked for it.
    fn ask(&self, of: Ipv4Addr, name: &str) -> (Outcome, Vec<usize>) {
        let (asked, before) = (self.chain.asked(), now());
        let reply = exchange(of, CLIENT, &query(1, AD, name, A));
        let took = now() - before;
        let (mut last, end) = (Vec::new(), now() + QUIET_MAX);
        until_within(QUIET_MAX, QUIET, || {
            let asked = std::mem::replace(&mut last, self.chain.asked());
            asked == last || now() >= end
        });
        let asked = last.iter().zip(asked).map(|(after, before)| after - before).collect();
        (Outcome { replies: vec![reply], took }, asked)
    }
}

/// Zones that are signed, one below the other: each costs a referral, its DS and its keys.
fn a_signed_chain() -> Row {
    let both = Proving::start(20);
    let name = &both.chain.name;
    let [(ours, of_ours), (other, of_other)] = [RESOLVER, OTHER].map(|of| both.ask(of, name));
    let what = format!("{of_ours:?} {}", both.ours.log());
    assert!(of_ours.iter().sum::<usize>() <= PACKETS_MAX, "{what}");
    assert!(of_ours.iter().all(|packets| *packets <= VICTIM_MAX) && ours.took < TIME_MAX, "{what}");
    let is_secure = |reply: &Option<Message>| {
        reply.as_ref().is_some_and(|reply| reply.rcode() == NOERROR && reply.flags & AD != 0)
    };
    assert!(ours.replies.iter().all(is_secure), "{what}");
    // One that is too deep fails, and what has been proven by then is known the next time.
    drop(both);
    let deep = Proving::start(30);
    let name = &deep.chain.name;
    let (first, asked) = deep.ask(RESOLVER, name);
    let what = format!("{asked:?} {}", deep.ours.log());
    assert!(asked.iter().sum::<usize>() <= PACKETS_MAX && first.codes() == [Some(SERVFAIL)].into(), "{what}");
    assert!(until(|| is_secure(&exchange(RESOLVER, CLIENT, &query(1, AD, name, A)))), "{what}");
    let told = |outcome: &Outcome, asked: &[usize]| {
        let most = asked.iter().max().unwrap_or(&0);
        format!("{}, {most} to one server; {}", asked.iter().sum::<usize>(), outcome.told())
    };
    Row {
        what: "20 signed zones, one below the other, to be proven",
        counted: "packets",
        bound: format!("{PACKETS_MAX}, {VICTIM_MAX} to one server"),
        ours: told(&ours, &of_ours),
        other: told(&other, &of_other),
    }
}

/// The zone above takes the delegation back while the owner below keeps saying that it is there.
fn a_ghost() -> Row {
    let short = scenario!("ghost_domain").replace("ghost.test. 600 ", "ghost.test. 2 ");
    let both = Match::start(Script::of(&short));
    both.stage.take("@ 192.0.2.40\nzone ghost.test.\nrepeat 10-99 w$.ghost.test. 1 A 192.0.2.41");
    let [ours, _] = both.ask("w1.ghost.test.", 1);
    assert_eq!(ours.codes(), BTreeSet::from([Some(NOERROR)]), "{}", both.ours.log());
    both.stage.take("@ 198.51.100.10\nzone test.\nwithout ghost.test.");
    let before = now();
    let gone = |to: Ipv4Addr| {
        let mut number = 9;
        let is_gone = until_within(TIME_MAX, Duration::from_millis(200), || {
            number += 1;
            let _ = exchange(to, CLIENT, &query(number, 0, "ghost.test.", 2));
            let reply = exchange(to, CLIENT, &query(number, 0, &format!("w{number}.ghost.test."), A));
            reply.is_some_and(|reply| reply.rcode() == NXDOMAIN)
        });
        is_gone.then(|| now() - before)
    };
    let [ours, other] = std::thread::scope(|scope| {
        let other = scope.spawn(|| gone(OTHER));
        [gone(RESOLVER), other.join().expect("it asks")]
    });
    assert!(ours.is_some_and(|span| span < Duration::from_secs(4)), "{ours:?} {}", both.ours.log());
    let told = |span: Option<Duration>| {
        span.map_or("more than 10".to_owned(), |s| format!("{:.1}", s.as_secs_f64()))
    };
    Row {
        what: "ghost domain: the delegation's TTL is 2 s, the owner's own records say a day",
        counted: "seconds until it is gone",
        bound: "the delegation's TTL".to_owned(),
        ours: told(ours),
        other: told(other),
    }
}

/// 400 questions are outstanding to servers that say nothing; meanwhile ten of a healthy zone.
fn a_dead_zone_beside_a_healthy_one() -> Row {
    let healthy = "@ 192.0.2.10\nzone good.test.\nrepeat 0-9 h$.good.test. 60 A 192.0.2.81";
    let both = Match::start(Script::of(scenario!("silent")).and(healthy));
    let before = both.counts();
    let measure = |to: Ipv4Addr| {
        let dead: Vec<UdpSocket> = (0..8).map(|_| socket(CLIENT, to, TIME_MAX)).collect();
        for (number, socket) in dead.iter().enumerate() {
            for id in 0..50 {
                socket.send(&query(id, 0, &format!("x{id}-{number}.dead.test."), A)).expect("a way");
            }
        }
        // They are outstanding once the first has reached its servers.
        let who = if to == OTHER { Who::Other } else { Who::Ours };
        let is_asked = |heard: &Heard| [at(71), at(72)].contains(&heard.to);
        until_within(HEALTHY_MAX, PACE, || both.stage.heard(who).iter().any(is_asked));
        let (healthy, before) = (socket(CLIENT, to, HEALTHY_MAX), now());
        for id in 0..10 {
            healthy.send(&query(id, 0, &format!("h{id}.good.test."), A)).expect("a way");
        }
        let answered = std::iter::repeat_with(|| receive(&healthy)).take(10).map_while(|reply| reply).count();
        (answered, now() - before)
    };
    let [ours, other] = std::thread::scope(|scope| {
        let other = scope.spawn(|| measure(OTHER));
        [measure(RESOLVER), other.join().expect("it asks")]
    });
    both.calm();
    assert!(ours.0 == 10 && ours.1 < HEALTHY_MAX, "{ours:?} {}", both.ours.log());
    let [of_ours, of_other] = both.heard(before);
    let told = |(answered, span): (usize, Duration), heard: &[Heard]| {
        format!("{answered} within {:.3} s ({} packets)", span.as_secs_f64(), heard.len())
    };
    Row {
        what: "400 questions outstanding to a dead zone, 10 of a healthy one",
        counted: "healthy answers",
        bound: "10 within 1 s".to_owned(),
        ours: told(ours, &of_ours),
        other: told(other, &of_other),
    }
}

/// Ports and ids of 300 queries.
fn ports_and_ids() -> Row {
    let names = "@ 192.0.2.10\nzone good.test.\nrepeat 0-299 p$.good.test. 60 A 192.0.2.81";
    let both = Match::start(Script::of(scenario!("base")).and(names));
    let ask = |to: Ipv4Addr| {
        (0..300).for_each(|number| {
            let reply = exchange(to, CLIENT, &query(number, 0, &format!("p{number}.good.test."), A));
            assert_eq!(reply.map(|reply| reply.rcode()), Some(NOERROR), "{to}: {number}");
        });
    };
    std::thread::scope(|scope| {
        scope.spawn(|| ask(OTHER));
        ask(RESOLVER);
    });
    let chosen = |who: Who| {
        let heard: Vec<Heard> =
            both.stage.heard(who).into_iter().filter(|heard| heard.to == at(10) && !heard.tcp).collect();
        let ports: BTreeSet<u16> = heard.iter().map(|heard| heard.from.port()).collect();
        let ids: BTreeSet<u16> = heard.iter().map(|heard| heard.id).collect();
        let share = |distinct: usize| distinct as f64 * 100.0 / heard.len() as f64;
        let range = ports.last().zip(ports.first()).map_or(0, |(last, first)| last - first);
        (share(ports.len()), share(ids.len()), range)
    };
    let [ours, other] = [Who::Ours, Who::Other].map(chosen);
    assert!(ours.0 >= 98.0 && ours.1 >= 98.0 && ours.2 >= 28_000, "{ours:?}");
    let told = |(ports, ids, range): (f64, f64, u16)| format!("{ports:.1} %, {ids:.1} %, {range}");
    Row {
        what: "300 queries",
        counted: "distinct ports, ids; range of ports",
        bound: "98 %, 98 %, 28,000".to_owned(),
        ours: told(ours),
        other: told(other),
    }
}

/// The document: the table, and how it comes about.
fn document(rows: &[Row]) -> String {
    let version = apart::said(Command::new("unbound").env("PATH", "/usr/sbin:/usr/bin").arg("-V"));
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
    let mut text = format!(
        "# What attacks cost\n\nMade by `HIVEDNS_BOUNDS=perf/resolver-bounds.md cargo test --test recursion bounds`, as root. \
         Both resolvers are\nasked the same at the same time, each by a process that knows nothing yet but the root's servers; \
         packets are counted at\nscripted name servers on a loopback of their own, from the question on, with those for \
         the root's own\nservers. The scripts are those of `src/resolve/iterate/tests/scenarios/`. hivedns is held to the bounds by \
         the test;\nUnbound's figures are only shown ({version}). It keeps its defaults but for `module-config: \
         \"iterator\"`: neither\nvalidates, \
         but for the signed zones, where both do. Who gets no answer within 10 s gives up.\n\n\
         | attack | counted | bound | hivedns | Unbound |\n|---|---|---|---|---|\n",
    );
    for Row { what, counted, bound, ours, other } in rows {
        writeln!(text, "| {what} | {counted} | {bound} | {ours} | {other} |").unwrap();
    }
    text
}

/// Where the document goes, if anywhere.
fn place() -> Option<PathBuf> {
    let place = std::env::var_os("HIVEDNS_BOUNDS")?;
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(place))
}

#[test]
fn no_attack_costs_more_than_the_bounds_allow() {
    crate::apart("bounds::no_attack_costs_more_than_the_bounds_allow", || {
        ip("link set lo up");
        claim_addresses();
        let mut rows: Vec<Row> = ATTACKS.iter().map(Attack::run).collect();
        let others = [
            a_chain_of_delegations,
            a_signed_chain,
            a_ghost,
            a_dead_zone_beside_a_healthy_one,
            ports_and_ids,
        ];
        rows.extend(others.map(|run| run()));
        let text = document(&rows);
        println!("{text}");
        if let Some(place) = place() {
            fs::write(&place, text).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        }
    });
}
