//! Mounting and unmounting by ourselves rather than by fuser, which gives a
//! directly made mount no subtype, unmounts what it did not mount, and leaves a
//! busy one behind.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::{getegid, geteuid};

use super::error::MountError;
use super::fusermount;
use super::mountinfo::{self, FS_TYPE, MountEntry, MountedDevice};
use super::mountpoint::{Life, Mountpoint, probe};
use super::options::MAX_REQUEST;
use super::unmount::{Unmount, detach_at, unmount_at};

/// What `df` and `mount` show as the source.
const FS_NAME: &str = "fichierfs";

const DEVICE: &str = "/dev/fuse";

/// How long a mount in use may settle before an unmount gives up. A thumbnailer that
/// has just been closed, or a child of some process between fork and exec, holds a file
/// for a moment that nobody sees.
const SETTLING: Duration = Duration::from_secs(2);

/// How often it is tried again meanwhile.
const AGAIN: Duration = Duration::from_millis(200);

/// What the person may choose. Set-uid bits and devices never count here, access
/// times are ours, and the kernel always checks the permission bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MountOptions {
    /// `ro`: the kernel refuses every change.
    pub read_only: bool,
    /// `allow_other`: other users may enter, as far as the permission bits let them.
    pub allow_other: bool,
    /// `noexec`: programs in it cannot be run.
    pub no_exec: bool,
}

impl MountOptions {
    fn flags(self) -> MsFlags {
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
        flags.set(MsFlags::MS_RDONLY, self.read_only);
        flags.set(MsFlags::MS_NOEXEC, self.no_exec);
        flags
    }

    /// What FUSE itself understands.
    fn fuse_options(self) -> String {
        let others = if self.allow_other { ",allow_other" } else { "" };
        format!("default_permissions,max_read={MAX_REQUEST}{others}")
    }

    /// All of it, in the helper's words.
    fn helper_options(self) -> String {
        let mut words = format!("fsname={FS_NAME},subtype=fichierfs,nosuid,nodev,noatime");
        words.push_str(if self.read_only { ",ro" } else { ",rw" });
        if self.no_exec {
            words.push_str(",noexec");
        }
        words.push(',');
        words.push_str(&self.fuse_options());
        words
    }
}

/// A mount that we made. Dropping it detaches it, so that no start that fails
/// half-way leaves a mount that nobody answers.
#[derive(Debug)]
pub struct Mount {
    point: PathBuf,
    device: MountedDevice,
    /// Nobody serves it any more, so there is nothing left to unmount.
    over: AtomicBool,
}

impl Mount {
    /// Mounts, and returns the device that the session has to serve: until it
    /// does, whoever enters the mountpoint waits. Directly where we may, else
    /// through fusermount3. Blocks.
    ///
    /// # Errors
    /// What is missing, with what to do about it.
    pub fn new(
        mountpoint: &Mountpoint,
        options: MountOptions,
    ) -> Result<(Mount, OwnedFd), MountError> {
        let point = mountpoint.path();
        let channel = match mount_directly(point, options)? {
            Some(channel) => channel,
            None => fusermount::mount(point, &options.helper_options())?,
        };
        let listed = listed(point).inspect_err(|_| {
            // Nobody will serve it. If it went meanwhile, there is nothing to take away.
            let _ = detach_at(point);
        })?;
        tracing::debug!(path = %point.display(), device = ?listed.device, "mounted");
        let mount = Mount {
            point: point.to_path_buf(),
            device: listed.device,
            over: AtomicBool::new(false),
        };
        Ok((mount, channel))
    }

