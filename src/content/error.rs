//! Why a read of the service's bytes failed.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;

/// What the service or the network said, ready for a person: it holds neither
/// the key nor a download link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    said: Arc<str>,
    advice: &'static str,
}

impl Reason {
    pub(super) fn new(said: &dyn fmt::Display, advice: &'static str) -> Reason {
        Reason {
            said: said.to_string().into(),
            advice,
        }
    }

    /// What a person should do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        self.advice
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// Why bytes of a file cannot be given. Cheap to clone: one failure answers all
/// who wait for it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The service does not have the file any more. Its id will not come back.
    #[error("the service no longer has this file: {0}")]
    Gone(Reason),
    /// The service does not give this file to this account.
    #[error("the service refuses this file: {0}")]
    Refused(Reason),
    /// There is no API key to ask with.
    #[error("the service gives bytes only to who has the key of an account: {0}")]
    NoKey(Reason),
    /// Nothing may be asked of the service now: a lock, our own pace, the key.
    #[error("the service cannot be asked now: {0}")]
    Held(Reason),
    /// The download failed again and again, or the network is down.
    #[error("the file cannot be fetched now: {0}")]
    Unavailable(Reason),
    /// The service gives other bytes than its checksum says, again and again.
    #[error("the file is damaged: {0}")]
    Damaged(Reason),
    /// The bytes did not come in time. They may still come.
    #[error("the bytes did not come within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// The cache folder cannot be used at all.
    #[error("the cache folder {path} cannot be used: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for ContentError {
    fn from(error: StoreError) -> Self {
        ContentError::Store(Arc::new(error))
    }
}

impl From<rusqlite::Error> for ContentError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}
