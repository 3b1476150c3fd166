//! Where log lines go: stderr, as text for people or JSON for machines. Workers never log.

use crate::base::config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging as configured. A second call changes nothing.
pub fn start(log: &Log) {
    let filter = EnvFilter::new(log.level.as_str());
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Only the first subscriber of a process counts; whoever set it keeps it.
    let _ = match log.format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
}
