//! Giving up the rights of root for good, but for opening privileged ports (`credentials(7)`, `capabilities(7)`).
//!
//! ```text
//! look the user up ─► keep capabilities across the change ─► groups, group, user ─► drop all capabilities but one
//!                  ─► no program started from here ever gains any (PR_SET_NO_NEW_PRIVS)
//! ```
//!
//! Capabilities belong to threads and are inherited by those started later. So all of this happens while there
//! is only one.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::fmt;
use std::io;
use std::ptr;

/// The right to bind ports below 1024, the only one kept (linux/capability.h).
const CAP_NET_BIND_SERVICE: u32 = 10;
/// The version of the structures of `capset(2)` that has 64 bits of capabilities.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// Octets of a user's entry: those of directory services reach a few thousand, and none is a MiB.
const ENTRY_OCTETS_MAX: usize = 1 << 20;
const ENTRY_OCTETS: usize = 4 << 10;

/// Why rights were not given up. Some may have been: the process should end.
#[derive(Debug)]
pub enum PrivilegesError {
    /// The system knows no user of that name.
    NoSuchUser(String),
    /// Some thread was started before; it would keep its rights.
    Threads(usize),
    /// The system refused a step, named.
    Refused(&'static str, io::Error),
}

impl fmt::Display for PrivilegesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivilegesError::NoSuchUser(name) => write!(f, "no such user: {name}"),
            PrivilegesError::Threads(count) => {
                write!(f, "rights must be given up before there are threads, there are {count}")
            }
            PrivilegesError::Refused(step, error) => {
                write!(f, "cannot {step}: {error}")?;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    f.write_str("; start as root, or as that user, or leave it empty")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for PrivilegesError {}

/// Becomes `user`, for good, keeping no right but that of binding privileged ports, and that only if the process
/// has it; these groups are added to the user's own. Where the process is that user already, it loses its other rights
/// all the same, and gains no group. **No other thread may have been started before.**
pub fn drop_to(user: &str, groups: &[u32]) -> Result<(), PrivilegesError> {
    // Without /proc nobody can tell.
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(PrivilegesError::Threads(threads));
    }
    let entry = look_up(user)?;
    if !entry.is_us() {
        control(libc::PR_SET_KEEPCAPS, 1).map_err(refused("keep the right to bind"))?;
        entry.become_it(groups)?;
        control(libc::PR_SET_KEEPCAPS, 0).map_err(refused("end keeping rights"))?;
    }
    keep_only(1 << CAP_NET_BIND_SERVICE).map_err(refused("drop capabilities"))?;
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(refused("forbid new rights"))
}

/// The user's own number and group, to hand files over before rights are given up.
pub fn ids_of(user: &str) -> Result<(u32, u32), PrivilegesError> {
    look_up(user).map(|entry| (entry.uid, entry.gid))
}

fn refused(step: &'static str) -> impl FnOnce(io::Error) -> PrivilegesError {
    move |error| PrivilegesError::Refused(step, error)
}

/// A user as the system knows it.
#[derive(Debug)]
struct User {
    name: CString,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

fn look_up(user: &str) -> Result<User, PrivilegesError> {
    let nobody = || PrivilegesError::NoSuchUser(user.to_owned());
    let name = CString::new(user).map_err(|_| nobody())?;
    let mut octets = ENTRY_OCTETS;
    loop {
        let mut strings: Vec<c_char> = vec![0; octets];
        // SAFETY: all zeroes is a valid value of this C structure (null pointers and numbers).
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: `name` ends with its zero octet; the entry, the octets for its strings, with their stated
        // length, and the pointer to the result are live and ours alone. The standard library has no such call.
        let code = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                &raw mut entry,
                strings.as_mut_ptr(),
                strings.len(),
                &raw mut found,
            )
        };
        match code {
            libc::ERANGE if octets < ENTRY_OCTETS_MAX => octets *= 2,
            libc::EINTR => {}
            // What `getpwnam(3)` says may also mean that there is no such user.
            0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Err(nobody()),
            0 => return Ok(User { name, uid: entry.pw_uid, gid: entry.pw_gid }),
            code => {
                return Err(PrivilegesError::Refused("look the user up", io::Error::from_raw_os_error(code)));
            }
        }
    }
}

