//! What becomes of a node that the service no longer has, or does not put where the user
//! wants it. No staged content goes with it.

use std::ffi::{OsStr, OsString};

use rusqlite::{Connection, Transaction};

use super::events::Change;
use super::node::{Access, Kind, Known, Node, Pending, Place, ROOT, Remote};
use super::wanted::stop_replacing;
use super::{Tree, TreeError, attempts, names, rows, strays};
use crate::ids::{Ino, Time};

/// What is said of something unsent in a folder of somebody else that is gone.
const NO_LONGER_SHARED: &str = "the folder is no longer shared with the account: copy the file to \
     a folder of your own, or give it up with `fichierfs queue cancel`";

type Result<T> = std::result::Result<T, TreeError>;

impl Tree {
    /// The service does not have it any more. Of the root that is not believed.
    pub fn vanished(&self, ino: Ino) -> Result<Vec<Change>> {
        if ino == ROOT {
            return Ok(Vec::new());
        }
        self.store.write(|tx| {
            let node = rows::by_ino(tx, ino)?.ok_or(TreeError::NotFound)?;
            vanish(tx, &node)
        })
    }
}

/// The service no longer has the node. Unsent content is kept: it goes as a new
/// file, into a folder made anew where need be.
pub(super) fn vanish(tx: &Transaction<'_>, node: &Node) -> Result<Vec<Change>> {
    let keep = match node.kind {
        Kind::Folder => rows::has_pending_below(tx, node.ino)?,
        Kind::File | Kind::Symlink => node.pending.content,
    };
    if keep && node.access != Access::Own {
        // It is not made anew among one's own: it waits here until its owner or the user acts.
        attempts::park_below(tx, node.ino, NO_LONGER_SHARED)?;
        return Ok(Vec::new());
    }
    if keep {
        return begin_anew(tx, node);
    }
    if node.pending.place {
        stop_replacing(tx, node.ino)?;
    }
    rows::set_gone(tx, node.ino)?;
    rows::set_pending(tx, node.ino, Pending::default())?;
    Ok(node
        .place
        .iter()
        .map(|place| Change::Gone {
            parent: place.parent,
            child: node.ino,
            name: place.name.clone(),
        })
        .collect())
}

/// The service has nothing of the node any more, and the user wants it all the
/// same. What it had in a folder went with that, where it was not to leave it.
fn begin_anew(tx: &Transaction<'_>, node: &Node) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    if let Remote::Folder(folder) = &node.remote {
        for child in rows::confirmed_in(tx, folder.id)? {
            let stays = |place: &Place| place.parent == node.ino;
            if child.place.as_ref().is_some_and(stays) {
                changes.extend(vanish(tx, &child)?);
            }
        }
        // The new one is empty, and our own.
        rows::set_known(tx, node.ino, Known::Whole(Time(0)))?;
    }
    rows::set_remote(tx, node.ino, &Remote::None, None)?;
    let pending = Pending {
        content: node.pending.content,
        place: false,
        make: node.kind == Kind::Folder,
    };
    rows::set_pending(tx, node.ino, pending)?;
    strays::follow_folder(tx, node.ino)?;
    Ok(changes)
}

/// A node that has something to be sent, or a folder above it, vanished from the
/// service, perhaps while it was open: all of them come back where they were,
/// under another name where theirs is taken. What was unlinked here stays so.
pub(super) fn revive(tx: &Transaction<'_>, ino: Ino) -> Result<()> {
    let mut at = ino;
    while at != ROOT {
        let Some(node) = rows::by_ino(tx, at)? else {
            return Ok(());
        };
        if let Some(place) = &node.place {
            at = place.parent;
            continue;
        }
        let Some(gone) = rows::gone_from(tx, at)? else {
            return Ok(());
        };
        let parent = match rows::by_ino(tx, gone.parent)? {
            Some(folder) if is_or_was_placed(tx, &folder)? => folder.ino,
            _ => ROOT,
        };
        let name = match rows::name_taken(tx, parent, &gone.name)? {
            true => distinct_name(tx, parent, &gone.name, &at.to_string(), at)?,
            false => gone.name.clone(),
        };
        rows::set_place(tx, at, Some(&Place { parent, name }))?;
        begin_anew(tx, &node)?;
        at = parent;
    }
    Ok(())
}

/// A name for the node `me` that no other has, from the name that it cannot have and what
/// tells it apart. Somebody may have given that very name to another file.
pub(super) fn distinct_name(
    c: &Connection,
    parent: Ino,
    name: &OsStr,
    tag: &str,
    me: Ino,
) -> Result<OsString> {
    let mut shown = names::distinct(name, tag);
    let mut more = 1_u64;
    while rows::by_name(c, parent, &shown)?.is_some_and(|holder| holder.ino != me) {
        more += 1;
        shown = names::distinct(name, &format!("{tag}-{more}"));
    }
    Ok(shown)
}

fn is_or_was_placed(tx: &Transaction<'_>, folder: &Node) -> Result<bool> {
    Ok(folder.ino == ROOT || folder.place.is_some() || rows::gone_from(tx, folder.ino)?.is_some())
}
