//! Taking a mount away, directly where we may, else through fusermount3.

use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

use super::error::MountError;
use super::fusermount::{self, Lazy};

/// How to unmount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmount {
    /// Refuse with [`MountError::Busy`] if anything stays open in it for longer than
    /// about two seconds.
    IfIdle,
    /// Take it out of sight at once; what is open goes on until it is closed.
    Detach,
}

/// Takes away whatever is uppermost at `point`: the caller has looked what that is. Blocks.
pub(super) fn unmount_at(point: &Path, how: Unmount) -> Result<(), MountError> {
    let (flags, lazy) = match how {
        Unmount::IfIdle => (MntFlags::empty(), Lazy::No),
        Unmount::Detach => (MntFlags::MNT_DETACH, Lazy::Yes),
    };
    match umount2(point, flags | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => fusermount::unmount(point, lazy),
        Err(Errno::EBUSY) => Err(MountError::Busy(point.to_path_buf())),
        Err(errno) => Err(MountError::system("unmounting", point)(errno.into())),
    }
}

/// The same, out of sight at once.
pub(super) fn detach_at(point: &Path) -> Result<(), MountError> {
    unmount_at(point, Unmount::Detach)
}
