//! `tools perf`: comparison runs that end in a table and most in a picture.

mod authoritative;
mod contestant;
mod instructions;
mod machine;
mod member;
mod metrics;
mod pool;
mod publish;
mod publish_report;
mod replication;
mod report;
mod resolver;
mod resolver_report;
mod resolver_rounds;
mod results;
mod rounds;
mod row;
mod scenarios;
mod swarm;
mod swarm_changes;
mod swarm_cut;
mod swarm_report;
mod swarm_speed;
mod swarm_update;
mod swarm_watch;
mod transfer;
mod update;
mod updater;

use clap::Subcommand;
use std::path::PathBuf;
use std::process::Command;

/// Compares servers, or counts their instructions.
#[derive(Subcommand, Debug)]
pub(crate) enum PerfCommand {
    Authoritative(authoritative::AuthoritativeArgs),
    Instructions(instructions::InstructionsArgs),
    Publish(publish::PublishArgs),
    Render(authoritative::RenderArgs),
    Replication(replication::ReplicationArgs),
    Resolver(resolver::ResolverArgs),
    Swarm(swarm::SwarmArgs),
    Transfer(transfer::TransferArgs),
    Update(update::UpdateArgs),
}

/// Runs `tools perf`.
pub(crate) fn run(command: &PerfCommand) -> Result<(), String> {
    match command {
        PerfCommand::Authoritative(args) => authoritative::run(args),
        PerfCommand::Instructions(args) => instructions::run(args),
        PerfCommand::Publish(args) => publish::run(args),
        PerfCommand::Render(args) => authoritative::render(args),
        PerfCommand::Replication(args) => replication::run(args),
        PerfCommand::Resolver(args) => resolver::run(args),
        PerfCommand::Swarm(args) => swarm::run(args),
        PerfCommand::Transfer(args) => transfer::run(args),
        PerfCommand::Update(args) => update::run(args),
    }
}

/// The repository that this binary was built from.
fn repository() -> PathBuf {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tools.parent().map_or(tools.clone(), PathBuf::from)
}

/// Runs a command to its end; an error if it fails.
fn run_to_end(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("{program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}")) }
}

/// Builds the server as it is shipped.
fn build_hivedns() -> Result<(), String> {
    eprintln!("building hivedns …");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--quiet", "--package", "hivedns"]).current_dir(repository());
    run_to_end(&mut cargo)
}

/// A directory that is removed with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        let path = std::env::temp_dir().join(format!("hivedns-perf-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
