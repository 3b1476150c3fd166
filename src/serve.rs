//! Putting the server together: sockets, privileges, threads, in the order in which each may fail.

mod docker;
mod exchanges;
mod resolving;

use crate::base::config::{Config, Inputs};
use crate::base::control_socket;
use crate::base::limits;
use crate::base::metrics::ZONE_SLOTS;
use crate::catalog::published::Publisher;
use crate::catalog::state::State;
use crate::control::cluster::{self, Cluster, Lots, Ports, Remembered, Resolver};
use crate::control::exchange::{self, Exchange, Secrets};
use crate::control::status::Status;
use crate::control::updates::Door;
use crate::control::{self, Control, Event, Mailbox};
use crate::disk::zones::Zones;
use crate::gossip::secrecy::keyring::Ring;
use crate::keeper::opening::{self, Opened, Opening};
use crate::keeper::{Keeper, Told};
use crate::loader::{Done, Loader};
use crate::os::listen::{self, Pair};
use crate::os::unix::{self, Listening};
use crate::os::{affinity, clock, entropy, privileges};
use crate::serve::resolving::Prepared;
use crate::services::docker::Docker;
use crate::services::{self, Insight, Services, Standings, Work, ZoneWork};
use crate::wire::key::HashSeed;
use crate::worker::{self, Settings, Setup, Sockets, Upstreams, Worker};
use arc_swap::ArcSwap;
use mio::{Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the server did not start: one line that says what failed and what to do.
#[derive(Debug)]
pub enum StartError {
    /// What was asked for cannot be had: the configuration has to change, or what stands in its way.
    Configuration(String),
    /// The system refused what no configuration asks for.
    Failed(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::Configuration(line) | StartError::Failed(line) => f.write_str(line),
        }
    }
}

impl std::error::Error for StartError {}

/// A server that listens but does not answer yet.
pub struct Server {
    inputs: Inputs,
    config: Config,
    addresses: Vec<SocketAddr>,
    sockets: Vec<Sockets>,
    http: TcpListener,
    /// The text of the cluster's keys.
    keys: Option<String>,
    /// Those of the TSIG keys.
    secrets: Secrets,
    /// None without gossip.
    gossip: Option<Ports>,
    /// None if none was asked for and there is no usual place for one.
    control: Option<(UnixListener, Listening)>,
}

