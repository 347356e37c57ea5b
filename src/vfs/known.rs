//! What is known of names, for who tells others of changes: nothing is waited for, and nothing
//! asked of the service.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::Vfs;
use super::attr::kind;
use super::error::{Error, ErrorKind};
use super::types::{Answer, Entry, Kind};
use crate::ids::Ino;
use crate::tree::{Lookup, Node};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// Something of this kind.
    There(Kind),
    /// Nothing.
    Gone,
    /// The folder was not seen whole.
    Unknown,
}

impl Vfs {
    /// What a name stands for, as far as it is known.
    ///
    /// # Errors
    /// Where the folder is none, or the database fails.
    pub fn sight(&self, folder: Ino, name: &OsStr) -> Result<Sight, Error> {
        Ok(match self.tree().lookup(folder, name)? {
            Lookup::Exists(node) => Sight::There(kind(node.kind)),
            Lookup::Gone => Sight::Gone,
            Lookup::Unknown => Sight::Unknown,
        })
    }

    /// As [`Vfs::lookup`], of what is known: what is not known is an error at once, as is what is
    /// not of the kind that is wanted.
    pub fn lookup_known(&self, folder: Ino, name: &OsStr, wanted: Option<Kind>) -> Answer<Entry> {
        let found = || -> Result<Entry, Error> {
            let node: Node = match self.tree().lookup(folder, name)? {
                Lookup::Exists(node) => *node,
                Lookup::Gone => return Err(ErrorKind::NotFound.into()),
                Lookup::Unknown => return Err(ErrorKind::Busy.into()),
            };
            if wanted.is_some_and(|wanted| wanted != kind(node.kind)) {
                return Err(ErrorKind::Exists.into());
            }
            self.entry(&node)
        };
        found().into()
    }

    /// Where a folder is below the mountpoint; `None` where it is not.
    ///
    /// # Errors
    /// Those of the database.
    pub fn path_shown(&self, folder: Ino) -> Result<Option<PathBuf>, Error> {
        let (root, path) = (self.tree().path(self.root())?, self.tree().path(folder)?);
        Ok(root.zip(path).and_then(|(root, path)| {
            let below = path.strip_prefix(root).ok()?;
            Some(below.to_owned())
        }))
    }
}
