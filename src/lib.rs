//! hivedns: the distributed DNS for container swarms. What stands today is an authoritative name server, the cluster
//! (nodes that replicate records to each other), and a resolver.
//!
//! This page is the map of the house; `docs/architecture.md` has the reasons.
//!
//! # Bird's eye
//!
//! ```text
//!  master files ──► LOADER thread: read, check, seal ──┐
//!  signals ──► SIGNALS thread ─────────────────────────┴─ Event ─► CONTROL thread
//!  members ◄── UDP, TCP ──► gossip machine ───────────────────────┘ Delta ─► State ─► Snapshot
//!                                                                                       │ publish
//!      SERVICES thread: health, metrics ◄── Status, counters                      [ Published ]
//!      (HTTP, control socket)  ── Request ─► Event                                       │
//!      (container engine) ────── Tale ─────► Event                                       │
//!                                                                                       │ one look per batch
//!  ┌─ WORKER i, on core i: its own UDP socket and TCP listener for each address ────────▼──────────────────┐
//!  │ receive a batch ─► accept ─► hash ─► route ─► answer(snapshot, query) ─► send the batch               │
//!  └───────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A change is prepared completely on the left, then one pointer is exchanged. A worker only ever reads.
//!
//! # Floors
//!
//! Imports run downwards only; `tests/floors.rs` proves it, module by module.
//!
//! ```text
//! roof    main, serve, cli, verbs, simulate, log
//! 4       worker    control    loader    services    keeper    threads: loops, sockets, clocks
//!         testing                                      the gossip machines in a made-up world
//! 3       answer                                       pure: a snapshot and a query make an answer
//!         gossip                                       pure: membership and replication
//!         discovery                                    pure: what is replicated, and the records it stands for;
//!                                                      what a container engine's answers and events mean
//!         disk                                         what outlives the process
//!         resolve                                      pure: asking others, and remembering their answers
//!         transfer                                     pure: zones between servers, and signatures
//! 2       catalog, zone                                data: what is answered from
//! 1       wire                                         octets: names, messages, sealed sets
//! 0       base                                         bounds, configuration, counters, integers
//! side    os                                           the only unsafe: sockets, clock, entropy, cores, rights
//! ```
//!
//! # Reading order
//!
//! From the bottom, each after what it stands on:
//!
//! 1. [`base::limits`]: every bound with its reason. [`base::config`]: what the operator can say.
//! 2. [`wire::name`] and [`wire::key`]: a name, and a name made ready for look-up. [`wire::query`]: which messages
//!    are queries. [`wire::sealed`] and [`wire::reply`]: records ready to be copied, and the copying.
//! 3. [`zone::master`]: text in, records out. [`zone::draft`], [`zone::seal`], [`zone::store`]: from records to
//!    a sealed zone, and how that lies in memory. [`zone::zone`]: where a name leads.
//! 4. [`catalog`]: all zones as one value, changed by deltas, published by an exchange of pointers.
//! 5. [`answer`]: RFC 1034 §4.3.2, read off the names of its functions.
//! 6. [`worker`]: the loop around it. [`loader`] and [`control`]: where snapshots come from.
//! 7. [`disk`]: what outlives the process, and how it survives crashes. [`keeper`]: the thread in front of it.
//! 8. [`resolve`]: what is asked of others: [`resolve::question`], [`resolve::body`], [`resolve::exchange`]; then its
//!    machines, [`resolve::forward`], [`resolve::iterate`], [`resolve::validate`], and [`resolve::cache`].
//!    [`transfer`]: who may have a zone, [`transfer::tsig`], [`transfer::outgoing`], and [`transfer::secondary`].
//! 9. [`gossip`]: who is in the cluster, and every record on every node; [`control::cluster`] gives it sockets and
//!    makes names of its news; [`testing`] lets thousands of it live in one process.
//! 10. [`discovery::engine`]: what a container engine's answers and events mean; [`services::docker`] asks it, and
//!     [`control::engine`] is what comes of it. [`discovery::cut`]: how the domain goes to other servers.
//! 11. [`control::request`] and [`control::document`]: what a user may ask of a running server. [`services`] takes it,
//!     [`cli`] and [`verbs`] are the user's side.
//! 12. [`serve`]: how all of it is put together, and in which order it may fail.
//!
//! # What each module does not know
//!
//! - [`base`] does not know that there is a DNS.
//! - [`os`] does not know a DNS message from any other datagram. Nothing outside of it holds `unsafe`.
//! - [`wire`] knows no zone. It reads no clock, allocates nothing for a query or a reply, and cannot be made to
//!   panic by octets.
//! - [`zone`] knows one zone: no query, no other zone, no socket, no thread. A sealed zone never changes.
//! - [`catalog`] does not know who reads it, or what is asked. Its only input is a delta.
//! - [`answer`] does not know the time, the asker's address, or whether the answer goes by UDP or TCP; it knows
//!   a buffer and a limit.
//! - [`gossip`] does not know that what it carries are names: keys and values are octets. It has no socket, no clock
//!   and no randomness of its own.
//! - [`discovery`] does not know how anything is replicated, nor who said it.
//! - [`resolve`] does not know which socket a datagram goes through or which zones are ours.
//! - [`transfer`] does not know where octets come from or go to, nor what time it is.
//! - [`services`] changes nothing: what does is the control thread's to do. [`verbs`] knows the server by its
//!   documents alone.
//! - [`worker`] does not know where a snapshot came from or what was before it. It takes no lock, waits only in
//!   `poll`, writes no log line, and frees no snapshot.
//! - [`control`] never sees a query. [`loader`] never sees a snapshot's use; it makes zones and frees leftovers.
//! - [`disk`] does not know what it keeps: ids, keys and records are numbers and octets. [`keeper`] waits for it,
//!   so that no other thread does.
//! - Only the threads and [`serve`] know what time it is; everything below takes `now` as an argument.

pub mod answer;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod discovery;
pub mod disk;
pub mod gossip;
pub mod keeper;
pub mod loader;
pub mod log;
pub mod os;
pub mod resolve;
pub mod serve;
pub mod services;
pub mod simulate;
pub mod testing;
pub mod transfer;
pub mod verbs;
pub mod wire;
pub mod worker;
pub mod zone;
