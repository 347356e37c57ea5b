//! What FUSE needs on this machine, looked at without mounting.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::unistd::geteuid;

use super::error::MountError;
use super::fusermount::PROGRAMS;
use super::mount::{FS_TYPE, detach_at};
use super::mountinfo;
use super::mountpoint::{Life, may_clear, probe};

/// Whether this user can open the device.
///
/// # Errors
/// Why not, with what to do about it.
pub fn device() -> Result<(), MountError> {
    match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::PermissionDenied => MountError::DeviceClosed,
            _ => MountError::NoDevice,
        }),
    }
}

/// The helper that mounts for ordinary users, and whether it has the power to.
pub fn helper() -> Option<(PathBuf, Power)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(PROGRAMS[0]));
    let all = found.chain(PROGRAMS.iter().skip(1).map(PathBuf::from));
    all.filter_map(|program| Some((program.metadata().ok()?, program)))
        .map(|(facts, program)| {
            let power = match facts.permissions().mode() & 0o4000 {
                0 => Power::None,
                _ => Power::SetUid,
            };
            (program, power)
        })
        .next()
}

/// Whether a program runs as root whoever starts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// It does.
    SetUid,
    /// It does not, and cannot mount.
    None,
}

/// Whether ordinary users may give `allow_other`.
pub fn others_allowed() -> bool {
    let text = std::fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    geteuid().is_root() || text.lines().any(|line| line.trim() == "user_allow_other")
}

/// Mounts of ours whose daemon has died and that this user may clear. Blocks for
/// seconds where one does not answer.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn wrecks() -> io::Result<Vec<PathBuf>> {
    Ok(mountinfo::current()?
        .into_iter()
        .filter(|mount| mount.fs_type == FS_TYPE && may_clear(mount))
        .filter(|mount| probe(&mount.mount_point) == Life::Dead)
        .map(|mount| mount.mount_point)
        .collect())
}

/// Clears a mount that [`wrecks`] found.
///
/// # Errors
/// Where it cannot be taken away.
pub fn clear_wreck(at: &std::path::Path) -> Result<(), MountError> {
    detach_at(at)
}
