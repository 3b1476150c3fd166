//! The verbs of a running server: their grammar, and the request that each becomes.

use crate::base::config::parse_duration;
use crate::base::control_socket;
use crate::control::request::{DRAIN_MAX, Look, Request};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A verb for a running server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is asked.
    pub what: Asked,
    /// How the answer is written.
    pub format: Format,
    /// Where the server is looked for, the first that is there.
    pub sockets: Vec<PathBuf>,
}

/// What is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// What it has published anyway.
    Look(Look),
    /// Something for its control thread. A key `-` stands for a line of standard input.
    Request(Request),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Text,
    /// The document, as `/api/v1` has it.
    Json,
}

/// What every verb takes.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// How the answer is written.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", hide_default_value = true)]
    format: Format,
    /// The control socket of the server [default: /run/hivedns/hivedns.sock, else that in $XDG_RUNTIME_DIR].
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

/// The verbs that one sends to a running server.
#[derive(Subcommand, Debug)]
pub(super) enum RunningVerb {
    /// How the running node is; exits with 1 while it is not ready.
    Status(Common),
    /// Who is in the cluster, as the running node sees it.
    Members(Common),
    /// The zones of the running node.
    Zones(Common),
    /// What the running node counted.
    Stats(Common),
    /// The records as the cluster holds them.
    Records {
        /// Only at this name, absolute.
        name: Option<String>,
        /// Only of this type.
        #[arg(long = "type", value_name = "T")]
        rtype: Option<String>,
        /// Only of this node.
        #[arg(long, value_name = "NODE")]
        owner: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Set cluster-wide records, in place of those of the same name and type.
    Set {
        /// Absolute, below the services' domain.
        name: String,
        /// Seconds, or a duration such as 5m.
        #[arg(value_parser = seconds)]
        ttl: u32,
        /// A mnemonic, or TYPE123.
        #[arg(value_name = "TYPE")]
        rtype: String,
        /// Each argument one record, as in MX '10 mail.hive.internal.'; names are absolute.
        #[arg(required = true)]
        rdata: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Remove cluster-wide records.
    Unset {
        /// Absolute.
        name: String,
        /// Only of this type.
        #[arg(value_name = "TYPE")]
        rtype: Option<String>,
        /// Only these.
        rdata: Vec<String>,
        #[command(flatten)]
        common: Common,
    },
    /// How the answer to a question comes about.
    Why {
        /// The name asked for, absolute.
        name: String,
        /// The type asked for [default: A].
        #[arg(value_name = "TYPE")]
        rtype: Option<String>,
        /// The asker.
        #[arg(long, value_name = "IP")]
        from: Option<IpAddr>,
        #[command(flatten)]
        common: Common,
    },
    /// Forget what was found elsewhere; returns how many entries that were.
    Flush {
        /// Only at and below this name, absolute.
        name: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// What was found elsewhere and is kept.
    #[command(subcommand)]
    Cache(CacheVerb),
    /// Owners whose state differs between nodes, and by what.
    Diff(Common),
    /// Compare all with the others now, or with one node.
    Resync {
        /// Only with this node.
        node: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Withdraw this node's records; returns when every live member has acknowledged that.
    ///
    /// Otherwise names those that have not, and exits with 1.
    Drain {
        /// How long to wait.
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
        timeout: Duration,
        #[command(flatten)]
        common: Common,
    },
    /// Read configuration and zones anew; returns when that is done.
    Reload(Common),
    /// Withdraw this node's records and take it out of the cluster.
    Leave(Common),
    /// Declare a lost node gone for good.
    ForceLeave {
        /// Its name or id.
        node: String,
        #[command(flatten)]
        common: Common,
    },
    /// Rotate the cluster's keys: add one, use it, remove the old one.
    #[command(subcommand)]
    Key(KeyVerb),
}

/// What can be done with the cache.
#[derive(Subcommand, Debug)]
pub(super) enum CacheVerb {
    /// Every answer that is kept, with what is left of it; what there is not, and what failed, too.
    Dump(Common),
}

/// What can be done with the cluster's keys.
#[derive(Subcommand, Debug)]
pub(super) enum KeyVerb {
    /// Make a key known to the whole cluster: from then on it opens.
    Add {
        /// As `hivedns keygen` prints it; without it, or as -, a line is read from standard input, where no other
        /// user of this machine can see it.
        #[arg(default_value = "-", hide_default_value = true)]
        key: String,
        #[command(flatten)]
        common: Common,
    },
    /// Seal with this key, everywhere.
    Use {
        /// As `hivedns key list` shows it.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Forget this key, everywhere.
    Remove {
        /// As `hivedns key list` shows it.
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// The keys that the running node knows.
    List(Common),
}

impl RunningVerb {
    /// The call that it means.
    pub(super) fn call(self, environment: &BTreeMap<String, OsString>) -> Call {
        let (what, common) = self.asked();
        let sockets = match common.control {
            Some(path) => vec![path],
            None => control_socket::usual(environment),
        };
        Call { what, format: common.format, sockets }
    }

    fn asked(self) -> (Asked, Common) {
        let (request, common) = match self {
            RunningVerb::Status(common) => return (Asked::Look(Look::Status), common),
            RunningVerb::Zones(common) => return (Asked::Look(Look::Zones), common),
            RunningVerb::Stats(common) => return (Asked::Look(Look::Stats), common),
            RunningVerb::Members(common) => (Request::Members {}, common),
            RunningVerb::Records { name, rtype, owner, common } => {
                (Request::Records { name, rtype, owner, after: None }, common)
            }
            RunningVerb::Set { name, ttl, rtype, rdata, common } => {
                (Request::Set { name, ttl, rtype, rdata }, common)
            }
            RunningVerb::Unset { name, rtype, rdata, common } => {
                (Request::Unset { name, rtype, rdata }, common)
            }
            RunningVerb::Why { name, rtype, from, common } => {
                (Request::Why { name, rtype, from, only_known: false }, common)
            }
            RunningVerb::Flush { name, common } => (Request::Flush { name }, common),
            RunningVerb::Cache(CacheVerb::Dump(common)) => (Request::CacheDump { after: None }, common),
            RunningVerb::Diff(common) => (Request::Diff {}, common),
            RunningVerb::Resync { node, common } => (Request::Resync { node }, common),
            RunningVerb::Drain { timeout, common } => {
                // No more than `DRAIN_MAX`, so it fits.
                (Request::Drain { timeout_ms: timeout.as_millis() as u64 }, common)
            }
            RunningVerb::Reload(common) => (Request::Reload {}, common),
            RunningVerb::Leave(common) => (Request::Leave {}, common),
            RunningVerb::ForceLeave { node, common } => (Request::ForceLeave { node }, common),
            RunningVerb::Key(KeyVerb::Add { key, common }) => (Request::KeyAdd { key }, common),
            RunningVerb::Key(KeyVerb::Use { id, common }) => (Request::KeyUse { id }, common),
            RunningVerb::Key(KeyVerb::Remove { id, common }) => (Request::KeyRemove { id }, common),
            RunningVerb::Key(KeyVerb::List(common)) => (Request::KeyList {}, common),
        };
        (Asked::Request(request), common)
    }
}

impl Common {
    pub(super) fn format(&self) -> Format {
        self.format
    }
}

/// A TTL: seconds, or a duration of whole seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let whole = |span: Duration| span.subsec_nanos() == 0;
    plain
        .or_else(|| parse_duration(text).filter(|span| whole(*span)).map(|span| span.as_secs()))
        .and_then(|seconds| u32::try_from(seconds).ok())
        .ok_or_else(|| "expected seconds, or a duration such as 5m".to_owned())
}

fn patience(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|span| *span <= DRAIN_MAX)
        .ok_or_else(|| format!("expected a duration up to {}s, such as 10s", DRAIN_MAX.as_secs()))
}
