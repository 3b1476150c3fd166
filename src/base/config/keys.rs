//! The table of keys: for each its section, kind, default, flag and doc, once, in product order.
//!
//! A row `key: Kind = default, "--flag" => "doc";` is a key that works: from it come the field of the
//! section's struct, its default, its reading from file, environment and flag, and its line of
//! `--print-config`. A row `key => "doc";` is a key that is promised but that nothing needs yet: it is
//! known, and refused. Making it work is giving the row its kind and default (and the section, at its
//! first working key, the name of its struct, which becomes a field of `Config`).

use super::Config;
use super::client::{Client, behind_routers, near_at_hand};
use super::engine::EngineSocket;
use super::error::ConfigError;
use super::origin::Origin;
use super::peer::{Advertise, GOSSIP_PORT, Peer};
use super::tsig::{TSIG_KEYS, TsigKey, TsigKeyDraft};
use super::value::{AddressOrder, Bounded, LogFormat, LogLevel, NoneHealthy, Raw, Share, Size, Value};
use super::zone::{ZONE_KEYS, ZoneDraft, ZoneFile};
use crate::base::limits::{TCP_CONNECTIONS_MAX, UDP_PAYLOAD_MAX, UDP_PAYLOAD_PLAIN, WORKERS_MAX};
use crate::base::network::Network;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One section of the file.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
    pub(super) keys: &'static [Key],
}

/// How a section stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[section]`, at most once.
    Table,
    /// `[[section]]`, any number of times.
    Tables,
    /// `[section]` whose keys are the user's to name: `forward` reads and shows them.
    FreeTable,
}

/// One key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) reach: Reach,
}

/// What a key acts on.
pub(super) enum Reach {
    /// Nothing yet: whoever gives it is told so.
    Later,
    /// A field of a section of [`Config`].
    Setting(Setting),
    /// A field of each zone.
    OfZone(OfZone),
    /// A field of each TSIG key.
    OfKey(OfKey),
}

/// How a key of a `[section]` is set and shown, and which flag sets it too.
pub(super) struct Setting {
    pub(super) flag: Option<&'static str>,
    pub(super) put: fn(&mut Config, &Raw) -> Result<(), Vec<ConfigError>>,
    pub(super) show: fn(&Config) -> toml_edit::Value,
}

/// How a key of `[[zone]]` is set and shown.
pub(super) struct OfZone {
    pub(super) put: fn(&mut ZoneDraft, &Raw) -> Result<(), Vec<ConfigError>>,
    /// `None`: nothing was said, and nothing is the default.
    pub(super) show: fn(&ZoneFile) -> Option<toml_edit::Value>,
}

/// How a key of `[[key]]` is set and shown.
pub(super) struct OfKey {
    pub(super) put: fn(&mut TsigKeyDraft, &Raw) -> Result<(), Vec<ConfigError>>,
    pub(super) show: fn(&TsigKey) -> toml_edit::Value,
}

/// The section of this name.
pub(super) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().chain(REPEATED).find(|section| section.name == name)
}

/// All sections: the single ones first, as they stand in a file.
pub(super) fn sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().chain(REPEATED)
}

/// The key `section.name` that this flag sets.
pub(super) fn key_of_flag(flag: &str) -> Option<(&'static Section, &'static Key, &'static Setting)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key))).find_map(
        |(section, key)| match &key.reach {
            Reach::Setting(setting) if setting.flag == Some(flag) => Some((section, key, setting)),
            Reach::Setting(_) | Reach::OfZone(_) | Reach::OfKey(_) | Reach::Later => None,
        },
    )
}

