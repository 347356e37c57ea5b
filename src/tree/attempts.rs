//! The SQL of the table `attempt`: when an intent is tried again, and uploads that
//! were begun. A leaf: no rules.

use rusqlite::{Connection, Transaction, params};

use super::node::RemoteFile;
use super::rows::int;
use crate::ids::{Ino, Time};

/// The due time of content whose file is still open for writing: not before it is
/// closed, or a new process finds it.
pub const WHILE_OPEN: Time = Time(i64::MAX);

/// When the last closed version of a file is to be sent: [`WHILE_OPEN`], or after
/// the write-back delay. A failed upload of an older version no longer matters.
pub fn content_due(tx: &Transaction<'_>, ino: Ino, not_before: Time) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO attempt (ino, not_before) VALUES (?1, ?2)
         ON CONFLICT (ino) DO UPDATE SET not_before = ?2, attempts = 0, vain = 0, no_copy = 0,
             error = NULL, parked = 0",
    )?
    .execute(params![int(ino.0), not_before.0])?;
    Ok(())
}

/// The last writer of a file is gone: what waited for that is sent after `not_before`.
pub fn content_closed(tx: &Transaction<'_>, ino: Ino, not_before: Time) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE attempt SET not_before = ?2 WHERE ino = ?1 AND not_before = ?3")?
        .execute(params![int(ino.0), not_before.0, WHILE_OPEN.0])?;
    Ok(())
}

/// Whether a file of the service may be the result of an upload under way. One to a folder that
/// is gone is stored in the root (API notes 3.2).
pub(super) fn is_being_sent(c: &Connection, file: &RemoteFile) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM attempt
             WHERE node IS NOT NULL AND name = ?2 AND size = ?3
                 AND (folder = ?1 OR (?1 = 0 AND NOT EXISTS (SELECT 1 FROM node AS there
                     WHERE there.kind = 1 AND there.rid = CAST(attempt.folder AS TEXT)
                         AND there.parent IS NOT NULL))))",
    )?
    .query_row(
        params![int(file.place.folder.0), file.place.name, int(file.size)],
        |row| row.get(0),
    )
}

/// The user changed what failed for good: it may go well now.
pub(super) fn unpark(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE attempt SET parked = 0, attempts = 0, vain = 0, no_copy = 0, not_before = 0,
             error = NULL
         WHERE ino = ?1 AND parked = 1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}

/// Nothing at or below a node is tried any more; what is not sent waits for the user.
pub(super) fn park_below(c: &Connection, top: Ino, error: &str) -> rusqlite::Result<()> {
    c.prepare_cached(
        "WITH RECURSIVE down(ino) AS (
             SELECT ?1 UNION SELECT node.ino FROM node JOIN down ON node.parent = down.ino)
         INSERT INTO attempt (ino, attempts, error, parked)
         SELECT ino, 1, ?2, 1 FROM node WHERE ino IN down AND pending <> 0
         ON CONFLICT (ino) DO UPDATE SET error = ?2, parked = 1",
    )?
    .execute(params![int(top.0), error])?;
    Ok(())
}

/// Nothing is left to try.
pub(super) fn clear_attempt(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM attempt WHERE ino = ?1 AND node IS NULL")?
        .execute([int(ino.0)])?;
    Ok(())
}

/// Nothing is under way any more.
pub(super) fn clear_upload(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE attempt SET version = NULL, folder = NULL, name = NULL, size = NULL,
             whirlpool = NULL, node = NULL, xid = NULL, sent_at = NULL, told = NULL WHERE ino = ?1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}