impl Server {
    /// Opens all sockets.
    pub fn bind(config: Config, inputs: Inputs) -> Result<Server, StartError> {
        let workers = match config.server.workers.get() {
            0 => affinity::worker_count(),
            n => n as usize,
        };
        let mut sockets: Vec<Sockets> = (0..workers).map(|_| Sockets::default()).collect();
        let mut addresses = Vec::new();
        for &address in &config.server.listen {
            let pairs = listen::open(address, workers)
                .map_err(|error| cannot_listen("server.listen", "--listen", address, &error))?;
            addresses.extend(pairs.first().and_then(|pair| pair.udp.local_addr().ok()));
            for (Pair { udp, tcp }, worker) in pairs.into_iter().zip(&mut sockets) {
                worker.udp.push(udp);
                worker.tcp.push(tcp);
            }
        }
        let http = listen_to_http(config.http.listen)
            .map_err(|error| cannot_listen("http.listen", "--http", config.http.listen, &error))?;
        let keys = cluster::read_keys(&config).map_err(|error| {
            let path = &config.gossip.keys_file;
            StartError::Configuration(format!("gossip.keys_file: cannot read {path}: {error}"))
        })?;
        let secrets = Secrets::read(&config, &Secrets::default()).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            StartError::Configuration(lines.join("\n"))
        })?;
        let gossip = listen_to_members(&config)?;
        // Last: the marks that it leaves in the file system are those of a server that starts.
        let control = listen_to_users(&config, &inputs)?;
        Ok(Server { inputs, config, addresses, sockets, http, keys, secrets, gossip, control })
    }

    /// The addresses it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Gives up all rights that it no longer needs, and answers until it is told to stop. **No other thread may
    /// have been started before.**
    pub fn run(self) -> Result<(), StartError> {
        let failed = |what: &str, error: io::Error| StartError::Failed(format!("cannot {what}: {error}"));
        let user = &self.config.server.user;
        if !user.is_empty() {
            let (uid, gid) = privileges::ids_of(user)
                .map_err(|error| StartError::Configuration(format!("server.user: {error}")))?;
            // If it fails, opening the directory tells what is wrong with it.
            if let Ok(Some(path)) = opening::hand_over(&self.config.server.state_dir, (uid, gid)) {
                tracing::info!("{} is handed over to {user}", path.display());
            }
            if let Some((_, listening)) = &self.control {
                listening
                    .hand_over(uid, gid)
                    .map_err(|error| failed(&format!("hand the control socket to {user}"), error))?;
            }
            privileges::drop_to(user, &docker::groups(&self.config))
                .map_err(|error| StartError::Configuration(format!("server.user: {error}")))?;
        }
        let (remembered, zones) = remember(&self.config, &self.inputs)?;
        let udp: io::Result<Vec<UdpSocket>> =
            self.sockets.iter().flat_map(|sockets| &sockets.udp).map(UdpSocket::try_clone).collect();
        let udp = udp.map_err(|error| failed("duplicate a socket", error))?;
        let (seed, lots) = draw().map_err(|error| failed("draw random numbers", error))?;
        let poll = Poll::new().map_err(|error| failed("wait for events", error))?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(|error| failed("wait for events", error))?;
        let (mailbox, inbox) = Mailbox::new(waker);
        listen_to_signals(mailbox.clone()).map_err(|error| failed("listen to signals", error))?;
        let resolver = match self.config.gossip.join.is_empty() || self.gossip.is_none() {
            true => None,
            false => {
                Some(start_resolver(mailbox.clone()).map_err(|error| failed("start the resolver", error))?)
            }
        };

        // `Cluster::start` tells what is wrong with them.
        let keys = self.keys.as_deref().and_then(|text| Ring::parse(text).ok());
        // Once the rights are given up the file may be out of reach: then it is as it was.
        let keys_file = keys.as_ref().map(|_| PathBuf::from(&self.config.gossip.keys_file));
        let inputs = Inputs { keys_file, ..self.inputs };
        let now = clock::moment(clock::now());
        let mut state = State::new(seed, ZONE_SLOTS as u16);
        control::initial(&self.config).for_each(|delta| state.apply(delta));
        let secrets = (self.keys.as_deref(), self.gossip, &*self.addresses);
        let (docker, engine) = docker::prepare(&self.config, &inputs.environment, &mailbox);
        let ways = (resolver, engine);
        let (cluster, deltas) =
            Cluster::start(now, &self.config, remembered, &lots, secrets, poll.registry(), ways).map_err(
                |error| match error.kind() {
                    // The file of keys.
                    io::ErrorKind::InvalidData => StartError::Configuration(error.to_string()),
                    _ => failed("join the cluster", error),
                },
            )?;
        deltas.into_iter().for_each(|delta| state.apply(delta));
        let publisher = Publisher::new(state.snapshot(now));
        let to_control = mailbox.clone();
        let loader = Loader::start(seed, zones, move |done| {
            // Nobody listens any more when the server is stopping.
            let _ = to_control.send(match done {
                Done::Zone(round, loaded) => Event::Loaded { round, loaded: Box::new(loaded) },
                Done::Arrival(loaded) => Event::Arrived(Box::new(loaded)),
                Done::Updates(updated) => Event::Updated(Box::new(updated)),
            });
        })
        .map_err(|error| failed("start the loader", error))?;

        let (errands, todo) = services::errands();
        let ways = (errands, &mailbox);
        let prepared = resolving::prepare(&self.config, self.addresses, self.sockets.len(), ways);
        let Prepared { resolving, setups, deliveries, upstreams, walks: (roots, policy) } =
            prepared.map_err(StartError::Configuration)?;
        let transfers = Arc::new(ArcSwap::from_pointee(exchange::policy(&self.config, &self.secrets, &[])));
        let ((notifies, notified), (orders, ordered)) = (services::notifies(), services::orders());
        let under_way = Arc::default();
        let door = Door::new(&self.config, loader.changer(), mailbox.clone(), &under_way);
        let exchanges = exchanges::make(setups.len(), &transfers, &notifies, &door);
        let setups = setups.into_iter().zip(exchanges).collect();
        let workers = start_workers(self.sockets, &publisher, settings(&self.config), setups)
            .map_err(|error| failed("start the workers", error))?;
        // The services thread asks upstream servers, too, if what they say is to be validated.
        let own = Upstreams::default();
        let upstreams = [upstreams, vec![Arc::clone(&own)]].concat();
        let workers_back = resolving::ways_back(&workers, deliveries);
        let shared = Arc::clone(&policy);
        let published = publisher.published().clone();
        let work = Work { todo, workers: workers_back, roots, policy: shared, published, upstreams: own };
        let status = Arc::new(ArcSwap::from_pointee(Status::default()));
        let counters = workers.iter().map(|worker| Arc::clone(worker.counters())).collect();
        let cache = Arc::clone(&resolving.cache);
        let standings = Standings::default();
        let insight = Insight {
            status: Arc::clone(&status),
            counters,
            udp,
            cache,
            upstreams,
            standings: standings.clone(),
            shadow: docker.as_ref().and_then(Docker::board),
            policy,
        };
        let to_control = mailbox.clone();
        let tell = Box::new(move |news| to_control.send(Event::Exchange(news)));
        let zone_work = ZoneWork { ordered, notified, tell, standings };
        let exchange = Exchange {
            policy: transfers,
            orders: Box::new(move |order| orders.give(order)),
            secrets: self.secrets,
            untold: Vec::new(),
            since: BTreeMap::new(),
            under_way,
            unacknowledged: Vec::new(),
            places: HashMap::new(),
        };
        let control = Control::new(
            (inputs, self.config, keys),
            (state, publisher),
            loader,
            workers,
            status,
            (cluster, poll),
            (resolving, exchange),
        );
        let (users, listening) = self.control.unzip();
        // When nobody takes it any more, the answer is dropped with it, and that is an answer too.
        let ask = Box::new(move |request, answer| _ = mailbox.send(Event::Request { request, answer }));
        let services = Services::start(self.http, users, insight, ask, (work, zone_work, docker))
            .map_err(|error| failed("start the services thread", error))?;
        control.run(&inbox);
        // What is still asked finds nobody: those who wait are told.
        drop(inbox);
        // Last: probes see that the server stops.
        services.finish();
        drop(listening);
        Ok(())
    }
}

