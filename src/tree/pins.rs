//! Which files and folders the user wants at hand without the network.
//!
//! A pin is on an inode: it stays through renames, moves and own rewrites, and ends with
//! the file.

use rusqlite::params;

use super::rows;
use super::{Kind, Node, Tree, TreeError};
use crate::ids::Ino;

/// Entries of a folder that are read at a time.
const AT_ONCE: usize = 1000;

impl Tree {
    /// Pins a file or folder; returns whether it was not pinned before.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pin(&self, ino: Ino) -> Result<bool, TreeError> {
        self.store.write(|tx| {
            let new = tx.execute(
                "INSERT OR IGNORE INTO pin(ino) VALUES (?1)",
                params![ino.0 as i64],
            )?;
            Ok(new > 0)
        })
    }

    /// Releases a file or folder; returns whether it was pinned.
    ///
    /// # Errors
    /// When the database fails.
    pub fn unpin(&self, ino: Ino) -> Result<bool, TreeError> {
        self.store.write(|tx| {
            let gone = tx.execute("DELETE FROM pin WHERE ino = ?1", params![ino.0 as i64])?;
            Ok(gone > 0)
        })
    }

    /// All that is pinned and still there, in inode order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn pinned(&self) -> Result<Vec<Node>, TreeError> {
        self.store.read(|c| {
            let mut statement = c.prepare_cached("SELECT ino FROM pin ORDER BY ino")?;
            let inos = statement.query_map([], |row| row.get::<_, i64>(0))?;
            let mut nodes = Vec::new();
            for ino in inos {
                if let Some(node) = rows::by_ino(c, Ino(ino? as u64))?
                    && (node.place.is_some() || node.ino == super::ROOT)
                {
                    nodes.push(node);
                }
            }
            Ok(nodes)
        })
    }

    /// The files at or below a node, as far as they are known, and the folders in which
    /// more may be.
    ///
    /// # Errors
    /// When the database fails.
    pub fn files_below(&self, node: &Node) -> Result<(Vec<Node>, Vec<Ino>), TreeError> {
        let (mut files, mut unlisted) = (Vec::new(), Vec::new());
        let mut folders = Vec::new();
        match node.kind {
            Kind::File => files.push(node.clone()),
            Kind::Folder => folders.push(node.clone()),
            Kind::Symlink => {}
        }
        while let Some(folder) = folders.pop() {
            if !folder.known.is_complete() && folder.folder_id().is_some() {
                unlisted.push(folder.ino);
            }
            let mut after = Ino(0);
            loop {
                let entries = self.children(folder.ino, after, AT_ONCE)?;
                let Some(last) = entries.last() else {
                    break;
                };
                after = last.ino;
                for entry in entries {
                    match entry.kind {
                        Kind::File => files.push(entry),
                        Kind::Folder => folders.push(entry),
                        Kind::Symlink => {}
                    }
                }
            }
        }
        Ok((files, unlisted))
    }
}
