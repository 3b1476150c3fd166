//! What one question may cost, whatever the owner of a zone does, and what all together may hold. All packets of a
//! question are counted together: those for the name itself, for its aliases, and for addresses of name servers.

use std::time::Duration;

/// Packets that a question may send, with what proves its answer, and with priming as far as that is done before. The
/// longest honest walks (a few aliases, each in a zone of its own whose servers have no glue) take some 20.
pub const PACKETS_MAX: u32 = 50;
/// Packets that a question may send beside one for each referral of its own walk, where the referrals alone are many:
/// then more than [`PACKETS_MAX`] are allowed.
pub const PACKETS_BESIDE_REFERRALS_MAX: u32 = 10;
/// Packets of the longest such walk: a chain of 120 delegations, and what stands beside it.
pub const PACKETS_DEEP_MAX: u32 = 130;
/// Packets that a question may send to one address, but for those that brought its own walk a cut further down: who
/// points many names at a victim gains nothing.
pub const ADDRESS_PACKETS_MAX: u8 = 10;
/// Packets that a question may send to the servers of one zone to learn the addresses of name servers: a victim with
/// many addresses gets no more than one with a single one (NXNS, CVE-2020-8616).
pub const ZONE_PACKETS_MAX: u8 = 10;
/// Name servers without glue that are looked for after one referral (NXNS; NRDelegation, CVE-2022-3204). Zones have
/// two to four; if none of four has an address, the fifth will not help.
pub const NAMES_RESOLVED_MAX: usize = 4;
/// Name servers among them whose glue was of no use, so that their owner is asked: one of a zone's servers is enough, and
/// where it is the zone that is dead each costs packets.
pub const GLUE_DOUBTED_MAX: usize = 2;
/// Questions for addresses that one question may ask, over all its referrals.
pub const SUBQUESTIONS_MAX: u8 = 12;
/// Questions for addresses within each other: an honest server's name stands in a zone whose servers have glue, or
/// the servers of whose servers have.
pub const DEPTH_MAX: u8 = 5;
/// Aliases that one question follows: resolvers in use follow 11 to 16.
pub const ALIASES_MAX: usize = 12;
/// Queries of a question that were shortened to hide the rest of the name and met no cut (RFC 9156 §2.3,
/// MAX_MINIMISE_COUNT). Counted over all aliases, so that chains of long names gain nothing (CAMP).
pub const MINIMISED_MAX: u8 = 10;
/// How many of them add one label only; the others share the labels that are left (RFC 9156 §2.3, MINIMISE_ONE_LAB).
pub const MINIMISED_ONE_LABEL: u8 = 4;
/// Failures at a zone after which a shortened query that meets silence is followed by the whole name: some servers drop
/// what they were not told of. Unbound waits for three.
pub const MINIMISED_LOST_MAX: u8 = 2;
/// Records of one answer, its chain included: so many hardly fit into one message.
pub const RECORDS_MAX: usize = 8_192;
/// Tries of one question at one zone that brought nothing: with a walk from the root before them they stay below the
/// 15 packets that a failing question may cost.
pub const FAILURES_MAX: u8 = 8;
/// Packets of one question at one zone to where the network says that nobody is (ICMP) that do not count as failures: where
/// a whole family of addresses leads nowhere, the other is to have its turn.
pub const UNREACHABLE_MAX: u8 = 3;
/// Tries of one question at one server of one zone.
pub const TRIES_MAX: u8 = 3;

/// For how long a question is worked on.
pub const QUESTION_SPAN: Duration = Duration::from_millis(9_500);
/// For how long an address is looked for: other name servers want their turn within the question's own time.
pub const ADDRESS_SPAN: Duration = Duration::from_secs(3);
/// For how long a server that nobody knows is waited for: the far side of the earth is nearer.
pub const WAIT_UNKNOWN: Duration = Duration::from_millis(500);
/// The shortest wait: a server nearby may be busy for a moment.
pub const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait, so that a question has time for other servers.
pub const WAIT_MAX: Duration = Duration::from_millis(1_500);
/// After this time another server is asked too, if this one is not known: most are nearer.
pub const LATE_UNKNOWN: Duration = Duration::from_millis(200);
/// For how long a stream is waited for: it has to be opened first.
pub const STREAM_WAIT: Duration = Duration::from_secs(2);

