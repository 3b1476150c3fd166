//! The hand that touches the disk: three acts, and what is made of them.
//!
//! A file is replaced by writing another beside it, waiting until that is on disk, and giving it the name: whoever
//! opens it finds the old content or the new. Each act waits until the disk has it. In tests any act can fail or be
//! cut short by a crash, with every outcome that leaves on a disk.

use super::envelope::Kind;
use super::fault::{DiskError, Fault};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock says that a process uses the directory. It stays when the process ends; the lock does not.
const LOCK: &str = "lock";
/// Files set aside for each name: an operator who did not look after so many will not miss one.
pub(super) const ASIDE_MAX: u32 = 100;

/// One change of the directory.
pub(super) enum Act<'a> {
    /// Cuts a file to `at` octets, appends to it, and waits for the disk. Makes it if it is not there.
    Put { path: &'a Path, at: u64, octets: &'a [u8] },
    /// Gives a file another name, in the place of who has it, and waits for the disk.
    Rename { from: &'a Path, to: &'a Path },
    /// Removes a file that nobody needs; the disk may take its time.
    Remove { path: &'a Path },
}

/// A directory that no other process uses.
pub(super) struct Hand {
    dir: PathBuf,
    /// To wait for changes of names.
    handle: File,
    /// Holds the lock while it is open.
    _lock: File,
    #[cfg(test)]
    pub(super) faults: super::crash::Faults,
}

impl Hand {
    /// Makes the directory if it is missing (not those above it), and locks it.
    pub(super) fn open(dir: &Path) -> Result<Hand, DiskError> {
        match DirBuilder::new().mode(0o700).create(dir) {
            // That the name is on disk matters as much as what stands below it. Not everybody may read the
            // directory above; then the file system has to do it by itself.
            Ok(()) => {
                drop(dir.parent().map(|parent| File::open(parent).and_then(|parent| parent.sync_all())))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused("create the directory", dir)(error)),
        }
        if !fs::metadata(dir).map_err(refused("open the directory", dir))?.is_dir() {
            return Err(refused("use it as a directory", dir)(io::ErrorKind::NotADirectory.into()));
        }
        let handle = File::open(dir).map_err(refused("open the directory", dir))?;
        let path = dir.join(LOCK);
        let lock = writing().open(&path).map_err(refused("write", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskError::Locked { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(refused("lock", &path)(error)),
        }
        Ok(Hand {
            dir: dir.to_owned(),
            handle,
            _lock: lock,
            #[cfg(test)]
            faults: super::crash::Faults::default(),
        })
    }

    /// Where a file lies.
    pub(super) fn path(&self, kind: Kind) -> PathBuf {
        self.dir.join(kind.name())
    }

    /// A file's octets; `None` if there is no such file. More than `octets_max` are cut there: no such file was
    /// written here, and its checksum will say so.
    pub(super) fn read(&self, kind: Kind, octets_max: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.path(kind);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("read", &path)(error)),
        };
        let mut octets = Vec::new();
        file.take(octets_max).read_to_end(&mut octets).map_err(refused("read", &path))?;
        Ok(Some(octets))
    }

    /// Gives a file new content, all of it or none.
    pub(super) fn replace(&self, kind: Kind, octets: &[u8]) -> Result<(), DiskError> {
        let (path, draft) = (self.path(kind), self.draft(kind));
        let outcome = self
            .act(&Act::Put { path: &draft, at: 0, octets })
            .and_then(|()| self.act(&Act::Rename { from: &draft, to: &path }));
        outcome.map_err(|error| {
            // On a full disk its octets are missing elsewhere.
            let _ = self.act(&Act::Remove { path: &draft });
            refused("write", &path)(error)
        })
    }

    /// Cuts a file to `at` octets and appends to it.
    pub(super) fn put(&self, kind: Kind, at: u64, octets: &[u8]) -> Result<(), DiskError> {
        let path = self.path(kind);
        self.act(&Act::Put { path: &path, at, octets }).map_err(refused("write", &path))
    }

    /// Sets a faulty file aside under a name that nobody has; that name.
    pub(super) fn set_aside(&self, kind: Kind, fault: &Fault) -> Result<PathBuf, DiskError> {
        let path = self.path(kind);
        let aside = self
            .free_name(kind)
            .ok_or_else(|| DiskError::Crowded { fault: fault.clone(), kept: ASIDE_MAX })?;
        self.act(&Act::Rename { from: &path, to: &aside }).map_err(refused("set aside", &path))?;
        Ok(aside)
    }

    /// Sets a faulty part of a file aside under a name that nobody has; that name, `None` if there is none left.
    pub(super) fn set_part_aside(&self, kind: Kind, octets: &[u8]) -> Result<Option<PathBuf>, DiskError> {
        let Some(aside) = self.free_name(kind) else { return Ok(None) };
        self.act(&Act::Put { path: &aside, at: 0, octets }).map_err(refused("write", &aside))?;
        Ok(Some(aside))
    }

    /// Removes what an interrupted replacement left.
    pub(super) fn remove_drafts(&self) {
        for kind in Kind::ALL {
            // If it cannot be removed, nobody minds it either.
            let _ = self.act(&Act::Remove { path: &self.draft(kind) });
        }
    }

    fn draft(&self, kind: Kind) -> PathBuf {
        self.dir.join(format!("{}.tmp", kind.name()))
    }

    fn free_name(&self, kind: Kind) -> Option<PathBuf> {
        let names = (1..=ASIDE_MAX).map(|n| self.dir.join(format!("{}.broken-{n}", kind.name())));
        // A link that leads nowhere is a name, too.
        names.into_iter().find(|path| path.symlink_metadata().is_err())
    }

    fn act(&self, act: &Act<'_>) -> io::Result<()> {
        #[cfg(test)]
        if let Some(outcome) = self.faults.strike(act) {
            return outcome;
        }
        match act {
            Act::Put { path, at, octets } => {
                let file = writing().open(path)?;
                if file.metadata()?.len() < *at {
                    // Somebody else had his hands on it. Zeros in the gap would pass for octets of ours.
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "it is shorter than it was left",
                    ));
                }
                file.set_len(*at)?;
                file.write_all_at(octets, *at)?;
                file.sync_all()?;
                // A new file's name has to be on disk, too.
                if *at == 0 { self.handle.sync_all() } else { Ok(()) }
            }
            Act::Rename { from, to } => {
                fs::rename(from, to)?;
                self.handle.sync_all()
            }
            Act::Remove { path } => fs::remove_file(path),
        }
    }
}

/// For us alone: the ring holds the cluster's keys, and nothing here is anybody's business.
fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

fn refused(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |error| DiskError::Refused { step, path, error }
}
