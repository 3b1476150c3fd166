//! The swarm: engines that are one, the images, the repository's own stack, and what tests deploy beside it.
//!
//! What a user would type is run as it is typed, and remembered: the transcript of `docs/swarm.md` is made of it.

use super::engine::{Container, Engine};
use super::node::{Node, bridge};
use super::outside::Outside;
use super::say::{run, tried};
use super::{PATIENCE, now, seat, stage, wait_for};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The services' domain.
pub const DOMAIN: &str = "hive.internal.";
/// The network in which clients reach hivedns with their own addresses.
pub const CLIENTS: &str = "hivedns";
/// The network of the members' own traffic.
pub const GOSSIP: &str = "hivedns_gossip";
/// The image of what runs beside it.
pub const CLIENT: &str = "client:1";
/// Containers of the stack's service begin so.
const SERVICE: &str = "hivedns_hivedns.";
/// Where each node's containers find their own node.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 1);
/// Where its HTTP is, within its container.
const HTTP: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 5380);

/// What was typed where, and what was said.
#[derive(Debug, Clone)]
pub struct Line {
    pub node: String,
    pub typed: String,
    pub said: String,
}

/// See the module.
pub struct Swarm {
    pub engines: Vec<Engine>,
    pub dir: PathBuf,
    repository: PathBuf,
    record: RefCell<Vec<Line>>,
    _outside: Outside,
}

impl Swarm {
    /// Engines on that many nodes, which have joined; `program` is a hivedns of this machine.
    pub fn raise(dir: &Path, repository: &Path, program: &Path, nodes: usize) -> Swarm {
        let swarm = Swarm::begin(dir, repository, program, nodes);
        swarm.unite();
        swarm
    }

    /// The same, where the first one is the only one that belongs to the swarm yet.
    pub fn begin(dir: &Path, repository: &Path, program: &Path, nodes: usize) -> Swarm {
        bridge();
        let outside = Outside::start(dir, program);
        let group = stage::group(dir);
        let new = |number| Engine::new(Node::new(dir, number), &group);
        let mut engines: Vec<Engine> = (1..=nodes).map(new).collect();
        engines.iter_mut().for_each(Engine::start);
        engines.iter().for_each(Engine::wait_up);
        let swarm = Swarm {
            engines,
            dir: dir.to_owned(),
            repository: repository.to_owned(),
            record: RefCell::default(),
            _outside: outside,
        };
        let typed = format!("docker swarm init --advertise-addr {}", swarm.engine(1).node.address);
        let said = run(&mut swarm.shell(1, &typed));
        // What follows tells a token that is nobody's business.
        swarm.remember(1, &typed, said.lines().next().unwrap_or_default());
        swarm.write_ssh();
        swarm
    }

    /// Has all nodes but the first join.
    pub fn unite(&self) {
        let token = self.manager().docker(&["swarm", "join-token", "--quiet", "worker"]);
        for number in self.numbers().skip(1) {
            self.join(number, &token);
        }
    }

    /// Has a node join as a worker.
    pub fn join(&self, number: usize, token: &str) {
        let (own, manager) = (self.engine(number).node.address, self.engine(1).node.address);
        let (own, manager) = (own.to_string(), format!("{manager}:2377"));
        let words = ["swarm", "join", "--token", token, "--advertise-addr", &own, &manager];
        let said = self.engine(number).docker(&words);
        let typed = format!("docker swarm join --token TOKEN --advertise-addr {own} {manager}");
        self.remember(number, &typed, &said);
    }

    /// The engine of that number, from 1.
    pub fn engine(&self, number: usize) -> &Engine {
        &self.engines[number - 1]
    }

    /// The one that manages.
    pub fn manager(&self) -> &Engine {
        self.engine(1)
    }

    /// Numbers of all nodes.
    pub fn numbers(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.engines.len()
    }

    /// What a shell says to that on a node; it must work, and is remembered.
    #[track_caller]
    pub fn typed(&self, number: usize, typed: &str) -> String {
        let said = run(&mut self.shell(number, typed));
        self.remember(number, typed, &said);
        said
    }

    /// What was typed so far, to be told.
    pub fn record(&self) -> Vec<Line> {
        self.record.borrow().clone()
    }

    /// There is no other machine to log in at: `ssh NODE` goes to that node's engine.
    fn write_ssh(&self) {
        let bin = self.dir.join("bin");
        fs::create_dir_all(&bin).expect("a directory");
        let host = format!("unix://{}/$node/socket", self.dir.display());
        let text = format!("#!/bin/sh\nnode=$1; shift\nDOCKER_HOST={host} exec \"$@\"\n");
        fs::write(bin.join("ssh"), text).expect("a file");
        run(Command::new("chmod").arg("755").arg(bin.join("ssh")));
    }

