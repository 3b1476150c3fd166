//! `hivedns simulate`: its flags. What of them makes the run is a type of the simulator, which reads the texts.

use crate::testing::scenario::Asked;
use clap::Args;
use std::path::PathBuf;

/// Run a made-up cluster in virtual time, and say whether it kept its promises.
///
/// All that is left to chance follows from the seed, which is printed first: the same seed is the same run. Exits
/// with 1 if a promise was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SimulateArgs {
    /// The run.
    #[command(flatten)]
    pub asked: Asked,
    /// Write a picture of how changes spread.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// As every verb takes it; the simulator asks no server.
    #[arg(long, value_name = "SOCKET", hide = true)]
    pub control: Option<PathBuf>,
    /// text or json [default: text].
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"], hide_possible_values = true)]
    pub format: Option<String>,
}

impl SimulateArgs {
    /// True if the outcome is to be a JSON document.
    pub fn json(&self) -> bool {
        self.format.as_deref() == Some("json")
    }
}
