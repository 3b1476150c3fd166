//! Putting the server together: sockets, privileges, threads, in the order in which each may fail.

use crate::base::config::{Config, Inputs};
use crate::base::limits;
use crate::base::metrics::ZONE_SLOTS;
use crate::catalog::published::Publisher;
use crate::catalog::state::State;
use crate::control::status::Status;
use crate::control::{self, Control, Event};
use crate::loader::Loader;
use crate::os::listen::{self, Pair};
use crate::os::{affinity, clock, entropy, privileges};
use crate::services::{Insight, Services};
use crate::wire::key::HashSeed;
use crate::worker::{Settings, Sockets, Worker};
use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

/// Why the server did not start: one line that says what failed and what to do.
#[derive(Debug)]
pub struct StartError(pub String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
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
        Ok(Server { inputs, config, addresses, sockets, http })
    }

    /// The addresses it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Gives up all rights that it no longer needs, and answers until it is told to stop. **No other thread may
    /// have been started before.**
    pub fn run(self) -> Result<(), StartError> {
        let failed = |what: &str, error: io::Error| StartError(format!("cannot {what}: {error}"));
        let user = &self.config.server.user;
        if !user.is_empty() {
            privileges::drop_to(user).map_err(|error| StartError(format!("server.user: {error}")))?;
        }
        let udp: io::Result<Vec<UdpSocket>> =
            self.sockets.iter().flat_map(|sockets| &sockets.udp).map(UdpSocket::try_clone).collect();
        let udp = udp.map_err(|error| failed("duplicate a socket", error))?;
        let seed = HashSeed::new(entropy::random().map_err(|error| failed("draw random numbers", error))?);
        let (sender, events) = unbounded();
        listen_to_signals(sender.clone()).map_err(|error| failed("listen to signals", error))?;

        let mut state = State::new(seed, ZONE_SLOTS as u16);
        control::initial(&self.config).for_each(|delta| state.apply(delta));
        let publisher = Publisher::new(state.snapshot(clock::moment(clock::now())));
        let loader = Loader::start(seed, move |round, loaded| {
            // Nobody listens any more when the server is stopping.
            let _ = sender.send(Event::Loaded { round, loaded: Box::new(loaded) });
        })
        .map_err(|error| failed("start the loader", error))?;

        let workers = start_workers(self.sockets, &publisher, settings(&self.config))
            .map_err(|error| failed("start the workers", error))?;
        let status = Arc::new(ArcSwap::from_pointee(Status::default()));
        let counters = workers.iter().map(|worker| Arc::clone(worker.counters())).collect();
        let insight = Insight { status: Arc::clone(&status), counters, udp };
        let control = Control::new((self.inputs, self.config), state, publisher, loader, workers, status);
        let services = Services::start(self.http, insight)
            .map_err(|error| failed("start the services thread", error))?;
        control.run(&events);
        // Last: probes see that the server stops.
        services.finish();
        Ok(())
    }
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
) -> io::Result<Vec<Worker>> {
    let cores = affinity::cores();
    let numbered = sockets.into_iter().enumerate();
    numbered
        .map(|(number, sockets)| {
            let core = cores.get(number % cores.len().max(1)).copied();
            Worker::start(number, core, sockets, publisher.published(), settings)
        })
        .collect()
}

fn listen_to_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGUSR1, SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let event = if matches!(signal, SIGHUP | SIGUSR1) { Event::Reload } else { Event::Stop };
            if events.send(event).is_err() {
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
        _ => return StartError(format!("{key}: cannot listen on {address}: {error}")),
    };
    StartError(format!("{key}: cannot listen on {address}: {error}; {advice} {flag}"))
}