    /// What is mounted.
    pub(super) fn device(&self) -> MountedDevice {
        self.device
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// Unmounts, or finds that somebody did already. Blocks, so never call it
    /// from a thread that answers the kernel.
    ///
    /// # Errors
    /// `Busy` or `Covered`, or the system's reason.
    pub fn unmount(&self, how: Unmount) -> Result<(), MountError> {
        if self.over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let give_up = Instant::now() + SETTLING;
        loop {
            // Anew each time: somebody else may unmount it, or mount over it.
            let unmounted = match self.find()? {
                Found::OnTop => unmount_at(&self.point, how),
                Found::Covered => Err(MountError::Covered(self.point.clone())),
                Found::Gone => Ok(()),
            };
            match unmounted {
                Err(MountError::Busy(_)) if Instant::now() < give_up => std::thread::sleep(AGAIN),
                unmounted => return unmounted,
            }
        }
    }

    /// To be called once when nobody serves the mount any more. It usually is
    /// gone; what an abort of the connection leaves is taken away. Never
    /// anything that lives: the kernel gives the number of a mount that is gone
    /// to the next one, which may be another daemon's at the same place.
    pub(super) fn session_ended(&self) -> Result<(), MountError> {
        self.over.store(true, Ordering::Relaxed);
        match self.find()? {
            Found::OnTop if probe(&self.point) == Life::Dead => detach_at(&self.point),
            Found::OnTop | Found::Covered | Found::Gone => Ok(()),
        }
    }

    fn find(&self) -> Result<Found, MountError> {
        let mounts = mounts()?;
        let top = mountinfo::top_at(&mounts, &self.point);
        Ok(if top.is_some_and(|m| self.is(m)) {
            Found::OnTop
        } else if mounts.iter().any(|m| self.is(m)) {
            Found::Covered
        } else {
            Found::Gone
        })
    }

    fn is(&self, mount: &MountEntry) -> bool {
        mount.mount_point == self.point && mount.fs_type == FS_TYPE && mount.device == self.device
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.unmount(Unmount::Detach) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(path = %self.point.display(), error, "could not unmount");
        }
    }
}

/// A mount that was just made.
fn listed(point: &Path) -> Result<MountEntry, MountError> {
    let mounts = mounts()?;
    let top = mountinfo::top_at(&mounts, point).filter(|m| m.fs_type == FS_TYPE);
    top.cloned().ok_or_else(|| MountError::System {
        action: "finding in /proc/self/mountinfo the new mount at",
        path: point.to_path_buf(),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Where a mount of ours is.
enum Found {
    /// In its place.
    OnTop,
    /// In its place, below another one.
    Covered,
    /// Not there any more.
    Gone,
}

fn mounts() -> Result<Vec<MountEntry>, MountError> {
    mountinfo::current().map_err(MountError::system("reading", "/proc/self/mountinfo"))
}

/// mount(2). `None` where only the helper may.
fn mount_directly(point: &Path, options: MountOptions) -> Result<Option<OwnedFd>, MountError> {
    let device = match OpenOptions::new().read(true).write(true).open(DEVICE) {
        Ok(device) => device,
        Err(error) => {
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Err(MountError::NoDevice),
                Some(libc::EACCES | libc::EPERM) => Ok(None),
                _ => Err(MountError::system("opening", DEVICE)(error)),
            };
        }
    };
    let data = format!(
        "fd={},rootmode={:o},user_id={},group_id={},{}",
        device.as_raw_fd(),
        libc::S_IFDIR,
        geteuid(),
        getegid(),
        options.fuse_options(),
    );
    let flags = options.flags();
    match nix::mount::mount(
        Some(FS_NAME),
        point,
        Some(FS_TYPE),
        flags,
        Some(data.as_str()),
    ) {
        Ok(()) => Ok(Some(device.into())),
        Err(Errno::EPERM) => Ok(None),
        Err(Errno::ENODEV) => Err(MountError::NoDevice),
        Err(errno) => Err(MountError::system("mounting on", point)(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_always_checks_permissions_and_never_trusts_set_uid_bits() {
        let plain = MountOptions::default();
        assert!(
            plain
                .flags()
                .contains(MsFlags::MS_NOSUID | MsFlags::MS_NODEV)
        );
        assert!(!plain.flags().contains(MsFlags::MS_RDONLY));
        assert_eq!(
            plain.helper_options(),
            "fsname=fichierfs,subtype=fichierfs,nosuid,nodev,noatime,rw,default_permissions,max_read=1048576"
        );
    }

    #[test]
    fn each_choice_reaches_both_ways_of_mounting() {
        let all = MountOptions {
            read_only: true,
            allow_other: true,
            no_exec: true,
        };
        assert!(
            all.flags()
                .contains(MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC)
        );
        assert_eq!(
            all.fuse_options(),
            "default_permissions,max_read=1048576,allow_other"
        );
        let helper = all.helper_options();
        for word in ["ro", "noexec", "allow_other"] {
            assert!(helper.split(',').any(|w| w == word), "{word} in {helper}");
        }
    }
}
