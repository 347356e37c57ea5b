//! The SQL of nodes: one statement a function, no rules.
//!
//! Most rows are files as the service has them, so these are stored short: a name there
//! that is the name here, and times that are the last change, are said once. Only
//! [`node`], [`insert`] and the statements that change one of the two know of it.

use std::ffi::{OsStr, OsString};
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::local::IS_LOCAL;
use super::node::{
    Access, Attributes, FolderEntry, Kind, Known, Looks, Node, Pending, Place, ROOT, Remote,
    RemoteFile, RemoteFolder, RemotePlace,
};
use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};

pub(super) type Result<T> = rusqlite::Result<T>;

pub(super) const FOLDER: i64 = 1;
pub(super) const FILE: i64 = 2;
pub(super) const SYMLINK: i64 = 3;

const COLUMNS: &str = "ino, parent, name, kind, mode, uid, gid, atime, mtime, ctime, btime, size, \
     target, rid, rparent, rname, rsize, whirlpool, protected, listed_at, listing, pending, access";

/// The name on the service before the one here changes.
const TOLD_NAME: &str = "iif(kind <> 1 AND rname IS NULL AND rparent IS NOT NULL,
     CAST(name AS TEXT), rname)";

/// The number under which a kind is stored.
pub(super) fn kind_number(kind: Kind) -> i64 {
    match kind {
        Kind::Folder => FOLDER,
        Kind::File => FILE,
        Kind::Symlink => SYMLINK,
    }
}

pub(super) fn kind_of(number: i64) -> Kind {
    match number {
        FOLDER => Kind::Folder,
        SYMLINK => Kind::Symlink,
        _ => Kind::File,
    }
}

fn access_number(access: Access) -> i64 {
    match access {
        Access::Own => 0,
        Access::Changes => 1,
        Access::Reading => 2,
    }
}

fn access_of(number: i64) -> Access {
    match number {
        0 => Access::Own,
        1 => Access::Changes,
        _ => Access::Reading,
    }
}

/// SQLite's integers are signed; ids and sizes fit (300 GB, 64-bit counters).
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

pub(super) fn ino(row: &Row<'_>, column: usize) -> Result<Ino> {
    Ok(Ino(uint(row.get(column)?)))
}

/// Owner, permission and times, which are seven columns from `first` on.
fn attributes(row: &Row<'_>, first: usize, kind: Kind) -> Result<Attributes> {
    let mtime: i64 = row.get(first + 4)?;
    let time = |column| -> Result<Time> {
        Ok(Time(match row.get(column)? {
            0 if kind != Kind::Folder => mtime,
            time => time,
        }))
    };
    Ok(Attributes {
        mode: row.get(first)?,
        uid: row.get(first + 1)?,
        gid: row.get(first + 2)?,
        atime: time(first + 3)?,
        mtime: Time(mtime),
        ctime: time(first + 5)?,
        btime: time(first + 6)?,
    })
}

fn node(row: &Row<'_>) -> Result<Node> {
    let kind = kind_of(row.get(3)?);
    let parent: Option<i64> = row.get(1)?;
    let name: Option<Vec<u8>> = row.get(2)?;
    let rid: Option<String> = row.get(13)?;
    let folder: Option<i64> = row.get(14)?;
    let remote_name = match row.get::<_, Option<String>>(15)? {
        None if kind != Kind::Folder => name.clone().and_then(|name| String::from_utf8(name).ok()),
        told => told,
    };
    let remote_place = folder.zip(remote_name).map(|(folder, name)| RemotePlace {
        folder: FolderId(uint(folder)),
        name,
    });
    let whirlpool: Option<[u8; 64]> = row.get(17)?;
    let remote = match (kind, rid, remote_place) {
        (_, None, _) => Remote::None,
        (Kind::Folder, Some(id), place) => match id.parse() {
            Ok(id) => Remote::Folder(RemoteFolder {
                id: FolderId(id),
                place,
            }),
            Err(_) => Remote::None,
        },
        (_, Some(id), Some(place)) => match id.parse::<FileId>() {
            Ok(id) => Remote::File(RemoteFile {
                id,
                place,
                size: uint(row.get::<_, Option<i64>>(16)?.unwrap_or_default()),
                whirlpool: whirlpool.map(Whirlpool),
            }),
            Err(_) => Remote::None,
        },
        (_, Some(_), None) => Remote::None,
    };
    let listed_at: Option<i64> = row.get(19)?;
    let known = match (listed_at, row.get(20)?) {
        (None, _) => Known::Never,
        (Some(t), 1i64) => Known::Cut(Time(t)),
        (Some(t), 2) => Known::Doubted(Time(t)),
        (Some(t), _) => Known::Whole(Time(t)),
    };
    Ok(Node {
        ino: ino(row, 0)?,
        place: parent.zip(name).map(|(parent, name)| Place {
            parent: Ino(uint(parent)),
            name: OsString::from_vec(name),
        }),
        kind,
        attributes: attributes(row, 4, kind)?,
        size: uint(row.get(11)?),
        target: row.get::<_, Option<Vec<u8>>>(12)?.map(OsString::from_vec),
        remote,
        pending: Pending::from_bits(row.get(21)?),
        known,
        protected: row.get(18)?,
        access: access_of(row.get(22)?),
    })
}

