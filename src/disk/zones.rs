//! Copies of zones, each in a file of its own, replaced whole, in the envelope that every file has: `zone.ORIGIN` of one that was
//! transferred, `updated-zone.ORIGIN` of one that has a file here and was updated. So none is ever taken for the other, and
//! both may be there: what a zone was before the configuration made something else of it stays. When a transferred one was
//! last known to be the primary's newest version is the file's time of modification.
//!
//! **The law of use: as for [`super::StateDir`], in a directory that one holds.** What a zone is is not known here: a name
//! and octets.

use super::envelope::{ENVELOPE_OCTETS, Kind, Unsound, open_whole, seal};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Octets of one zone's records: what a transfer may bring (`base::limits`).
const BODY_OCTETS_MAX: u64 = crate::base::limits::TRANSFER_OCTETS_MAX as u64;
/// Characters of a name in a file's name: the system takes 255 in all.
const NAME_CHARACTERS_MAX: usize = 180;
/// A zone that is being written, and one that is a copy of what the changes lead to.
const WHOLE: &str = "tmp";
const COPY: &str = "copy.tmp";
/// Files set aside for each zone.
const ASIDE_MAX: u32 = 10;

/// What the names of the files of zones that were updated begin with.
const UPDATED: &str = "updated-";
/// The same of zones whose history alone is kept, beside their files.
const FILED: &str = "file-";

/// Where copies of zones are kept, all of one kind.
#[derive(Debug, Clone)]
pub struct Zones {
    dir: PathBuf,
    /// What their files' names begin with.
    kind: &'static str,
}

/// A zone as it was kept.
#[derive(Debug)]
pub struct Kept {
    /// Its octets.
    pub body: Vec<u8>,
    /// When it was last known to be the newest.
    pub checked: SystemTime,
}

/// Why a kept zone cannot be had.
#[derive(Debug)]
pub enum Lost {
    /// There never was one.
    Absent,
    /// The file cannot be read.
    Unreadable(io::Error),
    /// It is faulty, and was set aside under that name, if that could be done.
    Broken {
        /// What is wrong with it.
        why: String,
        /// Where it lies now, or why it is where it was.
        aside: io::Result<PathBuf>,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Absent => f.write_str("there is none"),
            Lost::Unreadable(error) => error.fmt(f),
            Lost::Broken { why, aside } => write!(f, "{why}: {}", told(aside)),
        }
    }
}

impl Zones {
    /// Those that were transferred, in the state directory that this process holds.
    pub fn new(dir: &Path) -> Zones {
        Zones { dir: dir.to_owned(), kind: "" }
    }

    /// Those that were transferred, in the same directory.
    pub(super) fn transferred(&self) -> Zones {
        Zones::new(&self.dir)
    }

    /// Those that have a file here and were updated, in the same directory.
    pub fn updated(&self) -> Zones {
        Zones { dir: self.dir.clone(), kind: UPDATED }
    }

    /// Those that have a file here and nothing else: what led to it is kept for others.
    pub fn filed(&self) -> Zones {
        Zones { dir: self.dir.clone(), kind: FILED }
    }

    /// True of those of which the history alone is kept.
    pub(super) fn are_filed(&self) -> bool {
        self.kind == FILED
    }

    /// True of those that have a file here and were updated.
    pub fn are_updated(&self) -> bool {
        self.kind == UPDATED
    }

    /// Where the zone of that origin, in presentation form, is kept.
    pub fn path(&self, origin: &str) -> PathBuf {
        self.path_of("zone", origin)
    }

    /// Keeps a zone: it is on disk when this returns.
    pub fn write(&self, origin: &str, body: &[u8], checked: SystemTime) -> io::Result<()> {
        self.write_draft(WHOLE, origin, body, checked)?;
        self.adopt(WHOLE, origin)
    }

    /// Writes a zone beside the one that is kept, which stays until the copy is [adopted](Zones::adopt_copy). Nothing else
    /// that is written here disturbs it, but another copy.
    pub fn write_copy(&self, origin: &str, body: &[u8], checked: SystemTime) -> io::Result<()> {
        self.write_draft(COPY, origin, body, checked)
    }

