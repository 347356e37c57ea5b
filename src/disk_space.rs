//! How much room a disk has.

use std::io;
use std::path::Path;

/// Bytes of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DiskSpace {
    /// What users may still write.
    pub(crate) free: u64,
    /// All of it.
    pub(crate) total: u64,
}

impl DiskSpace {
    /// Of the disk that holds `path`.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn of(path: &Path) -> io::Result<DiskSpace> {
        let disk = nix::sys::statvfs::statvfs(path)?;
        let block = disk.fragment_size();
        Ok(DiskSpace {
            free: disk.blocks_available().saturating_mul(block),
            total: disk.blocks().saturating_mul(block),
        })
    }
}
