//! Why a change to the tree was refused, and why a folder is not known.

use std::sync::Arc;

use crate::api::ApiError;
use crate::ids::Ino;
use crate::store::StoreError;

/// Why the tree did not do what it was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// No such name, or the node is gone.
    #[error("no such file or folder")]
    NotFound,
    /// The name is taken.
    #[error("the name is taken")]
    Exists,
    /// A folder was needed.
    #[error("not a folder")]
    NotFolder,
    /// Anything but a folder was needed.
    #[error("is a folder")]
    IsFolder,
    /// The folder has entries.
    #[error("the folder is not empty")]
    NotEmpty,
    /// The name, as the service would see it, is over 250 characters or 255 bytes.
    #[error("the name is too long for the service")]
    NameTooLong,
    /// A folder cannot go into itself or below itself; the root cannot be moved.
    #[error("a folder cannot be moved into itself")]
    IntoItself,
    /// Others share it for reading.
    #[error("it is shared for reading only")]
    ReadOnly,
    /// Source and target are not of one owner.
    #[error("it belongs to somebody else than the folder it was to go to")]
    OtherOwner,
    /// The folder must be listed before this can be answered.
    #[error("the content of folder {0} is not known yet")]
    Unlisted(Ino),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for TreeError {
    fn from(e: rusqlite::Error) -> Self {
        TreeError::Store(e.into())
    }
}

/// Why a folder is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshError {
    /// The deadline came first; the listing goes on.
    #[error("the folder's listing did not arrive in time")]
    TimedOut,
    /// The service did not give it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The service refused it lately, and is not asked again so soon.
    #[error("the service refused it less than an hour ago: {0}")]
    Refused(String),
    /// The folder is gone from the tree, or the database failed.
    #[error("{0}")]
    Tree(Arc<TreeError>),
}

impl From<TreeError> for RefreshError {
    fn from(e: TreeError) -> Self {
        RefreshError::Tree(Arc::new(e))
    }
}
