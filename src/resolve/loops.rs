//! Loops: an upstream server that asks us again, by whatever way. Our own address as upstream is refused at the start;
//! that another server forwards to us shows only when it does.
//!
//! ```text
//! Watch ─ HINFO hivedns-loop-NUMBER-TOKEN.SUFFIX ─► upstream ─► ... ─► a worker of ours ─► Loops::recognise
//!                                                                            │
//! Forward: that upstream is no candidate for names of that suffix ◄──────────┘ until two such queries have not come back
//! ```
//!
//! The token is drawn anew for each query and known to that upstream alone, so nobody can say of another that it loops. A
//! query that carries no token of ours is another server's, and forwarded like any: it looks for its loops through us.
//!
//! [`Loops`] is read and marked by the workers, without lock or allocation; [`Watch`] is a machine without sockets or
//! clocks, for a thread that may be slow.

use crate::base::time::Moment;
use crate::resolve::exchange::{Exchange, Manner};
use crate::resolve::lots::Lots;
use crate::resolve::question::{Question, Wants};
use crate::wire::name::Name;
use crate::wire::rtype::RecordType;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How the label begins that tells who asks.
const PREFIX: &[u8] = b"hivedns-loop-";
/// Octets of a number and a token, which stand there as hexadecimal digits.
const NUMBER_OCTETS: usize = 2;
const TOKEN_OCTETS: usize = 16;
/// Octets of the label.
const LABEL_OCTETS: usize = PREFIX.len() + 2 * (NUMBER_OCTETS + TOKEN_OCTETS);
const _: () = assert!(LABEL_OCTETS <= 63);

/// Until the second query after a change, the third, the fourth: the other server may just be starting, too.
const EARLY: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];
/// Between two queries later: a loop that begins when another server's upstream dies is found within this.
const USUAL: Duration = Duration::from_secs(60);
/// Between two queries while there is a loop.
const LOOPING: Duration = Duration::from_secs(3);
/// How much more at most, by lot: of two servers that forward to each other one is first to see that the other has given
/// up, and serves it.
const LOOPING_SPREAD_MS: u16 = 1_000;
/// How long a query may be under way: forwarders give up after it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Queries in a row that did not come back until a loop is over: one may be lost.
const SILENT_MAX: u8 = 2;

/// An upstream as one suffix sees it.
#[derive(Debug)]
struct Line {
    suffix: Box<[u8]>,
    group: usize,
    address: SocketAddr,
    /// 0 before the first query. Who reads one half of the old and one of the new token recognises nothing, once.
    token: [AtomicU64; 2],
    /// Queries that came back.
    heard: AtomicU64,
    loops: AtomicBool,
}

impl Line {
    fn token(&self) -> [u64; 2] {
        [&self.token[0], &self.token[1]].map(|half| half.load(Ordering::Acquire))
    }
}

/// Which upstreams lead back to us, for which suffixes.
#[derive(Debug, Default)]
pub struct Loops {
    lines: Vec<Line>,
    /// Lines that loop now.
    looping: AtomicUsize,
    /// Times that a loop was found.
    found: AtomicU64,
}