/// One node that satisfies `condition`.
fn one(c: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Option<Node>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM node WHERE {condition}"))?
        .query_row(values, node)
        .optional()
}

/// All nodes that satisfy `condition`.
fn all(c: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Node>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM node WHERE {condition}"))?
        .query_map(values, node)?
        .collect()
}

pub(super) fn by_ino(c: &Connection, ino: Ino) -> Result<Option<Node>> {
    one(c, "ino = ?1", [int(ino.0)])
}

pub(super) fn by_name(c: &Connection, parent: Ino, name: &OsStr) -> Result<Option<Node>> {
    one(
        c,
        "parent = ?1 AND name = ?2",
        params![int(parent.0), name.as_bytes()],
    )
}

/// Entries of a folder in inode order, after inode `after`.
pub(super) fn children(c: &Connection, parent: Ino, after: Ino, limit: usize) -> Result<Vec<Node>> {
    all(
        c,
        "parent = ?1 AND ino > ?2 ORDER BY ino LIMIT ?3",
        params![int(parent.0), int(after.0), limit as i64],
    )
}

/// Shows the entries of a folder in inode order, after inode `after`, until `show` breaks.
pub(super) fn read_folder(
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

pub(super) fn by_file_id(c: &Connection, id: &str) -> Result<Option<Node>> {
    one(c, "rid = ?1 AND kind <> 1", [id])
}

pub(super) fn by_folder_id(c: &Connection, id: FolderId) -> Result<Option<Node>> {
    one(c, "rid = ?1 AND kind = 1", [id.to_string()])
}

/// Nodes that the service has in this folder, wherever they hang here.
pub(super) fn confirmed_in(c: &Connection, folder: FolderId) -> Result<Vec<Node>> {
    all(c, "rparent = ?1", [int(folder.0)])
}

/// Nodes that were unlinked here. Those that vanished from the service are none.
pub(super) fn unlinked(c: &Connection) -> Result<Vec<Node>> {
    all(c, "parent IS NULL AND gone_parent IS NULL AND ino <> 1", [])
}

/// Where a node hung that vanished from the service; `None` for any other.
pub(super) fn gone_from(c: &Connection, ino: Ino) -> Result<Option<Place>> {
    c.prepare_cached(
        "SELECT gone_parent, gone_name FROM node
         WHERE ino = ?1 AND gone_parent IS NOT NULL AND gone_name IS NOT NULL",
    )?
    .query_row([int(ino.0)], |row| {
        Ok(Place {
            parent: self::ino(row, 0)?,
            name: OsString::from_vec(row.get(1)?),
        })
    })
    .optional()
}

/// Detaches a node that vanished from the service, and notes where it hung.
pub(super) fn set_gone(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached(&format!(
        "UPDATE node SET gone_parent = parent, gone_name = name, parent = NULL, name = NULL,
                 rname = {TOLD_NAME}
             WHERE ino = ?1 AND parent IS NOT NULL"
    ))?
    .execute([int(ino.0)])?;
    Ok(())
}

pub(super) fn has_children(c: &Connection, parent: Ino) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM node WHERE parent = ?1)")?
        .query_row([int(parent.0)], |row| row.get(0))
}

