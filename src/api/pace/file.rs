//! The shared state on disk: a small JSON file, replaced as a whole, and a lock
//! file beside it that is held while a process reads, decides and writes.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::state::State;

/// How long another process may hold the lock. It needs a millisecond; one that
/// is stopped in that moment must not stop all others for ever.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the state is kept.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    lock: PathBuf,
}

/// The state file, locked until dropped.
pub(super) struct Locked<'a> {
    file: &'a StateFile,
    _lock: File,
}

/// How long a state is to last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    /// As long as the machine runs.
    Awake,
    /// Whatever happens.
    OverPowerCuts,
}

impl StateFile {
    pub fn new(path: &Path) -> StateFile {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        StateFile {
            path: path.to_owned(),
            lock: lock.into(),
        }
    }

    /// Waits for the other processes, but not for ever.
    pub fn lock(&self) -> io::Result<Locked<'_>> {
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.lock)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => {
                    return Ok(Locked {
                        file: self,
                        _lock: lock,
                    });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another process holds the lock",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Locked<'_> {
    /// The state; `None` if there is none yet, or none that can be read.
    pub fn load(&self) -> io::Result<Option<State>> {
        let text = match std::fs::read(&self.file.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice(&text) {
            Ok(state) => Ok(Some(state)),
            Err(error) => {
                tracing::warn!(
                    path = %self.file.path.display(), %error,
                    "the record of calls cannot be read; beginning a new one, carefully"
                );
                Ok(None)
            }
        }
    }

    /// Replaces the state. What a power cut may take of it, a reboot takes longer than, but
    /// for what `keep` says: that is on the disk when this returns.
    pub fn save(&self, state: &State, keep: Keep) -> io::Result<()> {
        let mut next = self.file.path.as_os_str().to_owned();
        next.push(".new");
        let next = PathBuf::from(next);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        if keep == Keep::OverPowerCuts {
            file.sync_all()?;
        }
        drop(file);
        std::fs::rename(&next, &self.file.path)?;
        match self.file.path.parent() {
            Some(folder) if keep == Keep::OverPowerCuts => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_kept_and_a_broken_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(&dir.path().join("pace.json"));
        let locked = file.lock().unwrap();
        assert!(locked.load().unwrap().is_none());
        let state = State::begin(42);
        for keep in [Keep::Awake, Keep::OverPowerCuts] {
            locked.save(&state, keep).unwrap();
            assert_eq!(locked.load().unwrap().as_ref(), Some(&state));
        }
        std::fs::write(&file.path, b"{\"seen\":").unwrap();
        assert!(locked.load().unwrap().is_none());
    }

    #[test]
    fn the_lock_excludes_others_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(&dir.path().join("pace.json"));
        let held = file.lock().unwrap();
        let other = OpenOptions::new().write(true).open(&file.lock).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().unwrap();
    }
}
