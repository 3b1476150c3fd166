//! Every bound of the server, each with its reason. Relations between bounds are asserted at compile time.

/// Octets of a name in wire form, the root's zero octet included (RFC 1035 §2.3.4).
pub const NAME_OCTETS_MAX: usize = 255;
/// Octets of one label (RFC 1035 §2.3.4).
pub const LABEL_OCTETS_MAX: usize = 63;
/// Labels of a name, the root not counted: 127 one-octet labels and the root fill 255 octets.
pub const LABELS_MAX: usize = 127;

/// Octets of a DNS message over TCP: its length field has 16 bits (RFC 1035 §4.2.2).
pub const MESSAGE_OCTETS_MAX: usize = 65_535;
/// Octets of a UDP reply to a query without EDNS (RFC 1035 §4.2.1).
pub const UDP_PAYLOAD_PLAIN: usize = 512;
/// Octets of RDATA: its length field has 16 bits (RFC 1035 §3.2.1).
pub const RDATA_OCTETS_MAX: usize = 65_535;
/// The largest TTL, in seconds (RFC 2181 §8).
pub const TTL_SECONDS_MAX: u32 = 0x7fff_ffff;

/// Aliases (CNAME, DNAME) that one answer follows: Knot's bound; real chains have two or three.
pub const CHAIN_STEPS_MAX: usize = 20;

/// Octets of one line of a master file: RDATA of 65535 octets, each written `\DDD`, fits on one.
pub const LINE_OCTETS_MAX: usize = 512 * 1024;
/// Octets that the reader of master files asks of the system at once: few calls, and the cache still holds them.
pub const READ_OCTETS: usize = 64 * 1024;
/// Depth of `$INCLUDE` files within each other: enough for any real tree, stops a file that includes itself.
pub const INCLUDE_DEPTH_MAX: usize = 16;
/// Records that one `$GENERATE` line may make: a /8 of host routes is a mistake, a /16 is not.
pub const GENERATE_STEPS_MAX: u64 = 65_536;
/// Faults kept of one zone: beyond it only their number is told; nobody reads the thousandth.
pub const FAULTS_KEPT_MAX: usize = 1_000;

/// Octets of a UDP reply that the configuration may ask for: more would only be fragmented (RFC 6891 §6.2.5).
pub const UDP_PAYLOAD_MAX: u32 = 4_096;
/// Worker threads: no machine has more cores, and each worker costs sockets and buffers.
pub const WORKERS_MAX: u32 = 1_024;
/// TCP connections at once: each is a file descriptor, and no system grants a process more.
pub const TCP_CONNECTIONS_MAX: u32 = 1_048_576;
/// Octets of a configuration file: ten thousand zones are far below; stops `-c /dev/zero`.
pub const CONFIG_OCTETS_MAX: u64 = 16 << 20;
/// Octets of a server's identity: CHAOS answers it as one character-string (RFC 1035 §3.3).
pub const IDENTITY_OCTETS_MAX: usize = 255;

/// Octets of a cluster's name: it is part of what every datagram is sealed with, and nobody types more.
pub const CLUSTER_NAME_OCTETS_MAX: usize = 64;
/// Members to join: a few are enough to find all; each is resolved and tried again and again until one answers.
pub const JOIN_MAX: usize = 64;
/// Octets of a file of keys: a rotation has three of 44, comments beside them.
pub const KEYS_FILE_OCTETS_MAX: u64 = 64 << 10;

/// Suffixes of `[forward]`: a site has a handful, and each name that is not ours is held against all of them.
pub const FORWARD_SUFFIXES_MAX: usize = 256;
/// Upstreams of one suffix: a question has no time for more, and each is kept an eye on.
pub const UPSTREAMS_MAX: usize = 16;
/// Name servers taken from `resolv.conf`: the C library asks the first three, and nobody sets up many more.
pub const RESOLV_CONF_SERVERS_MAX: usize = 8;
/// Octets of `resolv.conf`: real ones have some hundred; stops a link to what has no end.
pub const RESOLV_CONF_OCTETS_MAX: u64 = 64 << 10;
/// Networks of one access list: those of a site; a list of the whole world's belongs into a firewall.
pub const NETWORKS_MAX: usize = 1_024;
/// Zones that the networks of `services.reverse` come to: the default's are 19, a prefix that ends within an octet is up to
/// 128; all of them stand in each snapshot.
pub const REVERSE_ZONES_MAX: u32 = 1_024;
/// Entries of an access list or a list of servers of one zone: each message for the zone is held against all of them.
pub const ACCESS_ENTRIES_MAX: usize = 256;
/// Octets of a file of a TSIG secret: 512 octets are 700 in base64, a comment beside them.
pub const SECRET_FILE_OCTETS_MAX: u64 = 4 << 10;
/// Steps of a zone's history: a change every minute for a day and more; beyond it the whole zone is the shorter way.
pub const HISTORY_STEPS_MAX: usize = 2_048;
/// Octets of a zone's history: as many as the zone takes, and for a small zone so many: a transfer of the steps is then
/// never much longer than one of the zone.
pub const HISTORY_OCTETS_MIN: usize = 64 << 10;
/// Octets of it at most, however large the zone is: they stay in memory beside it.
pub const HISTORY_OCTETS_MAX: usize = 64 << 20;
/// Octets of the records of a transferred zone, written out: some ten million records. It stops a primary that never
/// ends, whose records are collected in memory.
pub const TRANSFER_OCTETS_MAX: usize = 1 << 30;
/// Octets of the smallest cache that is one: in less nothing stays long enough to be asked for again, and the unit was
/// more likely mistaken.
pub const CACHE_SIZE_OCTETS_MIN: u64 = 1 << 20;
/// Name servers of the root that hints may name: the root has 13 (RFC 9609 §2.1), a root of one's own has fewer.
pub const ROOT_SERVERS_MAX: usize = 32;
/// Addresses of one of them: today each has one of IPv4 and one of IPv6.
pub const ROOT_SERVER_ADDRESSES_MAX: usize = 8;
/// Trust anchors: a key and its successor for the root, and for some islands of security.
pub const TRUST_ANCHORS_MAX: usize = 64;

const _: () = assert!(RESOLV_CONF_SERVERS_MAX <= UPSTREAMS_MAX);
const _: () = assert!(LABELS_MAX * 2 < NAME_OCTETS_MAX);
const _: () = assert!(LINE_OCTETS_MAX > RDATA_OCTETS_MAX * 4 + RDATA_OCTETS_MAX / 64);
const _: () = assert!(LINE_OCTETS_MAX.is_multiple_of(READ_OCTETS));
