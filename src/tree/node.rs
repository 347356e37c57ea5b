//! A node: what the user wants of a file or folder, and what the service has
//! confirmed of it.

use std::ffi::{OsStr, OsString};

use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};

/// The root of the account.
pub const ROOT: Ino = Ino(1);

/// What kind of thing a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link; on the service a small file `NAME.rclonelink`.
    Symlink,
}

/// Where a node hangs. Absent for the root and for detached nodes: those
/// unlinked here or gone from the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The folder.
    pub parent: Ino,
    /// The name as shown here.
    pub name: OsString,
}

/// Owner, permission and times. `None` is the mount's default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// Permission bits (07777).
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access, as far as it was set explicitly.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of content or attributes.
    pub ctime: Time,
    /// Birth.
    pub btime: Time,
}

/// What the service has confirmed of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteFolder {
    /// Its id.
    pub id: FolderId,
    /// The folder it lies in there; `None` for the root.
    pub place: Option<RemotePlace>,
}

/// What the service has confirmed of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteFile {
    /// Its id, which names these bytes for ever.
    pub id: FileId,
    /// The folder it lies in there.
    pub place: RemotePlace,
    /// Bytes.
    pub size: u64,
    /// Checksum of the whole content, where the service told it.
    pub whirlpool: Option<Whirlpool>,
    /// When it came there, by the service's clock; `None` until a listing tells it, as of what was
    /// just sent.
    pub date: Option<Time>,
}

/// Folder and name on the service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RemotePlace {
    /// Folder id.
    pub folder: FolderId,
    /// Name as sent over the wire.
    pub name: String,
}

/// The confirmed half of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remote {
    /// The service has nothing of it (yet).
    None,
    /// A folder there.
    Folder(RemoteFolder),
    /// A file there.
    File(RemoteFile),
}

impl Remote {
    /// The id as text: that of the file, or the folder's in decimal.
    pub fn rid(&self) -> Option<String> {
        match self {
            Remote::None => None,
            Remote::File(file) => Some(file.id.to_string()),
            Remote::Folder(folder) => Some(folder.id.to_string()),
        }
    }

    /// Where the service has it; the root lies nowhere.
    pub fn place(&self) -> Option<&RemotePlace> {
        match self {
            Remote::None => None,
            Remote::File(file) => Some(&file.place),
            Remote::Folder(folder) => folder.place.as_ref(),
        }
    }

    fn place_mut(&mut self) -> Option<&mut RemotePlace> {
        match self {
            Remote::None => None,
            Remote::File(file) => Some(&mut file.place),
            Remote::Folder(folder) => folder.place.as_mut(),
        }
    }

    /// The same object, elsewhere; `None` when there is none that could move.
    pub fn relocated(&self, change: impl FnOnce(&mut RemotePlace)) -> Option<Remote> {
        let mut remote = self.clone();
        change(remote.place_mut()?);
        Some(remote)
    }
}

/// Which parts of a node the service does not have as the user wants them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending {
    /// The last closed version is not there.
    pub content: bool,
    /// It lies elsewhere or has another name there.
    pub place: bool,
    /// The folder does not exist there.
    pub make: bool,
}

impl Pending {
    /// Nothing is to be done.
    pub fn is_empty(self) -> bool {
        self == Pending::default()
    }

    pub(super) fn bits(self) -> i64 {
        i64::from(self.content) | i64::from(self.place) << 1 | i64::from(self.make) << 2
    }

    pub(super) fn from_bits(bits: i64) -> Pending {
        Pending {
            content: bits & 1 != 0,
            place: bits & 2 != 0,
            make: bits & 4 != 0,
        }
    }
}

/// How well the content of a folder is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// Never listed: a name not found may exist all the same.
    Never,
    /// Listed whole at this time.
    Whole(Time),
    /// Listed, but cut off at the service's cap: further files may exist, and no further sub-folders.
    FilesCut(Time),
    /// Listed, but without all sub-folders, as far as is known: it was cut off there, or told of none.
    /// Further ones may exist, and perhaps files.
    Cut(Time),
    /// Listed once, by an answer that counts more files than it shows: further names may exist, until
    /// a second answer agrees.
    Lacking(Time),
    /// The last answer was empty where there were entries before, or lacked some in spite of
    /// its own words; what was known is kept until a second answer agrees.
    Doubted(Time),
    /// The same of a folder that was not known whole before: further names may exist.
    DoubtedPart(Time),
}