/// The token of the control thread's waker.
const WAKER: Token = Token(0);

/// What this life draws from the system's entropy.
fn draw() -> io::Result<(HashSeed, Lots)> {
    let lots = Lots {
        boot: u64::from_le_bytes(entropy::random()?),
        secret: entropy::random()?,
        seed: u64::from_le_bytes(entropy::random()?),
    };
    Ok((HashSeed::new(entropy::random()?), lots))
}

fn start_resolver(mailbox: Mailbox) -> io::Result<Resolver> {
    Resolver::start(move |addresses, all| _ = mailbox.send(Event::Resolved { addresses, all }))
}

/// Opens the ports of the cluster's traffic. Those that were asked for must be had; where nobody said a word of a
/// cluster the server goes on alone: a second server of a machine, to try something.
fn listen_to_members(config: &Config) -> Result<Option<Ports>, StartError> {
    if config.no_gossip {
        return Ok(None);
    }
    match Ports::bind(config.gossip.bind) {
        Ok(ports) => Ok(Some(ports)),
        Err(error) => {
            let refused = cannot_listen("gossip.bind", "--gossip", config.gossip.bind, &error);
            if config.gossip_is_asked_for() {
                return Err(refused);
            }
            tracing::warn!("this node is a cluster of its own: {refused}");
            Ok(None)
        }
    }
}

/// Opens the state directory and begins a new life of this node.
fn remember(config: &Config, inputs: &Inputs) -> Result<(Remembered, Option<Zones>), StartError> {
    let random = || -> Result<u64, StartError> {
        let octets = entropy::random();
        octets
            .map(u64::from_le_bytes)
            .map_err(|error| StartError::Failed(format!("cannot draw random numbers: {error}")))
    };
    let failed =
        |error: &dyn std::fmt::Display| StartError::Configuration(format!("server.state_dir: {error}"));
    let opening =
        opening::open(&config.server.state_dir, &inputs.environment).map_err(|error| failed(&error))?;
    let Opened { path, mut dir, restored } = match opening {
        Opening::Open(opened) => *opened,
        Opening::Without(reason) => {
            tracing::warn!("nothing is remembered across restarts: {reason}");
            let remembered = Remembered {
                id: random()?,
                generation: 1,
                cluster: Vec::new(),
                peers: Vec::new(),
                ring: None,
                shared: None,
                keeper: None,
            };
            return Ok((remembered, None));
        }
    };
    for notice in &restored.notices {
        if notice.is_loss() {
            tracing::error!("{notice}");
        } else {
            tracing::warn!("{notice}");
        }
    }
    let id = match restored.id {
        Some(id) => id,
        None => random()?,
    };
    // A node that lived so often is one that somebody gave this number.
    let generation = restored.generation.saturating_add(1);
    dir.write_identity(id, generation).map_err(|error| failed(&error))?;
    tracing::info!("state in {}: node {id:016x}, start {generation}", path.display());
    let zones = Zones::new(&path);
    let keeper = Keeper::start(dir, |told| match told {
        Told::Refused { error } => tracing::error!("not remembered: {error}"),
        Told::Failing { error, next } => tracing::error!("{error}; next attempt in {next:?}"),
        Told::Lost { error } => tracing::error!("the last changes may be lost: {error}"),
        Told::Died => tracing::error!("the keeper died: from here on nothing is kept on disk"),
    });
    let keeper = keeper.map_err(|error| StartError::Failed(format!("cannot start the keeper: {error}")))?;
    let remembered = Remembered {
        id,
        generation,
        cluster: restored.cluster,
        peers: restored.peers,
        ring: restored.ring,
        shared: restored.shared,
        keeper: Some(keeper),
    };
    Ok((remembered, Some(zones)))
}

