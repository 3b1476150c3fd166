//! `hivedns serve --forward ADDR ...`, as an operator starts it: no file, no zones.

use crate::oracle::names;
use crate::oracle::process::{self, Server};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The server under test.
pub struct Forwarder {
    pub address: SocketAddr,
    http: SocketAddr,
    server: Server,
}

impl Forwarder {
    /// On a port that is free.
    pub fn start(dir: &Path, upstreams: &[SocketAddr]) -> Forwarder {
        Forwarder::start_at(process::free_port().expect("a port"), dir, upstreams)
    }

    /// At that address.
    pub fn start_at(address: SocketAddr, dir: &Path, upstreams: &[SocketAddr]) -> Forwarder {
        let http = process::free_port().expect("a port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivedns"));
        command.args(["serve", "--no-gossip", "--no-docker", "--workers", "1"]).current_dir(dir).env_clear();
        command.args(["--listen", &address.to_string(), "--http", &http.to_string()]);
        command.arg("--control").arg(dir.join("control")).arg("--state-dir").arg(dir.join("state"));
        for upstream in upstreams {
            command.args(["--forward", &upstream.to_string()]);
        }
        let localhost = names::from_text("localhost.").expect("a name");
        let server = Server::start("forwarder", command, address, dir, &[localhost]);
        Forwarder { address, http, server: server.unwrap_or_else(|why| panic!("{why}")) }
    }

    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The sum of the samples of a metric whose labels contain all of these.
    pub fn counted(&self, metric: &str, labels: &[&str]) -> u64 {
        let text = process::metrics(self.http).unwrap_or_else(|error| panic!("{error}: {}", self.log()));
        process::sum(&text, metric, labels)
    }

    /// Queries of clients by transport and type.
    pub fn asked(&self, proto: &str, rtype: &str) -> u64 {
        let labels = [format!("proto=\"{proto}\""), format!("type=\"{rtype}\"")];
        self.counted("hivedns_dns_requests_total", &labels.each_ref().map(String::as_str))
    }

    /// Queries sent to an upstream.
    pub fn sent(&self, upstream: SocketAddr) -> u64 {
        self.counted("hivedns_forward_requests_total", &[&format!("to=\"{upstream}\"")])
    }
}
