//! The queue as people see it, and what they may order.

use rusqlite::{Connection, OptionalExtension, params};

use super::Result;
use crate::ids::{Ino, Time};
use crate::tree::attempts::WHILE_OPEN;
use crate::tree::node::{Kind, Pending};
use crate::tree::rows::{self, int, uint};
use crate::tree::state::{Facts, FileState, UnderWay};
use crate::tree::{Tree, removals};

/// What is queued, for people and for draining.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Backlog {
    /// Files whose content is to be sent.
    pub uploads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders to make, nodes to move or rename.
    pub changes: u64,
    /// Objects to remove, and files unlinked while they were sent.
    pub removals: u64,
    /// What failed for good and waits for the user, and what waits for that; counted
    /// above too.
    pub failed: u64,
}

impl Backlog {
    /// Whether everything that can be done is done.
    pub fn is_drained(&self) -> bool {
        self.uploads + self.changes + self.removals <= self.failed
    }
}

/// A row of the queue, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queued {
    /// The node.
    pub ino: Ino,
    /// Bytes of the version to be sent; 0 for other intents.
    pub size: u64,
    /// What is to be done.
    pub pending: Pending,
    /// Failed tries.
    pub attempts: u32,
    /// Not tried before.
    pub not_before: Time,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Failed for good.
    pub parked: bool,
    /// Its upload.
    pub under_way: UnderWay,
    /// The service has some version of it.
    pub on_service: bool,
}

impl Queued {
    /// How far it has come; `dirty`: memory has changes that are not stored.
    pub fn state(&self, dirty: bool) -> FileState {
        FileState::of(&Facts {
            dirty,
            pending: self.pending,
            parked: self.parked,
            under_way: self.under_way,
            on_service: self.on_service,
        })
    }

    /// Whether it is held back because somebody may still write to it.
    pub fn is_open(&self) -> bool {
        self.not_before == WHILE_OPEN
    }
}

impl Tree {
    /// What is queued in total.
    pub fn backlog(&self) -> Result<Backlog> {
        self.store.read(|c| {
            let mut backlog = c
                .prepare_cached(
                    "SELECT coalesce(sum(pending & 1), 0),
                            coalesce(sum(iif(pending & 1, node.size, 0)), 0),
                            coalesce(sum((pending & 1) = 0), 0)
                     FROM node WHERE pending <> 0 AND parent IS NOT NULL",
                )?
                .query_row([], |row| {
                    Ok(Backlog {
                        uploads: uint(row.get(0)?),
                        bytes: uint(row.get(1)?),
                        changes: uint(row.get(2)?),
                        removals: 0,
                        failed: 0,
                    })
                })?;
            let unsettled: i64 = c
                .prepare_cached(
                    "SELECT count(*) FROM attempt JOIN node USING (ino)
                     WHERE attempt.node IS NOT NULL AND parent IS NULL",
                )?
                .query_row([], |row| row.get(0))?;
            backlog.removals = removals::count(c)? + uint(unsettled);
            backlog.failed = failed(c)?;
            Ok(backlog)
        })
    }

