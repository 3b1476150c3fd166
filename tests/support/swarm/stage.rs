//! Where a swarm may do as it likes: a copy of this process in process, network and mount namespaces of its own. When it
//! ends, however it does, the kernel ends every engine and container in there, and with them their mounts and networks; the
//! outer process removes what is left, a directory and control groups.

use super::say::{said, tried};
use super::until_within;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Tells the inner process where its directory is.
const STAGE: &str = "HIVEDNS_SWARM_STAGE";
/// Names of directories and control groups begin with it; then comes the outer process's id.
const PREFIX: &str = "hivedns-swarm-";
/// How long the kernel may take to give up the control groups of what has ended.
const EMPTIED: Duration = Duration::from_secs(10);
/// Programs of the engine, which nobody installs for this.
const ENGINE: &[&str] = &["docker", "dockerd", "containerd", "runc"];

/// What a process is to do.
pub enum Place {
    /// Be the inner process; all files go here.
    Inner(PathBuf),
    /// The inner process ended: whether well.
    Done(bool),
    /// It cannot be: why.
    Nowhere(String),
}

/// In the outer process runs this program again within, with the same arguments, and cleans up.
pub fn enter() -> Place {
    if let Some(dir) = env::var_os(STAGE) {
        prepare();
        return Place::Inner(dir.into());
    }
    if let Err(why) = is_possible() {
        return Place::Nowhere(why);
    }
    sweep();
    let dir = env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--pid", "--fork"]);
    // The first process of a namespace has to take leave of orphans that end: a shell does.
    command.args(["--kill-child", "--mount-proc", "--", "sh", "-c", "\"$0\" \"$@\"; exit $?"]);
    command.arg(env::current_exe().expect("this program")).args(env::args_os().skip(1));
    let status = command.env(STAGE, &dir).stdin(Stdio::null()).status();
    clean(&dir);
    match status {
        Ok(status) => Place::Done(status.success()),
        Err(error) => Place::Nowhere(format!("setpriv: {error}")),
    }
}

/// The name of the control group of all containers.
pub fn group(dir: &Path) -> String {
    dir.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Names of network namespaces are seen by nobody else, and end with this process.
fn prepare() {
    fs::create_dir_all("/run/netns").expect("a directory");
    let mount = tried(Command::new("mount").args(["-t", "tmpfs", "hivedns-names", "/run/netns"]));
    mount.expect("a mount of our own");
}

/// What stands in the way, if anything does.
fn is_possible() -> Result<(), String> {
    if tried(Command::new("id").arg("-u")).as_deref() != Ok("0") {
        return Err("only root can make network namespaces and engines".to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> =
        env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect();
    let is_there = |program: &&&str| places.iter().any(|place| place.join(program).is_file());
    if let Some(program) = ENGINE.iter().find(|program| !is_there(program)) {
        return Err(format!("there is no {program} on this machine"));
    }
    let trial = ["--net", "--mount", "--pid", "--fork", "--mount-proc", "ip", "link", "set", "lo", "up"];
    let tried = said(Command::new("unshare").args(trial));
    match tried.status.success() {
        true => Ok(()),
        false => Err(format!(
            "root may not make namespaces here: {}",
            String::from_utf8_lossy(&tried.stderr).trim()
        )),
    }
}

/// Removes what runs left behind that were killed themselves.
fn sweep() {
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(PREFIX).and_then(|id| id.parse::<u32>().ok());
        if id.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            clean(&entry.path());
        }
    }
}

fn clean(dir: &Path) {
    let own = group(dir);
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let groups = roots.map(|entry| entry.path().join(&own)).chain([Path::new("/sys/fs/cgroup").join(&own)]);
    for group in groups.filter(|group| group.is_dir()) {
        until_within(EMPTIED, Duration::from_millis(20), || remove_groups(&group));
    }
    let gone = || fs::remove_dir_all(dir).is_ok() || !dir.exists();
    if !until_within(EMPTIED, Duration::from_millis(100), gone) {
        eprintln!("what the swarm left in {} cannot be removed", dir.display());
    }
}

/// Control groups go from the innermost; their files are not files.
fn remove_groups(group: &Path) -> bool {
    for inner in fs::read_dir(group).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&inner.path());
        }
    }
    fs::remove_dir(group).is_ok()
}
