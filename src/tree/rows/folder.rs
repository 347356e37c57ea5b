//! What is in a folder, and what lies below and above it.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::{Result, access_of, all, attributes, by_ino, ino, int, kind_of, uint};
use crate::ids::Ino;
use crate::tree::node::{FolderEntry, Looks, Node, ROOT};

/// Shows the entries of a folder in inode order, after inode `after`, until `show` breaks.
pub(in crate::tree) fn read_folder(
    c: &Connection,
    parent: Ino,
    after: Ino,
    show: &mut dyn FnMut(FolderEntry<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut statement = c.prepare_cached(
        "SELECT ino, name, kind, mode, uid, gid, atime, mtime, ctime, btime, size, access,
                rid IS NOT NULL,
                iif(kind = 1,
                    (SELECT count(*) FROM node AS inner
                     WHERE inner.parent = node.ino AND inner.kind = 1), 0)
         FROM node WHERE parent = ?1 AND ino > ?2 ORDER BY ino",
    )?;
    let mut rows = statement.query([int(parent.0), int(after.0)])?;
    while let Some(row) = rows.next()? {
        let kind = kind_of(row.get(2)?);
        let entry = FolderEntry {
            name: OsStr::from_bytes(row.get_ref(1)?.as_blob()?),
            looks: Looks {
                ino: ino(row, 0)?,
                kind,
                attributes: attributes(row, 3, kind)?,
                size: uint(row.get(10)?),
                access: access_of(row.get(11)?),
                is_placed: true,
                is_confirmed: row.get(12)?,
            },
            folders: row.get(13)?,
        };
        if show(entry).is_break() {
            break;
        }
    }
    Ok(())
}

/// The bytes of the names in a folder and `each` for every one of them, as far as `limit`.
pub(in crate::tree) fn names_size(
    c: &Connection,
    folder: Ino,
    each: u64,
    limit: u64,
) -> Result<u64> {
    c.prepare_cached(
        "SELECT coalesce(sum(length(name) + ?2), 0)
         FROM (SELECT name FROM node WHERE parent = ?1 LIMIT ?3)",
    )?
    .query_row(
        [int(folder.0), int(each), int(limit / each.max(1) + 1)],
        |row| Ok(uint(row.get(0)?)),
    )
}

pub(in crate::tree) fn has_children(c: &Connection, parent: Ino) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM node WHERE parent = ?1)")?
        .query_row([int(parent.0)], |row| row.get(0))
}

/// Sub-folders of a folder: what its link count shows.
pub(in crate::tree) fn count_folders(c: &Connection, parent: Ino) -> Result<u32> {
    c.prepare_cached("SELECT count(*) FROM node WHERE parent = ?1 AND kind = 1")?
        .query_row([int(parent.0)], |row| row.get(0))
}

/// Sub-folders of a folder that the service has.
pub(in crate::tree) fn folders_in(c: &Connection, parent: Ino) -> Result<Vec<Ino>> {
    c.prepare_cached("SELECT ino FROM node WHERE parent = ?1 AND kind = 1 AND rid IS NOT NULL")?
        .query_map([int(parent.0)], |row| ino(row, 0))?
        .collect()
}

/// The folders below one that are open to changes are for reading only from now on; gives them.
pub(in crate::tree) fn close_below(c: &Connection, top: Ino) -> Result<Vec<Ino>> {
    c.prepare_cached(
        "WITH RECURSIVE down(ino) AS (
             SELECT ino FROM node WHERE parent = ?1 AND kind = 1
             UNION SELECT node.ino FROM node JOIN down ON node.parent = down.ino WHERE node.kind = 1)
         UPDATE node SET access = 2 WHERE access = 1 AND ino IN (SELECT ino FROM down)
         RETURNING ino",
    )?
    .query_map([int(top.0)], |row| ino(row, 0))?
    .collect()
}

pub(in crate::tree) fn name_taken(c: &Connection, parent: Ino, name: &OsStr) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM node WHERE parent = ?1 AND name = ?2)")?
        .query_row(params![int(parent.0), name.as_bytes()], |row| row.get(0))
}

/// The path from the root; `None` when the node is detached.
pub(in crate::tree) fn path(c: &Connection, ino: Ino) -> Result<Option<PathBuf>> {
    let mut names = Vec::new();
    let mut at = ino;
    while at != ROOT {
        let Some(place) = by_ino(c, at)?.and_then(|node| node.place) else {
            return Ok(None);
        };
        names.push(place.name);
        at = place.parent;
    }
    Ok(Some(names.iter().rev().collect()))
}

/// Whether `node` is `above` or lies below it.
pub(in crate::tree) fn is_within(c: &Connection, node: Ino, above: Ino) -> Result<bool> {
    c.prepare_cached(
        "WITH RECURSIVE up(ino) AS (
             SELECT ?1 UNION SELECT node.parent FROM node JOIN up ON node.ino = up.ino
             WHERE node.parent IS NOT NULL)
         SELECT EXISTS (SELECT 1 FROM up WHERE ino = ?2)",
    )?
    .query_row([int(node.0), int(above.0)], |row| row.get(0))
}

/// Whether anything at or below `top` is not yet on the service, or strayed to its root.
pub(in crate::tree) fn has_pending_below(c: &Connection, top: Ino) -> Result<bool> {
    c.prepare_cached(
        "WITH RECURSIVE down(ino) AS (
             SELECT ?1 UNION SELECT node.ino FROM node JOIN down ON node.parent = down.ino)
         SELECT EXISTS (SELECT 1 FROM node JOIN down USING (ino) WHERE pending <> 0
             OR (kind = 2 AND rid IS NULL)
             OR (kind <> 1 AND rparent = 0 AND parent <> 1))",
    )?
    .query_row([int(top.0)], |row| row.get(0))
}

/// Files in a folder that the service has in the root, where nobody wants them.
pub(in crate::tree) fn strays_in(c: &Connection, folder: Ino) -> Result<Vec<Node>> {
    all(
        c,
        "parent = ?1 AND rparent = 0 AND kind <> 1 AND pending = 0",
        [int(folder.0)],
    )
}

/// The folders that have such files.
pub(in crate::tree) fn folders_of_strays(c: &Connection) -> Result<Vec<Ino>> {
    c.prepare_cached(
        "SELECT DISTINCT parent FROM node
         WHERE rparent = 0 AND kind <> 1 AND pending = 0 AND parent <> 1",
    )?
    .query_map([], |row| ino(row, 0))?
    .collect()
}
