//! What a user may ask of the running server, and how an answer finds its way back.
//!
//! ```text
//!                           ┌─ Look ───────► what was published ──────┐
//! verb ─► control socket ───┤                                        ├─► Reply, Refused ─► JSON
//! GET /api/v1/… ────────────┴─ Request, Answer ─► Event ─► control ───┘
//! ```
//!
//! A [`Request`] as JSON is the body of `POST /v1/VERB` on the control socket; its `verb` is the last part of the
//! path. An answer may come at once or much later (a drain waits for others): whoever holds the [`Answer`] owes it.
//! What was published anyway, a [`Look`] tells without asking the control thread.

use crate::control::document::{
    CacheDocument, DiffDocument, DrainDocument, FlushDocument, ForceLeaveDocument, KeysDocument,
    LeaveDocument, MembersDocument, RecordsDocument, ReloadDocument, ResyncDocument, SetDocument,
    StatsDocument, StatusDocument, UnsetDocument, WhyDocument, ZonesDocument,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What is told from what the control thread has published and the workers have counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// How this node is.
    Status,
    /// The zones of this node.
    Zones,
    /// What this node's workers counted.
    Stats,
}

impl Look {
    /// All of them.
    pub const ALL: [Look; 3] = [Look::Status, Look::Zones, Look::Stats];

    /// The verb, as it stands in the path.
    pub fn verb(self) -> &'static str {
        match self {
            Look::Status => "status",
            Look::Zones => "zones",
            Look::Stats => "stats",
        }
    }
}

/// One thing for the control thread to do or to tell. Texts are as the user wrote them: what they mean is found out where the request is
/// answered, so that every way in gets the same complaints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Who is in the cluster, as this node sees it.
    Members {},
    /// The records as the cluster holds them, by rising name, at most [`RECORDS_MAX`] at once.
    Records {
        /// Only at this name.
        #[serde(default)]
        name: Option<String>,
        /// Only of this type.
        #[serde(default, rename = "type")]
        rtype: Option<String>,
        /// Only of this node, by its name or id.
        #[serde(default)]
        owner: Option<String>,
        /// Only those behind: `next` of the document before.
        #[serde(default)]
        after: Option<String>,
    },
    /// Puts this set of records in place of what the cluster had at this name of this type.
    Set {
        /// Absolute.
        name: String,
        /// Seconds.
        ttl: u32,
        /// A mnemonic, or `TYPE123`.
        #[serde(rename = "type")]
        rtype: String,
        /// Each the RDATA of one record, as in a master file.
        rdata: Vec<String>,
    },
    /// Removes cluster-wide records.
    Unset {
        /// Absolute.
        name: String,
        /// Only of this type.
        #[serde(default, rename = "type")]
        rtype: Option<String>,
        /// Only these; none given means all.
        #[serde(default)]
        rdata: Vec<String>,
    },
    /// How the answer to a question comes about.
    Why {
        /// Absolute.
        name: String,
        /// `A` if it is left out.
        #[serde(default, rename = "type")]
        rtype: Option<String>,
        /// The asker; this machine, if it is left out.
        #[serde(default)]
        from: Option<IpAddr>,
        /// Nobody is asked, and nothing changes: only what is known is told. Not the user's to say: whoever reads over
        /// HTTP need not be one who may have names resolved.
        #[serde(skip)]
        only_known: bool,
    },
    /// Forgets what was found elsewhere.
    Flush {
        /// Absolute: only at and below this name.
        #[serde(default)]
        name: Option<String>,
    },
    /// What was found elsewhere and is kept, in no order, about [`RECORDS_MAX`] entries at once.
    CacheDump {
        /// Only those behind: `next` of the document before.
        #[serde(default)]
        after: Option<String>,
    },
    /// Owners whose state differs between nodes.
    Diff {},
    /// A full comparison with others now.
    Resync {
        /// Only with this node, by its name or id.
        #[serde(default)]
        node: Option<String>,
    },
    /// Withdraws this node's records and waits until every live member has acknowledged that.
    Drain {
        /// How long to wait, in milliseconds, at most [`DRAIN_MAX`].
        timeout_ms: u64,
    },
    /// Reads configuration and zones anew; answered when all zones of that round are done.
    Reload {},
    /// Withdraws this node's records and takes it out of the cluster.
    Leave {},
    /// Declares a lost node gone for good.
    ForceLeave {
        /// Its name or id.
        node: String,
    },
    /// Makes a key known to the whole cluster: from then on it opens.
    KeyAdd {
        /// As `keygen` prints it: 32 octets in base64 or hexadecimal.
        key: String,
    },
    /// Makes the whole cluster seal with a key that all know.
    KeyUse {
        /// As `key list` shows it.
        id: String,
    },
    /// Makes the whole cluster forget a key that nobody seals with.
    KeyRemove {
        /// As `key list` shows it.
        id: String,
    },
    /// The keys that this node knows, by id.
    KeyList {},
}

