//! What can go wrong between us and the database.

use std::io;
use std::path::{Path, PathBuf};

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
    /// The file is no database, or a damaged one.
    #[error(
        "the database {} is damaged ({reason}): what waits for its upload is still in the folder \
         beside it, and `fichierfs doctor` lists it; move the database away to mount with a new one",
        path.display()
    )]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// Another process does not let go of it.
    #[error(
        "the database {} is held by another process, a backup or an open `sqlite3` perhaps: \
         end that and try again; nothing was changed",
        path.display()
    )]
    Held {
        /// The database file.
        path: PathBuf,
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
    /// What an error of SQLite means while the database at `path` is opened.
    pub(super) fn at_open(self, path: &Path) -> StoreError {
        use rusqlite::ErrorCode;
        let StoreError::Sqlite(source) = self else {
            return self;
        };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Held { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                let reason = source.to_string();
                StoreError::Damaged { path, reason }
            }
            _ => StoreError::Sqlite(source),
        }
    }

    /// Whether the disk that holds the database is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(e, _))
                if e.code == rusqlite::ErrorCode::DiskFull
        )
    }
}