/// Sub-folders of a folder: what its link count shows.
pub(super) fn count_folders(c: &Connection, parent: Ino) -> Result<u32> {
    c.prepare_cached("SELECT count(*) FROM node WHERE parent = ?1 AND kind = 1")?
        .query_row([int(parent.0)], |row| row.get(0))
}

/// Sub-folders of a folder that the service has.
pub(super) fn folders_in(c: &Connection, parent: Ino) -> Result<Vec<Ino>> {
    c.prepare_cached("SELECT ino FROM node WHERE parent = ?1 AND kind = 1 AND rid IS NOT NULL")?
        .query_map([int(parent.0)], |row| ino(row, 0))?
        .collect()
}

/// The folders below one that are open to changes are for reading only from now on; gives them.
pub(super) fn close_below(c: &Connection, top: Ino) -> Result<Vec<Ino>> {
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

pub(super) fn name_taken(c: &Connection, parent: Ino, name: &OsStr) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM node WHERE parent = ?1 AND name = ?2)")?
        .query_row(params![int(parent.0), name.as_bytes()], |row| row.get(0))
}

/// The path from the root; `None` when the node is detached.
pub(super) fn path(c: &Connection, ino: Ino) -> Result<Option<PathBuf>> {
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
pub(super) fn is_within(c: &Connection, node: Ino, above: Ino) -> Result<bool> {
    c.prepare_cached(
        "WITH RECURSIVE up(ino) AS (
             SELECT ?1 UNION SELECT node.parent FROM node JOIN up ON node.ino = up.ino
             WHERE node.parent IS NOT NULL)
         SELECT EXISTS (SELECT 1 FROM up WHERE ino = ?2)",
    )?
    .query_row([int(node.0), int(above.0)], |row| row.get(0))
}

/// Whether anything at or below `top` is not yet on the service.
pub(super) fn has_pending_below(c: &Connection, top: Ino) -> Result<bool> {
    c.prepare_cached(
        "WITH RECURSIVE down(ino) AS (
             SELECT ?1 UNION SELECT node.ino FROM node JOIN down ON node.parent = down.ino)
         SELECT EXISTS (SELECT 1 FROM node JOIN down USING (ino) WHERE pending <> 0
             OR (kind = 2 AND rid IS NULL))",
    )?
    .query_row([int(top.0)], |row| row.get(0))
}

/// A new node and its row's inode.
pub(super) fn insert(c: &Connection, new: &Node) -> Result<Ino> {
    let (rid, place, rsize, whirlpool) = remote_columns(&new.remote);
    let short = new.kind != Kind::Folder;
    let name = new.place.as_ref().map(|p| p.name.as_bytes());
    let mtime = new.attributes.mtime;
    let time = |time: Time| match time.0 {
        same if short && same == mtime.0 => 0,
        0 if short => 1,
        other => other,
    };
    c.prepare_cached(
        "INSERT INTO node (parent, name, kind, mode, uid, gid, atime, mtime, ctime, btime, size,
             target, rid, rparent, rname, rsize, whirlpool, protected, listed_at, pending, access)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
    )?
    .execute(params![
        new.place.as_ref().map(|p| int(p.parent.0)),
        name,
        kind_number(new.kind),
        new.attributes.mode,
        new.attributes.uid,
        new.attributes.gid,
        time(new.attributes.atime),
        mtime.0,
        time(new.attributes.ctime),
        time(new.attributes.btime),
        int(new.size),
        new.target.as_ref().map(|t| t.as_bytes()),
        rid,
        place.map(|p| int(p.folder.0)),
        place
            .map(|p| p.name.as_str())
            .filter(|told| !short || name != Some(told.as_bytes())),
        rsize.map(int),
        whirlpool,
        new.protected,
        new.known.at().map(|t| t.0),
        new.pending.bits(),
        access_number(new.access),
    ])?;
    let ino = Ino(uint(c.last_insert_rowid()));
    if new.pending.content {
        set_pending(c, ino, new.pending)?;
    }
    Ok(ino)
}

type RemoteColumns<'a> = (
    Option<String>,
    Option<&'a RemotePlace>,
    Option<u64>,
    Option<[u8; 64]>,
);

