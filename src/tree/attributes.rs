//! Owner, permission, times and extended attributes: kept here, since the
//! service stores none of them. They belong to the inode and so move along when
//! a rewrite changes the file's id.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rusqlite::{OptionalExtension, Transaction, params};

use super::node::{Attributes, Node};
use super::rows::int;
use super::{Tree, TreeError, rows, vanished};
use crate::ids::{Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// What `setattr` may change; `None` leaves a value as it is.
#[derive(Clone, Copy, Default, Debug)]
pub struct AttributeChange {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub atime: Option<Time>,
    /// Last change of content.
    pub mtime: Option<Time>,
}

/// Whether `setxattr` may make or replace a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XattrMode {
    /// Either.
    Set,
    /// It must not exist.
    Create,
    /// It must exist.
    Replace,
}

impl Tree {
    /// Changes attributes; the change time becomes `now`. Returns the node as it
    /// is then.
    pub fn set_attributes(&self, ino: Ino, change: AttributeChange, now: Time) -> Result<Node> {
        self.store.write(|tx| {
            let mut node = rows::by_ino(tx, ino)?.ok_or(TreeError::NotFound)?;
            let old = node.attributes;
            node.attributes = Attributes {
                mode: change.mode.or(old.mode),
                uid: change.uid.or(old.uid),
                gid: change.gid.or(old.gid),
                atime: change.atime.unwrap_or(old.atime),
                mtime: change.mtime.unwrap_or(old.mtime),
                ctime: now,
                btime: old.btime,
            };
            rows::set_attributes(tx, ino, &node.attributes)?;
            Ok(node)
        })
    }

    /// Remembers the target of a symbolic link that was read from the service.
    pub fn set_target(&self, ino: Ino, target: &OsStr) -> Result<()> {
        self.store
            .write(|tx| Ok(rows::set_target(tx, ino, target)?))
    }

    /// The value of an extended attribute.
    pub fn xattr(&self, ino: Ino, name: &OsStr) -> Result<Option<Vec<u8>>> {
        self.store.read(|c| {
            Ok(
                c.prepare_cached("SELECT value FROM xattr WHERE ino = ?1 AND name = ?2")?
                    .query_row(params![int(ino.0), name.as_bytes()], |row| row.get(0))
                    .optional()?,
            )
        })
    }

    /// The names of all extended attributes that were set.
    pub fn xattrs(&self, ino: Ino) -> Result<Vec<OsString>> {
        self.store.read(|c| {
            Ok(
                c.prepare_cached("SELECT name FROM xattr WHERE ino = ?1 ORDER BY name")?
                    .query_map([int(ino.0)], |row| Ok(OsString::from_vec(row.get(0)?)))?
                    .collect::<rusqlite::Result<_>>()?,
            )
        })
    }

    /// Sets an extended attribute.
    ///
    /// # Errors
    /// [`TreeError::Exists`] or [`TreeError::NotFound`] as `mode` demands.
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        mode: XattrMode,
        now: Time,
    ) -> Result<()> {
        self.store.write(|tx| {
            let exists: bool = tx
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM xattr WHERE ino = ?1 AND name = ?2)")?
                .query_row(params![int(ino.0), name.as_bytes()], |row| row.get(0))?;
            match mode {
                XattrMode::Create if exists => return Err(TreeError::Exists),
                XattrMode::Replace if !exists => return Err(TreeError::NotFound),
                _ => {}
            }
            tx.prepare_cached(
                "INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![int(ino.0), name.as_bytes(), value])?;
            Ok(rows::set_changed(tx, ino, now)?)
        })
    }

    /// Removes an extended attribute.
    ///
    /// # Errors
    /// [`TreeError::NotFound`] when it was not set.
    pub fn remove_xattr(&self, ino: Ino, name: &OsStr, now: Time) -> Result<()> {
        self.store.write(|tx| {
            let removed = tx
                .prepare_cached("DELETE FROM xattr WHERE ino = ?1 AND name = ?2")?
                .execute(params![int(ino.0), name.as_bytes()])?;
            if removed == 0 {
                return Err(TreeError::NotFound);
            }
            Ok(rows::set_changed(tx, ino, now)?)
        })
    }
}

/// A new version of a file's content was closed: part of the transaction in
/// which staging stores it. `content` tells whether it is to be sent; an empty
/// file is not, and what the service has under its name is to go. One that
/// vanished from the service while it was open is back with this.
pub fn content_closed(
    tx: &Transaction<'_>,
    ino: Ino,
    size: u64,
    mtime: Option<Time>,
    now: Time,
) -> Result<()> {
    let mut node = rows::by_ino(tx, ino)?.ok_or(TreeError::NotFound)?;
    rows::set_size(tx, ino, size)?;
    node.attributes.mtime = mtime.unwrap_or(node.attributes.mtime);
    // A change of attributes may have followed the last write.
    node.attributes.ctime = node.attributes.ctime.max(now);
    rows::set_attributes(tx, ino, &node.attributes)?;
    let unlinked = node.place.is_none() && rows::gone_from(tx, ino)?.is_none();
    if !unlinked {
        node.pending.content = true;
        rows::set_pending(tx, ino, node.pending)?;
        vanished::revive(tx, ino)?;
    }
    Ok(())
}

/// Another inode shows what this one did: it has the user's attributes, too.
pub(super) fn hand_on_xattrs(c: &rusqlite::Connection, from: Ino, to: Ino) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE xattr SET ino = ?2 WHERE ino = ?1")?
        .execute([rows::int(from.0), rows::int(to.0)])?;
    Ok(())
}
