//! The engine of a node: a `dockerd` with its own `containerd`, and the command that drives it.

use super::node::Node;
use super::say::{said, tried};
use super::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running engine; with this value it is killed.
pub struct Engine {
    pub node: Node,
    /// The control group of its containers.
    group: String,
    daemon: Option<Child>,
}

/// A container as it runs.
#[derive(Debug, Clone)]
pub struct Container {
    pub id: String,
    /// Its first process.
    pub pid: u32,
    /// `SVC.SLOT.TASK` of a task.
    pub name: String,
    /// The name of its node.
    pub node: String,
    pub labels: BTreeMap<String, String>,
    /// Addresses by network.
    pub networks: BTreeMap<String, (Ipv4Addr, Option<Ipv6Addr>)>,
}

impl Container {
    /// The task that it is the container of.
    pub fn task(&self) -> Option<&str> {
        self.labels.get("com.docker.swarm.task.id").map(String::as_str)
    }

    /// Its address in a network.
    #[track_caller]
    pub fn address(&self, network: &str) -> Ipv4Addr {
        self.networks.get(network).unwrap_or_else(|| panic!("{} is not in {network}", self.name)).0
    }
}

impl Engine {
    /// On that node, not started yet.
    pub fn new(node: Node, group: &str) -> Engine {
        Engine { node, group: group.to_owned(), daemon: None }
    }

    fn socket(&self) -> PathBuf {
        self.node.dir.join("socket")
    }

    /// How a command finds it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts it, on what it left if it ran before; does not wait.
    pub fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.node.dir.join("log"));
        let place = |name: &str| self.node.dir.join(name).into_os_string();
        let mut command = self.node.on("dockerd");
        command.arg("--data-root").arg(place("data")).arg("--exec-root").arg(place("exec"));
        // At the usual place, too, where the stack's containers get it from.
        command.arg("--pidfile").arg(place("pid")).args(["-H", "unix:///var/run/docker.sock", "-H"]);
        command.arg(self.host()).arg("--cgroup-parent").arg(format!("/{}", self.group));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.expect("a log"));
        self.daemon = Some(command.spawn().expect("nsenter"));
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    /// Ends it at once, as a crash would. Its containers go on.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = (daemon.kill(), daemon.wait());
        }
        // A daemon that starts holds this for another's.
        let _ = fs::remove_file(self.node.dir.join("pid"));
    }

    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        self.tried(&["version", "--format", "{{.Server.Version}}"]).is_ok()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.node.dir.join("log")).unwrap_or_default()
    }

    /// `docker WORDS` at this engine.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("DOCKER_HOST", self.host()).env_remove("DOCKER_CONTEXT");
        command
    }

    /// What its command prints, or why it failed.
    pub fn tried(&self, words: &[&str]) -> Result<String, String> {
        tried(&mut self.command(words))
    }

    /// What its command prints; it must work.
    #[track_caller]
    pub fn docker(&self, words: &[&str]) -> String {
        self.tried(words).unwrap_or_else(|why| panic!("{}$ docker {words:?}: {why}", self.node.name))
    }

    /// The same, with something to read.
    #[track_caller]
    pub fn fed(&self, words: &[&str], octets: &[u8]) {
        let mut command = self.command(words);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("docker");
        child.stdin.take().expect("a pipe").write_all(octets).expect("it reads");
        let output = child.wait_with_output().expect("docker");
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}$ docker {words:?}: {why}", self.node.name);
    }

    /// The containers that run, of those whose name begins so.
    pub fn containers(&self, prefix: &str) -> Vec<Container> {
        let Ok(ids) = self.tried(&["ps", "-q", "--no-trunc", "--filter", &format!("name=^{prefix}")]) else {
            return Vec::new();
        };
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Vec::new();
        }
        // One that has ended meanwhile makes it fail, and the others are told all the same.
        let told = said(&mut self.command(&[&["inspect"], &ids[..]].concat()));
        let all: Vec<Value> = serde_json::from_slice(&told.stdout).unwrap_or_default();
        all.iter().filter_map(|told| container(told, &self.node.name)).collect()
    }

    /// Waits until it answers.
    pub fn wait_up(&self) {
        wait_for(&format!("the engine of {} to answer", self.node.name), || self.is_up());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

fn container(told: &Value, node: &str) -> Option<Container> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let labels = told["Config"]["Labels"].as_object()?;
    let networks = told["NetworkSettings"]["Networks"].as_object()?;
    Some(Container {
        id: text(&told["Id"])?,
        pid: told["State"]["Pid"].as_u64().filter(|pid| *pid > 0)? as u32,
        name: told["Name"].as_str()?.trim_start_matches('/').to_owned(),
        node: node.to_owned(),
        labels: labels.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect(),
        networks: networks
            .iter()
            .filter_map(|(name, own)| {
                let v6 = own["GlobalIPv6Address"].as_str().and_then(|address| address.parse().ok());
                Some((name.clone(), (own["IPAddress"].as_str()?.parse().ok()?, v6)))
            })
            .collect(),
    })
}