fn settings(config: &Config) -> Settings {
    let workers = match config.server.workers.get() {
        0 => affinity::worker_count(),
        n => n as usize,
    };
    Settings {
        udp_payload_max: config.server.udp_payload_max.get() as u16,
        tcp_idle: config.server.tcp_idle,
        tcp_connections_max: (config.server.tcp_connections_max.get() as usize).div_ceil(workers),
    }
}

const _: () = assert!(limits::UDP_PAYLOAD_MAX <= crate::os::udp::DATAGRAM_OCTETS_MAX as u32);

fn start_workers(
    sockets: Vec<Sockets>,
    publisher: &Publisher,
    settings: Settings,
    setups: Vec<(Setup, worker::Exchange)>,
) -> io::Result<Vec<Worker>> {
    let cores = affinity::cores();
    let numbered = sockets.into_iter().zip(setups).enumerate();
    numbered
        .map(|(number, (sockets, (setup, exchange)))| {
            let core = cores.get(number % cores.len().max(1)).copied();
            let both = (Some(setup), exchange);
            Worker::start(number, core, sockets, publisher.published(), settings, both)
        })
        .collect()
}

fn listen_to_signals(mailbox: Mailbox) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGUSR1, SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let event = if matches!(signal, SIGHUP | SIGUSR1) { Event::Reload } else { Event::Stop };
            if !mailbox.send(event) {
                return;
            }
        }
    })?;
    Ok(())
}

fn listen_to_http(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Opens the control socket. One that was asked for must be had; where nobody said a word of it the server goes on
/// without: a second server of a machine, or one in a place that has no room for sockets.
fn listen_to_users(
    config: &Config,
    inputs: &Inputs,
) -> Result<Option<(UnixListener, Listening)>, StartError> {
    if let Some(path) = &config.control {
        return match unix::listen(path) {
            Ok(open) => Ok(Some(open)),
            Err(error) => Err(StartError::Configuration(cannot_control(path, &error))),
        };
    }
    match first_free(control_socket::usual(&inputs.environment)) {
        Ok(open) => Ok(Some(open)),
        Err(reasons) => {
            let reasons = reasons.join("; ");
            tracing::warn!("there is no control socket, the verbs cannot reach this server: {reasons}");
            Ok(None)
        }
    }
}

/// The first of these places that can be had, or why none can.
fn first_free(places: Vec<PathBuf>) -> Result<(UnixListener, Listening), Vec<String>> {
    let mut reasons = Vec::new();
    for path in places {
        match unix::listen(&path) {
            Ok(open) => return Ok(open),
            Err(error) => {
                reasons.push(cannot_control(&path, &error));
                // Nobody would find it in the next place: the verbs meet the first server in this one.
                if error.kind() == io::ErrorKind::AddrInUse {
                    break;
                }
            }
        }
    }
    Err(reasons)
}

fn cannot_control(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another server has the control socket {path}: stop it, or choose another with --control")
        }
        io::ErrorKind::NotFound => {
            format!("cannot make the control socket {path}: there is no such directory")
        }
        _ => format!("cannot make the control socket {path}: {error}; choose another with --control"),
    }
}

/// `key` and `flag` are what the address comes from.
fn cannot_listen(key: &str, flag: &str, address: SocketAddr, error: &io::Error) -> StartError {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program has this port: stop it, or choose another with",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE: or choose another with"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address, see `ip address`: choose another with"
        }
        _ => return StartError::Configuration(format!("{key}: cannot listen on {address}: {error}")),
    };
    StartError::Configuration(format!("{key}: cannot listen on {address}: {error}; {advice} {flag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_place_that_cannot_be_had_is_passed_over_unless_another_server_is_there() {
        let directory = std::env::temp_dir().join(format!("hivedns-serve-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (nowhere, place) = (directory.join("no/such/directory/s"), directory.join("s"));
        let (_listener, first) = first_free(vec![nowhere.clone(), place.clone()]).unwrap();
        assert_eq!(first.path(), place);
        let reasons = first_free(vec![nowhere, place, directory.join("never")]).unwrap_err();
        drop(first);
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].contains("there is no such directory"), "{reasons:?}");
        assert!(reasons[1].starts_with("another server has the control socket"), "{reasons:?}");
    }
}
