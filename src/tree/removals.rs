//! Objects of the service that are to go, and those that went and that a
//! lagging listing may still show.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::node::{Kind, Node, RemotePlace};
use super::rows::{Result, confirmed_at, int, kind_number, kind_of, uint};
use super::unanswered;
use crate::ids::{FolderId, Ino, Time};

/// An object that is to be removed from the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removal {
    /// Its row.
    pub id: i64,
    /// File (or link) or folder.
    pub kind: Kind,
    /// File id, or folder id in decimal.
    pub rid: String,
    /// Where the service has it.
    pub place: RemotePlace,
    /// Where it may be instead: a call that was to move it there was not answered.
    pub may_be_in: Option<FolderId>,
    /// The node that takes its place and must be confirmed first.
    pub after: Option<Ino>,
    /// Failed tries so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Time,
    /// When the service was asked to remove it, at the latest, if it may have done so.
    pub asked_at: Option<Time>,
    /// When it was put there, if by us.
    pub made_at: Option<Time>,
}

const COLUMNS: &str = "id, kind, rid, rparent, rname, after_ino, attempts, queued_at, may_be_in,
                       asked_at, made_at";

fn removal(row: &Row<'_>) -> Result<Removal> {
    Ok(Removal {
        id: row.get(0)?,
        kind: kind_of(row.get(1)?),
        rid: row.get(2)?,
        place: RemotePlace {
            folder: FolderId(uint(row.get(3)?)),
            name: row.get(4)?,
        },
        after: row.get::<_, Option<i64>>(5)?.map(|i| Ino(uint(i))),
        attempts: row.get(6)?,
        queued_at: Time(row.get(7)?),
        may_be_in: row.get::<_, Option<i64>>(8)?.map(|id| FolderId(uint(id))),
        asked_at: row.get::<_, Option<i64>>(9)?.map(Time),
        made_at: row.get::<_, Option<i64>>(10)?.map(Time),
    })
}

/// Queues the removal of what the service has of `node`, if anything, wherever that may be.
pub(super) fn queue(c: &Connection, node: &Node, after: Option<Ino>, now: Time) -> Result<()> {
    if let (Some(rid), Some(place)) = (node.remote.rid(), node.remote.place()) {
        let object = Object {
            kind: node.kind,
            rid: &rid,
            place,
            made_at: confirmed_at(c, node.ino)?,
        };
        queue_object(c, &object, after, now)?;
        if let Some(asked) = unanswered::of(c, node.ino)? {
            may_be_in(c, node.kind, &rid, asked.place.folder, now)?;
        }
    }
    Ok(())
}

/// An object of the service.
pub(super) struct Object<'a> {
    pub kind: Kind,
    pub rid: &'a str,
    pub place: &'a RemotePlace,
    /// When it was put there, if by us.
    pub made_at: Option<Time>,
}

/// Queues the removal of an object of the service, also one that no node stands for.
pub(super) fn queue_object(
    c: &Connection,
    object: &Object<'_>,
    after: Option<Ino>,
    now: Time,
) -> Result<()> {
    c.prepare_cached(
        "INSERT OR IGNORE INTO removal (kind, rid, rparent, rname, after_ino, queued_at, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        kind_number(object.kind),
        object.rid,
        int(object.place.folder.0),
        object.place.name,
        after.map(|ino| int(ino.0)),
        now.0,
        object.made_at.map(|at| at.0),
    ])?;
    Ok(())
}

/// A call that was not answered may have moved the object, or may do so as late as `now`.
fn may_be_in(c: &Connection, kind: Kind, rid: &str, folder: FolderId, now: Time) -> Result<()> {
    c.prepare_cached(
        "UPDATE removal SET may_be_in = ?3, queued_at = max(queued_at, ?4)
         WHERE kind = ?1 AND rid = ?2",
    )?
    .execute(params![kind_number(kind), rid, int(folder.0), now.0])?;
    Ok(())
}

/// All that may have been moved may have been so as late as `now`.
pub(super) fn all_may_be_moved(c: &Connection, now: Time) -> Result<()> {
    c.execute(
        "UPDATE removal SET queued_at = max(queued_at, ?1) WHERE may_be_in IS NOT NULL",
        [now.0],
    )?;
    Ok(())
}

/// Removals that wait for one node wait for another from now on.
pub(super) fn hand_on(c: &Connection, from: Ino, to: Ino) -> Result<()> {
    c.prepare_cached("UPDATE removal SET after_ino = ?2 WHERE after_ino = ?1")?
        .execute(params![int(from.0), int(to.0)])?;
    Ok(())
}

/// Removals that may be tried, or looked for, by `now` and for which nothing must come first,
/// oldest first. What waits must not fill the window: its successor may have failed for good. A
/// successor without a name will not come any more. What was asked for is looked for when
/// listings show by `lag` what came of it, whoever hurries.
pub(super) fn due(c: &Connection, now: Time, lag: Duration, limit: usize) -> Result<Vec<Removal>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM removal AS due WHERE not_before <= ?1
             AND (asked_at IS NULL OR asked_at <= ?3)
             AND NOT EXISTS (SELECT 1 FROM node
                 WHERE ino = due.after_ino AND parent IS NOT NULL AND pending & 3)
             AND (kind <> 1 OR NOT (
                 EXISTS (SELECT 1 FROM node WHERE rparent = CAST(due.rid AS INTEGER) AND parent IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM removal WHERE rparent = CAST(due.rid AS INTEGER))
                 OR EXISTS (SELECT 1 FROM unanswered JOIN node USING (ino)
                     WHERE unanswered.folder = CAST(due.rid AS INTEGER) AND node.parent IS NULL
                         AND node.rid IS NULL)
                 OR EXISTS (SELECT 1 FROM attempt
                     WHERE folder = CAST(due.rid AS INTEGER) AND node IS NOT NULL)))
         ORDER BY id LIMIT ?2"
    ))?
    .query_map(params![now.0, limit as i64, now.before(lag).0], removal)?
    .collect()
}

