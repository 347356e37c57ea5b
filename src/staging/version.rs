//! A closed version of a file: what a close or fsync sealed, whole and
//! unchanging for as long as somebody has it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::StagingError;
use super::closed::Closed;
use super::extents::ExtentMap;
use super::file::StagedFile;
use super::read::{self, Read};
use crate::content::Who;
use crate::ids::{FileId, Ino};

/// How much [`Version::read_stream`] gives at once, in bytes.
const CHUNK: u64 = 1 << 20;

/// A closed version of a file. Holding it keeps its bytes readable, whatever is
/// written to the file meanwhile.
#[derive(Clone)]
pub struct Version {
    pub(super) closed: Arc<Closed>,
    /// Keeps the file's state in memory, which knows what may be punched.
    pub(super) file: Arc<StagedFile>,
}

impl StagedFile {
    /// The last closed version, if the service does not have it yet.
    pub fn snapshot(self: &Arc<Self>) -> Option<Version> {
        let closed = self.state.lock().closed.clone()?;
        Some(Version {
            closed,
            file: Arc::clone(self),
        })
    }
}

impl Version {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.closed.map.size()
    }

    /// Its number: counts the closed versions of the inode.
    pub fn number(&self) -> u64 {
        self.closed.number
    }

    /// Whose version it is.
    pub fn ino(&self) -> Ino {
        self.file.ino()
    }

    /// The files of the service that it reads from.
    pub fn bases(&self) -> Vec<FileId> {
        let remotes = self.closed.map.remotes();
        remotes.into_iter().map(|file| file.id.clone()).collect()
    }

    /// The map: where each byte is.
    pub fn map(&self) -> &ExtentMap {
        &self.closed.map
    }

    /// Whether its bytes are known to be on the disk.
    pub fn is_on_disk(&self) -> bool {
        self.closed.hold.is_none() || self.closed.is_on_disk()
    }

    /// Brings its staged bytes to the disk. Blocks.
    ///
    /// # Errors
    /// That of the disk.
    pub fn sync(&self) -> Result<(), StagingError> {
        if let Some(hold) = &self.closed.hold {
            hold.data().sync()?;
        }
        self.file.on_disk(&self.closed)
    }

    /// Up to `len` bytes from `offset` on, short only at the end.
    ///
    /// # Errors
    /// Those of the disk or of the room below.
    pub async fn read(&self, offset: u64, len: u64) -> Result<Bytes, StagingError> {
        let version = self.clone();
        // The disk may be slow, and this runs among other uploads.
        let read = tokio::task::spawn_blocking(move || version.read_now(offset, len));
        let answer = read
            .await
            .map_err(|error| StagingError::disk("read")(std::io::Error::other(error)))?;
        answer.wait().await
    }

    /// Its bytes were read to be sent, up to here. What breaks at the same place again
    /// and again makes no progress.
    fn read_up_to(&self, end: u64) {
        let before = self.closed.sent.fetch_max(end, Ordering::Relaxed);
        let budget = &self.file.room().budget;
        budget.advance(end.saturating_sub(before));
    }

    fn read_now(&self, offset: u64, len: u64) -> Read {
        let extents = self.closed.map.slice(offset..offset.saturating_add(len));
        let data = self.closed.hold.as_ref().map(|hold| &**hold.data());
        read::read(Who::Upload, &extents, data, self.file.base())
    }

    /// The whole content, in order.
    pub fn read_stream(self) -> impl Stream<Item = Result<Bytes, StagingError>> + Send + 'static {
        stream::try_unfold((self, 0), |(version, at)| async move {
            if at >= version.size() {
                return Ok(None);
            }
            let bytes = version.read(at, CHUNK).await?;
            version.read_up_to(at + bytes.len() as u64);
            let next = at + bytes.len() as u64;
            Ok(Some((bytes, (version, next))))
        })
    }
}