/// Records of one answer: what takes the control thread less than a few milliseconds. There is more if the
/// document says where to go on.
pub const RECORDS_MAX: usize = 1_000;
/// How long a drain may wait: beyond it somebody should look why.
pub const DRAIN_MAX: Duration = Duration::from_secs(600);

impl Request {
    /// The verb, as it stands in the path.
    pub fn verb(&self) -> &'static str {
        match self {
            Request::Members {} => "members",
            Request::Records { .. } => "records",
            Request::Set { .. } => "set",
            Request::Unset { .. } => "unset",
            Request::Why { .. } => "why",
            Request::Flush { .. } => "flush",
            Request::CacheDump { .. } => "cache-dump",
            Request::Diff {} => "diff",
            Request::Resync { .. } => "resync",
            Request::Drain { .. } => "drain",
            Request::Reload {} => "reload",
            Request::Leave {} => "leave",
            Request::ForceLeave { .. } => "force-leave",
            Request::KeyAdd { .. } => "key-add",
            Request::KeyUse { .. } => "key-use",
            Request::KeyRemove { .. } => "key-remove",
            Request::KeyList {} => "key-list",
        }
    }

    /// How long the answer may take before whoever waits gives up.
    pub fn patience(&self) -> Duration {
        match self {
            // It looks at memory.
            Request::Members {} | Request::Records { .. } | Request::KeyList {} => Duration::from_secs(5),
            // It asks other nodes, or the disk, or looks at very much memory.
            Request::Set { .. }
            | Request::Why { .. }
            | Request::Flush { .. }
            | Request::CacheDump { .. }
            | Request::Unset { .. }
            | Request::Diff {}
            | Request::Leave {}
            | Request::ForceLeave { .. }
            | Request::KeyAdd { .. }
            | Request::KeyUse { .. }
            | Request::KeyRemove { .. } => Duration::from_secs(30),
            // It moves all that there is.
            Request::Resync { .. } | Request::Reload {} => Duration::from_secs(600),
            Request::Drain { timeout_ms } => {
                Duration::from_millis(*timeout_ms).min(DRAIN_MAX) + Duration::from_secs(5)
            }
        }
    }
}

/// What came of a request, as the document that both the control socket and `/api/v1` send.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To [`Look::Status`].
    Status(Box<StatusDocument>),
    /// To [`Request::Members`].
    Members(MembersDocument),
    /// To [`Look::Zones`].
    Zones(ZonesDocument),
    /// To [`Look::Stats`].
    Stats(Box<StatsDocument>),
    /// To [`Request::Records`].
    Records(RecordsDocument),
    /// To [`Request::Set`].
    Set(SetDocument),
    /// To [`Request::Unset`].
    Unset(UnsetDocument),
    /// To [`Request::Why`].
    Why(WhyDocument),
    /// To [`Request::Flush`].
    Flush(FlushDocument),
    /// To [`Request::CacheDump`].
    Cache(CacheDocument),
    /// To [`Request::Diff`].
    Diff(DiffDocument),
    /// To [`Request::Resync`].
    Resync(ResyncDocument),
    /// To [`Request::Drain`].
    Drain(DrainDocument),
    /// To [`Request::Reload`].
    Reload(ReloadDocument),
    /// To [`Request::Leave`].
    Leave(LeaveDocument),
    /// To [`Request::ForceLeave`].
    ForceLeave(ForceLeaveDocument),
    /// To all requests about keys: the keys known afterwards.
    Keys(KeysDocument),
}

