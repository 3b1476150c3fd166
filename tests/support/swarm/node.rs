//! A machine of the swarm: a network stack, mounts and a host name of its own, and a cable that can be pulled.
//!
//! Its first process does nothing but hold the namespaces: so an engine can be killed and started again on what it left.

use super::say::{ip, run};
use super::wait_for;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The bridge's own address: what is outside of the swarm.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 254);

/// One machine.
pub struct Node {
    /// Its host name.
    pub name: String,
    pub address: Ipv4Addr,
    /// Where its files are, seen from everywhere alike.
    pub dir: PathBuf,
    holder: Child,
}

/// The switch that all nodes are at.
pub fn bridge() {
    ip("link set lo up");
    ip("link add lan type bridge");
    ip(&format!("addr add {OUTSIDE}/24 dev lan"));
    ip("link set lan up");
}

impl Node {
    /// The node of that number, from 1.
    pub fn new(dir: &Path, number: usize) -> Node {
        let (name, address) = (format!("n{number}"), Ipv4Addr::new(10, 90, 0, number as u8));
        let dir = dir.join(&name);
        fs::create_dir_all(&dir).expect("a directory");
        ip(&format!("netns add {name}"));
        ip(&format!("link add p-{name} type veth peer name eth0 netns {name}"));
        ip(&format!("link set p-{name} master lan up"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} addr add {address}/24 dev eth0"));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} route add default via {OUTSIDE}"));
        fs::write(dir.join("resolv.conf"), format!("nameserver {OUTSIDE}\n")).expect("a file");
        // The engine keeps some things at fixed places, whatever it is told.
        let script = format!(
            "set -e; mount --make-rprivate /
             mount -t tmpfs none /run
             for place in /etc/docker /var/lib/docker; do mkdir -p $place; mount -t tmpfs none $place; done
             mount --bind {resolv} /etc/resolv.conf
             hostname {name}
             touch {ready}
             exec sleep infinity",
            resolv = dir.join("resolv.conf").display(),
            ready = dir.join("ready").display(),
        );
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{name}"));
        command.args(["unshare", "--mount", "--uts", "sh", "-c", &script]);
        let holder = command.stdin(Stdio::null()).spawn().expect("nsenter");
        let node = Node { name, address, dir, holder };
        wait_for("a node's namespaces", || node.dir.join("ready").exists());
        node
    }

    /// A process whose namespaces are the node's.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command that runs on the node.
    pub fn on(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--uts", "--target", &self.pid().to_string(), "--", program]);
        command
    }

    /// Pulls its cable, at the switch's end.
    pub fn cut(&self) {
        ip(&format!("link set p-{} down", self.name));
    }

    /// Puts it back.
    pub fn heal(&self) {
        ip(&format!("link set p-{} up", self.name));
    }

    /// Ends a process at once. All are in one namespace of processes.
    pub fn kill(pid: u32) {
        run(Command::new("kill").args(["-KILL", &pid.to_string()]));
    }
}
