//! How rows come, change and go.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rusqlite::{Connection, params};

use super::{Result, TOLD_NAME, UNTOLD, access_number, int, kind_number, uint};
use crate::ids::{Ino, Time};
use crate::tree::local::IS_LOCAL;
use crate::tree::node::{
    Access, Attributes, Kind, Known, Node, Pending, Place, Remote, RemotePlace,
};

/// Detaches a node that vanished from the service, and notes where it hung.
pub(in crate::tree) fn set_gone(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached(&format!(
        "UPDATE node SET gone_parent = parent, gone_name = name, parent = NULL, name = NULL,
                 rname = {TOLD_NAME}
             WHERE ino = ?1 AND parent IS NOT NULL"
    ))?
    .execute([int(ino.0)])?;
    Ok(())
}

/// A new node and its row's inode.
pub(in crate::tree) fn insert(c: &Connection, new: &Node) -> Result<Ino> {
    let (rid, place, rsize, whirlpool, date) = remote_columns(&new.remote);
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
             target, rid, rparent, rname, rsize, whirlpool, protected, listed_at, pending, access,
             rdate)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22)",
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
        date.filter(|date| *date != new.attributes.btime.0),
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
    Option<i64>,
);

fn remote_columns(remote: &Remote) -> RemoteColumns<'_> {
    match remote {
        Remote::None => (None, None, None, None, None),
        Remote::Folder(folder) => (
            Some(folder.id.to_string()),
            folder.place.as_ref(),
            None,
            None,
            None,
        ),
        Remote::File(file) => (
            Some(file.id.to_string()),
            Some(&file.place),
            Some(file.size),
            file.whirlpool.map(|w| w.0),
            Some(file.date.map_or(UNTOLD, |date| date.0)),
        ),
    }
}

/// Replaces the confirmed half. `confirmed_at` is set when we made the change
/// ourselves: listings may lag behind it.
pub(in crate::tree) fn set_remote(
    c: &Connection,
    ino: Ino,
    remote: &Remote,
    confirmed_at: Option<Time>,
) -> Result<()> {
    let (rid, place, rsize, whirlpool, date) = remote_columns(remote);
    c.prepare_cached(
        "UPDATE node SET rid = ?2, rparent = ?3, rsize = ?5, whirlpool = ?6,
             rname = iif(kind <> 1 AND name = CAST(?4 AS BLOB), NULL, ?4),
             rdate = nullif(?8, iif(kind <> 1 AND btime = 0, mtime, btime)),
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
        date,
    ])?;
    Ok(())
}

pub(in crate::tree) fn set_place(c: &Connection, ino: Ino, place: Option<&Place>) -> Result<()> {
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
pub(in crate::tree) fn set_pending(c: &Connection, ino: Ino, pending: Pending) -> Result<()> {
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

pub(in crate::tree) fn set_attributes(c: &Connection, ino: Ino, a: &Attributes) -> Result<()> {
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
pub(in crate::tree) fn touch(c: &Connection, ino: Ino, now: Time) -> Result<()> {
    c.prepare_cached("UPDATE node SET mtime = ?2, ctime = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), now.0])?;
    Ok(())
}

/// The service tells no times of its root: they begin when it is first seen.
pub(in crate::tree) fn date_root(c: &Connection, now: Time) -> Result<()> {
    c.prepare_cached(
        "UPDATE node SET atime = max(atime, ?1), mtime = max(mtime, ?1), ctime = max(ctime, ?1),
             btime = ?1 WHERE ino = 1 AND btime = 0",
    )?
    .execute([now.0])?;
    Ok(())
}

pub(in crate::tree) fn set_changed(c: &Connection, ino: Ino, now: Time) -> Result<()> {
    c.prepare_cached("UPDATE node SET ctime = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), now.0])?;
    Ok(())
}

pub(in crate::tree) fn set_size(c: &Connection, ino: Ino, size: u64) -> Result<()> {
    c.prepare_cached("UPDATE node SET size = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), int(size)])?;
    Ok(())
}

pub(in crate::tree) fn set_target(c: &Connection, ino: Ino, target: &OsStr) -> Result<()> {
    c.prepare_cached("UPDATE node SET target = ?2, size = ?3 WHERE ino = ?1")?
        .execute(params![int(ino.0), target.as_bytes(), target.len() as i64])?;
    Ok(())
}

pub(in crate::tree) fn set_known(c: &Connection, ino: Ino, known: Known) -> Result<()> {
    let listing = match known {
        Known::Never | Known::Whole(_) => 0,
        Known::Cut(_) => 1,
        Known::Doubted(_) => 2,
        Known::Lacking(_) => 3,
        Known::DoubtedPart(_) => 4,
        Known::FilesCut(_) => 5,
    };
    c.prepare_cached("UPDATE node SET listed_at = ?2, listing = ?3 WHERE ino = ?1")?
        .execute(params![int(ino.0), known.at().map(|t| t.0), listing])?;
    Ok(())
}

/// What is known of a folder is out of date: it is listed again when it is used.
pub(in crate::tree) fn expire(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("UPDATE node SET listed_at = 0 WHERE ino = ?1 AND listed_at IS NOT NULL")?
        .execute([int(ino.0)])?;
    Ok(())
}

pub(in crate::tree) fn set_protected(c: &Connection, ino: Ino, protected: bool) -> Result<()> {
    c.prepare_cached("UPDATE node SET protected = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), protected])?;
    Ok(())
}

pub(in crate::tree) fn set_access(c: &Connection, ino: Ino, access: Access) -> Result<()> {
    c.prepare_cached("UPDATE node SET access = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), access_number(access)])?;
    Ok(())
}

pub(in crate::tree) fn delete(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("DELETE FROM node WHERE ino = ?1")?
        .execute([int(ino.0)])?;
    Ok(())
}

/// Nobody holds an unlinked node any more.
pub(in crate::tree) fn set_orphan(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached(
        "UPDATE node SET orphan = 1
         WHERE ino = ?1 AND parent IS NULL AND gone_parent IS NULL AND ino <> 1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}

/// Forgets an unlinked node that nobody holds.
pub(in crate::tree) fn delete_orphan(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("DELETE FROM node WHERE ino = ?1 AND parent IS NULL AND orphan = 1")?
        .execute([int(ino.0)])?;
    Ok(())
}
