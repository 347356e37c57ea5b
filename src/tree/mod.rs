//! The account as we know it.
//!
//! Every node has two halves: what the user **wants** (place, content,
//! attributes) and what the service has **confirmed** (id, folder, name). The
//! difference of the two is the journal of intents: bits in the node's row
//! ([`node::Pending`]) and rows of [`removals`]. Every change to the tree is one
//! transaction that changes both, so that nothing is ever wanted without being
//! queued, or queued without being wanted.
//!
//! - [`names`]: how a name here and a name there correspond; pure.
//! - [`changes`]: what system calls do to the wanted half.
//! - [`listing`]: one answer of the service about one folder.
//! - `merge`: what a listing does to the confirmed half, and to the wanted one
//!   where the user has no wish of his own; `vanished`: what becomes of what is gone; `twins`: which
//!   of several files of one name has it.
//! - [`journal`]: what is to be done, and what was done; for `upload`.
//! - `local`: files that stay here.
//! - [`clock`]: times follow the system's clock where that is put back.
//! - [`state`]: how far a file has come; pure.
//! - [`refresh`]: fetches listings, one at a time for a folder.
//! - [`source`]: where listings come from.
//! - [`walk`]: lists all below a folder anew.
//! - `working_set`: nodes that are in use, in memory.
//! - `complete`, `completing`, `slices`: folders of more files than a listing holds;
//!   `new_names`: those of them in which names that were not seen count as new.
//!
//! Look-ups have three answers ([`Lookup`]); what is not known is never said to
//! be gone, but where the user said so.
//!
//! Reading and changing is synchronous and takes tens of microseconds; only
//! [`refresh`] waits for the service. `vfs` and `upload` call it; it calls `api`
//! and `store`, and tells of changes that it found through [`events`].

mod attempts;
pub mod attributes;
pub mod cancel;
pub mod changes;
pub mod clock;
mod complete;
mod completing;
mod convert;
mod error;
pub mod events;
pub mod journal;
pub mod listing;
mod local;
mod merge;
#[cfg(test)]
mod name_tests;
pub mod names;
mod new_names;
pub mod node;
mod pins;
pub mod refresh;
pub mod removals;
mod rows;
pub(crate) mod slices;
pub mod source;
pub mod state;
mod strays;
#[cfg(test)]
mod tests;
mod twins;
mod unanswered;
mod vanished;
pub mod walk;
mod wanted;
mod working_set;

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Transaction;

use crate::ids::{FileId, FolderId, Ino, Time};
use crate::store::{Store, Watch};
use working_set::{Kept, WorkingSet};

pub use completing::{CutOff, Progress};
pub use error::TreeError;
pub use events::Change;
pub use node::{
    Access, FolderEntry, Kind, Known, Looks, Lookup, Names, Node, Place, ROOT, Remote, RemoteFile,
    RemotePlace,
};
pub use state::FileState;

/// The tree. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    store: Store,
    listing_lag: Duration,
    working_set: Arc<WorkingSet>,
}

/// The path of a node as it is in this transaction, as [`Tree::path`] tells it.
///
/// # Errors
/// That of the database.
pub fn path_in(tx: &Transaction<'_>, ino: Ino) -> rusqlite::Result<Option<PathBuf>> {
    rows::path(tx, ino)
}

/// Totals over everything known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Files and links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How fresh what is known of the service's folders is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// Folders of the service.
    pub folders: u64,
    /// Those whose content was never listed.
    pub unlisted: u64,
    /// Those whose listing was cut off at the service's cap.
    pub cut_off: u64,
    /// The oldest listing in use.
    pub oldest: Option<Time>,
    /// The newest one.
    pub newest: Option<Time>,
}

impl Tree {
    /// The tree in this database. For `listing_lag` after a change of ours was
    /// confirmed, a listing that does not show it is not believed (API notes 3.8).
    pub fn new(store: Store, listing_lag: Duration) -> Tree {
        let working_set = Arc::new(WorkingSet::default());
        let watch: Arc<dyn Watch> = working_set.clone();
        store.watch("node", &watch);
        Tree {
            store,
            listing_lag,
            working_set,
        }
    }

    /// The node of an inode; `None` when there is none (any more).
    pub fn node(&self, ino: Ino) -> Result<Option<Node>, TreeError> {
        Ok(self.kept(ino)?.map(|kept| kept.node.clone()))
    }

    fn kept(&self, ino: Ino) -> Result<Option<Arc<Kept>>, TreeError> {
        if let Some(kept) = self.working_set.get(ino) {
            return Ok(Some(kept));
        }
        let turn = self.working_set.turn();
        let node = self
            .store
            .read(|c| -> Result<_, TreeError> { Ok(rows::by_ino(c, ino)?) })?;
        Ok(node.map(|node| self.working_set.keep(turn, node)))
    }