    /// The copy takes the place of the zone that is kept: it is so on disk when this returns.
    pub fn adopt_copy(&self, origin: &str) -> io::Result<()> {
        self.adopt(COPY, origin)
    }

    fn write_draft(&self, suffix: &str, origin: &str, body: &[u8], checked: SystemTime) -> io::Result<()> {
        let draft = with_suffix(&self.path(origin), suffix);
        let octets = seal(Kind::Zone, body);
        let write = || {
            let mut file = writing().truncate(true).open(&draft)?;
            file.write_all(&octets)?;
            file.set_modified(checked)?;
            file.sync_all()
        };
        write().inspect_err(|_| {
            // On a full disk its octets are missing elsewhere.
            let _ = fs::remove_file(&draft);
        })
    }

    fn adopt(&self, suffix: &str, origin: &str) -> io::Result<()> {
        let path = self.path(origin);
        fs::rename(with_suffix(&path, suffix), path)?;
        self.sync()
    }

    /// Waits until the names in the directory are on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Another file of a zone.
    pub(super) fn path_of(&self, what: &str, origin: &str) -> PathBuf {
        self.dir.join(format!("{}{what}.{}", self.kind, file_name(origin)))
    }

    /// Octets of the kept zone's file; 0 if there is none.
    pub fn octets(&self, origin: &str) -> u64 {
        fs::metadata(self.path(origin)).map_or(0, |file| file.len())
    }

    /// Notes that the kept zone was the newest then.
    pub fn touch(&self, origin: &str, checked: SystemTime) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.path(origin))?.set_modified(checked)
    }

    /// Keeps nothing of a zone any more.
    pub fn remove(&self, origin: &str) -> io::Result<()> {
        match fs::remove_file(self.path(origin)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What is kept. A faulty file is set aside.
    pub fn read(&self, origin: &str) -> Result<Kept, Lost> {
        let path = self.path(origin);
        let (mut octets, checked) = match read_file(&path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Lost::Absent),
            Err(error) => return Err(Lost::Unreadable(error)),
        };
        let why = match open_whole(Kind::Zone, &octets) {
            Ok(body) => {
                let (start, len) = (super::envelope::HEAD_OCTETS, body.len());
                octets.truncate(start + len);
                octets.drain(..start);
                return Ok(Kept { body: octets, checked });
            }
            Err(Unsound::Version(version)) => format!("it has version {version} of the format"),
            Err(Unsound::At { offset, expected, found }) => {
                format!("octet {offset}: expected {expected}, found {found}")
            }
        };
        Err(Lost::Broken { aside: self.set_aside(origin), why })
    }

    /// Sets the kept zone aside; where it lies then.
    pub fn set_aside(&self, origin: &str) -> io::Result<PathBuf> {
        self.set_files_aside(&[self.path(origin)]).map(|mut aside| aside.remove(0))
    }

    /// Sets files aside, as far as they are there, one after the other and all under the same number; where they lie then.
    /// After an error all are where they were.
    pub(super) fn set_files_aside(&self, paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
        let there: Vec<&PathBuf> = paths.iter().filter(|path| path.symlink_metadata().is_ok()).collect();
        let asides = |number| there.iter().map(move |path| aside_as(path, number));
        let is_free = |number: &u32| asides(*number).all(|aside| aside.symlink_metadata().is_err());
        let number = (1..=ASIDE_MAX).find(is_free).ok_or_else(crowded)?;
        let all: Vec<PathBuf> = asides(number).collect();
        for (count, (path, aside)) in there.iter().zip(&all).enumerate() {
            if let Err(error) = fs::rename(path, aside).and_then(|()| self.sync()) {
                for (path, aside) in there.iter().zip(&all).take(count + 1).rev() {
                    let _ = fs::rename(aside, path);
                }
                return Err(error);
            }
        }
        if all.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(all) }
    }
}

/// What became of a file that was to be set aside.
pub fn told(aside: &io::Result<PathBuf>) -> String {
    match aside {
        Ok(aside) => format!("set aside as {}", aside.display()),
        Err(error) => format!("it stays where it is, for it cannot be set aside: {error}"),
    }
}

