//! What can go wrong with staged content.

use std::io;

use crate::content::ContentError;
use crate::ids::{FileId, Ino};
use crate::store::StoreError;

use super::codec::BadMap;

/// Why staged content could not be read, written or stored.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// The disk under the staging folder.
    #[error("cannot {action} staged data: {source}")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The staging budget has no room for the bytes now; uploads that end give
    /// some back.
    #[error("{needed} bytes do not fit in the staging budget: {free} bytes are free")]
    Budget {
        /// Bytes asked for.
        needed: u64,
        /// Bytes that were free.
        free: u64,
    },
    /// Beyond the greatest size that a map can have.
    #[error("beyond the greatest possible size")]
    TooBig,
    /// The service's file has not the size of what was sent.
    #[error("the service confirmed {confirmed} bytes where {sent} were sent")]
    SizeMismatch {
        /// Bytes of the version that was sent.
        sent: u64,
        /// Bytes that the service says it has.
        confirmed: u64,
    },
    /// The machine went down before the disk had the staged bytes.
    #[error(
        "the machine went down before all of it was on the disk: what is left of it cannot be told \
         from other bytes; write the file anew, or remove it"
    )]
    Torn,
    /// A map refers to staged bytes, but there is no data file.
    #[error("the file that holds the staged bytes is missing")]
    NoDataFile,
    /// The service gave fewer bytes of a file than it has.
    #[error("the service gave fewer bytes of file {id} than it has")]
    ShortBase {
        /// The file.
        id: FileId,
    },
    /// The stored map of an inode cannot be read.
    #[error("inode {ino}: {source}")]
    Map {
        /// Whose map.
        ino: Ino,
        /// What is wrong with it.
        source: BadMap,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The unchanged part of the file, which is on the service.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl StagingError {
    pub(super) fn disk(action: &'static str) -> impl FnOnce(io::Error) -> StagingError {
        move |source| StagingError::Disk { action, source }
    }

    /// Whether a file that was to be made is there already.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, StagingError::Disk { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }

    /// Whether what is stored here of a file can never be read again.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            StagingError::Torn | StagingError::NoDataFile | StagingError::Map { .. }
        )
    }

    /// Whether there is no room: on the disk or in the budget.
    pub fn is_full(&self) -> bool {
        match self {
            StagingError::Disk { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            StagingError::Budget { .. } => true,
            StagingError::Store(error) => error.is_disk_full(),
            StagingError::TooBig
            | StagingError::SizeMismatch { .. }
            | StagingError::Torn
            | StagingError::NoDataFile
            | StagingError::ShortBase { .. }
            | StagingError::Map { .. }
            | StagingError::Content(_) => false,
        }
    }
}

impl From<rusqlite::Error> for StagingError {
    fn from(error: rusqlite::Error) -> Self {
        StagingError::Store(error.into())
    }
}
