//! How what was written gets into the database.
//!
//! Closing a file (each `close` of each duplicate: `flush`) seals its content as
//! a version and stores that, its size and times, and the intent to send it, in one
//! transaction. After that the process may be killed. For `fsync` the bytes go to the
//! disk first and the transaction is one that survives a power cut.

use std::sync::Arc;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::handles::{FileHandle, Hold};
use super::types::{Answer, Fh, SyncScope};
use crate::content::ContentError;
use crate::ids::{Ino, Time};
use crate::staging::{StagedFile, StagingError};
use crate::tree::{TreeError, attributes, journal};

/// What a save outlasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outlast {
    Kill,
    PowerCut,
}

/// What can fail inside the transaction of a save.
enum SaveError {
    Staging(StagingError),
    Tree(TreeError),
}

impl<E: Into<TreeError>> From<E> for SaveError {
    fn from(e: E) -> Self {
        SaveError::Tree(e.into())
    }
}

impl From<SaveError> for Error {
    fn from(e: SaveError) -> Self {
        match e {
            SaveError::Staging(e) => e.into(),
            SaveError::Tree(e) => e.into(),
        }
    }
}

impl From<StagingError> for Error {
    fn from(e: StagingError) -> Self {
        let kind = match &e {
            full if full.is_full() => ErrorKind::NoSpace,
            StagingError::TooBig => ErrorKind::TooBig,
            StagingError::Content(e) => match e {
                ContentError::Gone(_) => ErrorKind::Stale,
                ContentError::Refused(_) => ErrorKind::Access,
                ContentError::Timeout(_) => ErrorKind::TimedOut,
                _ => ErrorKind::Io,
            },
            _ => ErrorKind::Io,
        };
        Error::from_source(kind, "the file's content", e)
    }
}

impl Vfs {
    /// A descriptor of this handle was closed.
    pub fn flush(&self, fh: Fh) -> Answer<()> {
        self.inner
            .handles
            .file(fh)
            .and_then(|handle| self.save(&handle.hold))
            .into()
    }

    /// Brings a file to the disk.
    pub fn fsync(&self, fh: Fh, _scope: SyncScope) -> Answer<()> {
        match self.inner.handles.file(fh) {
            Ok(handle) => self.sync(handle),
            Err(e) => Answer::Now(Err(e)),
        }
    }

    pub(super) fn sync(&self, handle: Arc<FileHandle>) -> Answer<()> {
        let vfs = self.clone();
        self.blocking(move || {
            let Hold { ino, content, .. } = &handle.hold;
            // First the bytes, then the row that says they are there.
            content.sync()?;
            if vfs.save_content(*ino, content, Outlast::PowerCut)? == Saved::Nothing {
                // An earlier close may have stored it, and may not be on the disk yet.
                vfs.store().sync()?;
            }
            Ok(())
        })
    }

    /// Runs what waits for the disk on a thread that may wait.
    pub(super) fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        Answer::later(async move {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|e| Error::from_source(ErrorKind::Io, "a task of ours", e))?
        })
    }

    /// A handle ends. Its errors reach nobody, so they are logged; what could not be
    /// saved stays in memory for the next attempt.
    pub fn release(&self, fh: Fh) -> Answer<()> {
        let released = self.inner.handles.remove_file(fh).map(|handle| {
            // Pages of a mapping may have been written after the last close.
            if let Err(e) = self.save(&handle.hold) {
                let ino = handle.hold.ino;
                tracing::error!(%ino, error = ?e, "closed file not saved, tried again later");
            }
        });
        released.into()
    }

    /// Saves everything that is unsaved, also of files that are still open: before the
    /// process ends in good order, and after room was made on a full disk.
    ///
    /// # Errors
    /// The last failure; the other files were saved all the same.
    pub fn save_all(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        for (ino, content) in self.inner.inodes.open_files() {
            if let Err(e) = self.save_content(ino, &content, Outlast::Kill) {
                tracing::error!(%ino, error = ?e, "file not saved");
                outcome = Err(e);
            }
        }
        outcome
    }

    /// Stores what was written since the last save, so that it survives the
    /// process.
    pub(super) fn save(&self, hold: &Hold) -> Result<(), Error> {
        self.save_content(hold.ino, &hold.content, Outlast::Kill)
            .map(drop)
    }

    fn save_content(
        &self,
        ino: Ino,
        content: &Arc<StagedFile>,
        outlast: Outlast,
    ) -> Result<Saved, Error> {
        // Without a name there is nothing to come back to.
        if !content.is_dirty() || self.inner.inodes.is_unlinked(ino) {
            return Ok(Saved::Nothing);
        }
        let stamp = self.inner.inodes.stamp(ino);
        let now = Time::now();
        let store = |tx: &rusqlite::Transaction<'_>| -> Result<_, SaveError> {
            let Some(sealed) = content.seal(tx).map_err(SaveError::Staging)? else {
                return Ok(None);
            };
            // The times that `stat` showed before the close are those it shows after.
            let changed = stamp.ctime.unwrap_or(now);
            attributes::content_closed(tx, ino, sealed.size(), stamp.mtime, changed)?;
            journal::content_due(tx, ino, now.after(self.options().write_back))?;
            Ok(Some(sealed))
        };
        let sealed = match outlast {
            Outlast::Kill => self.store().write(store)?,
            Outlast::PowerCut => self.store().write_durable(store)?,
        };
        let Some(sealed) = sealed else {
            return Ok(Saved::Nothing);
        };
        sealed.committed();
        let left = self.inner.inodes.saved(ino, stamp);
        self.clear(ino, left);
        self.wake();
        Ok(Saved::Version)
    }
}

/// What a save stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Saved {
    Nothing,
    Version,
}
