//! Folders in which names that were not seen count as new, because the user said so.
//!
//! Of a folder that is not known whole such a name may be there, so that nothing can be made under
//! it. Whose folder is not whole for long, or never, may rather have two files of one name now and
//! then. The decision is about one folder, lasts over restarts, and ends once that is known whole.

use rusqlite::Connection;

use super::node::{Access, Known, Node};
use super::{Lookup, Tree, TreeError, changes, rows};
use crate::ids::Ino;

impl Tree {
    /// From now on names that were not seen in this folder count as new, until it is known whole.
    /// Of one that is, nothing is kept.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::NotFolder`], [`TreeError::ReadOnly`] where nothing may
    /// be made in it, [`TreeError::Unlisted`] where nothing was seen of it yet.
    pub fn allow_new(&self, folder: Ino) -> Result<(), TreeError> {
        self.store.write(|tx| {
            let node = changes::open_folder(tx, folder)?;
            if node.known == Known::Never {
                return Err(TreeError::Unlisted(folder));
            }
            if !node.known.is_complete() {
                tx.execute(
                    "INSERT OR IGNORE INTO new_names(ino) VALUES (?1)",
                    [rows::int(folder.0)],
                )?;
            }
            Ok(())
        })
    }

    /// Takes that back.
    ///
    /// # Errors
    /// When the database fails.
    pub fn disallow_new(&self, folder: Ino) -> Result<(), TreeError> {
        self.store.write(|tx| {
            tx.execute(
                "DELETE FROM new_names WHERE ino = ?1",
                [rows::int(folder.0)],
            )?;
            Ok(())
        })
    }

    /// Whether names that were not seen in a folder count as new. They do not where it is known
    /// whole: there they are gone; nor where others share it for reading.
    ///
    /// # Errors
    /// When the database fails.
    pub fn allows_new(&self, folder: Ino) -> Result<bool, TreeError> {
        self.store.read(|c| {
            let folder = rows::by_ino(c, folder)?;
            let name = folder.map(|folder| absent(c, &folder)).transpose()?;
            Ok(name == Some(Lookup::New))
        })
    }
}

/// What a name is that a folder is not known to have.
pub(super) fn absent(c: &Connection, folder: &Node) -> rusqlite::Result<Lookup> {
    Ok(match folder.known {
        known if known.is_complete() => Lookup::Gone,
        // What is seen first may be what is looked for.
        Known::Never => Lookup::Unknown,
        // It may have been shared for changes when that was said.
        _ if folder.access == Access::Reading => Lookup::Unknown,
        _ if is_allowed(c, folder.ino)? => Lookup::New,
        _ => Lookup::Unknown,
    })
}

fn is_allowed(c: &Connection, folder: Ino) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM new_names WHERE ino = ?1)")?
        .query_row([rows::int(folder.0)], |row| row.get(0))
}
