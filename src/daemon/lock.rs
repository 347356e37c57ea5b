//! One daemon for a state directory, and how one hands over to the next.
//!
//! The lock is a flock(2) on a file, so it goes with its process however that
//! ends. A daemon whose mount is gone and that only drains its queue gives way:
//! the journal is the same for whoever works it off.
//!
//! A cache folder has a lock as well, since it can be given for several states. That is on
//! the folder itself: a disk that is full or cannot be written to is no reason not to mount.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StartError;
use crate::control::Client;
use crate::control::protocol::{Parting, Phase};

/// A daemon that was asked to stop ends within this: it breaks uploads off.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a lock may outlive who held it: in children that are just being started.
const MOMENT: Duration = Duration::from_secs(2);

/// How often the lock is tried.
const GLANCE: Duration = Duration::from_millis(50);

/// The right to a state directory, until dropped.
#[derive(Debug)]
pub struct StateLock {
    _held: Flock<File>,
}

/// Takes the lock of `state_dir`; a daemon that only drains is asked, over its
/// `socket`, to give way.
pub async fn acquire(state_dir: &Path, socket: &Path) -> Result<StateLock, StartError> {
    let path = state_dir.join("lock");
    if let Some(lock) = attempt(&path)? {
        return Ok(lock);
    }
    let mut asked = false;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if !asked && let Ok(holder) = Client::at(socket).await {
            if holder.hello().phase == Phase::Mounted {
                return Err(StartError::Taken {
                    pid: holder.hello().pid,
                    mountpoint: holder.hello().mountpoint.clone(),
                });
            }
            tracing::info!(
                pid = holder.hello().pid,
                "taking over from a daemon without mount"
            );
            // Where it just ended, the lock is free in a moment.
            asked = holder.stop(Parting::Leave).await.is_ok();
        }
        if let Some(lock) = attempt(&path)? {
            return Ok(lock);
        }
        tokio::time::sleep(GLANCE).await;
    }
    Err(StartError::Locked {
        state_dir: state_dir.to_owned(),
        pid: std::fs::read_to_string(&path)
            .unwrap_or_default()
            .trim()
            .to_owned(),
    })
}

/// The right to a cache folder, until dropped.
#[derive(Debug)]
pub struct CacheLock {
    /// `None` where the file system has no locks for folders.
    _held: Option<Flock<File>>,
}

/// Takes the lock of `cache_dir`.
///
/// # Errors
/// [`StartError::CacheTaken`]: another state has it.
pub async fn hold_cache(cache_dir: &Path) -> Result<CacheLock, StartError> {
    let failed = |source| StartError::File {
        path: cache_dir.to_owned(),
        source,
    };
    let until = Instant::now() + MOMENT;
    loop {
        let folder = File::open(cache_dir).map_err(failed)?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Ok(CacheLock { _held: Some(held) }),
            Err((_, Errno::EWOULDBLOCK)) if Instant::now() < until => {}
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(StartError::CacheTaken(cache_dir.to_owned()));
            }
            // No mount is refused for it: cache files of others are not believed anyway.
            Err((_, error)) => {
                tracing::warn!(%error, path = %cache_dir.display(), "the cache has no lock: let no other mount use it");
                return Ok(CacheLock { _held: None });
            }
        }
        tokio::time::sleep(GLANCE).await;
    }
}

pub(super) fn attempt(path: &Path) -> Result<Option<StateLock>, StartError> {
    let failed = |source| StartError::File {
        path: path.to_owned(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut held) => {
            note(&mut held).map_err(failed)?;
            Ok(Some(StateLock { _held: held }))
        }
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(failed(errno.into())),
    }
}

/// Does something for which no daemon may have the state; `None` where one has it.
///
/// # Errors
/// When the lock cannot be had for another reason.
pub fn while_idle<T>(state_dir: &Path, work: impl FnOnce() -> T) -> Result<Option<T>, StartError> {
    let held = attempt(&state_dir.join("lock"))?;
    Ok(held.map(|_held| work()))
}

/// Writes down who holds it, for people; an old note is longer at most.
fn note(file: &mut File) -> std::io::Result<()> {
    let mut old = String::new();
    file.read_to_string(&mut old)?;
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_once_and_names_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = attempt(&path).unwrap().unwrap();
        assert!(attempt(&path).unwrap().is_none());
        let pid = std::fs::read_to_string(&path).unwrap();
        assert_eq!(pid.trim(), std::process::id().to_string());
        drop(held);
        let no_socket = dir.path().join("none.sock");
        acquire(dir.path(), &no_socket).await.unwrap();
    }
}
