//! News for the kernel: what a listing changed under its caches.

use std::ffi::OsString;

use crate::ids::Ino;

/// Something that the kernel may have cached and that is no longer so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The name now means another node, or none, or one where there was none.
    Entry {
        /// The folder.
        parent: Ino,
        /// The name.
        name: OsString,
    },
    /// The node was removed on the service.
    Gone {
        /// The folder it was in.
        parent: Ino,
        /// Its inode.
        child: Ino,
        /// Its name there.
        name: OsString,
    },
    /// Attributes of the node changed; its content did not (it never does).
    Attributes(Ino),
}
