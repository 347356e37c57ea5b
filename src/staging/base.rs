//! What staging needs of the room below: bytes of files of the service.
//!
//! [`Content`] is the one implementation in the program. The
//! trait is the seam at which the tests of this room put bytes without a
//! service, and all that staging may know of where clean bytes come from.

use std::any::Any;
use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::content::{Content, ContentError, Lent, RemoteFile, Who};
use crate::ids::FileId;

/// As long as it lives, the file of the service that it stands for is not
/// removed by us.
pub type Pin = Box<dyn Any + Send + Sync>;

/// Reads files of the service.
pub trait Base: Send + Sync + 'static {
    /// Bytes that are there without waiting; `None` if any is missing.
    fn try_read(&self, file: &RemoteFile, offset: u64, len: usize) -> Option<Bytes>;

    /// Bytes, short only at the end of the file.
    fn read(
        &self,
        who: Who,
        file: &RemoteFile,
        offset: u64,
        len: usize,
    ) -> BoxFuture<'static, Result<Bytes, ContentError>>;

    /// Keeps a file of the service from being removed.
    fn pin(&self, id: &FileId) -> Pin;

    /// Takes over `data` (at `path`, every byte at its own offset) as clean
    /// content of `file`. The file at `path` is gone afterwards.
    fn adopt(&self, file: &RemoteFile, data: File, path: &Path) -> Result<(), ContentError>;

    /// Whether the file's bytes are known to be wrong: reading them fails.
    fn is_damaged(&self, id: &FileId) -> bool;

    /// Whether [`Base::lend`] is worth a try.
    fn may_lend(&self, file: &RemoteFile) -> bool;

    /// All bytes of a file, for the kernel to read them by itself; `None` where they cannot be given,
    /// now. Blocks for the disk.
    fn lend(&self, file: &RemoteFile) -> Option<Lent>;

    /// The disk of this folder is full: clean content on it goes. Returns the bytes
    /// that this gave.
    fn make_room(&self, folder: &Path) -> u64;
}

impl Base for Content {
    fn try_read(&self, file: &RemoteFile, offset: u64, len: usize) -> Option<Bytes> {
        Content::try_read(self, file, offset, len)
    }

    fn read(
        &self,
        who: Who,
        file: &RemoteFile,
        offset: u64,
        len: usize,
    ) -> BoxFuture<'static, Result<Bytes, ContentError>> {
        let (content, file) = (self.clone(), file.clone());
        Box::pin(async move { content.read_for(who, &file, offset, len).await })
    }

    fn pin(&self, id: &FileId) -> Pin {
        Box::new(Content::pin(self, id))
    }

    fn adopt(&self, file: &RemoteFile, data: File, path: &Path) -> Result<(), ContentError> {
        Content::adopt(self, file, data, path)
    }

    fn is_damaged(&self, id: &FileId) -> bool {
        Content::is_damaged(self, id)
    }

    fn may_lend(&self, file: &RemoteFile) -> bool {
        Content::may_lend(self, file)
    }

    fn lend(&self, file: &RemoteFile) -> Option<Lent> {
        Content::lend(self, file)
    }

    fn make_room(&self, folder: &Path) -> u64 {
        Content::make_room(self, folder)
    }
}
