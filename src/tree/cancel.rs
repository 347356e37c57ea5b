//! Giving up what is queued of a node: it becomes what the service has of it, or
//! goes where the service has nothing.

use rusqlite::Transaction;

use super::node::{Kind, Node, Pending, Remote};
use super::wanted::{detach, differs_there};
use super::{Change, Tree, TreeError, attributes, removals, rows};
use crate::ids::{FolderId, Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// What giving up did.
#[derive(Debug, Default)]
pub struct Cancelled {
    /// What the kernel must hear of.
    pub changes: Vec<Change>,
    /// Folders of the service in which something shows again.
    pub look_again: Vec<FolderId>,
}

impl Tree {
    /// Gives up a move or rename that is queued.
    ///
    /// # Errors
    /// That of the database.
    pub fn cancel_place(&self, ino: Ino) -> Result<Cancelled> {
        Ok(Cancelled {
            changes: self.restore_place(ino)?,
            look_again: Vec::new(),
        })
    }
}

/// Gives up the content or the making of `ino`. Where the service has an older
/// version, that shows again, under the name that the user gave it, as another
/// inode: its bytes are others. What never was on the service goes. What it was to
/// replace stays. Part of the transaction in which staging lets go of the content.
///
/// # Errors
/// [`TreeError::NotFound`] when nothing of that kind is queued,
/// [`TreeError::NotEmpty`] for a folder in which there is something.
pub fn cancel(tx: &Transaction<'_>, ino: Ino, now: Time) -> Result<Cancelled> {
    let node = rows::by_ino(tx, ino)?.ok_or(TreeError::NotFound)?;
    let Some(place) = node.place.clone() else {
        return Err(TreeError::NotFound);
    };
    if !node.pending.content && !node.pending.make {
        return Err(TreeError::NotFound);
    }
    if node.kind == Kind::Folder && rows::has_children(tx, ino)? {
        return Err(TreeError::NotEmpty);
    }
    let look_again = removals::withdraw(tx, ino)?;
    for folder in &look_again {
        if let Some(folder) = rows::by_folder_id(tx, *folder)? {
            rows::expire(tx, folder.ino)?;
        }
    }
    rows::set_remote(tx, ino, &Remote::None, None)?;
    let gone = Node {
        remote: Remote::None,
        ..node.clone()
    };
    detach(tx, &gone, None, now)?;
    rows::touch(tx, place.parent, now)?;
    let mut changes = vec![Change::Gone {
        parent: place.parent,
        child: ino,
        name: place.name.clone(),
    }];
    if let Remote::File(file) = &node.remote {
        let mut older = Node {
            ino: Ino(0),
            size: file.size,
            target: None,
            pending: Pending::default(),
            ..node.clone()
        };
        // With the time of other bytes it would pass for those.
        older.attributes.mtime = node.attributes.btime;
        older.attributes.ctime = now;
        older.pending.place = differs_there(tx, &older)?;
        let shown = rows::insert(tx, &older)?;
        attributes::hand_on_xattrs(tx, ino, shown)?;
        changes.push(Change::Entry {
            parent: place.parent,
            name: place.name,
        });
    }
    Ok(Cancelled {
        changes,
        look_again,
    })
}
