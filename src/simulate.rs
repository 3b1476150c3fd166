//! The verb `simulate`: reads the texts of its flags, runs the made-up world with the real clock beside it, shows how
//! far it is, and prints what it has shown.

use crate::cli::{EXIT_FAILED, EXIT_OK, EXIT_USAGE, SimulateArgs};
use crate::os::{clock, cpu, entropy};
use crate::testing::gossip::Citizen;
use crate::testing::simulate::{Progress, simulate};
use crate::testing::{picture, report};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the line on a terminal is written anew.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Runs the verb; the exit code.
pub fn run(args: &SimulateArgs) -> u8 {
    let drawn = u64::from_le_bytes(entropy::random().unwrap_or_default()) >> 16;
    let scenario = match args.asked.read(drawn) {
        Ok(scenario) => scenario,
        Err(faults) => {
            faults.iter().for_each(|fault| complain(fault));
            return EXIT_USAGE;
        }
    };
    // First of all: a run that does not end can be run again, too.
    complain(&format!("seed {}", scenario.seed));
    let started = clock::now();
    // What else the machine works on is no time of the machines.
    let stopwatch = Box::new(cpu::thread_time);
    let mut line = ProgressLine::new(started);
    let mut summary = simulate::<Citizen>(&scenario, Some(stopwatch), |progress| line.show(progress));
    line.clear();
    summary.real_s = (clock::now() - started).as_secs_f64();
    summary.peak_kib = peak_kib();
    if let Some(file) = &args.svg
        && let Err(error) = write(file, &picture::picture(&summary))
    {
        complain(&error);
        return EXIT_FAILED;
    }
    let text = match args.json() {
        true => serde_json::to_string_pretty(&summary).map(|json| json + "\n").unwrap_or_default(),
        false => report::screen(&summary),
    };
    // A reader that had enough (`| head`) is not a failure.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if summary.broken.is_empty() { EXIT_OK } else { EXIT_FAILED }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn complain(text: &str) {
    // There is nobody left to tell if stderr is gone.
    let _ = writeln!(std::io::stderr().lock(), "hivedns: {text}");
}

/// The most memory that this process had; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// One line, written over itself; nothing where stderr is no terminal.
struct ProgressLine {
    terminal: bool,
    last: Instant,
    shown: bool,
}

impl ProgressLine {
    fn new(now: Instant) -> ProgressLine {
        ProgressLine { terminal: std::io::stderr().is_terminal(), last: now, shown: false }
    }

    fn show(&mut self, progress: Progress) {
        let now = clock::now();
        if !self.terminal || now - self.last < PROGRESS_EVERY {
            return;
        }
        (self.last, self.shown) = (now, true);
        let quiet = if progress.now_s >= progress.of_s { ", waiting for quiet" } else { "" };
        let _ = write!(
            std::io::stderr().lock(),
            "\r\x1b[K{:.0} of {:.0} s, {} events{quiet}",
            progress.now_s,
            progress.of_s,
            progress.events
        );
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
