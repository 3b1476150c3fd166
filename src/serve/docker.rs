//! The container engine to watch, and the ways between the two threads that know of it.

use crate::base::config::{Config, EngineSocket, Source};
use crate::control::cluster::Engine;
use crate::control::{Event, Mailbox};
use crate::services::docker::Terms;
use crate::services::docker::{Board, Compared, Docker, RESOLVER, speaking};
use crate::wire::name::Name;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;

/// The group that may use the engine's socket: whoever gives up root's rights has to be in it.
pub(super) fn groups(config: &Config) -> Vec<u32> {
    match &config.docker.socket {
        EngineSocket::Unix(path) if !config.no_docker => {
            path.metadata().map(|found| found.gid()).into_iter().collect()
        }
        EngineSocket::Unix(_) | EngineSocket::Tcp { .. } => Vec::new(),
    }
}

/// For the services thread, and for the control thread.
pub(super) fn prepare(
    config: &Config,
    environment: &BTreeMap<String, OsString>,
    mailbox: &Mailbox,
) -> (Option<Docker>, Engine) {
    if config.no_docker {
        return (None, Engine::without());
    }
    let is_asked_for = config.said.source("docker.socket") != Source::Default;
    let is_there = match &config.docker.socket {
        EngineSocket::Unix(path) => path.exists(),
        EngineSocket::Tcp { .. } => true,
    };
    let (speak, hearing) = speaking();
    let (mailbox, asking) = (mailbox.clone(), mailbox.clone());
    let docker = Docker {
        socket: config.docker.socket.clone(),
        is_asked_for,
        api_max: environment.get("DOCKER_API_VERSION").and_then(|text| text.to_str()).map(str::to_owned),
        terms: Terms {
            node: config.server.node.clone(),
            networks: config.docker.networks.clone(),
            label_prefix: config.docker.label_prefix.clone(),
        },
        joins: if config.no_gossip { Vec::new() } else { config.gossip.join.clone() },
        relist: config.docker.relist,
        lease: config.services.lease,
        // Nobody listens any more when the server is stopping.
        tell: Box::new(move |tales| _ = mailbox.send(Event::Engine(tales))),
        hearing,
        shadow: compared(config, asking),
    };
    // Where there is no engine and nobody asked for one, nothing waits for it.
    let is_optional = !is_asked_for;
    (Some(docker), Engine::watched(is_optional, is_asked_for || is_there, speak))
}

/// What is compared with the engine's own resolver; nothing unless somebody wants it.
fn compared(config: &Config, mailbox: Mailbox) -> Option<Compared> {
    let share = config.shadow.sample.get();
    (share > 0.0).then(|| Compared {
        share,
        every: config.docker.relist,
        // The configuration accepts nothing that is not a name.
        domain: Name::parse(config.services.domain.as_str()).unwrap_or(Name::ROOT),
        resolver: RESOLVER,
        ask: Box::new(move |request, answer| _ = mailbox.send(Event::Request { request, answer })),
        board: Board::default(),
    })
}
