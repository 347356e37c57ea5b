//! Why a mount could not be made, kept or taken away, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// A refusal of this room, worded for the person who gave the command.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// Nothing is at the mountpoint's path.
    #[error("{} does not exist; make it with `mkdir -p`", .0.display())]
    Missing(PathBuf),
    /// The mountpoint is something else than a folder.
    #[error("{} is not a folder; a mount needs an empty folder", .0.display())]
    NotDir(PathBuf),
    /// The mountpoint has entries, which the mount would hide.
    #[error("{} is not empty; a mount would hide what is in it, so choose an empty folder", .0.display())]
    NotEmpty(PathBuf),
    /// A fichierfs is mounted there and alive.
    #[error("{at} is already a mount of fichierfs; end that one with `fichierfs unmount {at}`", at = .0.display())]
    AlreadyMounted(PathBuf),
    /// Another FUSE file system is mounted there.
    #[error("{} is the mountpoint of another file system ({fs_type}); unmount that one or choose another folder", path.display())]
    Occupied {
        /// The mountpoint.
        path: PathBuf,
        /// The type of what is mounted there.
        fs_type: String,
    },
    /// The daemon of a mount that is not ours has died.
    #[error("a {fs_type} mount at {at} has lost its daemon; its owner can clear it with `fusermount3 -u -z {at}`", at = path.display())]
    ForeignWreck {
        /// The mountpoint.
        path: PathBuf,
        /// The type of what is mounted there.
        fs_type: String,
    },
    /// The mount that is there answers nothing.
    #[error("{at} does not answer; if its daemon hangs, end it, then clear the mount with `fusermount3 -u -z {at}`", at = .0.display())]
    Silent(PathBuf),
    /// A folder of the daemon and the mountpoint lie in one another.
    #[error("{} and the mountpoint {} lie in one another, so the daemon would wait for itself; choose another place for one of them", dir.display(), mountpoint.display())]
    Entangled {
        /// The cache or state folder.
        dir: PathBuf,
        /// The mountpoint.
        mountpoint: PathBuf,
    },
    /// The kernel has no FUSE.
    #[error(
        "/dev/fuse is missing; load it with `modprobe fuse` (a container needs `--device /dev/fuse --cap-add SYS_ADMIN`)"
    )]
    NoDevice,
    /// The device is not open to this user.
    #[error(
        "/dev/fuse is closed to ordinary users; an administrator can open it with `chmod 0666 /dev/fuse`, as distributions do"
    )]
    DeviceClosed,
    /// An ordinary user needs the helper, and it is not installed.
    #[error(
        "mounting as an ordinary user needs fusermount3; install it with `apt-get install fuse3`"
    )]
    NoHelper,
    /// `allow_other` by an ordinary user.
    #[error(
        "allow_other needs the line `user_allow_other` in /etc/fuse.conf; an administrator can add it"
    )]
    AllowOther,
    /// The helper refused for another reason.
    #[error("fusermount3 could not mount {}: {message}", path.display())]
    Helper {
        /// The mountpoint.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// Files or folders under the mountpoint are in use.
    #[error("{} is in use; close what is open in it (`fuser -vm` shows it), or detach it", .0.display())]
    Busy(PathBuf),
    /// Something else was mounted over ours.
    #[error("another file system is mounted over {}; unmount that one first", .0.display())]
    Covered(PathBuf),
    /// A system call failed.
    #[error("{action} {} failed", path.display())]
    System {
        /// What was being done.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The kernel and we could not agree, or a thread could not be started.
    #[error("the FUSE session could not be started")]
    Session(#[source] io::Error),
}

impl MountError {
    /// For `map_err`: a system call on `path` that failed.
    pub(super) fn system(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> MountError {
        let path = path.into();
        move |source| MountError::System {
            action,
            path,
            source,
        }
    }
}
