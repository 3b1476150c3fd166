//! A listening Unix socket at a path: the stale one of a dead process makes room, that of a living one does not,
//! and nobody but user and group may connect, at no moment.
#![allow(unsafe_code)]

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// User and group may connect.
const SOCKET_MODE: libc::mode_t = 0o660;
/// A directory that is made for the socket: others may not even look.
const DIRECTORY_MODE: u32 = 0o750;

/// A listening socket. Its path is removed when this is dropped, unless it is somebody else's by then.
#[derive(Debug)]
pub struct Listening {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// True if its directory was made for it.
    made_directory: bool,
}

/// Listens at `path`. Its directory is made if only that is missing. Errors: [`io::ErrorKind::AddrInUse`] if a
/// living process listens there, [`io::ErrorKind::AlreadyExists`] if something else stands there; nothing was
/// changed then.
pub fn listen(path: &Path) -> io::Result<(UnixListener, Listening)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made_directory = make(directory)?;
    // Two that start at once must not both take the other's for stale. Whoever starts beside it in the same directory
    // waits for a moment. Where directories cannot be locked there is only this much less care.
    let lock = File::open(directory)?;
    let _ = lock.lock();
    make_room(path)?;
    let listener = bind(path)?;
    listener.set_nonblocking(true)?;
    let identity = identity(&path.symlink_metadata()?);
    Ok((listener, Listening { path: path.to_owned(), identity, made_directory }))
}

impl Listening {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands socket, and the directory if it was made for it, to a user and group.
    pub fn hand_over(&self, uid: u32, gid: u32) -> io::Result<()> {
        chown(&self.path, Some(uid), Some(gid))?;
        match self.path.parent().filter(|_| self.made_directory) {
            Some(directory) => chown(directory, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let is_ours = self.path.symlink_metadata().is_ok_and(|found| identity(&found) == self.identity);
        if is_ours {
            // If the directory is no longer ours to change, the next start makes room.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// Makes the directory if its parent is there; true if it was made.
fn make(directory: &Path) -> io::Result<bool> {
    match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        Ok(()) => {
            // Whatever the mask took away.
            std::fs::set_permissions(directory, PermissionsExt::from_mode(DIRECTORY_MODE))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(if directory.is_dir() { return Ok(false) } else { error }),
    }
}

/// Removes the socket of a process that is gone.
fn make_room(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket stands there"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            // One that is too busy to take us, or does not admit us, lives.
            Ok(_) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

/// Binds under a mask that leaves others out from the start: the standard library cannot say the mode.
fn bind(path: &Path) -> io::Result<UnixListener> {
    // SAFETY: the call takes and returns a number, and cannot fail. The mask is the whole process's: a file that
    // another thread makes meanwhile has fewer rights, never more; at the start there is no other thread.
    let before = unsafe { libc::umask(0o777 & !SOCKET_MODE) };
    let listener = UnixListener::bind(path);
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    listener
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Place {
            let path = std::env::temp_dir().join(format!("hivedns-unix-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Place(path)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn kind(path: &Path) -> io::ErrorKind {
        listen(path).unwrap_err().kind()
    }

    #[test]
    fn who_starts_beside_another_in_one_directory_waits_for_a_moment() {
        let place = Place::new("together");
        let other = File::open(&place.0).unwrap();
        other.lock().unwrap();
        let (told, tells) = std::sync::mpsc::channel();
        let path = place.0.join("s");
        let thread = std::thread::spawn(move || told.send(listen(&path).map(|_| ())).unwrap());
        // Nothing is refused while the other one looks around.
        assert!(tells.recv_timeout(std::time::Duration::from_millis(200)).is_err());
        drop(other);
        assert!(tells.recv().unwrap().is_ok());
        thread.join().unwrap();
    }

    #[test]
    fn user_and_group_may_connect_and_the_path_goes_with_the_listener() {
        let place = Place::new("mode");
        let path = place.0.join("made").join("s");
        let (listener, listening) = listen(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o660);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o750);
        assert!(UnixStream::connect(&path).is_ok());
        assert_eq!(kind(&path), io::ErrorKind::AddrInUse);
        drop((listener, listening));
        assert!(!path.exists());
    }

    #[test]
    fn the_socket_of_a_dead_process_makes_room() {
        let place = Place::new("stale");
        let path = place.0.join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_listener, listening) = listen(&path).unwrap();
        // Another took the place: it stays.
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(listening);
        assert!(path.exists());
    }

    #[test]
    fn what_is_no_socket_stays_where_it_is() {
        let place = Place::new("file");
        let path = place.0.join("s");
        fs::write(&path, "text").unwrap();
        assert_eq!(kind(&path), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(kind(&path.join("below")), io::ErrorKind::NotADirectory);
        assert_eq!(kind(&place.0.join("no/such/directory")), io::ErrorKind::NotFound);
        assert_eq!(kind(&place.0.join("x".repeat(120))), io::ErrorKind::InvalidInput);
    }
}