/// Silences in a row after which a server is not asked for a while.
pub const SILENCES_MAX: u8 = 3;
/// For how long it is not asked at first; the time doubles with each try that meets silence again.
pub const REST_MIN: Duration = Duration::from_secs(5);
/// For how long at most: a network that comes back is noticed within this.
pub const REST_MAX: Duration = Duration::from_secs(30);
/// For how long a server that refused a question about a zone, or does not serve it, is asked about that zone last.
pub const LAME_SPAN: Duration = Duration::from_secs(60);
/// For how long a server that knows no EDNS, or does not repeat the case of names, is asked in the old way.
pub const MANNER_SPAN: Duration = Duration::from_secs(3_600);
/// For how long a failing question is not asked again at first; the time doubles (RFC 9520 §3.2).
pub const FAILURE_SPAN_MIN: Duration = Duration::from_secs(10);
/// For how long at most (RFC 9520 §3.2).
pub const FAILURE_SPAN_MAX: Duration = Duration::from_secs(300);
/// For how long a delegation, or the address of a server, is believed: a zone that was taken away is gone after this,
/// whatever its TTL.
pub const DELEGATION_SPAN_MAX: Duration = Duration::from_secs(86_400);
/// How old a delegation is at least that is asked for again because no server of it is of use: a zone may have moved
/// before the delegation ended, and a dead one costs the zone above no more than this.
pub const REFRESH_SPAN: Duration = Duration::from_secs(60);
/// After which time priming is tried again if it failed (RFC 9609 §3.1).
pub const PRIMING_SPAN: Duration = Duration::from_secs(60);

/// Name servers kept of one delegation: the root has 13; hundreds are an attack.
pub const NAMES_MAX: usize = 16;
/// Addresses kept of one delegation's glue: two for each name.
pub const GLUE_MAX: usize = 32;
/// Records kept of what a referral says of the protection of the zone below: four DS records or three NSEC3 and their
/// signatures, and twice that in a rollover.
pub const PROOF_RECORDS_MAX: usize = 16;
/// For how long they are kept for who validates what was found below; it asks right away.
pub const PROOF_SPAN: Duration = QUESTION_SPAN;
/// Addresses kept of one server's name.
pub const ADDRESSES_MAX: usize = 8;

/// Questions that are worked on at once, those for addresses included: each may hold a few KiB.
pub const JOBS_MAX: usize = 4_096;
/// Askers that wait for one question: more would be a queue without end behind one entry.
pub const TICKETS_MAX: usize = 4_096;
/// Exchanges at once: each is a socket.
pub const EXCHANGES_MAX: usize = 1_024;
/// Exchanges at once beyond which none gets a second beside it, late as it may be: sockets are left for the first ones.
pub const HEDGED_EXCHANGES_MAX: usize = EXCHANGES_MAX / 2;
/// Exchanges at once with the servers of one zone: a dead zone leaves the others their sockets.
pub const ZONE_EXCHANGES_MAX: usize = 64;
/// Questions that wait for their turn at one zone: the rest are told at once that there is none.
pub const ZONE_WAITING_MAX: usize = 512;
/// How many of them are one client's: a zone that is slow has room for others.
pub const ZONE_WAITING_OF_CLIENT_MAX: usize = ZONE_WAITING_MAX / 2;
/// Lines of a trace: a walk of [`PACKETS_DEEP_MAX`] packets has one for each, and a few beside.
pub const TRACE_LINES_MAX: usize = 200;

/// Priming, the root and a top-level domain come before; the last try may need a stream, too.
const _: () = assert!(3 + FAILURES_MAX + 1 + UNREACHABLE_MAX <= 15);
const _: () = assert!(LATE_UNKNOWN.as_millis() < WAIT_UNKNOWN.as_millis());
const _: () = assert!(PACKETS_DEEP_MAX > PACKETS_MAX && PACKETS_BESIDE_REFERRALS_MAX < PACKETS_MAX);
const _: () = assert!(ZONE_EXCHANGES_MAX * 4 <= EXCHANGES_MAX && ZONE_WAITING_MAX * 4 <= JOBS_MAX);
