//! Open files and open folders, by the numbers that the kernel knows.
//!
//! A file handle holds its inode's content, and with it the version that was
//! opened: the service's copy is not removed before the handle ends. A folder
//! handle is the folder's inode; reading goes by inode order, so that it needs
//! no state.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::error::{Error, ErrorKind};
use super::types::{DirFh, Fh, OpenAccess};
use super::{Inner, Vfs};
use crate::ids::Ino;
use crate::staging::StagedFile;
use crate::tree::Names;

/// A hold on a file's content. The inode counts as open until it is dropped.
pub(super) struct Hold {
    /// The file.
    pub ino: Ino,
    /// Its content, shared with all who hold it.
    pub content: Arc<StagedFile>,
    /// What may be done through it.
    pub access: OpenAccess,
    // Weak: the table of handles must not keep itself alive.
    vfs: Weak<Inner>,
}

impl Hold {
    pub(super) fn new(vfs: &Vfs, ino: Ino, content: Arc<StagedFile>, access: OpenAccess) -> Hold {
        vfs.inner.inodes.opened(ino, &content, access);
        Hold {
            ino,
            content,
            access,
            vfs: Arc::downgrade(&vfs.inner),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(inner) = self.vfs.upgrade() {
            let vfs = Vfs { inner };
            let left = vfs.inner.inodes.closed(self.ino, self.access);
            vfs.settle(self.ino, left);
        }
    }
}

/// An open file.
pub(super) struct FileHandle {
    /// What it holds.
    pub hold: Hold,
    /// `O_SYNC` or `O_DSYNC`.
    pub sync: bool,
}

/// An open folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FolderHandle {
    pub(super) ino: Ino,
    /// The kernel keeps what it reads through this handle; the names were these when it was opened.
    pub(super) keeps: Option<Names>,
}

/// All that is open.
#[derive(Default)]
pub(super) struct Handles {
    files: RwLock<HashMap<Fh, Arc<FileHandle>>>,
    folders: RwLock<HashMap<DirFh, FolderHandle>>,
    last: AtomicU64,
}

impl Handles {
    // Relaxed: the numbers only have to differ.
    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.files.read().is_empty() && self.folders.read().is_empty()
    }

    /// Takes in a file handle.
    pub(super) fn add_file(&self, handle: FileHandle) -> Fh {
        let fh = Fh(self.next());
        self.files.write().insert(fh, Arc::new(handle));
        fh
    }

    /// The file handle with this number.
    pub(super) fn file(&self, fh: Fh) -> Result<Arc<FileHandle>, Error> {
        let handle = self.files.read().get(&fh).cloned();
        handle.ok_or_else(|| ErrorKind::BadHandle.into())
    }

    /// The file handle with this number, if it may write.
    pub(super) fn writable(&self, fh: Fh) -> Result<Arc<FileHandle>, Error> {
        let handle = self.file(fh)?;
        if handle.hold.access.writes() {
            Ok(handle)
        } else {
            Err(ErrorKind::BadHandle.into())
        }
    }

    /// Takes a file handle out.
    pub(super) fn remove_file(&self, fh: Fh) -> Result<Arc<FileHandle>, Error> {
        let handle = self.files.write().remove(&fh);
        handle.ok_or_else(|| ErrorKind::BadHandle.into())
    }

    /// Takes in a folder handle. `keeps` is told whether it is the only one on its folder.
    pub(super) fn add_folder(
        &self,
        ino: Ino,
        keeps: impl FnOnce(bool) -> Option<Names>,
    ) -> (DirFh, FolderHandle) {
        let fh = DirFh(self.next());
        let mut folders = self.folders.write();
        let alone = folders.values().all(|other| other.ino != ino);
        let handle = FolderHandle {
            ino,
            keeps: keeps(alone),
        };
        folders.insert(fh, handle);
        (fh, handle)
    }

    /// The folder behind this number.
    pub(super) fn folder(&self, fh: DirFh) -> Result<FolderHandle, Error> {
        let handle = self.folders.read().get(&fh).copied();
        handle.ok_or_else(|| ErrorKind::BadHandle.into())
    }

    /// Takes a folder handle out.
    pub(super) fn remove_folder(&self, fh: DirFh) -> Result<FolderHandle, Error> {
        let handle = self.folders.write().remove(&fh);
        handle.ok_or_else(|| ErrorKind::BadHandle.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_good_until_it_is_given_back() {
        let handles = Handles::default();
        let open = |ino| {
            let mut alone = None;
            let (fh, _) = handles.add_folder(ino, |is_alone| {
                alone = Some(is_alone);
                None
            });
            (fh, alone.unwrap())
        };
        let (first, alone) = open(Ino(1));
        assert!(alone);
        let (second, alone) = open(Ino(1));
        assert!(!alone);
        assert!(open(Ino(2)).1);
        assert_ne!(first, second);
        assert_eq!(handles.remove_folder(first).unwrap().ino, Ino(1));
        let gone = handles.folder(first).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BadHandle);
        assert_eq!(handles.folder(second).unwrap().ino, Ino(1));
        assert!(handles.file(Fh(second.0)).is_err());
    }
}