    /// What is queued of `top`, of all that is below it, and of the folders that it lies in. What
    /// was removed from there is not there any more: it is in the total alone.
    pub fn backlog_within(&self, top: Ino) -> Result<Backlog> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "WITH RECURSIVE up(ino, at) AS (
                     SELECT ino, ino FROM node WHERE pending <> 0 AND parent IS NOT NULL
                     UNION ALL
                     SELECT up.ino, node.parent FROM up JOIN node ON node.ino = up.at
                         WHERE up.at <> ?1 AND node.parent IS NOT NULL),
                 above(ino) AS (
                     SELECT parent FROM node WHERE ino = ?1 AND parent IS NOT NULL
                     UNION
                     SELECT parent FROM above JOIN node USING (ino) WHERE parent IS NOT NULL),
                 stuck(ino) AS (
                     SELECT ino FROM attempt JOIN node USING (ino)
                         WHERE parked = 1 AND pending <> 0 AND parent IS NOT NULL
                     UNION
                     SELECT child.ino FROM stuck JOIN node folder USING (ino)
                         JOIN node child ON child.parent = folder.ino WHERE folder.pending & 4)
                 SELECT coalesce(sum(pending & 1), 0),
                        coalesce(sum(iif(pending & 1, size, 0)), 0),
                        coalesce(sum((pending & 1) = 0), 0),
                        coalesce(sum(ino IN (SELECT ino FROM stuck)), 0)
                 FROM node WHERE ino IN (SELECT ino FROM up WHERE at = ?1)
                     OR (pending <> 0 AND ino IN (SELECT ino FROM above))",
            )?
            .query_row([int(top.0)], |row| {
                Ok(Backlog {
                    uploads: uint(row.get(0)?),
                    bytes: uint(row.get(1)?),
                    changes: uint(row.get(2)?),
                    removals: 0,
                    failed: uint(row.get(3)?),
                })
            })?)
        })
    }

    /// The queue, oldest first, for people.
    pub fn queue(&self, limit: usize) -> Result<Vec<Queued>> {
        self.store.read(|c| {
            Ok(c.prepare_cached(&format!(
                "{QUEUED} WHERE pending <> 0 AND parent IS NOT NULL ORDER BY ino LIMIT ?1"
            ))?
            .query_map([limit as i64], queued)?
            .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What failed for good, oldest first, for people.
    pub fn parked(&self, limit: usize) -> Result<Vec<Queued>> {
        self.store.read(|c| {
            Ok(c.prepare_cached(&format!(
                "{QUEUED} WHERE pending <> 0 AND parent IS NOT NULL AND parked = 1
                 ORDER BY ino LIMIT ?1"
            ))?
            .query_map([limit as i64], queued)?
            .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The state of one node's intent.
    pub fn queued(&self, ino: Ino) -> Result<Option<Queued>> {
        self.store.read(|c| {
            Ok(
                c.prepare_cached(&format!("{QUEUED} WHERE ino = ?1 AND pending <> 0"))?
                    .query_row([int(ino.0)], queued)
                    .optional()?,
            )
        })
    }

    /// How far a node has come; `dirty`: memory has changes of it that are not stored. `None`
    /// when there is no such node (any more).
    pub fn state(&self, ino: Ino, dirty: bool) -> Result<Option<FileState>> {
        self.store.read(|c| {
            let queued = c
                .prepare_cached(&format!("{QUEUED} WHERE ino = ?1"))?
                .query_row([int(ino.0)], queued)
                .optional()?;
            Ok(queued.map(|queued| queued.state(dirty)))
        })
    }

    /// Ends every write-back delay and back-off, of `ino` or of all.
    pub fn hurry(&self, ino: Option<Ino>) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "UPDATE attempt SET not_before = 0
                 WHERE not_before < ?2 AND (?1 IS NULL OR ino = ?1)",
                params![ino.map(|i| int(i.0)), WHILE_OPEN.0],
            )?;
            if ino.is_none() {
                tx.execute("UPDATE removal SET not_before = 0", [])?;
            }
            Ok(())
        })
    }

    /// The last closed version of a file is sent now, also while the file is open; a wait after
    /// a failure stays.
    pub fn flush(&self, ino: Ino) -> Result<()> {
        self.store.write(|tx| {
            tx.prepare_cached("UPDATE attempt SET not_before = 0 WHERE ino = ?1 AND attempts = 0")?
                .execute([int(ino.0)])?;
            Ok(())
        })
    }

    /// How many entries of a folder wait for the service, without those that failed for good
    /// and those that are still open.
    pub fn waiting_in(&self, folder: Ino) -> Result<u64> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT count(*) FROM node LEFT JOIN attempt USING (ino)
                 WHERE parent = ?1 AND pending <> 0 AND coalesce(parked, 0) = 0
                     AND coalesce(not_before, 0) < ?2",
            )?
            .query_row(params![int(folder.0), WHILE_OPEN.0], |row| {
                Ok(uint(row.get(0)?))
            })?)
        })
    }

    /// Ends the write-back delays of the closed files in a folder, but no wait after a
    /// failure.
    pub fn hurry_folder(&self, folder: Ino) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "UPDATE attempt SET not_before = 0
                 WHERE not_before BETWEEN 1 AND ?2 - 1 AND attempts = 0
                   AND ino IN (SELECT ino FROM node WHERE parent = ?1)",
                params![int(folder.0), WHILE_OPEN.0],
            )?;
            Ok(())
        })
    }

    /// Ends the write-back delays of closed files, but no wait after a failure: for
    /// who waits and calls this again and again. Returns how many.
    pub fn hurry_closed(&self) -> Result<usize> {
        self.store.write(|tx| {
            Ok(tx.execute(
                "UPDATE attempt SET not_before = 0
                 WHERE not_before BETWEEN 1 AND ?1 - 1 AND attempts = 0",
                [WHILE_OPEN.0],
            )?)
        })
    }

    /// Nothing is open when a process starts: content that waited for its file to
    /// be closed is due.
    pub fn nothing_is_open(&self, now: Time) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "UPDATE attempt SET not_before = ?2 WHERE not_before = ?1",
                [WHILE_OPEN.0, now.0],
            )?;
            Ok(())
        })
    }

    /// Takes failed intents up again, of `ino` or of all. Returns how many.
    pub fn retry(&self, ino: Option<Ino>) -> Result<usize> {
        self.store.write(|tx| {
            Ok(tx.execute(
                "UPDATE attempt SET parked = 0, not_before = 0, attempts = 0, vain = 0, no_copy = 0
                 WHERE parked = 1 AND (?1 IS NULL OR ino = ?1)",
                [ino.map(|i| int(i.0))],
            )?)
        })
    }
}