impl Loops {
    /// For suffixes, in lower-cased wire form, with the number and the upstreams of their groups. No suffix twice; the
    /// first 65,536 upstreams are watched.
    pub fn new<'s>(suffixes: impl IntoIterator<Item = (&'s [u8], usize, &'s [SocketAddr])>) -> Loops {
        let lines = suffixes.into_iter().flat_map(|(suffix, group, upstreams)| {
            upstreams.iter().map(move |address| Line {
                suffix: suffix.into(),
                group,
                address: *address,
                token: [AtomicU64::new(0), AtomicU64::new(0)],
                heard: AtomicU64::new(0),
                loops: AtomicBool::new(false),
            })
        });
        let lines = lines.take(1 << (8 * NUMBER_OCTETS)).collect();
        Loops { lines, ..Loops::default() }
    }

    /// Goes on counting from what others have counted.
    pub fn count_on(&self, before: &Loops) {
        self.found.store(before.found(), Ordering::Relaxed);
    }

    /// Times that a loop was found.
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// The upstreams, and whether each leads back to us for names of some suffix.
    pub fn upstreams(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        self.lines.iter().map(|line| (line.address, line.loops.load(Ordering::Acquire)))
    }

    /// True if there is any loop.
    #[inline(always)]
    pub fn are_any(&self) -> bool {
        self.looping.load(Ordering::Acquire) > 0
    }

    /// True if that upstream of a group leads back to us.
    pub fn has(&self, group: usize, upstream: SocketAddr) -> bool {
        let is = |line: &Line| line.group == group && line.address == upstream;
        self.are_any() && self.lines.iter().any(|line| is(line) && line.loops.load(Ordering::Acquire))
    }

    /// True if this question, its name lower-cased, was asked by us to find loops: its upstream has one.
    pub fn recognise(&self, question: &Question<'_>) -> bool {
        if question.rtype != RecordType::HINFO {
            return false;
        }
        let Some((number, token)) = read_label(question.name) else { return false };
        let line = self.lines.get(usize::from(number));
        let Some(line) = line.filter(|line| token != [0; 2] && line.token() == token) else { return false };
        line.heard.fetch_add(1, Ordering::AcqRel);
        self.mark(line, true);
        true
    }

    /// Marks a line as if its query had come back.
    #[cfg(test)]
    pub(crate) fn mark_line(&self, number: usize, loops: bool) {
        self.mark(&self.lines[number], loops);
    }

    fn mark(&self, line: &Line, loops: bool) {
        if line.loops.swap(loops, Ordering::AcqRel) == loops {
            return;
        }
        if loops {
            self.looping.fetch_add(1, Ordering::AcqRel);
            self.found.fetch_add(1, Ordering::Relaxed);
        } else {
            self.looping.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The number and the token in the first label of a name in wire form.
fn read_label(name: &[u8]) -> Option<(u16, [u64; 2])> {
    let (length, rest) = name.split_first()?;
    let label = rest.get(..usize::from(*length))?;
    let digits = label.strip_prefix(PREFIX).filter(|_| label.len() == LABEL_OCTETS)?;
    let mut value = 0u128;
    let (number, token) = digits.split_at_checked(2 * NUMBER_OCTETS)?;
    let mut read = |digits: &[u8]| {
        value = 0;
        for digit in digits {
            value = value << 4 | u128::from(char::from(*digit).to_digit(16)?);
        }
        Some(value)
    };
    let (number, token) = (read(number)?, read(token)?);
    Some((number as u16, [(token >> 64) as u64, token as u64]))
}

/// A name below the suffix with that number and token; none if it would be too long.
fn write_name(suffix: &[u8], number: u16, token: [u64; 2]) -> Option<Name> {
    let digits = format!("{number:04x}{:016x}{:016x}", token[0], token[1]);
    let name = [&[LABEL_OCTETS as u8], PREFIX, digits.as_bytes(), suffix].concat();
    Name::from_wire(&name).ok()
}

/// What the owner of a [`Watch`] does for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a query; what is answered does not matter.
    Send {
        /// To whom.
        to: SocketAddr,
        /// The message.
        octets: Vec<u8>,
    },
    /// Tell the operator.
    Tell {
        /// For names of that suffix.
        suffix: Box<Name>,
        /// This upstream.
        to: SocketAddr,
        /// Leads back to us, or does not any more.
        loops: bool,
    },
}

/// What is known of one line beside its marks.
#[derive(Clone, Copy)]
struct Watched {
    due: Moment,
    /// Queries since the last change.
    sent: usize,
    /// Until when the last one may come back; never if that was judged.
    open_until: Moment,
    /// How many had come back before it.
    heard: u64,
    silent: u8,
    told: bool,
}

/// Looks for loops.
pub struct Watch {
    loops: Arc<Loops>,
    lines: Vec<Watched>,
    lots: Lots,
    outputs: VecDeque<Output>,
}

impl Watch {
    /// One that watches nothing yet.
    pub fn new(lots: Lots) -> Watch {
        Watch { loops: Arc::default(), lines: Vec::new(), lots, outputs: VecDeque::new() }
    }

    /// Does what is due; **to be called about once a second**, with what is in force, and [`Watch::poll`] behind it until
    /// there is nothing.
    pub fn turn(&mut self, now: Moment, in_force: &Arc<Loops>) {
        if !Arc::ptr_eq(in_force, &self.loops) {
            self.loops = Arc::clone(in_force);
            let new =
                Watched { due: now, sent: 0, open_until: Moment::NEVER, heard: 0, silent: 0, told: false };
            self.lines = vec![new; self.loops.lines.len()];
        }
        for (number, watched) in self.lines.iter_mut().enumerate() {
            let Some(line) = self.loops.lines.get(number) else { continue };
            if watched.open_until <= now {
                watched.open_until = Moment::NEVER;
                let is_silent = line.heard.load(Ordering::Acquire) == watched.heard;
                watched.silent = if is_silent { watched.silent.saturating_add(1) } else { 0 };
                if watched.silent >= SILENT_MAX {
                    self.loops.mark(line, false);
                }
            }
            let loops = line.loops.load(Ordering::Acquire);
            if loops != watched.told {
                watched.told = loops;
                if let Ok(suffix) = Name::from_wire(&line.suffix) {
                    self.outputs.push_back(Output::Tell {
                        suffix: Box::new(suffix),
                        to: line.address,
                        loops,
                    });
                }
                watched.due = watched.due.min(now + LOOPING);
            }
            if watched.due <= now {
                let spread = self.lots.below(LOOPING_SPREAD_MS).unwrap_or_default();
                watched.due = now
                    + match loops {
                        true => LOOPING + Duration::from_millis(u64::from(spread)),
                        false => EARLY.get(watched.sent).copied().unwrap_or(USUAL),
                    };
                watched.sent = watched.sent.saturating_add(1);
                watched.heard = line.heard.load(Ordering::Acquire);
                if let Some(octets) = query(line, number as u16, &mut self.lots) {
                    watched.open_until = now + PATIENCE;
                    self.outputs.push_back(Output::Send { to: line.address, octets });
                }
            }
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

/// The next query of a line, with a new token; none if the system had no lots, or its name would be too long.
fn query(line: &Line, number: u16, lots: &mut Lots) -> Option<Vec<u8>> {
    let token = lots.token()?;
    let name = write_name(&line.suffix, number, token)?;
    let lot = lots.lot(name.as_wire().len())?;
    for (half, value) in line.token.iter().zip(token) {
        half.store(value, Ordering::Release);
    }
    let question = Question::new(name.as_wire(), 0, RecordType::HINFO, Wants::default());
    let exchange = Exchange::new(line.address, &question, Manner { recursive: true, edns: true }, &lot);
    Some(exchange.query().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::lots::LOTS_OCTETS;

    const SUFFIX: &[u8] = b"\x04corp\0";

    fn lots() -> Lots {
        let mut rng = fastrand::Rng::with_seed(7);
        Lots::new(move || {
            let mut octets = [0; LOTS_OCTETS];
            rng.fill(&mut octets);
            Some(octets)
        })
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 53))
    }

    fn loops() -> Arc<Loops> {
        let (both, one) = ([address(1), address(2)], [address(1)]);
        Arc::new(Loops::new([(&b"\0"[..], 0, &both[..]), (SUFFIX, 1, &one[..])]))
    }

    /// Suffix, upstream, and whether it loops.
    type Told = (String, SocketAddr, bool);

    /// What comes at once: to whom, the name lower-cased, and what is told.
    fn outputs(watch: &mut Watch) -> (Vec<(SocketAddr, Vec<u8>)>, Vec<Told>) {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        while let Some(output) = watch.poll() {
            match output {
                Output::Send { to, octets } => {
                    let name = Name::from_wire(&octets[12..]).unwrap().to_lowercase();
                    let end = 12 + name.as_wire().len();
                    assert_eq!(octets[end..end + 4], [0, 13, 0, 1]);
                    sent.push((to, name.as_wire().to_vec()));
                }
                Output::Tell { suffix, to, loops } => told.push((suffix.to_string(), to, loops)),
            }
        }
        (sent, told)
    }

    fn hinfo(name: &[u8]) -> Question<'_> {
        Question::new(name, 0, RecordType::HINFO, Wants::default())
    }

    #[test]
    fn a_query_that_comes_back_marks_its_upstream_for_its_suffix_until_two_have_not_come_back() {
        let (loops, mut watch, mut now) = (loops(), Watch::new(lots()), Moment::START);
        watch.turn(now, &loops);
        let (sent, told) = outputs(&mut watch);
        assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [address(1), address(2), address(1)]);
        assert!(sent[2].1.ends_with(SUFFIX) && told.is_empty() && !loops.are_any());
        assert!(loops.recognise(&hinfo(&sent[2].1)));
        assert!(loops.recognise(&hinfo(&sent[2].1)));
        assert!(loops.has(1, address(1)) && !loops.has(0, address(1)) && !loops.has(0, address(2)));
        assert_eq!(loops.found(), 1);
        watch.turn(now, &loops);
        assert_eq!(outputs(&mut watch), (vec![], vec![("corp.".to_owned(), address(1), true)]));
        // Twice in a row it does not come back; those in between do.
        let (mut silent, mut over_at) = (0, None);
        for second in 1..40 {
            now += Duration::from_secs(1);
            watch.turn(now, &loops);
            let (sent, told) = outputs(&mut watch);
            for (_, name) in sent.iter().filter(|(_, name)| name.ends_with(SUFFIX)) {
                match second {
                    ..8 => assert!(loops.recognise(&hinfo(name))),
                    _ => silent += 1,
                }
            }
            if !told.is_empty() {
                assert_eq!(told, [("corp.".to_owned(), address(1), false)]);
                over_at = over_at.or(Some((second, silent)));
            }
        }
        let (second, silent) = over_at.expect("it is over");
        assert!(second < 20 && silent >= 2, "{second} {silent}");
        assert!(!loops.are_any() && loops.found() == 1);
    }

    #[test]
    fn each_upstream_is_asked_often_at_first_and_then_once_a_minute() {
        let (loops, mut watch) = (loops(), Watch::new(lots()));
        let mut at = Vec::new();
        for second in 0..200 {
            watch.turn(Moment::START + Duration::from_secs(second), &loops);
            at.extend(outputs(&mut watch).0.iter().filter(|(to, _)| *to == address(2)).map(|_| second));
        }
        assert_eq!(at, [0, 1, 5, 21, 81, 141]);
        // Another policy: from the start.
        let other = self::loops();
        watch.turn(Moment::START + Duration::from_secs(200), &other);
        assert_eq!(outputs(&mut watch).0.len(), 3);
        other.count_on(&loops);
    }

    #[test]
    fn only_the_last_token_of_an_upstream_is_recognised() {
        let (loops, mut watch) = (loops(), Watch::new(lots()));
        // Before the first query there is none.
        assert!(!loops.recognise(&hinfo(write_name(b"\0", 0, [0; 2]).unwrap().as_wire())));
        watch.turn(Moment::START, &loops);
        let first = outputs(&mut watch).0.swap_remove(0).1;
        watch.turn(Moment::START + EARLY[0], &loops);
        let second = outputs(&mut watch).0.swap_remove(0).1;
        assert!(!loops.recognise(&hinfo(&first)));
        let as_a = Question::new(&second, 0, RecordType::A, Wants::default());
        assert!(!loops.recognise(&as_a));
        // Any other digit, a number that is none's, a label cut short.
        for at in PREFIX.len() + 1..=LABEL_OCTETS {
            let mut other = second.clone();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert!(!loops.recognise(&hinfo(&other)), "{at}");
            other[at] = b'x';
            assert!(!loops.recognise(&hinfo(&other)), "{at}");
            assert!(!loops.recognise(&hinfo(&second[..at])), "{at}");
        }
        assert!(!loops.are_any() && loops.recognise(&hinfo(&second)));
    }

    #[test]
    fn a_suffix_that_leaves_no_room_is_not_watched() {
        let suffix =
            [&[63][..], &[b'a'; 63], &[63], &[b'b'; 63], &[63], &[b'c'; 63], &[30], &[b'd'; 30], &[0]];
        let (suffix, upstreams) = (suffix.concat(), [address(1)]);
        let loops = Arc::new(Loops::new([(&suffix[..], 0, &upstreams[..])]));
        let mut watch = Watch::new(lots());
        watch.turn(Moment::START, &loops);
        assert!(watch.poll().is_none());
    }
}
