//! What the system calls mean here: inodes, handles, attributes, rename and unlink rules.

mod error;
mod skeleton;
mod types;

pub use error::{Error, ErrorKind};
pub use skeleton::Vfs;
pub use types::{
    AllocateMode, Answer, Attr, Caller, DirEntry, DirFh, Entry, Fh, Fill, Kind, OpenAccess,
    OpenFlags, Opened, RenameMode, SeekTo, SetAttr, SetTime, StatFs, SyncScope, XattrMode,
};
