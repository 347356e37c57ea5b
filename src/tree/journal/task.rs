//! The steps of the journal, each of them one call of the service or a look, and where a step
//! puts its node.

use crate::ids::{FileId, FolderId, Ino, Time};
use crate::tree::node::{Kind, Node, RemotePlace};
use crate::tree::removals::Removal;

/// Something that can be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// Make a folder.
    Make {
        /// The node.
        ino: Ino,
        /// Where and how it is to be called.
        at: RemotePlace,
    },
    /// Move a file or folder, keeping its name.
    Move {
        /// The node.
        ino: Ino,
        /// What to move.
        object: Object,
        /// Where to.
        to: FolderId,
    },
    /// Rename a file or folder where it is.
    Rename {
        /// The node.
        ino: Ino,
        /// What to rename.
        object: Object,
        /// The new name, never the current one (API notes 2.4).
        name: String,
    },
    /// Send the last closed version.
    Send {
        /// The node.
        ino: Ino,
        /// Where and under which name.
        at: RemotePlace,
        /// Bytes of the version as the tree knows it.
        size: u64,
        /// The target, for a symbolic link.
        link: Option<std::ffi::OsString>,
        /// Whether the service may be asked to copy it, if it is a copy.
        copying: Copying,
        /// Since when it may be sent; 0 where somebody waits for it.
        due: Time,
    },
    /// The last closed version is empty, which the service cannot hold: what it
    /// has of the file goes.
    Empty {
        /// The node.
        ino: Ino,
    },
    /// Find out where a node is of which a call without an answer may have put it elsewhere.
    Look {
        /// The node.
        ino: Ino,
    },
    /// Remove an object.
    Remove(Removal),
}

/// Whether a version that is a copy of a file of the service is copied there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Copying {
    /// In one call with others.
    Together,
    /// In a call of its own: the one with others came to nothing.
    Alone,
    /// Never: the service refused, or it did not come about. The content is sent.
    Never,
}

/// A file or folder of the service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Object {
    /// A file.
    File(FileId),
    /// A folder.
    Folder(FolderId),
}

/// Whether the next step of a node asks for a name that must be free: two files of one
/// name may be (API notes 3.6).
pub(super) fn awaits(node: &Node) -> bool {
    node.kind == Kind::Folder || (node.pending.content && !is_emptied(node))
}

/// Whether the last closed version is empty, where the service may have another.
pub(super) fn is_emptied(node: &Node) -> bool {
    node.pending.content && node.size == 0 && node.kind == Kind::File
}

/// Where the next call puts a node: content and new folders where they are wanted; what is
/// there moves first and is then renamed (API notes 10.6).
pub(super) fn next_place(node: &Node, wanted: RemotePlace) -> RemotePlace {
    let anew = node.pending.make || node.pending.content;
    match node.remote.place() {
        Some(there) if !anew && there.folder != wanted.folder => RemotePlace {
            folder: wanted.folder,
            name: there.name.clone(),
        },
        _ => wanted,
    }
}