const QUEUED: &str = "SELECT ino, iif(pending & 1, node.size, 0), pending, coalesce(attempts, 0),
         coalesce(not_before, 0), error, coalesce(parked, 0), node.rid IS NOT NULL,
         (attempt.node IS NOT NULL) + (attempt.node IS NOT NULL AND attempt.whirlpool IS NOT NULL)
     FROM node LEFT JOIN attempt USING (ino)";

fn queued(row: &rusqlite::Row<'_>) -> rusqlite::Result<Queued> {
    Ok(Queued {
        ino: rows::ino(row, 0)?,
        size: uint(row.get(1)?),
        pending: Pending::from_bits(row.get(2)?),
        attempts: row.get(3)?,
        not_before: Time(row.get(4)?),
        error: row.get(5)?,
        parked: row.get(6)?,
        on_service: row.get(7)?,
        under_way: match row.get(8)? {
            0i64 => UnderWay::Nothing,
            1 => UnderWay::Begun,
            _ => UnderWay::Sent,
        },
    })
}

/// How many intents failed for good, or wait for one that did: what is in a folder
/// that cannot be made, and what is to go but not before something that stays: what its
/// successor, or what reads from it, was to be, and the folders that this lies in.
fn failed(c: &Connection) -> rusqlite::Result<u64> {
    c.prepare_cached(
        "WITH RECURSIVE stuck(ino) AS (
             SELECT ino FROM attempt JOIN node USING (ino)
                 WHERE parked = 1 AND pending <> 0 AND parent IS NOT NULL
             UNION
             SELECT child.ino FROM stuck JOIN node folder USING (ino)
                 JOIN node child ON child.parent = folder.ino WHERE folder.pending & 4),
         kept(id) AS (
             SELECT id FROM removal WHERE after_ino IN (SELECT ino FROM stuck)
             UNION
             SELECT removal.id FROM stuck JOIN staged USING (ino)
                 JOIN removal ON removal.kind = ?1 AND removal.rid = staged.base
             UNION
             SELECT removal.id FROM stuck JOIN node USING (ino)
                 JOIN removal ON removal.kind = 1 AND removal.rid = CAST(node.rparent AS TEXT)
             UNION
             SELECT folder.id FROM kept JOIN removal inside USING (id) JOIN removal folder
                 ON folder.kind = 1 AND folder.rid = CAST(inside.rparent AS TEXT))
         SELECT (SELECT count(*) FROM stuck JOIN node USING (ino) WHERE pending <> 0)
              + (SELECT count(*) FROM kept)",
    )?
    .query_row([rows::kind_number(Kind::File)], |row| Ok(uint(row.get(0)?)))
}