    fn remember(&self, number: usize, typed: &str, said: &str) {
        let (node, typed, said) = (self.engine(number).node.name.clone(), typed.to_owned(), said.to_owned());
        self.record.borrow_mut().push(Line { node, typed, said });
    }

    /// A shell in the repository whose `docker` speaks to that node's engine.
    fn shell(&self, number: usize, typed: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", typed]).current_dir(&self.repository);
        command.env("DOCKER_HOST", self.engine(number).host()).env_remove("DOCKER_CONTEXT");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.dir.join("bin").display()));
        command
    }

    /// Builds the image on the first node, of a program that is there already or as it is shipped, and brings it to the
    /// others.
    pub fn image(&self, program: Option<&Path>) {
        let typed = "tools/image hivedns:latest";
        let mut shell = self.shell(1, typed);
        if let Some(program) = program {
            shell.env("PROGRAM", program);
        }
        let said = run(&mut shell);
        self.remember(1, typed, &said);
        for number in self.numbers().skip(1) {
            self.typed(1, &format!("docker save hivedns:latest | ssh n{number} docker load"));
        }
    }

    /// Makes the image of what runs beside it, on all nodes: `/pause` waits, `/lookup` asks the C library for a name.
    pub fn client_image(&self) {
        let dir = self.dir.join("client");
        fs::create_dir_all(dir.join("tmp")).expect("a directory");
        for (program, source) in [("pause", "tests/docker/pause.c"), ("lookup", "tests/clients/lookup.c")] {
            let mut compiler = Command::new("musl-gcc");
            compiler.args(["-static", "-O1", "-o"]).arg(dir.join(program));
            run(compiler.arg(self.repository.join(source)));
        }
        let tar = Command::new("tar").args(["c", "pause", "lookup", "tmp"]).current_dir(&dir).output();
        let tar = tar.expect("tar").stdout;
        for engine in &self.engines {
            let import = ["import", "-c", "CMD [\"/pause\"]", "-c", "EXPOSE 8080/tcp", "-", CLIENT];
            engine.fed(&import, &tar);
        }
    }

    /// Deploys the repository's own stack as its documents say, and waits until all nodes are one cluster; how long that
    /// took from when the last container ran.
    pub fn deploy(&self) -> Duration {
        self.type_deploy();
        wait_for("a hivedns on every node", || self.numbers().all(|number| self.hivedns(number).is_some()));
        let began = now();
        self.wait_united();
        began.elapsed()
    }

    fn type_deploy(&self) {
        self.typed(1, "docker network create --driver overlay --attachable hivedns");
        self.typed(1, "docker run --rm hivedns:latest keygen | docker secret create hivedns-keys -");
        self.typed(1, "docker stack deploy --resolve-image never -c swarm-stack.yml hivedns");
    }

    /// Deploys the stack while the first node is the only one, waits until that is ready, and takes everything away again; how
    /// long it took to be ready from when its container ran.
    pub fn deploy_alone(&self) -> Duration {
        self.type_deploy();
        wait_for("a hivedns on the only node", || self.hivedns(1).is_some());
        let began = now();
        wait_for("the only node to be ready", || self.alive(1) == 1);
        let took = began.elapsed();
        let rest: [&[&str]; 4] = [
            &["network", "rm", GOSSIP],
            &["network", "rm", CLIENTS],
            &["secret", "rm", "hivedns-keys"],
            &["volume", "rm", "--force", "hivedns_state"],
        ];
        wait_for("the stack to be removed", || self.manager().tried(&["stack", "rm", "hivedns"]).is_ok());
        for words in rest {
            let is_gone = |why: String| why.contains("not found") || why.contains("No such");
            wait_for(&format!("{words:?}"), || self.manager().tried(words).map_or_else(is_gone, |_| true));
        }
        took
    }

    /// Waits until each engine's hivedns is ready and knows all others as alive.
    pub fn wait_united(&self) {
        let all = self.engines.len() as u64;
        wait_for("all nodes to be one cluster", || self.numbers().all(|number| self.alive(number) == all));
    }

    /// Waits until on each node that hivedns runs that the swarm wants there. One whose node was out of reach for long is
    /// replaced when the node is back.
    pub fn wait_settled(&self) {
        wait_for("the swarm to have on each node the hivedns that it wants", || {
            let wanted = self.wanted("hivedns_hivedns");
            let is_wanted = |hivedns: Container| hivedns.task().is_some_and(|id| wanted.contains(id));
            wanted.len() == self.engines.len()
                && self.numbers().all(|number| self.hivedns(number).is_some_and(is_wanted))
        });
    }

    /// The ids of a service's tasks that run, and that the swarm wants to.
    pub fn wanted(&self, service: &str) -> BTreeSet<String> {
        let words = ["service", "ps", service, "--no-trunc", "--filter", "desired-state=running"];
        let format = ["--format", "{{.ID}} {{.CurrentState}}"];
        let listed = self.manager().tried(&[&words[..], &format].concat()).unwrap_or_default();
        let running = listed.lines().filter_map(|line| line.split_once(" Running "));
        running.map(|(id, _)| id.to_owned()).collect()
    }

    /// How many members a ready node knows as alive; none while it is not ready.
    pub fn alive(&self, number: usize) -> u64 {
        let is_ready = |container: &Container| {
            get(container.pid, "/readyz").is_some_and(|text| text.starts_with("HTTP/1.1 200"))
        };
        let Some(container) = self.hivedns(number).filter(is_ready) else { return 0 };
        let Some(members) = document(container.pid, "members") else { return 0 };
        let members = members["members"].as_array().cloned().unwrap_or_default();
        members.iter().filter(|member| member["health"] == "alive").count() as u64
    }

    /// The hivedns of a node; none while it does not run.
    pub fn hivedns(&self, number: usize) -> Option<Container> {
        self.engine(number).containers(SERVICE).pop()
    }

    /// Where a container of the same network as hivedns finds that of a node.
    #[track_caller]
    pub fn listener(&self, number: usize) -> SocketAddr {
        let container = self.hivedns(number).expect("it runs");
        (container.address(CLIENTS), 53).into()
    }

    /// Where every container finds that of its own node.
    pub fn gateway(&self) -> SocketAddr {
        (GATEWAY, 53).into()
    }

    /// Containers whose names begin so, on all nodes.
    pub fn containers(&self, prefix: &str) -> Vec<Container> {
        self.engines.iter().flat_map(|engine| engine.containers(prefix)).collect()
    }

    /// The running tasks of a service.
    pub fn tasks(&self, service: &str) -> Vec<Container> {
        self.containers(&format!("{service}\\."))
    }

    /// Waits until exactly so many tasks of a service run.
    #[track_caller]
    pub fn wait_tasks(&self, service: &str, count: usize) -> Vec<Container> {
        let mut tasks = Vec::new();
        wait_for(&format!("{count} tasks of {service}"), || {
            tasks = self.tasks(service);
            tasks.len() == count
        });
        tasks
    }

    /// Creates a service of the clients' image in the clients' network; `options` come first.
    #[track_caller]
    pub fn service(&self, name: &str, options: &[&str], program: &[&str]) {
        let create = ["service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", name];
        let network = ["--endpoint-mode", "dnsrr", "--network", CLIENTS];
        self.manager().docker(&[&create[..], &network, options, &[CLIENT], program].concat());
    }

    /// Removes services; their tasks may take a moment.
    #[track_caller]
    pub fn remove(&self, services: &[&str]) {
        self.manager().docker(&[&["service", "rm"], services].concat());
    }

    /// Deploys a stack of that text.
    #[track_caller]
    pub fn stack(&self, name: &str, text: &str) {
        let file = self.dir.join(format!("{name}.yml"));
        fs::write(&file, text).expect("a file");
        let words = ["stack", "deploy", "--resolve-image", "never", "-c"];
        run(self.manager().command(&words).arg(file).arg(name));
    }

    /// What all said, for who has to find out what went wrong.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for engine in &self.engines {
            let name = &engine.node.name;
            let tasks = engine.tried(&["ps", "--all"]).unwrap_or_else(|why| why);
            text += &format!("--- containers of {name}\n{tasks}\n");
            let ids = engine.tried(&["ps", "--all", "--quiet", "--filter", &format!("name=^{SERVICE}")]);
            for id in ids.unwrap_or_default().split_whitespace() {
                let output = engine.command(&["logs", "--tail", "60", id]).output();
                let log = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
                text += &format!("--- hivedns {id} of {name}\n{}", String::from_utf8_lossy(&log));
            }
            let log = engine.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(15)..].join("\n");
            text += &format!("--- the last of the engine of {name}\n{last}\n");
        }
        let tasks = tried(&mut self.manager().command(&["stack", "ps", "--no-trunc", "hivedns"]));
        text + "--- tasks\n" + &tasks.unwrap_or_else(|why| why)
    }
}

/// What the HTTP service of a hivedns says, the head before it.
pub fn get(pid: u32, path: &str) -> Option<String> {
    let mut stream = seat::tcp(pid, HTTP.into(), PATIENCE).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A document of the hivedns whose process that is.
pub fn document(pid: u32, name: &str) -> Option<Value> {
    let text = get(pid, &format!("/api/v1/{name}"))?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}