fn remote_columns(remote: &Remote) -> RemoteColumns<'_> {
    match remote {
        Remote::None => (None, None, None, None),
        Remote::Folder(folder) => (
            Some(folder.id.to_string()),
            folder.place.as_ref(),
            None,
            None,
        ),
        Remote::File(file) => (
            Some(file.id.to_string()),
            Some(&file.place),
            Some(file.size),
            file.whirlpool.map(|w| w.0),
        ),
    }
}

/// Replaces the confirmed half. `confirmed_at` is set when we made the change
/// ourselves: listings may lag behind it.
pub(super) fn set_remote(
    c: &Connection,
    ino: Ino,
    remote: &Remote,
    confirmed_at: Option<Time>,
) -> Result<()> {
    let (rid, place, rsize, whirlpool) = remote_columns(remote);
    c.prepare_cached(
        "UPDATE node SET rid = ?2, rparent = ?3, rsize = ?5, whirlpool = ?6,
             rname = iif(kind <> 1 AND name = CAST(?4 AS BLOB), NULL, ?4),
             confirmed_at = coalesce(?7, confirmed_at) WHERE ino = ?1",
    )?
    .execute(params![
        int(ino.0),
        rid,
        place.map(|p| int(p.folder.0)),
        place.map(|p| p.name.as_str()),
        rsize.map(int),
        whirlpool,
        confirmed_at.map(|t| t.0),
    ])?;
    Ok(())
}

/// When the last own change of the node was confirmed.
pub(super) fn confirmed_at(c: &Connection, ino: Ino) -> Result<Option<Time>> {
    let at: Option<i64> = c
        .prepare_cached("SELECT confirmed_at FROM node WHERE ino = ?1")?
        .query_row([int(ino.0)], |row| row.get(0))?;
    Ok(at.map(Time))
}

pub(super) fn set_place(c: &Connection, ino: Ino, place: Option<&Place>) -> Result<()> {
    c.prepare_cached(&format!(
        "UPDATE node SET parent = ?2, name = ?3, gone_parent = NULL, gone_name = NULL,
             orphan = iif(?2 IS NULL, orphan, 0), rname = {TOLD_NAME}
         WHERE ino = ?1"
    ))?
    .execute(params![
        int(ino.0),
        place.map(|p| int(p.parent.0)),
        place.map(|p| p.name.as_bytes()),
    ])?;
    Ok(())
}

/// What is pending of a node. Of a file that stays here nothing is (see [`super::local`]).
pub(super) fn set_pending(c: &Connection, ino: Ino, pending: Pending) -> Result<()> {
    c.prepare_cached(&format!(
        "UPDATE node SET pending =
             iif(?2 & 1 AND rid IS NULL AND kind <> 1 AND {IS_LOCAL}, ?2 & ~1, ?2)
         WHERE ino = ?1"
    ))?
    .execute(params![int(ino.0), pending.bits()])?;
    if pending.content {
        // By which the journal finds it.
        c.prepare_cached("INSERT OR IGNORE INTO attempt (ino) VALUES (?1)")?
            .execute([int(ino.0)])?;
    }
    Ok(())
}

pub(super) fn set_attributes(c: &Connection, ino: Ino, a: &Attributes) -> Result<()> {
    c.prepare_cached(
        "UPDATE node SET mode = ?2, uid = ?3, gid = ?4, mtime = ?6,
             atime = iif(kind <> 1, coalesce(nullif(?5, 0), 1), ?5),
             ctime = iif(kind <> 1, coalesce(nullif(?7, 0), 1), ?7),
             btime = iif(kind <> 1 AND btime = 0, mtime, btime)
         WHERE ino = ?1",
    )?
    .execute(params![
        int(ino.0),
        a.mode,
        a.uid,
        a.gid,
        a.atime.0,
        a.mtime.0,
        a.ctime.0
    ])?;
    Ok(())
}