/// Why nothing, or not all, was done. Nothing has been changed unless the message says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What to make of it.
    pub kind: RefusedKind,
    /// One line.
    pub error: String,
    /// More lines: each fault of a configuration, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// What to make of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// The request makes no sense: it will never be obeyed. Exit code 2.
    Malformed,
    /// What it names is not there.
    NotFound,
    /// The configuration is faulty. Exit code 2.
    Configuration,
    /// It goes against what is there now.
    Conflict,
    /// This node cannot do it now, or not yet.
    Unavailable,
    /// It was tried, and failed.
    Failed,
}

impl Refused {
    /// A refusal of one line.
    pub fn new(kind: RefusedKind, error: impl fmt::Display) -> Refused {
        Refused { kind, error: error.to_string(), details: Vec::new() }
    }
}

impl fmt::Display for Refused {
    /// The line, then the details, a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        self.details.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Refused {}

/// What is owed to whoever asked. **Dropping it without an answer tells the asker that the server is stopping.**
pub struct Answer(Box<dyn FnOnce(Result<Reply, Refused>) + Send>);

impl Answer {
    /// An answer that goes to `take`, which must not block: the control thread calls it.
    pub fn to(take: impl FnOnce(Result<Reply, Refused>) + Send + 'static) -> Answer {
        Answer(Box::new(take))
    }

    /// Gives it.
    pub fn give(self, outcome: Result<Reply, Refused>) {
        (self.0)(outcome);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    #[test]
    fn a_request_is_its_verb_and_what_belongs_to_it() {
        for (request, value) in [
            (Request::Members {}, json!({ "verb": "members" })),
            (
                Request::Records { name: None, rtype: Some("A".into()), owner: None, after: None },
                json!({ "verb": "records", "name": null, "type": "A", "owner": null, "after": null }),
            ),
            (
                Request::Set {
                    name: "a.".into(),
                    ttl: 5,
                    rtype: "A".into(),
                    rdata: vec!["192.0.2.1".into()],
                },
                json!({ "verb": "set", "name": "a.", "ttl": 5, "type": "A", "rdata": ["192.0.2.1"] }),
            ),
            (
                Request::Why {
                    name: "a.".into(),
                    rtype: None,
                    from: Some("::1".parse().unwrap()),
                    only_known: false,
                },
                json!({ "verb": "why", "name": "a.", "type": null, "from": "::1" }),
            ),
            (Request::Drain { timeout_ms: 10 }, json!({ "verb": "drain", "timeout_ms": 10 })),
            (Request::ForceLeave { node: "n".into() }, json!({ "verb": "force-leave", "node": "n" })),
            (Request::KeyList {}, json!({ "verb": "key-list" })),
            (Request::Flush { name: None }, json!({ "verb": "flush", "name": null })),
            (
                Request::CacheDump { after: Some("0.512".into()) },
                json!({ "verb": "cache-dump", "after": "0.512" }),
            ),
        ] {
            assert_eq!(to_value(&request).unwrap(), value);
            assert_eq!(value["verb"], request.verb());
            assert_eq!(from_value::<Request>(value).unwrap(), request);
        }
    }

    #[test]
    fn what_may_be_left_out_may_and_what_is_unknown_is_refused() {
        let read = |value: Value| from_value::<Request>(value);
        let all = Request::Records { name: None, rtype: None, owner: None, after: None };
        assert_eq!(read(json!({ "verb": "records" })).unwrap(), all);
        assert!(read(json!({ "verb": "resync" })).is_ok());
        for value in [
            json!({}),
            json!({ "verb": "nope" }),
            json!({ "verb": "set", "name": "a." }),
            json!({ "verb": "set", "name": "a.", "ttl": -1, "type": "A", "rdata": [] }),
            json!({ "verb": "why", "name": "a.", "from": "nobody" }),
            json!({ "verb": "why", "name": "a.", "form": "::1" }),
            json!({ "verb": "members", "more": 1 }),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_refusal_shows_its_line_and_then_its_details() {
        let mut refused = Refused::new(RefusedKind::Conflict, "no");
        assert_eq!(to_value(&refused).unwrap(), json!({ "kind": "conflict", "error": "no" }));
        refused.details.push("because".into());
        assert_eq!(refused.to_string(), "no\nbecause");
        assert_eq!(from_value::<Refused>(to_value(&refused).unwrap()).unwrap(), refused);
    }
}
