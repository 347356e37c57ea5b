//! One answer of the service about one folder, in the tree's terms.

use super::node::{Access, Kind};
use crate::ids::{FileId, FolderId, Time, Whirlpool};

/// One answer of the service about one folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Its sub-folders, in any order.
    pub folders: Vec<ListedFolder>,
    /// Its files, in any order.
    pub files: Vec<ListedFile>,
    /// How much of it came.
    pub extent: Extent,
    /// What seems to be left out of it.
    pub lacks: Lacks,
    /// Whose it is; `None` where the answer does not say, and then it is as the folder that it
    /// was first seen in.
    pub access: Option<Access>,
}

/// Of which kinds an answer seems to leave something out: what it does not show of them is
/// asked for again before it is believed to be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lacks {
    /// Files.
    pub files: bool,
    /// Files that it counts.
    pub counted: bool,
    /// Sub-folders.
    pub folders: bool,
}

impl Lacks {
    pub(super) fn some(self, kind: Kind) -> bool {
        match kind {
            Kind::Folder => self.folders,
            Kind::File | Kind::Symlink => self.files,
        }
    }
}

/// How much of a folder a listing shows (API notes 10.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// Files may be missing: as many came as can come.
    FilesCut,
    /// Sub-folders may be missing, which no other call shows; and perhaps files.
    Cut,
}

impl Extent {
    /// Whether what it does not show is not there.
    pub(super) fn shows_all(self, kind: Kind) -> bool {
        match self {
            Extent::Whole => true,
            Extent::FilesCut => kind == Kind::Folder,
            Extent::Cut => false,
        }
    }
}

/// A sub-folder in a listing.
#[derive(Clone, Debug)]
pub struct ListedFolder {
    /// Its id.
    pub id: FolderId,
    /// Its name, as sent.
    pub name: String,
    /// When it was made, where told.
    pub created: Option<Time>,
    /// Behind a password.
    pub protected: bool,
}

/// A file in a listing.
#[derive(Clone, Debug)]
pub struct ListedFile {
    /// Its id.
    pub id: FileId,
    /// Its name, as sent.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was uploaded, where told.
    pub date: Option<Time>,
    /// Its checksum, where told.
    pub whirlpool: Option<Whirlpool>,
    /// Behind a password.
    pub protected: bool,
}
