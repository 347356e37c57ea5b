//! A folder that is fit to be mounted on: checked, and freed of the wreck that a
//! killed daemon leaves behind.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::error::MountError;
use super::mount::{FS_TYPE, detach_at};
use super::mountinfo::{self, MountEntry};

/// How long a mount that is already there may take to show that it lives.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// Wrecks that may lie on one another at one place before we give up.
const MAX_WRECKS: usize = 8;

/// An empty folder, absolute and without symbolic links, that nothing of FUSE is mounted on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mountpoint(PathBuf);

impl Mountpoint {
    /// Checks `path`, and first clears dead mounts of ours there. `own_dirs`
    /// are the daemon's folders (they need not exist yet): they and the
    /// mountpoint may not lie in one another. Blocks, for seconds at most.
    ///
    /// # Errors
    /// Each reason not to mount there, with what to do about it.
    pub fn prepare(path: &Path, own_dirs: &[&Path]) -> Result<Mountpoint, MountError> {
        let point = resolve_mountpoint(path)?;
        for _ in 0..MAX_WRECKS {
            let mounts = mountinfo::current()
                .map_err(MountError::system("reading", "/proc/self/mountinfo"))?;
            match mountinfo::top_at(&mounts, &point).filter(|m| m.is_fuse()) {
                Some(mount) => clear(&point, mount)?,
                None => break,
            }
        }
        check_folder(&point)?;
        for dir in own_dirs {
            let dir = resolve_lenient(dir)?;
            if dir.starts_with(&point) || point.starts_with(&dir) {
                return Err(MountError::Entangled {
                    dir,
                    mountpoint: point,
                });
            }
        }
        Ok(Mountpoint(point))
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The path under which mountinfo would list it. A dead mount cannot be looked
/// at, so where it fails the folder above is resolved.
fn resolve_mountpoint(path: &Path) -> Result<PathBuf, MountError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => MountError::Missing(path.to_path_buf()),
        io::ErrorKind::NotADirectory => MountError::NotDir(path.to_path_buf()),
        _ => MountError::system("resolving", path)(error),
    };
    match path.canonicalize() {
        Ok(resolved) => Ok(resolved),
        Err(error) if is_dead(&error) => {
            let path = std::path::absolute(path).map_err(failed)?;
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) => Ok(parent.canonicalize().map_err(failed)?.join(name)),
                _ => Err(failed(error)),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Resolves as much of a path as exists.
fn resolve_lenient(path: &Path) -> Result<PathBuf, MountError> {
    let failed = MountError::system("resolving", path);
    let absolute = match std::path::absolute(path) {
        Ok(absolute) => absolute,
        Err(error) => return Err(failed(error)),
    };
    for existing in absolute.ancestors() {
        match existing.canonicalize() {
            Ok(resolved) => {
                return Ok(match absolute.strip_prefix(existing) {
                    Ok(rest) if !rest.as_os_str().is_empty() => resolved.join(rest),
                    _ => resolved,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(absolute)
}

/// Takes a dead mount of ours away; any other FUSE mount is a refusal.
fn clear(point: &Path, mount: &MountEntry) -> Result<(), MountError> {
    let ours = mount.fs_type == OsStr::new(FS_TYPE);
    let fs_type = || mount.fs_type.to_string_lossy().into_owned();
    match probe(point) {
        Life::Silent => Err(MountError::Silent(point.to_path_buf())),
        Life::Alive if ours => Err(MountError::AlreadyMounted(point.to_path_buf())),
        Life::Alive => Err(MountError::Occupied {
            path: point.to_path_buf(),
            fs_type: fs_type(),
        }),
        Life::Dead if ours && may_clear(mount) => {
            tracing::info!(path = %point.display(), "clearing a mount whose daemon has died");
            detach_at(point)
        }
        Life::Dead => Err(MountError::ForeignWreck {
            path: point.to_path_buf(),
            fs_type: fs_type(),
        }),
    }
}

pub(super) fn may_clear(mount: &MountEntry) -> bool {
    let me = geteuid();
    me.is_root() || mount.fuse_owner() == Some(me.as_raw())
}

/// What stands behind a FUSE mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// A daemon that answers.
    Alive,
    /// Nobody any more.
    Dead,
    /// Somebody who does not answer.
    Silent,
}

/// Asks a mount for its figures, which the kernel never answers from memory as
/// it does with attributes. On a thread of its own, since a daemon that hangs
/// would hold the asker for as long.
pub(super) fn probe(point: &Path) -> Life {
    let (tell, hear) = mpsc::channel();
    let path = point.to_path_buf();
    std::thread::spawn(move || {
        // Nobody listens any more after the time is up.
        let _ = tell.send(statvfs(&path).map_err(io::Error::from));
    });
    match hear.recv_timeout(PROBE_TIME) {
        Ok(Err(error)) if is_dead(&error) => Life::Dead,
        // Any answer, even a refusal, comes from somebody.
        Ok(_) => Life::Alive,
        Err(_) => Life::Silent,
    }
}

/// What the kernel says of a FUSE mount without a daemon.
fn is_dead(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOTCONN | libc::ECONNABORTED)
    )
}

fn check_folder(point: &Path) -> Result<(), MountError> {
    let metadata = point
        .metadata()
        .map_err(MountError::system("looking at", point))?;
    if !metadata.is_dir() {
        return Err(MountError::NotDir(point.to_path_buf()));
    }
    let mut entries = point
        .read_dir()
        .map_err(MountError::system("reading", point))?;
    match entries.next() {
        Some(_) => Err(MountError::NotEmpty(point.to_path_buf())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_empty_folder_is_fit_also_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        symlink(&real, &link).unwrap();
        for path in [&real, &link] {
            assert_eq!(Mountpoint::prepare(path, &[]).unwrap().path(), real);
        }
    }

    #[test]
    fn what_is_missing_no_folder_or_not_empty_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let refusal = |path: &Path| Mountpoint::prepare(path, &[]).unwrap_err();
        assert!(matches!(
            refusal(&dir.path().join("none")),
            MountError::Missing(_)
        ));
        assert!(matches!(refusal(&file), MountError::NotDir(_)));
        assert!(matches!(
            refusal(&file.join("below")),
            MountError::NotDir(_)
        ));
        assert!(matches!(refusal(dir.path()), MountError::NotEmpty(_)));
        assert!(refusal(dir.path()).to_string().contains("not empty"));
    }

    #[test]
    fn the_daemons_folders_and_the_mountpoint_keep_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (point, beside) = (dir.path().join("m"), dir.path().join("m-cache"));
        fs::create_dir(&point).unwrap();
        // Neither of them exists yet.
        for bad in [point.join("cache/blocks"), dir.path().to_path_buf()] {
            let refusal = Mountpoint::prepare(&point, &[&beside, &bad]).unwrap_err();
            assert!(
                matches!(refusal, MountError::Entangled { .. }),
                "{refusal:?}"
            );
        }
        assert!(Mountpoint::prepare(&point, &[&beside]).is_ok());
    }
}