impl Known {
    /// When it was last listed.
    pub fn at(self) -> Option<Time> {
        match self {
            Known::Never => None,
            Known::Whole(t)
            | Known::FilesCut(t)
            | Known::Cut(t)
            | Known::Lacking(t)
            | Known::Doubted(t)
            | Known::DoubtedPart(t) => Some(t),
        }
    }

    /// Whether a name that is not found is known not to exist.
    pub fn is_complete(self) -> bool {
        matches!(self, Known::Whole(_) | Known::Doubted(_))
    }

    /// Whether that is known of the name of a sub-folder.
    pub fn has_all_folders(self) -> bool {
        self.is_complete() || matches!(self, Known::FilesCut(_))
    }
}

/// A file, folder or symbolic link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its inode.
    pub ino: Ino,
    /// Where it hangs.
    pub place: Option<Place>,
    /// What it is.
    pub kind: Kind,
    /// Owner, permission, times.
    pub attributes: Attributes,
    /// Bytes of the last closed version.
    pub size: u64,
    /// Of a symbolic link, once known.
    pub target: Option<OsString>,
    /// The confirmed half.
    pub remote: Remote,
    /// What is still to be done.
    pub pending: Pending,
    /// For folders.
    pub known: Known,
    /// How often the names in it came, went or changed.
    pub name_changes: u64,
    /// The service asks others for a password.
    pub protected: bool,
    /// Whose it is, and what may be done to a folder's entries or a file's content.
    pub access: Access,
}

/// What a look at a node shows of it: all that is read of the entries of a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Looks {
    /// Its inode.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Owner, permission, times.
    pub attributes: Attributes,
    /// Bytes of the last closed version.
    pub size: u64,
    /// Whose it is.
    pub access: Access,
    /// Whether it hangs in a folder.
    pub is_placed: bool,
    /// Whether the service has it.
    pub is_confirmed: bool,
}

/// What the names in a folder are, and which folder is above it: the same as long as none came, went
/// or changed, over restarts too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Names {
    /// Grows with each change.
    pub changes: u64,
    /// What `..` is.
    pub above: Option<Ino>,
}

/// An entry of a folder, as reading the folder shows it.
pub struct FolderEntry<'a> {
    /// Its name.
    pub name: &'a OsStr,
    /// What it looks like.
    pub looks: Looks,
    /// Of a folder: how many it has in it.
    pub folders: u32,
}

impl Node {
    /// What a look at it shows.
    pub fn looks(&self) -> Looks {
        Looks {
            ino: self.ino,
            kind: self.kind,
            attributes: self.attributes,
            size: self.size,
            access: self.access,
            is_placed: self.place.is_some(),
            is_confirmed: self.remote != Remote::None,
        }
    }

    /// What the names in it are.
    pub fn names(&self) -> Names {
        Names {
            changes: self.name_changes,
            above: self.place.as_ref().map(|place| place.parent),
        }
    }

    /// The folder id, if this is a folder that exists on the service.
    pub fn folder_id(&self) -> Option<FolderId> {
        match &self.remote {
            Remote::Folder(folder) => Some(folder.id),
            _ => None,
        }
    }

    /// Whether it has content that the service could take: not a folder, nor an empty file.
    pub fn has_content(&self) -> bool {
        match self.kind {
            Kind::Folder => false,
            Kind::File => self.size > 0,
            Kind::Symlink => true,
        }
    }

    /// The confirmed file, if there is one.
    pub fn remote_file(&self) -> Option<&RemoteFile> {
        match &self.remote {
            Remote::File(file) => Some(file),
            _ => None,
        }
    }
}

/// Whose a node is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Access {
    /// The account's own.
    #[default]
    Own,
    /// Somebody else's, shared for changes too.
    Changes,
    /// Somebody else's, shared for reading.
    Reading,
}

/// The three answers of a look-up, and what the user makes of the third in some folders. `Unknown`
/// is never shown as "no such file".
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Here it is.
    Exists(Box<Node>),
    /// The folder is known and has no such name.
    Gone,
    /// The folder has not been seen whole.
    Unknown,
    /// Nor has this one, where the user said that such a name counts as new
    /// ([`Tree::allow_new`](super::Tree::allow_new)). It may be on the service all the same.
    New,
}