/// A folder whose entries changed has new times.
pub(super) fn touch(c: &Connection, ino: Ino, now: Time) -> Result<()> {
    c.prepare_cached("UPDATE node SET mtime = ?2, ctime = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), now.0])?;
    Ok(())
}

/// The service tells no times of its root: they begin when it is first seen.
pub(super) fn date_root(c: &Connection, now: Time) -> Result<()> {
    c.prepare_cached(
        "UPDATE node SET atime = max(atime, ?1), mtime = max(mtime, ?1), ctime = max(ctime, ?1),
             btime = ?1 WHERE ino = 1 AND btime = 0",
    )?
    .execute([now.0])?;
    Ok(())
}

pub(super) fn set_changed(c: &Connection, ino: Ino, now: Time) -> Result<()> {
    c.prepare_cached("UPDATE node SET ctime = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), now.0])?;
    Ok(())
}

pub(super) fn set_size(c: &Connection, ino: Ino, size: u64) -> Result<()> {
    c.prepare_cached("UPDATE node SET size = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), int(size)])?;
    Ok(())
}

pub(super) fn set_target(c: &Connection, ino: Ino, target: &OsStr) -> Result<()> {
    c.prepare_cached("UPDATE node SET target = ?2, size = ?3 WHERE ino = ?1")?
        .execute(params![int(ino.0), target.as_bytes(), target.len() as i64])?;
    Ok(())
}

pub(super) fn set_known(c: &Connection, ino: Ino, known: Known) -> Result<()> {
    let listing = match known {
        Known::Never | Known::Whole(_) => 0,
        Known::Cut(_) => 1,
        Known::Doubted(_) => 2,
    };
    c.prepare_cached("UPDATE node SET listed_at = ?2, listing = ?3 WHERE ino = ?1")?
        .execute(params![int(ino.0), known.at().map(|t| t.0), listing])?;
    Ok(())
}

/// What is known of a folder is out of date: it is listed again when it is used.
pub(super) fn expire(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("UPDATE node SET listed_at = 0 WHERE ino = ?1 AND listed_at IS NOT NULL")?
        .execute([int(ino.0)])?;
    Ok(())
}

pub(super) fn set_protected(c: &Connection, ino: Ino, protected: bool) -> Result<()> {
    c.prepare_cached("UPDATE node SET protected = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), protected])?;
    Ok(())
}

pub(super) fn set_access(c: &Connection, ino: Ino, access: Access) -> Result<()> {
    c.prepare_cached("UPDATE node SET access = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), access_number(access)])?;
    Ok(())
}

pub(super) fn delete(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("DELETE FROM node WHERE ino = ?1")?
        .execute([int(ino.0)])?;
    Ok(())
}

/// Nobody holds an unlinked node any more.
pub(super) fn set_orphan(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached(
        "UPDATE node SET orphan = 1
         WHERE ino = ?1 AND parent IS NULL AND gone_parent IS NULL AND ino <> 1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}

/// Forgets an unlinked node that nobody holds.
pub(super) fn delete_orphan(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("DELETE FROM node WHERE ino = ?1 AND parent IS NULL AND orphan = 1")?
        .execute([int(ino.0)])?;
    Ok(())
}

/// Entries and bytes of the whole tree, for statistics.
pub(super) fn totals(c: &Connection) -> Result<(u64, u64)> {
    c.prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM node WHERE kind <> 1")?
        .query_row([], |row| Ok((uint(row.get(0)?), uint(row.get(1)?))))
}

/// Folders whose listing was cut off.
pub(super) fn cut_off(c: &Connection, limit: usize) -> Result<Vec<Ino>> {
    c.prepare_cached(
        "SELECT ino FROM node WHERE kind = 1 AND listing = 1 AND rid IS NOT NULL
             AND (parent IS NOT NULL OR ino = 1) LIMIT ?1",
    )?
    .query_map([limit as i64], |row| ino(row, 0))?
    .collect()
}

/// How fresh the listings of all folders of the service are.
pub(super) fn freshness(c: &Connection) -> Result<super::Freshness> {
    c.prepare_cached(
        "SELECT count(*), coalesce(sum(listed_at IS NULL), 0), coalesce(sum(listing = 1), 0),
                min(listed_at), max(listed_at)
         FROM node WHERE kind = 1 AND rid IS NOT NULL AND (parent IS NOT NULL OR ino = 1)",
    )?
    .query_row([], |row| {
        Ok(super::Freshness {
            folders: uint(row.get(0)?),
            unlisted: uint(row.get(1)?),
            cut_off: uint(row.get(2)?),
            oldest: row.get::<_, Option<i64>>(3)?.map(Time),
            newest: row.get::<_, Option<i64>>(4)?.map(Time),
        })
    })
}
