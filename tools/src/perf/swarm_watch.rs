//! Looking on while a swarm changes: the same name, asked every few milliseconds on each node of hivedns and of the
//! engine's own resolver, by one thread with one clock; and what the engines say happened, by the same clock.

use crate::clock;
use crate::swarm::ask::{self, A};
use crate::swarm::engine::Container;
use crate::swarm::{Swarm, seat};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often each is asked, which is how exactly is seen when something changed.
const PACE: Duration = Duration::from_millis(4);
/// How often it looks for answers meanwhile.
const LOOK: Duration = Duration::from_micros(500);
/// The engines' resolver, as a container sees it.
pub(super) const ENGINE: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// hivedns, in the clients' network.
    Hivedns,
    /// hivedns, a name that only one node's tasks have.
    HivednsOneNode,
    /// 127.0.0.11.
    Engine,
}

/// What was answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// Nanoseconds of the wall clock, which engines tell, too.
    pub(super) at: u64,
    /// The number of the post.
    pub(super) post: usize,
    pub(super) rcode: u16,
    pub(super) addresses: Arc<BTreeSet<String>>,
}

/// It looks on until it is dropped.
pub(super) struct Watch {
    /// Who is asked at each post.
    pub(super) posts: Vec<Who>,
    replies: Arc<Mutex<Vec<Reply>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// From each asker, of its own node, by these names.
    pub(super) fn start(swarm: &Swarm, askers: &[Container], names: &[(Who, &str)]) -> Result<Watch, String> {
        let (mut posts, mut sockets) = (Vec::new(), Vec::new());
        for (node, asker) in (1..).zip(askers) {
            for (who, name) in names {
                let server: SocketAddr = match who {
                    Who::Engine => ENGINE.into(),
                    Who::Hivedns | Who::HivednsOneNode => swarm.listener(node),
                };
                let socket = seat::udp(asker.pid, server, PACE).map_err(|error| error.to_string())?;
                socket.set_nonblocking(true).map_err(|error| error.to_string())?;
                posts.push(*who);
                sockets.push((socket, (*name).to_owned()));
            }
        }
        let (replies, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (own, until) = (Arc::clone(&replies), Arc::clone(&stop));
        let thread = std::thread::spawn(move || look_on(&sockets, &own, &until));
        Ok(Watch { posts, replies, stop, thread: Some(thread) })
    }

    /// What was answered since this was asked last.
    pub(super) fn take(&self) -> Vec<Reply> {
        std::mem::take(&mut self.replies.lock().expect("no panic"))
    }

    /// Whether every post of `who` was told these addresses, and no others, when it was told something last.
    pub(super) fn all_tell(&self, who: &[Who], addresses: &BTreeSet<String>) -> bool {
        let replies = self.replies.lock().expect("no panic");
        let numbers = (0..self.posts.len()).filter(|number| who.contains(&self.posts[*number]));
        let last = |number| replies.iter().rev().find(|reply| reply.post == number);
        numbers.map(last).all(|reply| reply.is_some_and(|reply| *reply.addresses == *addresses))
    }

    /// Numbers of the posts of one.
    pub(super) fn of(&self, who: Who) -> impl Iterator<Item = usize> {
        (0..self.posts.len()).filter(move |number| self.posts[*number] == who)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look_on(sockets: &[(UdpSocket, String)], replies: &Mutex<Vec<Reply>>, stop: &AtomicBool) {
    let queries: Vec<Vec<u8>> = sockets.iter().map(|(_, name)| ask::query(7, name, A)).collect();
    let mut last: Vec<Arc<BTreeSet<String>>> = vec![Arc::default(); sockets.len()];
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Acquire) {
        let until = clock::now() + PACE;
        for ((socket, _), query) in sockets.iter().zip(&queries) {
            // Who is not there for a moment is asked again.
            let _ = socket.send(query);
        }
        while clock::now() < until {
            for (post, (socket, _)) in sockets.iter().enumerate() {
                while let Ok(length) = socket.recv(&mut buffer) {
                    let at = clock::wall_ns();
                    let Some(told) = ask::read(&buffer[..length]) else { continue };
                    let set = told.set();
                    if *last[post] != set {
                        last[post] = Arc::new(set);
                    }
                    let reply = Reply { at, post, rcode: told.rcode, addresses: Arc::clone(&last[post]) };
                    replies.lock().expect("no panic").push(reply);
                }
            }
            clock::pause(LOOK);
        }
    }
}

/// What happened to a container, by its engine.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Nanoseconds of the wall clock.
    pub(super) at: u64,
    pub(super) action: String,
    pub(super) id: String,
}

/// What all engines say, until it is dropped.
pub(super) struct Events {
    children: Vec<Child>,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Events {
    pub(super) fn start(swarm: &Swarm) -> Result<Events, String> {
        let mut events = Events { children: Vec::new(), told: Arc::default() };
        for engine in &swarm.engines {
            let words = ["events", "--filter", "type=container", "--format", "{{json .}}"];
            let mut child = engine.command(&words);
            child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = child.spawn().map_err(|error| format!("docker events: {error}"))?;
            let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
            let told = Arc::clone(&events.told);
            std::thread::spawn(move || {
                let events = lines.map_while(Result::ok).filter_map(|line| event(&line));
                events.for_each(|event| told.lock().expect("no panic").push(event));
            });
            events.children.push(child);
        }
        Ok(events)
    }

    /// When something first happened to a container; waits for being told of it.
    pub(super) fn first(&self, id: &str, action: &str) -> u64 {
        let mut found = None;
        crate::swarm::wait_for(&format!("the event {action} of {id}"), || {
            let told = self.told.lock().expect("no panic");
            found = told.iter().find(|event| event.id == id && event.action == action).map(|event| event.at);
            found.is_some()
        });
        found.unwrap_or_default()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = (child.kill(), child.wait());
        }
    }
}

fn event(line: &str) -> Option<Event> {
    let told: Value = serde_json::from_str(line).ok()?;
    Some(Event {
        at: told["timeNano"].as_u64()?,
        action: told["Action"].as_str()?.to_owned(),
        id: told["Actor"]["ID"].as_str()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn an_engine_s_event_is_read() {
        let line = r#"{"Type":"container","Action":"kill","Actor":{"ID":"ab","Attributes":{"signal":"15"}},"scope":"local","time":1,"timeNano":1000000007}"#;
        let event = event(line).unwrap();
        assert_eq!((event.at, &*event.action, &*event.id), (1_000_000_007, "kill", "ab"));
    }
}
