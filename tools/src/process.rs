//! Server processes: started on a core, watched through /proc, ended for certain.

use crate::clock;
use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a process may take to end by itself after SIGTERM.
const END_TIME: Duration = Duration::from_secs(20);

/// A process that ends with this value.
pub(crate) struct Server {
    child: Child,
    /// When it was started.
    pub(crate) started: Instant,
}

/// What a process and its descendants use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU time in nanoseconds: the scheduler's count, over all threads alive.
    pub(crate) cpu_ns: u64,
    /// The same as utime + stime, in clock ticks; a coarse check on the first.
    pub(crate) cpu_ticks: u64,
}

/// The memory of a process and its descendants, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident now; pages that several of them share count once.
    pub(crate) resident_kib: u64,
    /// The highest that the largest of them ever had, at least what they have now together.
    pub(crate) peak_kib: u64,
}

impl Server {
    /// Starts a command on one core (taskset replaces itself by the command, so the pid is the server's).
    pub(crate) fn start(core: usize, command: &Command) -> Result<Server, String> {
        let mut pinned = Command::new("taskset");
        pinned.arg("-c").arg(core.to_string());
        wrap(&mut pinned, command);
        pinned.stdin(std::process::Stdio::null());
        pinned.stdout(std::process::Stdio::null());
        pinned.stderr(std::process::Stdio::null());
        let started = clock::now();
        let child = pinned.spawn().map_err(|error| format!("taskset: {error}"))?;
        Ok(Server { child, started })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ties all its threads, and those of its children, to a core once more: Knot, for one, places its workers
    /// itself, whatever cores it was given.
    pub(crate) fn hold(&self, core: usize) -> Result<(), String> {
        for member in family(self.pid()) {
            let mut taskset = Command::new("taskset");
            taskset.args(["-a", "-p", "-c", &core.to_string(), &member.to_string()]);
            let output = taskset.output().map_err(|error| format!("taskset: {error}"))?;
            if !output.status.success() {
                return Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
        Ok(())
    }

    /// An error if it has ended.
    pub(crate) fn alive(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("it ended: {status}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Asks it to end and waits; kills it when it does not.
    pub(crate) fn end(&mut self) {
        self.end_by_asking(self.pid());
    }

    /// Asks its child to end, after which it ends itself; for a process that wraps another.
    pub(crate) fn end_child(&mut self) {
        let child = family(self.pid()).get(1).copied();
        self.end_by_asking(child.unwrap_or(self.pid()));
    }

    fn end_by_asking(&mut self, asked: u32) {
        let deadline = clock::now() + END_TIME;
        let _ = Command::new("kill").arg(asked.to_string()).status();
        while clock::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            clock::pause(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has `outer`, whose last arguments are a command, run `inner`: with its arguments, directory and environment.
pub(crate) fn wrap(outer: &mut Command, inner: &Command) {
    outer.arg(inner.get_program()).args(inner.get_args());
    if let Some(directory) = inner.get_current_dir() {
        outer.current_dir(directory);
    }
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Raises the priority of a process's whole session against other sessions, where Linux groups processes by
/// session (`sched_autogroup`): a nice value alone has no weight there. Quietly does nothing without the right to.
pub(crate) fn prefer_session(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/autogroup"), "-15");
}

/// Puts the priority of a process's session back.
pub(crate) fn restore_session(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/autogroup"), "0");
}

/// The process and its descendants.
fn family(pid: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(other) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = stat_field(other, 4) {
            children.entry(parent as u32).or_default().push(other);
        }
    }
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&member) = all.get(at) {
        all.extend(children.remove(&member).unwrap_or_default());
        at += 1;
    }
    all
}

/// A numeric field of /proc/PID/stat, counted from 1 as in proc(5).
fn stat_field(pid: u32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses and may hold blanks.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_whitespace().nth(field - 3)?.parse().ok()
}

/// What the process and its descendants have used so far.
pub(crate) fn usage(pid: u32) -> Usage {
    let mut usage = Usage::default();
    for member in family(pid) {
        usage.cpu_ticks += stat_field(member, 14).unwrap_or(0) + stat_field(member, 15).unwrap_or(0);
        usage.cpu_ns += own_cpu_ns(member);
    }
    usage
}

/// The CPU time of one process alone, over all threads alive.
pub(crate) fn own_cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| first_number(&task.path().join("schedstat"))).sum()
}

fn first_number(path: &std::path::Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The threads of a process with their names.
pub(crate) fn threads(pid: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            Some((task.file_name().to_str()?.parse().ok()?, name.trim_end().to_owned()))
        })
        .collect()
}

/// Ties one thread to cores.
pub(crate) fn hold_thread(thread: u32, cores: &[usize]) -> Result<(), String> {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    let mut taskset = Command::new("taskset");
    taskset.args(["-p", "-c", &cores.join(","), &thread.to_string()]);
    let output = taskset.output().map_err(|error| format!("taskset: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("taskset: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The calling thread.
pub(crate) fn own_thread() -> Option<u32> {
    fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

/// Has the calling thread run before all that have no real-time priority, and whenever it wants to; or no more. False if
/// it may not, or there is no such tool.
pub(crate) fn set_realtime(on: bool) -> bool {
    let Some(thread) = own_thread() else { return false };
    let mut chrt = Command::new("chrt");
    chrt.args(if on { ["-f", "-p", "1"] } else { ["-o", "-p", "0"] }).arg(thread.to_string());
    chrt.output().is_ok_and(|output| output.status.success())
}

/// The CPU time of one thread, in nanoseconds, and how long it was ready but waited for a core.
pub(crate) fn thread_time(pid: u32, thread: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.parse().unwrap_or(0));
    (words.next().unwrap_or(0), words.next().unwrap_or(0))
}

/// The memory of the process and its descendants.
pub(crate) fn memory(pid: u32) -> Memory {
    let family = family(pid);
    let alone = family.len() == 1;
    let mut memory = Memory::default();
    for member in family {
        let own = if alone {
            kib_line(&format!("/proc/{member}/status"), "VmRSS:")
        } else {
            kib_line(&format!("/proc/{member}/smaps_rollup"), "Pss:")
        };
        memory.resident_kib += own.unwrap_or(0);
        let peak = kib_line(&format!("/proc/{member}/status"), "VmHWM:");
        memory.peak_kib = memory.peak_kib.max(peak.unwrap_or(0));
    }
    memory.peak_kib = memory.peak_kib.max(memory.resident_kib);
    memory
}

fn kib_line(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line[key.len()..].split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_memory_and_family() {
        let pid = std::process::id();
        assert!(memory(pid).resident_kib > 100);
        assert!(memory(pid).peak_kib >= 100);
        assert!(family(pid).contains(&pid));
    }

    /// Of a process of one thread: in this one other tests' threads end, and take their share with them.
    #[test]
    fn a_busy_process_is_seen_to_use_the_processor() {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        let busy = Server::start(0, &command).unwrap();
        let before = usage(busy.pid()).cpu_ns;
        let deadline = clock::now() + Duration::from_secs(20);
        while usage(busy.pid()).cpu_ns <= before {
            assert!(clock::now() < deadline, "it has not run for 20 s");
        }
    }

    #[test]
    fn a_wrapped_command_keeps_its_environment() {
        let mut inner = Command::new("printenv");
        inner.arg("HIVEDNS_FORWARD__.").env("HIVEDNS_FORWARD__.", "refuse");
        let mut outer = Command::new("taskset");
        outer.args(["-c", "0"]);
        wrap(&mut outer, &inner);
        assert_eq!(outer.output().unwrap().stdout, b"refuse\n");
    }

    #[test]
    fn a_server_is_gone_when_its_value_is() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let server = Server::start(0, &command).unwrap();
        let pid = server.pid();
        drop(server);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
