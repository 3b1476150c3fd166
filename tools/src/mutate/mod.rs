//! `tools mutate`: broken packets by the million, and the rules that hold for whatever comes back.
//!
//! - No answer to a response (QR set), and none to what is shorter than a header.
//! - Never more than one answer per packet.
//! - Every answer is a response with the packet's id and opcode, and can be read to its last octet.
//! - The server still answers good questions, and its memory does not grow.
//!
//! Most broken packets rightly get no answer, so answers cannot pace the sending. Packets go out in windows, each
//! closed by a good question from the same socket: one socket's packets are taken in order by one worker, so
//! the good answer says that the whole window has been dealt with.

mod breaker;

use crate::mmsg::Batch;
use crate::population::Population;
use crate::queries::{MixArgs, generate};
use crate::questions::{Kind, Questions};
use crate::rng::Rng;
use crate::wire::{HEADER, Header, is_well_formed};
use crate::{clock, process, socket};
use breaker::Breaker;
use clap::Args;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Packets per window, the good question included: few enough for a socket buffer of the kernel's default size.
const WINDOW: usize = 128;
/// How often a window's rest is offered to a full socket.
const SEND_TRIES: usize = 100_000;
/// Octets of the longest packet sent or answer read.
const DATAGRAM_OCTETS: usize = 4096;
/// How long a good question waits for its answer, and how often it is asked.
const GOOD_TIME: Duration = Duration::from_millis(700);
const GOOD_TRIES: usize = 5;
/// Memory that a server may take in addition while it serves: buffers and counters touched for the first time.
const GROWTH_MAX_KIB: u64 = 4 * 1024;

/// Sends broken packets at a server on the loopback and checks whatever it answers.
#[derive(Args, Debug)]
pub(crate) struct MutateArgs {
    /// The server's address (loopback only)
    #[arg(long, value_parser = socket::loopback)]
    target: SocketAddr,
    /// How many packets
    #[arg(long, default_value_t = 10_000_000)]
    packets: u64,
    /// At most that many packets per second (0: as fast as the server deals with them)
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// The server's process, whose memory is watched
    #[arg(long)]
    pid: Option<u32>,
    /// End after that many seconds in any case
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// The core to stay on
    #[arg(long)]
    pin: Option<usize>,
    /// The seed of the breakage
    #[arg(long, default_value_t = 1)]
    break_seed: u64,
    #[command(flatten)]
    mix: MixArgs,
}

/// What an id was used for.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// The packet was a response, or too short to be answered.
    unanswerable: bool,
    opcode: u8,
    answers: u8,
}

/// What came back.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    answered: u64,
    rcodes: [u64; 16],
    to_unanswerable: u64,
    repeated: u64,
    bad_header: u64,
    bad_body: u64,
    good_lost: u64,
}

struct Attack {
    questions: Questions,
    breaker: Breaker,
    socket: UdpSocket,
    inbox: Batch,
    outbox: Batch,
    ids: Vec<Sent>,
    next: u64,
    tally: Tally,
    /// The last answer that broke a rule, for the report.
    example: Option<Vec<u8>>,
}

/// Runs `tools mutate`; an error if a rule was broken.
pub(crate) fn run(args: &MutateArgs) -> Result<(), String> {
    let mix = MixArgs { count: args.mix.count.min(100_000), ..args.mix.clone() };
    mix.check()?;
    if let Some(core) = args.pin {
        socket::pin(core)?;
    }
    let questions = generate(&Population::generate(mix.zone_names, mix.zone_seed), &mix);
    let mut attack = Attack {
        breaker: Breaker::new(Rng::for_purpose(args.break_seed, "mutate")),
        questions,
        socket: socket::client(args.target).map_err(|error| format!("{}: {error}", args.target))?,
        inbox: Batch::new(64, DATAGRAM_OCTETS, false),
        outbox: Batch::new(WINDOW, DATAGRAM_OCTETS, false),
        ids: vec![Sent::default(); 1 << 16],
        next: 0,
        tally: Tally::default(),
        example: None,
    };
    let memory = |pid| process::memory(pid).resident_kib;
    let start = clock::now();
    // The first twentieth warms the server up; from there on its memory must stay.
    attack.until(args, args.packets / 20, start)?;
    let before = args.pid.map(memory);
    attack.until(args, args.packets, start)?;
    let after = args.pid.map(memory);
    attack.tally.print(clock::now().duration_since(start));
    if let (Some(before), Some(after)) = (before, after) {
        println!("memory: {before} KiB after the first twentieth, {after} KiB at the end");
        if after > before + GROWTH_MAX_KIB {
            return Err("the server's memory grew".into());
        }
        if after == 0 {
            return Err("the server is gone".into());
        }
    }
    match attack.tally.broken_rules() {
        0 => Ok(()),
        broken => Err(format!(
            "{broken} answers broke a rule; the last: {:02x?}",
            attack.example.as_deref().unwrap_or_default()
        )),
    }
}

