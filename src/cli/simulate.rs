//! `hivedns simulate`: its flags, as texts; whoever runs the simulator reads them.

use clap::Args;
use std::path::PathBuf;

/// Run a made-up cluster in virtual time, and say whether it kept its promises.
///
/// All that is left to chance follows from the seed, which is printed first: the same seed is the same run. Exits
/// with 1 if a promise was broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SimulateArgs {
    /// Nodes; at the start all know everything [default: 100].
    #[arg(long, value_name = "N")]
    pub nodes: Option<String>,
    /// Share of packets that is lost, such as 0.2 or 20% [default: 0].
    #[arg(long, value_name = "P")]
    pub loss: Option<String>,
    /// Cut the network: half, third or a number of nodes, for how long, and perhaps when, such as half:60s@10s.
    #[arg(long, value_name = "SIDE:TIME")]
    pub partition: Option<String>,
    /// What decides all chance [default: drawn].
    #[arg(long, value_name = "S")]
    pub seed: Option<String>,
    /// Records of each node [default: 10].
    #[arg(long, value_name = "R")]
    pub records: Option<String>,
    /// Changes over all nodes [default: 10/s].
    #[arg(long, value_name = "C/s")]
    pub changes: Option<String>,
    /// Changes at one moment [default: 0].
    #[arg(long, value_name = "N")]
    pub burst: Option<String>,
    /// Nodes that lose power, one per second [default: 0].
    #[arg(long, value_name = "N")]
    pub crash: Option<String>,
    /// Nodes that join, knowing nothing [default: 0].
    #[arg(long, value_name = "N")]
    pub join: Option<String>,
    /// How long changes are made, in virtual time [default: 60s, longer with a cut].
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
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
