//! What one answer may cost, and what is remembered. Whoever owns a zone chooses how many keys and signatures it has and
//! how often its names are hashed; so all of that is counted here (KeyTrap, CVE-2023-50387; CVE-2023-50868).

use std::time::Duration;

/// Checks of a signature for one answer, those of its chain of trust included. A chain of four zones needs nine; an
/// answer of 20 aliases whose zones are known needs 20 and its proofs. At 0.1 ms each (P-256) it is less than 10 ms.
pub const CHECKS_MAX: u32 = 64;
/// Checks that may fail for one set. An honest zone has none but where two of its keys share a tag.
pub const FAILED_CHECKS_OF_SET_MAX: u32 = 2;
/// Checks that may fail for one answer: the keys of some zones on its way may share a tag.
pub const FAILED_CHECKS_MAX: u32 = 16;
/// Signatures of one set that are looked at: a rollover of the algorithm with two keys each has four.
pub const SIGNATURES_OF_SET_MAX: usize = 16;
/// Keys of a zone that are looked at: the root has had at most six, the fullest zones known about a dozen.
pub const KEYS_OF_ZONE_MAX: usize = 32;
/// DS records of one delegation that are looked at: a rollover of two digests each has four.
pub const DS_OF_ZONE_MAX: usize = 16;
/// Digests of keys made for one delegation: one for each DS record, but where keys share a tag.
pub const DIGESTS_OF_ZONE_MAX: u32 = 16;
/// Sets of an answer and its proofs: 20 aliases, three records of proof for some of them.
pub const SETS_MAX: usize = 64;

/// Additional iterations of NSEC3 that are done; a zone that asks for more counts as insecure (RFC 9276 §3.2). BIND's
/// and Knot Resolver's bound; zones that follow RFC 9276 have 0.
pub const NSEC3_ITERATIONS_MAX: u16 = 50;
/// Names hashed for one answer. A proof needs as many as the name has labels below the closest encloser, and two more;
/// a reverse name of IPv6 has 34.
pub const NSEC3_HASHES_MAX: u32 = 64;

/// DS and DNSKEY sets asked for on behalf of one answer. A zone known needs none, a new one two, of which the DS mostly came
/// with the referral; the packets of the others are counted by who sends them.
pub const FETCHES_MAX: u32 = 80;
/// Octets of those sets kept until the answer is done: 40 of the usual 2 KiB, as many of a tenth, and one as large as a
/// message can be.
pub const REPLY_OCTETS_MAX: usize = 160 << 10;
/// Answers in work at once; beyond it none is taken. More than there are questions outstanding where all is well, and at
/// most 160 MiB of replies where nothing is.
pub const JOBS_MAX: usize = 1_024;

/// Zones and cuts that are remembered; beyond it the one that ends soonest is forgotten.
pub const REMEMBERED_MAX: usize = 20_000;
/// Octets of keys and DS records that are remembered, with names and what stands beside them; beyond it the same. A zone
/// has some 500, so that those of 20,000 zones find room; a set of 64 KiB takes the place of a hundred others.
pub const REMEMBERED_OCTETS_MAX: usize = 16 << 20;
/// The longest that anything is remembered, whatever its TTL: a key that was withdrawn in an emergency is gone by then.
pub const REMEMBERED_FOR_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The longest, in seconds, that it is remembered that no signed zone begins somewhere: one may be signed at any time, and
/// until it is known all its answers are bogus. As long as a negative answer is kept unless said otherwise.
pub const ABSENCE_SECONDS_MAX: u32 = 3_600;
/// The shortest: what was found for an answer must last until that answer is done.
pub const REMEMBERED_FOR_MIN: Duration = Duration::from_secs(10);
/// How long a zone that is bogus, or whose keys did not come, stays so: it may be mended at any moment, and each try
/// costs its servers packets (RFC 9520 §3.2: at least 1 s).
pub const BOGUS_REMEMBERED_FOR: Duration = Duration::from_secs(10);

const _: () = assert!(FAILED_CHECKS_OF_SET_MAX < FAILED_CHECKS_MAX && FAILED_CHECKS_MAX < CHECKS_MAX);
const _: () = assert!(REPLY_OCTETS_MAX > 2 * crate::base::limits::MESSAGE_OCTETS_MAX);
const _: () = assert!(REMEMBERED_OCTETS_MAX > 100 * crate::base::limits::MESSAGE_OCTETS_MAX);
const _: () = assert!(SETS_MAX > 3 * crate::base::limits::CHAIN_STEPS_MAX);