impl Attack {
    /// Sends windows until that many packets are out.
    fn until(&mut self, args: &MutateArgs, packets: u64, start: Instant) -> Result<(), String> {
        while self.tally.sent < packets {
            let time = clock::now().duration_since(start);
            if time > Duration::from_secs(args.seconds) {
                return Err(format!("not done within --seconds {} ({} sent)", args.seconds, self.tally.sent));
            }
            let due = time.as_secs_f64() * args.rate as f64;
            if args.rate > 0 && self.tally.sent as f64 > due {
                clock::pause(Duration::from_micros(200));
                continue;
            }
            self.window()?;
        }
        Ok(())
    }

    /// Sends one window and waits until the server has dealt with it.
    fn window(&mut self) -> Result<(), String> {
        for slot in 0..WINDOW - 1 {
            let number = self.next;
            self.next += 1;
            let packet = self.breaker.broken(&self.questions);
            if let Some(id) = packet.get_mut(..2) {
                id.copy_from_slice(&(number as u16).to_be_bytes());
            }
            let header = Header::parse(packet);
            self.ids[number as u16 as usize] = Sent {
                unanswerable: header.is_none_or(|header| header.response),
                opcode: header.map_or(0, |header| header.opcode),
                answers: 0,
            };
            self.outbox.put(slot, packet);
        }
        let mut first = 0;
        for _ in 0..SEND_TRIES {
            if first == WINDOW - 1 {
                break;
            }
            // A full socket drains by itself; a closed port is told once per send.
            first += self.outbox.send(self.socket.as_fd(), first, WINDOW - 1).unwrap_or(0);
            self.receive(None);
        }
        self.tally.sent += first as u64;
        for _ in 0..GOOD_TRIES {
            if self.ask_good() {
                return Ok(());
            }
            self.tally.good_lost += 1;
        }
        Err(format!("the server stopped answering good questions after {} packets", self.tally.sent))
    }

    /// Asks a good question; true when its answer is there.
    fn ask_good(&mut self) -> bool {
        let id = self.next as u16;
        self.next += 1;
        self.ids[usize::from(id)] = Sent::default();
        let good = self.questions.first_of(Kind::Hit).unwrap_or(0);
        self.outbox.put(0, self.questions.packet(good))[..2].copy_from_slice(&id.to_be_bytes());
        let _ = self.outbox.send(self.socket.as_fd(), 0, 1);
        let deadline = clock::now() + GOOD_TIME;
        while clock::now() < deadline {
            if self.receive(Some(id)) {
                return true;
            }
        }
        false
    }

    /// Takes what has arrived; true if the answer to `awaited` was among it.
    fn receive(&mut self, awaited: Option<u16>) -> bool {
        let mut found = false;
        while let Ok(filled @ 1..) = self.inbox.receive(self.socket.as_fd()) {
            for slot in 0..filled {
                found |= self.take(slot).is_some_and(|id| awaited == Some(id));
            }
        }
        found
    }

    /// Holds one answer against the rules; its id.
    fn take(&mut self, slot: usize) -> Option<u16> {
        let answer = self.inbox.datagram(slot);
        let tally = &mut self.tally;
        tally.answered += 1;
        let broken_before = tally.broken_rules();
        let header = Header::parse(answer);
        if let Some(header) = header {
            let sent = &mut self.ids[usize::from(header.id)];
            sent.answers = sent.answers.saturating_add(1);
            tally.rcodes[usize::from(header.rcode)] += 1;
            tally.to_unanswerable += u64::from(sent.unanswerable);
            tally.repeated += u64::from(sent.answers > 1);
            tally.bad_header += u64::from(!header.response || header.opcode != sent.opcode);
            tally.bad_body += u64::from(answer.len() > HEADER && !is_well_formed(answer));
        } else {
            tally.bad_header += 1;
        }
        if tally.broken_rules() > broken_before {
            self.example = Some(answer.to_vec());
        }
        header.map(|header| header.id)
    }
}

impl Tally {
    fn broken_rules(&self) -> u64 {
        self.to_unanswerable + self.repeated + self.bad_header + self.bad_body
    }

    fn print(&self, time: Duration) {
        println!(
            "{} broken packets in {:.1} s, {} answers (good questions included), {} good questions asked again",
            self.sent,
            time.as_secs_f64(),
            self.answered,
            self.good_lost
        );
        let rcodes = self.rcodes.iter().enumerate().filter(|(_, count)| **count > 0);
        let rcodes: Vec<String> = rcodes.map(|(rcode, count)| format!("{rcode}: {count}")).collect();
        println!("rcodes: {}", rcodes.join(", "));
        println!(
            "broken rules: {} answers to what must not be answered, {} second answers, {} bad headers, {} bad bodies",
            self.to_unanswerable, self.repeated, self.bad_header, self.bad_body
        );
    }
}
