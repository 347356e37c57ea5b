//! The signatures of the room, so that `fuse` compiles before the room is written.

use std::ffi::OsStr;

use bytes::Bytes;

use super::*;
use crate::ids::Ino;

/// The file system.
#[derive(Clone)]
pub struct Vfs;

fn none<T>() -> Answer<T> {
    Answer::Now(Err(ErrorKind::Unsupported.into()))
}

#[allow(missing_docs, unused_variables, clippy::too_many_arguments)]
impl Vfs {
    /// Also `.` and `..` (for file handles that outlive the kernel's cache).
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        none()
    }
    pub fn forget(&self, ino: Ino, lookups: u64) {}
    pub fn getattr(&self, ino: Ino, fh: Option<Fh>) -> Answer<Attr> {
        none()
    }
    pub fn setattr(
        &self,
        ino: Ino,
        fh: Option<Fh>,
        change: SetAttr,
        caller: Caller,
    ) -> Answer<Attr> {
        none()
    }
    pub fn readlink(&self, ino: Ino) -> Answer<Bytes> {
        none()
    }
    /// `perm` has the umask applied, here and below.
    pub fn mkdir(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        none()
    }
    /// A regular file.
    pub fn mknod(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        none()
    }
    pub fn symlink(
        &self,
        parent: Ino,
        name: &OsStr,
        target: &OsStr,
        caller: Caller,
    ) -> Answer<Entry> {
        none()
    }
    pub fn unlink(&self, parent: Ino, name: &OsStr, caller: Caller) -> Answer<()> {
        none()
    }
    pub fn rmdir(&self, parent: Ino, name: &OsStr, caller: Caller) -> Answer<()> {
        none()
    }
    pub fn rename(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        mode: RenameMode,
        caller: Caller,
    ) -> Answer<()> {
        none()
    }
    pub fn open(&self, ino: Ino, flags: OpenFlags, caller: Caller) -> Answer<Opened> {
        none()
    }
    pub fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        perm: u16,
        flags: OpenFlags,
        caller: Caller,
    ) -> Answer<(Entry, Opened)> {
        none()
    }
    pub fn read(&self, fh: Fh, offset: u64, len: u32) -> Answer<Bytes> {
        none()
    }
    /// `Later` copies what it needs of `data`.
    pub fn write(&self, fh: Fh, offset: u64, data: &[u8]) -> Answer<u32> {
        none()
    }
    pub fn flush(&self, fh: Fh) -> Answer<()> {
        none()
    }
    pub fn fsync(&self, fh: Fh, scope: SyncScope) -> Answer<()> {
        none()
    }
    pub fn release(&self, fh: Fh) -> Answer<()> {
        none()
    }
    pub fn fallocate(&self, fh: Fh, offset: u64, len: u64, mode: AllocateMode) -> Answer<()> {
        none()
    }
    pub fn lseek(&self, fh: Fh, offset: u64, to: SeekTo) -> Answer<u64> {
        none()
    }
    pub fn copy_file_range(
        &self,
        fh_in: Fh,
        offset_in: u64,
        fh_out: Fh,
        offset_out: u64,
        len: u64,
    ) -> Answer<u64> {
        none()
    }
    /// Waits until the folder is known, so that reading it never has to.
    pub fn opendir(&self, ino: Ino) -> Answer<DirFh> {
        none()
    }
    /// From what `opendir` (or a reading from offset 0: rewinddir) saw. Never waits.
    pub fn readdir(
        &self,
        fh: DirFh,
        offset: u64,
        sink: &mut dyn FnMut(DirEntry<'_>) -> Fill,
    ) -> Result<(), Error> {
        Err(ErrorKind::Unsupported.into())
    }
    /// Like `readdir`; counts one look-up for each entry that the sink took, except `.` and `..`.
    pub fn readdirplus(
        &self,
        fh: DirFh,
        offset: u64,
        sink: &mut dyn FnMut(DirEntry<'_>) -> Fill,
    ) -> Result<(), Error> {
        Err(ErrorKind::Unsupported.into())
    }
    pub fn releasedir(&self, fh: DirFh) -> Answer<()> {
        none()
    }
    pub fn fsyncdir(&self, fh: DirFh, scope: SyncScope) -> Answer<()> {
        none()
    }
    pub fn statfs(&self) -> Answer<StatFs> {
        none()
    }
    pub fn setxattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        mode: XattrMode,
        caller: Caller,
    ) -> Answer<()> {
        none()
    }
    pub fn getxattr(&self, ino: Ino, name: &OsStr) -> Answer<Bytes> {
        none()
    }
    /// The names, each closed by a NUL.
    pub fn listxattr(&self, ino: Ino) -> Answer<Bytes> {
        none()
    }
    pub fn removexattr(&self, ino: Ino, name: &OsStr, caller: Caller) -> Answer<()> {
        none()
    }
}
