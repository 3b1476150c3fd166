//! What is outside of the swarm: a name server that knows the whole world. Engines look there for a registry, which there
//! is none of, and are told so at once: else each task waits for ten seconds. What is not the swarm's is found here.

use super::node::OUTSIDE;
use super::wait_for;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A name that is not the swarm's, and its address.
pub const ELSEWHERE: (&str, &str) = ("www.outside.", "192.0.2.80");

/// It ends with this value.
pub struct Outside(Child);

impl Outside {
    /// `program` is a hivedns that runs on this machine.
    pub fn start(dir: &Path, program: &Path) -> Outside {
        let dir = dir.join("outside");
        fs::create_dir_all(&dir).expect("a directory");
        let (name, address) = ELSEWHERE;
        let zone = format!("$TTL 60\n. SOA . . 1 2 3 4 5\n. NS ns.\nns. A {OUTSIDE}\n{name} A {address}\n");
        fs::write(dir.join("zone"), zone).expect("a file");
        let log = fs::File::create(dir.join("log")).expect("a file");
        let mut command = Command::new(program);
        command.args(["serve", "--no-docker", "--no-gossip", "--workers", "1", "--zone"]);
        command.arg(format!(".={}", dir.join("zone").display()));
        command.arg("--listen").arg(format!("{OUTSIDE}:53")).arg("--control").arg(dir.join("control"));
        command.arg("--state-dir").arg(dir.join("state")).env("HIVEDNS_FORWARD__.", "refuse");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let outside = Outside(command.spawn().expect("the program"));
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect((OUTSIDE, 53)).expect("a way");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("an option");
        wait_for("the name server outside", || {
            super::ask::over(&socket, name, super::ask::A).is_some_and(|told| told.answers == [address])
        });
        outside
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}
