//! hivedns in a swarm of three real engines, each on a machine of its own: namespaces of this one. One swarm is raised,
//! the repository's image and stack are deployed in it, and the steps below use it one after another.
//!
//! ```text
//! cargo test --test swarm                                 what CI runs
//! cargo test --test swarm -- names scale                  some steps
//! cargo test --test swarm -- --long                       all, in full length: 200 tasks, 1,000 look-ups a second
//! cargo test --test swarm -- --transcript docs/swarm.md   what a user types and sees, with the image as it is shipped
//! ```
//! Where there is no engine, or no namespace may be made, it says loudly that it was skipped.

#![allow(unreachable_pub, reason = "a test program has no outside")]

mod changes;
mod faults;
#[path = "../support/swarm/mod.rs"]
mod harness;
mod names;
mod steps;
mod transcript;
mod views;

use harness::stage::{self, Place};
use harness::{Swarm, now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use steps::{STEPS, Step};

const NODES: usize = 3;
/// How long members that start together for the first time may take to become one cluster that is known to all. Three
/// seconds of it they wait for one that knows it already.
const UNITED: Duration = Duration::from_secs(10);

/// What the command line asks for. What belongs to the usual harness of tests is passed over.
#[derive(Debug, Default)]
struct Wish {
    /// Parts of steps' names; none: all.
    steps: Vec<String>,
    is_long: bool,
    lists: bool,
    transcript: Option<PathBuf>,
}

impl Wish {
    fn read(mut words: impl Iterator<Item = String>) -> Wish {
        let mut wish = Wish::default();
        while let Some(word) = words.next() {
            match &*word {
                "--long" => wish.is_long = true,
                "--list" => wish.lists = true,
                "--transcript" => wish.transcript = words.next().map(PathBuf::from),
                "--format" | "--test-threads" | "--skip" | "--color" => drop(words.next()),
                _ if word.starts_with('-') => {}
                _ => wish.steps.push(word),
            }
        }
        wish
    }

    fn wants(&self, step: &Step) -> bool {
        let is_named = self.steps.iter().any(|part| step.name.contains(&**part));
        match self.steps.is_empty() {
            true => self.transcript.is_none() && (self.is_long || !step.is_long),
            false => is_named,
        }
    }
}

fn main() -> ExitCode {
    let wish = Wish::read(std::env::args().skip(1));
    let steps: Vec<&Step> = STEPS.iter().filter(|step| wish.wants(step)).collect();
    if wish.lists {
        steps.iter().for_each(|step| println!("{}: test", step.name));
        return ExitCode::SUCCESS;
    }
    if steps.is_empty() && wish.transcript.is_none() {
        return ExitCode::SUCCESS;
    }
    if let Err(why) = installed() {
        return skipped(&why);
    }
    match stage::enter() {
        Place::Nowhere(why) => skipped(&why),
        Place::Done(true) => ExitCode::SUCCESS,
        Place::Done(false) => ExitCode::FAILURE,
        Place::Inner(dir) => play(&dir, &wish, &steps),
    }
}

fn skipped(why: &str) -> ExitCode {
    println!("\nSKIPPED the test of a swarm of engines: {why}\n");
    ExitCode::SUCCESS
}

/// Whether what can be installed is there; with `CI=true` it has to be.
fn installed() -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install-peers");
    let output = Command::new(script).arg("swarm").output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI the set swarm has to be there: {why}");
    Err(why.lines().last().unwrap_or("something is missing").to_owned())
}

/// Raises the swarm and takes the steps; the first that fails is the last.
fn play(dir: &Path, wish: &Wish, steps: &[&Step]) -> ExitCode {
    let program = Path::new(env!("CARGO_BIN_EXE_hivedns"));
    let mut swarm = None;
    let raise = || {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let raised = match wish.transcript {
            Some(_) => Swarm::raise(dir, repository, program, NODES),
            None => Swarm::begin(dir, repository, program, NODES),
        };
        let raised = swarm.insert(raised);
        raised.image(wish.transcript.is_none().then_some(program));
        raised.client_image();
        if wish.transcript.is_none() {
            let alone = raised.deploy_alone();
            println!("  the only node ready {:.1} s after its container ran", alone.as_secs_f64());
            assert!(alone <= UNITED, "{alone:?}");
            raised.unite();
        }
        let united = raised.deploy();
        println!("  one cluster {:.1} s after the last container ran", united.as_secs_f64());
        assert!(united <= UNITED, "{united:?}");
    };
    if !passes("three_engines_become_one_swarm_with_the_repository_s_stack", raise) {
        tell(swarm.as_ref());
        return ExitCode::FAILURE;
    }
    let mut swarm = swarm.expect("it was raised");
    for step in steps {
        if !passes(step.name, || (step.take)(&mut swarm, wish.is_long)) {
            tell(Some(&swarm));
            return ExitCode::FAILURE;
        }
    }
    let written = wish.transcript.as_ref().is_none_or(|file| {
        passes("a_user_deploys_the_stack_and_resolves_on_every_node", || transcript::write(&swarm, file))
    });
    if written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(swarm: Option<&Swarm>) {
    if let Some(swarm) = swarm {
        println!("{}", swarm.logs());
    }
}

/// Whether a step ends well; tells its name, how it ended and how long it took.
fn passes(name: &str, step: impl FnOnce()) -> bool {
    println!("test {name} ...");
    let began = now();
    let passed = catch_unwind(AssertUnwindSafe(step)).is_ok();
    println!(
        "test {name} ... {} ({:.1} s)",
        if passed { "ok" } else { "FAILED" },
        began.elapsed().as_secs_f64()
    );
    passed
}