    /// The entry `name` of folder `parent`, and the folder.
    ///
    /// # Errors
    /// [`TreeError::NotFound`] when there is no such folder,
    /// [`TreeError::NameTooLong`] for a name that the service cannot have.
    pub fn look_into(&self, parent: Ino, name: &OsStr) -> Result<(Node, Lookup), TreeError> {
        let known = &self.working_set;
        if let (Some(folder), Some(found)) = (known.get(parent), known.at(parent, name)) {
            return Ok((folder.node.clone(), found.exists()));
        }
        let turn = known.turn();
        self.store.read(|c| {
            let folder = || -> Result<Arc<Kept>, TreeError> {
                let folder = rows::by_ino(c, parent)?.ok_or(TreeError::NotFound)?;
                Ok(known.keep(turn, folder))
            };
            if let Some(node) = rows::by_name(c, parent, name)? {
                let found = known.keep(turn, node);
                let folder = known.get(parent).map_or_else(folder, Ok)?;
                return Ok((folder.node.clone(), found.exists()));
            }
            // That a name is gone is told by its absence and the folder's row at one moment.
            let folder = folder()?.node.clone();
            if folder.kind != Kind::Folder {
                return Err(TreeError::NotFolder);
            }
            if names::encode(name).is_err() {
                return Err(TreeError::NameTooLong);
            }
            let lookup = new_names::absent(c, &folder)?;
            Ok((folder, lookup))
        })
    }

    /// The same, for who does not need the folder.
    ///
    /// # Errors
    /// Those of [`Tree::look_into`].
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Lookup, TreeError> {
        Ok(self.look_into(parent, name)?.1)
    }

    /// Up to `limit` entries of a folder in inode order, after inode `after`
    /// (0 to begin with). Entries that come or go meanwhile disturb no other.
    pub fn children(&self, parent: Ino, after: Ino, limit: usize) -> Result<Vec<Node>, TreeError> {
        self.store
            .read(|c| Ok(rows::children(c, parent, after, limit)?))
    }

    /// Shows the entries of a folder in inode order, after inode `after` (0 to begin with), until
    /// `show` breaks. Entries that come or go meanwhile disturb no other. `show` runs within a
    /// door of the store, so it must not come back here.
    ///
    /// # Errors
    /// When the database fails, perhaps after some were shown.
    pub fn read_folder(
        &self,
        parent: Ino,
        after: Ino,
        show: &mut dyn FnMut(FolderEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), TreeError> {
        self.store
            .read(|c| Ok(rows::read_folder(c, parent, after, show)?))
    }

    /// The bytes of the names in a folder, and for each of them so many more; no more are looked at
    /// than it takes to be over `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn names_size(&self, folder: Ino, each: u64, limit: u64) -> Result<u64, TreeError> {
        self.store
            .read(|c| Ok(rows::names_size(c, folder, each, limit)?))
    }

    /// The sub-folders of a folder that the service has.
    pub fn folders_in(&self, parent: Ino) -> Result<Vec<Ino>, TreeError> {
        self.store.read(|c| Ok(rows::folders_in(c, parent)?))
    }

    /// How many sub-folders a folder is known to have.
    pub fn count_folders(&self, parent: Ino) -> Result<u32, TreeError> {
        let kept = self.kept(parent)?;
        if let Some(folders) = kept.as_ref().and_then(|kept| kept.folders.get()) {
            return Ok(*folders);
        }
        let count = || -> Result<u32, TreeError> {
            self.store.read(|c| Ok(rows::count_folders(c, parent)?))
        };
        let folders = count()?;
        // Counted after it was taken from the working set: where they changed since, it is in that
        // no more.
        Ok(kept.map_or(folders, |kept| *kept.folders.get_or_init(|| folders)))
    }

    /// The node that shows this file of the service.
    pub fn by_file_id(&self, id: &FileId) -> Result<Option<Node>, TreeError> {
        self.store.read(|c| Ok(rows::by_file_id(c, id.as_str())?))
    }

    /// The node that shows this folder of the service.
    pub fn by_folder_id(&self, id: FolderId) -> Result<Option<Node>, TreeError> {
        self.store.read(|c| Ok(rows::by_folder_id(c, id)?))
    }

    /// The path of a node from the root, for people; `None` when it is detached.
    pub fn path(&self, ino: Ino) -> Result<Option<PathBuf>, TreeError> {
        self.store
            .read(|c| -> Result<_, TreeError> { Ok(rows::path(c, ino)?) })
    }

    /// Totals over everything known.
    pub fn totals(&self) -> Result<Totals, TreeError> {
        let (files, bytes) = self
            .store
            .read(|c| -> Result<_, TreeError> { Ok(rows::totals(c)?) })?;
        Ok(Totals { files, bytes })
    }

    /// Folders whose listing was cut off, `limit` at most.
    pub fn cut_off(&self, limit: usize) -> Result<Vec<Ino>, TreeError> {
        self.store.read(|c| Ok(rows::cut_off(c, limit)?))
    }

    /// How fresh the listings of all folders are.
    pub fn freshness(&self) -> Result<Freshness, TreeError> {
        self.store.read(|c| Ok(rows::freshness(c)?))
    }
}
