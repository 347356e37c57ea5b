//! What can go wrong between us and the database.

use std::io;
use std::path::PathBuf;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be created or opened.
    #[error("cannot open the database {path}: {source}")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A later version of the program has changed the schema.
    #[error(
        "this state was written by a newer fichierfs (schema {found}, this version knows {known}): \
         install the newer version again"
    )]
    Newer {
        /// The schema version found in the file.
        found: i64,
        /// The latest one this program knows.
        known: i64,
    },
    /// SQLite refused: a damaged file, a full disk, a broken invariant.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl StoreError {
    /// Whether the disk that holds the database is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(e, _))
                if e.code == rusqlite::ErrorCode::DiskFull
        )
    }
}
