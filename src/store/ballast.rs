//! Room on the disk that is kept for the database: a file beside it that is given up when the
//! disk is full. What was sent or removed can then still be noted, and that is what makes room
//! again, whoever filled the disk.

use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::posix_fallocate;
use parking_lot::Mutex;

use crate::disk_space::DiskSpace;

/// Bytes of the file (a twentieth of a small disk).
const SIZE: u64 = 8 << 20;

/// It is taken only where so many times as much is free.
const PLENTY: u64 = 4;

/// How long it stays given up before anybody looks whether there is room for it again.
const PAUSE: Duration = Duration::from_secs(30);

/// The file. Everything about it is best effort: without it a full disk is an error, as ever.
pub(super) struct Ballast {
    path: PathBuf,
    /// When it was given up, or could not be taken.
    missing_since: Mutex<Option<Instant>>,
}

impl Ballast {
    /// Beside this database. What an earlier process took is taken on.
    pub fn beside(database: &Path) -> Ballast {
        let mut name = database.as_os_str().to_owned();
        name.push("-room");
        Ballast {
            path: PathBuf::from(name),
            missing_since: Mutex::new(None),
        }
    }

    /// Takes the room, if there is plenty.
    pub fn take(&self) {
        let taken = self.disk().is_some_and(|disk| {
            let size = size_on(disk);
            let held = self.held() >= size;
            held || (disk.free >= size.saturating_mul(PLENTY) && self.fill(size))
        });
        *self.missing_since.lock() = (!taken).then(Instant::now);
    }

    /// Takes the room again where it is missing, a while after it was last looked for.
    pub fn keep(&self) {
        let due = self
            .missing_since
            .lock()
            .is_some_and(|since| since.elapsed() >= PAUSE);
        if due {
            self.take();
        }
    }

    /// Gives the room up, where the disk is full. Returns whether it did.
    pub fn give(&self) -> bool {
        let held = self.held();
        let full = || self.disk().is_some_and(|disk| disk.free < size_on(disk));
        if held == 0 || !full() {
            return false;
        }
        *self.missing_since.lock() = Some(Instant::now());
        match std::fs::remove_file(&self.path) {
            Ok(()) => {
                tracing::warn!(
                    bytes = held,
                    "the disk of the state directory is full: what was kept free for the database is given up"
                );
                true
            }
            Err(_) => false,
        }
    }

    fn disk(&self) -> Option<DiskSpace> {
        DiskSpace::of(self.path.parent()?).ok()
    }

    /// Bytes that are kept now.
    fn held(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    fn fill(&self, size: u64) -> bool {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&self.path);
        let length = i64::try_from(size).unwrap_or(0);
        let filled = file.is_ok_and(|file| posix_fallocate(file.as_fd(), 0, length).is_ok());
        if !filled {
            // Not half of it: nobody would look for the rest. Gone is as good as missing.
            let _ = std::fs::remove_file(&self.path);
        }
        filled
    }
}

/// Bytes that are to be kept on such a disk.
fn size_on(disk: DiskSpace) -> u64 {
    SIZE.min(disk.total / 20)
}