/// How many removals are queued.
pub(super) fn count(c: &Connection) -> Result<u64> {
    c.prepare_cached("SELECT count(*) FROM removal")?
        .query_row([], |row| Ok(uint(row.get(0)?)))
}

/// The earliest time at which a waiting removal may be tried or looked for.
pub(super) fn next_due(c: &Connection, now: Time, lag: Duration) -> Result<Option<Time>> {
    let lag = Time(0).after(lag).0;
    c.prepare_cached(
        "SELECT min(due) FROM
             (SELECT max(not_before, coalesce(asked_at + ?2, 0)) AS due FROM removal)
         WHERE due > ?1",
    )?
    .query_row([now.0, lag], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.map(Time))
    })
}

/// The service may have been asked as late as `asked` to remove it; `None`: it surely did not.
pub(super) fn set_asked(c: &Connection, id: i64, asked: Option<Time>) -> Result<()> {
    c.prepare_cached("UPDATE removal SET asked_at = ?2 WHERE id = ?1")?
        .execute(params![id, asked.map(|at| at.0)])?;
    Ok(())
}

/// It is gone: the row goes, and a listing that still shows it is not believed
/// until `until`.
pub(super) fn done(c: &Connection, removal: &Removal, until: Time) -> Result<()> {
    drop_row(c, removal)?;
    c.prepare_cached("INSERT OR REPLACE INTO tombstone (kind, rid, until) VALUES (?1, ?2, ?3)")?
        .execute(params![kind_number(removal.kind), removal.rid, until.0])?;
    Ok(())
}

/// The wish is given up; the object will show again with the next listing.
pub(super) fn drop_row(c: &Connection, removal: &Removal) -> Result<()> {
    c.prepare_cached("DELETE FROM removal WHERE id = ?1")?
        .execute([removal.id])?;
    Ok(())
}

/// A file of the service is to stay after all.
pub(super) fn forget(c: &Connection, rid: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM removal WHERE rid = ?1 AND kind <> 1")?
        .execute([rid])?;
    Ok(())
}

/// To be tried again later.
pub(super) fn postpone(c: &Connection, id: i64, not_before: Time, error: &str) -> Result<()> {
    c.prepare_cached(
        "UPDATE removal SET attempts = attempts + 1, not_before = ?2, error = ?3 WHERE id = ?1",
    )?
    .execute(params![id, not_before.0, error])?;
    Ok(())
}

/// The removal of a folder waits until `until`: something in it went just now, and
/// removals lag behind each other (API notes 2.7).
pub(super) fn hold_folder(c: &Connection, folder: FolderId, until: Time) -> Result<()> {
    c.prepare_cached(
        "UPDATE removal SET not_before = max(not_before, ?2) WHERE kind = 1 AND rid = ?1",
    )?
    .execute(params![folder.to_string(), until.0])?;
    Ok(())
}

/// The file at this place that is to be removed, if one is.
pub(super) fn file_at(c: &Connection, place: &RemotePlace) -> Result<Option<Removal>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM removal WHERE rparent = ?1 AND rname = ?2 AND kind <> ?3"
    ))?
    .query_row(
        params![int(place.folder.0), place.name, kind_number(Kind::Folder)],
        removal,
    )
    .optional()
}

/// Removals that wait for `successor`.
pub(super) fn waiting_for(c: &Connection, successor: Ino) -> Result<Vec<Removal>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM removal WHERE after_ino = ?1"
    ))?
    .query_map([int(successor.0)], removal)?
    .collect()
}

/// The object has another name there now.
pub(super) fn rename(c: &Connection, id: i64, name: &str) -> Result<()> {
    c.prepare_cached("UPDATE removal SET rname = ?2 WHERE id = ?1")?
        .execute(params![id, name])?;
    Ok(())
}

/// Removals that wait for a successor are given up. Returns the folders in which
/// their objects show again.
pub(super) fn withdraw(c: &Connection, successor: Ino) -> Result<Vec<FolderId>> {
    c.prepare_cached("DELETE FROM removal WHERE after_ino = ?1 RETURNING rparent")?
        .query_map([int(successor.0)], |row| Ok(FolderId(uint(row.get(0)?))))?
        .collect()
}

/// Whether this object is to be removed.
pub(super) fn is_queued(c: &Connection, kind: Kind, rid: &str) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM removal WHERE kind = ?1 AND rid = ?2)")?
        .query_row(params![kind_number(kind), rid], |row| row.get(0))
}

/// Whether a listing that shows this object must not be believed: we removed it
/// or are about to.
pub(super) fn hides(c: &Connection, kind: Kind, rid: &str, now: Time) -> Result<bool> {
    if is_queued(c, kind, rid)? {
        return Ok(true);
    }
    let until: Option<i64> = c
        .prepare_cached("SELECT until FROM tombstone WHERE kind = ?1 AND rid = ?2")?
        .query_row(params![kind_number(kind), rid], |row| row.get(0))
        .optional()?;
    Ok(until.is_some_and(|until| until > now.0))
}

/// Forgets tombstones that have served.
pub(super) fn sweep(c: &Connection, now: Time) -> Result<()> {
    c.prepare_cached("DELETE FROM tombstone WHERE until <= ?1")?
        .execute([now.0])?;
    Ok(())
}
