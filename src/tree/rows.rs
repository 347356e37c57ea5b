//! The SQL of nodes: one statement a function, no rules. Here is how a row is read, and how nodes
//! are found; [`folder`] has what is in folders, [`change`] how rows come, change and go.
//!
//! Most rows are files as the service has them, so these are stored short: a name there
//! that is the name here, times that are the last change, and a date there that is the time of
//! birth here, are said once. Only
//! [`node`], [`insert`] and the statements that change one of the two know of it.

mod change;
mod folder;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::node::{
    Access, Attributes, Kind, Known, Node, Pending, Place, Remote, RemoteFile, RemoteFolder,
    RemotePlace,
};
use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};

pub(super) use change::{
    date_root, delete, delete_orphan, expire, insert, set_access, set_attributes, set_changed,
    set_gone, set_known, set_orphan, set_pending, set_place, set_protected, set_remote, set_size,
    set_target, touch,
};
pub(super) use folder::{
    close_below, count_folders, folders_in, folders_of_strays, has_children, has_pending_below,
    is_within, name_taken, names_size, path, read_folder, strays_in,
};

pub(super) type Result<T> = rusqlite::Result<T>;

pub(super) const FOLDER: i64 = 1;
pub(super) const FILE: i64 = 2;
pub(super) const SYMLINK: i64 = 3;

/// The date of a file of which the service told none.
const UNTOLD: i64 = -1;

const COLUMNS: &str = "ino, parent, name, kind, mode, uid, gid, atime, mtime, ctime, btime, size, \
     target, rid, rparent, rname, rsize, whirlpool, protected, listed_at, listing, pending, access, names, rdate";

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
    let attributes = attributes(row, 4, kind)?;
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
                date: match row.get(24)? {
                    None => Some(attributes.btime),
                    Some(UNTOLD) => None,
                    Some(date) => Some(Time(date)),
                },
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
        (Some(t), 3) => Known::Lacking(Time(t)),
        (Some(t), 4) => Known::DoubtedPart(Time(t)),
        (Some(t), 5) => Known::FilesCut(Time(t)),
        (Some(t), _) => Known::Whole(Time(t)),
    };
    Ok(Node {
        ino: ino(row, 0)?,
        place: parent.zip(name).map(|(parent, name)| Place {
            parent: Ino(uint(parent)),
            name: OsString::from_vec(name),
        }),
        kind,
        attributes,
        size: uint(row.get(11)?),
        target: row.get::<_, Option<Vec<u8>>>(12)?.map(OsString::from_vec),
        remote,
        pending: Pending::from_bits(row.get(21)?),
        known,
        name_changes: uint(row.get(23)?),
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

/// When the last own change of the node was confirmed.
pub(super) fn confirmed_at(c: &Connection, ino: Ino) -> Result<Option<Time>> {
    let at: Option<i64> = c
        .prepare_cached("SELECT confirmed_at FROM node WHERE ino = ?1")?
        .query_row([int(ino.0)], |row| row.get(0))?;
    Ok(at.map(Time))
}

/// Entries and bytes of the whole tree, for statistics.
pub(super) fn totals(c: &Connection) -> Result<(u64, u64)> {
    c.prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM node WHERE kind <> 1")?
        .query_row([], |row| Ok((uint(row.get(0)?), uint(row.get(1)?))))
}

/// Folders of which a part is known.
pub(super) fn cut_off(c: &Connection, limit: usize) -> Result<Vec<Ino>> {
    c.prepare_cached(
        "SELECT ino FROM node WHERE kind = 1 AND listing IN (1, 3, 4, 5) AND rid IS NOT NULL
             AND (parent IS NOT NULL OR ino = 1) LIMIT ?1",
    )?
    .query_map([limit as i64], |row| ino(row, 0))?
    .collect()
}

/// How fresh the listings of all folders of the service are.
pub(super) fn freshness(c: &Connection) -> Result<super::Freshness> {
    c.prepare_cached(
        "SELECT count(*), coalesce(sum(listed_at IS NULL), 0), coalesce(sum(listing IN (1, 3, 4, 5)), 0),
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
