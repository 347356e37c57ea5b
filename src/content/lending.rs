//! Cache files that the kernel reads by itself: which may be given to it, and for how long they
//! count as given.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};

use super::file::CacheFile;
use super::{Content, Core, RemoteFile};

/// All bytes of a file of the service, to be read around this process and never to be changed.
/// The cache keeps them as long as this lives.
pub struct Lent {
    disk: File,
    file: Arc<CacheFile>,
    core: Weak<Core>,
}

impl Lent {
    /// Their descriptor, open for reading alone.
    pub fn disk(&self) -> BorrowedFd<'_> {
        self.disk.as_fd()
    }

    /// How many they are: the file ends with them.
    pub fn size(&self) -> u64 {
        self.file.size
    }

    /// Whether nothing speaks against giving them to one more: found wrong, they are dropped.
    pub fn is_current(&self) -> bool {
        !self.file.is_retired()
    }

    /// They are given to one more reader.
    pub fn note_opened(&self) {
        self.file.touch();
        if let Some(core) = self.core.upgrade() {
            core.counters.passed_opens.add(1);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let freed = self.file.give_back();
        if let Some(core) = self.core.upgrade() {
            core.shelf.dropped(freed);
        }
    }
}

impl Content {
    /// Whether [`Content::lend`] is worth a try: the file is whole on the cache disk, was found to be
    /// what the service's checksum says, and what the disk has of it to be what was written there.
    pub fn may_lend(&self, file: &RemoteFile) -> bool {
        self.core.checks.is_sound(&file.id)
            && self.core.shelf.get(file).is_some_and(|f| f.is_complete())
    }

    /// Gives a file to be read by who reads by itself; `None` where it cannot be, now. Blocks for
    /// a sync of the disk the first time.
    pub fn lend(&self, file: &RemoteFile) -> Option<Lent> {
        let cached = self.core.shelf.get(file)?;
        let disk = match self.core.shelf.lend(&cached) {
            Ok(disk) => disk?,
            Err(error) => {
                tracing::warn!(file = %file.id, %error, "a cached file is not passed through");
                return None;
            }
        };
        let lent = Lent {
            disk,
            file: cached,
            core: Arc::downgrade(&self.core),
        };
        // By now it may have been found to be wrong.
        (self.may_lend(file) && lent.is_current()).then_some(lent)
    }
}