fn crowded() -> io::Error {
    io::Error::other(format!("{ASIDE_MAX} such files are already: move those away"))
}

fn aside_as(path: &Path, number: u32) -> PathBuf {
    with_suffix(path, &format!("broken-{number}"))
}

/// A name that nobody has, beside a file that is to be set aside.
pub(super) fn aside(path: &Path) -> Option<PathBuf> {
    (1..=ASIDE_MAX).map(|number| aside_as(path, number)).find(|aside| aside.symlink_metadata().is_err())
}

/// For us alone, as all else in the directory.
pub(super) fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

fn read_file(path: &Path) -> io::Result<(Vec<u8>, SystemTime)> {
    let file = File::open(path)?;
    let checked = file.metadata()?.modified()?;
    let mut octets = Vec::new();
    file.take(BODY_OCTETS_MAX + ENVELOPE_OCTETS as u64 + 1).read_to_end(&mut octets)?;
    Ok((octets, checked))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// The name in characters that mean nothing to a file system; a long one is cut, and told from others by a checksum.
fn file_name(origin: &str) -> String {
    let mut name = String::with_capacity(origin.len());
    for octet in origin.trim_end_matches('.').bytes() {
        match octet.to_ascii_lowercase() {
            plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.') => name.push(plain.into()),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    if name.len() > NAME_CHARACTERS_MAX {
        let sum = crc32fast::hash(name.as_bytes());
        name.truncate(NAME_CHARACTERS_MAX);
        name.push_str(&format!("%{sum:08x}"));
    }
    if name.is_empty() { "%root".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("hivedns-zones-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_zone_is_kept_with_the_time_of_its_last_check() {
        let (dir, then) = (directory("kept"), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let zones = Zones::new(&dir);
        assert!(matches!(zones.read("Example."), Err(Lost::Absent)));
        zones.write("Example.", b"octets", then).unwrap();
        zones.write("example.", b"others", then).unwrap();
        let later = then + Duration::from_secs(60);
        zones.touch("example.", later).unwrap();
        let kept = zones.read("EXAMPLE.").unwrap();
        assert_eq!((&kept.body[..], kept.checked), (&b"others"[..], later));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn copies_of_different_kinds_lie_beside_each_other() {
        let dir = directory("kinds");
        let zones = Zones::new(&dir);
        zones.write("a.", b"transferred", UNIX_EPOCH).unwrap();
        assert!(matches!(zones.updated().read("a."), Err(Lost::Absent)));
        zones.updated().write("a.", b"updated", UNIX_EPOCH).unwrap();
        assert_eq!(zones.read("a.").unwrap().body, b"transferred");
        zones.remove("a.").unwrap();
        assert_eq!(zones.updated().read("a.").unwrap().body, b"updated");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_torn_file_is_set_aside_whatever_is_missing() {
        let dir = directory("torn");
        let zones = Zones::new(&dir);
        zones.write("a.", b"octets", UNIX_EPOCH).unwrap();
        let whole = fs::read(zones.path("a.")).unwrap();
        for len in 0..whole.len() {
            fs::write(zones.path("a."), &whole[..len]).unwrap();
            let Err(Lost::Broken { aside, .. }) = zones.read("a.") else { panic!("{len} octets are taken") };
            let aside = aside.unwrap();
            assert_eq!(fs::read(&aside).unwrap().len(), len);
            assert!(matches!(zones.read("a."), Err(Lost::Absent)));
            fs::remove_file(aside).unwrap();
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn names_of_files_mean_nothing_to_a_file_system() {
        let long = "a".repeat(63) + "." + &"b".repeat(63) + "." + &"c".repeat(63) + ".";
        for (origin, name) in
            [(".", "%root"), ("A.b.", "a.b"), ("..\\/x.", "..%5c%2fx"), ("a/b.", "a%2fb"), ("%.", "%25")]
        {
            assert_eq!(file_name(origin), name);
        }
        let (one, other) = (file_name(&format!("{long}d.")), file_name(&format!("{long}e.")));
        assert!(one.len() < 200 && one != other);
    }
}