impl User {
    /// True if the process is this user already, in every respect.
    fn is_us(&self) -> bool {
        let (mut uids, mut gids) = ([0; 3], [0; 3]);
        // SAFETY: both calls write three numbers, to live places of their type.
        let result = unsafe {
            let [real, effective, saved] = &mut uids;
            let uids = libc::getresuid(real, effective, saved);
            let [real, effective, saved] = &mut gids;
            uids | libc::getresgid(real, effective, saved)
        };
        result == 0 && uids == [self.uid; 3] && gids == [self.gid; 3]
    }

    /// Groups before the user, who may not change them. The C library does it for all threads.
    fn become_it(&self, more: &[libc::gid_t]) -> Result<(), PrivilegesError> {
        // SAFETY: the name ends with its zero octet; the call only reads it.
        let groups = unsafe { libc::initgroups(self.name.as_ptr(), self.gid) };
        done(groups).map_err(refused("take the user's groups"))?;
        if !more.is_empty() {
            add_groups(more).map_err(refused("take further groups"))?;
        }
        // SAFETY: the call takes numbers alone.
        let group = unsafe { libc::setresgid(self.gid, self.gid, self.gid) };
        done(group).map_err(refused("take the user's group"))?;
        // SAFETY: the call takes numbers alone.
        let user = unsafe { libc::setresuid(self.uid, self.uid, self.uid) };
        done(user).map_err(refused("become the user"))
    }
}

/// Adds these to the groups that the process has beside its own.
fn add_groups(more: &[libc::gid_t]) -> io::Result<()> {
    // SAFETY: with no room given the call only counts.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    done(count.min(0))?;
    let mut groups: Vec<libc::gid_t> = vec![0; count as usize];
    // SAFETY: as many numbers as told are live and ours alone; the process has one thread, so it gains no group between
    // the calls.
    done(unsafe { libc::getgroups(count, groups.as_mut_ptr()) }.min(0))?;
    groups.extend(more);
    groups.sort_unstable();
    groups.dedup();
    // SAFETY: as many numbers as told are live; the call only reads them. The C library does it for all threads.
    done(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })
}

/// `struct __user_cap_header_struct` (linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: one for each 32 capabilities.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up every capability that is not in `kept` (bits 0 to 31) or that the thread does not have.
fn keep_only(kept: u32) -> io::Result<()> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: the header and the two sets that this version has are live, and laid out as the kernel's. No
    // library wraps the call.
    done(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } as i32)?;
    let kept = sets[0].permitted & kept;
    let mut sets = [Sets { effective: kept, permitted: kept, inheritable: 0 }, Sets::default()];
    // SAFETY: as above; the kernel only reads the sets.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_mut_ptr()) } as i32)
}

fn control(option: i32, value: libc::c_ulong) -> io::Result<()> {
    let nothing: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers alone.
    done(unsafe { libc::prctl(option, value, nothing, nothing, nothing) })
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // That it works takes a process of its own: see tests/http.rs.

    #[test]
    fn users_are_found_by_name() {
        let root = look_up("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        for name in ["no-such-user", "", "ro\0ot"] {
            let error = look_up(name).unwrap_err();
            assert!(matches!(error, PrivilegesError::NoSuchUser(_)), "{name}: {error}");
        }
    }

    #[test]
    fn a_thread_that_runs_already_is_told() {
        // The test itself runs in one beside the main thread.
        assert!(matches!(drop_to("root", &[]), Err(PrivilegesError::Threads(2..))));
    }
}
