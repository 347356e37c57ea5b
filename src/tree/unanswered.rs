//! The SQL of the table `unanswered`: calls that put a node somewhere and of which it is not
//! known whether they were carried out. A leaf: no rules.

use rusqlite::{Connection, OptionalExtension, params};

use super::node::RemotePlace;
use super::rows::{Result, int, uint};
use crate::ids::{FolderId, Ino, Time};

/// A call without an answer.
pub(super) struct Unanswered {
    /// When it was asked for at the latest.
    pub at: Time,
    /// Where it was to put the node.
    pub place: RemotePlace,
}

pub(super) fn note(c: &Connection, ino: Ino, place: &RemotePlace, now: Time) -> Result<()> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO unanswered (ino, at, folder, name)
         SELECT ino, ?2, ?3, ?4 FROM node WHERE ino = ?1",
    )?
    .execute(params![int(ino.0), now.0, int(place.folder.0), place.name])?;
    Ok(())
}

/// The call about this node, if there is one.
pub(super) fn of(c: &Connection, ino: Ino) -> Result<Option<Unanswered>> {
    c.prepare_cached("SELECT at, folder, name FROM unanswered WHERE ino = ?1")?
        .query_row([int(ino.0)], |row| {
            Ok(Unanswered {
                at: Time(row.get(0)?),
                place: RemotePlace {
                    folder: FolderId(uint(row.get(1)?)),
                    name: row.get(2)?,
                },
            })
        })
        .optional()
}

/// The folder that was asked to be made there.
pub(super) fn made_at(c: &Connection, place: &RemotePlace) -> Result<Option<Ino>> {
    made(c, "parent IS NOT NULL AND pending & 4", place)
}

/// The folder that was asked to be made there, and was removed here since.
pub(super) fn unmade_at(c: &Connection, place: &RemotePlace) -> Result<Option<Ino>> {
    made(c, "parent IS NULL AND rid IS NULL AND kind = 1", place)
}

fn made(c: &Connection, condition: &str, place: &RemotePlace) -> Result<Option<Ino>> {
    c.prepare_cached(&format!(
        "SELECT ino FROM unanswered JOIN node USING (ino)
         WHERE folder = ?1 AND unanswered.name = ?2 AND {condition}"
    ))?
    .query_row(params![int(place.folder.0), place.name], |row| {
        Ok(Ino(uint(row.get(0)?)))
    })
    .optional()
}

/// It may have been carried out as late as `now`.
pub(super) fn postpone(c: &Connection, ino: Ino, now: Time) -> Result<()> {
    c.prepare_cached("UPDATE unanswered SET at = ?2 WHERE ino = ?1")?
        .execute(params![int(ino.0), now.0])?;
    Ok(())
}

/// All may have been carried out as late as `now`.
pub(super) fn postpone_all(c: &Connection, now: Time) -> Result<()> {
    c.execute("UPDATE unanswered SET at = ?1", [now.0])?;
    Ok(())
}

/// What became of it is known.
pub(super) fn forget(c: &Connection, ino: Ino) -> Result<()> {
    c.prepare_cached("DELETE FROM unanswered WHERE ino = ?1")?
        .execute([int(ino.0)])?;
    Ok(())
}
