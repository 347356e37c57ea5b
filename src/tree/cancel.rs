//! Giving up what is queued of a node, because the user says so or the service refuses it: it becomes what the service has of it, or
//! goes where the service has nothing.

use std::ffi::OsStr;

use rusqlite::Transaction;

use super::node::{Kind, Node, Pending, Place, Remote};
use super::vanished::distinct_name;
use super::wanted::{detach, differs_there, shown_name, stop_replacing};
use super::{Change, Tree, TreeError, attempts, attributes, names, rows, unanswered};
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
    /// Gives up a move or rename, because the user does or the service refuses it for good: the
    /// node is shown again where it truly is.
    ///
    /// # Errors
    /// Those of the database.
    pub fn restore_place(&self, ino: Ino) -> Result<Cancelled> {
        self.store.write(|tx| {
            let Some(node) = rows::by_ino(tx, ino)? else {
                return Ok(Cancelled::default());
            };
            let Some(there) = node.remote.place() else {
                return Ok(Cancelled::default());
            };
            let Some(folder) = rows::by_folder_id(tx, there.folder)? else {
                return Ok(Cancelled::default());
            };
            // A passing name is nobody's wish: what it was called before is asked for again
            // (a very long name without its end, which the passing one had no room for).
            let passing = names::before_moving(&there.name, ino);
            let called = passing.unwrap_or(&there.name);
            let display = shown_name(node.kind, called);
            let taken = |name: &OsStr| -> rusqlite::Result<bool> {
                Ok(rows::by_name(tx, folder.ino, name)?.is_some_and(|n| n.ino != ino))
            };
            let name = if taken(&display)? {
                let id = node.remote.rid().unwrap_or_default();
                distinct_name(tx, folder.ino, &display, &id, ino)?
            } else {
                display
            };
            let place = Place {
                parent: folder.ino,
                name,
            };
            if rows::is_within(tx, folder.ino, ino)? {
                // What it lies in there has gone below it here.
                return Ok(Cancelled::default());
            }
            if passing.is_some() && node.place.as_ref() == Some(&place) {
                return Ok(Cancelled::default()); // That was the way back already.
            }
            let look_again = stop_replacing(tx, ino)?;
            rows::set_place(tx, ino, Some(&place))?;
            let pending = Pending {
                place: passing.is_some() || unanswered::of(tx, ino)?.is_some(),
                ..node.pending
            };
            rows::set_pending(tx, ino, pending)?;
            if pending.place {
                attempts::clear_attempt(tx, ino)?;
            }
            let places = [node.place.as_ref(), Some(&place)].into_iter().flatten();
            let changes = places.map(|place| Change::Entry {
                parent: place.parent,
                name: place.name.clone(),
            });
            Ok(Cancelled {
                changes: changes.collect(),
                look_again,
            })
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
    let look_again = stop_replacing(tx, ino)?;
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