impl Section {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

macro_rules! settings {
    ($( [$section:ident $($Section:ident)?] $shape:ident $about:literal {
        $( $key:ident $(: $kind:ty = $default:expr $(, $flag:literal)?)? => $doc:literal; )*
    } )*) => {
        $( section_struct! { [$($Section)?] $about $( $key $(: $kind = $default)? => $doc; )* } )*

        static SECTIONS: &[Section] = &[$( Section {
            name: stringify!($section),
            about: $about,
            shape: Shape::$shape,
            keys: &[$( Key {
                name: stringify!($key),
                doc: $doc,
                reach: reach!($( $section $key $kind $(, $flag)? )?),
            }, )*],
        }, )*];
    };
}

/// The struct of a section with the fields of its working keys; nothing for a section without any.
macro_rules! section_struct {
    ([] $about:literal $($rows:tt)*) => {};
    ([$Section:ident] $about:literal $( $key:ident $(: $kind:ty = $default:expr)? => $doc:literal; )*) => {
        #[doc = $about]
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $Section { $($( #[doc = $doc] pub $key: $kind, )?)* }

        impl Default for $Section {
            fn default() -> $Section {
                $Section { $($( $key: { let default: $kind = $default; default }, )?)* }
            }
        }
    };
}

macro_rules! reach {
    () => { Reach::Later };
    ($section:ident $key:ident $kind:ty $(, $flag:literal)?) => {
        Reach::Setting(Setting {
            flag: [$(Some($flag),)? None][0],
            put: |config, raw| {
                config.$section.$key = <$kind as Value>::read(raw)?;
                Ok(())
            },
            show: |config| config.$section.$key.emit(),
        })
    };
}

/// An address that only this machine reaches.
fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

settings! {
    [server Server] Table "The server: what it listens on, as whom, with how much." {
        listen: Vec<SocketAddr> = vec![loopback(5300)], "--listen" =>
            "Addresses with port to answer on, UDP and TCP; IPv6 in brackets.";
        workers: Bounded<0, WORKERS_MAX> = Bounded::new(0), "--workers" =>
            "Worker threads; 0 = one per core that the cpuset and the CPU quota allow.";
        node: String = String::new(), "--node" =>
            "This node's name, one label; empty = the system's host name up to its first dot.";
        udp_payload_max: Bounded<UDP_PAYLOAD_PLAIN_U32, UDP_PAYLOAD_MAX> = Bounded::new(1232) =>
            "Octets of the largest UDP reply to a client with EDNS; what is larger goes over TCP.";
        state_dir: String = String::new(), "--state-dir" =>
            "Directory of what outlives the process; empty = /var/lib/hivedns, else $XDG_STATE_HOME/hivedns.";
        user: String = String::new() =>
            "User to become after start, keeping only what binding needs; empty = stay.";
        tcp_idle: Duration = Duration::from_secs(10) =>
            "How long a TCP connection may be silent before it is closed.";
        tcp_connections_max: Bounded<1, TCP_CONNECTIONS_MAX> = Bounded::new(4096) =>
            "TCP connections open at once, over all workers.";
        identity: String = String::new() =>
            "What NSID and CHAOS hostname.bind and id.server answer; empty = the node's name.";
    }
    [services Services] Table "Names learned from containers, and those of the whole cluster." {
        domain: Origin = Origin::of("hive.internal.") =>
            "Domain of the cluster's records and of the names learned from containers.";
        ttl: Duration = Duration::from_secs(5) =>
            "TTL of service names, in whole seconds.";
        negative_ttl: Duration = Duration::from_secs(2) =>
            "TTL of negative answers about service names, in whole seconds.";
        lease: Duration = Duration::from_secs(60) =>
            "How long a lost node's records are served; a record with a longer TTL is served for that.";
        reverse: Vec<Network> = behind_routers() =>
            "Networks whose addresses have names (PTR), as far as the cluster knows them.";
        order: AddressOrder = AddressOrder::Nearest =>
            "Order of the addresses of a service: nearest, random, rotate or fixed.";
        none_healthy: NoneHealthy = NoneHealthy::FailOpen =>
            "What a service without healthy tasks answers: fail-open or fail-closed.";
        loss_freeze: Share = Share::percent(34) =>
            "This share of all owners, and at least 3 of them, lost within 30 s: expiry waits.";
        loss_freeze_max: Duration = Duration::from_secs(3600) =>
            "How long expiry waits at most.";
    }
    [docker Docker] Table "The container engine." {
        socket: EngineSocket = EngineSocket::default() =>
            "Where the engine listens: unix:///PATH, or tcp://HOST:PORT in clear; DOCKER_HOST says it, too.";
        networks: Vec<String> = Vec::new() =>
            "Networks to learn addresses from, by name; empty = all.";
        external: String = String::new() =>
            "The network whose addresses unknown clients get, by name; empty = those this instance is attached to.";
        relist: Duration = Duration::from_secs(60) =>
            "How often all containers are listed anew.";
        label_prefix: String = String::from("hivedns.") =>
            "Prefix of the labels that mean this server.";
    }
    [gossip Gossip] Table "The cluster." {
        bind: SocketAddr = loopback(GOSSIP_PORT), "--gossip" =>
            "Address and port of the cluster's traffic, UDP and TCP.";
        advertise: Advertise = Advertise::Auto =>
            "Address that other members are told; auto = the one that the kernel uses toward them.";
        join: Vec<Peer> = Vec::new(), "--join" =>
            "Members to join, each a host with or without a port; the system resolves them.";
        cluster: String = String::from("default") =>
            "Name of the cluster; members of another one are ignored.";
        keys_file: String = String::new() =>
            "File of the cluster's keys, one a line; the first seals, all open; empty = plaintext.";
    }
    [forward] FreeTable "Which suffix is asked of whom." {}
    [resolve Resolve] Table "Iteration and validation." {
        root_hints: String = String::new(), "--root-hints" =>
            "File of the root hints; empty = IANA's.";
        trust_anchor: String = String::new() =>
            "File of the trust anchors; empty = IANA's, or with root hints of one's own none: nothing is validated.";
        validate: bool = true =>
            "Whether iterated answers are validated.";
        validate_forwarded: bool = false =>
            "Whether forwarded answers are validated too.";
        deny: Vec<Network> = near_at_hand() =>
            "Networks never asked as learned name servers.";
    }
    [cache Cache] Table "Answers kept." {
        size: Size = Size(64 << 20) =>
            "Size of the whole process's cache; 0B = nothing is kept.";
        ttl_max: Duration = Duration::from_secs(86_400) =>
            "Longest time an answer is kept, in whole seconds.";
        negative_ttl_max: Duration = Duration::from_secs(3_600) =>
            "Longest time a negative answer is kept, in whole seconds.";
        serve_stale: Duration = Duration::from_secs(86_400) =>
            "How long an expired answer may still help out, in whole seconds; 0s = never.";
        prefetch: bool = true =>
            "Whether answers in demand are refreshed before they expire.";
    }
    [limits Limits] Table "Who may ask for what, and how much." {
        clients: Vec<Client> = Client::nearby() =>
            "Networks that may recurse, and the word private; authoritative answers go to all.";
        rrl_responses_per_second => "Equal responses to one network per second; 0 = unlimited.";
    }
    [shadow Shadow] Table "Comparing with the engine's own resolver." {
        sample: Share = Share::percent(0) =>
            "Share of names also asked of 127.0.0.11 and compared, each time that all containers are looked at anew.";
    }
    [http Http] Table "The read-only HTTP service." {
        listen: SocketAddr = loopback(5380), "--http" =>
            "Address with port of health, readiness, metrics and the read-only API.";
    }
    [log Log] Table "The log." {
        level: LogLevel = LogLevel::Info =>
            "How much is logged: error, warn, info, debug or trace.";
        format: LogFormat = LogFormat::Text =>
            "How a line is written: text or json.";
    }
}

/// `Bounded` counts in u32.
const UDP_PAYLOAD_PLAIN_U32: u32 = UDP_PAYLOAD_PLAIN as u32;

static REPEATED: &[Section] = &[
    Section {
        name: "zone",
        about: "A zone that is served, once for each.",
        shape: Shape::Tables,
        keys: ZONE_KEYS,
    },
    Section { name: "key", about: "A TSIG key, once for each.", shape: Shape::Tables, keys: TSIG_KEYS },
];

/// A key that is promised but that nothing needs yet.
pub(super) const fn later(name: &'static str, doc: &'static str) -> Key {
    Key { name, doc, reach: Reach::Later }
}
